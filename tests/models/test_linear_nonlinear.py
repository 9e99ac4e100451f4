"""The baseline against planted linear-nonlinear cells, and on real cells."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import retina_nb as rnb
from retina_nb import Movie, Recording, UserError, metrics
from retina_nb.loaders.packed import PackedFrames
from retina_nb.models.linear_nonlinear import LinearNonlinear, fit_linear_nonlinear
from retina_nb.models.single_cell import SessionModels

RATE, HEIGHT, WIDTH, LAG = 30.0, 5, 7, 21
DELAYS = (3, 5, 8)


def planted_filters():
    """(neuron, channel, bin before the output, height, width): biphasic, local, of several delays and colours."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    before = np.arange(LAG + 1)
    filters = []
    for delay, (cy, cx), colour in zip(DELAYS, [(1, 2), (2, 5), (3, 1)], [(1, 0.5), (0, 1), (1, -1)], strict=True):
        course = np.exp(-((before - delay) ** 2) / 3) - 0.5 * np.exp(-((before - delay - 4) ** 2) / 8)
        place = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2)
        product = np.einsum("c,k,hw->ckhw", colour, course, place)
        filters.append(1.5 * product / np.linalg.norm(product))
    return np.array(filters)


def planted_rates(stimulus):
    """(time - lag, neuron) expected counts of the planted cells: 0.8 softplus(2 drive - 1) + 0.05."""
    filters = torch.from_numpy(planted_filters()).float().flip(2)  # in order of time
    drive = torch.nn.functional.conv3d(torch.from_numpy(stimulus)[None], filters)[0, :, :, 0, 0].T
    return (0.8 * torch.nn.functional.softplus(2 * drive - 1) + 0.05).numpy()


def planted_recording(session="a", *, time=7000, movie=None, seed=0, **fields):
    random = np.random.default_rng(seed)
    if movie is None:
        movie = Movie(random.standard_normal((2, time, HEIGHT, WIDTH)).astype(np.float32))
    recording = Recording(
        session,
        movie,
        np.zeros((time, 3)),
        RATE,
        split=np.repeat(["train", "validation", "test"], [time - 1300, 800, 500]),
        pixel_um=50.0,
        **fields,
    )
    rates = planted_rates(recording.stimulus_at(np.arange(time)))
    responses = np.concatenate([np.zeros((LAG, 3)), random.poisson(rates)])
    return replace(recording, responses=responses)


def predicted(model, recording, bins):
    with torch.no_grad():
        return model(torch.from_numpy(recording.stimulus_at(bins))[None], recording.session)[0].numpy()


@pytest.fixture(scope="module")
def fitted():
    recording = planted_recording()
    return recording, fit_linear_nonlinear({"a": recording})


# ---- against the truth


def test_the_planted_filters_are_recovered(fitted):
    _, baseline = fitted
    found, truth = baseline["a"].filters.detach().numpy(), np.flip(planted_filters(), axis=2)
    assert found.shape == (3, 2, LAG + 1, HEIGHT, WIDTH)
    cosine = (found * truth).sum(axis=(1, 2, 3, 4)) / np.linalg.norm(found.reshape(3, -1), axis=1)
    assert (cosine / 1.5 > 0.96).all()


def test_delay_and_place_are_exact(fitted):
    filters = fitted[1]["a"].filters.detach().abs().numpy()
    for neuron, (delay, place) in enumerate(zip(DELAYS, [(1, 2), (2, 5), (3, 1)], strict=True)):
        _, bin_, y, x = np.unravel_index(filters[neuron].argmax(), filters.shape[1:])
        assert (LAG - bin_, y, x) == (delay, *place)


def test_rates_are_recovered_with_scale_and_offset(fitted):
    recording, baseline = fitted
    test = recording.bins("test")
    found, truth = predicted(baseline, recording, test), planted_rates(recording.stimulus("test"))
    assert (metrics.pearson(found, truth) > 0.95).all()
    assert (np.mean((found - truth) ** 2, axis=0) < 0.1 * truth.var(axis=0)).all()


