import pytest
import torch

from retina_nb import UserError
from retina_nb.readouts import GaussianMaskReadout, SessionReadouts

SHAPE = (4, 10, 5, 9)


def sessions():
    return SessionReadouts({name: GaussianMaskReadout(SHAPE, n) for name, n in (("b", 2), ("a", 3))})


def test_all_sessions_come_in_sorted_order():
    readouts, features = sessions(), torch.randn(2, *SHAPE)
    assert readouts.sessions == ["a", "b"]
    together = readouts(features)
    assert together.shape == (2, 10, 5)
    torch.testing.assert_close(together[..., :3], readouts(features, "a"))
    torch.testing.assert_close(together[..., 3:], readouts(features, "b"))


def test_an_unknown_session_lists_the_known():
    with pytest.raises(UserError, match=r"unknown session 'c'.*known are a, b"):
        sessions()(torch.randn(1, *SHAPE), "c")


def test_names_that_cannot_be_kept_are_refused():
    with pytest.raises(UserError, match=r"rename 'a\.b'"):
        SessionReadouts({"a.b": GaussianMaskReadout(SHAPE, 1)})
