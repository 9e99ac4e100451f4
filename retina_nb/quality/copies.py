"""Whether what a model is tested on was shown for training, too: exactly, or nearly."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Int64

from retina_nb.quality.clips import Clips, ages, apart, clips_of, distinct, glimpses, lasting, pixels
from retina_nb.quality.findings import FINE, LOOK, PROBLEM, Finding, percent, some
from retina_nb.quality.fingerprints import Watched

CHECK = "copies"
# What must not be seen again, and where it must not have been seen before.
PAIRS = (("test", "train"), ("validation", "train"), ("test", "validation"))
COLUMNS = ["session", "split", "bin", "bins", "kind", "copy_session", "copy_split", "copy_bin", "correlation"]

_NEAR = 0.95  # correlation of all pixels of two clips that are nearly the same
_MANY = 0.2  # part of the clips with a near copy that is a problem
_FEW = 0.01  # part of the bins with a copy of their frame that is nothing to look at
_CLIPS = 2000  # held-out clips of which near copies are looked for
_BLOCK = 4096  # clips they are compared with at once


def find_copies(watched: Mapping[str, Watched], clip: float) -> tuple[list[Finding], pd.DataFrame]:
    """Look for frames and clips of one split in another, in the same session and in others.

    Args:
        watched: the sessions.
        clip: length of a clip (s), where a split has a stretch that is as long.

    Returns:
        The findings, and a table of the copies. Sessions that saw the same at the same times are together under the
        name of the first; so are near copies of a clip that several sessions saw.
    """
    groups: dict[int, list[str]] = {}
    for name, one in watched.items():
        groups.setdefault(one.group, []).append(name)
    members = {names[0]: names for names in groups.values()}
    shown = {name: watched[name] for name in members}
    findings, tables = [], []
    for split, source in PAIRS:
        lengths = np.array([_length(one, split, clip) for one in shown.values()])
        for length in np.unique(lengths[lengths > 0]).tolist():
            mine = {name: one for (name, one), bins in zip(shown.items(), lengths, strict=True) if bins == length}
            exact, near, part = _compare(shown, mine, split, source, length)
            findings += [*_told_exact(exact, shown, members), *_told_near(near, part, members)]
            tables += [table for table in (exact, near) if len(table)]
    if not findings:
        frames = sum({id(one.prints): len(one.prints.numbers) for one in shown.values()}.values())
        findings = [Finding(CHECK, FINE, "", f"no clip of one split is in another; {frames} frames were compared")]
    return findings, pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=COLUMNS)


def _length(one: Watched, split: str, clip: float) -> int:
    """Bins of a clip of a split, no more than its longest stretch; 0 if there is none."""
    return int(min(max(1, round(clip * one.recording.rate)), ages(one, split).max()))


def _compare(
    shown: Mapping[str, Watched], mine: Mapping[str, Watched], split: str, source: str, length: int
) -> tuple[pd.DataFrame, pd.DataFrame, float]:
    """Exact and near copies of clips of some sessions in all of them, and which part of the clips has near ones."""
    numbers = [number for number, name in enumerate(shown) if name in mine]

    def clips(label: str, length: int) -> Clips:
        found = clips_of(shown.values(), label, length)
        if length == 1 and label == source:  # a frame that lasts from one split into the other is no copy
            found = found.some(~lasting(shown.values(), found, split, source))
        return found.some(np.isin(found.sessions, numbers)) if label == split else found

    wanted, sources = clips(split, length), clips(source, length)
    exact = [*_exact(wanted, sources, "exact clip")]
    if not exact and length > 1:
        exact = [*_exact(clips(split, 1), clips(source, 1), "exact frames")]
    near, part = _near(shown, wanted, sources)
    return _named(exact, [*shown], split, source), _named(near, [*shown], split, source), part


def _exact(wanted: Clips, sources: Clips, kind: str) -> Iterator[tuple]:
    """Rows of clips that are among the sources of the same session, or else of others; of single frames one row."""
    anywhere = np.isin(wanted.hashes, sources.hashes)
    for session in np.unique(wanted.sessions[anywhere]):
        mine, own = wanted.some(wanted.sessions == session), sources.some(sources.sessions == session)
        here = np.isin(mine.hashes, own.hashes)
        for found, among in ((here, own), (anywhere[wanted.sessions == session] & ~here, sources)):
            which = np.flatnonzero(found)
            jumps = np.diff(mine.starts[which]) > 1
            for run in np.split(which, np.flatnonzero(jumps) + 1) if kind == "exact clip" else [which]:
                if len(run):
                    copy = int((among.hashes == mine.hashes[run[0]]).argmax())
                    yield _row(mine, int(run[0]), among, copy, kind, bins=len(run) + mine.length - 1)


def _near(shown: Mapping[str, Watched], wanted: Clips, sources: Clips) -> tuple[list[tuple], float]:
    """Rows of clips that do not overlap and are nearly the same as a source of their movie, and which part they are."""
    watched = [*shown.values()]
    movies: dict[int, list[int]] = {}
    for number, one in enumerate(watched):
        movies.setdefault(id(one.prints), []).append(number)
    rows: list[tuple] = []
    part = 0.0
    for sessions in movies.values():
        mine = apart(wanted.some(np.isin(wanted.sessions, sessions)))
        theirs = distinct(sources.some(np.isin(sources.sessions, sessions)))
        if not len(mine):
            continue
        mine, before = mine.some(slice(None, None, -(-len(mine) // _CLIPS))), len(rows)
        for number, copy in enumerate(_most_alike(watched, mine, theirs).tolist()):
            if copy >= 0 and mine.hashes[number] != theirs.hashes[copy]:
                a, b = pixels(watched, mine, number), pixels(watched, theirs, copy)
                correlation = float(a @ b / max(np.sqrt((a @ a) * (b @ b)), 1e-12))
                if correlation >= _NEAR:
                    rows.append(
                        _row(mine, number, theirs, copy, "near clip", bins=mine.length, correlation=correlation)
                    )
        part = max(part, (len(rows) - before) / len(mine))
    return rows, part


def _row(
    mine: Clips, number: int, theirs: Clips, copy: int, kind: str, *, bins: int, correlation: float = 1.0
) -> tuple:
    here, there = (mine.sessions[number], mine.starts[number]), (theirs.sessions[copy], theirs.starts[copy])
    return (*map(int, here), bins, kind, *map(int, there), correlation)


def _named(rows: list[tuple], names: list[str], split: str, source: str) -> pd.DataFrame:
    """Rows as `find_copies` gives them."""
    named = [
        (names[session], split, start, bins, kind, names[other], source, copy, correlation)
        for session, start, bins, kind, other, copy, correlation in rows
    ]
    return pd.DataFrame(named, columns=COLUMNS)


def _most_alike(watched: list[Watched], clips: Clips, sources: Clips) -> Int64[np.ndarray, " clip"]:
    """For each clip the source whose glimpse correlates best; -1 if no two could be nearly the same."""
    best, top = np.full(len(clips), -1), np.full(len(clips), _NEAR)
    wanted = glimpses(watched, clips)
    for start in range(0, len(sources), _BLOCK):
        alike = wanted @ glimpses(watched, sources.some(slice(start, start + _BLOCK))).T
        better = alike.max(axis=1) > top
        best[better] = start + alike.argmax(axis=1)[better]
        top = np.maximum(top, alike.max(axis=1))
    return best


def _told_exact(
    rows: pd.DataFrame, shown: Mapping[str, Watched], members: Mapping[str, list[str]]
) -> Iterator[Finding]:
    within, clips = rows["session"] == rows["copy_session"], rows["kind"] == "exact clip"
    for found, severity, what, harm in (
        (rows[clips & within], PROBLEM, "clips", "scores are too good"),
        (rows[clips & ~within], LOOK, "clips", "a core that the sessions share is trained on them"),
        (rows[~clips], LOOK, "single frames", "scores are too good if a frame is a stimulus of its own"),
    ):
        parts = {
            str(session): _bins(some_rows) / (shown[str(session)].recording.split == some_rows["split"].iloc[0]).sum()
            for session, some_rows in found.groupby("session", sort=False)
        }
        if parts and (what == "clips" or max(parts.values()) > _FEW):
            sessions = [member for session in parts for member in members[session]]
            what = f"{percent(max(parts.values()))} of the {found['split'].iloc[0]} bins show {what} that are in"
            yield _finding(severity, found.iloc[0], sessions, what, "is", harm)


def _told_near(rows: pd.DataFrame, part: float, members: Mapping[str, list[str]]) -> Iterator[Finding]:
    if len(rows):
        first = rows.iloc[0]
        what = (
            f"{percent(part)} of the {first['split']} clips correlate by {first['correlation']:.2f} in all pixels with"
        )
        harm = "scores are too good if they are meant to be new"
        sessions = [member for session in rows["session"].unique() for member in members[session]]
        severity = PROBLEM if part > _MANY else LOOK
        yield _finding(severity, first, sessions, f"{what} clips of", "is like", harm)


def _finding(severity: str, first: pd.Series, sessions: list[str], what: str, is_like: str, harm: str) -> Finding:
    """What part of which sessions, and one example of it."""
    where = f"bin {first['bin']} of {first['session']} {is_like} bin {first['copy_bin']} of {first['copy_session']}"
    return Finding(
        CHECK,
        severity,
        first["session"],
        f"{what} the {first['copy_split']} split, too ({where}; {some('session', sessions)}): {harm}; label both "
        "alike, or one as unused",
    )


def _bins(rows: pd.DataFrame) -> int:
    """Number of bins in the rows of a session, each counted once; of single frames there is one row."""
    if (rows["kind"] == "exact frames").all():
        return int(rows["bins"].sum())
    return len(
        np.unique(np.concatenate([start + np.arange(n) for start, n in zip(rows["bin"], rows["bins"], strict=True)]))
    )
