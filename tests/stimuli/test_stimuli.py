"""Stimuli are what their parameters say, on any screen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retina_nb import UserError, stimuli
from retina_nb.stimuli import Screen

SCREEN = Screen((15, 21), 60.0, 40.0, 2)
GENERATORS = {
    "annulus": {"inner": 100, "outer": 300},
    "chirp": {},
    "drifting_grating": {"direction": 30},
    "flash": {},
    "flash_train": {"omitted": [3]},
    "flicker": {},
    "looming": {},
    "motion_onset": {"direction": 0},
    "motion_reversal": {"direction": 0},
    "moving_bar": {"direction": 120},
    "moving_texture": {"direction": 0},
    "natural_movie": {"duration": 2},
    "object_motion": {"differential": True},
    "paired_flash": {"interval": 0.3},
    "random_flicker": {},
    "reversing_grating": {"wavelength": 200},
    "spot": {"diameter": 200},
    "steps": {},
    "white_noise": {"duration": 1},
}


@given(
    st.sampled_from(sorted(GENERATORS)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([20.0, 30.0, 85.0]),
    st.integers(1, 3),
)
def test_every_stimulus_fits_its_screen_and_has_its_timing_table(name, size, rate, channels):
    screen = Screen(size, rate, 30.0, channels)
    made = getattr(stimuli, name)(screen, **GENERATORS[name])
    assert made.frames.shape == (channels, made.frames.shape[1], *size)
    assert made.frames.dtype == np.float32
    assert np.isfinite(made.frames).all()
    assert len(made.events)
    assert (made.events["start"] <= made.events["stop"]).all()
    assert made.events["start"].min() >= 0


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_a_stimulus_is_the_same_every_time(name):
    one, other = (getattr(stimuli, name)(SCREEN, **GENERATORS[name]).frames for _ in range(2))
    np.testing.assert_array_equal(one, other)


def test_a_colour_weighs_the_channels():
    made = stimuli.flash(SCREEN, colour=(1.0, -0.5)).frames
    np.testing.assert_allclose(made[1], -0.5 * made[0])


# ---- whole screen


def test_a_flash_is_as_long_and_bright_as_asked():
    made = stimuli.flash(SCREEN, duration=0.5, before=1.0, after=0.25, contrast=-0.7)
    course = made.frames[0, :, 3, 4]
    assert made.seconds == pytest.approx(1.75)
    np.testing.assert_allclose(course, np.repeat([0, -0.7, 0], [60, 30, 15]), rtol=1e-6)
    assert made.events[["event", "start", "stop"]].to_numpy().tolist() == [["flash", 60, 90]]


def test_a_train_lacks_the_omitted_flash_and_ends_with_a_missing_one():
    made = stimuli.flash_train(SCREEN, period=0.1, flashes=6, omitted=[4], duration=0.05, before=0.5, after=0.5)
    onsets = np.flatnonzero(np.diff(made.frames[0, :, 0, 0]) > 0) + 1
    np.testing.assert_array_equal(onsets, 30 + 6 * np.array([0, 1, 2, 3, 5]))
    assert made.events["start"][made.events["event"] == "omitted"].tolist() == [30 + 24, 30 + 36]


@pytest.mark.parametrize("frequency", [2.0, 6.0])
def test_flicker_has_its_frequency(frequency):
    course = stimuli.flicker(SCREEN, frequency=frequency, duration=4).frames[0, :, 0, 0]
    spectrum = np.abs(np.fft.rfft(course))
    assert np.fft.rfftfreq(len(course), 1 / 60)[spectrum.argmax()] == frequency


def test_random_flicker_is_independent_in_the_channels_or_mixed_as_asked():
    alone = stimuli.random_flicker(SCREEN, duration=100, contrast=0.3).frames[:, :, 0, 0]
    assert alone.std(axis=1) == pytest.approx(0.3, rel=0.05)
    assert abs(np.corrcoef(alone)[0, 1]) < 0.05
    mixed = stimuli.random_flicker(SCREEN, duration=10, colours=[(1, -1)]).frames[:, :, 0, 0]
    np.testing.assert_allclose(mixed[0], -mixed[1])


def test_the_chirp_is_the_published_one(shared_data):
    file = np.load(shared_data / "stimuli" / "chirp_18x16_30hz.npy")[..., 0].astype(float)
    ours = stimuli.chirp(Screen((18, 16), 30.0, 50.0)).frames[0]
    assert np.corrcoef(ours.ravel(), file.ravel())[0, 1] > 0.999


def test_the_bars_are_the_published_ones(shared_data):
    file = np.load(shared_data / "stimuli" / "moving_bar_18x16_30hz.npy")[90:-30, ..., 0].astype(float)
    screen = Screen((18, 16), 30.0, 40.0)
    directions = (0, 180, 45, 225, 90, 270, 135, 315)
    bars = [
        stimuli.moving_bar(screen, direction=one, length=1000, width=300, duration=4.1).frames[0] for one in directions
    ]
    # In the file each bar is in the middle 2.5 frames later.
    ours = np.roll(np.concatenate(bars), 2, axis=0)
    assert np.corrcoef(ours.ravel(), file.ravel())[0, 1] > 0.98


# ---- motion


@pytest.mark.parametrize("direction", [0.0, 90.0, 180.0, 270.0, 45.0])
def test_a_bar_moves_where_it_should_at_its_speed(direction):
    screen = Screen((31, 33), 30.0, 50.0)
    made = stimuli.moving_bar(screen, direction=direction, speed=600, length=200, width=200)
    bar = made.frames[0]
    y, x = np.indices(screen.size)
    middle = slice(made.frames.shape[1] // 2 - 15, made.frames.shape[1] // 2 + 15)
    centre = [(bar[middle] * axis).sum(axis=(1, 2)) / bar[middle].sum(axis=(1, 2)) for axis in (x, -y)]
    velocity = np.array([np.polyfit(np.arange(30), one, 1)[0] for one in centre])
    assert np.linalg.norm(velocity) * 50 * 30 == pytest.approx(600, rel=0.03)
    assert np.rad2deg(np.angle(complex(*velocity) / np.exp(1j * np.deg2rad(direction)))) == pytest.approx(0, abs=3)
    assert not bar[0].any()
    assert bar[middle].sum() / 30 * 50**2 == pytest.approx(200 * 200, rel=0.05)  # its area in µm²


def test_a_bar_crosses_the_place_it_is_given():
    screen = Screen((21, 23), 60.0, 50.0)
    made = stimuli.moving_bar(screen, direction=0, width=None, length=100, center=(10, 4))
    seen = made.frames[0, :, 10, 4]
    assert (np.arange(len(seen)) @ seen / seen.sum()) == pytest.approx(len(seen) / 2, abs=0.6)


def test_a_grating_has_its_wavelength_frequency_and_direction():
    screen = Screen((20, 40), 40.0, 50.0)
    grating = stimuli.drifting_grating(screen, direction=0, wavelength=400, frequency=2.0, duration=2.5).frames[0]
    np.testing.assert_allclose(grating[:, :, 8:], grating[:, :, :-8], atol=1e-5)
    np.testing.assert_allclose(grating[20:], grating[:-20], atol=1e-5)
    np.testing.assert_allclose(grating[5, :, 2:], grating[0, :, :-2], atol=1e-5)  # a quarter cycle to the right


def test_a_reversing_grating_stays_in_place():
    grating = stimuli.reversing_grating(SCREEN, wavelength=200, frequency=3.0).frames[0]
    courses = grating.reshape(len(grating), -1)
    assert np.linalg.svd(courses, compute_uv=False)[1] < 1e-3
    spectrum = np.abs(np.fft.rfft(courses[:, courses.std(axis=0).argmax()]))
    assert np.fft.rfftfreq(len(grating), 1 / 60)[spectrum.argmax()] == 3.0


@pytest.mark.parametrize(("name", "first"), [("motion_onset", 0.0), ("motion_reversal", 1.0)])
def test_a_bar_changes_its_motion_at_the_event(name, first):
    screen = Screen((5, 61), 60.0, 50.0)
    made = getattr(stimuli, name)(screen, direction=0, speed=800, length=200)
    place = (made.frames[0, :, 2] * np.arange(61)).sum(axis=1) / made.frames[0, :, 2].sum(axis=1)
    turn = made.events["start"][0]
    before, after = (np.diff(one).mean() * 50 * 60 for one in (place[turn - 20 : turn], place[turn + 1 : turn + 20]))
    assert before == pytest.approx(800 * first, abs=20)
    assert after == pytest.approx(-800 if name == "motion_reversal" else 800, abs=20)
    assert place[turn] == pytest.approx(30, abs=0.1)


# ---- places


@pytest.mark.parametrize("diameter", [50, 120, 400])
def test_a_spot_has_its_area_around_its_place(diameter):
    made = stimuli.spot(SCREEN, diameter=diameter, center=(6, 11))
    image = made.frames[0, 90]
    assert image.sum() * 40**2 == pytest.approx(np.pi * diameter**2 / 4, rel=0.03)
    y, x = np.indices(SCREEN.size)
    assert ((image * y).sum() / image.sum(), (image * x).sum() / image.sum()) == pytest.approx((6, 11), abs=0.02)


def test_a_flash_behind_an_aperture_is_a_spot():
    seen = stimuli.aperture(stimuli.flash(SCREEN, contrast=0.5), diameter=300, center=(4.2, 9.0))
    np.testing.assert_allclose(seen.frames, stimuli.spot(SCREEN, diameter=300, center=(4.2, 9.0), contrast=0.5).frames)
    assert seen.parameters["diameter"] == 300
    assert list(seen.events["event"]) == ["flash"]
    with pytest.raises(UserError, match="diameter must be above 0"):
        stimuli.aperture(seen, diameter=0)


def test_an_annulus_is_a_spot_without_its_middle():
    ring = stimuli.annulus(SCREEN, inner=150, outer=400).frames
    np.testing.assert_allclose(
        ring + stimuli.spot(SCREEN, diameter=150).frames, stimuli.spot(SCREEN, diameter=400).frames, atol=1e-6
    )


def test_a_looming_disc_grows_at_its_speed():
    screen = Screen((41, 41), 50.0, 25.0)
    made = stimuli.looming(screen, speed=500, start=100, stop=800, before=0.2, after=0.2)
    diameter = 2 * np.sqrt(-made.frames[0].sum(axis=(1, 2)) / np.pi) * 25
    growing = slice(made.events["start"][0] + 1, made.events["stop"][0])
    assert np.polyfit(np.arange(50)[: len(diameter[growing])] / 50, diameter[growing][:50], 1)[0] == pytest.approx(
        500, rel=0.05
    )
    assert diameter[-1] == pytest.approx(800, rel=0.03)
    assert not diameter[:10].any()


# ---- noise and scenes


def test_white_noise_is_binary_held_and_balanced():
    noise = stimuli.white_noise(SCREEN, duration=50, stixel=2, hold=2, contrast=0.5).frames
    assert set(np.unique(noise)) == {-0.5, 0.5}
    np.testing.assert_array_equal(noise[:, ::2], noise[:, 1::2])
    np.testing.assert_array_equal(noise[..., 0:14:2, :], noise[..., 1:15:2, :])
    assert abs(noise.mean()) < 0.01
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02


def test_sparse_and_gaussian_noise_have_their_statistics():
    sparse = stimuli.white_noise(SCREEN, duration=50, kind="sparse", density=0.1).frames
    assert (sparse != 0).mean() == pytest.approx(0.1, abs=0.005)
    assert set(np.unique(sparse)) == {-1, 0, 1}
    gaussian = stimuli.white_noise(SCREEN, duration=20, kind="gaussian", contrast=0.3).frames
    assert gaussian.std() == pytest.approx(0.3, rel=0.01)
    assert (np.abs(gaussian) > 0.6).mean() == pytest.approx(0.0455, abs=0.003)


def test_natural_scenes_have_an_amplitude_spectrum_of_one_over_f():
    screen = Screen((32, 32), 30.0, 50.0)
    frames = np.concatenate([stimuli.natural_movie(screen, duration=0.07, seed=seed).frames[0] for seed in range(150)])
    window = np.hanning(32)[:, None] * np.hanning(32)
    amplitude = np.sqrt((np.abs(np.fft.fft2(frames * window)) ** 2).mean(axis=0))
    frequency = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    band = (frequency > 0.05) & (frequency < 0.3)
    slope = np.polyfit(np.log(frequency[band]), np.log(amplitude[band]), 1)[0]
    assert -1.6 < slope < -0.8  # interpolation between pixels takes some of the highest frequencies


def test_images_follow_each_other_with_grey_between():
    images = np.random.default_rng(0).standard_normal((3, 2, *SCREEN.size))
    made = stimuli.image_sequence(SCREEN, images, duration=0.2, gap=0.1)
    assert made.frames.shape[1] == 3 * 18
    for event in made.events.itertuples():
        np.testing.assert_array_equal(
            made.frames[:, event.start : event.stop], images[event.image][:, None].repeat(12, 1).astype(np.float32)
        )
    assert not made.frames[:, :6].any()


def test_a_texture_moves_into_its_direction():
    screen = Screen((16, 16), 30.0, 50.0)
    made = stimuli.moving_texture(screen, direction=90, speed=1500, duration=1, before=0.5, grain=150).frames[0]
    np.testing.assert_allclose(made[0], made[15], atol=1e-5)
    np.testing.assert_allclose(made[20, :-1], made[19, 1:], atol=1e-4)  # one pixel up in each frame


def test_the_object_moves_alike_whether_the_background_moves_with_it_or_not():
    with_, against = (
        stimuli.object_motion(SCREEN, differential=one, diameter=300, seed=3).frames[0] for one in (False, True)
    )
    np.testing.assert_allclose(with_[:, 7, 10], against[:, 7, 10])
    assert np.corrcoef(with_[90:, 0, 0], against[90:, 0, 0])[0, 1] < 0.9
    np.testing.assert_allclose(with_[:60], np.broadcast_to(with_[:1], (60, *SCREEN.size)))


# ---- joining


def test_a_sequence_moves_the_events_and_a_batch_keeps_the_parameters():
    parts = [stimuli.flash(SCREEN, duration=0.5), stimuli.spot(SCREEN, diameter=100)]
    joined = stimuli.sequence(parts, gap=0.5)
    assert joined.events["start"].tolist() == [60, 150 + 30 + 60]
    assert joined.frames.shape[1] == 150 + 30 + 180
    frames, table = stimuli.batch(parts)
    assert frames.shape == (2, 2, 180, *SCREEN.size)
    assert table["duration"].tolist() == [0.5, 1.0]


# ---- mistakes


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("flash", {"duration": 0}, "duration must be above 0"),
        ("flash", {"colour": (1,)}, "a weight for each of the screen's 2 channels"),
        ("flash_train", {"period": 0.1, "duration": 0.2}, "do not fit into a period"),
        ("flash_train", {"omitted": [99]}, "must be numbers of flashes"),
        ("flicker", {"frequency": 40}, "cannot show 40 Hz"),
        ("annulus", {"inner": 300, "outer": 200}, "inner diameter below its outer"),
        ("white_noise", {"duration": 1, "kind": "gausian"}, "did you mean 'gaussian'"),
        ("image_sequence", {"images": np.zeros((1, 1, 15, 21))}, "the images must be"),
        ("natural_movie", {"duration": -1}, "duration must be above 0"),
    ],
)
def test_what_is_not_possible_is_said(name, options, words):
    with pytest.raises(UserError, match=words):
        getattr(stimuli, name)(SCREEN, **options)


def test_stimuli_of_different_screens_are_not_joined():
    with pytest.raises(UserError, match="different screens"):
        stimuli.batch([stimuli.flash(SCREEN), stimuli.flash(Screen((5, 7), 60.0, 40.0, 2))])
