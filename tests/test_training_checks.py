"""What cannot be trained is refused in one sentence, before anything happens."""

import inspect
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TINY, small_recording

import retina_nb as rnb
from retina_nb.training_checks import check_options

DEFAULTS = {name: one.default for name, one in inspect.signature(rnb.fit).parameters.items()}
NUMBER = [0, -1, float("nan"), float("inf"), "0.1", None, True, [1], 1j]
COUNT = [0, -1, 1.0, 2.5, True, "3", None, [3], float("nan"), 2**70]
BAD = {
    "max_epochs": COUNT,
    "batch_size": COUNT,
    "chunk_size": COUNT,
    "patience": COUNT,
    "num_nodes": COUNT,
    "seed": COUNT[1:],
    "learning_rate": NUMBER,
    "weight_decay": NUMBER[1:],
    "clip_norm": [one for one in NUMBER if one != float("inf")],
    "averaging": [1, 1.5, *NUMBER[1:]],
    "loss": [None, 3, ["mse"]],
    "precision": ["foo", "64-true", "16-true", 64, None],
    "loggers": ["csv", None, 3, ["wandbb"], [None]],
    "folder": ["", 3, b"x"],
    "resume": [1, "yes", None],
    "compile": [1, "no"],
    "keep_memory": [0],
}


@pytest.mark.parametrize("name", BAD)
def test_options_of_a_wrong_type_or_value_are_refused_by_name(name):
    for value in BAD[name]:
        with pytest.raises(rnb.UserError, match=name.removesuffix("s")) as told:
            check_options(DEFAULTS | {name: value})
        assert len(str(told.value).splitlines()) == 1


def test_numbers_of_numpy_are_numbers():
    check_options(DEFAULTS | {"max_epochs": np.int64(3), "learning_rate": np.float32(0.1), "seed": np.uint8(0)})


def test_logs_need_a_folder():
    with pytest.raises(rnb.UserError, match="loggers need a folder"):
        check_options(DEFAULTS | {"loggers": ["csv"]})


RECORDING = small_recording(time=400)
SILENT = replace(RECORDING, responses=np.zeros_like(RECORDING.responses))


@pytest.fixture(scope="module")
def twin():
    return rnb.build_twin("simulated_retina", RECORDING, overrides=TINY)


@pytest.mark.parametrize(
    ("recording", "options", "message"),
    [
        (replace(RECORDING, split=np.where(RECORDING.split == "train", "", RECORDING.split)), {}, "no train bin"),
        (replace(RECORDING, split=np.where(RECORDING.split == "validation", "", RECORDING.split)), {}, "no validation"),
        (
            replace(RECORDING, split=np.full(len(RECORDING), "train"), repeats={}),
            {},
            "session a has no validation bin: label some, as in",
        ),
        (SILENT, {}, "no cell responds in any training bin"),
        (small_recording(size=(8, 8)), {}, r"session a is not like .*\(2, 8, 8\) instead of \(2, 7, 9\)"),
        (replace(RECORDING, rate=60.0), {}, "a rate .* of 60.0 instead of 30.0"),
        (RECORDING, {"devices": -1}, "Lightning cannot train so: .*devices"),
        (RECORDING, {"devices": "x"}, "Lightning cannot train so: .*devices"),
        (RECORDING, {"devices": 0}, "Lightning cannot train so: .*devices"),
        (RECORDING, {"accelerator": "nonsense"}, "Lightning cannot train so: .*accelerator"),
        (RECORDING, {"folder": "~nobody9/x"}, "cannot write ~nobody9/x|no home folder"),
        (RECORDING, {"folder": "/dev/null/x"}, "cannot write /dev/null/x"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training(recording, options, message, twin, capsys):
    before = {name: value.clone() for name, value in twin.state_dict().items()}
    with pytest.raises(rnb.UserError, match=message):
        rnb.fit(twin, recording, **{"max_epochs": 1, "accelerator": "cpu"} | options)
    assert capsys.readouterr().out == ""
    assert all(torch.equal(value, before[name]) for name, value in twin.state_dict().items())


def test_silent_sessions_and_constant_stimuli_train_beside_others():
    constant = replace(RECORDING, session="c", movie=rnb.Movie(np.zeros_like(RECORDING.movie.frames)))
    recordings = {"a": SILENT, "b": small_recording("b", neurons=2), "c": constant}
    twin = rnb.build_twin("simulated_retina", recordings, overrides=TINY)
    options = {"max_epochs": 1, "accelerator": "cpu", "loss": "scaled_correlation", "neuron_weights": "rate"}
    assert np.isfinite(rnb.fit(twin, recordings, **options).history.to_numpy()).all()
