"""Most exciting inputs: the movie to which a neuron responds most, by gradient ascent (Walker et al. 2019; Bashivan
et al. 2019; for the retina Höfling et al. 2024)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from retina_nb.analyses.receptive_fields.centers import find_centers
from retina_nb.analyses.stimulus_optimization import Ascent, Constraint, ascend, climb, own_rates, projection
from retina_nb.analyses.stimulus_optimization.ascent import rows_at_once
from retina_nb.analyses.subjects import Subject, frozen, subject
from retina_nb.errors import UserError, unknown
from retina_nb.models.core_readout import CoreReadout
from retina_nb.representations import one_line

# How far stimuli of different seeds are moved to see whether they are the same: bins, pixels down, pixels right.
_SHIFTS = (5, 3, 3)


@one_line
@dataclass(frozen=True)
class MostExciting:
    """Stimuli that excite most, or least.

    Args:
        stimuli: the best that was met of each row, in units of contrast; frames that cannot matter are grey.
        scores: mean response in the counted bins (events per bin; of a feature, its own units).
        history: the same after each step, from the random start on; NaN after a row has converged.
        converged: whether the last steps gained next to nothing.
        responses: the response in every bin; the counted ones are `counted`.
        counted: first and last (exclusive) bin of `responses` whose mean is the score.
        table: for each row what is excited (``session`` and ``neuron``, or ``layer`` and ``feature``), its
            ``constraint`` and the ``seed`` of its start.
        suppress: whether they excite least.
        channels: names of the stimulus channels.
        rate: bins per second (Hz).
        pixel_um: side of a pixel on the retina (µm); None if unknown.
    """

    stimuli: Float[np.ndarray, "row channel time height width"]
    scores: Float[np.ndarray, " row"]
    history: Float[np.ndarray, "row step"]
    converged: Bool[np.ndarray, " row"]
    responses: Float[np.ndarray, "row time_out"]
    counted: tuple[int, int]
    table: pd.DataFrame
    suppress: bool
    channels: list[str]
    rate: float
    pixel_um: float | None

    @property
    def steps(self) -> Int[np.ndarray, " row"]:
        """Steps that each row took."""
        return (~np.isnan(self.history)).sum(axis=1) - 1

    def to_dataframe(self) -> pd.DataFrame:
        """`table` with each row's ``score``, ``start`` (the score it started from), ``steps``, ``converged`` and
        ``norm``."""
        norm = np.sqrt(np.square(self.stimuli, dtype=np.float64).sum(axis=(1, 2, 3, 4)))
        return self.table.assign(
            score=self.scores, start=self.history[:, 0], steps=self.steps, converged=self.converged, norm=norm
        )

    def best(self) -> "MostExciting":
        """The best seed of each neuron and constraint alone."""
        goal = -self.scores if self.suppress else self.scores
        rows = np.array([rows[goal[rows].argmax()] for rows in self._groups().values()])
        by_row = {
            name: getattr(self, name)[rows] for name in ("stimuli", "scores", "history", "converged", "responses")
        }
        return replace(self, **by_row, table=self.table.iloc[rows].reset_index(drop=True))

    def diversity(self) -> pd.DataFrame:
        """How much the stimuli of different seeds have in common, a row for each neuron and constraint.

        Columns: ``correlation``, mean over pairs of seeds; ``aligned``, the same with each pair moved by up to 5 bins
        and 3 pixels to fit best; ``score_spread``, the standard deviation of the scores over their mean.

        Raises:
            UserError: if there is only one seed.
        """
        made = []
        for key, rows in self._groups().items():
            if len(rows) < 2:
                raise UserError("seeds can be compared if there are two or more: give seeds=2")
            both = np.array([_correlations(*self.stimuli[list(pair)]) for pair in combinations(rows, 2)])
            spread = self.scores[rows].std() / max(float(np.abs(self.scores[rows].mean())), 1e-12)
            made.append((*key, *both.mean(axis=0), spread))
        names = [name for name in self.table.columns if name != "seed"]
        return pd.DataFrame(made, columns=[*names, "correlation", "aligned", "score_spread"])

    def _groups(self) -> dict[tuple, np.ndarray]:
        keys = [name for name in self.table.columns if name != "seed"]
        return {key: np.asarray(rows) for key, rows in self.table.groupby(keys, sort=False).indices.items()}


def most_exciting_inputs(
    model: Any,
    *,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    constraints: Constraint | Mapping[str, Constraint] | None = None,
    seeds: int = 1,
    suppress: bool = False,
    bins: int | None = None,
    first: int = 0,
    length: int = 10,
    start: Float[np.ndarray, "seed channel time height width"] | None = None,
    steps: int = 100,
    optimizer: str = "adaptive",
    step_size: float | None = None,
    tolerance: float = 1e-3,
    patience: int = 10,
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> MostExciting:
    """The movies to which neurons respond most: all neurons, constraints and seeds side by side.

    Every neuron starts from the same `seeds` movies of white noise. For rules of ascent see `ascend`.

    Args:
        model: a twin, ensemble, baseline or truth.
        session: whose neurons; all sessions' in sorted order if None.
        neurons: their numbers; all if None.
        constraints: what stimuli are held to, one or several by name; a norm of 30 if None.
        seeds: starts for each neuron and constraint.
        suppress: whether to look for the least response instead.
        bins: length of the stimuli; as long as needed for the counted bins if None.
        first: first bin of the model's output that counts; the first output comes `lag` bins after the stimulus' start.
        length: how many bins count.
        start: movies to start from instead of noise.
        steps, optimizer, step_size, tolerance, patience, batch_size: see `ascend`.
        device: where to move the model; it stays where it is if None.
        seed: of the first start; the others follow.

    Raises:
        UserError: if there is no such session or neuron, the bins that count are not there, a constraint or a start
            does not fit, or there is nothing to optimise.
    """
    with frozen(model):
        task = _neurons_task(
            subject(model, session=session, neurons=neurons, device=device),
            constraints=constraints,
            seeds=range(seed, seed + seeds),
            suppress=suppress,
            bins=bins,
            counted=(first, first + length),
            start=start,
        )
        return task.run(
            steps=steps,
            optimizer=optimizer,
            step_size=step_size,
            tolerance=tolerance,
            patience=patience,
            batch_size=batch_size,
        )


def steps_to_most_exciting(
    model: Any,
    *,
    session: str | None = None,
    neurons: int | Iterable[int] | None = None,
    constraints: Constraint | Mapping[str, Constraint] | None = None,
    suppress: bool = False,
    start: Float[np.ndarray, "seed channel time height width"] | None = None,
    first: int = 0,
    length: int = 10,
    device: str | torch.device | None = None,
    seed: int = 0,
    **options: Any,
) -> Iterator[MostExciting]:
    """The ascent of `most_exciting_inputs`, a step at a time: to watch it, to stop it, to take it elsewhere.

    What comes first is the start, held to its constraints. The model may be used between two steps, not changed.

    Args:
        model, session, neurons, constraints, suppress, start, first, length, device, seed: as for
            `most_exciting_inputs`; all rows climb at once.
        options: of `climb`: steps, optimizer, step_size, tolerance, patience.

    Raises:
        UserError: as `most_exciting_inputs`, at once or at the first step.
    """
    with frozen(model):
        task = _neurons_task(
            subject(model, session=session, neurons=neurons, device=device),
            constraints=constraints,
            seeds=range(seed, seed + 1),
            suppress=suppress,
            bins=None,
            counted=(first, first + length),
            start=start,
        )
    return _step_by_step(model, task, options)


def _step_by_step(model: Any, task: "_Task", options: dict[str, Any]) -> Iterator[MostExciting]:
    ascent = climb(**task.goal, **options)
    while True:
        with frozen(model):  # only while the ascent runs
            made = next(ascent, None)
        if made is None:
            return
        yield task.finish(made)


def most_exciting_features(
    twin: CoreReadout,
    *,
    layer: str = "core",
    features: int | Iterable[int] | None = None,
    constraints: Constraint | Mapping[str, Constraint] | None = None,
    seeds: int = 1,
    suppress: bool = False,
    bins: int | None = None,
    first: int = 0,
    length: int = 10,
    start: Float[np.ndarray, "seed channel time height width"] | None = None,
    device: str | torch.device | None = None,
    seed: int = 0,
    **options: Any,
) -> MostExciting:
    """The movies to which hidden units respond most: features of a layer of the core, at the middle of its map.

    Args:
        twin: the twin.
        layer: name of a layer whose output is (batch, feature, time, height, width), e.g. ``"core.layers.0"``.
        features: their numbers; all if None.
        constraints, seeds, suppress, bins, length, start, device, seed: as for `most_exciting_inputs`.
        first: first bin of the layer's output that counts.
        options: of `ascend`.

    Raises:
        UserError: if there is no such layer or feature, or see `most_exciting_inputs`; a radius needs a neuron.
    """
    chosen = subject(twin, device=device)
    named = _named(constraints)
    if any(one.radius_um is not None for one in named.values()):
        raise UserError("a radius is around where a neuron looks: hidden units are held to none, leave radius_um out")
    with frozen(twin):
        activity, units, lag = _hidden(twin, layer, chosen)
        wanted = np.arange(units) if features is None else np.atleast_1d(np.asarray(features, dtype=int))
        wrong = wanted[(wanted < 0) | (wanted >= units)]
        if len(wrong):
            raise UserError(f"there is no feature {wrong[0]}: layer {layer} has features 0 to {units - 1}")
        index = torch.as_tensor(wanted, device=chosen.device)
        return _task(
            chosen,
            lambda stimulus, row: activity(stimulus, index[row]),
            pd.DataFrame({"layer": layer, "feature": wanted}),
            lag=lag,
            constraints=named,
            centers=None,
            seeds=range(seed, seed + seeds),
            suppress=suppress,
            bins=bins,
            counted=(first, first + length),
            start=start,
        ).run(**options)


def space_time_parts(
    stimulus: Float[np.ndarray, "channel time height width"],
) -> tuple[Float[np.ndarray, "channel time"], Float[np.ndarray, "channel height width"], Float[np.ndarray, " channel"]]:
    """The product of a course in time and a map that is closest to each channel of a stimulus.

    Returns:
        The courses in units of contrast, the maps, whose largest number is 1, and the part of each channel's
        power that they explain.
    """
    matrices = stimulus.reshape(*stimulus.shape[:2], -1)
    left, values, right = np.linalg.svd(matrices, full_matrices=False)
    maps = right[:, 0]
    top = np.take_along_axis(maps, np.abs(maps).argmax(axis=1)[:, None], axis=1)
    top = np.where(top == 0, 1, top)
    courses = left[:, :, 0] * values[:, :1] * top
    part = values[:, 0] ** 2 / np.maximum((values**2).sum(axis=1), 1e-12)
    return courses, (maps / top).reshape(len(maps), *stimulus.shape[2:]), part


def motion_direction(stimulus: Float[np.ndarray, "channel time height width"]) -> float:
    """Which way a movie moves (degrees; 0 is right, 90 is up): power-weighted mean over its Fourier components."""
    return motion(stimulus)[0]


def motion(stimulus: Float[np.ndarray, "channel time height width"]) -> tuple[float, float]:
    """Which way a movie moves (see `motion_direction`), and how much of it does.

    Returns:
        The direction (degrees), and the length of the mean of all components' directions, weighted by their power: 1 if
        all move the same way, 0 if there is none that prevails.
    """
    power = (np.abs(np.fft.fftn(stimulus, axes=(1, 2, 3))) ** 2).sum(axis=0)
    frequency, down, right = np.meshgrid(*[np.fft.fftfreq(size) for size in power.shape], indexing="ij")
    # A component moves along its wave vector if its frequencies in time and space differ in sign.
    way = -np.sign(frequency) * power / np.hypot(down, right).clip(min=1e-9)
    up, right = float(-(way * down).sum()), float((way * right).sum())
    strength = float(np.hypot(up, right)) / max(float(power.sum()), 1e-12)
    return float(np.rad2deg(np.arctan2(up, right)) % 360), strength


def _named(constraints: Constraint | Mapping[str, Constraint] | None) -> dict[str, Constraint]:
    if constraints is None or isinstance(constraints, Constraint):
        return {"": constraints or Constraint()}
    if not constraints:
        raise UserError("there are no constraints: give one or more, or none for a norm of 30")
    return dict(constraints)


@dataclass(frozen=True)
class _Task:
    """What is to be maximised, as `ascend` wants it, and what is made of the result."""

    goal: dict[str, Any]
    finish: Callable[..., MostExciting]

    def run(self, **options: Any) -> MostExciting:
        return self.finish(ascend(**self.goal, **options), options.get("batch_size"))


def _neurons_task(
    chosen: Subject, *, constraints: Constraint | Mapping[str, Constraint] | None, seeds: range, **options: Any
) -> _Task:
    named = _named(constraints)
    radius = any(one.radius_um is not None for one in named.values())
    centers = find_centers(chosen, seed=seeds.start) if radius else None
    options |= {"lag": chosen.lag, "constraints": named, "centers": centers, "seeds": seeds}
    return _task(chosen, own_rates(chosen), chosen.table(), **options)


def _task(
    chosen: Subject,
    rates: Callable[[Tensor, Tensor], Tensor],
    units: pd.DataFrame,
    *,
    lag: int,
    constraints: dict[str, Constraint],
    centers: np.ndarray | None,
    seeds: range,
    suppress: bool,
    bins: int | None,
    counted: tuple[int, int],
    start: np.ndarray | None,
) -> _Task:
    """The ascent for every unit, constraint and seed; `rates` gives each row's response, given each row's unit."""
    begin, end = counted
    bins = (lag + end if start is None else start.shape[2]) if bins is None else bins
    if not 0 <= begin < end <= bins - lag:
        raise UserError(
            f"bins {begin} to {end} of the output do not exist: {bins} bins of stimulus have {max(0, bins - lag)} "
            f"bins of output, since the first {lag} are history"
        )
    noise = _starts(chosen, bins, seeds) if start is None else _checked(start, chosen, bins)
    sign = -1 if suppress else 1
    grid = np.indices((len(units), len(constraints), len(noise))).reshape(3, -1)
    unit, constraint, number = (torch.as_tensor(one, device=chosen.device) for one in grid)
    frames = _frames_that_matter(rates, noise, lag, counted)
    hold = projection(list(constraints.values()), chosen, frames.stop - frames.start, centers)
    names = [*constraints]
    table = units.iloc[grid[0]].assign(constraint=[names[one] for one in grid[1]], seed=np.asarray(seeds)[grid[2]])

    def score(stimulus: Tensor, row: Tensor) -> Tensor:
        outputs = rates(stimulus, unit[row])[:, begin - frames.start : end - frames.start]
        return sign * outputs.mean(dim=1)

    def finish(made: Ascent, batch_size: int | None = None) -> MostExciting:
        stimuli = torch.zeros(len(unit), *noise.shape[1:])
        stimuli[:, :, frames] = made.stimuli.cpu()
        return MostExciting(
            stimuli=stimuli.numpy(),
            scores=sign * made.scores.cpu().numpy(),
            history=sign * made.history.cpu().numpy(),
            converged=made.converged.cpu().numpy(),
            responses=_responses(rates, stimuli, unit, batch_size or rows_at_once(chosen.device)),
            counted=counted,
            table=table.reset_index(drop=True),
            suppress=suppress,
            channels=chosen.channels,
            rate=chosen.rate,
            pixel_um=chosen.pixel_um,
        )

    goal = {
        "objective": score,
        "start": lambda row: noise[number[row], :, frames],
        "project": lambda x, row: hold(x, constraint[row], unit[row]),
        "rows": len(unit),
        "device": chosen.device,
    }
    return _Task(goal, finish)


def _starts(chosen: Subject, bins: int, seeds: range) -> Float[Tensor, "seed channel time height width"]:
    channel, height, width = chosen.stimulus_shape
    if not len(seeds):
        raise UserError("there is no start: seeds must be 1 or more")
    shape = (channel, bins, height, width)
    made = [torch.randn(shape, generator=torch.Generator().manual_seed(one)) for one in seeds]
    return torch.stack(made).to(chosen.device)


def _checked(start: np.ndarray, chosen: Subject, bins: int) -> Tensor:
    chosen.check(start.shape)
    if start.shape[2] != bins:
        raise UserError(f"the start has {start.shape[2]} bins, {bins} were asked for: leave bins out")
    return torch.as_tensor(start, dtype=torch.float32, device=chosen.device)


@torch.no_grad()
def _frames_that_matter(
    rates: Callable[[Tensor, Tensor], Tensor], noise: Tensor, lag: int, counted: tuple[int, int]
) -> slice:
    """The frames before and in the counted bins, if a probe shows that no other matters; else all."""
    window = slice(counted[0], counted[1] + lag)
    unit = torch.zeros(1, dtype=torch.long, device=noise.device)
    whole = rates(noise[:1], unit)[:, slice(*counted)]
    part = rates(noise[:1, :, window], unit)
    same = part.shape == whole.shape and torch.allclose(part, whole, rtol=1e-4, atol=1e-5)
    return window if same else slice(0, noise.shape[2])


@torch.no_grad()
def _responses(rates: Callable[[Tensor, Tensor], Tensor], stimuli: Tensor, unit: Tensor, batch_size: int) -> np.ndarray:
    parts = [
        rates(stimuli[part].to(unit.device), unit[part]).cpu() for part in torch.arange(len(unit)).split(batch_size)
    ]
    return torch.cat(parts).numpy()


def _hidden(twin: CoreReadout, layer: str, chosen: Subject) -> tuple[Callable[[Tensor, Tensor], Tensor], int, int]:
    """A layer's activity at the middle of its map, for stimuli and each one's feature; how many features; its lag."""
    layers = dict(twin.named_modules())
    if layer not in layers:
        raise unknown("layer", layer, [name for name in layers if name.startswith("core")])
    seen: list[Any] = []
    bins = chosen.lag + 1  # the core takes no less, whatever the layer needs

    def activity(stimulus: Tensor) -> Tensor:
        seen.clear()
        hook = layers[layer].register_forward_hook(lambda _, inputs, output: seen.append(output))
        try:
            twin.features(F.pad(stimulus, (0, 0, 0, 0, max(0, bins - stimulus.shape[2]), 0)), chosen.session)
        finally:
            hook.remove()
        if not seen or not isinstance(seen[0], Tensor) or seen[0].ndim != 5:
            raise UserError(f"layer {layer} makes no features (batch, feature, time, height, width): choose another")
        return seen[0][..., seen[0].shape[3] // 2, seen[0].shape[4] // 2]  # (row, feature, time)

    channel, height, width = chosen.stimulus_shape
    with torch.no_grad():
        probe = activity(torch.zeros(1, channel, bins, height, width, device=chosen.device))
    lag = bins - probe.shape[2]

    def of_row(stimulus: Tensor, feature: Tensor) -> Tensor:
        everything = activity(stimulus)[:, :, lag - stimulus.shape[2] :]
        return everything[torch.arange(len(feature), device=feature.device), feature]

    return of_row, probe.shape[1], lag


def _correlations(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Correlation of two stimuli around grey as they are, and moved to fit best."""
    size = tuple(side + shift for side, shift in zip(a.shape[1:], _SHIFTS, strict=True))
    spectra = [np.fft.rfftn(one, size, axes=(1, 2, 3)) for one in (a, b)]
    products = np.fft.irfftn((spectra[0] * spectra[1].conj()).sum(axis=0), size, axes=(0, 1, 2))
    near = [np.r_[: shift + 1, -shift:0] for shift in _SHIFTS]
    products = products[np.ix_(*near)] / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)
    return float(products[0, 0, 0]), float(products.max())
