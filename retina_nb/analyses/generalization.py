"""How well models do on kinds of stimuli that they were, or were not, trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from retina_nb.errors import UserError, unknown
from retina_nb.evaluation import compare_all_models, predict
from retina_nb.metrics import score_card
from retina_nb.recording import UNUSED, Recording, by_name
from retina_nb.representations import one_line


@one_line
@dataclass(frozen=True)
class TestSet:
    """A stimulus and the responses of a session's neurons to it.

    Args:
        session: whose neurons.
        stimulus: with the history that the neurons saw, or that they are meant to have seen.
        responses: repeated, or one expected response.
        scored: bins that count; the others are history for them.
    """

    __test__ = False  # no test, whatever pytest makes of its name

    session: str
    stimulus: Float[np.ndarray, "channel time height width"]
    responses: Float[np.ndarray, "trial time neuron"]
    scored: Bool[np.ndarray, " time"]


@one_line
@dataclass(frozen=True)
class Generalization:
    """Scores of models on test sets, neuron by neuron.

    Args:
        scores: of every model on every test set; the same neurons everywhere.
        models: names of the models.
        tests: names of the test sets.
        neurons: a row for each neuron: ``session`` and ``neuron``.
        metric: what the scores are, a name in `retina_nb.metrics.score_card`.
    """

    scores: Float[np.ndarray, "model test neuron"]
    models: list[str]
    tests: list[str]
    neurons: pd.DataFrame
    metric: str

    def matrix(self) -> pd.DataFrame:
        """The median score over neurons that have one: a row for each model, a column for each test set."""
        medians = pd.DataFrame(self.scores.reshape(-1, self.scores.shape[2])).median(axis=1).to_numpy()
        return pd.DataFrame(medians.reshape(self.scores.shape[:2]), index=self.models, columns=self.tests)

    def compare(self, test: str, *, level: float = 0.95, seed: int = 0) -> pd.DataFrame:
        """All models on one test set against the first of them, paired by neuron, with bootstrap intervals.

        Columns as of `retina_nb.compare_all_models`.

        Raises:
            UserError: if there is no such test set.
        """
        if test not in self.tests:
            raise unknown("test set", test, self.tests)
        scores = pd.DataFrame(self.scores[:, self.tests.index(test)].T, columns=self.models)
        return compare_all_models(scores, level=level, seed=seed)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each neuron, model and test set."""
        rows = [
            self.neurons.assign(model=model, test=test, **{self.metric: self.scores[m, t]})
            for m, model in enumerate(self.models)
            for t, test in enumerate(self.tests)
        ]
        return pd.concat(rows, ignore_index=True)


def score_matrix(
    models: Mapping[str, Any], tests: Mapping[str, Sequence[TestSet]], *, metric: str = "correlation"
) -> Generalization:
    """Score every model on every test set, all on the same bins of the same neurons.

    Args:
        models: by name, the first of which others are compared with: twins, baselines, truths; anything that is called
            as ``model(stimulus, session)`` and has a ``lag``.
        tests: by name, a test set for each session, see `recorded_tests` and `expected_tests`. All must have the same
            sessions.
        metric: a name in `retina_nb.metrics.score_card`. ``"cc_norm"`` needs repeated responses.

    Raises:
        UserError: if there is no model, test set or metric, test sets are of different neurons, nothing is left to
            score after the longest lag, or a stimulus does not fit a model.
    """
    if not models or not tests:
        raise UserError("there is nothing to score: give one model or more, and one test set or more")
    neurons = {name: _neurons(sets) for name, sets in tests.items()}
    first = next(iter(neurons.values()))
    for name, table in neurons.items():
        if not table.equals(first):
            raise UserError(f"the test sets must be of the same neurons; those of {name!r} differ from the first's")
    lag = max(model.lag for model in models.values())
    scores = [
        [np.concatenate([_score(model, one, lag, metric, test) for one in sets]) for test, sets in tests.items()]
        for model in models.values()
    ]
    return Generalization(np.array(scores), list(models), list(tests), first, metric)


