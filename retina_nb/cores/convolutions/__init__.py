"""Ways to compute a convolution whose kernels are products of space and time; all give the same numbers.

To understand a core, `dense` is enough. `benchmarks/plans.py` times all of them on the layers of the presets.
"""

import torch

from retina_nb.cores.convolutions.basis_first import basis_first
from retina_nb.cores.convolutions.channelwise import channelwise
from retina_nb.cores.convolutions.dense import dense
from retina_nb.cores.convolutions.fourier import fourier

PLANS = {"dense": dense, "channelwise": channelwise, "basis_first": basis_first, "fourier": fourier}

# From so many pixels on, kernels are cheaper as frequencies.
_LARGE = 81


def choose_plan(device: str, channels: int, kernel_area: int) -> str:
    """Name of the plan that suits a device, the channels of the input, and kernels of so many pixels.

    Rules from measurements, on CPUs with and without AVX-512. Graphics cards convolve densely at full speed.
    """
    if device != "cpu":
        return "dense"
    # Without AVX-512, gradients of large kernels are slow.
    if channels <= 2 and (kernel_area <= 2 * _LARGE or torch.backends.cpu.get_cpu_capability() == "AVX512"):
        return "channelwise"
    return "fourier" if kernel_area >= _LARGE else "basis_first"
