"""Batches in which sessions that saw the same frames share the stimulus."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.loaders.joined import JoinedFrames
from retina_nb.loaders.shared_runs import Runs, best_sizes, shared_runs
from retina_nb.recording import Recording, sessions_that_share
from retina_nb.representations import one_line
from retina_nb.tensors import as_tensor


@one_line
@dataclass(frozen=True)
class Targets:
    """What one session did during some rows of a batch."""

    rows: slice
    responses: Float[Tensor, "row time_out neuron"]
    weights: Float[Tensor, "row time_out"]  # 1 where the bin counts, else 0


@one_line
@dataclass(frozen=True)
class Batch:
    """Stimuli, and the targets of every session that saw them. ``time = lag + time_out``."""

    stimulus: Float[Tensor, "batch channel time height width"]
    targets: dict[str, Targets]
    count: float  # bins that count times their neurons, in the mean of the epoch's batches


class SharedBatches:
    """Chunks of one split of recordings; every bin that has its full history counts exactly once an epoch.

    A chunk's history is what was on screen, and bins that count are of one presentation. The core sees each stimulus
    once for all sessions that saw it, in whatever order they saw the rest: clips are shared but for their first `lag`
    bins, whose history depends on the clip before.

    Chunks are of at most two sizes, such that the core sees as few frames as it can; those of a batch have one size.

    Args:
        recordings: the sessions, by name.
        split: ``"train"`` or ``"validation"``.
        lag: bins of history that the model needs.
        chunk_size: the most bins of output in a chunk.
        batch_size: chunks in a batch; of the shorter ones as many more as need the same frames.
        seed: fixes the order of chunks, given the epoch; None for the order of time.
        device: where batches are made.
        process, processes: which of how many share each batch: every one gets its part of the rows, perhaps none of
            some sessions.

    Raises:
        UserError: if a session has no bin of this split with enough history.
    """

    def __init__(
        self,
        recordings: Mapping[str, Recording],
        *,
        split: str,
        lag: int,
        chunk_size: int,
        batch_size: int,
        seed: int | None = None,
        device: str | torch.device = "cpu",
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self._share = slice(process, None, processes)
        self.lag, self.batch_size, self.seed, self.device, self.epoch = lag, batch_size, seed, torch.device(device), 0
        self._groups = [
            _Group({name: recordings[name] for name in names}, split, lag) for names in sessions_that_share(recordings)
        ]
        self._runs, self._sizes = _chunks(self._groups, lag, chunk_size)
        # Rows of a batch are sorted such that those of a movie, and of a group where that can be, are neighbours.
        self._place = np.unique(self._runs.starts >= 0, axis=0, return_inverse=True)[1].reshape(-1)
        neurons = np.array([sum(recordings[name].n_neurons for name in group.sessions) for group in self._groups])
        self._weight = (self._runs.starts >= 0) @ neurons * self._runs.lengths
        self._responses = {
            name: as_tensor(recording.responses).to(self.device) for name, recording in recordings.items()
        }
        self._movies = {id(group.movie): _resident(group.movie.frames, self.device) for group in self._groups}

    def __len__(self) -> int:
        return sum(self._batches_of(size) for size in np.unique(self._sizes).tolist())

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the current `epoch`."""
        random = None if self.seed is None else np.random.default_rng([self.seed, self.epoch])
        batches: list[np.ndarray] = []
        for size in np.unique(self._sizes)[::-1].tolist():
            chunks = np.flatnonzero(self._sizes == size)
            batches += np.array_split(chunks if random is None else random.permutation(chunks), self._batches_of(size))
        for number in range(len(batches)) if random is None else random.permutation(len(batches)):
            chunks = batches[number]
            yield self._batch(chunks[np.argsort(self._place[chunks], kind="stable")])

    def _batches_of(self, size: int) -> int:
        """How many batches the chunks of a size fill."""
        chunks = self.batch_size * (int(self._sizes.max()) + self.lag) // (size + self.lag)
        return -(-int(np.count_nonzero(self._sizes == size)) // chunks)

    def _batch(self, chunks: np.ndarray) -> Batch:
        own, groups = chunks[self._share], np.flatnonzero((self._runs.starts[chunks] >= 0).any(axis=0))
        starts, size = self._runs.starts[own], int(self._sizes[chunks[0]])
        counts = np.arange(size) < self._runs.lengths[own, None]
        # A process that is left over has no rows, of the shape of others'.
        stimulus = self._stimulus(starts if len(own) else self._runs.starts[chunks[:1]], size)[: len(own)]
        count = self._weight.sum() / len(self)
        return Batch(stimulus, self._targets(starts, counts, groups), float(count))

    def _targets(self, starts: np.ndarray, counts: np.ndarray, groups: np.ndarray) -> dict[str, Targets]:
        targets, weights = {}, {}
        for number in groups:
            group, takes_part = self._groups[number], starts[:, number] >= 0
            places = np.flatnonzero(takes_part)
            rows = slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)
            # Sessions that take part in the same chunks have the same tensor of weights.
            if (part := takes_part.tobytes()) not in weights:
                counted = counts[rows] & takes_part[rows, None]
                weights[part] = torch.from_numpy(counted).to(self.device, torch.float32)
            bins = torch.from_numpy(group.bins(starts[rows, number], 0, counts.shape[1])).to(self.device)
            for session in group.sessions:
                targets[session] = Targets(rows, self._responses[session][bins], weights[part])
        return targets

    def _stimulus(self, starts: np.ndarray, size: int) -> Tensor:
        seen_by, stimuli = (starts >= 0).argmax(axis=1), []
        for number in seen_by[np.append(True, np.diff(seen_by) != 0)]:
            group = self._groups[number]
            frames = group.frames[group.bins(starts[seen_by == number, number], -self.lag, size)]
            stimuli.append(self._shown(group, frames))
        return torch.cat(stimuli)

    def _shown(self, group: "_Group", frames: np.ndarray) -> Tensor:
        resident = self._movies[id(group.movie)]
        if resident is None:
            seen = _placed(np.asarray(group.movie.frames[:, frames]), self.device)
        else:
            seen = resident[:, torch.from_numpy(frames).to(self.device)]
        seen = seen.movedim(0, 1).to(torch.float32)
        return seen.flip(-1) if group.mirrored else seen.contiguous()


