# %% [markdown]
# # What does each cell look at?
#
# Every ganglion cell watches a small part of the scene, prefers brighter or darker, and answers after a delay. This is its
# **receptive field**. From a recording it is estimated by averaging what was shown before each spike. A twin can be asked
# directly: how would the response change if this pixel, so long ago, were a bit brighter?
#
# - **What you'll do**: estimate receptive fields in three ways from spikes and from a twin, find what an average misses, and
# measure sizes, latencies and colours.
# - **What you'll learn**: why averages over natural movies mislead, how much data an average needs, and how to find the
# filters of cells that like both polarities.
# - **What you need**: notebook 01 for what a twin is; a minute on two CPU cores.

# %% tags=["parameters"]
twin = "simulated"  # a published twin, or the file of one, that knows the session below
dataset = "simulated"  # one of rnb.datasets(): what the twin was trained on
dataset_settings = {}  # what the dataset's loader takes, e.g. {"seed": 1}
session = ""  # whose cells; the first session's if empty
shown = [0, 2, 4, 11]  # cells in the figures; the last part estimates the covariance for them
lags = 16  # bins of history that estimates from spikes have
noise_minutes = [0.5, 1, 2, 5, 10]  # durations of white noise from which averages are taken
seed = 0  # fixes noise, spikes and operating points
output_dir = "runs/06_receptive_fields"  # where results go

# %%
import time
from dataclasses import replace

import numpy as np
import pandas as pd
from IPython.display import Markdown

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses import receptive_fields as rf
from retina_nb.analyses.descriptions import describe_covariance
from retina_nb.widgets import live

started = time.perf_counter()

# %% [markdown]
# ## The cells

# %%
model = rnb.load_twin(twin)
recordings = rnb.load_recordings(dataset, **dataset_settings)
session = session or next(iter(recordings))
recording = recordings[session]
print(recording.summary())
kinds = np.asarray(recording.neurons.get("type", np.full(recording.n_neurons, "cells")))
truth = rnb.load_truth(**dataset_settings) if dataset == "simulated" else None
cells = truth.neurons(session) if truth else None
linear = ~cells["nonlinear"].to_numpy() if truth else np.full(recording.n_neurons, True)

# %% [markdown]
# ## Three ways to estimate
#
# - The **spike-triggered average** of the recording: the mean stimulus before a spike. Natural movies are correlated, so
#   that neighbouring pixels that the cell ignores come along.
# - The **smooth estimate** from the same spikes: the filter that predicts them best, given that it changes little from
#   pixel to pixel and bin to bin. It divides the correlations out.
# - The **gradient of the twin**: the mean change of the response with each pixel, around moments of the movie
#   (**operating points**).

# %%
points = rf.operating_points(recording, model.lag, stimuli=32, seed=seed)
found = {
    "average": rf.spike_triggered_averages(recording, lags=lags),
    "smooth": rf.smooth_receptive_fields(recording, neurons=shown, lags=lags),
    "twin": rf.receptive_fields(model, points, session=session),
}
fields = {
    "average": found["average"].linear[shown],
    "smooth": found["smooth"].linear,
    "twin": found["twin"].linear[shown],
}
if truth:
    fields["truth"] = truth.receptive_field(session).numpy()[shown]


def strongest(field):
    """(height, width): the channel and lag with the largest weight."""
    channel, lag = np.unravel_index(np.abs(field).max(axis=(2, 3)).argmax(), field.shape[:2])
    return field[channel, lag]


names = [recording.label(neuron).split(", ")[1].replace(": ", "\n") for neuron in shown]
marked = [name if linear[neuron] else f"{name} *" for name, neuron in zip(names, shown, strict=True)]
plots.show_maps(
    {name: {way: strongest(one[row]) for way, one in fields.items()} for row, name in enumerate(marked)}, side=1.6
);

# %%
if truth and not linear[shown].all():
    print(
        "* has no linear filter: its truth is the sum of its subunits before they are rectified. It shows where the cell\n"
        "  looks. For cells that like both polarities, or are silenced by both, its sign means nothing."
    )

# %% [markdown]
# Any cell, bin by bin: choose the cell, and drag how long before its response. Weights are parts of the field's largest.

# %%
in_time = {way: found[way].linear for way in ("average", "twin")}
if truth:
    in_time["truth"] = truth.receptive_field(session).numpy()
