"""Whatever is given for an argument, there is the right result or one sentence."""

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import small_recording

import retina_nb as rnb
from retina_nb import Movie, Recording, UserError
from retina_nb.evaluation import compare_all_models
from retina_nb.loaders.joined import JoinedFrames
from retina_nb.loaders.splits import label_clips, training_labels, validation_clips
from retina_nb.metrics import bootstrap_interval, compare_models, score_card
from retina_nb.stimuli import Screen, Stimulus

TIME, NEURONS = 40, 3
GENERATOR = np.random.default_rng(0)
FRAMES = GENERATOR.standard_normal((1, TIME, 5, 7)).astype(np.float32)
COUNTS = GENERATOR.poisson(2, (TIME, NEURONS)).astype(np.float32)
TRIALS = GENERATOR.poisson(2, (4, TIME, NEURONS)).astype(np.float32)
RATES = GENERATOR.random((TIME, NEURONS)).astype(np.float32)
SMALL = small_recording(neurons=2, time=200, size=(5, 5))
EVENTS = pd.DataFrame({"event": ["all"], "start": [0], "stop": [TIME]})

# What is called, with arguments that are right.
CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "Movie": (Movie, {"frames": FRAMES, "mean": 0.0, "std": 1.0, "channels": ("grey",)}),
    "Recording": (
        Recording,
        {
            "session": "one",
            "movie": Movie(FRAMES),
            "responses": COUNTS,
            "rate": 30.0,
            "frames": np.arange(TIME),
            "split": np.full(TIME, "train"),
            "repeats": {"test": np.array([[0, 1], [0, 1]])},
            "onsets": np.array([0, 20]),
            "mirrored": False,
            "pixel_um": 50.0,
            "unit": "spikes/bin",
            "neurons": {"type": np.array(["on", "off", "on"])},
            "signed": False,
            "about": {"eye": "left"},
        },
    ),
    "normalize": (rnb.normalize, {"movie": Movie(FRAMES), "frames": np.arange(10)}),
    "Stimulus": (Stimulus, {"frames": FRAMES, "screen": Screen((5, 7), 30.0, 50.0), "events": EVENTS}),
    "JoinedFrames": (JoinedFrames, {"parts": [FRAMES, FRAMES]}),
    "validation_clips": (validation_clips, {"n_frames": 40, "clip_length": 5, "n_clips": 2, "seed": 0}),
    "label_clips": (label_clips, {"n_frames": 40, "clip_length": 5, "clips": [1, 2]}),
    "training_labels": (
        training_labels,
        {"n_frames": 40, "clip_length": 5, "n_clips": 2, "seed": 0, "where": "the movie"},
    ),
    "select_neurons": (
        rnb.select_neurons,
        {"recordings": SMALL, "reliability": -1.0, "quality_index": -1.0, "types": None, "responding": True},
    ),
    "audit": (
        rnb.audit,
        {
            "recordings": SMALL,
            "history": 1.0,
            "clip": 1.0,
            "expected_latency": None,
            "max_frames": 500,
            "level": 0.95,
            "seed": 0,
        },
    ),
    "compare_models": (
        compare_models,
        {"first": RATES[:, 0], "second": RATES[:, 1], "n": 20, "level": 0.95, "seed": 0},
    ),
    "compare_all_models": (compare_all_models, {"scores": pd.DataFrame(RATES), "n": 20, "level": 0.95, "seed": 0}),
    "score_card": (score_card, {"trials": TRIALS, "prediction": RATES}),
    "bootstrap_interval": (
        bootstrap_interval,
        {
            "trials": TRIALS,
            "prediction": RATES,
            "metric": "correlation",
            "block": 5,
            "n": 10,
            "level": 0.95,
            "seed": 0,
        },
    ),
}
ODD: dict[str, Any] = {
    "None": None,
    "text": "thirty",
    "empty text": "",
    "bytes": b"train",
    "a number": 3,
    "a float": 2.5,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "negative": -1,
    "tiny": 1e-300,
    "huge": 10**400,
    "complex": 1j,
    "True": True,
    "no list": [],
    "list": [1.0, 2.0],
    "ragged": [[1, 2], [1]],
    "texts": ["a", "b"],
    "Nones": [None, None],
    "dict": {},
    "dict of numbers": {1: [1.0]},
    "a set": {1, 2},
    "0-d": np.array(3.0),
    "0-d tensor": torch.tensor(3.0),
    "mask": np.ones(TIME, bool),
    "no numbers": np.zeros(0),
    "objects": np.array([object()] * TIME),
    "dates": np.full(TIME, "2020-01-01", "M8[D]"),
    "structured": np.zeros(TIME, [("a", "f4")]),
    "masked": np.ma.masked_less(COUNTS, 1),
    "series": pd.Series([1.0, 2.0]),
    "frame": pd.DataFrame({"a": [1.0]}),
    "nullable": pd.DataFrame({"a": pd.array([1, None], dtype="Int64")}),
    "tensor": torch.zeros(2, 3),
    "with gradients": torch.zeros(2, 3, requires_grad=True),
    "function": len,
    "class": Movie,
}


def misbehaving() -> list[list[str]]:
    """Calls with one odd argument that end in an error which is not one sentence: function, argument, value, error."""
    found = []
    for name, (call, right) in CALLS.items():
        call(**right)
        for argument in right:
            for odd, value in ODD.items():
                try:
                    call(**(right | {argument: value}))
                except UserError as error:
                    names_it = name != "Recording" or argument == "session" or "session one" in str(error)
                    if "\n" in str(error) or not names_it:
                        found.append([name, argument, odd, str(error)])
                except Exception as error:
                    found.append([name, argument, odd, f"{type(error).__name__}: {error}"])
    return found


@pytest.fixture(scope="module")
def found():
    """In a process of its own, since the types of arguments are not checked where users are."""
    run = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", CALLS)
def test_odd_values_give_a_result_or_one_sentence(found, name):
    assert [one for one in found if one[0] == name] == []


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(json.dumps(misbehaving()))
