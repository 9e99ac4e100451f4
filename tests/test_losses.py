from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import small_recording
from hypothesis import given
from hypothesis import strategies as st

from retina_nb import UserError
from retina_nb.losses import LOSSES, Part, correlation_loss, loss_named, mean_loss, poisson_loss, weigh_neurons
from retina_nb.metrics import pearson

GOLDEN = Path(__file__).parent / "golden" / "losses.npz"  # inputs and what openretina 1.1.1 makes of them


def part(rows, time, neurons, seed=0):
    """Rates, responses and weights of a session, about a third of whose bins do not count."""
    rng = torch.Generator().manual_seed(seed)
    rate = 0.1 + torch.rand(rows, time, neurons, generator=rng)
    response = torch.poisson(rate, generator=rng)
    bins = (torch.rand(rows, time, generator=rng) < 0.7).float()
    bins[:, 0] = 1
    return Part(rate, response, bins, 0.5 + torch.rand(neurons, generator=rng))


def rows_of(one, rows):
    return Part(one.rate[rows], one.response[rows], one.bin_weights[rows], one.neuron_weights)


def neurons_of(one, neurons):
    return Part(one.rate[..., neurons], one.response[..., neurons], one.bin_weights, one.neuron_weights[neurons])


sizes = st.tuples(st.integers(2, 5), st.integers(3, 7), st.integers(1, 4), st.integers(0, 1000))
close = {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parametrize("name", ["poisson", "l1_poisson", "mse"])
@given(sizes, st.data())
def test_the_loss_of_a_batch_is_the_mean_of_its_pieces(name, size, data):
    """Each piece counts by its bins times neurons, however the batch is split into rows and chunks of time."""
    loss, one, other = LOSSES[name], part(*size), part(3, 5, 2, seed=7)
    row, bin_ = data.draw(st.integers(1, size[0] - 1)), data.draw(st.integers(1, size[1] - 1))
    whole = mean_loss(loss, [one, other])
    pieces = [
        [rows_of(one, slice(None, row))],
        [rows_of(one, (slice(row, None), slice(None, bin_)))],
        [rows_of(one, (slice(row, None), slice(bin_, None))), other],
    ]
    counts = [sum(float(p.bin_weights.sum()) * p.rate.shape[-1] for p in piece) for piece in pieces]
    mean = sum(mean_loss(loss, piece) * count for piece, count in zip(pieces, counts, strict=True)) / sum(counts)
    torch.testing.assert_close(mean, whole, **close)


@pytest.mark.parametrize("name", LOSSES)
@given(sizes)
def test_the_order_of_sessions_and_the_doubling_of_neurons_or_rows_change_nothing(name, size):
    loss, one, other = LOSSES[name], part(*size), part(3, 5, 2, seed=7)
    whole = mean_loss(loss, [one, other])
    twice = [neurons_of(p, torch.arange(p.rate.shape[-1]).repeat(2)) for p in (one, other)]
    again = [rows_of(p, torch.arange(len(p.rate)).repeat(2)) for p in (one, other)]
    apart = [neurons_of(one, torch.tensor([n])) for n in range(size[2])]
    for parts in ([other, one], twice, again, [*apart, other]):
        torch.testing.assert_close(mean_loss(loss, parts), whole, **close)


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - {"scaled_correlation"}))  # whose windows are of rows
@given(sizes)
def test_bins_that_do_not_count_change_nothing_and_chunks_do_not_matter(name, size):
    one = part(*size)
    whole = mean_loss(LOSSES[name], [one])
    counts = one.bin_weights > 0
    changed = one._replace(response=torch.where(counts[..., None], one.response, 99.0))
    counted = Part(one.rate[counts][None], one.response[counts][None], one.bin_weights[counts][None], one[3])
    bin_by_bin = Part(
        one.rate[counts][:, None], one.response[counts][:, None], one.bin_weights[counts][:, None], one[3]
    )
    for same in (changed, counted, bin_by_bin):
        torch.testing.assert_close(mean_loss(LOSSES[name], [same]), whole, **close)


@given(sizes, st.floats(0.5, 3), st.floats(0, 2))
def test_the_correlation_loss_is_one_minus_the_correlation_whatever_scale_and_offset(size, scale, offset):
    rate, response, _, _ = part(20, *size[1:])
    loss = correlation_loss(scale * rate + offset, response, torch.ones(rate.shape[:2]))
    expected = 1 - pearson(rate.flatten(0, 1).numpy(), response.flatten(0, 1).numpy())
    np.testing.assert_allclose(loss, expected, atol=1e-4)


def test_the_correlation_loss_of_what_does_not_vary_is_one_with_finite_gradients():
    rate, response, bins, _ = part(2, 6, 3)
    rate[..., 0], response[..., 1] = 0.4, 0.0
    rate.requires_grad_()
    loss = correlation_loss(rate, response, bins)
    torch.testing.assert_close(loss[:2], torch.ones(2))
    loss.sum().backward()
    assert torch.isfinite(rate.grad).all()


def test_the_scaled_correlation_agrees_with_the_peer():
    """Values of openretina 1.1.1's ScaledCorrelationLoss3d(scale=30, per_neuron=True)."""
    rng = torch.Generator().manual_seed(0)
    rate = torch.rand(3, 60, 4, generator=rng)
    response = torch.poisson(torch.rand(3, 60, 4, generator=rng) * 2, generator=rng)
    theirs = torch.tensor([0.14020155, -0.09872878, -0.04719746, -0.02120890])
    torch.testing.assert_close(LOSSES["scaled_correlation"](rate, response, torch.ones(3, 60)), 1 + theirs)


