import numpy as np
import pytest
import torch
from torch import nn

import retina_nb as rnb
from retina_nb.analyses import Constraint, most_discriminative_stimuli
from retina_nb.analyses.populations import adjusted_rand_index
from retina_nb.analyses.stimulus_optimization import centred
from retina_nb.cores import StackedCore
from retina_nb.models import CoreReadout, Ensemble
from retina_nb.readouts import FactorizedReadout, GaussianMaskReadout, PointGaussianReadout, Readout

TYPES = ["ON sustained", "OFF transient", "ON-OFF DS right", "ON-OFF DS up", "ON alpha"]
ABOUT = {"rate_hz": 30.0, "pixel_um": 50.0, "neurons": {"one": 3}}


@pytest.fixture(scope="module")
def truth():
    return rnb.load_truth(sessions=2, cells_per_session=24, clips=6, test_clips=1, repeats=2, size=(15, 13))


@pytest.fixture(scope="module")
def chosen(truth):
    """Numbers of some cells of five types, and their types."""
    types = truth.neurons()["type"]
    neurons = np.flatnonzero(types.isin(TYPES)).tolist()
    return neurons, types[neurons].to_numpy()


@pytest.fixture(scope="module")
def found(truth, chosen):
    return most_discriminative_stimuli(truth, neurons=chosen[0], most=8, steps=25)


def twin(readout):
    torch.manual_seed(0)
    core = StackedCore(in_channels=1, hidden_channels=[4], temporal_kernel_sizes=[3], spatial_kernel_sizes=[3])
    made = readout((4, 1, 11, 13), 3)
    made.features.data.copy_(torch.rand(made.features.shape))
    made.initialize(torch.ones(3), torch.tensor([[2.0, -3], [-1, 2], [0, 3]]))
    return CoreReadout(core, made, stimulus_shape=(1, 13, 15), about=ABOUT)


def test_planted_types_are_found_without_their_number(found, chosen):
    assert adjusted_rand_index(chosen[1], found.cluster) == 1
    assert len(found.stimuli) == len(TYPES)
    assert found.rounds["clusters"].iloc[0] == 8
    assert list(found.to_dataframe().columns) == ["session", "neuron", "cluster", "likeness", "next_likeness"]


def test_every_stimulus_excites_its_own_group_most(found):
    assert (found.confusion.argmax(axis=1) == np.arange(len(TYPES))).all()
    assert (found.scores > np.log(len(TYPES)) / 2).all()
    assert (found.scores <= np.log(len(TYPES))).all()


def test_scores_are_the_contrastive_objective_of_the_responses(found):
    means = found.confusion / 0.2
    expected = np.diag(means) - np.log(np.exp(means).mean(axis=1))
    np.testing.assert_allclose(found.scores, expected, atol=1e-3)


def test_stimuli_hold_their_constraint(found):
    assert np.linalg.norm(found.stimuli.reshape(len(TYPES), -1), axis=1).max() <= 30.001


def test_cells_that_started_in_a_wrong_group_move_to_their_own(truth, chosen):
    neurons, types = chosen
    start = types.copy()
    start[np.flatnonzero(types == "ON-OFF DS right")[0]] = "OFF transient"
    start[np.flatnonzero(types == "OFF transient")[1]] = "ON-OFF DS up"
    made = most_discriminative_stimuli(truth, neurons=neurons, clusters=len(TYPES), start=start, steps=25)
    assert adjusted_rand_index(types, made.cluster) == 1
    assert made.rounds["moved"].iloc[0] == 2


def test_the_same_seed_gives_the_same_groups(truth, chosen, found):
    again = most_discriminative_stimuli(truth, neurons=chosen[0], most=8, steps=25)
    np.testing.assert_array_equal(found.cluster, again.cluster)
    np.testing.assert_allclose(found.stimuli, again.stimuli, atol=1e-4)


def test_the_cells_of_the_truth_move_to_the_middle(truth):
    moved = centred(truth)
    table = moved.neurons()
    assert (table["y"] == 7).all()
    assert (table["x"] == 6).all()
    middle = table.index[table["type"] == "ON sustained"]
    stimulus = torch.randn(1, 2, truth.lag + 3, 15, 13)
    rates = moved(stimulus)[..., middle] / truth.peak[middle]
    # The same type in the same place: the same but for what each was calibrated on.
    assert np.corrcoef(rates[0].T.numpy()).min() > 0.99
    assert (truth.neurons()["y"] != 7).any(), "the truth itself stays as it is"


@pytest.mark.parametrize("readout", [GaussianMaskReadout, PointGaussianReadout, FactorizedReadout])
def test_the_cells_of_a_twin_move_to_the_middle(readout):
    model = twin(readout)
    before = model.readout.masks().detach().clone()
    masks = centred(model).readout.masks().detach()
    grid = torch.stack(torch.meshgrid(torch.arange(11.0), torch.arange(13.0), indexing="ij"))
    places = torch.einsum("khw,nhw->nk", grid, masks) / masks.sum(dim=(1, 2))[:, None]
    np.testing.assert_allclose(places, [[5, 6]] * 3, atol=0.3)
    assert torch.equal(model.readout.masks(), before), "the model itself stays as it is"


def test_the_members_of_an_ensemble_move_to_the_middle():
    moved = centred(Ensemble([twin(GaussianMaskReadout), twin(GaussianMaskReadout)]))
    assert not any(member.readout.position.any() for member in moved.members)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clusters": 1}, "from 2 to"),
        ({"clusters": 100}, "from 2 to"),
        ({"start": [0, 1]}, "group for each"),
        ({"start": [0] * 48}, "two or more"),
        ({"constraint": Constraint(radius_um=100)}, "radius"),
        ({"temperature": 0}, "above 0"),
        ({"length": 0}, "length must be"),
    ],
)
def test_mistakes_are_named(truth, options, message):
    with pytest.raises(rnb.UserError, match=message):
        most_discriminative_stimuli(truth, **options)


def test_cells_that_cannot_be_moved_are_named():
    class Other(Readout):
        def __init__(self, *_):
            super().__init__()
            self.features = nn.Parameter(torch.zeros(1))

    with pytest.raises(rnb.UserError, match="Other cannot be moved"):
        centred(twin(Other))
    with pytest.raises(rnb.UserError, match="Linear cannot be moved"):
        centred(nn.Linear(1, 1))
