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
                bins = response[:, 0].numpy().astype(int)
                np.testing.assert_array_equal(np.diff(bins), 1)
                history = np.arange(bins[0] - lag, bins[-1] + 1)
                np.testing.assert_array_equal(row, recording.stimulus_at(history))
                used = bins[weight.numpy() > 0]
                for onset in recording.onsets:
                    assert not (used[0] - lag < onset <= used[-1]) if len(used) else True
                counts[name][used] += 1
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