class _Group:
    """Sessions that saw the same frames at the same times."""

    def __init__(self, recordings: Mapping[str, Recording], split: str, lag: int) -> None:
        self.sessions = list(recordings)
        first = recordings[self.sessions[0]]
        self.movie, self.frames, self.mirrored = first.movie, first.frames, first.mirrored
        self.screen = (id(first.movie), first.mirrored, first.pixel_um)
        counts = (first.split == split) & (first.history >= lag)
        if not counts.any():
            raise UserError(f"session {first.session} has no {split} bin with {lag} bins of history; label more bins")
        self.presentation = np.where(counts, first.presentation, -1)

    def bins(self, starts: np.ndarray, begin: int, end: int) -> np.ndarray:
        """(chunk, bin) the bins from `begin` to `end` of chunks; past the end of the recording its last one."""
        return (starts[:, None] + np.arange(begin, end)).clip(0, len(self.frames) - 1)


def _chunks(groups: list[_Group], lag: int, chunk_size: int) -> tuple[Runs, np.ndarray]:
    """Runs that are no longer than a chunk, with a start for each group, and the size of each one's chunk."""
    screens = defaultdict(list)
    for number, group in enumerate(groups):
        screens[group.screen].append(number)
    starts, lengths = [], []
    for numbers in screens.values():
        shown = [groups[number] for number in numbers]
        runs = shared_runs([one.frames for one in shown], [one.presentation for one in shown], lag)
        starts.append(np.full((len(runs.lengths), len(groups)), -1))
        starts[-1][:, numbers] = runs.starts
        lengths.append(runs.lengths)
    runs = Runs(np.concatenate(starts), np.concatenate(lengths))
    return runs.cut(best_sizes(runs.lengths, chunk_size, lag))


def _resident(frames: object, device: torch.device) -> Tensor | None:
    """The movie on the device, as it is stored; None if it is too large to be held and is read as needed."""
    if isinstance(frames, JoinedFrames) and device.type != "cpu":
        parts = [_resident(part, device) for part in frames.parts]
        return torch.cat(parts, dim=1) if all(part is not None for part in parts) else None  # type: ignore[arg-type]
    if isinstance(frames, np.memmap) or not isinstance(frames, np.ndarray):
        return None
    return _placed(np.ascontiguousarray(frames), device)


def _placed(frames: np.ndarray, device: torch.device) -> Tensor:
    """Frames on a device, of which some do not have double precision."""
    pixels = as_tensor(frames)
    return (pixels.float() if pixels.dtype == torch.float64 and device.type != "cpu" else pixels).to(device)
