"""What is shown in two splits is found, exactly or nearly, and in the session where it is."""

from dataclasses import replace

import numpy as np
import pytest
from faults import CLIP, found, with_movie

import retina_nb as rnb
from retina_nb import Movie, Recording


@pytest.mark.parametrize(("split", "start"), [("test", 60 * CLIP + 100), ("validation", 5 * CLIP + 20)])
def test_a_copied_clip_is_found_exactly(clean, split, start):
    frames = clean["simulated_1"].movie.frames.copy()
    frames[:, 330:390] = frames[:, start : start + 60]
    audit = rnb.audit(with_movie(clean, frames))
    assert len(found(audit, "copies", f"of the {split} bins show clips that are in the train split")) == 1
    rows = audit.copies.query("kind == 'exact clip' and split == @split")
    shown = with_movie(clean, frames)
    for row in rows.itertuples():
        assert row.bins == 60
        for side in (row.bin, row.copy_bin):
            assert side == row.bin or shown[row.copy_session].split[side] == "train"
        one = shown[row.session].stimulus_at(row.bin + np.arange(60))
        np.testing.assert_array_equal(one, shown[row.copy_session].stimulus_at(row.copy_bin + np.arange(60)))


def test_a_clip_that_is_nearly_the_same_is_found(clean):
    frames, rng = clean["simulated_1"].movie.frames.copy(), np.random.default_rng(0)
    for clip, copied in ((2, 60), (3, 63)):  # two of the five test clips
        source = frames[:, copied * CLIP : (copied + 1) * CLIP]
        noise = 0.15 * source.std() * rng.standard_normal(source.shape)
        frames[:, clip * CLIP : (clip + 1) * CLIP] = 0.8 * source + 0.1 + noise
    audit = rnb.audit(with_movie(clean, frames))
    assert found(audit, "copies", "test clips correlate by 0.9", severity="problem")
    near = audit.copies.query("kind == 'near clip' and split == 'test' and correlation < 0.999")
    assert (near["correlation"] >= 0.95).all()
    assert len(near) >= 2 * CLIP / 30 - 2
    copies = with_movie(clean, frames)["simulated_1"].frames[near.query("copy_session == 'simulated_1'")["copy_bin"]]
    assert ((copies >= 2 * CLIP - 30) & (copies < 4 * CLIP)).all()


def test_bins_that_are_labelled_twice_are_found(first):
    # The last third of the training bins is shown again, and called a test.
    train = first.bins("train")[-600:]
    again = Recording(
        "again",
        first.movie,
        np.concatenate([first.responses, first.responses[train]]),
        first.rate,
        frames=np.concatenate([first.frames, first.frames[train]]),
        split=np.concatenate([np.where(first.split == "test", "", first.split), np.full(600, "test")]),
    )
    assert found(rnb.audit({"again": again}), "copies", "100 % of the test bins")


def test_what_another_session_learns_is_looked_at(clean):
    one, other = clean["simulated_1"], clean["simulated_2"]
    labels = np.where(other.split == "validation", "train", other.split)
    labels[np.isin(other.frames, np.arange(2 * CLIP))] = "validation"
    audit = rnb.audit({"a": one, "b": replace(other, split=labels)})
    assert not found(audit, "copies")
    assert found(audit, "copies", "validation bins", "a core that the sessions share", severity="look at it")


def test_flashed_images_are_compared_one_by_one():
    rng = np.random.default_rng(0)
    movie = Movie(rng.standard_normal((1, 60, 7, 9)).astype(np.float32))
    frames = np.concatenate([np.arange(60), np.arange(50, 60)])
    frames[3] = 55
    flashes = Recording(
        "flashes",
        movie,
        rng.poisson(2.0, (70, 4)).astype(np.float32),
        3.0,
        frames=frames,
        split=np.array(["train"] * 40 + ["validation"] * 10 + ["test"] * 20),
        repeats={"test": np.arange(50, 70).reshape(2, 10)},
        onsets=np.arange(70),
    )
    audit = rnb.audit({"flashes": flashes})
    assert found(audit, "copies", "10 % of the test bins show clips")
    assert found(audit, "timing", "no latency is told, bins are longer", severity="fine")
    assert not found(audit, "history", severity="look at it")


def test_grey_between_clips_is_no_copy(first):
    frames = first.movie.frames.copy()
    frames[:, CLIP - 30 : CLIP] = frames[:, 61 * CLIP - 30 : 61 * CLIP] = 0
    assert not found(rnb.audit(with_movie({"a": first}, frames)), "copies")


def test_short_stretches_of_one_session_do_not_make_clips_of_others_short(clean):
    one, other = clean["simulated_1"], clean["simulated_2"]
    short = np.where((other.split == "train") & (np.arange(len(other)) % 100 < 3), "validation", other.split)
    short[other.split == "validation"] = ""
    audit = rnb.audit({"a": one, "b": replace(other, split=short)})
    assert set(audit.copies["session"]) <= {"b"}


def test_a_frame_that_lasts_from_one_split_into_the_next_is_no_copy():
    """Pictures that are shown for 7 bins each, and labels that change in the middle of one."""
    rng = np.random.default_rng(0)
    frames = np.repeat(np.arange(60), 7)
    split = np.where(np.arange(420) < 213, "train", "test")
    recording = Recording(
        "a",
        Movie(rng.standard_normal((1, 60, 5, 7)).astype(np.float32)),
        rng.poisson(1, (420, 6)),
        7.0,
        frames=frames,
        split=split,
    )
    audit = rnb.audit(recording, clip=0.1)
    assert not audit.to_dataframe().query("check == 'copies' and severity != 'fine'").size
    again = replace(recording, frames=np.where(np.arange(420) >= 400, 3, frames))
    assert rnb.audit(again, clip=0.1).to_dataframe().query("check == 'copies' and severity != 'fine'").size
