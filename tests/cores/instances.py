"""A small core of every kind, and the stimuli they take: odd and unequal sizes."""

from retina_nb.cores import ConvGRUCore, PassThrough, PhotoreceptorFrontEnd, StackedCore

STACK = {"in_channels": 2, "hidden_channels": [4, 3], "temporal_kernel_sizes": [6, 3], "spatial_kernel_sizes": [3, 5]}
LIGHT = {"rate": 125.0, "mean": 1000.0, "std": 300.0}
STACKS = {
    "stacked": {},
    "unpadded": {"hidden_padding": False},
    "padded": {"input_padding": (2, 1), "hidden_padding": [(0, 3)]},
    "even": {"spatial_kernel_sizes": [4, 2], "input_padding": True},
    "separable": {"convolution": "separable"},
    "full": {"convolution": "full", "normalization": "none", "nonlinearity": ["silu", "identity"]},
    "time_independent": {"convolution": "time_independent", "temporal_kernel_sizes": [1, 1]},
    "pooled": {"pool_every": 2, "dropout": 0.1},
    "downsampled": {"downsample": (1, 2, 1), "pool_every": 1},
    "slow": {"downsample": (3, 1, 1), "cut": 1},
    "colour": {"colour_weights": [0.7, -0.4], "projection": "elu"},
    "per_session": {"sessions": ["b", "a"]},
    "imported": {"noncausal_padding": [(2, 3), (1, 1)], "cut": 2},
    "bordered": {"convolution": "separable", "hidden_padding": (2, 2), "border": [(0, 0), (2, 2)]},
}
GRUS = {
    "gru": {"recurrent_channels": 5, "sessions": ["b", "a"]},
    "grouped_gru": {
        "hidden_channels": [3, 4],
        "recurrent_channels": 6,
        "groups": 2,
        "input_kernel_size": 2,
        "recurrent_kernel_size": 4,
    },
    "shrinking_gru": {"recurrent_channels": 2, "pad_input": False, "input_kernel_size": 4},
}
STIMULUS = (2, 13, 17)  # channel, height, width


def build(name: str):
    """The core of this name."""
    if name in STACKS:
        return StackedCore(**STACK | STACKS[name])
    if name in GRUS:
        return ConvGRUCore(**STACK | GRUS[name])
    if name == "pass_through":
        return PassThrough(cut=3)
    inner = build("per_session") if name == "adaptation" else build("stacked")
    return PhotoreceptorFrontEnd(inner, **LIGHT, photoreceptor=name, warm_up=0.02)


NAMES = [*STACKS, *GRUS, "pass_through", "adaptation", "mouse_cone"]
