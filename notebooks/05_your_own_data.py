# %% [markdown]
# # How do I get my own recordings in?
#
# You have a movie, spike counts and some notes on what was shown when. This notebook goes from there to a scored twin:
# as arrays, as HDF5 files, and as NWB, the field's exchange standard. Then it makes the mistakes that everybody makes,
# to see what they look like.
#
# - **What you'll do**: make a `Recording` of arrays, write and read it in three formats, train a twin of it, score it.
# - **What you'll learn**: what a recording must say, and how to read what the library says when something does not fit.
# - **What you need**: arrays or files of your own; without, a simulated retina plays the rig. A minute on two CPU cores.

# %% tags=["parameters"]
path = ""  # your own file or folder (HDF5 or NWB); empty for the simulated experiment
settings = {}  # what its loader takes, e.g. {"rate": 30.0, "test_names": ["test"]} for HDF5 in OpenRetina's layout
preset = "simulated_retina"  # one of rnb.presets()
overrides = []  # changes to the preset
max_epochs = 20  # passes over the training data
minutes = 8.0  # length of the simulated experiment's training movie
seed = 0  # fixes the experiment, initial weights, order of batches and bootstrap
output_dir = "runs/05_your_own_data"  # where results and the files that are written here go

# %%
import time
import warnings
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch

import retina_nb as rnb
from retina_nb import plots
from retina_nb.metrics import pearson
from retina_nb.models.presets import load_preset
from retina_nb.stimuli import Screen, natural_movie

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # pynwb's own, on import
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb.image import ImageSeries

started = time.perf_counter()
load_preset(preset, overrides)  # a mistyped one is noticed now, not after the experiment
folder = Path(output_dir) / "files"
(folder / "stimuli").mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## The experiment
#
# In place of your rig: a grey movie of natural scenes, a test movie that is shown ten times, and the spikes that a
# simulated retina answers with. From here on they are plain arrays, as they come from any experiment.

# %%
rate, repeats = 30.0, 10
screen = Screen((18, 16), rate, 50.0, 1)
movie = natural_movie(screen, duration=60 * minutes, seed=seed).frames  # (channel, frame, height, width)
test_movie = natural_movie(screen, duration=25, seed=seed + 1).frames
truth = rnb.load_truth(sessions=1, cells_per_session=24)
shown = np.concatenate([movie, *[test_movie] * repeats], axis=1)
history = np.zeros((1, truth.lag, 18, 16), dtype=np.float32)  # grey before the experiment
both_colours = np.repeat(np.concatenate([history, shown], axis=1), 2, axis=0)  # grey light excites green and UV cones
expected = truth(torch.from_numpy(both_colours)[None], "simulated_1")[0]
spikes = truth.respond(expected, "simulated_1", torch.Generator().manual_seed(seed)).numpy()
print("movie", movie.shape, " test movie", test_movie.shape, " spike counts (time, neuron)", spikes.shape)

# %% [markdown]
# ## From arrays
#
# A recording is a timeline: which frame was on screen in every bin, what the cells did, and what the bin is for. The
# movie is kept once, however often parts of it were shown. This is all that is needed:

# %%
train, test = movie.shape[1], test_movie.shape[1]
starts = train + test * np.arange(repeats)  # bins at which a repeat of the test movie begins
frames = np.concatenate([np.arange(train), *[train + np.arange(test)] * repeats])
split = np.repeat(["train", "validation", "test"], [round(0.85 * train), train - round(0.85 * train), test * repeats])
bins = {"test": starts[:, None] + np.arange(test)}

recording = rnb.Recording(
    "own",
    rnb.Movie(np.concatenate([movie, test_movie], axis=1)),
    spikes,
    rate,
    frames=frames,
    split=split,
    repeats=bins,
    pixel_um=50.0,
    neurons={"type": truth.neurons()["type"].to_numpy()},  # whatever you know of each cell
)
print(recording.summary())

# %% [markdown]
# Look at it before anything else. Does the movie look as it did on the screen? Do trials agree?

# %%
plots.show_stimulus(recording);

# %%
plots.show_responses({recording.label(n): recording.trials()[:, :, n] for n in range(4)}, recording.rate);

# %% [markdown]
# ## Our file
#
# `write_recordings` keeps any number of sessions in one HDF5 file, `load_recordings` gives them back to the bit. It
# knows a format by what is in the file.

