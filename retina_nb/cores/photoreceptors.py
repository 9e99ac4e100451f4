"""Photoreceptors that adapt to light: two published models, differentiable in stimulus and parameters.

Both take light at or above zero and give how the response differs from that at constant mean light, relative to the
latter: positive to more light. Light is constant during a bin, and had its mean for ever before the first one.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_MEMORY = 1.5  # seconds of the past that filters see
_STEP = 0.008  # longest step in which the cascade is integrated (s), that of Idrees et al.
_NEWTON_STEPS = 10  # more than enough, since they come from above without oscillation

# Start of each parameter, and the factor by which it may become larger or smaller.
Start = dict[str, tuple[float, float]]

ADAPTATION: Start = {
    "beta": (6.4, 100.0),
    "gamma": (0.5, 2.0),
    "tau_r": (0.03, 3.0),
    "tau_y": (0.05, 3.0),
    "tau_z": (0.06, 3.0),
}
CASCADES: dict[str, Start] = {
    "mouse_cone": {"gamma": (20, 3), "sigma": (9.74, 3), "eta": (761, 3), "beta": (2.64, 3), "affinity": (0.4, 3)},
    "primate_cone": {"gamma": (10, 3), "sigma": (22, 3), "eta": (2000, 3), "beta": (9, 3), "affinity": (0.5, 3)},
    "primate_rod": {"gamma": (10, 3), "sigma": (7.07, 3), "eta": (2.53, 3), "beta": (25, 3), "affinity": (0.5, 3)},
}


class Photoreceptor(nn.Module):
    """Parameters that start from published values and stay within a factor of them.

    Args:
        start: value and factor of each parameter.
        rate: bins per second (Hz).
        mean: mean light.
    """

    def __init__(self, start: Start, *, rate: float, mean: float) -> None:
        super().__init__()
        self.start, self.rate, self.mean = start, rate, mean
        self.raw = nn.ParameterDict({name: nn.Parameter(torch.zeros(())) for name in start})

    def values(self) -> dict[str, Float[Tensor, ""]]:
        """The parameters in their units (s, Hz)."""
        raw = {name: one.to(at_least_single(one.dtype)) for name, one in self.raw.items()}
        return {name: value * factor ** raw[name].tanh() for name, (value, factor) in self.start.items()}


class DynamicalAdaptation(Photoreceptor):
    """The model of Clark et al. 2013 (PLOS Computational Biology 9:e1003289).

    ``tau_r dr/dt = y - (1 + beta z) r``: y is light in units of its mean through a gamma filter (order 2, `tau_y`), z a
    mixture of y, in the proportion `gamma`, and light through a slower one (order 3, `tau_z`). More light makes the
    response smaller and faster; constant light s gives s / (1 + beta s). The paper's gain alpha cancels here.

    Starts from the parameters in the paper's script (file S1: times 30, 50 and 60 ms, gamma 0.5, beta 0.2 for light of
    4 to 256, so 6.4 at the middle of these). The ranges are ours: the paper's table of fitted values was not at hand.
    """

    def __init__(self, *, rate: float, mean: float) -> None:
        super().__init__(ADAPTATION, rate=rate, mean=mean)

    def forward(
        self, light: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch channel time height width"]:
        values = self.values()
        fast, slow = self._filtered(light / self.mean, values)
        load = 1 + values["beta"] * (values["gamma"] * fast + (1 - values["gamma"]) * slow)
        keep, target = torch.exp(-load / (self.rate * values["tau_r"])), fast / load
        adapted = 1 / (1 + values["beta"])
        state, states = adapted.expand_as(light[:, :, 0]), []
        for aim, kept in zip(target.unbind(2), keep.unbind(2), strict=True):
            state = torch.lerp(aim, state, kept)
            states.append(state)
        return torch.stack(states, dim=2) / adapted - 1

    def _filtered(self, light: Tensor, values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Light through the two filters."""
        bins = math.ceil(_MEMORY * self.rate)
        kernels = torch.stack(
            [gamma_filter(values[f"tau_{name}"], order, bins, self.rate) for name, order in (("y", 2), ("z", 3))]
        )
        traces = light.movedim(2, -1)
        course = F.pad(traces.flatten(0, -2)[:, None], (bins - 1, 0), value=1.0)  # mean light before the first bin
        filtered = F.conv1d(course, kernels.flip(-1)[:, None]).to(light.dtype)  # (trace, filter, time)
        fast, slow = (one.reshape(traces.shape).movedim(-1, 2) for one in filtered.unbind(1))
        return fast, slow


