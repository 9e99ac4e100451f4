import numpy as np
import pytest
import torch
from torch import nn

import retina_nb as rnb
from retina_nb.analyses import (
    Constraint,
    most_exciting_features,
    most_exciting_inputs,
    motion_direction,
    space_time_parts,
    steps_to_most_exciting,
)
from retina_nb.cores import Core, StackedCore
from retina_nb.models import CoreReadout, Ensemble
from retina_nb.readouts import FactorizedReadout, GaussianMaskReadout, Readout, SessionReadouts

ABOUT = {"rate_hz": 30.0, "pixel_um": 50.0, "channels": ["green", "UV"]}


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(sessions=1, cells_per_session=12, clips=6, test_clips=1, repeats=2, size=(13, 15))


def twin(readout=GaussianMaskReadout, *, seed=0, sessions=("one", "two")):
    torch.manual_seed(seed)
    core = StackedCore(in_channels=2, hidden_channels=[3, 4], temporal_kernel_sizes=[5, 3], spatial_kernel_sizes=[3, 3])
    readouts = SessionReadouts({name: readout((4, 1, 3, 5), 3) for name in sessions})
    for one in readouts.readouts.values():
        one.features.data.copy_(torch.rand(one.features.shape))
    return CoreReadout(core, readouts, stimulus_shape=(2, 5, 7), about=ABOUT | {"neurons": dict.fromkeys(sessions, 3)})


class LastPixels(Core):
    lag = 2

    def forward(self, x):
        return x[:, :, self.lag :]


class Planted(Readout):
    """Neurons that no product of features describes: they square one pixel, or look at nothing."""

    def __init__(self, dead=False):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.dead = dead

    def forward(self, features):
        one = features[:, 0, :, 3, 5]
        return torch.stack([one * 0 if self.dead else one**2, 0 * one], dim=-1) + 1


def planted(dead=False):
    return CoreReadout(LastPixels(), Planted(dead), stimulus_shape=(2, 5, 7), about=ABOUT | {"neurons": {"one": 2}})


def norms(stimuli):
    return np.linalg.norm(stimuli.reshape(len(stimuli), -1), axis=1)


def test_the_input_of_a_linear_cell_is_its_filter(truth):
    linear = np.flatnonzero(~truth.neurons()["nonlinear"]).tolist()
    made = most_exciting_inputs(truth, neurons=linear, length=1, constraints=Constraint(norm=8))
    fields = truth.receptive_field()[linear].numpy()
    shown = made.stimuli[:, :, -fields.shape[2] :]
    cosine = (shown * fields).sum(axis=(1, 2, 3, 4)) / norms(made.stimuli) / norms(fields)
    assert cosine.min() > 0.99
    assert made.converged.all()
    assert made.stimuli.shape == (len(linear), 2, truth.lag + 1, 13, 15)


def test_scores_are_the_mean_rates_of_the_bins_that_count(truth):
    made = most_exciting_inputs(truth, neurons=[1, 8], bins=40, first=3, length=4, steps=5)
    with torch.no_grad():
        rates = truth(torch.from_numpy(made.stimuli))
    expected = [rates[row, 3:7, neuron].mean() for row, neuron in enumerate([1, 8])]
    np.testing.assert_allclose(made.scores, expected, rtol=1e-4)
    np.testing.assert_allclose(made.responses[:, 3:7].mean(axis=1), made.scores, rtol=1e-4)
    assert made.counted == (3, 7)
    assert not made.stimuli[:, :, 3 + 4 + truth.lag :].any(), "what comes later cannot matter"


@pytest.mark.parametrize("optimizer", ["adaptive", "adam", "sgd"])
def test_the_best_iterate_is_kept_and_steps_climb(optimizer):
    made = most_exciting_inputs(twin(), seeds=2, optimizer=optimizer, steps=15, constraints=Constraint(norm=4))
    np.testing.assert_allclose(made.scores, np.nanmax(made.history, axis=1), rtol=1e-5)
    assert (made.scores > made.history[:, 0]).all()
    np.testing.assert_allclose(norms(made.stimuli), 4, rtol=1e-4)


@pytest.mark.parametrize(
    ("norm", "step_size", "limits"),
    [(5, 10.0, {}), (30, 100.0, {}), (30, 100.0, {"low": (-0.654, -0.913), "high": 6.269})],
)
def test_cells_end_no_lower_than_by_plain_gradient_steps(norm, step_size, limits):
    """The steps, norms and limits are those of openretina's examples; its optimiser is ``"sgd"``."""
    options = {"neurons": range(0, 120, 6), "seeds": 2, "steps": 30, "constraints": Constraint(norm=norm, **limits)}
    model = rnb.load_twin("simulated")
    ours = most_exciting_inputs(model, **options)
    plain = most_exciting_inputs(model, optimizer="sgd", step_size=step_size, patience=31, **options)
    ratio = ours.scores / plain.scores
    assert np.median(ratio) >= 1
    assert np.mean(ratio > 0.999) >= 0.95
    assert ratio.min() > 0.98, "another local maximum, hardly lower"


