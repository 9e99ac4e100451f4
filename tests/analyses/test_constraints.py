import numpy as np
import pytest
import torch
from scipy.fft import dct

import retina_nb as rnb
from retina_nb.analyses import Constraint, subjects
from retina_nb.analyses.stimulus_optimization import projection


@pytest.fixture(scope="module")
def subject():
    truth = rnb.load_truth(sessions=1, cells_per_session=12, clips=6, test_clips=1, repeats=2, size=(13, 15))
    return subjects.subject(truth)


def held(subject, *constraints, centers=None, time=9):
    """Noise, a row for each constraint, all of neuron 1."""
    project = projection(constraints, subject, time, centers)
    x = torch.randn(len(constraints), 2, time, 13, 15, generator=torch.Generator().manual_seed(0))
    rows = torch.arange(len(constraints))
    return x, project(x, rows, torch.ones_like(rows))


def test_each_row_has_the_norm_of_its_constraint(subject):
    _, y = held(subject, Constraint(norm=5), Constraint(norm=7), Constraint(norm=1e4, exact=False))
    x, _ = held(subject, Constraint(), Constraint(), Constraint())
    np.testing.assert_allclose(y.flatten(1).norm(dim=1), [5, 7, x[2].norm()], rtol=1e-4)


def test_channels_have_their_own_limits_after_the_norm(subject):
    x, y = held(subject, Constraint(norm=40, low=(-0.5, -1.0), high=(0.25, 2.0)), Constraint(norm=40))
    scaled = x[0] * 40 / x[0].norm()
    np.testing.assert_allclose(y[0, 0], scaled[0].clamp(-0.5, 0.25), atol=1e-5)
    np.testing.assert_allclose(y[0, 1], scaled[1].clamp(-1, 2), atol=1e-5)
    assert y[1].abs().max() > 1.1


def test_a_smooth_stimulus_holds_no_faster_or_finer_cosines(subject):
    time = 31
    _, y = held(subject, Constraint(time_cutoff=5, space_cutoff=4), Constraint(), time=time)
    for axis, size, rate, cutoff in ((2, time, 30, 5), (3, 13, 20, 4), (4, 15, 20, 4)):
        power = np.square(dct(y.double().numpy(), axis=axis, norm="ortho"))
        above = np.arange(size) * rate / (2 * size) > cutoff
        shares = np.take(power, np.flatnonzero(above), axis=axis).sum(axis=(1, 2, 3, 4)) / power.sum(axis=(1, 2, 3, 4))
        assert shares[0] < 1e-9
        assert shares[1] > 0.3


def test_smoothing_twice_changes_nothing(subject):
    constraint = Constraint(time_cutoff=5, space_cutoff=4, norm=6)
    project = projection([constraint], subject, 9, None)
    rows = torch.zeros(3, dtype=torch.long)
    once = project(torch.randn(3, 2, 9, 13, 15), rows, rows)
    np.testing.assert_allclose(project(once, rows, rows), once, atol=1e-5)


def test_a_confined_stimulus_is_grey_elsewhere(subject):
    centers = np.array([[0, 0], [4.0, 9.0], *[[6, 6]] * 10])
    _, y = held(subject, Constraint(radius_um=110), Constraint(), centers=centers)
    rows, columns = np.indices((13, 15))
    inside = np.hypot(rows - 4, columns - 9) <= 2.2
    assert not y[0, :, :, ~inside].any()
    assert y[0, :, :, inside].all()
    assert y[1].all()


@pytest.mark.parametrize("sparsity", [0.3, 0.6, 0.9, 1.0])
def test_a_sparse_stimulus_is_as_sparse_as_it_must_be(subject, sparsity):
    x, y = held(subject, Constraint(sparsity=sparsity, norm=5), Constraint(norm=5))
    size = y[0].numel() ** 0.5
    found = (size - y[0].abs().sum() / y[0].norm()) / (size - 1)
    assert found == pytest.approx(max(sparsity, 0.2), abs=0.1 if sparsity == 0.3 else 0.01)
    assert found >= sparsity - 1e-4
    assert (y[0] * x[0]).min() >= 0, "no number changes its sign"
    np.testing.assert_allclose(y[1], x[1] * 5 / x[1].norm(), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": None}, "nothing holds"),
        ({"norm": -1}, "norm must be positive"),
        ({"time_cutoff": 0}, "time_cutoff must be positive"),
        ({"sparsity": 1.5}, "between 0 and 1"),
        ({"low": 1, "high": 1}, "must be below"),
    ],
)
def test_constraints_that_make_no_sense_are_refused(options, message):
    with pytest.raises(rnb.UserError, match=message):
        Constraint(**options)


def test_limits_are_of_the_channels(subject):
    with pytest.raises(rnb.UserError, match="2 channels"):
        held(subject, Constraint(low=(-1, -1, -1)))