# %%
ours = rnb.write_recordings({"own": recording}, folder / "own.h5")
again = {"our HDF5": rnb.load_recordings(ours)["own"]}
print(f"{ours}: {ours.stat().st_size / 1e6:.1f} MB")

# %% [markdown]
# ## OpenRetina's layout
#
# A folder with `stimuli/NAME.npy` and a file for each session with `responses_NAME` (neuron, time). It has no single
# trials, so the mean of the repeats goes in; and no rate, so you say it.

# %%
np.save(folder / "stimuli" / "natural.npy", movie)
np.save(folder / "stimuli" / "test.npy", test_movie)
with h5py.File(folder / "own_session.h5", "w") as file:
    file["responses_natural"] = spikes[:train].T
    file["responses_test"] = recording.trials().mean(axis=0).T
layout = rnb.load_recordings(folder / "own_session.h5", rate=rate, test_names=["test"], pixel_um=50.0)
again["OpenRetina's layout"] = layout["own_session"]

# %% [markdown]
# ## Neurodata Without Borders
#
# Many labs have these already. The stimulus is an `ImageSeries`, the responses are spike times of units (or ROI traces),
# and a table of trials says what was shown when. Images are stored with their width first, as the standard has it.

# %%
nwb = NWBFile("natural scenes", "own-1", datetime(2026, 5, 17, 9, 30, tzinfo=UTC))
images = shown[0].swapaxes(1, 2)
nwb.add_stimulus(ImageSeries(name="screen", data=images, unit="n.a.", rate=rate, starting_time=0.0))
for counts in spikes.T:
    bins_of_spikes = np.repeat(np.arange(len(counts)), counts.astype(int))
    nwb.add_unit(spike_times=(bins_of_spikes + 0.5) / rate)
nwb.add_trial_column("split", "what it is for")
nwb.add_trial_column("stimulus", "what was shown")
edges = [("train", 0, round(0.85 * train)), ("validation", round(0.85 * train), train)]
for name, first, last in [*edges, *(("test", start, start + test) for start in starts)]:
    nwb.add_trial(start_time=first / rate, stop_time=last / rate, split=name, stimulus=name)
with NWBHDF5IO(folder / "own.nwb", "w") as file:
    file.write(nwb)
again["NWB"] = rnb.load_recordings(folder / "own.nwb", normalize=False, pixel_um=50.0)["own"]

# %% [markdown]
# All of them say the same: the same frames before the same responses, and the same repeats.

# %%
same = {
    name: np.array_equal(one.stimulus("test"), test_movie)
    and np.array_equal(one.stimulus_at(np.arange(train)), movie)
    and np.array_equal(one.responses[:train], spikes[:train])
    and np.array_equal(one.trials().mean(axis=0), recording.trials().mean(axis=0))
    for name, one in again.items()
}
pd.Series(same, name="gives back what was put in").to_frame()

# %% [markdown]
# ## A twin of it
#
# Training, baseline and scores are those of notebook 01. If you gave a `path`, it is your recordings from here on.

# %%
recordings = rnb.load_recordings(path, **settings) if path else {"own": recording}
twin = rnb.build_twin(preset, recordings, overrides=overrides, seed=seed)
fit = rnb.fit(twin, recordings, max_epochs=max_epochs, seed=seed, **twin.config["training"])
scores = rnb.evaluate(twin, recordings, seed=seed)
scores[["cc_norm", "linear_nonlinear_cc_norm", "correlation", "cc_max"]].describe()

# %% tags=["thumbnail"]
plots.show_scores(scores);

# %% [markdown]
# Keep the twin; whoever loads it needs nothing else:
#
# ```python
# twin = rnb.load_twin("runs/05_your_own_data/twin.safetensors")
# rates = rnb.predict(twin, any_movie, "own")
# ```

# %%
print(f"the twin is in {twin.save(f'{output_dir}/twin.safetensors')}")

# %% [markdown]
# ## Mistakes
#
# Whatever does not fit together is refused at once, with what is wrong, where, and what to do. These are the ones we see
# most:

