import numpy as np
import pytest
import torch
from helpers import small_recording
from torch import nn

import retina_nb as rnb
from retina_nb.analyses.features import feature_clips, find_features, score_with_features, tell_types
from retina_nb.cores import Core
from retina_nb.models import CoreReadout
from retina_nb.models.activations import replaced_activations
from retina_nb.readouts import Readout, SessionReadouts

STIMULUS = np.random.default_rng(0).standard_normal((2, 700, 7, 9)).astype(np.float32)


class HalfWaves(Core):
    """What was very bright and very dark in each channel two bins ago, mixed: every feature is a bit of all of them."""

    lag = 2

    def __init__(self):
        super().__init__()
        mixing = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))[0]
        self.mixing = nn.Parameter(mixing)

    def waves(self, x):
        past = x[:, :, : x.shape[2] - self.lag]
        return torch.relu(torch.cat([past, -past], dim=1) - 1)  # bright green, bright UV, dark green, dark UV

    def forward(self, x):
        return torch.einsum("oi,bithw->bothw", self.mixing, self.waves(x))


class Reader(Readout):
    """Neuron 0 hears bright green at (2, 3), neuron 1 dark UV all over, less bright UV."""

    def __init__(self, core):
        super().__init__()
        self.unmix = nn.Parameter(core.mixing.detach().T.clone())

    def forward(self, features):
        waves = torch.einsum("oi,bithw->bothw", self.unmix, features)
        return torch.stack(
            [waves[:, 0, :, 2, 3], 2 + waves[:, 3].mean((2, 3)) - 0.5 * waves[:, 1].mean((2, 3))], dim=-1
        )


@pytest.fixture(scope="module")
def twin():
    core = HalfWaves()
    about = {"rate_hz": 30.0, "neurons": {"a": 2}}
    return CoreReadout(core, SessionReadouts({"a": Reader(core)}), stimulus_shape=(2, 7, 9), about=about)


@pytest.fixture(scope="module")
def found(twin):
    return find_features(twin, STIMULUS, features=6, top_k=2, steps=800, samples=20_000)


def features_of_waves(twin, found):
    """The feature that is most like each half wave, and how like."""
    cosine = found.fit.autoencoder.decoder.detach() @ twin.core.mixing.detach()
    return cosine.argmax(dim=0).numpy(), cosine.amax(dim=0).numpy()


def test_mixed_half_waves_are_told_apart(twin, found):
    which, cosine = features_of_waves(twin, found)
    assert len(set(which)) == 4
    assert (cosine > 0.9).all()
    np.testing.assert_allclose(found.share.sum(), found.fit.l0, rtol=0.02)


def test_a_filter_is_where_the_feature_comes_from(twin, found):
    """Bright features have a positive pixel in the middle, two bins before the present, in their channel."""
    which, _ = features_of_waves(twin, found)
    assert found.filters.shape == (6, 2, 3, 7, 9)
    for wave, feature in enumerate(which):
        one = found.filters[feature]
        assert np.unravel_index(np.abs(one).argmax(), one.shape) == (wave % 2, 0, 3, 4)
        assert np.sign(one[wave % 2, 0, 3, 4]) == (1 if wave < 2 else -1)
        assert np.sign(found.polarity[feature]) == (1 if wave < 2 else -1)


def test_effects_say_who_reads_a_feature(twin, found):
    which, _ = features_of_waves(twin, found)
    effect = found.effect[which]
    mean = 0.0833  # of what exceeds 1 of a standard normal
    np.testing.assert_allclose(effect[:, 0], [mean, 0, 0, 0], atol=0.03)
    np.testing.assert_allclose(effect[:, 1], [0, -mean / 2, 0, mean], atol=0.03)
    np.testing.assert_allclose(found.relative_effect, found.effect / found.mean_rate)
    readers = found.to_dataframe()["readers"].to_numpy()[which]
    assert readers[0] < 1.3


