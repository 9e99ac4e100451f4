"""What a function draws, beside the controls of its arguments, while they are dragged."""

import inspect
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import ipywidgets as ipw

from retina_nb.errors import UserError, unknown
from retina_nb.plots.pictures import png
from retina_nb.representations import one_line
from retina_nb.widgets.controls import control
from retina_nb.widgets.look import CLASS, PICTURE, alert, close_all, look, said


@one_line
class Live(ipw.HBox):
    """Controls and a picture; made by `live`.

    Where there is no kernel, as on GitHub or in a converted notebook, readers see the picture.

    Attributes:
        controls: the control of each argument by its name. Setting ``.value`` draws, as dragging does.
        picture: what was drawn last, a PNG in its ``.value``.
        message: why the newest values could not be drawn; empty if they were.
        description: of the picture as it is now, for those who cannot see it.
    """

    def __init__(self, draw: Callable[..., Any], controls: dict[str, ipw.ValueWidget]) -> None:
        self._draw = draw
        self.controls = controls
        self.picture = ipw.Image(format="png", layout={"max_width": "100%", "margin": "0"})
        self.description, self._said = "", ipw.HTML(layout={"height": "0", "margin": "0"})
        self.message = ipw.HTML(layout={"width": "24em", "max_width": "100%", "display": "none"})
        self._lock, self._drawing, self._waiting, self._held = Lock(), False, False, 0
        self._settle(self.values)
        side = ipw.VBox([*controls.values(), self.message], layout={"flex": "1 1 25em", "min_width": "0"})
        # The picture shrinks with the page, and goes above the controls where it would be too small beside them.
        place = {"flex": "1000 1 30em", "min_width": "0", "max_width": "max-content"}
        shown = ipw.VBox([self.picture, self._said], layout=place)
        shown.add_class(PICTURE)
        layout = {"flex_flow": "row wrap-reverse", "align_items": "flex-end", "justify_content": "flex-start"}
        super().__init__([side, shown, look()], layout=layout)
        self.add_class(CLASS)
        for one in controls.values():
            one.observe(self._changed, "value")

    def _in_words(self) -> str:
        return self.description

    @property
    def values(self) -> dict[str, Any]:
        """The arguments as the controls stand."""
        return {name: one.value for name, one in self.controls.items()}

    def redraw(self) -> None:
        """Draw the values as they are now.

        While something is being drawn, it is only noted that there are newer values: of all that come, those that are
        newest when the drawing is done are drawn next.
        """
        with self._lock:
            self._waiting = True
            if self._drawing or self._held:
                return
            self._drawing = True
        try:
            while self._next():
                self._attempt()
        except BaseException:
            self._drawing = False
            raise

    def _changed(self, _: Any) -> None:
        # A control that changes others has them drawn already when its own turn comes.
        if self.values != self._drawn:
            self.redraw()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Many controls can be set inside; only what they are at the end is drawn."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
        if self._waiting:
            self.redraw()

    def _next(self) -> bool:
        """Whether there are values to draw; if not, the drawing is over."""
        with self._lock:
            more, self._waiting = self._waiting, False
            self._drawing = more
        return more

    def _attempt(self) -> None:
        """Draw; what cannot be drawn leaves the old picture and says why."""
        try:
            self._settle(self.values)
        except UserError as error:
            self._say(str(error))
        except Exception as error:
            self._say(f"{type(error).__name__}: {error}")
            raise

    def _settle(self, values: dict[str, Any]) -> None:
        self._drawn = values
        drawn = self._draw(**values)
        self.picture.value = png(drawn)
        self.description = getattr(drawn, "words", "") or f"{_summary(self._draw)}: {_told(self.controls)}"
        self._said.value = said(self.description)
        self._say("")

    def _say(self, sentence: str) -> None:
        if sentence:
            self.message.value = alert(sentence[:1].upper() + sentence[1:])
        elif self.message.value:
            self.message.value = ""
        self.message.layout.display = None if sentence else "none"

    def close(self) -> None:
        """Close it with all that it is made of."""
        close_all(self)
        super().close()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data = super()._repr_mimebundle_(**options) | {"image/png": b64encode(self.picture.value).decode()}
        return data, {"image/png": {"alt": self.description}}


def live(draw: Callable[..., Any], /, **controls: Any) -> Live:
    """Show what a function draws beside controls of its arguments, drawn anew while they are dragged.

    Args:
        draw: called with a value of each control by name, returns a figure, which may be the one it returned before,
            or anything that makes a PNG of itself, as `plots.pictures.Repainted` does.
            Values that it refuses with a `UserError` leave the old picture, and the error's sentence is shown. The
            first line of its docstring describes the picture to those who cannot see it.
        controls: how each argument is controlled: ``(low, high)``, ``(low, high, step)``, a list or dict of choices,
            a bool, a number, a text, or a widget such as `slider` makes. They start at the argument's default.

    Raises:
        UserError: if a control is none of these or no argument of `draw`, an argument has neither control nor default,
            or the first values cannot be drawn.
    """
    known = inspect.signature(draw).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in known.values())
    for name in controls:
        if name not in known and not takes_any:
            raise unknown(f"argument of {_name(draw)}", name, known)
    for name, one in known.items():
        if one.default is one.empty and name not in controls and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL):
            raise UserError(f"{_name(draw)} needs its argument {name!r}: give it a control, or a default")
    return Live(draw, {name: control(name, one, _default(known.get(name))) for name, one in controls.items()})


def _name(draw: Callable[..., Any]) -> str:
    return getattr(draw, "__name__", type(draw).__name__)


def _default(argument: inspect.Parameter | None) -> Any:
    return None if argument is None or argument.default is argument.empty else argument.default


def _summary(draw: Callable[..., Any]) -> str:
    return (inspect.getdoc(draw) or _name(draw)).partition("\n")[0].rstrip(".")


def _told(controls: dict[str, ipw.ValueWidget]) -> str:
    """The values of the controls that are shown, as a reader sees them."""
    shown = {name: one for name, one in controls.items() if one.layout.display != "none"}
    called = {name: getattr(one, "description", "") or name for name, one in shown.items()}
    return ", ".join(f"{called[name]} {getattr(one, 'label', one.value)}" for name, one in shown.items())