def test_rows_do_not_see_each_other_and_batches_do_not_matter():
    model, options = (
        twin(),
        {"seeds": 2, "steps": 8, "constraints": {"small": Constraint(norm=2), "large": Constraint()}},
    )
    together = most_exciting_inputs(model, **options)
    parts = most_exciting_inputs(model, batch_size=5, **options)
    alone = most_exciting_inputs(model, neurons=4, **options)
    np.testing.assert_allclose(together.stimuli, parts.stimuli, atol=1e-3)
    rows = together.table["session"].eq("two") & together.table["neuron"].eq(1)
    np.testing.assert_allclose(together.stimuli[rows], alone.stimuli, atol=1e-3)
    assert len(together.table) == 6 * 2 * 2
    assert list(together.to_dataframe().columns[:4]) == ["session", "neuron", "constraint", "seed"]


@pytest.mark.parametrize("readout", [GaussianMaskReadout, FactorizedReadout])
def test_a_row_is_weighed_by_its_own_neuron_alone(readout):
    model = twin(readout)
    made = most_exciting_inputs(model, steps=3)
    with torch.no_grad():
        rates = model(torch.from_numpy(made.stimuli)).numpy()
    np.testing.assert_allclose(made.responses, rates[np.arange(6), :, np.arange(6)], rtol=1e-4)


def test_an_ensemble_is_the_mean_of_its_members():
    members = [twin(seed=1), twin(seed=2)]
    model = Ensemble(members)
    made = most_exciting_inputs(model, session="two", neurons=[0, 2], steps=5)
    with torch.no_grad():
        rates = model(torch.from_numpy(made.stimuli), "two").numpy()
    np.testing.assert_allclose(made.responses, rates[[0, 1], :, [0, 2]], rtol=1e-4)


def test_a_readout_that_is_no_product_works_too():
    made = most_exciting_inputs(planted(), neurons=0, length=1, constraints=Constraint(norm=3))
    assert made.scores[0] == pytest.approx(10, rel=1e-3)
    assert abs(made.stimuli[0, 0, 2, 3, 5]) == pytest.approx(3, rel=1e-3)


def test_frames_count_whatever_reaches_back_farther_than_the_lag():
    class Sum(LastPixels):
        def forward(self, x):
            return x.cumsum(dim=2)[:, :, self.lag :]

    model = CoreReadout(Sum(), Planted(), stimulus_shape=(2, 5, 7), about=ABOUT | {"neurons": {"one": 2}})
    made = most_exciting_inputs(model, neurons=0, bins=9, first=4, length=1, constraints=Constraint(norm=3))
    np.testing.assert_allclose(np.abs(made.stimuli[0, 0, :7, 3, 5]), 3 / 7**0.5, rtol=1e-2)


def test_suppressing_finds_less_than_the_start(truth):
    most = most_exciting_inputs(truth, neurons=range(4), steps=20)
    least = most_exciting_inputs(truth, neurons=range(4), steps=20, suppress=True, seeds=2)
    assert (least.scores < least.history[:, 0]).all()
    best = least.best()
    assert (best.scores < most.scores).all()
    assert len(best.scores) == 4
    np.testing.assert_allclose(best.scores, least.scores.reshape(4, 2).min(axis=1))


def test_seeds_of_a_linear_cell_agree(truth):
    made = most_exciting_inputs(truth, neurons=[2, 3], seeds=3, length=1)
    table = made.diversity()
    assert (table["correlation"] > 0.99).all()
    assert (table["score_spread"] < 1e-3).all()
    assert len(table) == 2


def test_stimuli_that_differ_by_a_move_agree_once_aligned(truth):
    made = most_exciting_inputs(truth, neurons=2, seeds=2, length=1, steps=3)
    made.stimuli[1] = np.roll(made.stimuli[0], (2, -1, 1), axis=(1, 2, 3))
    assert made.diversity()["aligned"][0] > 0.95 > made.diversity()["correlation"][0]


def test_hidden_units_are_excited_at_the_middle_of_their_map():
    model = twin()
    made = most_exciting_features(model, layer="core.layers.0", features=[2, 0], length=2, steps=20)
    with torch.no_grad():
        activity = model.core.layers[0](torch.from_numpy(made.stimuli))[:, :, :, 1, 2]
    np.testing.assert_allclose(made.scores, [activity[0, 2].mean(), activity[1, 0].mean()], rtol=1e-4)
    assert made.stimuli.shape[2] == 4 + 2
    assert list(made.table["feature"]) == [2, 0]
    assert np.abs(made.stimuli[:, :, :, :, :1]).max() < 0.01, "a unit of the first layer sees three pixels"


