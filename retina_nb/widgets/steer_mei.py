"""The ascent to a neuron's most exciting input, to watch, stop, steer and resume."""

import asyncio
from dataclasses import replace
from html import escape
from numbers import Real
from typing import Any

import ipywidgets as ipw
import numpy as np

from retina_nb.analyses import Constraint, MostExciting
from retina_nb.analyses.subjects import subject
from retina_nb.errors import UserError
from retina_nb.plots.climb import ClimbFigure
from retina_nb.plots.pictures import Repainted
from retina_nb.widgets.climb import Climb
from retina_nb.widgets.controls import LIKE_A_SLIDER, control, slider
from retina_nb.widgets.live import Live


def steer_mei(
    twin: Any,
    *,
    session: str | None = None,
    neuron: int = 0,
    constraint: Constraint | None = None,
    steps: int = 12,
    seed: int = 0,
) -> "SteerMei":
    """Watch a stimulus grow to what excites a neuron most; stop it, change its constraints, go on from there, keep it.

    Args:
        twin: a twin, ensemble or truth.
        session: whose neuron is chosen at first; the first session's if None.
        neuron: its number there.
        constraint: what the stimulus is held to at first; a norm of 30 if None.
        steps: how many are taken before the widget is shown, for those who see it without a kernel.
        seed: of the noise it starts from.

    Raises:
        UserError: if there is no such session or neuron, or the stimulus cannot be held to the constraint.
    """
    first = session or subject(twin).table()["session"][0]
    subject(twin, session=first, neurons=neuron)
    return SteerMei(twin, first, neuron, constraint or Constraint(), steps=steps, seed=seed)


class SteerMei(Live):
    """Controls of an ascent and a picture of where it is; made by `steer_mei`.

    Attributes:
        kept: what was kept.
        climb: the ascent as it stands.
        controls: of the neuron and the constraints. What is set while the ascent runs holds from the next step on.
        run, again, keep: the buttons. A press of `run` starts, stops and resumes.
        state: what the ascent does.
        limits: what the stimulus is held to now, in words.
    """

    def __init__(self, model: Any, session: str, neuron: int, constraint: Constraint, *, steps: int, seed: int) -> None:
        self._model, self._base, self._seed, self._running = model, constraint, seed, False
        self._whose: tuple[str, int, bool, int] = ("", 0, False, 0)  # the ascent's session, neuron, suppress and seed
        self.kept: list[MostExciting] = []
        controls = _of_neuron(model, session, neuron) | _of_constraint(model, constraint)
        self._follow(**{name: one.value for name, one in controls.items()})
        for _ in range(steps):
            self.climb.step()
        self._figure = ClimbFigure(self.climb.made)
        self.run = _button("7em", icon="play", button_style="primary", tooltip="climb, stop, and go on from there")
        self.again = _button("9em", description="From noise", icon="random", tooltip="climb again, from other noise")
        self.keep = _button("7em", description="Keep", icon="bookmark", tooltip="add what is reached to the list .kept")
        within = {"width": "24em", "max_width": "100%"}
        self.state, self._list, self.limits = ipw.HTML(), ipw.HTML(layout=within), ipw.HTML(layout=within)
        super().__init__(self._show, controls)
        side = self.children[0]
        buttons = ipw.HBox([self.run, self.again, self.keep])
        side.children = [buttons, self.state, *side.children, self.limits, self._list]
        self.run.on_click(lambda _: self.stop() if self._running else self.start())
        self.again.on_click(lambda _: self._from_noise())
        self.keep.on_click(lambda _: self._keep())
        self.stop()

    def start(self) -> None:
        """Climb on, a step after the other, until it has converged or is stopped. Needs a running event loop."""
        if not self._running:
            self._running = True
            self._tell("climbing", "Stop", "stop")
            self._task = asyncio.get_running_loop().create_task(self._climb_on())

    def stop(self) -> None:
        """Climb no further; where it is stays."""
        self._running = False
        self._tell("stopped" if len(self.climb.path) > 1 else "noise", "Climb", "play")

    async def _climb_on(self) -> None:
        try:
            while self._running:
                if not self._step():
                    self.stop()
                    self._tell("converged: change something to go on", "Climb", "play")
                # Between two steps the kernel hears what was pressed and dragged meanwhile.
                await asyncio.sleep(0.001)
        finally:
            if self._running:
                self.stop()

    def _step(self) -> bool:
        """Take a step and draw it; False if there is none to take."""
        try:
            moved = self.climb.step()
        except UserError as error:
            self._say(str(error))
            return False
        self.redraw()
        return moved

    def _show(self, **values: Any) -> Repainted:
        """The stimulus, the response to it, and the activation of the neuron after each step."""
        self._follow(**values)
        climb = self.climb
        session, neuron = self._whose[:2]
        self.limits.value = f'<div style="line-height:1.4;white-space:normal">{escape(_held(climb.constraint))}</div>'
        return self._figure.show(climb.made, climb.path, turns=climb.turns, title=f"{session}, neuron {neuron}")

    def _follow(self, session: str, neuron: int, suppress: bool, **limits: float) -> None:
        """Have the ascent that the controls ask for: another neuron's from noise, else this one where it is."""
        constraint = self._constraint(limits)
        whose = (session, neuron, suppress, self._seed)
        if whose != self._whose:
            climb = Climb(self._model, session, neuron, constraint, suppress=suppress, seed=self._seed)
            self.climb, self._whose = climb, whose
        self.climb.turn(constraint)

    def _constraint(self, values: dict[str, float]) -> Constraint:
        held: dict[str, Any] = {name: None if value == np.inf else value for name, value in values.items()}
        contrast = held.pop("contrast")
        if contrast is not None:
            held |= {"low": -contrast, "high": contrast}
        elif not _has_own_limits(self._base):
            held |= {"low": None, "high": None}
        return replace(self._base, **held)

    def _from_noise(self) -> None:
        self._seed += 1
        self.redraw()
        self.start()

    def _keep(self) -> None:
        self.kept.append(self.climb.made)
        session, neuron = self._whose[:2]
        norm = np.linalg.norm(self.climb.made.stimuli)
        score = self.climb.made.scores[0] * self.climb.made.rate
        line = f"{session}, neuron {neuron}, norm {norm:.3g}: {score:.3g} events per second"
        self._list.value += (
            f'<div style="line-height:1.4;white-space:normal">kept [{len(self.kept) - 1}] {escape(line)}</div>'
        )

    def _tell(self, state: str, button: str, icon: str) -> None:
        self.state.value, self.run.description, self.run.icon = state, button, icon


