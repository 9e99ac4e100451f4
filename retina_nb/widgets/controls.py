"""Controls of a widget, from how they are declared."""

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import ipywidgets as ipw

from retina_nb.errors import UserError

_STYLE = {"description_width": "8em"}
_LAYOUT = {"width": "24em", "max_width": "100%"}
LIKE_A_SLIDER: dict[str, Any] = {"style": _STYLE, "layout": _LAYOUT}


def slider(
    low: float, high: float, step: float | None = None, *, value: float | None = None, label: str = "", unit: str = ""
) -> ipw.IntSlider | ipw.FloatSlider:
    """A slider that answers while it is dragged; of whole numbers if all that is given is whole.

    Args:
        low, high: its ends.
        step: between values; 1 for whole numbers, a hundredth of the range for others if None.
        value: where it starts; the middle if None.
        label: what is written beside it.
        unit: of the value, written after the label.

    Raises:
        UserError: if the range is empty, or the step or the value is not within it.
    """
    if not low < high:
        raise UserError(f"the slider {label!r} needs a low end below its high one, and {low} is not below {high}")
    if step is not None and not 0 < step <= high - low:
        raise UserError(f"the step of the slider {label!r} must be above 0 and at most {high - low:g}, and is {step}")
    if value is not None and not low <= value <= high:
        raise UserError(f"the slider {label!r} goes from {low} to {high}, and cannot start at {value}")
    whole = all(isinstance(one, Integral) for one in (low, high, step, value) if one is not None)
    step = step or (1 if whole else (high - low) / 100)
    if value is None:
        value = low + step * round((high - low) / 2 / step)
    made = ipw.IntSlider if whole else ipw.FloatSlider
    options = {} if whole else {"readout_format": ".4"}
    text = f"{label} ({unit})" if unit else label
    return made(value, min=low, max=high, step=step, description=text, style=_STYLE, layout=_LAYOUT, **options)


def control(name: str, declared: Any, start: Any = None) -> ipw.ValueWidget:
    """The control for one argument.

    Args:
        name: of the argument; what is written beside the control, with spaces for underscores.
        declared: ``(low, high)`` or ``(low, high, step)`` for a slider, a list of choices or a dict
            ``{label: choice}``, a bool, a number or a text to begin with, or any widget that has a value.
        start: the value to begin with; the first choice or the middle of the slider if None.

    Raises:
        UserError: if no control is declared so, or it cannot begin with that value.
    """
    if isinstance(declared, ipw.ValueWidget):
        return declared
    label = name.replace("_", " ")
    options = {"description": label, "style": _STYLE, "layout": _LAYOUT}
    if isinstance(declared, bool):
        return ipw.Checkbox(declared, indent=False, description=label)
    if isinstance(declared, Integral):
        return ipw.IntText(declared, **options)
    if isinstance(declared, Real):
        return ipw.FloatText(declared, **options)
    if isinstance(declared, str):
        return ipw.Text(declared, continuous_update=False, **options)
    if isinstance(declared, tuple) and len(declared) in (2, 3) and all(isinstance(one, Real) for one in declared):
        return slider(*declared, value=start, label=label)
    if isinstance(declared, Mapping | Sequence) and declared:
        return _choice(label, declared, start, options)
    raise UserError(
        f"the control {name!r} cannot be made of {declared!r}: give (low, high), (low, high, step), a list or dict of "
        "choices, a bool, a number, a text or a widget"
    )


def _choice(label: str, declared: Mapping | Sequence, start: Any, options: dict[str, Any]) -> ipw.Dropdown:
    choices = list(declared.items()) if isinstance(declared, Mapping) else [(str(one), one) for one in declared]
    values = [choice for _, choice in choices]
    if start is not None and start not in values:
        raise UserError(f"the control {label!r} offers {', '.join(map(str, values))}, and cannot start at {start!r}")
    # By its place, since to ipywidgets a value of None is no choice at all.
    return ipw.Dropdown(options=choices, index=0 if start is None else values.index(start), **options)
