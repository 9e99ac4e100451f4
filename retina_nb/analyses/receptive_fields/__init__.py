"""Receptive fields: of a model by its gradient, of a recording by reverse correlation, and what they look like."""

from retina_nb.analyses.receptive_fields.covariance import SpikeTriggeredCovariance, spike_triggered_covariance
from retina_nb.analyses.receptive_fields.fields import ReceptiveFields, cosines
from retina_nb.analyses.receptive_fields.gradients import operating_points, receptive_fields
from retina_nb.analyses.receptive_fields.noise import record_noise
from retina_nb.analyses.receptive_fields.reverse_correlation import Significance, significance, spike_triggered_averages
from retina_nb.analyses.receptive_fields.shapes import Shapes, shapes
from retina_nb.analyses.receptive_fields.smooth import smooth_receptive_fields

__all__ = [
    "ReceptiveFields",
    "Shapes",
    "Significance",
    "SpikeTriggeredCovariance",
    "cosines",
    "operating_points",
    "receptive_fields",
    "record_noise",
    "shapes",
    "significance",
    "smooth_receptive_fields",
    "spike_triggered_averages",
    "spike_triggered_covariance",
]
