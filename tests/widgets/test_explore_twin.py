"""What is chosen and dragged is what is drawn."""

import html

import ipywidgets as ipw
import numpy as np
import pytest

import retina_nb as rnb
from retina_nb import stimuli
from retina_nb.analyses.preview import preview
from retina_nb.plots.preview import PreviewFigure
from retina_nb.plots.style import POLARITY_COLOURS
from retina_nb.widgets import explore_twin

SMALL = {"sessions": 2, "cells_per_session": 12, "size": (13, 15)}


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(**SMALL)


@pytest.fixture(scope="module")
def recordings():
    return rnb.load_recordings("simulated", **SMALL)


@pytest.fixture
def shown(truth, recordings):
    return explore_twin(truth, recordings, truth=truth)


def mosaic(shown):
    return next(one for one in shown.children[0].children[0].children if type(one).__name__ == "Mosaic")


def buttons(shown):
    return mosaic(shown).buttons


def edges(shown):
    return [number for number, one in enumerate(buttons(shown)) if one.layout.border]


def visible(shown):
    return {name for name, one in shown.controls.items() if one.layout.display != "none"} - {
        "session",
        "neuron",
        "stimulus",
        "time",
    }


def test_dragging_draws_the_response_of_the_twin(shown, truth, monkeypatch):
    drawn = []
    original = PreviewFigure.show

    def show(self, seen, **options):
        drawn.append((seen, options))
        return original(self, seen, **options)

    monkeypatch.setattr(PreviewFigure, "show", show)
    before = bytes(shown.picture.value)
    shown.controls["neuron"].value = 5
    shown.controls["diameter"].value = 400.0
    shown.controls["right"].value = 50.0
    assert bytes(shown.picture.value) != before
    seen, options = drawn[-1]
    y, x = options["place"]
    cell = truth.neurons("simulated_1").iloc[5]
    assert np.hypot(y - cell["y"], x - cell["x"]) < 2, "where the neuron looks"
    screen = stimuli.Screen.of(truth)
    spot = stimuli.spot(screen, diameter=400.0, center=(y, x + 1), before=0.5, contrast=1.0)
    assert np.array_equal(seen.frames, spot.frames)
    expected = preview(truth, spot, session="simulated_1", neuron=5)
    assert np.array_equal(seen.rates["twin"], expected.rates["twin"])
    assert "type" not in options["words"]
    assert cell["type"] in options["words"]


def test_only_the_parameters_of_the_stimulus_are_offered(shown):
    assert visible(shown) == {"diameter", "down", "right", "contrast", "colour"}
    shown.controls["stimulus"].value = "drifting grating"
    assert visible(shown) == {"direction", "wavelength", "frequency", "contrast", "colour"}


def test_every_stimulus_can_be_chosen(shown):
    pictures = set()
    for name in shown.controls["stimulus"].options:
        shown.controls["stimulus"].value = name[1] if isinstance(name, tuple) else name
        assert shown.message.value == ""
        pictures.add(bytes(shown.picture.value))
    assert len(pictures) == len(shown.controls["stimulus"].options) == 10, "with the recorded movie"


def test_the_cursor_goes_as_far_as_the_stimulus(shown):
    shown.controls["time"].value = shown.controls["time"].max
    before = bytes(shown.picture.value)
    assert shown.controls["time"].max == pytest.approx(2.5 - 1 / 30)
    shown.controls["stimulus"].value = "moving bar"
    shown.controls["speed"].value = 2000.0
    assert shown.controls["time"].value == shown.controls["time"].max < 1.5
    assert bytes(shown.picture.value) != before


def test_a_click_on_a_receptive_field_chooses_its_neuron(shown):
    before = bytes(shown.picture.value)
    buttons(shown)[7].click()
    assert shown.controls["neuron"].value == 7
    assert bytes(shown.picture.value) != before
    assert edges(shown) == [7]
    assert buttons(shown)[7].tooltip.startswith("simulated_1, neuron 7: ")


def test_another_session_has_neurons_of_its_own(shown):
    places = [one.layout.grid_area for one in buttons(shown)]
    before = bytes(shown.picture.value)
    shown.controls["session"].value = "simulated_2"
    assert [one.layout.grid_area for one in buttons(shown)] != places
    assert bytes(shown.picture.value) != before


def test_the_map_has_the_colors_of_polarities_and_says_which(shown, truth):
    planted = truth.neurons("simulated_1")["polarity"].map({1: "ON", -1: "OFF", 0: "ON-OFF"})
    expected = [POLARITY_COLOURS[name] for name in planted]
    colors = [one.style.button_color for one in buttons(shown)]
    assert np.mean([one == other for one, other in zip(colors, expected, strict=True)]) >= 0.9
    for name in set(planted):
        assert f'color:{POLARITY_COLOURS[name]}">■</span> {name}' in mosaic(shown).children[1].value


def test_a_keyboard_goes_past_the_map(shown):
    assert {one.tabbable for one in buttons(shown)} == {False}


def test_sessions_of_other_sizes_use_the_same_buttons(truth):
    shown = explore_twin(truth)
    known = [shown.controls["session"].value, *shown.controls["session"].options]
    before = len(ipw.widgets.widget._instances)
    shown.controls["neuron"].value = 3
    for _ in range(5):
        for session in dict.fromkeys(one[1] if isinstance(one, tuple) else one for one in known):
            shown.controls["session"].value = session
    assert len(ipw.widgets.widget._instances) == before
    assert edges(shown) == [3]


def test_the_picture_is_described_as_it_is_now(shown):
    assert shown.description.startswith("simulated_1, neuron 0: ")
    assert "largest rate" in shown.description
    shown.controls["neuron"].value = 5
    assert shown.description.startswith("simulated_1, neuron 5: ")
    assert shown.description in html.unescape(shown.children[1].children[1].value)
    assert shown._repr_mimebundle_()[1]["image/png"]["alt"] == shown.description


def test_what_is_not_possible_is_said_and_the_picture_stays(shown):
    shown.controls["stimulus"].value = "annulus"
    before = bytes(shown.picture.value)
    shown.controls["inner"].value = shown.controls["outer"].value
    assert "An annulus needs an inner diameter below its outer one" in shown.message.value
    assert bytes(shown.picture.value) == before


def test_a_session_without_recording_says_so(truth, recordings):
    shown = explore_twin(truth, {"simulated_1": recordings["simulated_1"]})
    shown.controls["stimulus"].value = "recorded movie"
    shown.controls["session"].value = "simulated_2"
    assert "There is no recording of session simulated_2" in shown.message.value
