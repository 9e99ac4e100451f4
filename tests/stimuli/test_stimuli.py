import numpy as np
import pytest

from retina_nb.stimuli import drifting_grating, full_field_chirp, moving_bar, natural_movie, white_noise

SIZE = (15, 21)


@pytest.mark.parametrize(
    "stimulus",
    [
        white_noise(50, SIZE, channels=2, stixel=2, hold=3, rng=np.random.default_rng(0)),
        natural_movie(50, SIZE, channels=2, rng=np.random.default_rng(0)),
        moving_bar(50, SIZE, direction=45, speed=0.5, length=3, colour=(1, 0)),
        drifting_grating(50, SIZE, direction=45, wavelength=7, temporal_frequency=0.1, colour=(1, 0)),
        full_field_chirp(50, SIZE, highest_frequency=0.2, colour=(1, 0)),
    ],
)
def test_shape_and_type(stimulus):
    assert stimulus.shape == (2, 50, *SIZE)
    assert stimulus.dtype == np.float32
    assert np.isfinite(stimulus).all()


def test_white_noise_is_binary_held_and_balanced():
    noise = white_noise(3000, SIZE, channels=2, stixel=2, hold=2, contrast=0.5, rng=np.random.default_rng(0))
    assert set(np.unique(noise)) == {-0.5, 0.5}
    np.testing.assert_array_equal(noise[:, ::2], noise[:, 1::2])
    np.testing.assert_array_equal(noise[..., 0:14:2, :], noise[..., 1:15:2, :])
    assert abs(noise.mean()) < 0.01
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02


def test_natural_scenes_have_an_amplitude_spectrum_of_one_over_f():
    rng = np.random.default_rng(0)
    frames = np.concatenate([natural_movie(2, (32, 32), rng=rng)[0] for _ in range(150)])
    window = np.hanning(32)[:, None] * np.hanning(32)
    amplitude = np.sqrt((np.abs(np.fft.fft2(frames * window)) ** 2).mean(axis=0))
    frequency = np.hypot(np.fft.fftfreq(32)[:, None], np.fft.fftfreq(32))
    band = (frequency > 0.05) & (frequency < 0.3)
    slope = np.polyfit(np.log(frequency[band]), np.log(amplitude[band]), 1)[0]
    assert -1.6 < slope < -0.8  # interpolation between pixels takes some of the highest frequencies


@pytest.mark.parametrize("direction", [0.0, 90.0, 180.0, 270.0])
def test_a_bar_moves_where_it_should_at_its_speed(direction):
    bar = moving_bar(60, SIZE, direction=direction, speed=0.4, length=3)[0]
    y, x = np.indices(SIZE)
    middle = bar[20:40]
    centre = [(middle * axis).sum(axis=(1, 2)) / middle.sum(axis=(1, 2)) for axis in (x, -y)]
    velocity = np.array([np.polyfit(np.arange(20), one, 1)[0] for one in centre])
    assert np.linalg.norm(velocity) == pytest.approx(0.4, rel=0.05)
    assert np.rad2deg(np.angle(complex(*velocity) / np.exp(1j * np.deg2rad(direction)))) == pytest.approx(0, abs=10)


def test_a_grating_has_its_wavelength_frequency_and_direction():
    grating = drifting_grating(100, (20, 40), direction=0, wavelength=8, temporal_frequency=0.05)[0]
    np.testing.assert_allclose(grating[:, :, 8:], grating[:, :, :-8], atol=1e-5)
    np.testing.assert_allclose(grating[20:], grating[:-20], atol=1e-5)
    np.testing.assert_allclose(grating[5, :, 2:], grating[0, :, :-2], atol=1e-5)  # a quarter cycle to the right
