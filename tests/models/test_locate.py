"""Where training starts its readouts is where the cells look."""

import numpy as np
from helpers import small_recording

import retina_nb as rnb
from retina_nb.models.locate import locate_receptive_fields


def test_cells_that_see_one_pixel_of_white_noise_are_found():
    for seed in range(3):
        found = locate_receptive_fields(small_recording(time=1500, seed=seed))
        np.testing.assert_array_equal(found, [[2, 3], [3, 4], [4, 3]])


def test_simulated_cells_of_all_types_are_found():
    for recording in rnb.load_recordings("simulated").values():
        truth = np.stack([recording.neurons["y"], recording.neurons["x"]], axis=1)
        distance = np.linalg.norm(locate_receptive_fields(recording) - truth, axis=1)
        assert (distance < 2).mean() > 0.9
        assert np.median(distance) < 0.7
