import numpy as np
import pytest
import torch
from analyses.planted import Planted, tiny_twin

import retina_nb as rnb
from retina_nb.analyses import local_spike_triggered_averages, response_field
from retina_nb.analyses.subjects import subject
from retina_nb.models.activations import replaced_activations

IMAGES = np.random.default_rng(0).standard_normal((9, 2, 7, 9)).astype(np.float32)


def test_local_fields_of_planted_cells_are_their_derivatives():
    """The image is seen from one bin after its onset on: in 4 of the 5 bins from the onset."""
    local = local_spike_triggered_averages(Planted(), IMAGES, window=(0, 5), session="a", batch_size=4)
    linear, even, opponent = np.zeros((3, *IMAGES.shape))
    linear[:, 0, 2, 3] = 2 * 4 / 5
    even[:, 0, 4, 6] = 2 * IMAGES[:, 0, 4, 6] * 4 / 5
    rate = np.exp(IMAGES[:, 0, 2, 3] - IMAGES[:, 1, 2, 3])
    opponent[:, 0, 2, 3], opponent[:, 1, 2, 3] = rate * 4 / 5, -rate * 4 / 5
    np.testing.assert_allclose(local.lsta, [linear, even, opponent], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(local.response[2], (1 + 4 * rate) / 5, rtol=1e-5)
    np.testing.assert_allclose(local.images, IMAGES, rtol=1e-6)


def test_only_the_window_counts():
    """Before the image can be seen nothing depends on it; the window is a mean, so its length does not matter."""
    model = Planted()
    blind = local_spike_triggered_averages(model, IMAGES, window=(0, 1), neurons=[0])
    assert not blind.lsta.any()
    short, long = (local_spike_triggered_averages(model, IMAGES, window=window).lsta for window in ((1, 2), (3, 9)))
    np.testing.assert_allclose(short, long, rtol=1e-5)


@pytest.mark.parametrize("of", ["images", "movies"])
def test_a_field_predicts_what_a_small_change_of_the_image_does(of):
    twin, window = tiny_twin(), (2, 7)
    pattern = 3e-3 * np.random.default_rng(1).standard_normal((2, 7, 9)).astype(np.float32)
    if of == "images":
        stimuli = IMAGES
    else:
        stimuli = np.random.default_rng(2).standard_normal((3, 2, 15, 7, 9)).astype(np.float32)
        window, pattern = (twin.lag + 2, 15), pattern[:, None]
    options = {"window": window, "session": "b", "neurons": [2, 1], "batch_size": 2}
    local = local_spike_triggered_averages(twin, stimuli, **options)
    up, down = (local_spike_triggered_averages(twin, stimuli + sign * pattern, **options).response for sign in (1, -1))
    predicted = np.einsum("nichw,chw->ni", local.lsta, 2 * pattern.reshape(2, 7, 9))
    assert np.abs(predicted).max() > 1e-4
    np.testing.assert_allclose(predicted, up - down, rtol=0.02, atol=1e-2 * np.abs(predicted).max())


def test_responses_are_those_of_the_subject():
    twin = tiny_twin()
    local = local_spike_triggered_averages(twin, IMAGES, window=(1, 6), session="a")
    movies = np.repeat(IMAGES[:, :, None], twin.lag + 6, axis=2)
    movies[:, :, : twin.lag] = 0
    rates = subject(twin, session="a").rates(movies)
    np.testing.assert_allclose(local.response, rates[:, 1:].mean(axis=1).T, rtol=1e-5)


def test_stimuli_can_be_normalised_as_the_recordings_were():
    model = Planted()
    model.about |= {"stimulus_mean": 3.0, "stimulus_std": 2.0}
    raw = local_spike_triggered_averages(model, 2 * IMAGES + 3, normalize=True)
    plain = local_spike_triggered_averages(model, IMAGES)
    np.testing.assert_allclose(raw.lsta, plain.lsta, rtol=1e-4, atol=1e-6)


def test_an_even_cell_inverts_its_polarity_and_a_linear_one_does_not():
    table = local_spike_triggered_averages(Planted(), IMAGES).to_dataframe()
    assert table["inversion"][0] == 0
    assert table["on"][0] == 1
    assert table["inversion"][1] > 0.5
    np.testing.assert_allclose(table["same_field"][0], 1, rtol=1e-5)
    assert table["same_field"][1] < 0.7


def test_a_cell_that_answers_nothing_has_no_polarity():
    class Dead(Planted):
        def forward(self, stimulus, session=None):
            return 0 * super().forward(stimulus)

    local = local_spike_triggered_averages(Dead(), IMAGES)
    assert not local.polarity.any()
    assert local.to_dataframe()["inversion"].isna().all()
    with pytest.raises(rnb.UserError, match="do not change with any pixel"):
        response_field(local, 0)


def test_the_plane_of_a_cell_has_its_pixels_and_bins_hold_their_means():
    local = local_spike_triggered_averages(Planted(), IMAGES)
    field = response_field(local, 2, bins=3)
    opponent = np.zeros((2, 7, 9))
    opponent[0, 2, 3], opponent[1, 2, 3] = np.array([1, -1]) / np.sqrt(2)
    np.testing.assert_allclose(field.directions[0], opponent, atol=1e-6)
    np.testing.assert_allclose(field.explained, [1, 0], atol=1e-6)
    np.testing.assert_allclose(
        field.coordinates[:, 0], (IMAGES[:, 0, 2, 3] - IMAGES[:, 1, 2, 3]) / np.sqrt(2), atol=1e-5
    )
    assert field.count.sum() == len(IMAGES)
    assert np.isnan(field.response[field.count == 0]).all()
    total = np.nansum(field.response * field.count)
    np.testing.assert_allclose(total, local.response[2].sum(), rtol=1e-5)
    along = np.einsum("ichw,dchw->id", local.lsta[2], field.directions)
    sums = np.nansum(field.gradient * field.count[..., None], axis=(0, 1))
    np.testing.assert_allclose(sums, along.sum(axis=0), rtol=1e-4, atol=1e-5)


def test_images_of_the_plane_have_its_coordinates():
    local = local_spike_triggered_averages(Planted(), IMAGES)
    field = response_field(local, 1, of="images", bins=4)
    images = field.images(5)
    assert images.shape == (25, 2, 7, 9)
    back = images.reshape(25, -1) @ field.directions.reshape(2, -1).T
    np.testing.assert_allclose(
        back[[0, 4]], [[e[0] for e in field.edges], [field.edges[0][0], field.edges[1][-1]]], rtol=1e-4
    )
    centred = IMAGES.reshape(9, -1) - IMAGES.reshape(9, -1).mean(axis=0)
    variance = np.square(centred @ field.directions.reshape(2, -1).T).sum(axis=0) / np.square(centred).sum()
    np.testing.assert_allclose(field.explained, variance, rtol=1e-4)
    assert field.explained[0] > field.explained[1]


@pytest.mark.parametrize(
    ("stimuli", "options", "message"),
    [
        (IMAGES[:, :1], {}, "do not fit the model"),
        (IMAGES[:0], {}, "there are no stimuli"),
        (IMAGES, {"window": (5, 3)}, "first < last"),
        (IMAGES[:, :, None].repeat(5, axis=2), {"window": (0, 3)}, "it must be in bins 1 to 5"),
        (IMAGES, {"normalize": True}, "does not know how its stimuli were normalised"),
        (IMAGES, {"session": "z"}, "unknown session"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(stimuli, options, message):
    with pytest.raises(rnb.UserError, match=message):
        local_spike_triggered_averages(Planted(), stimuli, **options)


def test_a_plane_that_cannot_be_is_refused():
    local = local_spike_triggered_averages(Planted(), IMAGES)
    for options, message in (
        ({"row": 3}, "rows 0 to 2"),
        ({"row": 0, "of": "image"}, "did you mean 'images'"),
        ({"row": 0, "bins": 0}, "one bin or more"),
    ):
        with pytest.raises(rnb.UserError, match=message):
            response_field(local, **options)


def test_weights_keep_no_gradients():
    twin = tiny_twin()
    local_spike_triggered_averages(twin, IMAGES, session="a")
    assert all(weights.grad is None and weights.requires_grad for weights in twin.parameters())
    assert torch.is_grad_enabled()


def test_a_layer_that_is_replaced_is_replaced_here_too():
    twin = tiny_twin()
    with replaced_activations(twin, "core.layers.0", lambda rows: 0 * rows):
        assert not local_spike_triggered_averages(twin, IMAGES, session="a").lsta.any()
    assert local_spike_triggered_averages(twin, IMAGES, session="a").lsta.any()
