"""Most discriminative stimuli: cells are grouped by movies that excite one group and no other (Burg et al. 2024)."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.ndimage import gaussian_filter
from torch import Tensor

from retina_nb.analyses.stimulus_optimization import Constraint, ascend, centred, projection
from retina_nb.analyses.subjects import Subject, frozen, subject
from retina_nb.errors import UserError
from retina_nb.representations import one_line

# Battery: grains of the noise in space (standard deviation in pixels; the last is the whole screen) and time (bins).
_GRAINS, _PACES, _BATTERY_BINS = (0.5, 1.0, 2.0, 50.0), (0.5, 1.5), 300
_SMALL = 1e-9


@one_line
@dataclass(frozen=True)
class MostDiscriminative:
    """Groups of cells, and the stimulus of each.

    Args:
        stimuli: each group's stimulus, in units of contrast, for a cell that looks at the middle of the screen.
        scores: their contrastive objective; at most the logarithm of the number of groups.
        responses: mean response of each neuron in the counted bins, relative to its largest to the battery.
        cluster: each neuron's group.
        rounds: a row for each round: ``clusters``, ``score`` (mean objective), ``moved`` (neurons that changed group)
            and ``merged`` (pairs of groups that became one).
        table: ``session`` and ``neuron``.
        channels: names of the stimulus channels.
        rate: bins per second (Hz).
        length: how many bins counted, the last of the stimulus.
    """

    stimuli: Float[np.ndarray, "cluster channel time height width"]
    scores: Float[np.ndarray, " cluster"]
    responses: Float[np.ndarray, "cluster neuron"]
    cluster: Int[np.ndarray, " neuron"]
    rounds: pd.DataFrame
    table: pd.DataFrame
    channels: list[str]
    rate: float
    length: int

    @property
    def confusion(self) -> Float[np.ndarray, "cluster cluster_of_cells"]:
        """Mean response of each group's cells to each group's stimulus."""
        return self.responses @ _shares(self.cluster, len(self.stimuli))

    def to_dataframe(self) -> pd.DataFrame:
        """`table` with each neuron's ``cluster``, its ``likeness`` to it (cosine between its responses to all stimuli
        and the group's mean) and ``next_likeness``, that to the next group."""
        likeness = _likeness(self.responses, self.confusion)
        own = likeness[self.cluster, np.arange(len(self.cluster))]
        likeness[self.cluster, np.arange(len(self.cluster))] = -np.inf
        return self.table.assign(cluster=self.cluster, likeness=own, next_likeness=likeness.max(axis=0))


