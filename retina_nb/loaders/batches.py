"""Batches in which sessions that saw the same frames share the stimulus."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from retina_nb.errors import UserError
from retina_nb.loaders.joined import JoinedFrames
from retina_nb.recording import Recording, sessions_that_share


@dataclass(frozen=True)
class Targets:
    """What one session did during some rows of a batch."""

    rows: slice
    responses: Float[Tensor, "row time_out neuron"]
    weights: Float[Tensor, "row time_out"]  # 1 where the bin counts, else 0


@dataclass(frozen=True)
class Batch:
    """Stimuli, and the targets of every session that saw them. ``time = lag + time_out``."""

    stimulus: Float[Tensor, "batch channel time height width"]
    targets: dict[str, Targets]


class SharedBatches:
    """Chunks of one split of recordings; every bin that has its full history counts exactly once an epoch.

    A chunk never spans the onset of a presentation, and its history is what was on screen. Sessions with the
    same movie, frames, labels and onsets share chunks: the core sees each stimulus once for all of them.

    Args:
        recordings: the sessions, by name.
        split: ``"train"`` or ``"validation"``.
        lag: bins of history that the model needs.
        chunk_size: bins of output in a chunk.
        batch_size: chunks in a batch.
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
        groups = sessions_that_share(recordings)
        self._groups = [_Group([recordings[name] for name in names], split, lag) for names in groups]
        self._chunk = min(chunk_size, *(group.longest for group in self._groups))
        # (chunk, 4): group, first output bin, and the bins from which and before which outputs count
        self._chunks = np.concatenate([group.chunks(number, self._chunk) for number, group in enumerate(self._groups)])
        self._responses = {
            name: torch.from_numpy(recording.responses).to(self.device) for name, recording in recordings.items()
        }
        self._movies = {id(group.movie): _resident(group.movie.frames, self.device) for group in self._groups}

    def __len__(self) -> int:
        return -(-len(self._chunks) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the current `epoch`."""
        chunks = self._chunks
        if self.seed is not None:
            chunks = chunks[np.random.default_rng([self.seed, self.epoch]).permutation(len(chunks))]
        for start in range(0, len(chunks), self.batch_size):
            part = chunks[start : start + self.batch_size]
            part = part[np.argsort(part[:, 0], kind="stable")]
            yield self._batch(part[self._share], np.unique(part[:, 0]))

    def _batch(self, chunks: np.ndarray, numbers: np.ndarray) -> Batch:
        stimuli, targets = [], {}
        bounds = (np.searchsorted(chunks[:, 0], numbers, side) for side in ("left", "right"))
        for number, first, last in zip(numbers, *bounds, strict=True):
            group, (_, start, begin, end) = self._groups[number], chunks[first:last].T
            outputs = start[:, None] + np.arange(self._chunk)
            counts = (outputs >= begin[:, None]) & (outputs < end[:, None]) & group.counts[outputs]
            weights = torch.from_numpy(counts).to(self.device, torch.float32)
            bins = torch.from_numpy(outputs).to(self.device)
            for session in group.sessions:
                targets[session] = Targets(slice(first, last), self._responses[session][bins], weights)
            stimuli.append(self._stimulus(group, start[:, None] + np.arange(-self.lag, self._chunk)))
        return Batch(torch.cat(stimuli), targets)

    def _stimulus(self, group: "_Group", bins: np.ndarray) -> Tensor:
        frames = group.frames[bins]
        resident = self._movies[id(group.movie)]
        if resident is None:
            seen = torch.from_numpy(np.asarray(group.movie.frames[:, frames])).to(self.device)
        else:
            seen = resident[:, torch.from_numpy(frames).to(self.device)]
        seen = seen.movedim(0, 1).to(torch.float32)
        return seen.flip(-1) if group.mirrored else seen.contiguous()


class _Group:
    """Sessions that saw the same frames, and where a split's chunks can lie."""

    def __init__(self, recordings: list[Recording], split: str, lag: int) -> None:
        first = recordings[0]
        self.sessions = [recording.session for recording in recordings]
        self.movie, self.frames, self.mirrored = first.movie, first.frames, first.mirrored
        presentation = first.presentation
        self.counts = (first.split == split) & (first.history >= lag)
        if not self.counts.any():
            raise UserError(f"session {first.session} has no {split} bin with {lag} bins of history; label more bins")
        ends = np.append(first.onsets[1:], len(first))[presentation]
        edges = np.flatnonzero(np.diff(self.counts.astype(int) * (presentation + 1), prepend=0, append=0))
        self._runs = [(int(a), int(b)) for a, b in pairwise(edges) if self.counts[a]]
        self._room = [(int(first.onsets[presentation[a]]) + lag, int(ends[a])) for a, _ in self._runs]
        self.longest = min(high - low for low, high in self._room)

    def chunks(self, number: int, size: int) -> np.ndarray:
        rows = []
        for (begin, end), (low, high) in zip(self._runs, self._room, strict=True):
            for start in range(begin, end, size):
                # A last chunk that sticks out is moved back, and counts only the bins that are its own.
                rows.append((number, np.clip(start, low, high - size), start, min(start + size, end)))
        return np.array(rows)


def _resident(frames: object, device: torch.device) -> Tensor | None:
    """The movie on the device, as it is stored; None if it is too large to be held and is read as needed."""
    if isinstance(frames, JoinedFrames) and device.type != "cpu":
        parts = [_resident(part, device) for part in frames.parts]
        return torch.cat(parts, dim=1) if all(part is not None for part in parts) else None  # type: ignore[arg-type]
    if isinstance(frames, np.memmap) or not isinstance(frames, np.ndarray):
        return None
    return torch.from_numpy(np.ascontiguousarray(frames)).to(device)