by_label = {recording.label(neuron): neuron for neuron in range(recording.n_neurons)}


def field_before(neuron=shown[0], bins_before=3):
    """A cell's field so many bins before its response, from each estimate and in each channel."""
    parts = {way: one[neuron, :, -1 - bins_before] / np.abs(one[neuron]).max() for way, one in in_time.items()}
    channels = recording.movie.channels or [f"channel {n}" for n in range(model.stimulus_shape[0])]
    rows = {name: {way: part[channel] for way, part in parts.items()} for channel, name in enumerate(channels)}
    figure = plots.show_maps(rows, side=1.9, limit=1, label="weight")
    figure.suptitle(f"{recording.label(neuron)}, {1000 * bins_before / recording.rate:.0f} ms before", fontsize=10)
    return figure


live(field_before, neuron=by_label, bins_before=(0, lags - 1))

# %% [markdown]
# The filters in time of the cells of one polarity, each at its own strongest pixel and scaled to a largest weight of 1. An
# average over a movie that changes slowly is wider in time than the filter itself.


# %%
def course(field, bins):
    """(bin,) time course at the strongest pixel, with its largest value at 1 or -1."""
    channel, _, y, x = np.unravel_index(np.abs(field).argmax(), field.shape)
    trace = field[channel, -bins:, y, x]
    return trace / np.abs(trace).max()


of_one = [row for row, neuron in enumerate(shown) if truth is None or cells["polarity"][neuron] != 0]
bins = min(one.shape[2] for one in fields.values())
plots.show_curves(
    {
        name.replace("\n", ": "): {way: course(one[row], bins) for way, one in fields.items()}
        for row, name in enumerate(names)
        if row in of_one or not of_one
    },
    np.arange(1 - bins, 1) / recording.rate,
    ylabel="weight (of the largest)",
);

# %% [markdown]
# Cells that like both polarities are the hard case: brighter and darker cancel in the average. What is left of it is chance
# and correlations; the last part comes back to this. For cells with one linear filter the truth says which estimate is right:

# %%
agreement = {}
if truth:
    chosen = np.flatnonzero(linear)[:6]
    planted = truth.receptive_field(session).numpy()[chosen]
    smooth = rf.smooth_receptive_fields(recording, neurons=chosen, lags=lags)
    for way, one in (("average", found["average"].linear[chosen]), ("smooth", smooth.linear)):
        agreement[way] = float(np.median(rf.cosines(one, planted)))
    agreement["twin"] = float(np.median(rf.cosines(found["twin"].linear[chosen], planted)))
    print("cosine with the true filter, median over linear cells:")
    print(pd.Series(agreement).round(3).to_string())

# %% [markdown]
# ## A gradient is taken somewhere
#
# It is the slope of the response at an **operating point**. Around grey, a cell with a threshold may not respond at all. At
# moments of a movie, cells of both polarities have slopes of either sign, which cancel in the mean. They do not in the
# **sensitivity**, the root mean square of the slopes: where a cell looks, whatever it likes.

# %%
grey = rf.receptive_fields(model, session=session)
plots.show_maps(
    {
        name: {
            "at grey": strongest(grey.linear[neuron]),
            "mean over a movie": strongest(found["twin"].linear[neuron]),
            "sensitivity": found["twin"].sensitivity[neuron],
        }
        for name, neuron in zip(names, shown, strict=True)
    },
    side=1.5,
);

# %%
looks = {}
if truth:
    places = cells[["y", "x"]].to_numpy()
    both = (cells["polarity"] == 0).to_numpy()
    for name, one in {"twin": model, "truth": truth}.items():
        moved = rf.receptive_fields(one, rf.operating_points(recording, one.lag, seed=seed), session=session)
        still = rf.receptive_fields(one, session=session)
        off = np.hypot(*(moved.centers - places).T)
        looks[name] = {
            "cells without a slope at grey": int((~still.linear.any(axis=(1, 2, 3, 4))).sum()),
            "centre of the sensitivity, error (pixels)": float(np.median(off)),
            "the same, cells of both polarities": float(np.median(off[both])),
        }
pd.DataFrame(looks).round(2)

# %% [markdown]
# A cell with a hard threshold has no slope at grey. A twin's nonlinearities are smooth, so that it always has one, which need
# not mean much. The sensitivity also finds where cells of both polarities look.

