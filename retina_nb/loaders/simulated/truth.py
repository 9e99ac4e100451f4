"""The simulated retina itself: a model whose every parameter is known.

Each cell is a cascade, in the spirit of the classical circuit models: space-time separable
difference-of-Gaussians units (one, or rectified subunits; Hochstein & Shapley 1976), delayed inhibition from the
preferred side for direction selectivity (Barlow & Levick 1965), pooling, contrast gain control (Shapley &
Victor 1978) and an output nonlinearity.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from retina_nb.errors import UserError, unknown
from retina_nb.loaders.simulated.cells import CELL_TYPES, CellType
from retina_nb.representations import model_words, one_line

FILTER_BINS, DELAY_BINS, GAIN_BINS = 16, 2, 12
INHIBITION, SHARPNESS = 2.0, 3.0


@one_line
class Truth(nn.Module):
    """Answers for any stimulus what the simulated cells do, without noise.

    Args:
        cells: for each session, its cells as `place_cells` gives them.
        size: (height, width) in pixels.
        pixel_um: side of a pixel (µm).
        rate: bins per second (Hz).
        noise: ``"poisson"``, or ``"gaussian"`` for rectified Gaussian noise as in calcium imaging.
    """

    _in_words = model_words

    cell: Tensor
    space: Tensor
    inhibitory_space: Tensor
    pooling: Tensor
    time: Tensor
    rectified: Tensor
    on_off: Tensor
    inhibition: Tensor
    gain_control: Tensor
    sign: Tensor
    threshold: Tensor
    unit_scale: Tensor
    mean: Tensor
    scale: Tensor
    peak: Tensor
    sigma: Tensor

    lag = FILTER_BINS - 1 + DELAY_BINS + GAIN_BINS - 1

    def __init__(
        self,
        cells: Mapping[str, pd.DataFrame],
        *,
        size: tuple[int, int],
        pixel_um: float,
        rate: float,
        noise: str = "poisson",
    ) -> None:
        super().__init__()
        if noise not in ("poisson", "gaussian"):
            raise unknown("noise", noise, ("poisson", "gaussian"))
        self.rate, self.pixel_um, self.noise = rate, pixel_um, noise
        self._table = pd.concat([frame.assign(session=name) for name, frame in cells.items()], ignore_index=True)
        kinds = [CELL_TYPES[name] for name in self._table["type"]]
        units = [
            _units(kind, y, x, size, pixel_um)
            for kind, y, x in zip(kinds, self._table["y"], self._table["x"], strict=True)
        ]
        self.register_buffer("cell", torch.tensor([cell for cell, unit in enumerate(units) for _ in unit[2]]))
        self.register_buffer("space", torch.cat([unit[0] for unit in units]))  # (unit, channel, height, width)
        self.register_buffer("inhibitory_space", torch.cat([unit[1] for unit in units]))
        self.register_buffer("pooling", torch.cat([unit[2] for unit in units]))  # (unit,)
        self.register_buffer("time", torch.stack([_temporal_filter(kind, rate) for kind in kinds]))  # (cell, bin)

        def each(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32)

        self.register_buffer("rectified", each([kind.subunit_um is not None for kind in kinds]))
        self.register_buffer("on_off", each([kind.on_off for kind in kinds]))
        self.register_buffer("inhibition", each([INHIBITION * (kind.direction is not None) for kind in kinds]))
        self.register_buffer("gain_control", each([kind.gain_control for kind in kinds]))
        self.register_buffer("sign", each([-1 if kind.suppressed else 1 for kind in kinds]))
        self.register_buffer("threshold", each([kind.threshold for kind in kinds]))
        for name, start in (("unit_scale", 1.0), ("mean", 0.0), ("scale", 1.0), ("peak", 1.0), ("sigma", 0.0)):
            self.register_buffer(name, torch.full((len(kinds),), start))
        self.eval()

    @property
    def sessions(self) -> list[str]:
        return list(dict.fromkeys(self._table["session"]))

    def neurons(self, session: str | None = None) -> pd.DataFrame:
        """What is known of each cell: type, place (pixels), polarity, latency (s), direction (degrees), nonlinear."""
        return self._table.iloc[self._cells(session).cpu()].drop(columns="session").reset_index(drop=True)

    @property
    def stimulus_shape(self) -> tuple[int, int, int]:
        """(channel, height, width) of the stimuli it answers for."""
        channel, height, width = self.space.shape[1:]
        return channel, height, width

    @property
    def about(self) -> dict[str, Any]:
        """What a twin knows of its recordings: rate (Hz), pixel size (µm), number of neurons of each session."""
        neurons = self._table["session"].value_counts(sort=False).to_dict()
        return {"rate_hz": self.rate, "pixel_um": self.pixel_um, "neurons": neurons, "channels": ["green", "UV"]}

    def forward(
        self,
        stimulus: Float[Tensor, "batch channel time height width"],
        session: str | None = None,
        neurons: Int[Tensor, " neuron"] | None = None,
    ) -> Float[Tensor, "batch time_out neuron"]:
        """The expected response (spikes per bin) of a session's cells, or of all; ``time_out = time - lag``.

        It can be differentiated with respect to the stimulus.

        Args:
            stimulus: what is shown.
            session: whose cells.
            neurons: their numbers, in the session or among all; of others nothing is computed. All if None.

        Raises:
            UserError: if there is no such session or the stimulus does not fit.
        """
        self._check(stimulus)
        cells = self._cells(session)
        if neurons is not None:
            cells, place = cells[neurons.to(cells.device)].unique(return_inverse=True)
        # A few cells at a time, since every subunit has a trace of its own.
        rates = [self._rate(self._drive(stimulus, part), part) for part in cells.split(32)]
        expected = self._expected(torch.cat(rates, dim=1), cells).transpose(1, 2)
        return expected if neurons is None else expected.index_select(-1, place)

    def respond(self, expected: Float[Tensor, "*shape neuron"], session: str, rng: torch.Generator) -> Tensor:
        """One noisy trial, given what `forward` expects."""
        if self.noise == "poisson":
            return torch.poisson(expected, generator=rng)
        sigma = self.sigma[self._cells(session)]
        return (self._rate_of_expected(expected, sigma) + sigma * torch.randn(expected.shape, generator=rng)).clamp(
            min=0
        )

    def noise_variance(self, expected: Float[Tensor, "*shape neuron"], session: str) -> Tensor:
        """Variance of a single trial around what `forward` expects."""
        if self.noise == "poisson":
            return expected
        sigma = self.sigma[self._cells(session)]
        z = self._rate_of_expected(expected, sigma) / sigma
        density, below = _normal(z)
        return sigma**2 * ((z**2 + 1) * below + z * density) - expected**2

    def cc_max(self, expected: Float[Tensor, "time neuron"], session: str, trials: int) -> Float[Tensor, " neuron"]:
        """The correlation of the truth with an average over `trials`, exactly (Schoppe 2016)."""
        signal = expected.var(dim=0)
        noise = self.noise_variance(expected, session).mean(dim=0)
        return (signal / (signal + noise / trials)).sqrt()

    def receptive_field(self, session: str | None = None) -> Float[Tensor, "neuron channel lag height width"]:
        """The linear part: all units pooled without rectification; the last bin is the present.

        Cells that respond to both polarities have the field of their ON part.
        """
        cells = self._cells(session)
        units = torch.isin(self.cell, cells)
        pooled = torch.zeros(len(self._table), *self.space.shape[1:])
        pooled.index_add_(0, self.cell[units], self.space[units] * self.pooling[units, None, None, None])
        return torch.einsum("nchw,nt->ncthw", pooled[cells], self.time[cells])

    def subunits(self, session: str | None = None) -> pd.DataFrame:
        """The rectified subunits of the cells that have some, a row for each.

        Columns: ``neuron`` (number in the session), ``y``, ``x`` (pixels), ``spread``, the standard deviation of its
        centre (pixels), and ``weight``; a neuron's weights add up to 1.
        """
        rows = []
        for neuron, cell in enumerate(self.neurons(session).itertuples()):
            kind = CELL_TYPES[str(cell.type)]
            if kind.subunit_um is not None:
                places, weights = _subunits(kind, self.pixel_um)
                for (dy, dx), weight in zip(places, weights, strict=True):
                    rows.append((neuron, cell.y + dy, cell.x + dx, kind.subunit_um / self.pixel_um, weight))
        return pd.DataFrame(rows, columns=["neuron", "y", "x", "spread", "weight"])

    def subunit_traces(
        self, stimulus: Float[Tensor, "batch channel time height width"], session: str | None = None
    ) -> Float[Tensor, "batch subunit time_out"]:
        """What the rectified subunits give to their cells, in the order of the rows of `subunits`.

        ``time_out`` is less than ``time`` by the bins of history that subunits have, fewer than cells have.
        """
        output, _, units = self._outputs(stimulus, self._cells(session))
        return output[:, self.rectified[self.cell[units]] > 0]

    @torch.no_grad()
    def calibrate(
        self,
        stimulus: Float[Tensor, "1 channel time height width"],
        explainable: Float[Tensor, " neuron"],
    ) -> None:
        """Set each cell's gains so that drives are standardised and `explainable` is the part of the variance of a
        single trial that the stimulus explains, on this stimulus."""
        cells = self._cells(None)
        for part in cells.split(32):
            self.unit_scale[part] = (
                1 / self._units(stimulus, part)[0].std(dim=(0, 2)).clamp(min=1e-6)[self._first(part)]
            )
        for part in cells.split(32):
            drive = self._drive(stimulus, part)
            self.mean[part], self.scale[part] = drive.mean(dim=(0, 2)), drive.std(dim=(0, 2))
            rate = self._rate(drive, part)
            mean, variance = rate.mean(dim=(0, 2)), rate.var(dim=(0, 2))
            odds = explainable[part] / (1 - explainable[part])
            self.peak[part] = odds * mean / variance  # Poisson: noise variance = mean
            if self.noise == "gaussian":
                self.sigma[part] = self.peak[part] * (variance / odds).sqrt()

    def _check(self, stimulus: Tensor) -> None:
        channel, height, width = self.stimulus_shape
        if stimulus.shape[1:2] + stimulus.shape[3:] != self.space.shape[1:] or stimulus.shape[2] <= self.lag:
            raise UserError(
                f"the truth needs a stimulus (batch, {channel}, time > {self.lag}, {height}, {width}), "
                f"not {tuple(stimulus.shape)}"
            )

    def _cells(self, session: str | None) -> Tensor:
        if session is None:
            return torch.arange(len(self._table), device=self.cell.device)
        if session not in self.sessions:
            raise unknown("session", session, self.sessions)
        return torch.from_numpy(np.flatnonzero(self._table["session"] == session)).to(self.cell.device)

    def _first(self, part: Tensor) -> Tensor:
        """Place of each cell's first unit among the units of `part`."""
        return torch.searchsorted(self.cell[torch.isin(self.cell, part)], part)

    def _units(self, stimulus: Tensor, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Excitation and inhibition of every unit of some cells (batch, unit, time), and the units' cells."""
        units = torch.isin(self.cell, part).nonzero()[:, 0]
        cell = self.cell[units]
        kernel = (self.time * self.unit_scale[:, None])[cell, None]

        def trace(space: Tensor) -> Tensor:
            seen = torch.einsum("kchw,bcthw->bkt", space, stimulus)
            return F.conv1d(seen, kernel, groups=len(cell))

        excitation = trace(self.space[units])
        selective = bool(self.inhibition[part].any())
        return excitation, trace(self.inhibitory_space[units]) if selective else torch.zeros_like(excitation), units

    def _outputs(self, stimulus: Tensor, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What every unit of some cells gives to its cell, and its excitation (batch, unit, time); and the units."""
        excitation, inhibition, units = self._units(stimulus, part)
        cell = self.cell[units]
        excitation, inhibition = excitation[..., DELAY_BINS:], inhibition[..., :-DELAY_BINS]
        strength = self.inhibition[cell, None]
        on = F.relu(excitation - strength * F.relu(inhibition))
        off = F.relu(-excitation - strength * F.relu(-inhibition))
        rectified = self.rectified[cell, None]
        return rectified * (on + self.on_off[cell, None] * off) + (1 - rectified) * excitation, excitation, units

    def _drive(self, stimulus: Tensor, part: Tensor) -> Tensor:
        """The pooled drive of some cells after gain control (batch, cell, time)."""
        output, excitation, units = self._outputs(stimulus, part)
        cell, weight = self.cell[units], self.pooling[units, None]

        def pool(trace: Tensor) -> Tensor:
            total = trace.new_zeros(trace.shape[0], len(part), trace.shape[2])
            return total.index_add_(1, torch.searchsorted(part, cell), weight * trace)

        recent = torch.exp(torch.linspace(-3, 0, GAIN_BINS, device=excitation.device))
        contrast = pool(excitation).abs()
        contrast = F.conv1d(contrast.flatten(0, 1)[:, None], (recent / recent.sum())[None, None]).view_as(
            contrast[..., GAIN_BINS - 1 :]
        )
        return pool(output)[..., GAIN_BINS - 1 :] / (1 + self.gain_control[part, None] * contrast)

    def _rate(self, drive: Tensor, part: Tensor) -> Tensor:
        def each(name: str) -> Tensor:
            return getattr(self, name)[part, None]

        standard = (drive - each("mean")) / each("scale")
        return each("peak") * F.softplus(SHARPNESS * (each("sign") * standard - each("threshold"))) / SHARPNESS

    def _expected(self, rate: Tensor, cells: Tensor) -> Tensor:
        """(batch, cell, time): the mean response at a rate, which rectified Gaussian noise raises."""
        if self.noise == "poisson":
            return rate
        sigma = self.sigma[cells, None]
        density, below = _normal(rate / sigma)
        return rate * below + sigma * density

    def _rate_of_expected(self, expected: Tensor, sigma: Tensor) -> Tensor:
        """Inverse of `_expected`, by bisection: the mean of a rectified Gaussian grows with its rate."""
        low, high = torch.zeros_like(expected), expected.clone()
        for _ in range(30):
            middle = (low + high) / 2
            density, below = _normal(middle / sigma)
            above = middle * below + sigma * density > expected
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        return (low + high) / 2


def _units(kind: CellType, y: float, x: float, size: tuple[int, int], pixel_um: float) -> tuple[Tensor, Tensor, Tensor]:
    """Spatial filters of a cell's units and of their inhibition (unit, channel, height, width), and pooling weights."""
    center, spread = kind.center_um / pixel_um, (kind.subunit_um or kind.center_um) / pixel_um
    places, weights = _subunits(kind, pixel_um)
    # Inhibition comes from the side towards which the preferred motion goes, so that null motion meets it first.
    angle = np.deg2rad(kind.direction or 0.0)
    aside = (-2 * spread * np.sin(angle), 2 * spread * np.cos(angle))

    def filters(shift: tuple[float, float]) -> Tensor:
        colour = torch.tensor(kind.colour)[:, None, None]
        around = torch.tensor(kind.surround_colour or kind.colour)[:, None, None]
        made = []
        for dy, dx in places:
            place = (y + dy + shift[0], x + dx + shift[1])
            # Subunits have surrounds of their own, as bipolar cells do: a fine pattern drives some and silences others.
            middle, extent = (place, 2 * spread) if kind.subunit_um else ((y, x), 3 * center)
            surround = kind.surround * around * _gaussian(size, middle, extent)
            made.append(kind.polarity * (colour * _gaussian(size, place, spread) - surround))
        return torch.stack(made).float()

    return filters((0, 0)), filters(aside), torch.from_numpy(weights).float()


def _subunits(kind: CellType, pixel_um: float) -> tuple[list[tuple[float, float]], np.ndarray]:
    """Places (y, x) of a cell's subunits relative to the cell (pixels), and their pooling weights, of sum 1."""
    center, spread = kind.center_um / pixel_um, (kind.subunit_um or 0) / pixel_um
    if not spread:
        return [(0.0, 0.0)], np.ones(1)
    step = 2 * spread
    grid = [
        (step * row * 3**0.5 / 2, step * (column + row % 2 / 2)) for row in range(-9, 10) for column in range(-9, 10)
    ]
    places = [place for place in grid if np.hypot(*place) <= 2 * center]
    weights = np.exp([-(dy**2 + dx**2) / (2 * center**2) for dy, dx in places])
    return places, weights / weights.sum()


def _gaussian(size: tuple[int, int], place: tuple[float, float], sigma: float) -> Tensor:
    """(height, width), of sum 1 on an endless screen."""
    dy = torch.arange(size[0])[:, None] - place[0]
    dx = torch.arange(size[1])[None] - place[1]
    return torch.exp(-(dy**2 + dx**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)


def _temporal_filter(kind: CellType, rate: float) -> Tensor:
    """(bin,) biphasic filter that peaks at the latency; the last bin is the present."""

    def course(age: Tensor) -> Tensor:
        main, second = ((age / peak) ** 5 * torch.exp(5 * (1 - age / peak)) for peak in (1, 2))
        return main - 0.6 * kind.transience * second

    # The second lobe moves the peak of their sum forward.
    fine = torch.linspace(0, 2, 2001)
    peak = fine[course(fine).argmax()]
    return course(torch.arange(FILTER_BINS - 1, -1, -1) / rate / kind.latency * peak)


def _normal(z: Tensor) -> tuple[Tensor, Tensor]:
    """Density and distribution function of the standard normal."""
    return torch.exp(-(z**2) / 2) / (2 * np.pi) ** 0.5, torch.special.ndtr(z)
