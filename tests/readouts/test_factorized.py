import pytest
import torch

from retina_nb import UserError
from retina_nb.readouts import FactorizedReadout

SHAPE = (4, 10, 5, 7)


def test_rates_are_those_of_the_formula():
    torch.manual_seed(0)
    readout = FactorizedReadout(SHAPE, 3)
    torch.nn.init.normal_(readout.mask)
    features = torch.randn(2, *SHAPE)
    looked = torch.einsum("bcthw,nhw->bctn", features, readout.mask)
    drive = torch.einsum("bctn,cn->btn", looked, readout.features)
    torch.testing.assert_close(readout(features), torch.nn.functional.softplus(drive + readout.bias))


def test_masks_start_as_gaussians_at_their_place():
    readout = FactorizedReadout(SHAPE, 2)
    readout.initialize(torch.ones(2), torch.tensor([[0.0, 0.0], [-1.0, 3.0]]))
    torch.testing.assert_close(readout.masks().sum(dim=(1, 2)), torch.ones(2))
    assert readout.masks()[0].argmax() == 2 * 7 + 3
    assert readout.masks()[1].argmax() == 1 * 7 + 6


@pytest.mark.parametrize("constraint", ["positive", "abs", "norm", "absnorm"])
def test_constraints_hold_after_a_step_and_not_before(constraint):
    torch.manual_seed(0)
    readout = FactorizedReadout(SHAPE, 3, mask_constraint=constraint, feature_constraint=constraint)
    for weights in (readout.mask, readout.features):
        torch.nn.init.normal_(weights)
    before = readout.mask.detach().clone(), readout.features.detach().clone()
    readout(torch.randn(1, *SHAPE))
    assert (readout.features == before[1]).all()
    readout.constrain()
    for after, was, dims in ((readout.mask, before[0], (1, 2)), (readout.features, before[1], 0)):
        expected = {"positive": was.clamp(min=0), "norm": was}.get(constraint, was.abs())
        if "norm" in constraint:
            expected = expected / was.square().sum(dim=dims, keepdim=True).sqrt()
        torch.testing.assert_close(after.detach(), expected, rtol=1e-4, atol=1e-5)


def test_the_penalty_is_that_of_the_formula():
    torch.manual_seed(0)
    readout = FactorizedReadout(SHAPE, 2, mask_penalty=0.5, feature_penalty=0.2, roughness_penalty=0.1)
    torch.nn.init.normal_(readout.mask)
    mask, features = readout.mask.detach(), readout.features.detach()
    rough = [
        (4 * m[y, x] - m[y - 1, x] - m[y + 1, x] - m[y, x - 1] - m[y, x + 1]) ** 2
        for m in mask
        for y in range(1, 4)
        for x in range(1, 6)
    ]
    expected = 0.5 * mask.abs().sum() / 2 + 0.2 * features.abs().sum() / 2 + 0.1 * sum(rough) / mask.square().sum()
    torch.testing.assert_close(readout.regularizer().detach(), expected)


def test_the_roughness_of_one_mask_does_not_see_the_next():
    readout = FactorizedReadout(SHAPE, 2, roughness_penalty=1.0)
    with torch.no_grad():
        readout.mask[0] = 1.0  # flat, beside a mask of the other sign
        readout.mask[1] = -1.0
    assert readout.regularizer() == 0


def test_masks_too_small_to_be_rough_are_refused():
    with pytest.raises(UserError, match="at least 3 x 3 pixels, these have 2 x 7"):
        FactorizedReadout((4, 10, 2, 7), 1, roughness_penalty=1.0)
    FactorizedReadout((4, 10, 2, 7), 1).regularizer()