def recorded_tests(
    recordings: Recording | Mapping[str, Recording],
    kinds: Mapping[str, Bool[np.ndarray, " frame"]],
    *,
    stimulus: str = "test",
) -> dict[str, list[TestSet]]:
    """Test sets from a repeated stimulus, the bins of which are sorted by kind.

    Args:
        recordings: the sessions.
        kinds: by name, which frames of the movie belong to it.
        stimulus: the repeated stimulus.

    Raises:
        UserError: if it was not repeated, a kind is not for this movie, or never on screen in it.
    """
    recordings = by_name(recordings)
    sets: dict[str, list[TestSet]] = {}
    for name, frames in kinds.items():
        for session, recording in recordings.items():
            trials = recording.trials(stimulus)
            scored = _on_screen(recording, frames, name)[recording.bins(stimulus)]
            if not scored.any():
                raise UserError(f"session {session}: no bin of {stimulus} shows {name}")
            sets.setdefault(name, []).append(TestSet(session, recording.stimulus(stimulus), trials, scored))
    return sets


def expected_tests(
    truth: Any, stimuli: Mapping[str, Float[np.ndarray, "channel time height width"]], sessions: Sequence[str]
) -> dict[str, list[TestSet]]:
    """Test sets of any stimuli, with the responses that a model which knows better expects: the truth, or a teacher.

    Args:
        truth: what responds, without noise.
        stimuli: by name; its first bins are history.
        sessions: whose neurons.

    Raises:
        UserError: if a session does not exist, or a stimulus does not fit.
    """
    sets: dict[str, list[TestSet]] = {}
    for name, frames in stimuli.items():
        for session in sessions:
            rates = np.pad(predict(truth, frames, session), ((truth.lag, 0), (0, 0)))
            scored = np.arange(frames.shape[1]) >= truth.lag
            sets.setdefault(name, []).append(TestSet(session, frames, rates[None], scored))
    return sets


def trained_on(
    recordings: Recording | Mapping[str, Recording],
    frames: Bool[np.ndarray, " frame"],
    *,
    splits: Sequence[str] = ("train",),
) -> dict[str, Recording]:
    """The same recordings, but only bins with some of the movie's frames are left for training.

    The others stay on the timeline, as history of those that are left.

    Args:
        recordings: the sessions.
        frames: which frames of the movie are kept.
        splits: the labels that other bins lose.

    Raises:
        UserError: if the frames are not for this movie, or no bin would be left.
    """
    recordings, kept = by_name(recordings), {}
    for session, recording in recordings.items():
        lost = ~_on_screen(recording, frames, "the chosen frames") & np.isin(recording.split, splits)
        split = np.where(lost, UNUSED, recording.split)
        for label in splits:
            if not (split == label).any():
                raise UserError(f"session {session}: no {label} bin shows one of the chosen frames")
        kept[session] = replace(recording, split=split)
    return kept


def _on_screen(recording: Recording, frames: np.ndarray, name: str) -> np.ndarray:
    """(time,) whether each bin of a recording shows one of the frames."""
    frames = np.asarray(frames)
    if frames.dtype != bool or frames.shape != (len(recording.movie),):
        raise UserError(
            f"{name}: give True or False for each of the {len(recording.movie)} frames of session "
            f"{recording.session}'s movie, not {frames.dtype} {frames.shape}"
        )
    return frames[recording.frames]


def _neurons(sets: Sequence[TestSet]) -> pd.DataFrame:
    tables = [pd.DataFrame({"session": one.session, "neuron": range(one.responses.shape[2])}) for one in sets]
    return pd.concat(tables, ignore_index=True)


def _score(model: Any, test: TestSet, lag: int, metric: str, name: str) -> Float[np.ndarray, " neuron"]:
    scored = test.scored[lag:]
    if not scored.any():
        raise UserError(f"test set {name!r}: no bin is left to score after {lag} bins of history")
    prediction = predict(model, test.stimulus, test.session)[lag - model.lag :][scored]
    card = score_card(test.responses[:, lag:][:, scored], prediction)
    if metric not in card:
        raise unknown("metric", metric, card)
    return card[metric]