def test_an_effect_is_what_happens_without_the_feature(twin, found):
    autoencoder = found.fit.autoencoder

    def without(rows):
        return rows - autoencoder.encode(rows)[:, 2:3] * autoencoder.decoder[2]

    shown = torch.from_numpy(STIMULUS[None])
    with torch.no_grad():
        whole = twin(shown, "a").mean(dim=1)[0]
        with replaced_activations(twin, "core", without):
            less = twin(shown, "a").mean(dim=1)[0]
    np.testing.assert_allclose(found.effect[2], whole - less, atol=1e-5)
    np.testing.assert_allclose(found.mean_rate, whole, rtol=1e-5)


def test_clips_are_the_strongest_moments_and_do_not_overlap(twin, found):
    which, _ = features_of_waves(twin, found)
    made, where = feature_clips(twin, found, STIMULUS, int(which[0]), count=3)
    assert made.shape == (3, 2, 3, 7, 9)
    assert np.diff(np.sort(where[:, 0])).min() > 2
    for clip, (last, y, x) in zip(made, where.astype(int), strict=True):
        np.testing.assert_array_equal(clip, STIMULUS[:, last - 2 : last + 1])
        assert clip[0, 0, y, x] > 3
    with pytest.raises(rnb.UserError, match="there are features 0 to 5"):
        feature_clips(twin, found, STIMULUS, 6)


def test_the_score_that_features_keep(twin, found):
    recording = small_recording(neurons=2)
    scores = score_with_features(twin, found, {"a": recording})
    assert len(scores) == 2
    # Neuron 0 hears one wave, neuron 1 an average over all places, in which errors add up.
    np.testing.assert_allclose(scores["features_correlation"][0], scores["correlation"][0], atol=0.1)


def test_the_seed_alone_decides(twin, found):
    torch.manual_seed(5)
    again = find_features(twin, STIMULUS, features=6, top_k=2, steps=800, samples=20_000)
    np.testing.assert_array_equal(again.filters, found.filters)


def test_bad_input_is_refused_in_a_sentence(twin, monkeypatch):
    with pytest.raises(rnb.UserError, match="do not fit the model"):
        find_features(twin, STIMULUS[:1])
    monkeypatch.setattr(twin.core, "per_session", True, raising=False)
    with pytest.raises(rnb.UserError, match="give a twin whose core does not depend on the session"):
        find_features(twin, STIMULUS)


def test_values_that_tell_types_apart():
    types = np.repeat(["x", "y", "z"], 20)
    values = np.random.default_rng(0).standard_normal((5, 60))
    values[3, types == "y"] += 10
    table = tell_types(values, types)
    assert list(table.index) == ["x", "y", "z"]
    assert table.loc["y", "area"] == 1
    assert table.loc["y", "row"] == 3
    assert table.loc[["x", "z"], "area"].max() < 0.85
    assert 0.55 < table["chance"].mean() < 0.75
    with pytest.raises(rnb.UserError, match="two types or more"):
        tell_types(values, ["x"] * 60)


def test_the_place_of_a_clip_is_in_pixels_of_the_stimulus():
    """Kernels of 3 x 3 without padding, pooled by two: the first place looks at pixels 0 to 3."""
    recording = small_recording()
    options = ["core.hidden_channels=[4]", "core.temporal_kernel_sizes=[5]", "core.spatial_kernel_sizes=[3]"]
    options += ["core.pool_every=1"]
    twin = rnb.build_twin("simulated_retina", {"a": recording}, overrides=options).eval()
    stimulus = recording.movie.frames[:, :80]
    found = find_features(twin, stimulus, features=4, top_k=2, steps=30)
    _, where = feature_clips(twin, found, stimulus, int(found.share.argmax()), count=5)
    assert twin.core.stride == 2
    assert set(where[:, 1]) <= {2.0, 4.0}  # two places of the five rows that are left, in the middle of the seven
    assert set(where[:, 2]) <= {2.0, 4.0, 6.0}
