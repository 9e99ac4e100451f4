# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What does each cell look at?
#
# A **receptive field** says where, when and with which sign light moves a cell's response. From a recording it is estimated
# by reverse correlation, which needs much data and, for an unbiased answer, a stimulus that is dull to look at. From a twin
# it is simply computed: the gradient of a response with respect to the stimulus. For the simulated retina both can be held
# against the field that was planted.
#
# **What you'll do**: estimate the fields of a session's cells in four ways, ask how many minutes an average needs, look for
# what averages miss, and describe fields by size, latency and colour.
# **What you'll learn**: why a plain average over natural movies is blurred, what a smoothness prior buys, when a cell has no
# linear field at all, and how covariance finds one anyway.
# **What you need**: notebook 01 for what a twin is; about a minute on two CPU cores.

# %% tags=["parameters"]
session = "simulated_1"  # whose cells
minutes = [0.5, 1, 2, 4, 8]  # lengths of noise from which averages are made
noise_seconds = 400  # noise for the covariance
seed = 0  # fixes noise, spikes and operating points
output_dir = "runs/06_receptive_fields"  # where results go

# %%
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses.receptive_fields import (
    cosines,
    operating_points,
    receptive_fields,
    record_noise,
    shapes,
    significance,
    smooth_receptive_fields,
    spike_triggered_averages,
    spike_triggered_covariance,
)

started = time.perf_counter()
lags = 16  # bins of history, half a second

# %%
model = rnb.load_twin("simulated")
truth = rnb.load_truth()
recording = rnb.load_recordings("simulated")[session]
cells = truth.neurons(session)
kinds = cells["type"].to_numpy()
linear, two_sided = ~cells["nonlinear"].to_numpy(), (cells["polarity"] == 0).to_numpy()
places = cells[["y", "x"]].to_numpy()
print(recording)
print(f"{linear.sum()} linear cells, {two_sided.sum()} that respond to both polarities")

# %% [markdown]
# ## Four estimates
#
# - **gradient of the twin**: averaged over moments of the movie that the cells saw, the operating points;
# - **average**: the mean stimulus before a spike (STA), from the recorded movie;
# - **smooth estimate**: the filter that predicts the recorded response best, given that it is smooth (Sahani & Linden 2003);
# - **planted**: the truth's own filter, for cells with rectified subunits that of all subunits together.


# %%
def pick(fields, rows):
    """The fields of some neurons."""
    return replace(
        fields,
        linear=fields.linear[rows],
        sensitivity=fields.sensitivity[rows],
        centers=fields.centers[rows],
        neurons=fields.neurons.iloc[rows].reset_index(drop=True),
    )


points = operating_points(recording, model.lag, seed=seed)
gradient = receptive_fields(model, points, session=session)
average = spike_triggered_averages(recording, lags=lags)
planted = replace(average, linear=truth.receptive_field(session).numpy(), centers=places)

examples = ["ON sustained", "OFF sustained", "colour opponent", "OFF transient", "ON alpha", "ON-OFF DS up"]
shown = [int(np.flatnonzero(kinds == kind)[0]) for kind in examples if kind in kinds]
estimated = np.array(sorted({*np.flatnonzero(linear), *shown}))
smooth = smooth_receptive_fields(recording, neurons=estimated, centers=gradient.centers, lags=lags)

# %%
estimates = {
    "planted": pick(planted, estimated),
    "gradient of the twin": pick(gradient, estimated),
    "smooth estimate": smooth,
    "average": pick(average, estimated),
}
agreement = {name: cosines(fields.linear, planted.linear[estimated]) for name, fields in estimates.items()}
columns = [int(np.flatnonzero(estimated == neuron)[0]) for neuron in shown]
plots.show_receptive_fields(
    estimates, columns, kinds[shown], {name: agreement[name] for name in list(agreement) if name != "planted"}
)
# %% [markdown]
# Below each map: the cosine with the planted filter, over all pixels, bins and channels. The average over a natural movie
# is blurred, because neighbouring pixels and successive frames of the movie are alike. The smooth estimate divides these
# correlations out. The gradient of the twin is better still: it has learned from all cells of all sessions at once.
#
# The direction-selective cell has no field worth the name. Its planted filter is that of its ON part; the OFF part
# undoes it in every average.

# %%
one_sided = {"linear": linear[estimated], "rectified subunits": ~linear[estimated] & ~two_sided[estimated]}
one_sided |= {"both polarities": two_sided[estimated]}
medians = pd.DataFrame(
    {
        name: {kind: np.median(values[which]) for kind, which in one_sided.items() if which.any()}
        for name, values in agreement.items()
    }
).drop(columns="planted")
medians.round(2)

