"""What widgets are made of is what every front end has at hand.

JupyterLab, Notebook and Voilà come with ipywidgets' own classes, and so does VS Code's Jupyter extension; others it
would load from elsewhere, after asking, if at all.
"""

import gc

import ipywidgets as ipw
import numpy as np
import pytest
from helpers import small_recording
from ipywidgets.embed import dependency_state
from sweep_folders import write_run

import retina_nb as rnb
from retina_nb import plots, widgets
from retina_nb.widgets.table import Table

EVERYWHERE = {"@jupyter-widgets/base", "@jupyter-widgets/controls", "@jupyter-widgets/output"}


def wave(height=0.5, shape="sine", filled=False):
    """A wave."""
    return plots.style.figure(size=(2, 1))[0]


def browse_sweep(twin, folder):
    write_run(folder, "one", {"rate": 0.1}, {"score": 0.5})
    return widgets.browse_sweep(folder)


def browse_neurons(twin, folder):
    recordings = {name: small_recording(name, neurons=count, size=(5, 7)) for name, count in {"a": 3, "b": 2}.items()}
    return widgets.browse_neurons(rnb.evaluate(twin, recordings, baseline=None), twin, recordings)


MADE = {
    "live": lambda *_: widgets.live(wave, height=(0.0, 1.0), shape=["sine", "saw"], filled=True),
    "play": lambda *_: widgets.play(np.zeros((2, 20, 5, 7), np.float32)),
    "explore_twin": lambda twin, _: widgets.explore_twin(twin),
    "steer_mei": lambda twin, _: widgets.steer_mei(twin, steps=1),
    "browse_neurons": browse_neurons,
    "browse_sweep": browse_sweep,
}


def test_every_widget_is_looked_at():
    assert MADE.keys() == {name for name in widgets.__all__ if name.islower()} - {"slider"}


def alive():
    gc.collect()
    return len(ipw.widgets.widget._instances)


@pytest.mark.parametrize("name", MADE)
def test_a_widget_that_is_used_does_not_grow_and_leaves_nothing(name, twin, tmp_path):
    before = alive()
    made = MADE[name](twin, tmp_path)
    counts = []
    for number in range(3):
        for one in made.controls.values():
            _turn(one, number)
        counts.append(alive())
    assert len(set(counts)) == 1, counts
    made.close()
    assert alive() == before


def _turn(one, number):
    """Give a control another value."""
    if isinstance(one, Table):
        one.sort_by.index = number % len(one.sort_by.options)
        one.rows.index = number % len(one.rows.options)
    elif hasattr(one, "options"):
        one.index = number % len(one.options)
    elif hasattr(one, "max"):
        one.value = one.min if number % 2 else one.max
    else:
        one.value = bool(number % 2)


@pytest.mark.parametrize("name", MADE)
def test_a_widget_is_made_of_what_every_front_end_has(name, twin, tmp_path):
    models = dependency_state(MADE[name](twin, tmp_path), drop_defaults=False).values()
    assert len(models) > 5
    assert {model["model_module"] for model in models} <= EVERYWHERE
    assert {model["state"]["_view_module"] for model in models} <= EVERYWHERE