# %% [markdown]
# ## Is it more than chance?
#
# Any average of anything has a largest pixel. The null hypothesis is that spikes have nothing to do with the stimulus: shift
# them in time against it, by five seconds or more, and average again. A cell's **z** says by how many standard deviations
# its strongest pixel exceeds those of twenty shifts; the grey line is at 3.

# %%
test = rf.significance(recording, lags=lags, seed=seed)
plots.show_by_type(pd.Series(test.z), kinds, xlabel="strongest pixel of the average: z", reference=3);

# %% [markdown]
# ## How much data does an average need?
#
# White noise has no correlations, so that its average is right, if it is long enough. The twin is shown minutes of it. Its
# rates have no noise; real cells fire spikes, which we draw from the rates.

# %%
noise = rf.record_noise(model, duration=60 * max(noise_minutes), session=session, seed=seed)
spikes = np.random.default_rng(seed).poisson(np.maximum(noise.responses, 0)).astype(np.float32)
reference = truth.receptive_field(session).numpy() if truth else found["twin"].linear
few = np.flatnonzero(linear)[:3]  # a smooth estimate takes its time


def median_cosine(linear_fields, neurons):
    return np.median(rf.cosines(linear_fields, reference[neurons]))


rows = {}
for minutes in noise_minutes:
    bins_used = np.arange(len(noise)) < 60 * minutes * noise.rate
    of_rates = replace(noise, split=np.where(bins_used, "train", ""))
    # The last fifth chooses how smooth is best.
    last = bins_used & (np.arange(len(noise)) >= 0.8 * bins_used.sum())
    of_spikes = replace(of_rates, responses=spikes)
    parted = replace(of_spikes, split=np.where(last, "validation", of_rates.split))
    smooth = rf.smooth_receptive_fields(parted, neurons=few, centers=found["twin"].centers, window=9, lags=lags)
    rows[minutes] = {
        "average of rates": median_cosine(rf.spike_triggered_averages(of_rates, lags=lags).linear[linear], linear),
        "average of spikes": median_cosine(rf.spike_triggered_averages(of_spikes, lags=lags).linear[linear], linear),
        "smooth, of spikes": median_cosine(smooth.linear, few),
    }
needed = pd.DataFrame(rows).T
levels = {"twin": agreement["twin"]} if truth else {}
plots.show_data_needed(needed, ylabel="cosine with the " + ("truth" if truth else "gradient"), levels=levels);

# %% [markdown]
# An average in single pixels needs longer than most recordings last: its error falls with the square root of the number
# of spikes. Knowing that fields are smooth is worth a lot: with the default parameters, half a minute of spikes then tells
# more than ten minutes of them averaged. The dashed line is the gradient of the twin, whose core all cells share.

# %% [markdown]
# ## What an average misses
#
# A cell that likes both brighter and darker has no average, but the **variance** of what it saw before its spikes is larger
# along its filters. Spike-triggered **covariance** finds these directions, beyond that of the average. The grey band is what
# spikes shifted in time give; filled dots lie beyond it. Below are the two strongest directions in the bin where they peak.
# (Squares of two by two pixels drive the cells harder than single pixels do.)

# %%
squares = rf.record_noise(model, duration=400, stixel=2, kind="binary", session=session, neurons=shown, seed=seed)
covariance = rf.spike_triggered_covariance(squares, centers=found["twin"].centers[shown], window=7, lags=6, seed=seed)
plots.show_covariance(covariance, names);

# %%
counted = {"twin": covariance}
if truth:
    squares = rf.record_noise(truth, duration=400, stixel=2, kind="binary", session=session, neurons=shown, seed=seed)
    counted["truth"] = rf.spike_triggered_covariance(
        squares, centers=cells[["y", "x"]].to_numpy()[shown], window=7, lags=6, seed=seed
    )
pd.concat(
    {name: one.to_dataframe().drop(columns="session").set_index("neuron") for name, one in counted.items()}, axis=1
).set_index(pd.Index(kinds[shown], name="type"), append=True).round(3)

# %% [markdown]
# A purely linear cell leaves no direction, and neither do subunits that are too alike to be told from chance. Excitatory
# directions are what the average of a cell that likes both polarities misses; suppressive ones silence the cell. Here:

# %%
Markdown("\n".join(f"- {line}" for line in describe_covariance(covariance, [name.replace("\n", ": ") for name in names])))