def test_the_nonlinearity_is_recovered(fitted):
    recording, baseline = fitted
    rates = predicted(baseline, recording, np.arange(len(recording)))
    truth = planted_rates(recording.stimulus_at(np.arange(len(recording))))
    for found, expected in zip(rates.T, truth.T, strict=True):
        tenths = np.array_split(np.argsort(found), 10)
        np.testing.assert_allclose(
            [found[bins].mean() for bins in tenths], [expected[bins].mean() for bins in tenths], rtol=0.1, atol=0.06
        )


def test_real_cells_reach_what_is_known_of_them(shared_data):
    corners = [(116, 23), (79, 76), (109, 89), (125, 82)]
    recordings = rnb.load_recordings(
        "liu_2017", data_dir=shared_data / "liu_2017", cells=[56, 9, 7, 63], corners=corners, trials=20
    )
    baseline = fit_linear_nonlinear(recordings)
    r = [
        metrics.correlation(
            recording.trials("test")[:, baseline.lag :], predicted(baseline, recording, recording.bins("test"))
        )[0]
        for recording in recordings.values()
    ]
    # A separable spike-triggered average reaches a median of 0.4 on 20 trials.
    assert (np.array(r) > [0.65, 0.66, 0.62, 0.63]).all()


# ---- filters of any rank, and an exponential