# %% [markdown]
# ## A gradient is taken somewhere
#
# The gradient is the slope of the response *at an operating point*. At grey, a cell with a threshold may not respond at all,
# and the truth's slope is exactly zero: the field is silent, not absent. A twin has softer corners and always has a slope,
# which may mean little. At moments of a movie, cells that respond to both polarities have slopes of either sign, which cancel
# in the mean, but not in the **sensitivity**, their root mean square: this is where a cell looks, whatever it likes.

# %%
slopes = {}
for name, one in (("twin", model), ("truth", truth)):
    at_points = (
        gradient
        if name == "twin"
        else receptive_fields(one, operating_points(recording, one.lag, seed=seed), session=session)
    )
    at_grey = receptive_fields(one, session=session)
    distance = np.hypot(*(at_points.centers - places).T)
    slopes[name] = {
        "cells without slope at grey": int((~at_grey.linear.any(axis=(1, 2, 3, 4))).sum()),
        "centre of the sensitivity, median error (pixels)": float(np.median(distance)),
        "the same, cells of both polarities": float(np.median(distance[two_sided])) if two_sided.any() else np.nan,
        "centres within one pixel": float(np.mean(distance <= 1)),
    }
pd.DataFrame(slopes).round(2)

# %% [markdown]
# ## How many minutes does an average need?
#
# The classical experiment: white noise (pixels of 100 µm that change in every frame) and the spikes of the true cells. An
# average is **significant** if its strongest pixel beats those of spikes that are shifted in time against the stimulus, here
# all 19 of them (p = 0.05).

# %%
noise = record_noise(truth, session=session, duration=60 * (max(minutes) + 1), stixel=2, seed=seed)
spikes = truth.respond(torch.from_numpy(noise.responses), session, torch.Generator().manual_seed(seed)).numpy()
held_out = np.arange(len(spikes)) >= len(spikes) - 60 * noise.rate
few = np.flatnonzero(linear)[:4]
found = {"average": [], "smooth estimate": []}
seen = {"one polarity": [], "both polarities": []}
for length in minutes:
    split = np.where(held_out, "validation", np.where(np.arange(len(spikes)) < 60 * length * noise.rate, "train", ""))
    part = replace(noise, responses=spikes, split=split)
    smoothed = smooth_receptive_fields(part, neurons=few, centers=gradient.centers, lags=lags)
    for name, fields in (
        ("average", pick(spike_triggered_averages(part, lags=lags), few)),
        ("smooth estimate", smoothed),
    ):
        found[name].append(float(np.median(cosines(fields.linear, planted.linear[few]))))
    p = significance(part, lags=lags, shuffles=19, seed=seed).p
    for name, which in (("one polarity", ~two_sided), ("both polarities", two_sided)):
        seen[name].append(float(np.mean(p[which] <= 0.05)))
panels = {"cosine with the planted filter": found, "part of cells with a significant average": seen}
plots.show_data_needed(
    minutes,
    panels,
    {"average": plots.style.RECORDED, "smooth estimate": plots.style.BASELINE}
    | {"one polarity": plots.style.TWIN, "both polarities": "#D55E00"},
)
# %% [markdown]
# A smoothness prior is worth several times the recording time. And no length of recording gives the cells of both
# polarities an average: of these as many are "significant" as chance allows, 1 in 20 or a little more.
#
# ## What an average misses
#
# If bright and dark both drive a cell, the *mean* stimulus before a spike is grey. But its *variance* along the cell's filter
# is large. **Spike-triggered covariance** looks for directions of the stimulus along which spikes change the variance:
# above 0 they are excitatory, below 0 the cell is silenced by either sign. The twin is shown noise; grey is what responses
# that are shifted in time make of it.

# %%
asked = ["ON sustained", "ON-OFF DS up", "ON-OFF DS left", "suppressed by contrast"]
asked = [int(np.flatnonzero(kinds == kind)[0]) for kind in asked if kind in kinds]
covariances = {}
for name, one in (("twin", model), ("truth", truth)):
    answers = record_noise(
        one, session=session, neurons=asked, duration=noise_seconds, stixel=2, kind="binary", seed=seed
    )
    covariances[name] = spike_triggered_covariance(answers, centers=places[asked], seed=seed)
    if name == "twin":
        noise_average = spike_triggered_averages(answers, lags=8)
plots.show_covariance(covariances["twin"], kinds[asked], noise_average)
# %% [markdown]
# The strongest directions of each cell; a star marks those beyond chance. For the linear cell there is none: its average has said
# all. The direction-selective cells have an excitatory direction in space and time that the average does not show, and
# the cell suppressed by contrast has several that silence it, one for each group of its subunits.

# %%
counts = pd.concat(
    {
        name: one.to_dataframe().assign(type=kinds[asked]).set_index("type")[["excitatory", "suppressive", "strongest"]]
        for name, one in covariances.items()
    },
    axis=1,
)
counts.round(2)

