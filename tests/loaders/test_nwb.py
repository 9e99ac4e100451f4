"""NWB files written here by pynwb, with planted frames, spikes and traces, are read back as what they mean."""

import warnings
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pynwb's own, on import
    from pynwb import NWBHDF5IO, NWBFile, TimeSeries
    from pynwb.base import ImageReferences, Images
    from pynwb.file import Subject
    from pynwb.image import GrayscaleImage, ImageSeries, IndexSeries, OpticalSeries
    from pynwb.ophys import Fluorescence, ImageSegmentation, OpticalChannel, RoiResponseSeries

from retina_nb import UserError, load_recordings
from retina_nb.loaders import on_disk

pytestmark = pytest.mark.filterwarnings("ignore:.*:UserWarning")  # what pynwb advises those who write files

RATE, START = 20.0, 3.0
HEIGHT, WIDTH = 5, 7


def nwb_file() -> NWBFile:
    subject = Subject(subject_id="m1", species="Mus musculus", sex="F", age="P90D")
    start = datetime(2024, 5, 17, 9, 30, tzinfo=UTC)
    return NWBFile("flashed noise", "id-1", start, subject=subject, institution="a lab", session_id="s1")


def write(file: NWBFile, path: Path) -> Path:
    with NWBHDF5IO(path, "w") as opened:
        opened.write(file)
    return path


def grey(frames=60, seed=0) -> np.ndarray:
    """(frame, height, width)."""
    return np.random.default_rng(seed).integers(0, 256, (frames, HEIGHT, WIDTH), np.uint8)


def series(name="movie", data=None, kind=ImageSeries, **more):
    """A series of images, stored with x before y as the standard has it."""
    data = grey().swapaxes(1, 2) if data is None else data
    times = {} if "timestamps" in more else {"rate": RATE, "starting_time": START}
    return kind(name=name, data=data, unit="n.a.", **times | more)


def add_units(file: NWBFile, spikes, **more) -> None:
    for times in spikes:
        file.add_unit(spike_times=np.asarray(times, dtype=float), **more)


def spikes(counts, starts, duration=1 / RATE):
    """Spike times that give counts (time, unit), all in the middle of their bin."""
    return [np.repeat(np.asarray(starts) + duration / 2, one.astype(int)) for one in counts.T]


def planted(frames=60, units=3, start=START, seed=1):
    counts = np.random.default_rng(seed).poisson(1.0, (frames, units))
    return counts, spikes(counts, start + np.arange(frames) / RATE)


def simple(path: Path, **more) -> np.ndarray:
    """A file with a movie of 60 frames and three units; returns their counts."""
    file, (counts, times) = nwb_file(), planted()
    file.add_stimulus(series(**more))
    add_units(file, times)
    write(file, path)
    return counts


# ---- stimuli and spikes


