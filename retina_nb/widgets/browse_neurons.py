"""Neurons of a twin by their scores, each with what is known of it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import ipywidgets as ipw
import numpy as np
import pandas as pd

from retina_nb.analyses import Constraint, MostExciting, bar_direction_tuning, chirp_responses, most_exciting_inputs
from retina_nb.analyses.receptive_fields import ReceptiveFields, operating_points, receptive_fields
from retina_nb.analyses.subjects import subject
from retina_nb.errors import UserError
from retina_nb.evaluation import predict
from retina_nb.plots.neurons import KnownNeuron, NeuronFigure
from retina_nb.plots.pictures import Repainted
from retina_nb.plots.recordings import Prediction
from retina_nb.recording import Recording, by_name
from retina_nb.widgets.live import Live
from retina_nb.widgets.table import Table

# What tells most, as far as the scores have it; cc_max is the ceiling of the correlation.
_COLUMNS = ("session", "neuron", "type", "cc_norm", "linear_nonlinear_cc_norm", "correlation", "cc_max")
_PAUSE = 0.02  # s, in which the kernel hears what is pressed
_POINTS = 8  # stimuli at which the receptive field is taken


def browse_neurons(
    scores: pd.DataFrame,
    twin: Any,
    recordings: Recording | Mapping[str, Recording] | None = None,
    *,
    sort_by: str | None = "cc_norm",
    constraint: Constraint | None = None,
) -> "BrowseNeurons":
    """A table of neurons to sort and filter, and beside it all that is known of the one that is chosen.

    It shows the receptive field, the tuning to directions, the response to the chirp, the recorded trace with what the
    twin predicts, and, once it is asked for, the most exciting input.

    Args:
        scores: a row for each neuron with ``session`` and ``neuron``, as from `retina_nb.evaluate`.
        twin: a twin, ensemble or truth.
        recordings: of the neurons' sessions. Without them there is no trace, and receptive fields are taken at a grey
            screen, at which cells of both polarities have none.
        sort_by: the column by which neurons are sorted at first, the largest on top.
        constraint: what most exciting inputs are held to; a norm of 30 if None.

    Raises:
        UserError: if there are no scores, a column is missing, or a neuron is unknown to the twin.
    """
    for name in ("session", "neuron"):
        if name not in scores:
            raise UserError(f"the scores have no column {name!r}: give a row for each neuron, as from rnb.evaluate")
    for session, part in scores.groupby("session"):
        subject(twin, session=str(session), neurons=part["neuron"])
    return BrowseNeurons(
        scores.reset_index(drop=True), twin, by_name(recordings) if recordings else {}, sort_by, constraint
    )


class BrowseNeurons(Live):
    """A table of neurons and a picture of the chosen one; made by `browse_neurons`.

    Attributes:
        table: the table; its `value` is the chosen row of the scores.
        find: the button that looks for the chosen neuron's most exciting input.
        found: the most exciting inputs so far, by (session, neuron).
    """

    def __init__(
        self,
        scores: pd.DataFrame,
        twin: Any,
        recordings: Mapping[str, Recording],
        sort_by: str | None,
        constraint: Constraint | None,
    ) -> None:
        self._scores, self._twin, self._recordings, self._constraint = scores, twin, recordings, constraint
        self.found: dict[tuple[str, int], MostExciting] = {}
        self._figure = NeuronFigure()
        # What is asked for once is kept; the tuning of a whole session takes no longer than that of one neuron.
        self._field = cache(self._find_field)
        self._directions = cache(lambda session: _or_none(bar_direction_tuning, twin, session))
        self._chirps = cache(lambda session: _or_none(chirp_responses, twin, session))
        self._predicted = cache(self._predict)
        columns = [name for name in _COLUMNS if name in scores]
        self.table = Table(scores, columns, sort_by=sort_by if sort_by in scores else None)
        self.find = ipw.Button(description="Most exciting input", icon="search", layout={"width": "14em"})
        super().__init__(self._show, {"row": self.table})
        self.find.on_click(lambda _: self._find())
        side = self.children[0]
        side.children = [*side.children, self.find]
        self.table.observe(lambda _: self._offer(), "value")
        with suppress(RuntimeError):  # without an event loop, as in a script, there is no time in between
            self._ahead = asyncio.get_running_loop().create_task(self._prepare())

    @property
    def chosen(self) -> tuple[str, int]:
        """The chosen neuron's session, and its number there."""
        row = self._scores.iloc[self.table.value]
        return str(row["session"]), int(row["neuron"])

    def _show(self, row: int) -> Repainted:
        """The chosen neuron's receptive field, tuning, trace and most exciting input."""
        session, neuron = self.chosen
        scores = self._scores.iloc[row]
        numbers = [f"{name} {scores[name]:.2f}" for name in ("cc_norm", "cc_max") if name in scores]
        kind = [str(scores["type"])] if "type" in scores else []
        known = KnownNeuron(
            self._field(session, neuron),
            subject(self._twin).channels,
            neuron,
            directions=self._directions(session),
            chirps=self._chirps(session),
            prediction=self._trace(session, neuron),
            exciting=self.found.get((session, neuron)),
            title=", ".join([session, f"neuron {neuron}", *kind, *numbers]),
        )
        return self._figure.show(known)

    async def _prepare(self) -> None:
        """Find what neurons of all sessions may be asked for, bit by bit, while nobody asks.

        What cannot be found is told when it is asked for.
        """
        for session in dict.fromkeys(self._scores["session"].astype(str)):
            for find in (self._directions, self._chirps, self._predicted):
                await asyncio.sleep(_PAUSE)
                with suppress(Exception):
                    find(session)

    def _find_field(self, session: str, neuron: int) -> ReceptiveFields:
        recording, points = self._recordings.get(session), None
        if recording is not None:
            split = "validation" if "validation" in recording.split else "train"
            points = operating_points(recording, self._twin.lag, stimuli=_POINTS, split=split)
        return receptive_fields(self._twin, points, session=session, neurons=neuron)

    def _predict(self, session: str) -> tuple[str, np.ndarray] | None:
        """The session's longest repeated stimulus, and what all neurons are predicted to do (time_out, neuron)."""
        recording = self._recordings.get(session)
        if recording is None or not recording.repeats:
            return None
        name = max(recording.repeats, key=lambda one: recording.repeats[one].shape[1])
        return name, predict(self._twin, recording.stimulus(name), session)

    def _trace(self, session: str, neuron: int) -> Prediction | None:
        predicted = self._predicted(session)
        if predicted is None:
            return None
        name, rates = predicted
        trials = self._recordings[session].trials(name)[:, :, neuron]
        return Prediction(f"the end of {name!r}, {len(trials)} trials", trials, {"twin": rates[:, neuron]})

    def _find(self) -> None:
        """Look for the chosen neuron's most exciting input, and show it from now on."""
        session, neuron = self.chosen
        self.find.disabled, self.find.description = True, "climbing ..."
        try:
            self.found[session, neuron] = most_exciting_inputs(
                self._twin, session=session, neurons=neuron, constraints=self._constraint
            )
            self.redraw()
        except UserError as error:
            self._say(str(error))
        finally:
            self._offer()

    def _offer(self) -> None:
        self.find.description, self.find.disabled = "Most exciting input", self.chosen in self.found


def _or_none(experiment: Callable[..., Any], twin: Any, session: str) -> Any:
    """What an experiment gives; None if the twin cannot take part, as in those in µm if its pixels' size is unknown."""
    try:
        return experiment(twin, session=session)
    except UserError:
        return None
