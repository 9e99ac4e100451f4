import copy
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording
from torch import nn

import retina_nb as rnb
from retina_nb.cores import Core
from retina_nb.losses import LOSSES
from retina_nb.readouts import GaussianMaskReadout, Readout, SessionReadouts

PRESET = "simulated_retina"
FAST = {"batch_size": 8, "chunk_size": 40, "accelerator": "cpu"}


def make(seed=0, dropout=0.0):
    recordings = {name: small_recording(name, neurons=n, time=500) for name, n in (("a", 3), ("b", 2))}
    return rnb.build_twin(PRESET, recordings, overrides=[*TINY, f"core.dropout={dropout}"], seed=seed), recordings


def test_a_twin_learns_planted_cells():
    recordings = {"a": small_recording(time=1500)}
    twin = rnb.build_twin(PRESET, recordings, overrides=[*TINY, "core.temporal_kernel_sizes=[9,3]"])
    before = rnb.evaluate(twin, recordings, baseline=None)["correlation"].median()
    fit = rnb.fit(twin, recordings, max_epochs=15, learning_rate=0.05, patience=8, **FAST)
    after = rnb.evaluate(twin, recordings, baseline=None)["correlation"].median()
    assert after > 0.3
    assert after > before + 0.15
    assert len(fit.history) == 15
    assert fit.history["loss"].iloc[-1] < fit.history["loss"].iloc[0]


def test_the_twin_ends_with_the_weights_that_validated_best():
    twin, recordings = make()
    fit = rnb.fit(twin, recordings, max_epochs=6, learning_rate=0.2, **FAST)
    correlations = []
    for recording in recordings.values():
        history = recording.bins("validation")
        stimulus = recording.stimulus_at(np.arange(history[0] - twin.lag, history[-1] + 1))
        predicted = rnb.predict(twin, stimulus, recording.session)
        for one, other in zip(predicted.T, recording.response("validation").T, strict=True):
            correlations.append(np.corrcoef(one, other)[0, 1])
    best = fit.history["validation_correlation"]
    assert fit.best_epoch == best.argmax()
    assert np.mean(correlations) == pytest.approx(best.max(), abs=1e-4)


def test_a_fixed_seed_gives_identical_results():
    weights = []
    for _ in range(2):
        twin, recordings = make(dropout=0.2)
        rnb.fit(twin, recordings, max_epochs=2, seed=3, **FAST)
        weights.append(twin.state_dict())
    for name in weights[0]:
        assert torch.equal(weights[0][name], weights[1][name]), name


