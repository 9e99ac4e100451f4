"""Whether what a model is tested on was shown for training, too: exactly, or nearly."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64, UInt64

from retina_nb.quality.findings import FINE, LOOK, PROBLEM, Finding, percent, some
from retina_nb.quality.fingerprints import Watched

CHECK = "copies"
# What must not be seen again, and where it must not have been seen before.
PAIRS = (("test", "train"), ("validation", "train"), ("test", "validation"))
COLUMNS = ["session", "split", "bin", "bins", "kind", "copy_session", "copy_split", "copy_bin", "correlation"]

_NEAR = 0.95  # correlation of all pixels of two clips that are nearly the same
_MANY = 0.2  # part of the clips with a near copy that is a problem
_FEW = 0.01  # part of the bins with a copy of their frame that is nothing to look at
_GLIMPSES = 4  # frames by which clips are compared at first
_CLIPS = 2000  # held-out clips of which near copies are looked for
_BLOCK = 4096  # clips they are compared with at once
_POWER = np.uint64(6364136223846793005)  # Knuth's multiplier, for hashes of sequences


@dataclass(frozen=True)
class Clips:
    """All clips of one length in a split of a session: their first bins, and a hash of their frames."""

    session: str
    watched: Watched
    length: int
    starts: Int64[np.ndarray, " clip"]
    hashes: UInt64[np.ndarray, " clip"]

    def glimpses(self, which: np.ndarray) -> Float32[np.ndarray, "n feature"]:
        """A few coarse frames of some clips, minus their mean and of length 1; 0 if nothing varies."""
        offsets = np.unique(np.linspace(0, self.length - 1, _GLIMPSES).astype(int))
        rows = self.watched.rows[self.starts[which][:, None] + offsets]
        flat = self.watched.prints.coarse[rows].reshape(len(which), -1)
        flat = flat - flat.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(flat, axis=1, keepdims=True)
        return np.where(norm > 1e-6, flat / np.maximum(norm, 1e-6), 0)

    def pixels(self, which: int) -> np.ndarray:
        """All pixels of a clip, minus their mean."""
        recording = self.watched.recording
        frames = recording.frames[self.starts[which] + np.arange(self.length)]
        pixels = np.asarray(recording.movie.frames[:, frames], dtype=np.float64).ravel()
        return pixels - pixels.mean()


class Search:
    """The clips of some sessions, none of which saw the same as another at the same times.

    Args:
        sessions: by name.
        clip: length of a clip (s), where a split has a stretch that is as long.
    """

    def __init__(self, sessions: Mapping[str, Watched], clip: float) -> None:
        self.sessions, self.clip = sessions, clip
        self.clips, self.pool = cache(self._clips), cache(self._pool)

    def length(self, session: str, split: str) -> int:
        """Bins of a clip in a split; 0 if nothing of the split is looked at."""
        recording = self.sessions[session].recording
        return int(min(max(1, round(self.clip * recording.rate)), _ages(self.sessions[session], split).max()))

    def _clips(self, session: str, split: str, length: int) -> Clips:
        """Clips that are blank all the time, and always the same, are left out."""
        one = self.sessions[session]
        starts = np.flatnonzero(_ages(one, split) >= length) - length + 1
        frames = one.prints.hashes[one.rows]
        hashes, still = np.zeros(len(starts), dtype=np.uint64), one.prints.blank[one.rows[starts]]
        for offset in range(length):
            hashes = hashes * _POWER + frames[starts + offset]
            still &= frames[starts + offset] == frames[starts]
        return Clips(session, one, length, starts[~still], hashes[~still])

    def _pool(self, split: str, length: int) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of all clips of a split, and how many sessions have each."""
        distinct = [np.unique(self.clips(session, split, length).hashes) for session in self.sessions]
        return np.unique(np.concatenate(distinct), return_counts=True)

    def exact(self, session: str, split: str, source: str, length: int, within: bool) -> tuple[Clips, np.ndarray]:
        """Clips of a split, and which of them are in the source split of the same session, or of others."""
        clips = self.clips(session, split, length)
        own = np.isin(clips.hashes, self.clips(session, source, length).hashes)
        if within or not len(clips.hashes):
            return clips, own
        hashes, sessions = self.pool(source, length)
        place = np.searchsorted(hashes, clips.hashes).clip(max=len(hashes) - 1)
        return clips, (sessions[place] > own) & (hashes[place] == clips.hashes) if len(hashes) else own

    def where(self, hash_: np.uint64, source: str, length: int, sessions: list[str]) -> tuple[str, int]:
        """The first session and bin at which these sessions have a clip."""
        for session in sessions:
            clips = self.clips(session, source, length)
            if (found := clips.hashes == hash_).any():
                return session, int(clips.starts[found.argmax()])
        raise LookupError(hash_)