def most_discriminative_stimuli(
    model: Any,
    *,
    session: str | None = None,
    neurons: Iterable[int] | None = None,
    clusters: int | None = None,
    start: Iterable[Any] | None = None,
    most: int = 20,
    margin: float = 1.5,
    constraint: Constraint | None = None,
    temperature: float = 0.2,
    length: int = 10,
    rounds: int = 15,
    steps: int = 40,
    batch_size: int = 100,
    device: str | torch.device | None = None,
    seed: int = 0,
) -> MostDiscriminative:
    """Group cells, and find for each group the movie that excites it and no other: both in turn, until nothing moves.

    Cells look at different places. What they compute is compared on the same stimulus with all of them moved to the
    middle of the screen (see `centred`).

    Groups start from the responses to a battery of noise of different grain and pace, by Ward's method. Then, in turn,

    - each group's stimulus maximises ``r_k / temperature - log mean_j exp(r_j / temperature)`` over the mean responses
      r of all groups (Burg et al. 2024, ICLR: maximally discriminative stimuli);
    - each cell goes to the group whose mean responses to all stimuli its own are most like (by their cosine), so
      that cells of different excitability can be of one group;
    - if the number of groups is not given, two groups become one when each one's stimulus excites its own cells less
      than `margin` times as much as the other's, in the geometric mean of both, to which the cells' gains do not
      matter. Stimuli are then made for half of each group's cells, and judged on the other half.

    Args:
        model: a twin, an ensemble or a truth.
        session: whose neurons; all sessions' if None.
        neurons: their numbers; all if None.
        clusters: number of groups, fewer if one loses all its cells to others; found by joining if None.
        start: a group for each neuron to start from, instead of those by the battery.
        most: how many groups to start from if the number is not given.
        margin: see above.
        constraint: what stimuli are held to; a norm of 30 or less if None.
        temperature: how large a difference of responses is; responses are relative to each cell's largest mean
            response to the battery in as many bins as count.
        length: how many bins count, the last of the stimuli.
        rounds: at most so many.
        steps: of ascent for each stimulus and round.
        batch_size: at most so many stimuli are shown at once.
        device: where to move the model.
        seed: fixes the battery and starts.

    Raises:
        UserError: if there are fewer cells than groups, or less than two of either, a cell does not respond, the cells
            cannot be moved, a constraint has a radius (for cells have no place here), or a number makes no sense.
    """
    cells = subject(centred(model), session=session, neurons=neurons, device=device)
    constraint = Constraint(exact=False) if constraint is None else constraint
    if constraint.radius_um is not None:
        raise UserError("all cells look at the middle here: leave radius_um out of the constraint")
    if temperature <= 0 or margin <= 1 or rounds < 1:
        raise UserError("temperature must be above 0, margin above 1 and rounds 1 or more")
    rng = np.random.default_rng(seed)
    courses = cells.rates(_battery(cells, rng), batch_size=batch_size)
    top = _largest(cells, courses, length)
    cluster = _ward(courses, clusters, most) if start is None else _given(cells, start, clusters)
    number = int(cluster.max()) + 1
    stimuli = rng.standard_normal((1, *_shape(cells, length))).astype(np.float32).repeat(number, axis=0)
    half = rng.permutation(len(cluster)) % 2 == 0
    climb = partial(
        _stimuli, cells, top, constraint=constraint, temperature=temperature, steps=steps, batch_size=batch_size
    )
    log = []
    for _ in range(rounds):
        makes, judges = _halves(cluster, half) if clusters is None else (cluster >= 0, cluster >= 0)
        stimuli, scores = climb(stimuli, _shares(cluster, len(stimuli), makes))
        responses = _responses(cells, stimuli, top, length, batch_size)
        joined = _joined(responses @ _shares(cluster, len(stimuli), judges), margin) if clusters is None else {}
        kept, before = np.unique([joined.get(one, one) for one in cluster.tolist()], return_inverse=True)
        stimuli, responses = stimuli[kept], responses[kept]
        nearest = _likeness(responses, responses @ _shares(before, len(kept))).argmax(axis=0)
        moved = int((nearest != before).sum())
        log.append((len(scores), float(scores.mean()), moved, len(joined)))
        filled, cluster = np.unique(nearest, return_inverse=True)
        stimuli = stimuli[filled]
        if len(stimuli) < 2:
            raise UserError("all cells became one group: lower margin, or give the number of clusters")
        if not joined and not moved:
            break
    stimuli, scores = climb(stimuli, _shares(cluster, len(stimuli)))
    return MostDiscriminative(
        stimuli=stimuli,
        scores=scores,
        responses=_responses(cells, stimuli, top, length, batch_size),
        cluster=cluster,
        rounds=pd.DataFrame(log, columns=["clusters", "score", "moved", "merged"]),
        table=cells.table(),
        channels=cells.channels,
        rate=cells.rate,
        length=length,
    )


def _shape(cells: Subject, length: int) -> tuple[int, int, int, int]:
    channel, height, width = cells.stimulus_shape
    return channel, cells.lag + length, height, width


def _battery(cells: Subject, rng: np.random.Generator) -> Float[np.ndarray, "movie channel time height width"]:
    """Movies of noise of standard deviation 1, of every grain and pace."""
    made = [
        gaussian_filter(rng.standard_normal(_shape(cells, _BATTERY_BINS)), (0, pace, grain, grain), mode="wrap")
        for grain in _GRAINS
        for pace in _PACES
    ]
    return np.stack([one / one.std() for one in made]).astype(np.float32)


def _largest(
    cells: Subject, courses: Float[np.ndarray, "movie time neuron"], length: int
) -> Float[np.ndarray, " neuron"]:
    """Each neuron's largest mean response in as many bins as count."""
    if not 1 <= length <= courses.shape[1]:
        raise UserError(f"length must be from 1 to {courses.shape[1]} bins, not {length}")
    top = np.lib.stride_tricks.sliding_window_view(courses, length, axis=1).mean(axis=-1).max(axis=(0, 1))
    if not (top > 0).all():
        raise UserError(f"neuron {cells.neurons[int(top.argmin())]} does not respond to anything: leave it out")
    return top