# %% [markdown]
# ## Sizes, latencies and colours
#
# Each gradient is described by a Gaussian in space, a time course, and the weights of the channels in its centre.
# For cells of both polarities the mean gradient is what their two halves do not share, and is left out.

# %%
described = rf.shapes(found["twin"])
table = described.to_dataframe().assign(type=kinds)
table.groupby("type")[["diameter_um", "time_to_peak", "biphasic", "surround", "separability"]].median().round(3)

# %%
recovered = {}
if truth:
    true_fields = replace(found["twin"], linear=truth.receptive_field(session).numpy(), centers=places)
    planted_shapes = rf.shapes(true_fields)
    one = (cells["polarity"] != 0).to_numpy()
    panels = {
        "diameter (µm)": (planted_shapes.diameter_um, described.diameter_um),
        "time to peak (ms)": (1000 * cells["latency"].to_numpy(), 1000 * described.time_to_peak),
        "weight of the first channel": (planted_shapes.colour[:, 0], described.colour[:, 0]),
    }
    plots.show_recovered({name: (a[one], b[one]) for name, (a, b) in panels.items()}, kinds[one])
    distance = np.hypot(*(found["twin"].centers - places).T)
    late = np.abs(described.time_to_peak - cells["latency"])[one]
    recovered = {
        "center_error_px": float(np.median(distance)),
        "center_within_1px": float((distance <= 1).mean()),
        "latency_within_a_bin": float((late <= 1 / recording.rate).mean()),
        "polarity_right": float((described.polarity == cells["polarity"])[one].mean()),
    }
else:
    plots.show_by_type(table["diameter_um"], kinds, xlabel="diameter (µm)")

# %% [markdown]
# Planted are the diameter and the color of the same description of the true filter, and the latency of the cell's type.
# Dots below the line are found too small, or too early.

# %% [markdown]
# ## What we learned
#
# - Over natural movies the plain average shows the movie as much as the cell; a smooth estimate from the same spikes does
#   much better, and the gradient of a twin better still.
# - Cells of both polarities have no average. Covariance, or the spread of a twin's gradients, says where they look.
# - With the default parameters, centers are within half a pixel of the planted ones (median), latencies within a bin,
#   polarities right.

# %%
path = rnb.write_results(
    output_dir,
    twin=twin,
    dataset=dataset,
    session=session,
    neurons=recording.n_neurons,
    filter_cosine=agreement,
    significant=float((test.p <= 0.05).mean()),
    noise_cosine=needed.to_dict(),
    excitatory=covariance.excitatory.tolist(),
    suppressive=covariance.suppressive.tolist(),
    recovered=recovered,
    seconds=time.perf_counter() - started,
)
table.to_csv(f"{output_dir}/receptive_fields.csv", index=False)

# %%
checks = []
if twin == dataset == "simulated" and not dataset_settings and session == "simulated_1" and shown == [0, 2, 4, 11]:
    checks = [
        ("center of the receptive field: median error (pixels)", recovered["center_error_px"], "<= 0.5"),
        ("centers within a pixel", recovered["center_within_1px"], ">= 0.9"),
        ("latencies within a bin", recovered["latency_within_a_bin"], ">= 0.95"),
        ("right polarities", recovered["polarity_right"], ">= 1"),
        ("cosine with the true filter: gradient of the twin", agreement["twin"], ">= 0.9"),
        ("the same, smooth estimate", agreement["smooth"], "< 0.9"),
        ("smooth estimate more than the plain average", agreement["smooth"] - agreement["average"], "> 0.3"),
        ("excitatory directions of the ON-OFF cell", covariance.excitatory[2], "> 0"),
        ("suppressive directions of the suppressed cell", covariance.suppressive[3], "> 0"),
        ("directions of the linear cell", covariance.excitatory[1] + covariance.suppressive[1], "<= 0"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Look at four ON-OFF cells: `shown = [4, 5, 6, 7]`. On which side of the excitatory directions lie the suppressive ones?
# - Describe the averages instead of the gradients with `rf.shapes(found["average"])`: how much larger do cells seem?
#
# **Further reading**: Chichilnisky 2001 (Network 12:199) for averages in white noise; Schwartz et al. 2006 (J. Vision 6:484) for
# covariance; Sahani & Linden 2003 (NeurIPS) and Theunissen et al. 2001 (Network 12:289) for natural stimuli; Barlow & Levick
# 1965 (J. Physiol. 178:477) for direction selectivity.
