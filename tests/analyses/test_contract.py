"""Every experiment is asked in the same way, gives a table, and says what is wrong with what it is given."""

import dataclasses
import inspect

import numpy as np
import pytest
from analyses.planted import tiny_twin

from retina_nb import UserError, analyses, stimuli
from retina_nb.analyses import phenomena, populations, receptive_fields, tuning
from retina_nb.analyses.populations import StimulusPrior
from retina_nb.analyses.subjects import subject

MODULES = (analyses, phenomena, populations, receptive_fields, tuning)
PUBLIC = {name: getattr(module, name) for module in MODULES for name in module.__all__}
EXPERIMENTS = {
    name: one
    for name, one in sorted(PUBLIC.items())
    if inspect.isfunction(one)
    and next(iter(inspect.signature(one).parameters)) in ("model", "twin")
    and "session" in inspect.signature(one).parameters
}
# What is asked of the cells of a layer, not of neurons; and what is made for one stimulus at a time.
OF_LAYERS = {"match_units", "most_exciting_features", "steps_to_most_exciting"}
SINGLE = OF_LAYERS | {"chirp_responses", "decode_most_probable", "find_features", "record_noise"}
# Made from results or examples, to be used by experiments.
TOOLS = {"Constraint", "LinearDecoder", "StimulusPrior"}


@pytest.fixture(scope="module")
def twin():
    return tiny_twin()


def asked(twin, name, **changed):
    """Call an experiment with what it needs."""
    bins = twin.lag + 8
    movies = np.random.default_rng(0).standard_normal((2, 2, bins, 7, 9)).astype(np.float32)
    needs = {
        "stimulus": movies[0],
        "stimuli": movies,
        "test": movies,
        "layer": "core.layers.0",
        "counts": np.ones((1, 8, 6), dtype=np.float32),
        "prior": StimulusPrior.of(movies, bins),
        "traces": movies[0, :, :, 0, 0],
        "clusters": 2,
    }
    parameters = inspect.signature(EXPERIMENTS[name]).parameters.values()
    given = {one.name: needs[one.name] for one in parameters if one.name in needs and one.default is one.empty}
    return EXPERIMENTS[name](twin, **given | changed)


def test_there_are_experiments():
    assert len(EXPERIMENTS) > 35


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_chooses_session_neurons_and_device_and_bounds_its_memory(name):
    parameters = inspect.signature(EXPERIMENTS[name]).parameters
    wanted = {"session", "device"} | (set() if name in OF_LAYERS else {"neurons"})
    wanted |= set() if name in SINGLE else {"batch_size"}
    keywords = {one.name for one in parameters.values() if one.kind is one.KEYWORD_ONLY}
    assert wanted <= keywords
    assert parameters["session"].default is None


@pytest.mark.parametrize("name", [name for name, one in PUBLIC.items() if dataclasses.is_dataclass(one)])
def test_a_result_is_frozen_and_has_a_table(name):
    assert PUBLIC[name].__dataclass_params__.frozen
    assert name in TOOLS or callable(PUBLIC[name].to_dataframe)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name not in OF_LAYERS])
def test_a_neuron_that_does_not_exist_is_named(twin, name):
    with pytest.raises(UserError, match="there is no neuron 6: the model has neurons 0 to 5"):
        asked(twin, name, neurons=[0, 6])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_session_that_does_not_exist_is_named(twin, name):
    with pytest.raises(UserError, match=r"unknown session.*'c'"):
        asked(twin, name, session="c")


SHOWN = [name for name, one in EXPERIMENTS.items() if {"stimulus", "stimuli"} & set(inspect.signature(one).parameters)]


@pytest.mark.parametrize("name", SHOWN)
def test_a_stimulus_that_does_not_fit_or_is_not_finite_is_refused(twin, name):
    key = "stimulus" if "stimulus" in inspect.signature(EXPERIMENTS[name]).parameters else "stimuli"
    several = () if key == "stimulus" else (2,)
    wide = np.zeros((*several, 2, twin.lag + 8, 9, 7), dtype=np.float32)
    with pytest.raises(UserError, match="do not fit the model"):
        asked(twin, name, **{key: wide})
    unknown = np.zeros((*several, 2, twin.lag + 8, 7, 9), dtype=np.float32)
    unknown[..., 3, 2, 5] = np.nan
    with pytest.raises(UserError, match=r"not finite at .*'frame'.*'y': 2, 'x': 5"):
        asked(twin, name, **{key: unknown})


@pytest.mark.parametrize("name", SHOWN)
def test_a_stimulus_made_for_another_rate_is_refused(twin, name):
    key = "stimulus" if "stimulus" in inspect.signature(EXPERIMENTS[name]).parameters else "stimuli"
    fast = stimuli.flash(dataclasses.replace(stimuli.Screen.of(twin), rate=60.0))
    with pytest.raises(UserError, match=r"made for 60 Hz .* the model has 30 Hz"):
        asked(twin, name, **{key: fast if key == "stimulus" else [fast, fast]})


def test_a_stimulus_is_as_good_as_its_frames(twin):
    made = [stimuli.flash(stimuli.Screen.of(twin), contrast=contrast) for contrast in (1.0, -1.0)]
    frames, _ = stimuli.batch(made)
    of_stimuli, of_frames = (populations.signal_correlations(twin, one).values for one in (made, frames))
    np.testing.assert_array_equal(of_stimuli, of_frames)
    of_stimulus, of_frames = (analyses.integrated_gradients(twin, one, steps=2).parts for one in (made[0], frames[0]))
    np.testing.assert_array_equal(of_stimulus, of_frames)


def test_neurons_are_chosen_by_number_or_by_a_mask(twin):
    mask = np.array([False, True, False, False, True, False])
    for given in ([1, 4], (1, 4), np.array([1, 4]), mask, mask.tolist(), range(1, 5, 3)):
        assert subject(twin, neurons=given).neurons.tolist() == [1, 4]
    assert subject(twin, neurons=np.int64(3)).neurons.tolist() == [3]


@pytest.mark.parametrize("wrong", [[True, False], np.array([0.5]), np.array([[0, 1]])])
def test_what_are_no_neurons_is_refused(twin, wrong):
    with pytest.raises(UserError, match="True or False for each of 6 neurons"):
        subject(twin, neurons=wrong)


@pytest.mark.parametrize("empty", [[], np.zeros(6, dtype=bool)])
def test_no_neuron_at_all_is_refused(twin, empty):
    with pytest.raises(UserError, match="no neuron was chosen"):
        subject(twin, neurons=empty)


@pytest.mark.parametrize("name", [name for name in EXPERIMENTS if name in SHOWN or name == "receptive_fields"])
def test_batches_of_nothing_are_refused(twin, name):
    if "batch_size" in inspect.signature(EXPERIMENTS[name]).parameters:
        with pytest.raises(UserError, match="batch_size=0 must be 1 or more"):
            asked(twin, name, batch_size=0)
