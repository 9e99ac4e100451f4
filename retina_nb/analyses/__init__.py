"""In-silico experiments: functions of a twin, or of a recording, that return a small dataclass."""

from retina_nb.analyses.receptive_fields import ReceptiveFields, receptive_fields, spike_triggered_averages

__all__ = ["ReceptiveFields", "receptive_fields", "spike_triggered_averages"]
