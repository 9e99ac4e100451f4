"""What recordings are worth: an audit before a model is fitted, and which neurons to fit it to."""

from retina_nb.quality.auditing import Audit, audit
from retina_nb.quality.cells import neuron_quality
from retina_nb.quality.findings import Finding
from retina_nb.quality.selection import select_neurons

__all__ = ["Audit", "Finding", "audit", "neuron_quality", "select_neurons"]
