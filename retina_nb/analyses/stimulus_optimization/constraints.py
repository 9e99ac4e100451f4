"""What an optimised stimulus is held to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.fft import dct
from torch import Tensor

from retina_nb.analyses.subjects import Subject
from retina_nb.errors import UserError
from retina_nb.representations import one_line

# From stimuli, each one's constraint and each one's neuron to the stimuli that are held to it.
Projection = Callable[[Tensor, Tensor, Tensor], Tensor]
_SMALL = 1e-12


@one_line
@dataclass(frozen=True)
class Constraint:
    """What a stimulus is held to, in the order in which it is enforced after every step.

    What comes later may disturb what comes before a little: a clipped stimulus is short of its norm, and a confined one
    has an edge.

    Args:
        time_cutoff: it is made of cosines in time no faster than this (Hz); of single frames if None.
        space_cutoff: of cosines in space no finer than this (cycles per mm of retina); of single pixels if None.
        radius_um: it is grey farther than this from where the neuron looks (µm).
        sparsity: how much it is concentrated in few pixels of few frames, from 0 (not at all) to 1 (in a single one),
            at least: its absolute numbers sum up to no more than ``sqrt(n) - sparsity * (sqrt(n) - 1)`` times its
            norm, for n numbers (Hoyer 2004, J. Mach. Learn. Res. 5:1457).
        norm: L2 norm over all channels, frames and pixels: the contrast that can be spent.
        exact: whether all of the norm is spent, or no more than that.
        low: the least contrast; a number for each channel, or one for all.
        high: the largest contrast.

    Raises:
        UserError: if it holds nothing, or a number makes no sense.
    """

    norm: float | None = 30.0
    low: float | Sequence[float] | None = None
    high: float | Sequence[float] | None = None
    time_cutoff: float | None = None
    space_cutoff: float | None = None
    radius_um: float | None = None
    sparsity: float | None = None
    exact: bool = True

    def __post_init__(self) -> None:
        if self.norm is None and (self.low is None or self.high is None):
            raise UserError("nothing holds the stimulus: give a norm, or low and high")
        for name in ("norm", "time_cutoff", "space_cutoff", "radius_um"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(f"the constraint's {name} must be positive, not {value}")
        if self.sparsity is not None and not 0 <= self.sparsity <= 1:
            raise UserError(f"the constraint's sparsity must be between 0 and 1, not {self.sparsity}")
        low, high = -np.inf if self.low is None else self.low, np.inf if self.high is None else self.high
        if np.any(np.asarray(low) >= np.asarray(high)):
            raise UserError(f"the constraint's low ({self.low}) must be below its high ({self.high})")


def projection(
    constraints: Sequence[Constraint], subject: Subject, time: int, centers: Float[np.ndarray, "neuron 2"] | None
) -> Projection:
    """A function that holds stimuli to their constraints, for stimuli of `time` bins.

    Args:
        constraints: the constraints that stimuli may have.
        subject: whose stimuli they are.
        time: their length (bins).
        centers: where each of the subject's neurons looks (y, x) in pixels; needed if a constraint has a radius.

    Raises:
        UserError: if limits are not one for each channel, or a size in µm is asked of a model that does not know its
            pixels' size.
    """
    channel, device = subject.stimulus_shape[0], subject.device
    low, high = (
        torch.stack([_limits(getattr(one, name), default, channel) for one in constraints]).to(device)
        for name, default in (("low", -torch.inf), ("high", torch.inf))
    )
    limited = bool(low.isfinite().any() | high.isfinite().any())
    norms = torch.tensor([torch.inf if one.norm is None else one.norm for one in constraints], device=device)
    exact = torch.tensor([one.exact and one.norm is not None for one in constraints], device=device)
    sparsity = torch.tensor([one.sparsity or 0.0 for one in constraints], device=device)
    masks = _masks(constraints, subject, centers)
    passes = _passes(constraints, subject, time)

    def project(x: Tensor, constraint: Tensor, neuron: Tensor) -> Tensor:
        for axis, matrices in passes.items():
            x = (x.movedim(axis, -1).flatten(1, -2) @ matrices[constraint]).view(x.movedim(axis, -1).shape)
            x = x.movedim(-1, axis)
        if masks is not None:
            x = x * masks[constraint, neuron][:, None, None]
        if bool(sparsity.any()):
            x = _sparse(x, sparsity[constraint])
        length = x.flatten(1).norm(dim=1)
        wanted = torch.where(exact[constraint], norms[constraint], torch.minimum(length, norms[constraint]))
        x = x * (wanted / length.clamp(min=_SMALL))[:, None, None, None, None]
        if not limited:
            return x
        return x.clamp(low[constraint][..., None, None, None], high[constraint][..., None, None, None])

    return project


def _limits(limit: float | Sequence[float] | None, default: float, channels: int) -> Float[Tensor, " channel"]:
    numbers = np.atleast_1d(np.asarray(default if limit is None else limit, dtype=np.float32))
    if len(numbers) not in (1, channels):
        raise UserError(f"limits must be one number or one for each of the {channels} channels, not {len(numbers)}")
    return torch.from_numpy(np.broadcast_to(numbers, channels).copy())


def _masks(
    constraints: Sequence[Constraint], subject: Subject, centers: Float[np.ndarray, "neuron 2"] | None
) -> Float[Tensor, "constraint neuron height width"] | None:
    if all(one.radius_um is None for one in constraints) or centers is None:
        return None
    grid = np.indices(subject.stimulus_shape[1:])
    distance = np.hypot(*(grid[:, None] - centers.T[:, :, None, None]))
    distance -= np.minimum(distance.min(axis=(1, 2), keepdims=True), 1)  # the nearest pixel is always seen
    radii = [np.inf if one.radius_um is None else subject.pixels(one.radius_um) for one in constraints]
    return torch.tensor(distance <= np.reshape(radii, (-1, 1, 1, 1)), dtype=torch.float32, device=subject.device)


def _passes(constraints: Sequence[Constraint], subject: Subject, time: int) -> dict[int, Tensor]:
    """For every axis of stimuli that some constraint makes smooth, each constraint's matrix onto the smooth ones."""
    _, height, width = subject.stimulus_shape
    passes = {}
    cutoffs = [one.time_cutoff for one in constraints]
    if any(cutoffs):
        passes[2] = torch.stack([_low_pass(time, cutoff, subject.rate) for cutoff in cutoffs]).to(subject.device)
    cutoffs = [one.space_cutoff for one in constraints]
    if any(cutoffs):
        pixels = subject.pixels(1000)
        for axis, size in ((3, height), (4, width)):
            passes[axis] = torch.stack([_low_pass(size, cutoff, pixels) for cutoff in cutoffs]).to(subject.device)
    return passes