class Phototransduction(Photoreceptor):
    """The phototransduction cascade that Idrees et al. 2024 (doi 10.1038/s41467-024-50114-5) put before a network.

    ``dR/dt = gamma light - sigma R`` (opsin), ``dP/dt = R + eta - sigma P`` (phosphodiesterase), ``dG/dt = S - P G``
    (cGMP), ``dC/dt = beta (G^3 - C)`` (calcium), synthesis ``S ~ 1 / (1 + (C / affinity)^4)``, current ``~ G^3``: light
    in photoisomerisations per receptor and second, rates in Hz, cGMP and calcium in units of their values in the dark,
    whatever these are (Angueyra et al. 2022, Journal of Neuroscience 42:1254; Chen et al. 2024, eLife 13:93795).
    Opsin and phosphodiesterase decay alike, since responses do not tell the two apart (Chen et al.).

    Cones start from the values that Chen et al. fitted to mice and primates, rods from those of Idrees et al., read in
    the public code of jaxley-retina, isetbio and dynret. All are learned within a factor of 3, which is our choice and
    about as wide as the bounds of Kadhim et al. 2025 (sigma 5 to 24, gamma 1 to 22, beta 2.5 to 10, affinity 0.2 to 0.6
    for cones of mice).

    Args:
        kind: one of `CASCADES`.
        rate: bins per second (Hz).
        mean: mean light (photoisomerisations per receptor and second).
    """

    def __init__(self, kind: str, *, rate: float, mean: float) -> None:
        super().__init__(CASCADES[kind], rate=rate, mean=mean)

    def forward(
        self, light: Float[Tensor, "batch channel time height width"]
    ) -> Float[Tensor, "batch channel time height width"]:
        values = self.values()
        steps = math.ceil(1 / (self.rate * _STEP))
        step = 1 / (self.rate * steps)
        decay, recovery = torch.exp(-values["sigma"] * step), torch.exp(-values["beta"] * step)
        opsin, enzyme, calcium, adapted = self.steady_state(torch.full_like(light[:, :, 0], self.mean))
        cgmp, states = adapted, []
        for opsin_aim, enzyme_aim in zip(*(aims.unbind(2) for aims in self.activity(light)), strict=True):
            for _ in range(steps):
                # Exact for opsin and enzyme; calcium and cGMP move in turn, half a step apart, as if the other stood.
                before, enzyme = enzyme, enzyme_aim + decay * (enzyme - enzyme_aim + step * (opsin - opsin_aim))
                opsin = torch.lerp(opsin_aim, opsin, decay)
                calcium = torch.lerp(cgmp**3, calcium, recovery)
                hydrolysis = (before + enzyme) / 2
                cgmp = torch.lerp(synthesis(calcium, values) / hydrolysis, cgmp, torch.exp(-hydrolysis * step))
            states.append(cgmp)
        return 1 - (torch.stack(states, dim=2) / adapted[:, :, None]) ** 3

    def activity(self, light: Float[Tensor, "*place"]) -> tuple[Float[Tensor, "*place"], Float[Tensor, "*place"]]:
        """Opsin and phosphodiesterase at constant light."""
        values = self.values()
        opsin = values["gamma"] * light / values["sigma"]
        return opsin, (opsin + values["eta"]) / values["sigma"]

    def steady_state(self, light: Float[Tensor, "*place"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Opsin, phosphodiesterase, calcium and cGMP at constant light."""
        values = self.values()
        opsin, enzyme = self.activity(light)
        # The logarithm u of cGMP solves u + softplus(4 (3 u - log affinity)) = balance.
        offset = 4 * values["affinity"].log()
        balance = F.softplus(-offset) - (enzyme * values["sigma"] / values["eta"]).log()
        log_cgmp = torch.zeros_like(enzyme)
        for _ in range(_NEWTON_STEPS):
            inhibition = 12 * log_cgmp - offset
            excess = log_cgmp + F.softplus(inhibition) - balance
            log_cgmp = log_cgmp - excess / (1 + 12 * inhibition.sigmoid())
        return opsin, enzyme, (3 * log_cgmp).exp(), log_cgmp.exp()


def synthesis(calcium: Tensor, values: dict[str, Tensor]) -> Tensor:
    """Rate of cGMP synthesis (Hz), which in the dark makes up for what phosphodiesterase breaks down."""
    dark = values["eta"] / values["sigma"]
    return dark * (1 + values["affinity"] ** -4) / (1 + (calcium / values["affinity"]) ** 4)


def gamma_filter(tau: Float[Tensor, ""], order: int, bins: int, rate: float) -> Float[Tensor, " bin"]:
    """``t^order exp(-t / tau)``, integrated over bins from the present back and scaled to a sum of one.

    Args:
        tau: time constant (s).
        order: power of time.
        bins: length.
        rate: bins per second (Hz).
    """
    edges = torch.arange(bins + 1, device=tau.device) / (rate * tau)
    later = torch.exp(-edges) * sum(edges**power / math.factorial(power) for power in range(order + 1))
    return (later[:-1] - later[1:]) / (1 - later[-1])


def at_least_single(dtype: torch.dtype) -> torch.dtype:
    """The precision that differential equations need."""
    return torch.promote_types(dtype, torch.float32)
