from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import small_recording
from hypothesis import given
from hypothesis import strategies as st

from retina_nb import Movie, Recording, UserError
from retina_nb.loaders.batches import SharedBatches


def counted(recordings, **options):
    """How often each bin of each session counts in an epoch, checking that every row is what was on screen."""
    batches = SharedBatches(recordings, **options)
    lag = options["lag"]
    counts = {name: np.zeros(len(recording)) for name, recording in recordings.items()}
    for batch in batches:
        for name, target in batch.targets.items():
            recording = recordings[name]
            for row, response, weight in zip(
                batch.stimulus[target.rows], target.responses, target.weights, strict=True
            ):
                # Responses are numbered by bin in these tests, so that they say where they come from.
                used = np.flatnonzero(weight)
                if not len(used):
                    continue
                bins = response[used, 0].numpy().astype(int)
                np.testing.assert_array_equal(np.diff(bins), 1)
                history = np.arange(bins[0] - lag, bins[-1] + 1)
                np.testing.assert_array_equal(row[:, used[0] : used[-1] + lag + 1], recording.stimulus_at(history))
                for onset in recording.onsets:
                    assert not (bins[0] - lag < onset <= bins[-1])
                counts[name][bins] += 1
    return counts


ZERO = np.array([0])


def numbered(session, frames, split, onsets=ZERO, mirrored=False, movie=None):
    time = len(frames)
    movie = movie or Movie(np.random.default_rng(0).standard_normal((1, 200, 3, 5)).astype(np.float32))
    return Recording(
        session, movie, np.arange(time)[:, None], 30.0, frames=frames, split=split, onsets=onsets, mirrored=mirrored
    )


@given(
    lag=st.integers(0, 9),
    chunk=st.integers(1, 40),
    batch_size=st.integers(1, 7),
    labels=st.lists(
        st.tuples(st.sampled_from(["train", "validation", "test", ""]), st.integers(1, 30)), min_size=3, max_size=8
    ),
    onset=st.integers(0, 60),
    seed=st.integers(0, 3),
)
def test_every_bin_with_history_counts_exactly_once(lag, chunk, batch_size, labels, onset, seed):
    split = np.array([label for label, length in [("train", 80), *labels] for _ in range(length)])
    recording = numbered("a", np.arange(len(split)) % 200, split, onsets=np.array([0, onset]))
    counts = counted({"a": recording}, split="train", lag=lag, chunk_size=chunk, batch_size=batch_size, seed=seed)["a"]
    bins = np.arange(len(split))
    since = bins - np.where(bins >= onset, onset, 0)
    np.testing.assert_array_equal(counts, (split == "train") & (since >= lag))


def test_sessions_that_saw_the_same_share_the_stimulus():
    movie = Movie(np.random.default_rng(0).standard_normal((1, 200, 3, 5)).astype(np.float32))
    split = np.array(["train"] * 120)
    order = np.random.default_rng(1).permutation(120)
    recordings = {
        "a": numbered("a", np.arange(120), split, movie=movie),
        "b": numbered("b", np.arange(120), split, movie=movie),
        "other order": numbered("other order", order, split, movie=movie),
        "left eye": numbered("left eye", np.arange(120), split, movie=movie, mirrored=True),
    }
    options = {"split": "train", "lag": 4, "chunk_size": 29, "batch_size": 100, "seed": 0}
    (batch,) = SharedBatches(recordings, **options)
    assert len(batch.stimulus) == 3 * 4
    assert batch.targets["a"].rows == batch.targets["b"].rows
    for name, counts in counted(recordings, **options).items():
        assert counts.sum() == 116, name


def clips_in_orders(orders, length=40, **options):
    """A session for each order of clips of one movie."""
    movie = Movie(np.random.default_rng(0).standard_normal((1, 400, 3, 5)).astype(np.float32))
    frames = {str(n): (np.array(order)[:, None] * length + np.arange(length)).ravel() for n, order in enumerate(orders)}
    return {
        name: numbered(name, one, np.array(["train"] * len(one)), movie=movie, **options)
        for name, one in frames.items()
    }


@given(
    orders=st.lists(st.lists(st.integers(0, 5), min_size=2, max_size=7), min_size=1, max_size=5),
    lag=st.integers(0, 12),
    chunk=st.integers(1, 60),
    batch_size=st.integers(1, 7),
    length=st.integers(10, 40),
)
def test_whatever_the_orders_of_clips_every_bin_counts_once_and_sees_its_own_history(
    orders, lag, chunk, batch_size, length
):
    recordings = clips_in_orders(orders, length)
    counts = counted(recordings, split="train", lag=lag, chunk_size=chunk, batch_size=batch_size, seed=0)
    for name, recording in recordings.items():
        np.testing.assert_array_equal(counts[name], np.arange(len(recording)) >= lag)


