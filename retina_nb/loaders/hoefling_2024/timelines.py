"""What was on screen in every bin of a session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from retina_nb.errors import UserError
from retina_nb.loaders.hoefling_2024.movie import CLIP, CLIPS_SHOWN, TEST_CLIPS, TEST_SHOWN, TRAIN_CLIPS, Orders
from retina_nb.loaders.hoefling_2024.traces import Shown
from retina_nb.recording import UNUSED, Movie


@dataclass(frozen=True)
class Timeline:
    """The bins of a session, as a `Recording` has them."""

    frames: Int64[np.ndarray, " time"]
    split: np.ndarray
    repeats: Mapping[str, np.ndarray]


class NaturalMovie:
    """The clips of the movie, those for training in the session's own order.

    Args:
        movie: the training clips by number, and then the test clips.
        orders: the orders in which sessions saw the training clips.
        validation_clips: numbers of those that are for validation.
    """

    shown = Shown("natural", 4.9666667, CLIP)

    def __init__(self, movie: Movie, orders: Orders, validation_clips: Sequence[int]) -> None:
        self.movie, self._orders, self._validation = movie, orders, validation_clips
        self._made: dict[int, Timeline] = {}

    def timeline(self, where: str, order: int, recorded: np.ndarray) -> Timeline:
        """What a session saw; the same object for all sessions of an order.

        Args:
            where: what to call the session in an error.
            order: number of the order in which it saw the training clips.
            recorded: (presentation,) whether the cells were recorded all through it.

        Raises:
            UserError: if there is no such order, or a clip was not recorded.
        """
        if len(recorded) != CLIPS_SHOWN or not recorded.all():
            raise UserError(
                f"{where}: {recorded.sum()} clips of the movie were recorded from start to end, {CLIPS_SHOWN} are "
                "expected; leave the session out by sessions=..., or get the file again"
            )
        if not 0 <= order < self._orders.shape[1]:
            raise UserError(
                f"{where}: scan_sequence_idx is {order}, the movie has the orders 0 to {self._orders.shape[1] - 1}; "
                "get both files again"
            )
        if order not in self._made:
            clips = _clips_shown(self._orders[:, order])
            validation = np.isin(clips, self._validation)
            labels = np.where(clips >= TRAIN_CLIPS, "test", np.where(validation, "validation", "train"))
            self._made[order] = Timeline(_frames(clips), labels.repeat(CLIP), {"test": _frames(TEST_SHOWN)})
        return self._made[order]


class Repeated:
    """A stimulus that is the same in every trial.

    Args:
        name: what to call it.
        frames: (channel, time, height, width) what is shown in a trial, in units of contrast.
        shown: how it is found in a session.
    """

    def __init__(self, name: str, frames: np.ndarray, shown: Shown) -> None:
        self.movie, self.shown, self._name = Movie(frames, mean=128.0, std=128.0, channels=("green", "UV")), shown, name

    def timeline(self, where: str, order: int, recorded: np.ndarray) -> Timeline:
        """What a session saw, see `NaturalMovie.timeline`. Trials that were not recorded to their end are unused.

        Raises:
            UserError: if no trial was recorded.
        """
        length = len(self.movie)
        parts = length // self.shown.bins  # presentations in a trial
        whole = np.all(recorded[: len(recorded) // parts * parts].reshape(-1, parts), axis=1)
        if not whole.any():
            raise UserError(
                f"{where}: no trial of the {self._name} was recorded from start to end; leave the session out by "
                "sessions=..., or get the file again"
            )
        bins = np.arange(len(whole) * length).reshape(-1, length)
        split = np.where(whole, "test", UNUSED).repeat(length)
        return Timeline(np.tile(np.arange(length), len(whole)), split, {self._name: bins[whole]})


Screen = NaturalMovie | Repeated


def _clips_shown(order: Int64[np.ndarray, " 108"]) -> Int64[np.ndarray, " 123"]:
    """The clip of the movie that is on screen at each place of a session; the last ones are the test clips."""
    clips = np.empty(CLIPS_SHOWN, dtype=np.int64)
    clips[TEST_SHOWN] = TRAIN_CLIPS + np.arange(TEST_CLIPS)
    clips[np.setdiff1d(np.arange(CLIPS_SHOWN), TEST_SHOWN)] = order
    return clips


def _frames(clips: Int64[np.ndarray, "*places clip"]) -> Int64[np.ndarray, "*places frame"]:
    """All frames of clips, one after the other."""
    return (clips[..., None] * CLIP + np.arange(CLIP)).reshape(*clips.shape[:-1], -1)
