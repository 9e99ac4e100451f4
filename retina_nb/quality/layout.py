"""Whether movies, frames, responses, splits, repeats and presentations fit together."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from retina_nb.quality.findings import FINE, LOOK, PROBLEM, Finding, percent, some
from retina_nb.quality.fingerprints import Watched
from retina_nb.recording import SPLITS, UNUSED, Recording

_FEW_TRIALS = 5  # fewer give doubtful ceilings
_SHORT = 10.0  # seconds of a test stimulus below which scores are doubtful
_MANY_CHANGES = 30  # of responses that are usual, without which a trial is not silent by chance
_MANY_UNUSED = 0.2  # part of the bins that may be unused
_MANY_CUT = 0.2  # part of a split's bins that may be without history
_UNITS = (0.1, 10.0)  # standard deviation of a stimulus that is normalised, or nearly so

# In what the sessions of one twin must agree.
_MUST_AGREE: dict[str, Callable[[Recording], Any]] = {
    "rate (Hz)": lambda one: one.rate,
    "channel, height and width": lambda one: one.movie.frame_shape,
    "channels": lambda one: one.movie.channels,
    "pixel (µm)": lambda one: None if np.isnan(one.pixel_um) else one.pixel_um,
    "stimulus mean": lambda one: round(one.movie.mean, 6),
    "stimulus standard deviation": lambda one: round(one.movie.std, 6),
    "unit of the responses": lambda one: one.unit,
}


def judge_agreement(recordings: Mapping[str, Recording]) -> list[Finding]:
    """Findings about sessions that cannot be modelled together."""
    findings = []
    for what, value in _MUST_AGREE.items():
        values: dict[Any, list[str]] = {}
        for session, recording in recordings.items():
            values.setdefault(value(recording), []).append(session)
        if len(values) > 1:
            different = "; ".join(f"{one} in {some('session', names, 2)}" for one, names in values.items())
            hard = what in ("rate (Hz)", "channel, height and width")
            message = f"{what} is not the same in all sessions ({different}); one twin needs sessions that agree"
            findings.append(Finding("agreement", PROBLEM if hard else LOOK, next(iter(values.values()))[0], message))
    return findings or [Finding("agreement", FINE, "", "sessions agree in rate, stimulus size and units")]


def judge_layout(watched: Mapping[str, Watched], history: float) -> list[Finding]:
    """Findings about each session's stimulus, splits, repeats and presentations.

    Args:
        watched: the sessions.
        history: how far a model looks back (s).
    """
    checks = {"stimulus": _stimulus, "splits": _splits, "repeats": _repeats, "history": _history}
    fine = {
        "stimulus": "stimuli are normalised, and all frames of the movies were shown",
        "splits": "every session has training, validation and test bins",
        "repeats": f"test stimuli are repeated {_FEW_TRIALS} times or more, and are for testing only",
        "history": f"bins have {history:g} s of history",
    }
    findings = []
    for check, judge in checks.items():
        found = [*_unseen(watched)] if check == "stimulus" else []
        found += [
            Finding(check, severity, session, f"session {session}: {message}")
            for session, one in watched.items()
            for severity, message in judge(one, history)
        ]
        findings += found or [Finding(check, FINE, "", fine[check])]
    return findings


def _unseen(watched: Mapping[str, Watched]) -> Iterator[Finding]:
    """Movies of which the end was shown in no session."""
    movies: dict[int, dict[str, Recording]] = {}
    for session, one in watched.items():
        movies.setdefault(id(one.recording.movie), {})[session] = one.recording
    for sharing in movies.values():
        length = len(next(iter(sharing.values())).movie)
        if missing := length - 1 - max(int(recording.frames.max()) for recording in sharing.values()):
            names = list(sharing)
            message = (
                f"{some('session', names)}: the last {missing} of {length} frames of the movie were not shown; did the "
                "responses start with the movie, and with its rate?"
            )
            yield Finding("stimulus", LOOK, names[0], message)


def _stimulus(one: Watched, _: float) -> Iterator[tuple[str, str]]:
    recording, prints = one.recording, one.prints
    if prints.std == 0 and (len(recording.movie) == 1 or recording.movie.frame_shape[1:] == (1, 1)):
        yield LOOK, "the movie is blank, a placeholder: responses are checked, but no model can be fitted to them"
    elif prints.std == 0:
        yield PROBLEM, f"all pixels of all frames are {prints.mean:g}; get the stimulus again"
    elif not _UNITS[0] <= prints.std <= _UNITS[1]:
        yield (
            LOOK,
            f"the stimulus that models see has a mean of {prints.mean:.3g} and a standard deviation of "
            f"{prints.std:.3g}; normalise it (retina_nb.normalize)",
        )
    steps = np.diff(recording.frames)
    forward = steps[steps > 0]
    if len(forward) and (usual := int(np.median(forward))) > 1 and (forward == usual).mean() > 0.5:
        yield LOOK, f"mostly every {usual}th frame was on screen; are the rates of movie and responses the same?"


def _splits(one: Watched, _: float) -> Iterator[tuple[str, str]]:
    split = one.recording.split
    for label in SPLITS:
        if not (split == label).any():
            needed = {"train": "learned", "validation": "chosen between", "test": "scored"}[label]
            yield LOOK, f"no bin is for {label}, so that models cannot be {needed}"
    unused = (split == UNUSED).mean()
    if unused > _MANY_UNUSED:
        yield LOOK, f"{percent(unused)} of the bins are unused (their label is ''); is this meant?"


def _repeats(one: Watched, _: float) -> Iterator[tuple[str, str]]:
    recording = one.recording
    if not recording.repeats:
        yield LOOK, "no stimulus was repeated, so that scores have no noise ceiling; give repeats= if one was"
    for name, bins in recording.repeats.items():
        labels = recording.split[bins]
        for label in ("train", "validation"):
            if (labels == label).any():
                part = (labels == label).mean()
                yield (
                    PROBLEM,
                    f"{percent(part)} of the bins of repeats[{name!r}] have the label {label!r}: scores are too good; "
                    "label them 'test'",
                )
        if empty := _empty_trials(recording, bins):
            yield (
                PROBLEM,
                f"no neuron responds in {some('trial', empty)} of repeats[{name!r}], or to its end; leave out "
                "what was not recorded, since it lowers rates and ceilings",
            )
        if len(np.unique(bins)) < bins.size:
            yield PROBLEM, f"repeats[{name!r}] has the same bins twice, which makes trials too alike; give each once"
        if len(bins) < _FEW_TRIALS and (labels == "test").any():
            ceiling = (
                "no noise ceiling" if len(bins) == 1 else "a doubtful noise ceiling; trust its confidence interval"
            )
            yield LOOK, f"repeats[{name!r}] has {len(bins)} trial{'s' * (len(bins) > 1)}, which gives {ceiling}"
        seconds = bins.shape[1] / recording.rate
        if seconds < _SHORT:
            yield LOOK, f"repeats[{name!r}] lasts only {seconds:.1f} s, so that scores are doubtful"


def _empty_trials(recording: Recording, bins: np.ndarray) -> list[int]:
    """Trials in which nothing changes any more from some bin on, though in the others so much does that this is not
    chance."""
    changes = [np.count_nonzero(np.diff(recording.responses[trial], axis=0), axis=1) for trial in bins]
    left = np.cumsum(np.pad(changes, ((0, 0), (0, 1)))[:, ::-1], axis=1)[:, ::-1]  # from each bin to the end
    usual = np.median(left, axis=0)
    return [trial for trial, counts in enumerate(left) if usual[np.flatnonzero(counts == 0)[0]] >= _MANY_CHANGES]


def _history(one: Watched, history: float) -> Iterator[tuple[str, str]]:
    recording = one.recording
    short = recording.history < round(history * recording.rate)
    if len(recording.onsets) == len(recording):
        return  # flashes, which have no history
    for label in SPLITS:
        inside = recording.split == label
        if inside.any() and short[inside].mean() > _MANY_CUT:
            yield (
                LOOK,
                f"{percent(short[inside].mean())} of the {label} bins have less than {history:g} s of history in their "
                f"own presentation ({len(recording.onsets)} onsets), and models that look back as far leave them out",
            )
