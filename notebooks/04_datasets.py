# %% [markdown]
# # What is in a dataset, and can it be trusted?
#
# A model learns whatever is in its data, mistakes too. Responses that are one bin late, a test clip that was shown in
# training or a cell that was lost halfway give scores that look like biology. An **audit** looks for them first.
#
# - **What you'll do**: look at stimuli and responses, audit a dataset, plant faults in it and have them found, measure how
# reliable each cell is, and choose the cells to model.
# - **What you'll learn**: what can be wrong with a recording, what an interval around a reliability covers, and which measure
# of quality depends on the number of trials.
# - **What you need**: nothing else; half a minute on two CPU cores.

# %% tags=["parameters"]
dataset = "simulated"  # one of rnb.datasets(), or the path of your own files
dataset_settings = {}  # what the dataset's loader takes, e.g. {"seed": 1}
criteria = {"explainable_variance_ratio": 0.3}  # what a cell needs to be kept, see rnb.select_neurons
seed = 0  # fixes the bootstraps
output_dir = "runs/04_datasets"  # where results go

# %%
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

import retina_nb as rnb
from retina_nb import metrics, plots
from retina_nb.quality import neuron_quality

started = time.perf_counter()
pd.set_option("display.max_colwidth", None)

# %% [markdown]
# ## What there is
#
# Each of these is one call away: `rnb.load_recordings(name)` downloads what is not there yet.

# %%
rnb.datasets().drop(columns=["stimulus", "citation"])

# %%
recordings = rnb.load_recordings(dataset, **dataset_settings)
name, first = next(iter(recordings.items()))
print(*[recording.summary() for recording in list(recordings.values())[:2]], sep="\n")
print(f"... {len(recordings)} sessions, {sum(recording.n_neurons for recording in recordings.values())} neurons")

# %% [markdown]
# ## Look at it
#
# The stimulus as the retina saw it, a row for each colour channel.

# %%
split = next(label for label in ("train", "test", "validation") if (first.split == label).any())
plots.show_stimulus(first, split=split);

# %% [markdown]
# Three cells of the first session, the most reliable one, the one in the middle and the least reliable one: every trial
# above (dark is many spikes), the mean below.

