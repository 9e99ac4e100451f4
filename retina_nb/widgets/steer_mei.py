"""The ascent to a neuron's most exciting input, to watch, stop, steer and resume."""

import asyncio
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets as ipw
import numpy as np

from retina_nb.analyses import Constraint, MostExciting
from retina_nb.analyses.subjects import subject
from retina_nb.errors import UserError
from retina_nb.plots.climb import ClimbFigure
from retina_nb.plots.pictures import Repainted
from retina_nb.widgets.climb import Climb
from retina_nb.widgets.controls import control, slider
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
    """

    def __init__(self, model: Any, session: str, neuron: int, constraint: Constraint, *, steps: int, seed: int) -> None:
        self._model, self._base, self._seed, self._running = model, constraint, seed, False
        self._whose: tuple[str, int, bool, int] = ("", 0, False, 0)  # the ascent's session, neuron, suppress and seed
        self.kept: list[MostExciting] = []
        controls = _of_neuron(model, session, neuron) | _of_constraint(model, constraint)
        # Fully right is no constraint.
        self._none = {name: controls[name].max for name in _LIMITS if name in controls}
        self._follow(**{name: one.value for name, one in controls.items()})
        for _ in range(steps):
            self.climb.step()
        self._figure = ClimbFigure(self.climb.made)
        self.run = _button("7em", icon="play", button_style="primary", tooltip="climb, stop, and go on from there")
        self.again = _button("9em", description="From noise", icon="random", tooltip="climb again, from other noise")
        self.keep = _button("7em", description="Keep", icon="bookmark", tooltip="add what is reached to the list .kept")
        self.state, self._list = ipw.HTML(), ipw.HTML(layout={"width": "24em"})
        super().__init__(self._show, controls)
        side = self.children[0]
        note = ipw.HTML('<span style="color:gray">limits that are fully right do not hold</span>')
        side.children = [ipw.HBox([self.run, self.again, self.keep]), self.state, *side.children, note, self._list]
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
        kept: dict[str, Any] = {
            name: None if value >= self._none.get(name, np.inf) else value for name, value in values.items()
        }
        contrast = kept.pop("contrast")
        if contrast is not None:
            kept |= {"low": -contrast, "high": contrast}
        return replace(self._base, **kept)

    def _from_noise(self) -> None:
        self._seed += 1
        self.redraw()
        self.start()

    def _keep(self) -> None:
        self.kept.append(self.climb.made)
        session, neuron = self._whose[:2]
        norm = np.linalg.norm(self.climb.made.stimuli)
        line = f"{session}, neuron {neuron}, norm {norm:.3g}: {self.climb.made.scores[0]:.2f} events / bin"
        self._list.value += (
            f'<div style="line-height:1.4;white-space:normal">kept [{len(self.kept) - 1}] {escape(line)}</div>'
        )

    def _tell(self, state: str, button: str, icon: str) -> None:
        self.state.value, self.run.description, self.run.icon = state, button, icon


def _button(width: str, **options: Any) -> ipw.Button:
    return ipw.Button(layout={"width": width}, **options)


_LIMITS = ("contrast", "time_cutoff", "space_cutoff", "radius_um")


def _of_neuron(model: Any, session: str, neuron: int) -> dict[str, ipw.ValueWidget]:
    counts = model.about["neurons"]
    of_session = control("session", sorted(counts), session)
    of_neuron = slider(0, max(counts[session] - 1, 1), value=neuron, label="neuron")
    of_neuron.max = counts[session] - 1
    # Before anything is drawn, so that there is no moment at which the session has no such neuron.
    of_session.observe(lambda change: setattr(of_neuron, "max", counts[change["new"]] - 1), "value")
    return {"session": of_session, "neuron": of_neuron, "suppress": control("suppress", False)}


def _of_constraint(model: Any, start: Constraint) -> dict[str, ipw.ValueWidget]:
    """Sliders of what a stimulus is held to; those that limit something are fully right where they do not."""
    chosen = subject(model)
    limits = {
        "contrast": (0.1, 3.0, 0.1, None, "largest contrast", ""),
        "time_cutoff": (1.0, chosen.rate / 2, 0.5, start.time_cutoff, "fastest", "Hz"),
    }
    if chosen.pixel_um:
        finest, far = 500 / chosen.pixel_um, chosen.pixel_um * float(np.hypot(*chosen.stimulus_shape[1:]))
        limits["space_cutoff"] = (0.5, finest, 0.5, start.space_cutoff, "finest", "1/mm")
        limits["radius_um"] = (chosen.pixel_um, far, chosen.pixel_um / 2, start.radius_um, "radius", "µm")
    made = {}
    if start.norm is not None:
        made["norm"] = slider(1.0, max(60.0, 2 * start.norm), 0.5, value=start.norm, label="norm")
    for name, (low, high, step, value, label, unit) in limits.items():
        top = low + step * np.ceil((max(high, value or high) - low) / step)
        made[name] = slider(low, float(top), step, value=float(value or top), label=label, unit=unit)
    made["sparsity"] = slider(0.0, 1.0, 0.01, value=start.sparsity or 0.0, label="sparsity")
    return made
