import copy

import pytest
import torch

from retina_nb import UserError
from retina_nb.readouts import ClonedReadout, GaussianMaskReadout, SessionReadouts

SHAPE = (3, 6, 5, 7)


def sessions():
    original = GaussianMaskReadout(SHAPE, 4)
    return SessionReadouts({"drug": ClonedReadout(original, 4, penalty=0.5), "control": original})


def test_it_scales_and_shifts_what_the_original_reads():
    readouts, features = sessions(), torch.randn(2, *SHAPE)
    with torch.no_grad():
        readouts["drug"].scale.copy_(torch.tensor([1.0, 2.0, 0.5, 0.0]))
        readouts["drug"].offset.copy_(torch.tensor([0.0, 1.0, 0.0, 3.0]))
    control = readouts(features, "control")
    expected = control * torch.tensor([1.0, 2.0, 0.5, 0.0]) + torch.tensor([0.0, 1.0, 0.0, 3.0])
    torch.testing.assert_close(readouts(features, "drug"), expected)
    torch.testing.assert_close(readouts(features), torch.cat([control, expected], dim=-1))


def test_the_original_is_saved_once():
    readouts = sessions()
    names = {name for name in readouts.state_dict() if ".drug." in name}
    assert names == {"readouts.drug.scale", "readouts.drug.offset"}
    assert len(list(readouts.parameters())) == len(list(readouts["control"].parameters())) + 2
    other, features = sessions(), torch.randn(1, *SHAPE)
    other.load_state_dict(readouts.state_dict())
    torch.testing.assert_close(other(features), readouts(features))


def test_a_copy_reads_the_copied_original():
    readouts = sessions()
    copied = copy.deepcopy(readouts)
    assert copied["drug"].original is copied["control"]
    assert copied["drug"].original is not readouts["control"]


def test_both_sessions_train_what_is_read():
    readouts = sessions()
    readouts(torch.randn(1, *SHAPE), "drug").sum().backward()
    assert readouts["control"].features.grad.abs().sum() > 0
    assert readouts["drug"].scale.grad.abs().sum() > 0


def test_the_penalty_is_that_of_the_formula():
    clone = sessions()["drug"]
    assert clone.regularizer() == 0
    with torch.no_grad():
        clone.scale.copy_(torch.tensor([1.0, 3.0, 1.0, 1.0]))
        clone.offset.copy_(torch.tensor([0.0, 0.0, 1.0, 0.0]))
    assert clone.regularizer().item() == pytest.approx(0.5 * (4 + 1) / 4)


def test_rates_stay_rates_unless_asked_otherwise():
    for positive, lowest in ((True, 0.0), (False, -1.0)):
        clone = ClonedReadout(GaussianMaskReadout(SHAPE, 2), 2, positive=positive)
        with torch.no_grad():
            clone.scale.fill_(-1.0)
            clone.offset.fill_(-1.0)
        clone.constrain()
        assert (clone.scale == lowest).all()
        assert (clone.offset == lowest).all()


def test_clones_of_clones_and_of_strangers_are_refused():
    readouts = sessions()
    with pytest.raises(UserError, match="itself a clone"):
        ClonedReadout(readouts["drug"], 4)
    with pytest.raises(UserError, match="reads a readout of no session here"):
        readouts.add("wash", ClonedReadout(GaussianMaskReadout(SHAPE, 4), 4))
    with pytest.raises(UserError, match="'drug' is a clone of 'control'"):
        readouts.remove("control")