def _button(width: str, **options: Any) -> ipw.Button:
    return ipw.Button(layout={"width": width}, **options)


def _of_neuron(model: Any, session: str, neuron: int) -> dict[str, ipw.ValueWidget]:
    counts = model.about["neurons"]
    of_session = control("session", sorted(counts), session)
    of_neuron = slider(0, max(counts[session] - 1, 1), value=neuron, label="neuron")
    of_neuron.max = counts[session] - 1
    # Before anything is drawn, so that there is no moment at which the session has no such neuron.
    of_session.observe(lambda change: setattr(of_neuron, "max", counts[change["new"]] - 1), "value")
    return {"session": of_session, "neuron": of_neuron, "suppress": control("suppress", False)}


def _of_constraint(model: Any, start: Constraint) -> dict[str, ipw.ValueWidget]:
    """Sliders of what a stimulus is held to. The last value of each limit, infinity, is none."""
    chosen = subject(model)
    contrast = None if _has_own_limits(start) else start.high
    none = "as given" if _has_own_limits(start) else "no limit"
    made: dict[str, ipw.ValueWidget] = {}
    if start.norm is not None:
        made["norm"] = slider(1.0, max(60.0, 2 * start.norm), 0.5, value=start.norm, label="norm")
    made["contrast"] = _limit("largest contrast", "", 0.1, 3.0, 0.1, contrast, none)
    made["time_cutoff"] = _limit("fastest", "Hz", 1.0, chosen.rate / 2, 0.5, start.time_cutoff)
    if chosen.pixel_um:
        pixel = chosen.pixel_um
        far = pixel * float(np.hypot(*chosen.stimulus_shape[1:]))
        made["space_cutoff"] = _limit("finest", "1/mm", 0.5, 500 / pixel, 0.5, start.space_cutoff)
        made["radius_um"] = _limit("radius", "µm", pixel, far, pixel / 2, start.radius_um)
    made["sparsity"] = slider(0.0, 1.0, 0.01, value=start.sparsity or 0.0, label="sparsity")
    return made


def _limit(
    label: str, unit: str, low: float, high: float, step: float, value: Any, none: str = "no limit"
) -> ipw.SelectionSlider:
    """A slider of a limit that ends in a word, where it is infinite; it has the value that it starts with."""
    values = [float(one) for one in np.arange(low, high + step / 2, step).round(6)]
    if value is not None:
        values = sorted({*values, float(value)})
    options = [(f"{one:g}", one) for one in values] + [(none, np.inf)]
    text = f"{label} ({unit})" if unit else label
    return ipw.SelectionSlider(
        options=options, index=len(values) if value is None else values.index(value), description=text, **LIKE_A_SLIDER
    )


def _has_own_limits(constraint: Constraint) -> bool:
    """Whether it limits contrasts otherwise than to as much above gray as below, which is what the slider can say."""
    low, high = constraint.low, constraint.high
    if low is None and high is None:
        return False
    return not (isinstance(low, Real) and isinstance(high, Real) and low == -high)


def _held(constraint: Constraint) -> str:
    """What a stimulus is held to, in words."""
    words = {
        "norm": "norm {:g}",
        "time_cutoff": "nothing faster than {:g} Hz",
        "space_cutoff": "nothing finer than {:g} cycles/mm",
        "radius_um": "nothing farther than {:g} µm",
        "sparsity": "sparsity {:g}",
    }
    held = {name: getattr(constraint, name) for name in words}
    parts = [words[name].format(value) for name, value in held.items() if value]
    if constraint.low is not None or constraint.high is not None:
        low, high = ("any" if one is None else one for one in (constraint.low, constraint.high))
        parts.insert(1, f"contrasts from {low} to {high}")
    return f"The stimulus is held to: {', '.join(parts)}."