def test_a_resumed_training_equals_an_uninterrupted_one_to_the_bit(tmp_path):
    options = FAST | {"learning_rate": 0.3, "patience": 1}  # so that the learning rate falls on the way
    whole, recordings = make(dropout=0.2)
    expected = rnb.fit(whole, recordings, max_epochs=6, folder=tmp_path / "whole", **options)
    first, _ = make(dropout=0.2)
    rnb.fit(first, recordings, max_epochs=3, folder=tmp_path / "parts", **options)
    second, _ = make(seed=9, dropout=0.2)
    found = rnb.fit(second, recordings, max_epochs=6, folder=tmp_path / "parts", resume=True, **options)
    columns = ["epoch", "loss", "validation_loss", "validation_correlation", "learning_rate"]
    assert expected.history["learning_rate"].nunique() > 1
    assert expected.history[columns].equals(found.history[columns])
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
import test_training
import retina_nb as rnb
twin, recordings = test_training.make(dropout=0.2)
rnb.fit(twin, recordings, max_epochs=400, folder=sys.argv[1], resume=True, **test_training.FAST)
"""


def test_a_killed_training_goes_on_as_if_nothing_had_happened(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    process = subprocess.Popen(
        [sys.executable, script, tmp_path / "run"], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    for line in process.stdout:
        if line.startswith("epoch 2/"):
            break
    time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    resumed, recordings = make(dropout=0.2)
    found = rnb.fit(resumed, recordings, max_epochs=8, folder=tmp_path / "run", resume=True, **FAST)
    whole, _ = make(dropout=0.2)
    expected = rnb.fit(whole, recordings, max_epochs=len(found.history), **FAST)
    assert found.history["validation_correlation"].equals(expected.history["validation_correlation"])
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_loggers_by_name_leave_their_files(tmp_path):
    twin, recordings = make()
    rnb.fit(twin, recordings, max_epochs=1, folder=tmp_path, loggers=["csv", "tensorboard"], **FAST)
    assert "validation_correlation" in (tmp_path / "logs" / "csv" / "metrics.csv").read_text()
    assert list((tmp_path / "logs" / "tensorboard").glob("events*"))


def test_training_prints_a_line_an_epoch_where_there_is_no_terminal(capsys):
    twin, recordings = make()
    rnb.fit(twin, recordings, max_epochs=2, **FAST)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss")


def test_bfloat16_is_passed_through():
    twin, recordings = make()
    fit = rnb.fit(twin, recordings, max_epochs=1, precision="bf16-mixed", **FAST)
    assert np.isfinite(fit.history["loss"]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resume": True}, "needs the folder"),
        ({"loggers": ["wandbb"]}, "unknown logger 'wandbb'"),
        ({"max_epochs": 0}, "at least one epoch"),
        ({"loss": "correlations"}, "unknown loss 'correlations': did you mean 'correlation'"),
        ({"neuron_weights": "types"}, "unknown weighting of neurons 'types': did you mean 'type'"),
        ({"neuron_weights": "type"}, "session a does not say the types of its neurons"),
        ({"learning_rate": 1e30, "averaging": 0.0}, "diverged.*lower learning_rate"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(options, message):
    twin, recordings = make()
    with pytest.raises(rnb.UserError, match=message):
        rnb.fit(twin, recordings, **(FAST | {"max_epochs": 3} | options))


def test_a_folder_that_cannot_be_written_is_refused_before_training(tmp_path):
    twin, recordings = make()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(rnb.UserError, match="cannot write"):
        rnb.fit(twin, recordings, folder=tmp_path / "file", **FAST)


def test_sessions_that_the_twin_does_not_have_are_refused():
    twin, _ = make()
    with pytest.raises(rnb.UserError, match="unknown session of the twin 'c'"):
        rnb.fit(twin, {"c": small_recording("c")}, **FAST)
    with pytest.raises(rnb.UserError, match="session a has 5 neurons, the twin was built for 3"):
        rnb.fit(twin, {"a": small_recording("a", neurons=5)}, **FAST)


def test_the_loss_is_a_mean_whatever_the_batch():
    """The history's loss of a twin that does not learn is the same for all batches and chunks."""
    losses = []
    for batch_size, chunk_size in ((1, 17), (8, 40), (100, 90)):
        twin, recordings = make()
        twin.core.layers.apply(lambda layer: setattr(layer, "momentum", 0.0) if hasattr(layer, "momentum") else None)
        options = FAST | {"batch_size": batch_size, "chunk_size": chunk_size}
        fit = rnb.fit(twin, recordings, max_epochs=1, learning_rate=1e-12, weight_decay=0.0, **options)
        losses.append(fit.history["validation_loss"][0])
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)


def test_neurons_weighted_by_rate_count_alike_whatever_their_rates():
    """The loss of a twin that predicts mean rates is then the mean over neurons of overall * (1 - log rate)."""
    twin, recordings = make()
    for session in recordings:
        torch.nn.init.zeros_(twin.session_readout(session).features)
    options = FAST | {"learning_rate": 1e-12, "weight_decay": 0.0}
    fit = rnb.fit(twin, recordings, max_epochs=1, neuron_weights="rate", **options)
    rates = np.concatenate([one.response("train").mean(axis=0) for one in recordings.values()])
    assert fit.history["loss"][0] == pytest.approx((rates.mean() * (1 - np.log(rates))).mean(), rel=0.03)


@pytest.mark.parametrize("loss", [*LOSSES, "own"])
def test_every_loss_falls_in_training(loss):
    twin, recordings = make()
    chosen = (lambda rate, response, weights: (rate - response).abs().mean(dim=(0, 1))) if loss == "own" else loss
    fit = rnb.fit(twin, recordings, max_epochs=4, learning_rate=0.03, loss=chosen, **FAST)
    assert fit.history["loss"].iloc[-1] < fit.history["loss"].iloc[0]
    assert fit.history["validation_loss"].notna().all()


def test_the_correlation_loss_fits_correlations():
    twin, recordings = make()
    fit = rnb.fit(twin, recordings, max_epochs=4, learning_rate=0.03, loss="correlation", **FAST)
    np.testing.assert_allclose(1 - fit.history["validation_loss"], fit.history["validation_correlation"], atol=1e-4)