@pytest.fixture(scope="module")
def inseparable():
    """One cell whose surround answers later than its centre, with an exponential: a filter of rank two."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    before = np.arange(LAG, -1, -1)
    planted = np.zeros((1, LAG + 1, HEIGHT, WIDTH), np.float32)
    for weight, delay, width in ((1, 3, 0.8), (-0.35, 7, 2)):
        course = np.exp(-((before - delay) ** 2) / 4)
        planted[0] += weight * np.einsum("k,hw->khw", course, np.exp(-((y - 2) ** 2 + (x - 3) ** 2) / (2 * width**2)))
    planted /= np.linalg.norm(planted)
    movie = Movie(random.standard_normal((1, 9000, HEIGHT, WIDTH)).astype(np.float32))
    drive = torch.nn.functional.conv3d(torch.from_numpy(movie.frames)[None], torch.from_numpy(planted)[None])
    responses = random.poisson(np.exp(drive.flatten().numpy() - 1))
    responses = np.concatenate([np.zeros(LAG), responses])[:, None]
    split = np.repeat(["train", "validation"], [8000, 1000])
    return planted, Recording("a", movie, responses, RATE, split=split, pixel_um=50.0)


def cosine_to(planted, recording, **options):
    filters = fit_linear_nonlinear({"a": recording}, **options)["a"].filters.detach().numpy()[0]
    return (filters * planted).sum() / np.linalg.norm(filters)


@pytest.mark.parametrize("nonlinearity", ["exp", "softplus"])
def test_a_filter_that_is_no_product_takes_more_than_one(inseparable, nonlinearity):
    one, two = (cosine_to(*inseparable, rank=rank, nonlinearity=nonlinearity) for rank in (1, 2))
    full = cosine_to(*inseparable, rank=None, nonlinearity=nonlinearity)
    assert one < 0.93
    assert two > 0.96
    assert full > 0.93


def test_the_exponential_gives_rates_with_scale(inseparable):
    _, recording = inseparable
    model = fit_linear_nonlinear({"a": recording}, rank=2, nonlinearity="exp")["a"]
    rates = predicted(model, recording, np.arange(len(recording)))[:, 0]
    assert model.gain.item() == 1
    np.testing.assert_allclose(rates.mean(), recording.responses.mean(), rtol=0.02)
    tenths = np.array_split(np.argsort(rates), 10)
    counts = recording.responses[LAG:, 0]
    np.testing.assert_allclose([rates[b].mean() for b in tenths], [counts[b].mean() for b in tenths], rtol=0.2)


@pytest.mark.parametrize("options", [{"rank": 2}, {"rank": None, "nonlinearity": "exp"}])
def test_a_model_is_made_anew_from_its_config_and_weights(inseparable, options):
    _, recording = inseparable
    fitted = fit_linear_nonlinear({"a": recording}, **options)
    copy = LinearNonlinear.from_config(json.loads(json.dumps(fitted["a"].config)))
    copy.load_state_dict(fitted["a"].state_dict())
    bins = recording.bins("validation")
    np.testing.assert_array_equal(predicted(copy, recording, bins), predicted(fitted, recording, bins))
    assert fitted["a"].about["pixel_um"] == 50
    assert fitted.about["neurons"] == {"a": 1}


# ---- what counts


def test_only_labelled_bins_with_their_whole_history_count():
    recording = planted_recording(time=4000, onsets=np.array([0, 1500]))
    spoilt = recording.responses.copy()
    spoilt[:LAG] = spoilt[1500 : 1500 + LAG] = 7
    spoilt[recording.split == "test"] = 7
    model, other = (
        fit_linear_nonlinear({"a": r})["a"].state_dict() for r in (recording, replace(recording, responses=spoilt))
    )
    for name in model:
        torch.testing.assert_close(model[name], other[name], rtol=0, atol=0)


def test_outputs_depend_on_the_present_and_the_lag_before_it(fitted):
    recording, baseline = fitted
    assert baseline.lag == LAG
    stimulus = torch.from_numpy(recording.stimulus("test"))[None]
    changed = stimulus.clone()
    changed[:, :, 100] += 1
    with torch.no_grad():
        before, after = baseline(stimulus, "a"), baseline(changed, "a")
    assert before.shape == (1, stimulus.shape[2] - LAG, 3)
    differs = np.flatnonzero((before != after).any(dim=2)[0].numpy()) + LAG
    assert (differs.min(), differs.max()) == (100, 100 + LAG)


def test_history_is_in_seconds():
    recording = planted_recording(time=2500)
    assert fit_linear_nonlinear({"a": recording}, history=0.2).lag == 6


# ---- several sessions


def test_sessions_that_saw_the_same_share_the_work_and_others_do_not():
    first = planted_recording("a", time=4000)
    recordings = {
        "b": replace(first, session="b", responses=first.responses[:, ::-1].copy()),
        "a": first,
        "left": planted_recording("left", time=4000, movie=first.movie, seed=1, mirrored=True),
    }
    baseline = fit_linear_nonlinear(recordings)
    assert baseline.sessions == ["a", "b", "left"]
    test = first.bins("test")
    rates = {name: predicted(baseline, recording, test) for name, recording in recordings.items()}
    alone = predicted(fit_linear_nonlinear({"a": first}), first, test)
    assert (metrics.pearson(rates["a"], alone) > 0.98).all()
    np.testing.assert_allclose(rates["b"], rates["a"][:, ::-1], rtol=0.02, atol=0.01)
    truth = planted_rates(recordings["left"].stimulus("test"))
    assert (metrics.pearson(rates["left"], truth) > 0.95).all()
    with torch.no_grad():
        together = baseline(torch.from_numpy(first.stimulus("test"))[None])[0].numpy()
    np.testing.assert_array_equal(together[:, :3], rates["a"])
    assert together.shape[1] == 9


def test_a_packed_movie_gives_the_same_as_its_frames():
    random = np.random.default_rng(3)
    bits = random.integers(0, 256, size=(2500, -(-HEIGHT * WIDTH // 8)), dtype=np.uint8)
    packed = PackedFrames(bits, HEIGHT, WIDTH)
    responses = random.poisson(np.exp(0.8 * np.roll(packed[0, :, 2, 3], 2)))[:, None]
    split = np.repeat(["train", "validation"], [2000, 500])
    fits = [
        fit_linear_nonlinear({"a": Recording("a", Movie(frames), responses, RATE, split=split)}).state_dict()
        for frames in (packed, np.asarray(packed, dtype=np.float32))
    ]
    for name in fits[0]:
        torch.testing.assert_close(fits[0][name], fits[1][name], rtol=0, atol=0)


# ---- invariants


def test_the_same_recordings_give_the_same_fit_which_survives_its_state_dict(fitted):
    recording, baseline = fitted
    state = baseline.state_dict()
    for name, value in fit_linear_nonlinear({"a": recording}).state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=0, atol=0)
    copy = SessionModels.from_config(json.loads(json.dumps(baseline.config)))
    copy.load_state_dict(state)
    test = recording.bins("test")
    np.testing.assert_array_equal(predicted(copy, recording, test), predicted(baseline, recording, test))


def test_the_unit_of_the_responses_does_not_matter(fitted):
    recording, baseline = fitted
    in_hertz = replace(recording, responses=recording.responses * RATE)
    test = recording.bins("test")
    found = predicted(fit_linear_nonlinear({"a": in_hertz}), recording, test)
    np.testing.assert_allclose(found / RATE, predicted(baseline, recording, test), rtol=0.02, atol=0.01)


def test_a_silent_neuron_is_predicted_silent_and_leaves_the_others_alone(fitted):
    recording, baseline = fitted
    quiet = recording.responses.copy()
    quiet[:, 1] = 0
    test = recording.bins("test")
    found = predicted(fit_linear_nonlinear({"a": replace(recording, responses=quiet)}), recording, test)
    assert (found[:, 1] < 1e-5).all()
    assert (metrics.pearson(found[:, [0, 2]], predicted(baseline, recording, test)[:, [0, 2]]) > 0.99).all()


def test_a_neuron_that_ignores_the_stimulus_is_predicted_almost_constant():
    recording = planted_recording(time=3000)
    noise = np.random.default_rng(4).poisson(0.5, size=recording.responses.shape)
    found = predicted(
        fit_linear_nonlinear({"a": replace(recording, responses=noise)}), recording, recording.bins("test")
    )
    np.testing.assert_allclose(found.mean(axis=0), 0.5, atol=0.06)
    assert (found.std(axis=0) < 0.15).all()


# ---- bad input


def test_what_cannot_be_fitted_is_refused_with_a_sentence(fitted):
    recording, baseline = fitted
    with pytest.raises(UserError, match="session a has no validation bin"):
        fit_linear_nonlinear({"a": replace(recording, split=np.full(len(recording), "train"))})
    with pytest.raises(UserError, match="session a has no train bin with 21 bins"):
        fit_linear_nonlinear({"a": replace(recording, onsets=np.arange(0, len(recording), 20))})
    with pytest.raises(UserError, match="rank must be 1 or more"):
        fit_linear_nonlinear({"a": recording}, rank=0)
    with pytest.raises(UserError, match="unknown nonlinearity 'relu': known are exp, softplus"):
        fit_linear_nonlinear({"a": recording}, nonlinearity="relu")
    with pytest.raises(UserError, match="one rate"):
        fit_linear_nonlinear({"a": recording, "b": replace(recording, session="b", rate=60.0)})
    with pytest.raises(UserError, match="does not vary"):
        fit_linear_nonlinear({"a": replace(recording, movie=Movie(np.ones((2, 7000, HEIGHT, WIDTH), np.float32)))})
    with pytest.raises(UserError, match=r"rename 'a\.b'"):
        fit_linear_nonlinear({"a.b": recording})
    with pytest.raises(UserError, match="unknown session 'c'"):
        baseline(torch.zeros(1, 2, 30, HEIGHT, WIDTH), "c")
    with pytest.raises(UserError, match="filters take stimuli"):
        baseline(torch.zeros(1, 2, 30, WIDTH, HEIGHT), "a")
    with pytest.raises(UserError, match="more than 21 bins"):
        baseline(torch.zeros(1, 2, LAG, HEIGHT, WIDTH), "a")