# %% [markdown]
# ## Sizes, latencies, colours
#
# A field is described by a few numbers: time to peak, polarity, the diameter of a Gaussian fitted to its centre, the weight of
# the opposite lobe in time (biphasic) and of the opposite sign in space (surround), and the weights of the colours. Here
# for the twin's gradients, cell by cell; green lines: what was planted, measured in the same way on the planted filters.

# %%
described, true_shapes = shapes(gradient), shapes(planted)


def numbers(one):
    return pd.DataFrame(
        {
            "time to peak (ms)": 1000 * one.time_to_peak,
            "diameter (µm)": one.diameter_um,
            "biphasic index": one.biphasic,
            "surround": one.surround,
            "weight of green": one.colour[:, 0],
        }
    )


groups = np.array([kind[:9] if kind.startswith("ON-OFF") else kind for kind in kinds])
plain = np.flatnonzero(~two_sided)
by_type = [numbers(one).iloc[plain].reset_index(drop=True) for one in (described, true_shapes)]
plots.show_indices(by_type[0], groups[plain], by_type[1])
# %% [markdown]
# Latency, size and colour of the centre are those of the truth. Cells that respond to both polarities are left out: they have no
# single field to describe, see notebook 09 for what they prefer and notebook 07 for their most exciting inputs.
#
# ## What we learned
#
# - Natural movies blur a plain average; a smoothness prior, fitted by held-out prediction, undoes most of it.
# - A twin's gradient is the best estimate of a linear cell's field, and costs milliseconds, but it belongs to an operating point.
# - No average is no proof that a cell is blind to the stimulus: look at the covariance, or at the sensitivity.
#
# The numbers, and the check against the truth on the default:

# %%
late = np.abs(described.time_to_peak - cells["latency"])[~two_sided]
results = {
    "session": session,
    "neurons": len(cells),
    "cosine": {
        name: float(np.median(values[linear[estimated]])) for name, values in agreement.items() if name != "planted"
    },
    "center_error_pixels": slopes["twin"]["centre of the sensitivity, median error (pixels)"],
    "centers_within_1px": slopes["twin"]["centres within one pixel"],
    "latency_within_a_bin": float(np.mean(late <= 1 / recording.rate)),
    "polarity_right": float(np.mean((described.polarity == cells["polarity"])[~two_sided])),
    "size_error": float(np.median(np.abs(described.diameter_um / true_shapes.diameter_um - 1)[linear])),
    "minutes": minutes,
    "cosine_by_minutes": found,
    "significant_by_minutes": seen,
    "covariance": {
        name: one.to_dataframe().assign(type=kinds[asked])[["type", "excitatory", "suppressive"]].to_dict("records")
        for name, one in covariances.items()
    },
    "seconds": time.perf_counter() - started,
}
print(rnb.write_results(output_dir, **results).read_text())
described.to_dataframe().assign(type=kinds).to_csv(f"{output_dir}/shapes.csv", index=False)

# %%
if session == "simulated_1" and max(minutes) >= 8 and noise_seconds >= 400:
    assert results["center_error_pixels"] <= 0.5
    assert results["centers_within_1px"] >= 0.9
    assert results["latency_within_a_bin"] >= 0.9
    assert results["polarity_right"] >= 0.95
    assert results["size_error"] <= 0.15
    cosine = results["cosine"]
    assert cosine["gradient of the twin"] >= 0.9
    assert cosine["smooth estimate"] >= 0.75
    assert cosine["average"] < cosine["smooth estimate"] - 0.2
    for directions in results["covariance"].values():
        directions = {row["type"]: row for row in directions}
        assert directions["ON sustained"]["excitatory"] == directions["ON sustained"]["suppressive"] == 0
        assert directions["ON-OFF DS up"]["excitatory"] >= 1
        assert directions["ON-OFF DS left"]["excitatory"] >= 1
        assert directions["suppressed by contrast"]["suppressive"] >= 1

# %% [markdown]
# ## On your own
#
# - Make the noise coarser or finer (`stixel=`): which pixels give the first significant average, which the best one?
# - Take the gradient at moments of high contrast only. Does the surround get stronger? Does the time course get faster?
#
# **Further reading**: Chichilnisky 2001 (Network 12:199) for averages under white noise; Sahani & Linden 2003 (NeurIPS 15) for
# smooth estimates; de Ruyter van Steveninck & Bialek 1988 (Proc. R. Soc. B 234:379) and Schwartz, Pillow, Rust & Simoncelli 2006
# (J. Vision 6:484) for covariance; Huang et al. 2021 (RFEst, bioRxiv) for an overview of regularised estimates.