# %%
whole = (folder / "own.h5").read_bytes()
(folder / "half.h5").write_bytes(whole[: len(whole) // 2])
(folder / "empty").mkdir(exist_ok=True)
misspelt = folder / "misspelt_session.h5"
with h5py.File(misspelt, "w") as file:
    file["responses_natural"], file["response_test"] = spikes[:train].T, spikes[-test:].T
with_nan = np.where(np.arange(spikes.size).reshape(spikes.shape) == 1000, np.nan, spikes)
mistakes = {
    "responses with neurons first": lambda: replace(recording, responses=spikes.T),
    "a bin more than frames": lambda: replace(recording, responses=np.concatenate([spikes, spikes[-1:]])),
    "a frame of the movie that is not there": lambda: replace(recording, frames=frames + 1),
    "a movie without its channel axis": lambda: rnb.Movie(movie[0]),
    "a movie with its channel axis last": lambda: replace(recording, movie=rnb.Movie(np.moveaxis(movie, 0, -1))),
    "a missing response": lambda: replace(recording, responses=with_nan),
    "calcium traces below zero": lambda: replace(recording, responses=spikes - 1),
    "a name that is not a split": lambda: replace(recording, split=np.where(split == "train", "training", split)),
    "repeats after the end": lambda: replace(recording, repeats={"test": bins["test"] + 1}),
    "a file that was copied by half": lambda: rnb.load_recordings(folder / "half.h5"),
    "a file without a rate": lambda: rnb.load_recordings(folder / "own_session.h5"),
    "a misspelt stimulus": lambda: rnb.load_recordings(folder / "own_session.h5", rate=rate, test_names=["tset"]),
    "a misspelt key": lambda: rnb.load_recordings(misspelt, rate=rate),
    "a folder without recordings": lambda: rnb.load_recordings(folder / "empty"),
    "the folder of another dataset": lambda: rnb.load_recordings("hoefling_2024", data_dir=folder / "empty"),
    "a misspelt dataset": lambda: rnb.load_recordings("simulatd"),
    "a twin for other pixels": lambda: rnb.predict(twin, np.zeros((1, 60, 9, 8), dtype=np.float32)),
}
said = {}
for name, mistake in mistakes.items():
    try:
        mistake()
    except rnb.UserError as error:
        said[name] = str(error).replace(str(folder), "files")
for name, sentence in said.items():
    print(f"{name}\n    {sentence}\n")

# %% [markdown]
# ## What we learned
#
# The three formats give back what was put in, and every mistake is told in a sentence. With the default parameters, the
# twin beats the linear-nonlinear model on the cells that are truly nonlinear, and the true rates of the simulated cells,
# scored like the twin, have a CC$_{norm}$ of 1: the ceiling is where it should be.

# %%
ceiling = gain = nonlinear = None
if not path:
    known, recorded = expected[train : train + test].numpy(), recording.trials().mean(axis=0)
    ceiling = float(np.median(pearson(known, recorded) / scores["cc_max"]))
    nonlinear = truth.neurons()["nonlinear"].to_numpy()
    gain = scores["cc_norm"][nonlinear].median() - scores["linear_nonlinear_cc_norm"][nonlinear].median()

results = {
    "neurons": len(scores),
    "formats_agree": same,
    "mistakes_told": list(said),
    "cc_norm": {"twin": scores["cc_norm"].median(), "linear_nonlinear": scores["linear_nonlinear_cc_norm"].median()},
    "cc_norm_gain_nonlinear": gain,
    "truth_cc_norm": ceiling,
    "epochs": len(fit.history),
    "seconds": time.perf_counter() - started,
}
results_file = rnb.write_results(output_dir, **results)

# %%
checks = [
    ("formats that give back what was put in", np.mean(list(same.values())), ">= 1"),
    ("mistakes that are told in a sentence", len(said) / len(mistakes), ">= 1"),
]
if not path and not overrides and max_epochs >= 20 and minutes >= 8:
    checks += [
        ("CC_norm of the true rates", ceiling, "0.97 to 1.03"),
        ("twin over linear-nonlinear model, nonlinear cells", gain, ">= 0.1"),
    ]
rnb.verdicts(results_file, checks)

# %% [markdown]
# ## On your own
#
# - Give `path` and `settings` of your own files. Which of the mistakes do you meet first?
# - Halve the experiment: `minutes = 4`. What does it cost the twin, and what the baseline?
