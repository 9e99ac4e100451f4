"""What is shown of an object that is a cell's last line, or stands in a dict: a line, without the numbers in it."""

import dataclasses
import importlib
import pkgutil
import typing
from inspect import isclass

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import small_recording
from IPython.lib.pretty import pretty
from torch import nn

import retina_nb as rnb
from retina_nb import analyses, stimuli
from retina_nb.expectations import Verdicts
from retina_nb.models.linear_nonlinear import LinearNonlinear
from retina_nb.representations import WIDE, one_line

SMALL = {"sessions": 2, "cells_per_session": 12, "size": (13, 15)}

# What loaders know of single files on their way to a recording is seen by nobody.
INSIDE = ("retina_nb.loaders.",)


def public_classes():
    """Every class of the package whose name is not private."""
    for module in pkgutil.walk_packages(rnb.__path__, "retina_nb."):
        if module.name.endswith("__main__") or module.name.startswith(INSIDE):
            continue
        for name, one in vars(importlib.import_module(module.name)).items():
            if isclass(one) and one.__module__ == module.name and not name.startswith("_"):
                yield one


# Verdicts are a table to be shown.
RESULTS = [
    one for one in public_classes() if (dataclasses.is_dataclass(one) or issubclass(one, tuple)) and one is not Verdicts
]


def filled(declared):
    """A large value of about the kind that was declared."""
    if hasattr(declared, "dim_str"):
        axes = declared.dim_str.split()
        array = np.full([11] * len(axes), 0.123456789, dtype=np.float32)
        return torch.from_numpy(array) if "torch" in str(declared.array_type) else array
    text = str(declared)
    if "ndarray" in text:
        return np.full((500, 9), 0.123456789)
    if "DataFrame" in text or "Series" in text:
        return pd.DataFrame(np.full((500, 9), 0.123456789))
    if "Mapping" in text or "dict" in text:
        return {f"session {number}": np.full(500, 0.123456789) for number in range(90)}
    if "tuple" in text or "Sequence" in text or "list" in text:
        return tuple(f"session {number}" for number in range(90))
    return {"float": 0.1234567891234, "int": 7, "bool": True}.get(
        getattr(declared, "__name__", ""), "many\nwords " * 90
    )


def is_a_line(text):
    return len(text) <= WIDE and "\n" not in text and "0.1234567" not in text and "tensor(" not in text


@pytest.mark.parametrize("cls", RESULTS, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_every_result_is_a_line(cls):
    names = typing.get_type_hints(cls)
    if issubclass(cls, tuple):
        made = tuple.__new__(cls, map(filled, names.values()))
    else:
        made = object.__new__(cls)
        for field in dataclasses.fields(cls):
            object.__setattr__(made, field.name, filled(names[field.name]))
    text = repr(made)
    assert is_a_line(text), text
    assert text.startswith(f"{cls.__name__}(")
    assert text != f"{cls.__name__}(…)" or hasattr(cls, "_in_words")


def test_all_results_are_looked_at():
    assert len(RESULTS) > 50
    assert {rnb.Recording, rnb.Movie, stimuli.Stimulus, analyses.MostExciting} <= set(RESULTS)


@pytest.fixture(scope="module")
def recordings():
    return {name: small_recording(name, neurons=3, size=(5, 7)) for name in "ab"}


@pytest.fixture(scope="module")
def models(recordings):
    twin = rnb.build_twin("simulated_retina", rnb.load_recordings("simulated", **SMALL))
    return {
        "CoreReadout": twin,
        "Ensemble": rnb.Ensemble([twin, twin]),
        "Truth": rnb.load_truth(**SMALL),
        "StackedCore": twin.core,
        "SessionReadouts": twin.readout,
        "LinearNonlinear": LinearNonlinear.from_config(
            {"neurons": 3, "rank": 1, "history": 5, "frame": [1, 4, 4], "nonlinearity": "softplus"}
        ),
    }


def test_models_are_lines_and_torch_tells_of_their_modules(models):
    for name, model in models.items():
        assert is_a_line(repr(model)), repr(model)
        assert str(model) == repr(model)
        assert repr(model).startswith(f"{name}(")
        assert "parameters" in repr(model)
    twin = models["CoreReadout"]
    for part in ("preset 'simulated_retina'", "sessions", "cells", "2 x 13 x 15 (channel, height, width)", "30 Hz"):
        assert part in repr(twin), repr(twin)
    assert "\n  (core): StackedCore(" in nn.Module.__repr__(twin)
    assert "2 members" in repr(models["Ensemble"])


def test_a_recording_says_what_it_is(recordings):
    line = repr(recordings["a"])
    assert is_a_line(line)
    for part in ("'a'", "3 cells", "30 Hz", "2 x 5 x 7 (channel, height, width)", "spikes/bin"):
        assert part in line, line
    assert "frames of" in repr(recordings["a"].movie)


def test_a_dict_of_recordings_does_not_flood_a_notebook():
    assert len(pretty(rnb.load_recordings("simulated", **SMALL)).splitlines()) <= 3


def test_alone_in_a_notebook_the_text_for_people_is_shown(recordings, models):
    name = "<script>alert(1)</script>"
    odd = dataclasses.replace(recordings["a"], session=name)
    assert "&lt;script&gt;" in odd._repr_html_()
    assert name not in odd._repr_html_()
    assert "trials of" in recordings["a"]._repr_html_() or "splits" in recordings["a"]._repr_html_()
    assert "parameters" in models["CoreReadout"]._repr_html_()


def test_an_audit_is_a_line_and_prints_its_findings(recordings):
    audit = rnb.audit(recordings)
    assert is_a_line(repr(audit))
    assert "3 fine" in repr(audit) or " fine" in repr(audit)
    assert str(audit) == audit.summary()


def test_what_is_made_by_half_has_a_name():
    assert repr(object.__new__(rnb.Recording)) == "Recording(…)"


def test_names_of_several_lines_stay_on_one():
    @one_line
    @dataclasses.dataclass
    class Result:
        session: str

    assert is_a_line(repr(Result("a\nb" * 999)))
