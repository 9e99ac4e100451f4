"""Adapting photoreceptors in front of any core."""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from retina_nb.cores.base import Core
from retina_nb.cores.photoreceptors import CASCADES, DynamicalAdaptation, Phototransduction, at_least_single
from retina_nb.errors import UserError, unknown

KINDS = ("adaptation", *CASCADES)


class PhotoreceptorFrontEnd(Core):
    """A core that sees what photoreceptors make of the stimulus, each pixel and channel by itself (Idrees et al. 2024,
    doi 10.1038/s41467-024-50114-5). Photoreceptors and core are trained together.

    Photoreceptors remember all light, with less weight the longer ago. They start adapted to mean light, and the bins
    of a warm-up, in which they forget that, are dropped and count into the lag. After 0.5 s, what was there before
    makes up less than a tenth of the first output of cones and a fifth of that of rods (after 1 s a hundredth).

    Args:
        core: the core that sees the photoreceptors' responses.
        rate: bins per second (Hz).
        mean, std: what stimuli are normalised by: light is ``mean + std * stimulus``, and zero where that is negative.
        photoreceptor: "adaptation" (Clark et al. 2013; light in any unit), or a phototransduction cascade with light in
            photoisomerisations per receptor and second: "mouse_cone", "primate_cone" or "primate_rod".
        warm_up: time that is dropped at the start (s).

    Raises:
        UserError: if the photoreceptor is unknown, or `mean`, `std`, `rate` or `warm_up` make no light or time.
    """

    def __init__(
        self,
        core: Core,
        *,
        rate: float,
        mean: float,
        std: float,
        photoreceptor: str = "adaptation",
        warm_up: float = 0.5,
    ) -> None:
        super().__init__()
        if photoreceptor not in KINDS:
            raise unknown("photoreceptor", photoreceptor, KINDS)
        if min(rate, mean, std) <= 0 or warm_up < 0:
            raise UserError(
                f"photoreceptors: mean {mean}, std {std} and rate {rate} must be above zero and warm_up {warm_up} not "
                "below; take those of the recording, movie.mean, movie.std and rate"
            )
        self.mean, self.std, self.warm_up = mean, std, math.ceil(warm_up * rate)
        self.photoreceptor: DynamicalAdaptation | Phototransduction = (
            DynamicalAdaptation(rate=rate, mean=mean)
            if photoreceptor == "adaptation"
            else Phototransduction(photoreceptor, rate=rate, mean=mean)
        )
        self.core = core
        if hasattr(core, "lag"):
            self.lag = self.warm_up + core.lag
        self.lookahead, self.stride, self.time_stride = core.lookahead, core.stride, core.time_stride
        self.per_session = core.per_session

    def forward(
        self, x: Float[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch feature time_out height_out width_out"]:
        seen = self.response(x)[:, :, self.warm_up :]
        return self.core(seen, session) if self.per_session else self.core(seen)

    def set_sessions(self, sessions: Sequence[str]) -> None:
        self.core.set_sessions(sessions)

    def response(
        self, x: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch channel time height width"]:
        """What the photoreceptors make of a stimulus, from its first bin on."""
        light = (self.mean + self.std * x.to(at_least_single(x.dtype))).clamp(min=0)
        return self.photoreceptor(light).to(x.dtype)

    def regularizer(self) -> Float[Tensor, ""]:
        return self.core.regularizer()