def test_no_weight_gets_a_gradient():
    model = twin()
    most_exciting_inputs(model, steps=2)
    assert all(one.grad is None and one.requires_grad for one in model.parameters())


def test_a_stimulus_that_is_a_product_is_taken_apart():
    course, map_ = np.sin(np.arange(9)), -np.outer(np.hanning(5), np.hanning(7))
    stimulus = np.stack([course[:, None, None] * map_, np.zeros((9, 5, 7))]).astype(np.float32)
    courses, maps, part = space_time_parts(stimulus)
    np.testing.assert_allclose(courses[0][:, None, None] * maps[0], stimulus[0], atol=1e-6)
    assert np.abs(maps[0]).max() == pytest.approx(1) == maps[0].max()
    assert part[0] == pytest.approx(1)
    assert part[1] == 0


@pytest.mark.parametrize("degrees", [0, 60, 90, 200, 315])
def test_the_direction_of_a_drifting_pattern_is_found(degrees):
    time, y, x = np.indices((12, 9, 11))
    along = x * np.cos(np.deg2rad(degrees)) - y * np.sin(np.deg2rad(degrees))
    movie = np.cos(2 * np.pi * (along / 5 - time / 6)) * np.exp(-((y - 4) ** 2 + (x - 5) ** 2) / 8)
    found = motion_direction(movie[None].astype(np.float32))
    assert abs((found - degrees + 180) % 360 - 180) < 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "do not exist"),
        ({"bins": 6}, "bins 0 to 10 of the output do not exist"),
        ({"first": -1}, "do not exist"),
        ({"optimizer": "adamw"}, "optimizer"),
        ({"steps": 0}, "positive"),
        ({"neurons": 6}, "no neuron 6"),
        ({"session": "three"}, "three"),
        ({"seeds": 0}, "seeds must be 1 or more"),
        ({"start": np.zeros((1, 2, 16, 7, 5), np.float32)}, "do not fit"),
        ({"constraints": {}}, "no constraints"),
    ],
)
def test_mistakes_are_named(options, message):
    with pytest.raises(rnb.UserError, match=message):
        most_exciting_inputs(twin(), **options)


def test_nothing_to_optimise_is_named():
    with pytest.raises(rnb.UserError, match="nothing to optimise"):
        most_exciting_inputs(planted(dead=True))


def test_mistakes_with_hidden_units_are_named():
    for options, message in (
        ({"layer": "core.layer"}, "core.layers"),
        ({"features": 4}, "no feature 4"),
        ({"layer": "readout.readouts.one"}, "choose another"),
        ({"constraints": Constraint(radius_um=100)}, "radius"),
    ):
        with pytest.raises(rnb.UserError, match=message):
            most_exciting_features(twin(), **options)


def test_steps_end_where_the_whole_ascent_does():
    options = {"session": "one", "neurons": [2, 0], "constraints": Constraint(norm=3), "steps": 8}
    model = twin()
    steps = list(steps_to_most_exciting(model, **options))
    whole = most_exciting_inputs(model, **options)
    np.testing.assert_allclose(steps[-1].stimuli, whole.stimuli, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(steps[-1].history, whole.history, rtol=1e-5)
    assert [int(one.steps.max()) for one in steps] == list(range(len(steps)))
    assert len(steps) == whole.steps.max() + 1
    assert np.all(np.diff([one.scores for one in steps], axis=0) >= 0)
    assert np.isnan(steps[2].history[:, 3:]).all()
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_steps_go_on_from_a_stimulus_under_another_constraint():
    *_, first = steps_to_most_exciting(twin(), session="one", neurons=1, constraints=Constraint(norm=3), steps=4)
    second = steps_to_most_exciting(
        twin(), session="one", neurons=1, constraints=Constraint(norm=5), start=first.stimuli, steps=2
    )
    start = next(second)
    np.testing.assert_allclose(start.stimuli, first.stimuli * 5 / 3, rtol=1e-4, atol=1e-5)
    assert next(second).scores >= start.scores


def test_steps_tell_at_once_what_does_not_fit():
    with pytest.raises(rnb.UserError, match="no neuron 7"):
        steps_to_most_exciting(twin(), session="one", neurons=7)
    with pytest.raises(rnb.UserError, match="nothing to optimise"):
        next(steps_to_most_exciting(planted(dead=True), neurons=1))