def test_clips_are_shared_across_orders_but_for_their_onsets():
    lag, length, orders = 4, 40, [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 1, 3, 0]]
    options = {"split": "train", "lag": lag, "chunk_size": 100, "batch_size": 2, "seed": 0}
    rows = {size: [] for size in (length - lag, lag)}
    for batch in SharedBatches(clips_in_orders(orders), **options):
        rows[batch.stimulus.shape[2] - lag].append(batch)
    inside, onsets = rows.values()
    assert sum(len(batch.stimulus) for batch in inside) == 5
    assert all(len({(one.rows.start, one.rows.stop) for one in batch.targets.values()}) == 1 for batch in inside)
    # A pair of clips that two sessions saw is shared at its onset too; the first clip of a session has no history.
    pairs = {pair for order in orders for pair in pairwise(order)}
    assert sum(len(batch.stimulus) for batch in onsets) == len(pairs)
    assert max(len(batch.stimulus) for batch in onsets) > 2  # short chunks are more in a batch


def test_nothing_is_shared_for_so_short_that_histories_cost_more():
    options = {"split": "train", "lag": 12, "chunk_size": 200, "batch_size": 100, "seed": 0}
    recordings = clips_in_orders([[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]], length=20)
    (batch,) = SharedBatches(recordings, **options)
    assert batch.stimulus.shape[0] == 2


def test_left_eyes_share_among_themselves():
    orders = [[0, 1, 2], [2, 1, 0]]
    right, left = clips_in_orders(orders), clips_in_orders(orders, mirrored=True)
    recordings = right | {
        f"left {name}": replace(one, session=f"left {name}", movie=right["0"].movie) for name, one in left.items()
    }
    options = {"split": "train", "lag": 4, "chunk_size": 100, "batch_size": 100, "seed": 0}
    inside, _ = SharedBatches(recordings, **options)
    assert len(inside.stimulus) == 2 * 3
    assert inside.targets["0"].rows == inside.targets["1"].rows != inside.targets["left 0"].rows
    counted(recordings, **options)


def test_sharing_changes_no_loss_and_no_gradient():
    """The sum over an epoch is that of sessions that share nothing, each with a movie of its own."""
    shared = clips_in_orders([[0, 1, 2, 3], [3, 1, 0, 2], [1, 3, 2, 0], [0, 1, 2, 3]])
    apart = {name: replace(one, movie=Movie(one.movie.frames.copy())) for name, one in shared.items()}
    losses, gradients, frames = [], [], []
    for recordings in (shared, apart):
        torch.manual_seed(0)
        core = torch.nn.Sequential(torch.nn.Conv3d(1, 2, (4, 2, 2)), torch.nn.ELU(), torch.nn.Conv3d(2, 1, (3, 2, 4)))
        core = core.double()
        loss, seen = torch.zeros(()), 0
        for batch in SharedBatches(recordings, split="train", lag=5, chunk_size=30, batch_size=5, seed=0):
            seen += batch.stimulus.shape[0] * batch.stimulus.shape[2]
            rate = core(batch.stimulus.double()).flatten(1).exp()
            for target in batch.targets.values():
                errors = rate[target.rows] - target.responses[..., 0] * rate[target.rows].log()
                loss = loss + (errors * target.weights).sum()
        loss.backward()
        losses.append(loss.detach())
        gradients.append(torch.cat([one.grad.flatten() for one in core.parameters()]))
        frames.append(seen)
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert frames[0] < 0.55 * frames[1]


def test_batches_depend_on_seed_and_epoch_alone():
    recording = {"a": small_recording()}
    options = {"split": "train", "lag": 3, "chunk_size": 20, "batch_size": 4}

    def epoch(seed, number):
        batches = SharedBatches(recording, **options, seed=seed)
        batches.epoch = number
        return torch.cat([batch.targets["a"].responses.flatten() for batch in batches])

    torch.testing.assert_close(epoch(0, 1), epoch(0, 1))
    assert not torch.equal(epoch(0, 1), epoch(0, 2))
    assert not torch.equal(epoch(0, 1), epoch(1, 1))


def test_a_lazy_movie_is_read_as_needed():
    class Lazy:
        def __init__(self, frames):
            self._frames, self.shape = frames, frames.shape

        def __getitem__(self, index):
            return self._frames[index]

    real = small_recording()
    lazy = small_recording(movie=Movie(Lazy(real.movie.frames)))
    options = {"split": "train", "lag": 3, "chunk_size": 20, "batch_size": 4, "seed": 0}
    for one, two in zip(SharedBatches({"a": real}, **options), SharedBatches({"a": lazy}, **options), strict=True):
        torch.testing.assert_close(one.stimulus, two.stimulus)


def test_a_split_without_history_is_refused():
    with pytest.raises(UserError, match="session a has no validation bin with 3 bins of history"):
        SharedBatches(
            {"a": numbered("a", np.arange(50), np.array(["train"] * 50))},
            split="validation",
            lag=3,
            chunk_size=9,
            batch_size=2,
        )
