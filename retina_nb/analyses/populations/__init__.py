"""What cells tell together: correlations, redundancy, mosaics, types, decoding, information per spike."""

from retina_nb.analyses.populations.bayesian import (
    DecodedStimulus,
    Identification,
    StimulusPrior,
    decode_most_probable,
    identify,
)
from retina_nb.analyses.populations.clustering import (
    Clusters,
    adjusted_rand_index,
    cluster_cells,
    cluster_features,
    response_features,
)
from retina_nb.analyses.populations.correlations import (
    Correlations,
    noise_correlations,
    recorded_signal_correlations,
    signal_correlations,
)
from retina_nb.analyses.populations.information import (
    SpikeInformation,
    recorded_spike_information,
    spike_information,
)
from retina_nb.analyses.populations.linear_decoding import (
    LinearDecoder,
    Reconstruction,
    fit_linear_decoder,
    reconstruct,
)
from retina_nb.analyses.populations.mosaics import Mosaics, mosaics
from retina_nb.analyses.populations.redundancy import (
    PopulationInformation,
    Redundancy,
    pair_redundancy,
    population_information,
)

__all__ = [
    "Clusters",
    "Correlations",
    "DecodedStimulus",
    "Identification",
    "LinearDecoder",
    "Mosaics",
    "PopulationInformation",
    "Reconstruction",
    "Redundancy",
    "SpikeInformation",
    "StimulusPrior",
    "adjusted_rand_index",
    "cluster_cells",
    "cluster_features",
    "decode_most_probable",
    "fit_linear_decoder",
    "identify",
    "mosaics",
    "noise_correlations",
    "pair_redundancy",
    "population_information",
    "reconstruct",
    "recorded_signal_correlations",
    "recorded_spike_information",
    "response_features",
    "signal_correlations",
    "spike_information",
]