def _low_pass(size: int, cutoff: float | None, rate: float) -> Float[Tensor, "size size"]:
    """The matrix that keeps the cosines up to a frequency of a signal of `size` samples, `rate` of them per unit."""
    if cutoff is None:
        return torch.eye(size)
    kept = int(2 * size * cutoff / rate) + 1  # the cosine number k has k half periods
    cosines = dct(np.eye(size), norm="ortho", axis=0)[:kept]
    return torch.from_numpy(cosines.T @ cosines).float()


def _sparse(x: Tensor, sparsity: Float[Tensor, " row"]) -> Tensor:
    """The stimuli whose numbers have moved towards zero by as little as makes each row as sparse as it must be."""
    size = x[0].numel()
    most = (size**0.5 - sparsity * (size**0.5 - 1))[:, None]  # of the sum of absolute numbers, in norms
    large = x.flatten(1).abs().double().sort(dim=1, descending=True).values
    count = torch.arange(1, size + 1, device=x.device)
    total, squares = large.cumsum(dim=1), large.square().cumsum(dim=1)
    # What is left with each number as the threshold: the sum, and the norm, with which it grows.
    left = total - count * large
    norm = (squares - 2 * large * total + count * large.square()).clamp(min=0).sqrt()
    last = (left <= most * norm + _SMALL).sum(dim=1, keepdim=True) - 1  # the least threshold that will do
    threshold = large.gather(1, last.clamp(min=1))[:, 0]
    threshold = torch.where(total[:, -1] <= most[:, 0] * squares[:, -1].sqrt(), 0.0, threshold).to(x.dtype)
    return x.sign() * (x.abs() - threshold[:, None, None, None, None]).clamp(min=0)