def _ward(
    courses: Float[np.ndarray, "movie time neuron"], clusters: int | None, most: int
) -> Int[np.ndarray, " neuron"]:
    """Groups by the responses to the battery: as many as given, or at most as many as there are pairs of cells."""
    count = courses.shape[-1]
    number = min(most, count // 2) if clusters is None else clusters
    if count < 2:
        raise UserError("one cell has no other to be told from: choose two or more of neurons=")
    if not 2 <= number <= count:
        raise UserError(f"{count} cells cannot be told apart in {number} groups: give clusters from 2 to {count}")
    traces = courses.reshape(-1, count).T
    traces = traces - traces.mean(axis=1, keepdims=True)
    traces = traces / np.maximum(traces.std(axis=1, keepdims=True), _SMALL)
    return np.unique(fcluster(linkage(traces, "ward"), number, "maxclust"), return_inverse=True)[1]


def _given(cells: Subject, start: Iterable[Any], clusters: int | None) -> Int[np.ndarray, " neuron"]:
    names, cluster = np.unique(np.asarray(list(start)), return_inverse=True)
    if len(cluster) != len(cells.neurons):
        raise UserError(f"start needs a group for each of the {len(cells.neurons)} neurons, it has {len(cluster)}")
    if len(names) < 2 or clusters not in (None, len(names)):
        raise UserError(f"start has {len(names)} groups: give two or more, and as many as clusters says if it is given")
    return cluster


def _shares(
    cluster: Int[np.ndarray, " neuron"], number: int, use: np.ndarray | None = None
) -> Float[np.ndarray, "neuron cluster"]:
    """The matrix that takes neurons' responses to the means of groups, over the neurons in `use`."""
    member = (cluster[:, None] == np.arange(number)) & (True if use is None else use[:, None])
    return (member / np.maximum(member.sum(axis=0), 1)).astype(np.float32)


def _halves(cluster: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which neurons make the stimuli and which judge them; both, in groups of which one half is empty."""
    mixed = np.array([0 < half[cluster == one].mean() < 1 for one in cluster])
    return half | ~mixed, ~half | ~mixed


def _stimuli(
    cells: Subject,
    top: np.ndarray,
    start: np.ndarray,
    shares: np.ndarray,
    *,
    constraint: Constraint,
    temperature: float,
    steps: int,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The stimulus of each group, climbing from where they are, and its score."""
    hold = projection([constraint], cells, start.shape[2], None)
    to_means = torch.as_tensor(shares / top[:, None] / temperature, device=cells.device)
    begin = torch.as_tensor(start, device=cells.device)

    def score(stimulus: Tensor, row: Tensor) -> Tensor:
        means = cells.respond(stimulus).mean(dim=1) @ to_means  # (stimulus, group)
        return means[torch.arange(len(row)), row] - means.logsumexp(dim=1) + np.log(means.shape[1])

    with frozen(cells.model):
        made = ascend(
            score,
            lambda row: begin[row],
            lambda x, row: hold(x, torch.zeros_like(row), torch.zeros_like(row)),
            rows=len(start),
            steps=steps,
            batch_size=batch_size,
            device=cells.device,
        )
    return made.stimuli.cpu().numpy(), made.scores.cpu().numpy()


def _responses(cells: Subject, stimuli: np.ndarray, top: np.ndarray, length: int, batch_size: int) -> np.ndarray:
    return cells.rates(stimuli, batch_size=batch_size)[:, -length:].mean(axis=1) / top


def _likeness(
    responses: Float[np.ndarray, "stimulus neuron"], means: Float[np.ndarray, "stimulus cluster"]
) -> Float[np.ndarray, "cluster neuron"]:
    """Cosines between each group's mean responses and each neuron's."""
    units = [one / np.maximum(np.linalg.norm(one, axis=0), _SMALL) for one in (means, responses)]
    return units[0].T @ units[1]


def _joined(confusion: Float[np.ndarray, "cluster cluster"], margin: float) -> dict[int, int]:
    """Which groups go into which: the pairs that are told apart least, each group in one pair at most."""
    confusion = np.maximum(confusion, _SMALL)
    ratio = np.diag(confusion)[:, None] / confusion  # how much better a group's stimulus (row) excites its own
    told = np.sqrt(ratio * ratio.T)
    np.fill_diagonal(told, np.inf)
    joined: dict[int, int] = {}
    while told.min() < margin:
        into, gone = sorted(map(int, np.unravel_index(told.argmin(), told.shape)))
        joined[gone] = into
        told[[into, gone]] = np.inf
        told[:, [into, gone]] = np.inf
    return joined