def test_the_scaled_correlation_counts_no_slow_changes_and_no_bins_that_do_not_count():
    rate, response, bins, _ = part(3, 75, 4)
    loss = LOSSES["scaled_correlation"](rate, response, bins)
    steps = torch.arange(75).div(30, rounding_mode="floor")[:, None] * torch.tensor([1.0, 3.0, 9.0, 0.0])
    torch.testing.assert_close(LOSSES["scaled_correlation"](rate + steps, response, bins), loss, **close)
    changed = torch.where(bins[..., None] > 0, response, 99.0)
    torch.testing.assert_close(LOSSES["scaled_correlation"](rate, changed, bins), loss, **close)
    single = LOSSES["scaled_correlation"](rate[:, :61], response[:, :61], torch.ones(3, 61))
    torch.testing.assert_close(single, LOSSES["scaled_correlation"](rate[:, :60], response[:, :60], torch.ones(3, 60)))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda rate, response, weights: (rate - response).square(), r"value for each of 4 neurons, not \(3, 6, 4\)"),
        (lambda rate, response, weights: (rate - response).mean((0, 2)), r"value for each of 4 neurons, not \(6,\)"),
        (lambda rate, response, weights: 1.0, "value for each of 4 neurons, not float"),
        (lambda rate, response, weights: (rate - response).detach().mean((0, 1)), "no gradient by the rate"),
    ],
)
def test_a_loss_of_ones_own_that_is_none_is_refused(loss, message):
    one = part(3, 6, 4)
    with pytest.raises(UserError, match=message):
        mean_loss(loss, [one._replace(rate=one.rate.requires_grad_())])


def test_losses_are_least_at_the_truth():
    response = torch.poisson(torch.full((20_000, 1), 0.7), generator=torch.Generator().manual_seed(0))
    rates = torch.linspace(0.1, 2, 39)
    for name in ("poisson", "mse"):
        values = torch.stack([LOSSES[name](rate.expand_as(response), response, torch.ones(20_000)) for rate in rates])
        assert rates[values.argmin()] == pytest.approx(0.7, abs=0.06)


def test_losses_agree_with_the_peer():
    """Per neuron, and its sums over all elements where it has no means. It averages correlations over clips."""
    with np.load(GOLDEN) as golden:
        peer = {name: torch.from_numpy(golden[name]) for name in golden}
    rate = peer["in/batch/prediction"]
    response = peer["in/batch/target"][:, -rate.shape[1] :]
    bins = torch.ones(rate.shape[:2])
    for name, theirs in (("poisson", "PoissonLoss3d"), ("l1_poisson", "L1PoissonLoss3d")):
        torch.testing.assert_close(LOSSES[name](rate, response, bins), peer[f"out/{theirs}/per_neuron"])
    torch.testing.assert_close(LOSSES["mse"](rate, response, bins).mean(), peer["out/MSE3d"] / rate.numel())
    clips = torch.stack([correlation_loss(*clip) for clip in zip(rate, response, bins, strict=True)])
    torch.testing.assert_close(clips.mean(dim=0), 1 - peer["out/CorrelationLoss3d/plain/per_neuron"])


def typed(session, types, **options):
    recording = small_recording(session, neurons=len(types), **options)
    recording.neurons["type"] = np.array(types)
    return recording


def test_every_type_counts_alike_over_all_sessions():
    """The total weight of a type does not depend on how many cells it has or where they are; the mean weight is 1."""
    recordings = {"a": typed("a", ["ON", "ON", "ON"]), "b": typed("b", ["OFF", "ON"])}
    weights = weigh_neurons(recordings, "type")
    torch.testing.assert_close(weights["a"], torch.full((3,), 5 / 8))
    torch.testing.assert_close(weights["b"], torch.tensor([5 / 2, 5 / 8]))


def test_doubling_the_cells_of_a_type_does_not_change_the_loss_weighted_by_type():
    rate, response, bins, _ = part(3, 5, 2)
    losses = []
    for neurons in ([0, 1], [0, 1, 1], [0, 0, 0, 1, 1]):
        weights = weigh_neurons({"a": typed("a", np.array(["ON", "OFF"])[neurons])}, "type")["a"]
        losses.append(mean_loss(LOSSES["poisson"], [Part(rate[..., neurons], response[..., neurons], bins, weights)]))
    torch.testing.assert_close(torch.stack(losses), losses[0].expand(3))


def test_quiet_neurons_count_as_much_as_busy_ones_when_weighted_by_rate():
    recordings = {name: small_recording(name, neurons=n, seed=n) for name, n in (("a", 3), ("b", 2))}
    weights = weigh_neurons(recordings, "rate")
    means = {name: one.response("train").mean(axis=0) for name, one in recordings.items()}
    overall = np.concatenate([*means.values()]).mean()
    for name in recordings:
        np.testing.assert_allclose(weights[name].numpy() * means[name], overall, rtol=1e-5)
    assert all((one == 1).all() for one in weigh_neurons(recordings).values())


def test_unknown_losses_and_weightings_and_missing_types_are_refused_in_a_sentence():
    with pytest.raises(UserError, match="unknown loss 'poison': did you mean 'poisson'"):
        loss_named("poison")
    with pytest.raises(UserError, match="unknown weighting of neurons 'types': did you mean 'type'"):
        weigh_neurons({"a": small_recording()}, "types")
    with pytest.raises(UserError, match="session b does not say the types of its neurons"):
        weigh_neurons({"a": typed("a", ["ON"]), "b": small_recording("b")}, "type")


def test_a_loss_of_ones_own_is_taken_as_it_is():
    assert loss_named(correlation_loss) is correlation_loss
    assert poisson_loss(torch.ones(2), torch.zeros(2)).tolist() == [1, 1]