def test_spikes_are_counted_in_the_bins_of_the_frames(tmp_path):
    counts = simple(tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb", normalize=False, clip_length=10, pixel_um=30.0).values()
    assert recording.session == "a"
    np.testing.assert_array_equal(recording.responses, counts)
    np.testing.assert_array_equal(recording.stimulus_at(np.arange(60)), grey()[None])
    assert (recording.rate, recording.unit, recording.pixel_um, recording.signed) == (RATE, "spikes/bin", 30.0, False)
    assert recording.onsets.tolist() == [0]
    assert (recording.split == "validation").sum() == 10
    assert set(recording.split) == {"train", "validation"}


def test_frames_are_normalised_by_those_for_training_and_it_can_be_undone(tmp_path):
    simple(tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb", clip_length=10).values()
    train = recording.stimulus("train")
    assert abs(train.mean()) < 1e-5
    assert train.std() == pytest.approx(1, abs=1e-5)
    original = recording.movie.frames * recording.movie.std + recording.movie.mean
    np.testing.assert_allclose(original, grey()[None], atol=1e-3)


@pytest.mark.parametrize(
    ("stored", "told", "axes"),
    [("xy", None, None), ("xy", (WIDTH, HEIGHT), None), ("yx", (WIDTH, HEIGHT), None), ("yx", None, "yx")],
)
def test_height_comes_before_width_however_it_is_stored(tmp_path, stored, told, axes):
    data = grey().swapaxes(1, 2) if stored == "xy" else grey()
    simple(tmp_path / "a.nwb", data=data, dimension=told)
    (recording,) = load_recordings(tmp_path / "a.nwb", normalize=False, axes=axes).values()
    np.testing.assert_array_equal(recording.movie.frames, grey()[None])


def test_colours_are_channels(tmp_path):
    colours = np.random.default_rng(0).standard_normal((60, WIDTH, HEIGHT, 3))
    optical = {"kind": OpticalSeries, "distance": 0.1, "field_of_view": [1.0, 1.0], "orientation": "up"}
    simple(tmp_path / "a.nwb", data=colours, **optical)
    (recording,) = load_recordings(tmp_path / "a.nwb", normalize=False, channels=["red", "green", "UV"]).values()
    np.testing.assert_array_equal(recording.movie.frames, colours.transpose(3, 0, 2, 1))
    assert recording.movie.channels == ("red", "green", "UV")


def test_a_movie_that_does_not_fit_into_memory_stays_in_its_file(tmp_path, monkeypatch):
    simple(tmp_path / "a.nwb")
    (expected,) = load_recordings(tmp_path / "a.nwb").values()
    monkeypatch.setattr(on_disk, "IN_MEMORY", 1000)
    (recording,) = load_recordings(tmp_path / "a.nwb").values()
    assert not isinstance(recording.movie.frames, np.ndarray)
    np.testing.assert_array_equal(recording.stimulus_at(np.arange(60)), expected.stimulus_at(np.arange(60)))


def template(frames=30) -> Images:
    """Images in an order that is not the one they are stored in."""
    pictures = [GrayscaleImage(name=f"{number}", data=picture.T) for number, picture in enumerate(grey(frames))]
    order = ImageReferences(name="order_of_images", data=pictures)
    return Images(name="template", images=pictures[::-1], order_of_images=order)


def shown(name, numbers, images, start=START) -> IndexSeries:
    data = np.asarray(numbers, np.uint32)
    return IndexSeries(name=name, data=data, unit="N/A", indexed_images=images, rate=RATE, starting_time=start)


@pytest.mark.parametrize("old", [False, True])
def test_numbers_of_frames_show_a_template_in_any_order(tmp_path, old):
    file, images, order = nwb_file(), template(9), np.random.default_rng(3).integers(0, 9, 60)
    counts, times = planted()
    file.add_stimulus_template(images)
    file.add_stimulus_template(series("film", grey(9).swapaxes(1, 2)))
    file.add_stimulus(shown("shown", order, images))
    add_units(file, times)
    path = write(file, tmp_path / "a.nwb")
    if old:  # until pynwb 4 the frames could be those of a series
        with h5py.File(path, "r+") as opened:
            group = opened["stimulus/presentation/shown"]
            del group["indexed_images"]
            group["indexed_timeseries"] = h5py.SoftLink("/stimulus/templates/film")
    (recording,) = load_recordings(path, normalize=False).values()
    assert len(recording.movie) == 9
    np.testing.assert_array_equal(recording.frames, order)
    np.testing.assert_array_equal(recording.stimulus_at(np.arange(60)), grey(9)[None, order])
    np.testing.assert_array_equal(recording.responses, counts)


def test_a_pause_starts_a_presentation_and_series_follow_one_another_in_time(tmp_path):
    file = nwb_file()
    times = START + np.arange(60) / RATE
    times[40:] += 2.0
    file.add_stimulus(series("late", timestamps=times + 10))
    file.add_stimulus(series("early", data=grey(8, seed=5).swapaxes(1, 2)))
    starts = np.concatenate([START + np.arange(8) / RATE, times + 10])
    counts = np.random.default_rng(0).poisson(1.0, (68, 2))
    add_units(file, [*spikes(counts, starts), [1e3]])
    add_units(file, [np.arange(times[39] + 10.06, times[40] + 10, 0.01)])  # silent but for the pause
    write(file, tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb", normalize=False, test=["early"]).values()
    assert recording.onsets.tolist() == [0, 8, 48]
    np.testing.assert_array_equal(recording.responses[:, :2], counts)
    assert not recording.responses[:, 2:].any()
    np.testing.assert_array_equal(recording.stimulus("early"), grey(8, seed=5)[None])
    assert recording.repeats["early"].tolist() == [list(range(8))]
    assert (recording.split == "test").sum() == 8


def test_a_rate_bins_frames_that_last_long(tmp_path):
    file = nwb_file()
    times = START + np.array([0.0, 0.5, 0.9, 1.5, 2.0])  # of unequal length
    file.add_stimulus(series(data=grey(5).swapaxes(1, 2), timestamps=times))
    counts = np.random.default_rng(0).poisson(1.0, (25, 2))
    add_units(file, spikes(counts, START + np.arange(25) / 10, 0.1))
    write(file, tmp_path / "a.nwb")
    with pytest.raises(UserError, match=r"frames of movie last from 0\.4 to 0\.6 s, .* give rate="):
        load_recordings(tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb", rate=10.0).values()
    assert recording.rate == 10.0
    assert recording.frames.tolist() == [0] * 5 + [1] * 4 + [2] * 6 + [3] * 5 + [4] * 5
    np.testing.assert_array_equal(recording.responses, counts)


def test_where_a_unit_was_not_observed_bins_are_unused(tmp_path):
    file, (counts, times) = nwb_file(), planted()
    file.add_stimulus(series())
    add_units(file, times[:2], obs_intervals=[[0.0, START + 2.0], [START + 2.5, 99.0]])
    add_units(file, times[2:], obs_intervals=[[0.0, 99.0]])
    write(file, tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb").values()
    assert np.flatnonzero(recording.split == "").tolist() == list(range(40, 50))
    used = recording.split != ""
    np.testing.assert_array_equal(recording.responses[used], counts[used])


# ---- calcium


def add_rois(file: NWBFile, traces, name="RoiResponseSeries", masks=True, **more) -> None:
    device = file.create_device(name=f"microscope of {name}")
    channel = OpticalChannel(name="green", description="", emission_lambda=510.0)
    plane = file.create_imaging_plane(
        name=f"plane of {name}", optical_channel=channel, description="", device=device, excitation_lambda=920.0,
        indicator="GCaMP6", location="retina", grid_spacing=[1.0, 1.0],
    )  # fmt: skip
    segmentation = ImageSegmentation(name=f"segmentation of {name}")
    rois = segmentation.create_plane_segmentation(name="rois", description="", imaging_plane=plane)
    rois.add_column(name="celltype", description="")
    for roi in range(traces.shape[1]):
        mask = np.zeros((9, 11))
        mask[roi : roi + 3, 2:5] = 1
        rois.add_roi(image_mask=mask, celltype=f"type {roi}")
    if "processing" not in file.processing and "ophys" not in file.processing:
        file.create_processing_module(name="ophys", description="")
    file.processing["ophys"].add(segmentation)
    region = rois.create_roi_table_region(region=list(range(traces.shape[1])), description="")
    times = {} if "timestamps" in more else {"rate": 10.0, "starting_time": START}
    responses = RoiResponseSeries(name=name, data=traces, rois=region, unit="a.u.", **times | more)
    file.processing["ophys"].add(Fluorescence(name=f"container of {name}", roi_response_series=responses))


def test_traces_are_interpolated_at_the_middle_of_each_bin(tmp_path):
    file = nwb_file()
    file.add_stimulus(series())
    times = START - 0.5 + np.arange(60) / 10
    add_rois(file, np.stack([times, 5 - times], axis=1), timestamps=times)
    write(file, tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb").values()
    middle = START + (np.arange(60) + 0.5) / RATE
    np.testing.assert_allclose(recording.responses, np.stack([middle, 5 - middle], axis=1), rtol=1e-5, atol=1e-5)
    assert recording.signed
    assert recording.unit == "a.u."
    assert recording.neurons["celltype"].tolist() == ["type 0", "type 1"]
    assert recording.neurons["roi_x"].tolist() == [1, 2]
    assert recording.neurons["roi_y"].tolist() == [3, 3]


def test_bins_before_and_after_the_scan_are_unused(tmp_path):
    file = nwb_file()
    file.add_stimulus(series())
    add_rois(file, np.ones((11, 2)), starting_time=START + 1.0)
    write(file, tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb").values()
    assert np.flatnonzero(recording.split).tolist() == list(range(20, 40))


def test_a_trace_that_is_not_finite_is_named(tmp_path):
    file = nwb_file()
    file.add_stimulus(series())
    traces = np.ones((40, 2))
    traces[20, 1] = np.nan
    add_rois(file, traces)
    write(file, tmp_path / "a.nwb")
    with pytest.raises(UserError, match="session a: responses are not finite at bin 38, neuron 1"):
        load_recordings(tmp_path / "a.nwb")


def test_of_several_series_of_traces_one_is_named(tmp_path):
    file = nwb_file()
    file.add_stimulus(series())
    add_rois(file, np.ones((40, 2)), "raw")
    add_rois(file, np.full((40, 3), 2.0), "deconvolved")
    write(file, tmp_path / "a.nwb")
    with pytest.raises(UserError, match=r"more than one series of ROI responses \(deconvolved, raw\); name one"):
        load_recordings(tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb", responses="deconvolved").values()
    assert recording.responses.shape == (60, 3)
    with pytest.raises(UserError, match="unknown responses 'deconvolvd': did you mean 'deconvolved'"):
        load_recordings(tmp_path / "a.nwb", responses="deconvolvd")


# ---- tables


def trials(path: Path, rows, columns=(), numbers=None) -> dict:
    """A file with rows (first bin, last bin, values of columns); returns settings for small clips."""
    file, images, (_, times) = nwb_file(), template(), planted()
    file.add_stimulus_template(images)
    file.add_stimulus(shown("shown", np.arange(60) % 30 if numbers is None else numbers, images))
    add_units(file, times)
    for column in columns:
        file.add_trial_column(name=column, description="what the trial is")
    for first, last, *values in rows:
        edges = {"start_time": START + first / RATE, "stop_time": START + last / RATE}
        file.add_trial(**edges, **dict(zip(columns, values, strict=True)))
    write(file, path)
    return {"clip_length": 5}


def test_a_column_tells_the_split_and_repeats_are_found(tmp_path):
    rows = [(0, 10, "train"), (10, 20, "validation"), (20, 25, "test"), (30, 40, "train"), (50, 55, "test")]
    settings = trials(tmp_path / "a.nwb", rows, ["split"])
    (recording,) = load_recordings(tmp_path / "a.nwb", **settings).values()
    expected = np.repeat(["train", "validation", "test", "", "train", "", "test", ""], [10, 10, 5, 5, 10, 10, 5, 5])
    assert recording.split.tolist() == expected.tolist()
    assert {name: bins[:, 0].tolist() for name, bins in recording.repeats.items()} == {"test": [20, 50]}


def test_without_a_split_rows_that_show_the_same_are_repeats(tmp_path):
    numbers = [*range(10), *range(20, 30), *range(10, 20), *range(20, 30), *range(10), *range(20, 29), 19]
    rows = [(10, 20), (30, 40), (50, 59), (0, 10)]  # one is cut by a frame
    settings = trials(tmp_path / "a.nwb", rows, numbers=numbers)
    (recording,) = load_recordings(tmp_path / "a.nwb", **settings).values()
    assert recording.repeats["test"][:, 0].tolist() == [10, 30, 50]
    assert recording.repeats["test"].shape == (3, 9)
    assert set(recording.split[:10]) <= {"train", "validation"}


def test_repeats_have_the_name_of_what_was_shown(tmp_path):
    rows = [(0, 10, "noise"), (20, 30, "bars"), (30, 40, "noise"), (50, 60, "bars"), (10, 20, "once")]
    settings = trials(tmp_path / "a.nwb", rows, ["stimulus"])
    (recording,) = load_recordings(tmp_path / "a.nwb", **settings).values()
    assert {name: bins[:, 0].tolist() for name, bins in recording.repeats.items()} == {
        "noise": [0, 30],
        "bars": [20, 50],
    }
    assert recording.trials("bars").shape == (2, 10, 3)


def test_columns_and_tables_may_have_other_names(tmp_path):
    rows = [(0, 30, "train", "a"), (30, 40, "test", "b")]
    settings = trials(tmp_path / "a.nwb", rows, ["phase", "movie_name"])
    settings |= {"intervals": "trials", "split_column": "phase", "stimulus_column": "movie_name"}
    (recording,) = load_recordings(tmp_path / "a.nwb", **settings).values()
    assert recording.repeats["b"].tolist() == [list(range(30, 40))]
    assert (recording.split[40:] == "").all()


def test_presentations_that_show_the_same_are_repeats(tmp_path):
    file = nwb_file()
    images = template()
    file.add_stimulus_template(images)
    for number, frames in enumerate([range(20), range(20, 30), range(20, 30)]):
        file.add_stimulus(shown(f"{number}", frames, images, START + 2.0 * number))
    add_units(file, planted()[1])
    write(file, tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb", clip_length=5).values()
    assert recording.repeats["test"].tolist() == [list(range(20, 30)), list(range(30, 40))]


# ---- sessions, cells, facts


def test_sessions_that_saw_the_same_frames_share_them(tmp_path):
    for name in "ab":
        simple(tmp_path / f"{name}.nwb")
    simple(tmp_path / "c.nwb", data=grey(60, seed=9).swapaxes(1, 2))
    recordings = load_recordings(tmp_path)
    assert list(recordings) == ["a", "b", "c"]
    assert recordings["a"].movie is recordings["b"].movie
    assert recordings["a"].movie is not recordings["c"].movie
    assert list(load_recordings(tmp_path, sessions=["b"])) == ["b"]


def test_what_is_known_of_units_electrodes_and_the_session(tmp_path):
    file, (_, times) = nwb_file(), planted()
    file.add_stimulus(series())
    group = file.create_electrode_group(
        name="array", description="", location="retina", device=file.create_device(name="MEA")
    )
    for place in range(4):
        file.add_electrode(x=10.0 * place, y=100.0, z=0.0, location="ventral", group=group)
    file.add_unit_column(name="celltype", description="")
    file.add_unit_column(name="quality", description="")
    for unit, one in enumerate(times):
        file.add_unit(
            spike_times=one, electrodes=[unit, unit + 1], celltype="ON" if unit else "OFF", quality=0.5 * unit
        )
    write(file, tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb").values()
    assert recording.neurons["celltype"].tolist() == ["OFF", "ON", "ON"]
    assert recording.neurons["quality"].tolist() == [0.0, 0.5, 1.0]
    assert recording.neurons["electrode_x"].tolist() == [5.0, 15.0, 25.0]
    assert recording.neurons["electrode_location"].tolist() == ["ventral"] * 3
    assert recording.neurons["id"].tolist() == [0, 1, 2]
    assert recording.about["subject species"] == "Mus musculus"
    assert recording.about["session_start_time"] == "2024-05-17 09:30:00+00:00"


# ---- bad input


def broken(**change):
    """A file that lacks something, or has something that does not fit."""
    parts = {"stimulus": series(), "spikes": planted()[1]} | change
    file = nwb_file()
    if parts["stimulus"] is not None:
        file.add_stimulus(parts["stimulus"])
    if parts["spikes"] is not None:
        add_units(file, parts["spikes"])
    return file


STAMPS = START + np.arange(60) / RATE


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"stimulus": None}, "presentation has nothing, but no ImageSeries or IndexSeries"),
        ({"stimulus": TimeSeries(name="x", data=[1.0], unit="", rate=1.0)}, "presentation has x, but no ImageSeries"),
        ({"spikes": None}, "neither units nor ROI responses"),
        ({"spikes": [[1e6]]}, "units were not recorded while the stimulus was shown, from 3 to 6 s"),
        ({"spikes": [[np.nan, 4.0]]}, "unit 0 has spike times that are not finite"),
        ({"stimulus": series(timestamps=STAMPS[::-1])}, "timestamps of movie must be .* later"),
        ({"stimulus": series(timestamps=np.where(STAMPS > 4, np.nan, STAMPS))}, "timestamps of movie must be"),
        ({"stimulus": series(data=np.zeros((60, WIDTH, HEIGHT)))}, "mean 0 and standard deviation 0.*normalize=False"),
        ({"stimulus": series(data=np.full((60, WIDTH, HEIGHT), np.nan))}, "cannot be normalised"),
        ({"stimulus": series(dimension=[3, 4])}, r"movie tells \(3, 4\) pixels on x and y, but has \(7, 5\)"),
        (
            {
                "stimulus": ImageSeries(
                    name="video", external_file=["a.avi"], format="external", rate=1.0, num_samples=3, unit="n.a."
                )
            },
            r"frames of video are in other files \(a\.avi\)",
        ),
    ],
)
def test_what_is_missing_or_does_not_fit_is_named(tmp_path, change, problem):
    write(broken(**change), tmp_path / "a.nwb")
    with pytest.raises(UserError, match=problem) as error:
        load_recordings(tmp_path / "a.nwb")
    assert "\n" not in str(error.value)


def test_series_that_overlap_or_are_not_alike(tmp_path):
    file = broken()
    file.add_stimulus(series("other", starting_time=START + 1))
    write(file, tmp_path / "a.nwb")
    with pytest.raises(
        UserError, match=r"a\.nwb: other starts at 4 s, before movie ends at 6 s; choose one by stimulus="
    ):
        load_recordings(tmp_path / "a.nwb")
    assert len(load_recordings(tmp_path / "a.nwb", stimulus="movie")["a"]) == 60
    file = broken()
    file.add_stimulus(series("other", data=np.zeros((9, HEIGHT, WIDTH)), starting_time=9.0))
    write(file, tmp_path / "a.nwb")
    with pytest.raises(UserError, match="frames of movie and other are not alike"):
        load_recordings(tmp_path / "a.nwb")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"stimulus": "move"}, "unknown series of images 'move': did you mean 'movie'"),
        ({"test": ["move"]}, "unknown series that was shown 'move'"),
        ({"intervals": "trails"}, "unknown table of intervals 'trails'"),
        ({"responses": "rois"}, "unknown responses 'rois': known are units"),
        ({"axes": "yz"}, "axes must be 'xy' or 'yx'"),
        ({"rate": -1.0}, "rate must be a positive number"),
        (
            {"n_validation_clips": 99},
            r"a\.nwb: what is for training has 60 frames, that are 0 clips of 100, and 99 are",
        ),
        ({"clip_length": 0}, "clip_length must be a whole number of at least 1"),
        ({"sessions": ["b"]}, "unknown session"),
        ({"rat": 3}, "unknown setting of NWB files 'rat': did you mean 'rate'"),
    ],
)
def test_settings_that_are_not_possible(tmp_path, settings, problem):
    simple(tmp_path / "a.nwb")
    with pytest.raises(UserError, match=problem):
        load_recordings(tmp_path / "a.nwb", **settings)


def test_repeats_whose_frames_are_stored_every_time_are_repeats_all_the_same(tmp_path):
    film = grey()
    film[20:30] = film[:10]
    file = nwb_file()
    file.add_stimulus(series(data=film.swapaxes(1, 2)))
    add_units(file, planted()[1])
    file.add_trial_column("stimulus", "what was shown")
    file.add_trial_column("split", "what it is for")
    for first, last, name, split in [(0, 10, "a", "test"), (10, 20, "b", "train"), (20, 30, "a", "test")]:
        file.add_trial(start_time=START + first / RATE, stop_time=START + last / RATE, stimulus=name, split=split)
    write(file, tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb", normalize=False).values()
    np.testing.assert_array_equal(recording.repeats["a"], [np.arange(10), np.arange(20, 30)])
    np.testing.assert_array_equal(recording.frames[20:30], np.arange(10))


def test_tables_that_do_not_fit(tmp_path):
    trials(tmp_path / "a.nwb", [(0, 10, "tests")], ["split"])
    with pytest.raises(UserError, match="row 0 of trials is for 'tests', known are train, validation, test"):
        load_recordings(tmp_path / "a.nwb")
    with pytest.raises(UserError, match="unknown column of trials 'slit': did you mean 'split'"):
        load_recordings(tmp_path / "a.nwb", split_column="slit")
    trials(tmp_path / "a.nwb", [(0, 10, "a", "test"), (20, 30, "a", "test")], ["stimulus", "split"])
    with pytest.raises(UserError, match="repeats of a do not show the same frames"):
        load_recordings(tmp_path / "a.nwb")
    trials(tmp_path / "a.nwb", [(1000, 1010)])
    with pytest.raises(UserError, match="no row of trials is at a time when a stimulus was shown"):
        load_recordings(tmp_path / "a.nwb")


def test_truncated_files_missing_keys_and_flipped_bytes_never_give_another_error(tmp_path):
    path = tmp_path / "a.nwb"
    simple(path)
    content = path.read_bytes()
    with h5py.File(path) as file:
        keys = []
        file.visit(lambda key: keys.append(key) if not key.startswith("specifications") else None)
    rng = np.random.default_rng(0)
    for number in range(len(keys) + 40):
        if number < len(keys):
            path.write_bytes(content)
            with h5py.File(path, "r+") as file:
                del file[keys[number]]
        else:
            damaged = bytearray(content)
            damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
            path.write_bytes(damaged[: rng.integers(len(content))] if number % 4 == 0 else damaged)
        try:
            load_recordings(path)
        except UserError as error:
            assert str(error).count("\n") == 0  # noqa: PT017


# ---- counts, whatever the bins


@pytest.mark.parametrize("clock", [10_000, 20_000, 30_000])
@pytest.mark.parametrize("timed", ["by rate", "by times"])
def test_every_spike_is_counted_once_whatever_the_rate(tmp_path, clock, timed):
    start, frames = 1e5 + 0.7, 300
    rng = np.random.default_rng(clock)
    times = np.round((start + np.arange(frames) / 59.94) * clock) / clock
    given = {"timestamps": times} if timed == "by times" else {"rate": 59.94, "starting_time": start}
    file = nwb_file()
    file.add_stimulus(series(data=grey(frames).swapaxes(1, 2), **given))
    on_the_clock = np.round((start - 1 + 8 * rng.random(5000)) * clock) / clock
    add_units(file, [times, np.sort(on_the_clock), on_the_clock.astype(np.float32)])
    write(file, tmp_path / "a.nwb")
    for rate in (None, 7.8125, 20.0, 29.97, 30.0, 59.94, 60.0001, 85.0):
        (recording,) = load_recordings(tmp_path / "a.nwb", **({} if rate is None else {"rate": rate})).values()
        first = times[0] if timed == "by times" else start
        last = first + len(recording) / rate if rate else None
        if rate is None:
            last = times[-1] + np.median(np.diff(times)) if timed == "by times" else start + frames / 59.94
        for unit, spiked in enumerate((times, on_the_clock, on_the_clock.astype(np.float32).astype(float))):
            inside = (spiked >= first) & (spiked < last)
            assert recording.responses[:, unit].sum() == inside.sum(), (rate, unit)


def test_series_that_follow_at_once_share_an_edge(tmp_path):
    file = nwb_file()
    for number in range(4):
        file.add_stimulus(
            series(f"{number}", data=grey(50, number).swapaxes(1, 2), starting_time=0.1 + 50 * number / 20)
        )
    edges = 0.1 + np.arange(200) / RATE
    add_units(file, [edges, np.sort(0.1 + 10 * np.random.default_rng(0).random(5000))])
    write(file, tmp_path / "a.nwb")
    for rate in (None, 20.0, 7.8125, 30.0, 60.0):
        (recording,) = load_recordings(tmp_path / "a.nwb", **({} if rate is None else {"rate": rate})).values()
        total = recording.responses.sum(axis=0)
        assert (total <= [200, 5000]).all()
        if rate != 7.8125:  # by which a presentation of 2.5 s cannot be divided
            assert total.tolist() == [200, 5000]


def test_a_unit_without_intervals_of_observation_does_not_lose_the_others(tmp_path, caplog):
    file = nwb_file()
    file.add_stimulus(series())
    file.add_unit_column("quality", "of the unit")
    for spiked, told, quality in (
        ([4.0, 5.0], [[0.0, 10.0]], 0.5),
        ([4.0], np.zeros((0, 2)), 0.6),
        ([90.0], [[80.0, 100.0]], 0.7),
        ([5.0], [[0.0, 5.5]], 0.8),
    ):
        file.add_unit(spike_times=spiked, obs_intervals=told, quality=quality)
    write(file, tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb").values()
    assert recording.neurons["id"].tolist() == [0, 1, 3]
    assert recording.neurons["quality"].tolist() == [0.5, 0.6, 0.8]
    assert recording.responses.sum(axis=0).tolist() == [2, 1, 1]
    assert np.flatnonzero(recording.split).max() == 49
    assert "unit 1 has no obs_intervals: taken as recorded all the time" in caplog.text
    assert "unit 2 was not observed while the stimulus was shown: left out" in caplog.text


def test_intervals_of_observation_may_overlap_and_come_in_any_order(tmp_path):
    file = nwb_file()
    file.add_stimulus(series())
    file.add_unit(spike_times=[3.5], obs_intervals=[[4.0, 5.0], [3.0, 4.2], [3.2, 3.4], [5.5, 5.6]])
    write(file, tmp_path / "a.nwb")
    (recording,) = load_recordings(tmp_path / "a.nwb", clip_length=5).values()
    assert np.flatnonzero(recording.split).tolist() == [*range(24), *range(24, 40), 50, 51]


# ---- hostile and unlucky files


def edited(path: Path, edit) -> Path:
    with h5py.File(path, "r+") as file:
        edit(file)
    return path


def replaced(file, key, values):
    attributes = dict(file[key].attrs)
    del file[key]
    file[key] = values
    file[key].attrs.update(attributes)


@pytest.mark.parametrize(
    ("key", "change", "problem"),
    [
        ("units/spike_times_index", lambda ends: ends[::-1], "spike_times_index of units must have ends"),
        ("units/spike_times_index", lambda ends: ends.astype("i8") - 10**6, "spike_times_index of units ends at"),
        ("units/spike_times_index", lambda ends: ends.astype("i8") + 10**6, "spike_times_index of units ends at"),
        ("units/spike_times_index", lambda ends: ends + 0.5, "spike_times_index of units must have ends"),
    ],
)
def test_lists_of_spikes_that_cannot_be_are_one_sentence(tmp_path, key, change, problem):
    simple(tmp_path / "a.nwb")
    edited(tmp_path / "a.nwb", lambda file: replaced(file, key, change(file[key][()])))
    with pytest.raises(UserError, match=problem):
        load_recordings(tmp_path / "a.nwb")


@pytest.mark.parametrize("roi", [-1, 2])
def test_a_roi_that_is_not_there_is_one_sentence(tmp_path, roi):
    file = nwb_file()
    file.add_stimulus(series())
    add_rois(file, np.ones((40, 2)))
    write(file, tmp_path / "a.nwb")

    def edit(opened):
        (key,) = [name for name in _all(opened) if name.endswith("/rois") and "container" in name]
        replaced(opened, key, np.array([0, roi]))

    edited(tmp_path / "a.nwb", edit)
    with pytest.raises(UserError, match="must have traces of ROIs 0 to 1"):
        load_recordings(tmp_path / "a.nwb")


def _all(file) -> list[str]:
    names: list[str] = []
    file.visit(names.append)
    return names


@pytest.mark.parametrize(("rate", "start"), [(1e-300, 0.0), (1e300, 0.0), (-5.0, 0.0), (20.0, 1e300), (20.0, np.nan)])
def test_clocks_that_no_experiment_has_are_one_sentence(tmp_path, rate, start):
    simple(tmp_path / "a.nwb")

    def edit(file):
        time = file["stimulus/presentation/movie/starting_time"]
        time[()] = start
        time.attrs["rate"] = rate

    edited(tmp_path / "a.nwb", edit)
    with pytest.raises(UserError, match=r"the rate of movie must be|movie starts at") as error:
        load_recordings(tmp_path / "a.nwb")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("rate", [1e-300, 1e99, float("nan")])
def test_rates_of_no_experiment_are_refused(tmp_path, rate):
    simple(tmp_path / "a.nwb")
    with pytest.raises(UserError, match="rate must be a positive number"):
        load_recordings(tmp_path / "a.nwb", rate=rate)


def test_text_of_fixed_length_is_text(tmp_path):
    rows = [(10, 30, "train", "a"), (0, 10, "test", "b"), (30, 40, "test", "b")]
    settings = trials(tmp_path / "a.nwb", rows, ["split", "stimulus"])

    def edit(file):
        for key in ("intervals/trials/split", "intervals/trials/stimulus"):
            replaced(file, key, file[key].asstr()[()].astype("S"))

    edited(tmp_path / "a.nwb", edit)
    (recording,) = load_recordings(tmp_path / "a.nwb", **settings).values()
    assert recording.repeats["b"].tolist() == [list(range(10)), list(range(30, 40))]


@pytest.mark.parametrize("rows", [[(0, 30, "train"), (20, 40, "test")], [(20, 40, "test"), (0, 60, "train")]])
def test_rows_that_overlap_and_contradict_are_one_sentence(tmp_path, rows):
    settings = trials(tmp_path / "a.nwb", rows, ["split"])
    with pytest.raises(UserError, match=r"at 4\.025 s is both for (train and for test|test and for train): rows"):
        load_recordings(tmp_path / "a.nwb", **settings)
    settings = trials(tmp_path / "a.nwb", [(0, 30, "train"), (20, 40, "train")], ["split"])
    assert (load_recordings(tmp_path / "a.nwb", **settings)["a"].split[:40] != "").all()


def test_repeats_that_overlap_are_one_sentence(tmp_path):
    rows = [(0, 20, "test", "a"), (10, 30, "test", "a")]
    settings = trials(tmp_path / "a.nwb", rows, ["split", "stimulus"], numbers=np.arange(60) % 10)
    with pytest.raises(UserError, match="repeats of a overlap in time"):
        load_recordings(tmp_path / "a.nwb", **settings)


def test_large_frames_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    simple(tmp_path / "a.nwb", data=np.random.default_rng(0).integers(0, 256, (60, 64, 48), np.uint8))
    whole = load_recordings(tmp_path / "a.nwb")["a"].movie
    monkeypatch.setattr("retina_nb.loaders.nwb._BLOCK", 2 * 64 * 48)
    parts = load_recordings(tmp_path / "a.nwb")["a"].movie
    assert (parts.mean, parts.std) == pytest.approx((whole.mean, whole.std), rel=1e-12)
    np.testing.assert_allclose(parts.frames, whole.frames, rtol=1e-6)


@pytest.mark.parametrize(
    ("key", "shape"), [("stimulus/presentation/movie/data", (10**6, 100, 100)), ("units/spike_times", (10**11,))]
)
def test_a_series_that_claims_gigabytes_is_one_sentence(tmp_path, key, shape):
    simple(tmp_path / "a.nwb")

    def edit(file):
        attributes = dict(file[key].attrs)
        del file[key]
        file.create_dataset(key, shape, "f8", chunks=(1024, *shape[1:]), fillvalue=1.0)
        file[key].attrs.update(attributes)

    edited(tmp_path / "a.nwb", edit)
    with pytest.raises(UserError, match=r"claims .* GB, its shape is .* it was never written") as error:
        load_recordings(tmp_path / "a.nwb")
    assert "\n" not in str(error.value)