def test_a_session_split_in_two_trains_to_the_same_weights():
    """Losses and penalties are means over neurons, however these are grouped into sessions."""
    whole = small_recording(time=500)
    parts = {name: replace(whole, session=name, responses=whole.responses[:, n]) for name, n in SPLIT.items()}
    twin = rnb.build_twin(PRESET, {"a": whole}, overrides=[*TINY, "readout.feature_penalty=0.1"])
    split = copy.deepcopy(twin)
    split.add_sessions(parts)
    split.remove_sessions("a")
    for session, neurons in SPLIT.items():
        for name, value in split.session_readout(session).named_parameters():
            value.data = of_neurons(twin.session_readout("a"), name, neurons).clone()
    for one, recordings in ((twin, {"a": whole}), (split, parts)):
        one.freeze_core()
        rnb.fit(one, recordings, max_epochs=3, learning_rate=0.03, **FAST)
    for session, neurons in SPLIT.items():
        for name, value in split.session_readout(session).named_parameters():
            expected = of_neurons(twin.session_readout("a"), name, neurons)
            torch.testing.assert_close(value.data, expected, rtol=1e-3, atol=1e-4)


SPLIT = {"b": [0], "c": [1, 2]}


def of_neurons(readout, name, neurons):
    value = getattr(readout, name).data
    return value[:, neurons] if name == "features" else value[neurons]


def test_what_was_drawn_before_does_not_matter():
    """The seeds fix initial weights, the order of batches and dropout, whatever the state of any generator."""
    weights = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)
        twin, recordings = make(dropout=0.2)
        rnb.fit(twin, recordings, max_epochs=1, **FAST)
        weights.append(twin.state_dict())
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_the_learning_rate_falls_and_training_stops_without_any_setting():
    """What is watched is always there: no training without a schedule crashes."""
    twin, recordings = make()
    twin.freeze_core()  # or its statistics would still move
    fit = rnb.fit(twin, recordings, max_epochs=30, learning_rate=1e-6, **FAST)
    assert len(fit.history) == 1 + 3 * 3
    np.testing.assert_allclose(fit.history["learning_rate"].unique(), [1e-6, 1e-6 / 3, 1e-6 / 9])


def test_a_core_that_depends_on_the_session_and_a_readout_with_a_lag_train():
    class Louder(Core):
        """The stimulus times what each session has learned."""

        per_session, lag = True, 0

        def __init__(self):
            super().__init__()
            self.gains = nn.ParameterDict({name: torch.ones(1) for name in "ab"})

        def forward(self, x, session=None):
            return x * self.gains[session]

    class Before(Readout):
        """The pixels of the frame before."""

        lag = 1

        def __init__(self, neurons):
            super().__init__()
            self.linear = nn.Linear(2 * 7 * 9, neurons)

        def forward(self, features):
            return nn.functional.softplus(self.linear(features[:, :, :-1].movedim(2, 1).flatten(2)))

    recordings = {name: small_recording(name, neurons=n, time=1500) for name, n in (("a", 3), ("b", 2))}
    readout = SessionReadouts({"a": Before(3), "b": Before(2)})
    twin = rnb.build_twin(recordings=recordings, core=Louder(), readout=readout)
    fit = rnb.fit(twin, recordings, max_epochs=8, learning_rate=0.02, **FAST)
    assert twin.lag == 1
    assert fit.history["validation_correlation"].max() > 0.3
    gains = [twin.core.gains[name].item() for name in "ab"]
    assert 1 != gains[0] != gains[1] != 1


def test_a_core_of_ones_own_trains():
    class Mine(Core):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv3d(2, 3, (4, 3, 3))

        def forward(self, x):
            return self.conv(x)

    recordings = {"a": small_recording()}
    readout = SessionReadouts({"a": GaussianMaskReadout((3, 1, 5, 7), 3, positive=False)})
    twin = rnb.build_twin(recordings=recordings, core=Mine(), readout=readout)
    fit = rnb.fit(twin, recordings, max_epochs=2, **FAST)
    assert len(fit.history) == 2


def test_responses_below_zero_have_no_poisson_loss():
    recording = replace(small_recording(), signed=True)
    twin = rnb.build_twin("hoefling_2024_low_res", {"a": recording}, overrides=TINY)
    with pytest.raises(rnb.UserError, match="session a has responses below zero"):
        rnb.fit(twin, {"a": recording}, max_epochs=1)


def test_a_twin_without_an_output_for_each_bin_is_not_trained():
    recording = small_recording()
    twin = rnb.build_twin("hoefling_2024_low_res", {"a": recording}, overrides=[*TINY, "core.downsample=[2,1,1]"])
    with pytest.raises(rnb.UserError, match="can predict, but not be trained"):
        rnb.fit(twin, {"a": recording}, max_epochs=1)
