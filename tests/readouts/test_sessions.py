import copy

import pytest
import torch
from torch import nn

from retina_nb import UserError
from retina_nb.readouts import (
    ClonedReadout,
    FactorizedReadout,
    GaussianMaskReadout,
    LinearNonlinearReadout,
    PointGaussianReadout,
    Readout,
    SessionReadouts,
)

SHAPE = (4, 10, 5, 9)


class Dense(Readout):
    """A readout as a user writes it: nothing but a forward."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4 * 5 * 9, 2)

    def forward(self, features):
        return self.linear(features.movedim(2, 1).flatten(2))


class Doubled(GaussianMaskReadout):
    """A linear readout whose forward is more than its product."""

    def forward(self, features):
        return 2 * super().forward(features)


def sessions():
    return SessionReadouts({name: GaussianMaskReadout(SHAPE, n) for name, n in (("b", 2), ("a", 3))})


def mixed():
    torch.manual_seed(0)
    readouts = {
        "factorized": FactorizedReadout(SHAPE, 2),
        "mask": GaussianMaskReadout(SHAPE, 3, nonlinearity="exp"),
        "point": PointGaussianReadout(SHAPE, 4),
        "own": Dense(),
        "doubled": Doubled(SHAPE, 1),
    }
    for parameter in nn.ModuleDict(readouts).parameters():
        nn.init.normal_(parameter, std=0.3)
    clone = ClonedReadout(readouts["mask"], 3)
    nn.init.constant_(clone.scale, 2.0)
    return SessionReadouts(readouts | {"clone": clone})


def test_all_sessions_come_in_sorted_order():
    readouts, features = sessions(), torch.randn(2, *SHAPE)
    assert readouts.sessions == ["a", "b"]
    together = readouts(features)
    assert together.shape == (2, 10, 5)
    torch.testing.assert_close(together[..., :3], readouts(features, "a"))
    torch.testing.assert_close(together[..., 3:], readouts(features, "b"))


@pytest.mark.parametrize("training", [False, True])
def test_one_product_gives_what_each_readout_gives(training):
    readouts, features = mixed().train(training), torch.randn(2, *SHAPE)
    if training:
        nn.init.zeros_(readouts["point"].spread)  # or else each call draws other points
    rates = readouts.rates(features)
    assert list(rates) == readouts.sessions
    for session, rate in rates.items():
        torch.testing.assert_close(rate, readouts(features, session))
    some = readouts.rates(features, ["point", "clone"])
    assert list(some) == ["point", "clone"]
    torch.testing.assert_close(some["clone"], rates["clone"])


def test_one_product_gives_the_gradients_that_each_readout_gives():
    gradients = []
    for together in (True, False):
        readouts, features = mixed().eval(), torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(1))
        features.requires_grad_()
        rates = readouts.rates(features) if together else {s: readouts(features, s) for s in readouts.sessions}
        sum((rate**2).mean() for rate in rates.values()).backward()
        gradients.append([features.grad, *(p.grad for p in readouts.parameters() if p.grad is not None)])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def alike(cls, **options):
    torch.manual_seed(1)
    readouts = {name: cls(SHAPE, n, **options) for name, n in (("a", 3), ("b", 1), ("c", 2))}
    for parameter in nn.ModuleDict(readouts).parameters():
        nn.init.normal_(parameter, std=0.3)
    return readouts


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (GaussianMaskReadout, {"scale": False, "width_penalty": 0.2, "position_penalty": 0.3}),
        (GaussianMaskReadout, {"bias": False, "feature_penalty": 0.1}),
        (FactorizedReadout, {"mask_penalty": 0.2, "feature_penalty": 0.1}),
        (PointGaussianReadout, {"feature_penalty": 0.1}),
    ],
)
def test_readouts_of_a_kind_are_joined_without_changing_rates_penalties_or_gradients(cls, options):
    sizes = {"a": 3, "b": 1, "c": 2}
    readouts = SessionReadouts(
        alike(cls, **options) | {"other": GaussianMaskReadout(SHAPE, 2, nonlinearity="exp", feature_penalty=1.0)}
    ).eval()
    features, sizes = torch.randn(2, *SHAPE), sizes | {"other": 2}
    gradients = []
    for together in (True, False):
        readouts.zero_grad()
        if together:
            rates, penalty = readouts.rates(features, list(sizes)), readouts.penalty(sizes)
        else:
            rates = {name: readouts(features, name) for name in sizes}
            penalty = sum(size * readouts[name].regularizer() for name, size in sizes.items()) / 8
        total = sum(rate.square().sum() for rate in rates.values()) + penalty
        total.backward()
        gradients.append([total.detach(), *(one.grad.clone() for one in readouts.parameters() if one.grad is not None)])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_a_readout_with_more_than_its_kind_is_known_for_is_not_joined():
    class Gained(GaussianMaskReadout):
        """A gain for each neuron, of which the base class knows nothing."""

        def __init__(self, neurons):
            super().__init__(SHAPE, neurons)
            self.register_buffer("gain", torch.arange(1.0, neurons + 1))

        def weights(self):
            return super().weights() * self.gain

    readouts, features = SessionReadouts({"a": Gained(2), "b": Gained(3)}), torch.randn(1, *SHAPE)
    for session, rate in readouts.rates(features).items():
        torch.testing.assert_close(rate, readouts(features, session))


@pytest.mark.parametrize("readouts", [sessions, mixed, lambda: SessionReadouts(alike(PointGaussianReadout))])
def test_some_neurons_are_read_as_among_all(readouts):
    readouts, features = readouts().eval(), torch.randn(2, *SHAPE)
    for session in (None, *readouts.sessions):
        every = readouts(features, session)
        for some in ([every.shape[-1] - 1], [every.shape[-1] // 2, 0], [0, every.shape[-1] - 1, 0]):
            torch.testing.assert_close(readouts(features, session, torch.tensor(some)), every[..., some])


def test_of_neurons_that_are_not_asked_for_nothing_is_computed():
    readouts, features = SessionReadouts(alike(GaussianMaskReadout)).eval(), torch.randn(2, *SHAPE)
    readouts(features, None, torch.tensor([5, 0])).sum().backward()
    assert readouts["b"].bias.grad is None
    assert (readouts["a"].bias.grad != 0).tolist() == [True, False, False]


@torch.no_grad()
def test_rates_follow_every_change_of_the_weights():
    readouts, features = SessionReadouts(alike(GaussianMaskReadout)), torch.randn(2, *SHAPE)

    def check():
        expected = torch.cat([readouts[session](features) for session in readouts.sessions], dim=-1)
        torch.testing.assert_close(readouts(features), expected)
        torch.testing.assert_close(readouts(features, "b"), expected[..., 3:4])

    check()
    readouts["a"].features.mul_(2)
    check()
    readouts["b"].position.data.add_(0.1)  # of which autograd knows nothing
    check()
    for session in readouts.sessions:
        readouts[session].position_scale = 5.0
    check()
    readouts.remove("a")
    readouts.add("a", GaussianMaskReadout(SHAPE, 3, position_scale=5.0))
    check()
    readouts.double()
    features = features.double()
    check()


def test_points_are_drawn_anew_in_training():
    readouts, features = mixed(), torch.randn(2, *SHAPE)
    assert not torch.allclose(readouts.rates(features)["point"], readouts.rates(features)["point"])


def test_sessions_come_and_go():
    readouts, features = sessions(), torch.randn(1, *SHAPE)
    before = readouts(features, "a")
    readouts.add("c", PointGaussianReadout(SHAPE, 1))
    readouts.remove("b")
    assert readouts.sessions == ["a", "c"]
    torch.testing.assert_close(readouts(features, "a"), before)
    assert {name.split(".")[1] for name in readouts.state_dict()} == {"a", "c"}


def test_frozen_sessions_do_not_learn():
    readouts, features = sessions(), torch.randn(1, *SHAPE)
    readouts.freeze(["a"])
    before = copy.deepcopy(readouts.state_dict())
    optimiser = torch.optim.AdamW(readouts.parameters(), lr=0.1)
    readouts(features).sum().backward()
    optimiser.step()
    changed = {name.split(".")[1] for name, value in readouts.state_dict().items() if not value.equal(before[name])}
    assert changed == {"b"}
    readouts.freeze()
    assert not any(parameter.requires_grad for parameter in readouts.parameters())
    readouts.freeze(frozen=False)
    assert all(parameter.requires_grad for parameter in readouts.parameters())


def test_thawing_does_not_let_a_fixed_bias_learn():
    readouts = SessionReadouts({"a": GaussianMaskReadout(SHAPE, 2, bias=False)})
    readouts.freeze(frozen=False)
    assert not readouts["a"].bias.requires_grad


def test_sessions_with_other_lags_are_aligned_at_the_end():
    readouts = SessionReadouts(
        {
            "slow": LinearNonlinearReadout(SHAPE, 2, temporal_kernel_size=4),
            "fast": LinearNonlinearReadout(SHAPE, 3),
            "a": GaussianMaskReadout(SHAPE, 1),
            "b": GaussianMaskReadout(SHAPE, 1),
        }
    )
    assert readouts.lag == 3
    features = torch.randn(1, *SHAPE)
    torch.testing.assert_close(readouts(features, "fast"), readouts["fast"](features)[:, 3:])
    torch.testing.assert_close(readouts(features, "slow"), readouts["slow"](features))
    together = torch.cat([readouts(features, session) for session in readouts.sessions], dim=-1)
    torch.testing.assert_close(readouts(features), together)


def test_penalties_and_constraints_are_those_of_the_sessions():
    readouts = SessionReadouts(
        {name: GaussianMaskReadout(SHAPE, n, width_penalty=1.0) for name, n in (("b", 2), ("a", 3))}
    )
    nn.init.constant_(readouts["a"].log_variance, 0.0)
    expected = (readouts["a"].regularizer() + readouts["b"].regularizer()) / 2
    torch.testing.assert_close(readouts.regularizer(), expected)
    nn.init.constant_(readouts["a"].features, -1.0)
    readouts.constrain()
    assert (readouts["a"].features == 0).all()


def test_an_unknown_session_lists_the_known():
    readouts = sessions()
    for call in (
        lambda: readouts(torch.randn(1, *SHAPE), "c"),
        lambda: readouts.rates(torch.randn(1, *SHAPE), ["c"]),
        lambda: readouts.remove("c"),
        lambda: readouts.freeze(["c"]),
    ):
        with pytest.raises(UserError, match=r"unknown session 'c'.*known are a, b"):
            call()


@pytest.mark.parametrize("name", ["a.b", "", "keys"])
def test_names_that_cannot_be_kept_are_refused(name):
    with pytest.raises(UserError, match=f"rename '{name}'"):
        SessionReadouts({name: GaussianMaskReadout(SHAPE, 1)})


def test_a_second_session_of_one_name_is_refused():
    with pytest.raises(UserError, match="there is a session 'a' already"):
        sessions().add("a", GaussianMaskReadout(SHAPE, 1))


def test_features_of_another_shape_are_refused_with_the_axis():
    with pytest.raises(UserError, match="height 5, these have 6"):
        sessions()(torch.randn(1, 4, 10, 6, 9))
