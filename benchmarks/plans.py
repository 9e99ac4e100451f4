"""``python -m benchmarks plans [NAME ...]``: every layer of the published cores by every plan, forward and backward.

The numbers behind `retina_nb.cores.convolutions.choose_plan`: milliseconds of each plan, the chosen one marked, and how
far it is from float64.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.machine import wait_until_quiet
from retina_nb.cores.convolutions import PLANS
from retina_nb.cores.separable import PairwiseSeparableConv
from retina_nb.memory import keep_freed_memory
from retina_nb.models.parts import assemble
from retina_nb.models.presets import load_preset

# Chunks of so many frames in a batch, and (channel, height, width) of the stimulus.
CORES = {
    "hoefling_2024_low_res": (128, 50, (2, 18, 16)),
    "hoefling_2024_high_res": (4, 50, (2, 72, 64)),
    "karamanlis_2024": (2, 50, (1, 60, 80)),
}
_REPETITIONS = 3


def main(arguments: Sequence[str]) -> None:
    """Measure the layers of these cores, of all without names."""
    keep_freed_memory()
    print(f"{'layer':<26}{'input':<24}{'kernel':<14}" + "".join(f"{plan:>22}" for plan in PLANS))
    for name in arguments or CORES:
        for number, (conv, x) in enumerate(_layers(name)):
            kernel = " x ".join(map(str, conv.kernel_size))
            cells = "".join(f"{_cell(conv, x, plan):>22}" for plan in PLANS)
            print(f"{name.removeprefix('hoefling_2024_')} {number + 1:<12}{tuple(x.shape)!s:<24}{kernel:<14}{cells}")


def _layers(name: str) -> Iterator[tuple[PairwiseSeparableConv, Tensor]]:
    """Every pairwise separable convolution of a core and what it is given."""
    batch, bins, shape = CORES[name]
    core: Any = assemble(load_preset(name), shape, {"neurons": {"one": 1}}).core.eval()
    x = torch.randn(batch, shape[0], bins, *shape[1:])
    for layer in core.layers:
        yield layer.conv, x
        with torch.no_grad():
            x = layer(x)


def _cell(conv: PairwiseSeparableConv, x: Tensor, plan: str) -> str:
    """Milliseconds, and the largest difference from float64 as a share of the largest output."""
    weights = [one.detach().requires_grad_() for one in (conv.time_weights, conv.space_weights)]
    x = x.detach().requires_grad_(x.shape[1] > 2)  # the stimulus of training needs no gradient

    def step() -> None:
        PLANS[plan](x, weights[0], conv.basis, weights[1], conv.padding).square().mean().backward()

    wait_until_quiet(10)
    step()
    times = [_seconds(step) for _ in range(_REPETITIONS)]
    some, parts = x.detach()[:1, :, : conv.kernel_size[0] + 1], (weights[0], conv.basis, weights[1])
    with torch.no_grad():
        exact = PLANS["dense"](some.double(), *(one.double() for one in parts), conv.padding)
        apart = float((PLANS[plan](some, *parts, conv.padding) - exact).abs().max() / exact.abs().max())
    mark = "*" if plan == conv.plan_on("cpu") else ""
    return f"{1000 * median(times):.0f} ms{mark} ({apart:.0e})"


def _seconds(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