def find_copies(watched: Mapping[str, Watched], clip: float) -> tuple[list[Finding], pd.DataFrame]:
    """Look for frames and clips of one split in another, in the same session and in others.

    Args:
        watched: the sessions.
        clip: length of a clip (s).

    Returns:
        The findings, and a table of the copies. Sessions that saw the same at the same times have one row together,
        under the name of the first.
    """
    groups: dict[int, list[str]] = {}
    for name, one in watched.items():
        groups.setdefault(one.group, []).append(name)
    search = Search({names[0]: watched[names[0]] for names in groups.values()}, clip)
    names = {members[0]: members for members in groups.values()}
    findings, tables = [], []
    for split, source in PAIRS:
        exact = pd.DataFrame(
            [row for session in names for row in _exact(search, session, split, source)], columns=COLUMNS
        )
        near = pd.DataFrame(_near(search, split, source), columns=COLUMNS)
        findings += [*_told_exact(exact, search, names, split, source), *_told_near(near, search, names, split, source)]
        tables += [exact, near]
    if not findings:
        frames = sum({id(one.prints): len(one.prints.numbers) for one in watched.values()}.values())
        findings = [Finding(CHECK, FINE, "", f"no clip of one split is in another; {frames} frames were compared")]
    filled = [table for table in tables if len(table)]
    return findings, pd.concat(filled, ignore_index=True) if filled else tables[0]


def _ages(one: Watched, split: str) -> Int64[np.ndarray, " time"]:
    """For each bin of a split, how many have been looked at since its stretch or presentation started; 0 elsewhere."""
    inside = (one.recording.split == split) & (one.rows >= 0)
    starts = inside & ~np.append(False, inside[:-1])
    starts[one.recording.onsets] = True
    bins = np.arange(len(inside))
    return np.where(inside, bins - np.maximum.accumulate(np.where(starts, bins, 0)) + 1, 0)


def _exact(search: Search, session: str, split: str, source: str) -> Iterator[tuple]:
    """Rows of exact copies in the same session, or else in others: of clips, or else of single frames."""
    length = search.length(session, split)
    others = [name for name in search.sessions if name != session]
    if not length:
        return
    for sessions in ([session], others):
        for kind, bins in (("exact clip", length), ("exact frames", 1)):
            clips, found = search.exact(session, split, source, bins, within=sessions != others)
            if not found.any():
                continue
            which = np.flatnonzero(found)
            jumps = np.diff(clips.starts[which]) > 1
            runs = np.split(which, np.flatnonzero(jumps) + 1) if kind == "exact clip" else [which]
            for run in runs:
                copy = search.where(clips.hashes[run[0]], source, bins, sessions)
                yield (
                    session,
                    split,
                    int(clips.starts[run[0]]),
                    len(run) + bins - 1,
                    kind,
                    copy[0],
                    source,
                    copy[1],
                    1.0,
                )
            return


