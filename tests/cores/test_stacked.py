import copy
import math
import subprocess
import sys

import pytest
import torch

from retina_nb import UserError
from retina_nb.cores import Core, StackedCore, feature_shape
from retina_nb.cores.separable import PairwiseSeparableConv, temporal_basis

SMALL = {"in_channels": 2, "hidden_channels": [4, 3], "temporal_kernel_sizes": [6, 3], "spatial_kernel_sizes": [3, 5]}


def test_shape_and_lag_are_as_declared():
    core = StackedCore(**SMALL)
    assert core.lag == 7
    assert feature_shape(core, (2, 7, 9), 20) == (3, 13, 5, 7)
    unpadded = StackedCore(**SMALL, hidden_padding=False)
    assert feature_shape(unpadded, (2, 7, 9), 20) == (3, 13, 1, 3)


def test_the_published_low_res_core_has_its_published_shape():
    core = StackedCore(
        in_channels=2, hidden_channels=[16, 16], temporal_kernel_sizes=[21, 11], spatial_kernel_sizes=[11, 5]
    )
    assert feature_shape(core, (2, 18, 16), 150) == (16, 120, 8, 6)


def test_it_is_causal_with_exactly_its_lag():
    core = StackedCore(**SMALL).eval().double()
    stimulus = torch.randn(1, 2, 20, 7, 9, dtype=torch.float64, requires_grad=True)
    features = core(stimulus)
    (gradient,) = torch.autograd.grad(features[:, :, 4].square().sum(), stimulus)
    seen = gradient.abs().sum(dim=(0, 1, 3, 4)).nonzero()[:, 0]
    assert seen.min() == 4
    assert seen.max() == 4 + core.lag


def test_the_temporal_basis_is_the_published_one():
    basis = temporal_basis(21)
    assert basis.shape == (13, 21)
    window = basis[0]
    expected = [0.12, 0.27, 0.50, 0.73, 0.88, 0.95]
    torch.testing.assert_close(window[:6], torch.tensor(expected), atol=0.006, rtol=0.0)
    for place, time in enumerate(range(-21, 0)):
        assert float(basis[3, place]) == pytest.approx(
            float(window[place]) * math.cos(2 * math.pi * 2 * time / 21), abs=1e-5
        )
        assert float(basis[4, place]) == pytest.approx(
            float(window[place]) * math.sin(2 * math.pi * 2 * time / 21), abs=1e-5
        )
    assert temporal_basis(5).shape == (1, 5)


def test_noise_of_unit_variance_gives_features_of_about_unit_variance():
    torch.manual_seed(0)
    conv = PairwiseSeparableConv(2, 64, temporal_kernel_size=21, spatial_kernel_size=5)
    assert 0.7 < conv(torch.randn(2, 2, 60, 9, 9)).std() < 1.4


def test_it_can_be_copied_after_a_forward_pass():
    core = StackedCore(**SMALL).eval()
    stimulus = torch.randn(1, 2, 12, 7, 9)
    features = core(stimulus)
    torch.testing.assert_close(copy.deepcopy(core)(stimulus), features)


def test_penalties_have_gradients_and_do_not_depend_on_scale():
    core = StackedCore(**SMALL, roughness=1.0, speed=0.0, sparsity=1.0)
    value = core.regularizer()
    value.backward()
    first, second = (layer[0] for layer in core.layers)
    assert first.space_weights.grad.abs().sum() > 0
    assert second.space_weights.grad.abs().sum() > 0
    with torch.no_grad():
        for conv in (first, second):
            conv.space_weights *= 3
    torch.testing.assert_close(core.regularizer(), value, rtol=1e-3, atol=1e-4)


def test_smooth_kernels_are_less_rough():
    conv = PairwiseSeparableConv(1, 1, temporal_kernel_size=3, spatial_kernel_size=9)
    rough = conv.roughness()
    y, x = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(9.0) - 4, indexing="ij")
    with torch.no_grad():
        conv.space_weights.copy_(torch.exp(-(y**2 + x**2) / 8)[None, None])
    assert conv.roughness() < 0.1 * rough


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spatial_kernel_sizes": [3]}, "one entry for each layer"),
        ({"temporal_kernel_sizes": [6, 2]}, "at least 3 bins"),
    ],
)
def test_wrong_sizes_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        StackedCore(**(SMALL | change))


def test_a_core_of_ones_own_needs_only_forward():
    class Blur(Core):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv3d(2, 3, (4, 3, 3))

        def forward(self, x):
            return self.conv(x)

    core = Blur()
    assert feature_shape(core, (2, 5, 7), 10) == (3, 7, 3, 5)
    assert core.regularizer() == 0


COMPILE = """
import torch
from retina_nb.cores import StackedCore
core = StackedCore(in_channels=2, hidden_channels=[4], temporal_kernel_sizes=[6], spatial_kernel_sizes=[3]).eval()
stimulus = torch.randn(1, 2, 12, 7, 9)
torch.testing.assert_close(torch.compile(core, backend="eager", fullgraph=True)(stimulus), core(stimulus))
"""


def test_it_compiles_without_a_break():
    # In a process of its own: the compiler cannot read the shape checks that tests add.
    subprocess.run([sys.executable, "-c", COMPILE], check=True)
