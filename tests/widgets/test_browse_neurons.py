import pandas as pd
import pytest
from helpers import small_recording

import retina_nb as rnb
from retina_nb import UserError
from retina_nb.analyses import Constraint
from retina_nb.widgets import browse_neurons


@pytest.fixture(scope="module")
def recordings():
    return {name: small_recording(name, neurons=count, size=(5, 7)) for name, count in {"a": 3, "b": 2}.items()}


@pytest.fixture(scope="module")
def scores(twin, recordings):
    return rnb.evaluate(twin, recordings, baseline=None)


def test_the_best_neuron_is_shown_first_and_another_when_it_is_chosen(twin, recordings, scores):
    shown = browse_neurons(scores, twin, recordings, sort_by="correlation")
    best = scores.loc[scores["correlation"].idxmax()]
    assert shown.chosen == (best["session"], best["neuron"])
    first = shown.picture.value
    shown.table.rows.value = next(row for _, row in shown.table.rows.options if row != shown.table.value)
    assert shown.picture.value != first
    assert shown.message.value == ""


def test_the_table_has_scores_and_ceilings(twin, recordings, scores):
    shown = browse_neurons(scores, twin, recordings)
    for name in ("session", "neuron", "cc_norm", "correlation", "cc_max"):
        assert name in shown.table.header.value
    shown.table.where.value = "session == 'b'"
    assert {shown._scores["session"][row] for _, row in shown.table.rows.options} == {"b"}
    assert shown.chosen[0] == "b"


def test_the_most_exciting_input_is_looked_for_when_asked_and_kept(twin, recordings, scores):
    shown = browse_neurons(scores, twin, recordings, constraint=Constraint(norm=3))
    assert shown.found == {}
    first, before = shown.table.value, shown.picture.value
    shown.find.click()
    with_input = shown.picture.value
    assert with_input != before
    assert shown.found.keys() == {shown.chosen}
    assert shown.find.disabled
    shown.table.rows.value = next(row for _, row in shown.table.rows.options if row != first)
    assert not shown.find.disabled
    shown.table.rows.value = first
    assert shown.picture.value == with_input
    assert shown.find.disabled


def test_scores_alone_will_do(twin):
    scores = pd.DataFrame({"session": ["b", "a"], "neuron": [1, 2], "cc_norm": [0.25, 0.5]})
    shown = browse_neurons(scores, twin)
    assert shown.chosen == ("a", 2)
    assert "image/png" in shown._repr_mimebundle_()[0]


def test_a_twin_whose_pixels_have_no_known_size_is_shown_without_its_tuning(twin, monkeypatch):
    monkeypatch.setitem(twin.about, "pixel_um", None)
    scores = pd.DataFrame({"session": ["b", "a"], "neuron": [1, 2]})
    shown = browse_neurons(scores, twin, sort_by=None)
    assert shown.chosen == ("b", 1)
    assert shown._directions("b") is shown._chirps("b") is None
    before = shown.picture.value
    shown.find.click()
    assert shown.picture.value != before


@pytest.mark.parametrize(
    ("scores", "sentence"),
    [
        ({"neuron": [0]}, "no column 'session'"),
        ({"session": ["c"], "neuron": [0]}, "unknown session of the model 'c'"),
        ({"session": ["b"], "neuron": [2]}, "there is no neuron 2: session b has neurons 0 to 1"),
        ({"session": [], "neuron": []}, "no row"),
    ],
)
def test_scores_of_neurons_that_are_not_there_are_told(twin, scores, sentence):
    with pytest.raises(UserError, match=sentence):
        browse_neurons(pd.DataFrame(scores), twin)