def _near(search: Search, split: str, source: str) -> Iterator[tuple]:
    """Rows of clips that do not overlap and are nearly the same as one of the source split, in any session."""
    for shape in {one.recording.movie.frame_shape for one in search.sessions.values()}:
        names = [name for name, one in search.sessions.items() if one.recording.movie.frame_shape == shape]
        length = min((n for name in names if (n := search.length(name, split))), default=0)
        if not length:
            continue
        sources = [search.clips(name, source, length) for name in names]
        wanted = [search.clips(name, split, length) for name in names]
        chosen = [_apart(clips) for clips in wanted]
        step = -(-sum(map(len, chosen)) // _CLIPS)
        for clips, which in zip(wanted, chosen, strict=True):
            which = which[::step]
            for number, (copies, copy) in zip(which, _most_alike(clips, which, sources), strict=True):
                if copies is None or clips.hashes[number] == copies.hashes[copy]:
                    continue
                a, b = clips.pixels(number), copies.pixels(copy)
                correlation = float(a @ b / max(np.sqrt((a @ a) * (b @ b)), 1e-12))
                if correlation >= _NEAR:
                    start, at = int(clips.starts[number]), int(copies.starts[copy])
                    yield clips.session, split, start, length, "near clip", copies.session, source, at, correlation


def _apart(clips: Clips) -> Int64[np.ndarray, " n"]:
    """Numbers of clips that do not overlap, each of which once."""
    chosen, end = [], -1
    for number in np.sort(np.unique(clips.hashes, return_index=True)[1]):
        if clips.starts[number] >= end:
            chosen.append(number)
            end = clips.starts[number] + clips.length
    return np.array(chosen, dtype=np.int64)


def _most_alike(clips: Clips, which: np.ndarray, sources: list[Clips]) -> list[tuple[Clips | None, int]]:
    """For some clips, the source clip whose glimpses correlate best, if they could be nearly the same."""
    best: list[tuple[Clips | None, int]] = [(None, -1)] * len(which)
    top = np.full(len(which), _NEAR)
    wanted = clips.glimpses(which)
    for source in sources:
        distinct = np.unique(source.hashes, return_index=True)[1]
        for start in range(0, len(distinct) if len(which) else 0, _BLOCK):
            part = distinct[start : start + _BLOCK]
            alike = wanted @ source.glimpses(part).T
            found = alike.argmax(axis=1)
            for better in np.flatnonzero(alike.max(axis=1) > top):
                best[better] = source, int(part[found[better]])
            top = np.maximum(top, alike.max(axis=1))
    return best


def _told_exact(
    rows: pd.DataFrame, search: Search, names: Mapping[str, list[str]], split: str, source: str
) -> Iterator[Finding]:
    within = rows["session"] == rows["copy_session"]
    clips = rows["kind"] == "exact clip"
    for found, severity, what, harm in (
        (rows[clips & within], PROBLEM, "clips", "scores are too good"),
        (rows[clips & ~within], LOOK, "clips", "a core that the sessions share is trained on them"),
        (rows[~clips], LOOK, "single frames", "scores are too good if a frame is a stimulus of its own"),
    ):
        parts = {}
        for session, some_rows in found.groupby("session", sort=False):
            parts[str(session)] = _bins(some_rows) / (search.sessions[str(session)].recording.split == split).sum()
        if parts and (what == "clips" or max(parts.values()) > _FEW):
            yield _finding(severity, found.iloc[0], parts, names, f"{split} bins show {what} that are in", "is", harm)


def _told_near(
    rows: pd.DataFrame, search: Search, names: Mapping[str, list[str]], split: str, source: str
) -> Iterator[Finding]:
    parts = {}
    for session, found in rows.groupby("session", sort=False):
        clips = _apart(search.clips(str(session), split, int(found["bins"].iloc[0])))
        parts[str(session)] = len(found) / len(clips)
    if parts:
        first = rows.iloc[0]
        what = f"{split} clips correlate by {first['correlation']:.2f} in all pixels with clips of"
        harm = "scores are too good if they are meant to be new"
        severity = PROBLEM if max(parts.values()) > _MANY else LOOK
        yield _finding(severity, first, parts, names, what, "is like", harm)


def _finding(
    severity: str,
    first: pd.Series,
    parts: Mapping[str, float],
    names: Mapping[str, list[str]],
    what: str,
    is_like: str,
    harm: str,
) -> Finding:
    """What part of which sessions, and one example of it."""
    sessions = [member for session in parts for member in names[session]]
    where = f"bin {first['bin']} of {first['session']} {is_like} bin {first['copy_bin']} of {first['copy_session']}"
    return Finding(
        CHECK,
        severity,
        first["session"],
        f"{percent(max(parts.values()))} of the {what} the {first['copy_split']} split, too ({where}; sessions "
        f"{some(sessions)}): {harm}; label both alike, or one as unused",
    )


def _bins(rows: pd.DataFrame) -> int:
    """Number of bins in the rows of a session, each counted once; of single frames there is one row."""
    if (rows["kind"] == "exact frames").all():
        return int(rows["bins"].sum())
    return len(
        np.unique(np.concatenate([start + np.arange(n) for start, n in zip(rows["bin"], rows["bins"], strict=True)]))
    )