# %%
quality = pd.concat(
    [neuron_quality(recording, seed=seed).assign(session=one) for one, recording in recordings.items()],
    ignore_index=True,
)
repeated = max(first.repeats, key=lambda test: first.repeats[test].size, default=None)
if repeated is not None:
    ranked = quality[quality["session"] == name].sort_values("reliability", ascending=False)["neuron"].to_numpy()
    chosen = dict.fromkeys(ranked[[0, len(ranked) // 2, -1]])
    panels = {first.label(neuron): first.trials(repeated)[:, :, neuron] for neuron in chosen}
    plots.show_responses(panels, first.rate)

# %% [markdown]
# ## The audit
#
# One call asks what a careful colleague would ask. Do the sessions agree? Is the stimulus normalised? Are clips of the test
# in the training set, exactly or nearly? Do responses follow the stimulus by a plausible latency, the same in all
# sessions, splits and trials? Do cells respond, all the time, and reliably?

# %%
audit = rnb.audit(recordings, seed=seed)
print(audit)

# %% tags=["thumbnail"]
plots.show_audit(audit);

# %% [markdown]
# Left, each check by its worst finding. Top: how much the stimulus at each lag counts for the response, whose peak is the
# latency; and how held-out responses correlate with what the training set predicts of them, whose peak belongs at 0.
# Bottom: drift and reliability.

# %% [markdown]
# ## Would it be found?
#
# A check that never fails is worth nothing. Here are faults that happen, each planted into one session.

# %%
target = list(recordings)[-1]
healthy = recordings[target]


def with_fault(**changes):
    """All recordings, one of them changed."""
    return recordings | {target: replace(healthy, **changes)}


def copied_clip(start, length):
    """All recordings, with a stretch of the test movie in place of the first training frames."""
    frames = np.array(healthy.movie.frames)
    frames[:, healthy.frames[healthy.bins("train")[:length]]] = frames[:, start : start + length]
    movie = replace(healthy.movie, frames=frames)
    return {one: replace(recording, movie=movie) for one, recording in recordings.items()}


silent = healthy.responses.copy()
silent[:, 0] = 0
faults = {
    "all responses one bin late": with_fault(responses=np.roll(healthy.responses, 1, axis=0)),
    "a silent cell": with_fault(responses=silent),
    "responses fade": with_fault(responses=healthy.responses * np.linspace(1, 0.15, len(healthy))[:, None]),
}
if healthy.repeats:
    bins = healthy.repeats[max(healthy.repeats, key=lambda test: healthy.repeats[test].size)]
    late = healthy.responses.copy()
    late[bins] = np.roll(late[bins], 1, axis=1)
    faults["test responses one bin late"] = with_fault(responses=late)
    learned = np.where(np.isin(np.arange(len(healthy)), bins[0]), "train", healthy.split)
    faults["a trial of the test in the training set"] = with_fault(split=learned)
if dataset == "simulated":
    faults["a clip of the test in the training movie"] = copied_clip(healthy.frames[bins[0, 0]], 60)

# %%
found_by, known = {}, {finding.message for finding in audit.problems}
for fault, faulty in faults.items():
    found = [finding for finding in rnb.audit(faulty, seed=seed).problems if finding.message not in known]
    found_by[fault] = sorted({finding.check for finding in found})
    print(fault, *[finding.message for finding in found] or ["not found"], sep="\n  ")

# %% [markdown]
# With few, unreliable or unrelated cells some of them are not found: the audit tells what it can tell for sure. And one
# fault cannot be seen in the data at all: if *all* sessions are late by the same bin, it looks like a longer latency.
# If you know the latency, say so: `rnb.audit(recordings, expected_latency=0.1)`.
#
# ## How reliable is each cell?
#
# The mean over trials is still noisy. Its **reliability** is the part of its variance that would be there again: about
# the square of the best correlation that any model can reach. It is estimated from halves of the trials, with an interval
# from resampling seconds of the test. The simulated retina knows the exact value.

# %%
truth = rnb.load_truth(**dataset_settings) if dataset == "simulated" else None
exact = np.full(len(quality), np.nan)
if truth is not None:
    for one, recording in recordings.items():
        with torch.no_grad():
            rates = truth(torch.from_numpy(recording.stimulus("test"))[None], one)[0]
        exact[quality["session"] == one] = truth.cc_max(rates, one, len(recording.repeats["test"])) ** 2
    plots.show_estimates(
        exact, quality["reliability"], (quality["reliability_low"], quality["reliability_high"]), label="reliability"
    )

# %%
inside = (quality["reliability_low"] <= exact) & (exact <= quality["reliability_high"])
error = (quality["reliability"] - exact).abs().median()
if truth is not None:
    print(f"median error {error:.3f}; {inside.mean():.0%} of the intervals have the exact value")

# %% [markdown]
# With the default parameters the estimate is good, and the intervals are wider than they need be for *this* movie:
# resampling its seconds asks what other seconds might have given. How reliable are the same cells over all that was shown?

# %%
other_movies = np.full(len(quality), np.nan)
if truth is not None:
    for one, recording in recordings.items():
        with torch.no_grad():
            rates = truth(torch.from_numpy(recording.movie.frames)[None], one)[0]
        other_movies[quality["session"] == one] = truth.cc_max(rates, one, len(recording.repeats["test"])) ** 2
    covered = ((quality["reliability_low"] <= other_movies) & (other_movies <= quality["reliability_high"])).mean()
    print(f"median over cells: test {np.median(exact):.3f}, all clips {np.median(other_movies):.3f}")
    print(f"{covered:.0%} of the intervals have the value for all clips")

# %% [markdown]
# Reliability belongs to a cell *and a movie*. A short test that happens to move a cell little makes it look worse than
# it is, and no interval knows what was not shown.
#
# ### Which measure?
#
# The same cells with fewer trials (medians). The quality index of Baden et al. 2016 of pure noise is 1 / trials, so that a
# threshold means another thing for another number of trials. Reliability grows with trials because the mean gets better.
# The signal-to-noise ratio of single trials stays what it is, and so does the explainable variance.

# %%
measures = ("quality_index", "reliability", "signal_to_noise", "explainable_variance_ratio")
n_trials = min((len(bins) for recording in recordings.values() for bins in recording.repeats.values()), default=0)
rows = []
for n in sorted({n for n in (2, 3, 5, n_trials) if 2 <= n <= n_trials}):
    scores = [
        {measure: getattr(metrics, measure)(recording.trials(repeated)[:n]) for measure in measures}
        for recording in recordings.values()
        if repeated in recording.repeats
    ]
    row = {measure: np.median(np.concatenate([score[measure] for score in scores])) for measure in measures}
    if truth is not None:
        single_trial = exact / (1 - exact) / len(first.repeats["test"])
        row |= {"exact reliability": np.median(n * single_trial / (1 + n * single_trial))}
        row |= {"exact signal_to_noise": np.median(single_trial)}
    rows.append({"trials": n, **row})
by_trials = pd.DataFrame(rows)
by_trials.round(3)

# %% [markdown]
# ## Choose cells
#
# Select by what you measured, and keep an account: `rnb.select_neurons` returns what it dropped, and why.

# %%
kept, dropped = rnb.select_neurons(recordings, seed=seed, **(criteria if repeated is not None else {}))
print(f"kept {sum(one.n_neurons for one in kept.values())}, dropped {len(dropped)} neurons")
dropped[[column for column in ("session", "neuron", "type", "reason") if column in dropped]].head(10)

# %% [markdown]
# A threshold is not neutral where some types respond less to this movie than others: they go first. Look at who is left.
# The grey line is the threshold. (The simulated retina deals out noise to all types alike.)

# %%
if repeated is not None:
    kinds = quality["type"] if "type" in quality else pd.Series("cells", index=quality.index)
    measure = next(iter(criteria), "reliability")
    plots.show_by_type(quality[measure], kinds, xlabel=measure.replace("_", " "), reference=criteria.get(measure, 0))

# %% [markdown]
# ## What we learned
#
# - Most faults of recordings leave a trace, and one call looks for it; only a shift that all sessions share does not.
# - Split-half reliability is close to the truth (with the default parameters) for the movie that was shown, and says less
#   about other movies.
# - Thresholds on a quality index depend on the number of trials; explainable variance does not.
# - Every cell that is left out is accounted for.

# %%
results = {
    "dataset": dataset,
    "sessions": len(recordings),
    "neurons": len(quality),
    "findings": audit.to_dataframe()["severity"].value_counts().to_dict(),
    "problems": [str(finding) for finding in audit.problems],
    "latency": float(audit.sessions["latency"].median()),
    "faults_found": found_by,
    "reliability": float(quality["reliability"].median()),
    "reliability_error": float(error),
    "intervals_with_truth": float(inside.mean()) if truth is not None else None,
    "kept": sum(one.n_neurons for one in kept.values()),
    "dropped": len(dropped),
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)
audit.to_dataframe().to_csv(f"{output_dir}/findings.csv", index=False)
dropped.to_csv(f"{output_dir}/dropped.csv", index=False)

# %%
checks = []
if dataset == "simulated" and not dataset_settings:
    checks = [
        ("problems of the healthy recordings", len(audit.problems), "<= 0"),
        ("planted faults that are found", np.mean([bool(found) for found in found_by.values()]), ">= 1"),
        ("latency: error (bins)", abs(results["latency"] - first.neurons["latency"].mean()) * first.rate, "< 0.5"),
        ("reliability: median error", results["reliability_error"], "< 0.02"),
        ("intervals that have the exact value", results["intervals_with_truth"], ">= 0.9"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Real cells: `dataset = "liu_2017"`, `dataset_settings = {"cells": [56, 9, 54, 8], "trials": 20}`. What is their latency?
# - Plant a fault of your own: two sessions swapped, every tenth frame dropped, one cell sorted twice. Is it found?
#
# **Further reading**: Baden et al. 2016 (Nature 529:345) for the quality index; Sahani & Linden 2003 (NIPS) for signal
# power; Schoppe et al. 2016 (Front. Comput. Neurosci. 10:10) for noise ceilings; Cadena et al. 2019 (PLoS Comput. Biol.
# 15:e1006897) for explainable variance.
