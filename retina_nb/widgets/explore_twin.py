"""What a twin says a neuron does, while the stimulus is dragged."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import ipywidgets as ipw
import numpy as np

from retina_nb.analyses.preview import Preview, preview, preview_recorded
from retina_nb.analyses.receptive_fields.centers import fields_in_noise, known_centers, polarities
from retina_nb.analyses.subjects import subject
from retina_nb.errors import UserError
from retina_nb.plots.preview import PreviewFigure
from retina_nb.recording import Recording, by_name
from retina_nb.stimuli import Screen
from retina_nb.stimuli.menu import parameters_of, stimulus_by_name, stimulus_names
from retina_nb.widgets.controls import control, slider
from retina_nb.widgets.live import Live
from retina_nb.widgets.mosaic import Mosaic

_RECORDED, _RECORDED_SECONDS = "recorded movie", 4.0


def explore_twin(
    twin: Any, recordings: Recording | Mapping[str, Recording] | None = None, *, truth: Any = None
) -> Live:
    """Choose a neuron and a stimulus, drag the stimulus's parameters, and see what the twin says the neuron does.

    A neuron is chosen by number, or by a click on its receptive field in the map of the session, where its color says
    whether it is ON, OFF or both. Spots, annuli and
    bars are where its receptive field is, and can be moved from there.

    Args:
        twin: a twin, ensemble or baseline.
        recordings: recordings of its sessions; the movie that was repeated to the cells is then offered, too, with
            what they did.
        truth: a model of the truth, as ``load_truth()`` gives it for the twin of the simulated retina; what it says is
            drawn beside the twin's response.

    Raises:
        UserError: if the twin does not know its screen or neurons.
    """
    return _Explorer(twin, by_name(recordings) if recordings else {}, truth).widget


class _Explorer:
    """What the controls of `explore_twin` stand for."""

    def __init__(self, twin: Any, recordings: Mapping[str, Recording], truth: Any) -> None:
        self.twin, self.recordings, self.truth = twin, recordings, truth
        self.screen = Screen.of(twin)
        everyone = subject(twin)
        counts = everyone.table()["session"].value_counts(sort=False)
        self.counts = {str(name): int(count) for name, count in counts.items()}
        self.figure = PreviewFigure(self.screen.size, everyone.channels)
        self.preview, self.places = lru_cache(maxsize=16)(self._preview), lru_cache(maxsize=None)(self._places)
        self.controls = self._controls(everyone.channels)
        self.mosaic = Mosaic(lambda neuron: setattr(self.controls["neuron"], "value", neuron))
        self._enter_session()
        self._offer_parameters()
        # Before the picture is drawn: what there is to choose must be right by then.
        self.controls["session"].observe(lambda _: self._enter_session(), "value")
        self.controls["neuron"].observe(lambda change: self.mosaic.mark(change.new), "value")
        self.controls["stimulus"].observe(lambda _: self._offer_parameters(), "value")
        self.widget = Live(self.draw, self.controls)
        side = self.widget.children[0]
        hint = ipw.HTML("or click on its receptive field:", layout={"margin": "0 2px"})
        who, what = [*side.children[:2], hint, self.mosaic], side.children[2:]
        # Beside each other where there is room.
        column = {"flex": "0 1 auto", "min_width": "0", "max_width": "100%"}
        side.children = [ipw.VBox(one, layout=column) for one in (who, what)]
        side.layout.flex_flow, side.layout.align_content = "row wrap", "flex-start"

    def draw(self, session: str, neuron: int, stimulus: str, time: float, **values: Any) -> Any:
        """A stimulus and the predicted response of a neuron to it."""
        chosen = {name: values[name] for name in self._parameters(stimulus)}
        seen = self.preview(session, neuron, stimulus, **chosen)
        self.controls["time"].max = max(seen.seconds[-1], 1 / seen.rate)
        place = self.places(session)[0][neuron].tolist()
        return self.figure.show(seen, place=place, at=time, words=self._label(session, neuron).replace(", ", "\n", 1))

    def _preview(self, session: str, neuron: int, stimulus: str, **values: Any) -> Preview:
        if stimulus == _RECORDED:
            if session not in self.recordings:
                raise UserError(f"there is no recording of session {session}: choose another stimulus or session")
            options = {"neuron": neuron, "seconds": _RECORDED_SECONDS, "truth": self.truth, **values}
            return preview_recorded(self.twin, self.recordings[session], **options)
        place = tuple(self.places(session)[0][neuron].tolist())
        shown = stimulus_by_name(stimulus, self.screen, place=place, **values)
        return preview(self.twin, shown, session=session, neuron=neuron, truth=self.truth)

    def _places(self, session: str) -> tuple[np.ndarray, list[str]]:
        """Where the neurons of a session look (neuron, 2), and for what: ON, OFF or ON-OFF."""
        found = fields_in_noise(subject(self.twin, session=session))
        return known_centers(found), polarities(found)

    def _label(self, session: str, neuron: int) -> str:
        if session in self.recordings:
            return self.recordings[session].label(neuron)
        kind = "" if self.truth is None else f": {self.truth.neurons(session)['type'][neuron]}"
        return f"{session}, neuron {neuron}{kind}"

    def _parameters(self, stimulus: str) -> tuple[str, ...]:
        return ("start",) if stimulus == _RECORDED else parameters_of(stimulus)

    def _enter_session(self) -> None:
        session, neuron = self.controls["session"].value, self.controls["neuron"]
        labels = [self._label(session, one) for one in range(self.counts[session])]
        chosen = min(neuron.value or 0, len(labels) - 1)
        self.mosaic.place(*self.places(session), labels, chosen)
        neuron.max = len(labels) - 1

    def _offer_parameters(self) -> None:
        wanted = {"session", "neuron", "stimulus", "time", *self._parameters(self.controls["stimulus"].value)}
        for name, one in self.controls.items():
            one.layout.display = None if name in wanted else "none"

    def _controls(self, channels: list[str]) -> dict[str, ipw.ValueWidget]:
        pixel, rate = self.screen.pixel_um, self.screen.rate
        short = min(self.screen.size) * pixel
        colours = {"all channels": (1.0,) * len(channels)}
        if len(channels) > 1:
            colours |= {name: tuple(float(one == name) for one in channels) for name in channels}
        recorded = [_RECORDED] if self.recordings else []

        def um(label: str, low: float, high: float, value: float, step: float = pixel / 2, unit: str = "µm") -> Any:
            return slider(low, high, step, value=float(np.clip(value, low, high)), label=label, unit=unit)

        return {
            "session": control("session", list(self.counts)),
            "neuron": slider(0, max(self.counts.values()) - 1, value=0, label="neuron"),
            "stimulus": control("stimulus", [*stimulus_names(), *recorded], "spot"),
            "contrast": slider(-1.0, 1.0, 0.05, value=1.0, label="contrast"),
            "diameter": um("diameter", pixel, short, 300.0),
            "inner": um("inner", 0.0, short, 300.0),
            "outer": um("outer", pixel, short, 700.0),
            "direction": slider(0, 345, 15, value=0, label="direction", unit="°"),
            "speed": um("speed", 2 * pixel, 60 * pixel, 1000.0, pixel, "µm/s"),
            "width": um("width", pixel, short, 400.0),
            "length": um("length", pixel, short, 300.0),
            "wavelength": um("wavelength", 2 * pixel, 2 * short, 400.0, pixel),
            "frequency": slider(0.5, min(10.0, rate / 2), 0.5, value=2.0, label="frequency", unit="Hz"),
            "phase": slider(0, 345, 15, value=0, label="phase", unit="°"),
            "down": um("down", -short / 2, short / 2, 0.0),
            "right": um("right", -short / 2, short / 2, 0.0),
            "stixel": slider(1, max(2, min(self.screen.size) // 3), value=2, label="stixel", unit="pixels"),
            "seed": slider(0, 99, value=0, label="seed"),
            "colour": control("color", colours),
            "start": slider(0.0, 30.0, 0.5, value=0.0, label="start", unit="s"),
            "time": slider(0.0, 3.0, 1 / rate, value=1.0, label="frame at", unit="s"),
        }
