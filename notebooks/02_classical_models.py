# %% [markdown]
# # How far do the classical models get?
#
# Before networks there were models of single cells: a filter and a nonlinearity, spikes that feed back, small rectified
# **subunits** that a cell pools. Each has few parameters, each parameter has a meaning, and each is fitted in seconds.
#
# - **What you'll do**: fit five of them to the same ganglion cells, score them side by side, and compare their insides with
# the truth.
# - **What you'll learn**: which computation each model can and cannot express, what a coupling filter means, and how to
# see subunits in a recording.
# - **What you need**: notebook 01 for scores and ceilings; a minute and a half on two CPU cores.

# %% tags=["parameters"]
dataset = "simulated"  # one of rnb.datasets(); its responses must be spike counts
dataset_settings = {}  # what the dataset's loader takes, e.g. {"seed": 1}
sessions = 1  # how many of its sessions; 0 for all
rank = 3  # products that make up the filters of the second linear-nonlinear model
planted_minutes = 6  # of the recording of a small population with planted couplings
seed = 0  # fixes simulated spikes and bootstrap
output_dir = "runs/02_classical_models"  # where results go

# %%
import time

import numpy as np
import pandas as pd
import torch

import retina_nb as rnb
from retina_nb import plots
from retina_nb.metrics import bits_per_spike
from retina_nb.models.glm import GLM, coupling_significance, fit_glm
from retina_nb.models.linear_nonlinear import LinearNonlinear, fit_linear_nonlinear
from retina_nb.models.spatial_contrast import fit_spatial_contrast
from retina_nb.models.subunit_fits import fit_subunits
from retina_nb.models.subunits import gaussians

started = time.perf_counter()

# %% [markdown]
# ## The cells

# %%
recordings = rnb.load_recordings(dataset, **dataset_settings)
recordings = dict(list(recordings.items())[: sessions or None])
session, first = next(iter(recordings.items()))
print(*[recording.summary() for recording in recordings.values()], sep="\n")
truth = rnb.load_truth(**dataset_settings) if dataset == "simulated" else None
models, seconds = {}, {}


def fit(name, how, **options):
    """Fit a model to all sessions, and keep it with the time it took."""
    start = time.perf_counter()
    models[name] = how(recordings, **options)
    seconds[name] = time.perf_counter() - start


# %% [markdown]
# ## A filter and a nonlinearity
#
# The linear-nonlinear model passes the stimulus through one space-time filter and bends the result. Filters differ in how
# free they are: one product of a map and a course in time (rank 1), a sum of a few products, or anything. The freer, the
# more data they need. All are fitted by penalised likelihood; the validation bins choose how strong the penalty is.

# %%
fit("linear-nonlinear", fit_linear_nonlinear)
fit(f"LN rank {rank}", fit_linear_nonlinear, rank=rank)
fit("LN full", fit_linear_nonlinear, rank=None)


# %% [markdown]
# An exponential instead of a softplus gives the LNP model of Paninski (2004), which is convex: there is one best fit.

# %%
fit("LNP exp", fit_linear_nonlinear, nonlinearity="exp")

# %% [markdown]
# What the filters look like, in the bin in which they are strongest. The truth is the sum of all subunits before they are
# rectified. (A cell that rectifies both polarities alike, such as an ON-OFF cell, has no linear filter to be found.)

# %%
shown = [0, 1, 4] if first.n_neurons > 4 else [0]


def strongest_bin(filters):
    """(height, width): the bin and channel with the largest weight."""
    channel, bin_ = np.unravel_index(np.abs(filters).max(axis=(2, 3)).argmax(), filters.shape[:2])
    return filters[channel, bin_]


rows = {}
for neuron in shown:
    maps = {"truth": truth.receptive_field(session)[neuron].numpy()} if truth else {}
    for name in ("linear-nonlinear", f"LN rank {rank}", "LN full", "LNP exp"):
        maps[name] = models[name][session].filters[neuron].detach().numpy()
    rows[first.label(neuron).replace(": ", "\n")] = {name: strongest_bin(one) for name, one in maps.items()}
plots.show_maps(rows);

# %%
filter_cosine = {}
if truth:
    for name in ("linear-nonlinear", f"LN rank {rank}", "LN full", "LNP exp"):
        cosines = []
        for one, recording in recordings.items():
            planted = truth.receptive_field(one).flatten(1)
            bins = truth.receptive_field(one).shape[2]
            found = models[name][one].filters.detach()[:, :, -bins:].flatten(1)
            linear = ~recording.neurons["nonlinear"]
            cosines.append(torch.cosine_similarity(planted, found)[linear])
        filter_cosine[name] = float(torch.cat(cosines).median())
    print("cosine with the true filter, median over linear cells:")
    print(pd.Series(filter_cosine).round(3).to_string())

# %% [markdown]
# ## Spikes that feed back
#
# The generalised linear model adds filters of past spikes: a neuron's own (its **history**: refractoriness, bursts) and
# those of its neighbours (**coupling**). Predictions for a new stimulus are averages over simulated spike trains.

# %%
fit("GLM", fit_glm)

# %% [markdown]
# First the case in which we know that there is something to find: six neurons that see white noise, refractory, some of
# which excite or inhibit each other. Is every planted coupling found, with its sign, and nothing else?

# %%
neurons, after = 6, np.exp(-np.arange(9)[::-1] / 1.5)  # a spike's effect, in order of time: strongest in the next bin
random = np.random.default_rng(seed)
coupling = np.zeros((neurons, neurons, 9), np.float32)
coupling[range(neurons), range(neurons)] = -2 * after
pairs = random.permutation([(a, b) for a in range(neurons) for b in range(neurons) if a != b])[:10]
for number, (neuron, source) in enumerate(pairs):
    coupling[neuron, source] = (0.8, -1.0)[number % 2] * after
y, x, course = *np.indices((9, 11)), np.exp(-((np.arange(8) - 5) ** 2) / 2)
spatial = [np.exp(-((y - random.uniform(2, 6)) ** 2 + (x - random.uniform(2, 8)) ** 2) / 3) for _ in range(neurons)]
spatial = torch.tensor(np.array(spatial)[:, None, None], dtype=torch.float32) / 3
temporal = torch.tensor(course, dtype=torch.float32).expand(neurons, 1, -1) / 2
ones = torch.ones(neurons)
planted = GLM(
    LinearNonlinear(temporal, spatial, -0.5 * ones, 0.8 * ones, 0 * ones), torch.from_numpy(coupling), 20 * ones
)
length = int(planted_minutes * 60 * 30)
movie = rnb.Movie(random.standard_normal((1, length + planted.lag, 9, 11)).astype(np.float32))
spikes = planted.simulate(torch.from_numpy(movie.frames), seed=seed)[0].numpy()
spikes = np.concatenate([np.zeros((planted.lag, neurons)), spikes])
split = np.where(np.arange(len(spikes)) % 900 < 750, "train", "validation")
population = rnb.Recording("population", movie, spikes, rate=30.0, split=split, pixel_um=50.0)
recovered = fit_glm({"population": population}, history=0.3)["population"]
significance = coupling_significance(recovered, population)

# %%
sums = coupling.sum(axis=2)
plots.show_maps(
    {"": {"planted: sum of the filter, scaled": 4 * sums, "found: sum / standard error": significance}},
    side=3,
    limit=12,
    label="standard errors",
    axes_names=("neuron", "source"),
);

# %%
panels = {
    f"neuron {n}": {"planted": coupling[n, n], "GLM": recovered.coupling[n, n].detach().numpy()} for n in range(3)
}
plots.show_curves(
    {title: {name: curve[::-1] for name, curve in curves.items()} for title, curves in panels.items()},
    np.arange(1, 10) / 30,
    ylabel="effect of an own\nspike on the drive",
);

# %%
others = ~np.eye(neurons, dtype=bool)
coupled = others & (sums != 0)
signs_found = float(np.mean(np.sign(sums[coupled]) * significance[coupled] > 3))
false_alarms = int((np.abs(significance[others & ~coupled]) > 3.5).sum())
history_correlation = [
    np.corrcoef(coupling[n, n], recovered.coupling[n, n].detach().numpy())[0, 1] for n in range(neurons)
]
print(f"planted couplings found with their sign: {signs_found:.0%}, false alarms: {false_alarms}")
print(f"correlation of planted and found history: {np.median(history_correlation):.3f}")

# %% [markdown]
# Now the recording. The simulated ganglion cells are not coupled at all: given the stimulus, their spikes are independent.
# For cells that a linear filter describes, the GLM says so. For the others it finds couplings nevertheless: wherever
# the filter misses what the stimulus does, spikes tell of it, and the GLM takes them. **A coupling filter means a
# connection only if the stimulus part is right.**

# %%
strengths = []
for one, recording in recordings.items():
    found = coupling_significance(models["GLM"][one], recording)
    kinds = recording.neurons.get("type", np.full(recording.n_neurons, "cells"))
    for neuron, row in enumerate(found if len(found) > 1 else []):
        strengths.append({"type": kinds[neuron], "spread": np.delete(row, neuron).std()})
        if "nonlinear" in recording.neurons:
            strengths[-1]["nonlinear"] = bool(recording.neurons["nonlinear"][neuron])
strengths = pd.DataFrame(strengths)
if len(strengths):
    label = "standard deviation over sources of coupling / standard error (1: chance)"
    plots.show_by_type(strengths["spread"], strengths["type"], xlabel=label, reference=1)

# %%
coupling_spread = {}
if "nonlinear" in strengths:
    coupling_spread = strengths.groupby("nonlinear")["spread"].median().rename({True: "nonlinear", False: "linear"})
    coupling_spread = coupling_spread.to_dict()
    print("no coupling exists; spread of what is found (1: chance):")
    print(pd.Series(coupling_spread).round(2).to_string())

# %% [markdown]
# Given the spikes that were recorded before each bin (teacher-forced), the GLM predicts single trials far better than from
# the stimulus alone. That is no proof of feedback either: in the simulated retina, the past only tells what the filter misses.
# Bits per spike, median over cells:

# %%
single_trial = {}
for name in ("linear-nonlinear", "GLM", "GLM, spikes known"):
    bits = []
    for one, recording in recordings.items():
        model, stimulus = models[name.split(",")[0]][one], torch.from_numpy(recording.stimulus("test"))[None]
        trials = torch.from_numpy(recording.trials())
        with torch.no_grad():
            if name.endswith("known"):
                rates = torch.cat([model(stimulus, spikes=trial[None]) for trial in trials])
            else:
                rates = model(stimulus).expand(len(trials), -1, -1)
        counts = trials[:, model.lag :]
        # Trials one after the other, each with its own prediction.
        bits.append(bits_per_spike(counts.flatten(0, 1)[None].numpy(), rates.flatten(0, 1).numpy()))
    single_trial[name] = float(np.median(np.concatenate(bits)))
print(pd.Series(single_trial).round(3).to_string())

# %% [markdown]
# ## Contrast in the receptive field
#
# A cell with rectified subunits responds to a fine pattern that averages to grey. The spatial contrast model adds one
# number for that: the weight of the standard deviation of what the receptive field holds, beside its mean.

# %%
fit("spatial contrast", fit_spatial_contrast)
weights = pd.concat(
    [
        pd.DataFrame(recording.neurons).assign(weight=models["spatial contrast"][one].weight.detach().numpy())
        for one, recording in recordings.items()
    ],
    ignore_index=True,
)
kinds = weights.get("type", pd.Series("cells", index=weights.index))
one_polarity = weights["polarity"] != 0 if "polarity" in weights else pd.Series(True, index=weights.index)
plots.show_by_type(weights["weight"][one_polarity], kinds[one_polarity], xlabel="weight of spatial contrast");

# %% [markdown]
# Left out are cells of both polarities: their average stimulus is nothing, so that the model does not know where to look.

# %% [markdown]
# ## Subunits
#
# The subunit model has the rectified parts themselves: one round filter, repeated all over the receptive field, rectified
# and pooled with weights that are not negative. It may respond to both polarities, and subunits may silence the cell.

# %%
fit("subunits", fit_subunits)

# %% [markdown]
# The pool is where the cell's subunits are. Single subunits of the simulated retina cannot be told apart: they are closer to
# each other than two pixels. (The library's tests find each of seven on finer pixels.)

# %%
size = first.movie.frame_shape[1:]


def pool_map(places, weights, spread):
    """(height, width): subunits as Gaussians, as bright as they weigh."""
    places = torch.tensor(np.asarray(places), dtype=torch.float32)
    bumps = gaussians(places, torch.tensor([spread], dtype=torch.float32), size)[:, 0].numpy()
    return np.einsum("s,shw->hw", weights, bumps)


pools, pool_correlation = {}, []
spread_px = 40 / first.pixel_um if np.isfinite(first.pixel_um) else 1.0
for one, recording in recordings.items():
    model = models["subunits"][one]
    subunits = truth.subunits(one) if truth else None
    for neuron in range(recording.n_neurons):
        units = subunits[subunits["neuron"] == neuron] if truth else []
        if truth and not len(units):
            continue
        spread = units["spread"].iloc[0] if truth else spread_px
        maps = {"truth": pool_map(units[["y", "x"]].to_numpy(), units["weight"].to_numpy(), spread)} if truth else {}
        maps["subunits"] = pool_map(model.subunit_places[neuron], model.pooling[neuron].detach().numpy(), spread)
        pools[recording.label(neuron).replace(": ", "\n")] = maps
        if truth:
            pool_correlation.append(np.corrcoef(maps["truth"].ravel(), maps["subunits"].ravel())[0, 1])
shown_pools = list(pools)[:: max(1, len(pools) // 5)][:5]
plots.show_maps(
    {name: {label.split("\n")[-1]: pools[label][name] for label in shown_pools} for name in pools[shown_pools[0]]}
);

# %%
if truth:
    print(f"correlation of true and found pool: median {np.median(pool_correlation):.3f}, least {min(pool_correlation):.3f}")

# %% [markdown]
# How much the subunits respond to the opposite of what they like: ON and OFF cells should not, ON-OFF cells as much.

# %%
other = np.concatenate([models["subunits"][one].other_polarity.detach().numpy() for one in recordings])
plots.show_by_type(pd.Series(other), kinds, xlabel="response to the opposite polarity (1: as much)", reference=1);

# %% [markdown]
# ## Side by side
#
# CC$_{norm}$ of every model on the same cells, with 95 % intervals by bootstrap over cells, and how much each gains over
# the plain linear-nonlinear model, cell by cell.

# %%
tables = {name: rnb.evaluate(model, recordings, baseline=None, seed=seed) for name, model in models.items()}
cc_norm = pd.DataFrame({name: table["cc_norm"] for name, table in tables.items()})
bits = pd.DataFrame({name: table["bits_per_spike"] for name, table in tables.items()})
comparison = rnb.compare_all_models(cc_norm, seed=seed)
comparison["bits_per_spike"], comparison["seconds"] = bits.median(), pd.Series(seconds)
comparison.round(3)

# %% [markdown]
# Who wins depends on what a cell computes. The frame marks the best model of each type.

# %% tags=["thumbnail"]
plots.show_medians(cc_norm, kinds, label="median CCnorm");

# %% [markdown]
# Three cells: one that gains much from subunits, one in the middle, and the one that gains least. Their titles have
# CC$_{norm}$ of the linear-nonlinear, the spatial contrast and the subunit model.

# %%
gains = (cc_norm["subunits"] - cc_norm["linear-nonlinear"]).dropna().sort_values(ascending=False)
panels = []
for index in gains.index[[int(quantile * (len(gains) - 1)) for quantile in (0.3, 0.6, 1)]]:
    one, neuron = tables["subunits"].loc[index, ["session", "neuron"]]
    recording = recordings[one]
    names = ("linear-nonlinear", "spatial contrast", "subunits")
    traces = {name: rnb.predict(models[name], recording.stimulus("test"), one)[:, neuron] for name in names}
    title = f"{recording.label(neuron)}: " + ", ".join(f"{cc_norm.loc[index, name]:.2f}" for name in names)
    panels.append(plots.Prediction(title, recording.trials()[:, :, neuron], traces))
plots.show_predictions(panels, first.rate);

# %% [markdown]
# ## What we learned
#
# - For linear cells the plain model is all there is: nothing beats it, and its filter is the true one.
# - More freedom in the filter does not help a cell that is not linear; it costs data instead.
# - What helps is the right computation. Subunits take most nonlinear cells close to the ceiling, direction-selective
#   ones less: no model here has inhibition that comes from one side.
# - Couplings can be read only where the stimulus part is right.
#
# These are results with the default parameters. The table below checks them.

# %%
results = {
    "dataset": dataset,
    "neurons": len(cc_norm),
    "cc_norm": comparison["median"].to_dict(),
    "cc_norm_interval": {name: [row.low, row.high] for name, row in comparison.iterrows()},
    "gain_over_linear_nonlinear": comparison["gain"].to_dict(),
    "bits_per_spike": comparison["bits_per_spike"].to_dict(),
    "fit_seconds": seconds,
    "filter_cosine": filter_cosine,
    "planted_signs_found": signs_found,
    "planted_false_alarms": false_alarms,
    "planted_history_correlation": float(np.median(history_correlation)),
    "coupling_spread": coupling_spread,
    "single_trial_bits_per_spike": single_trial,
    "contrast_weight": weights["weight"].groupby(kinds).median().to_dict(),
    "pool_correlation": float(np.median(pool_correlation)) if truth else None,
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)
cc_norm.assign(type=kinds).to_csv(f"{output_dir}/cc_norm.csv", index=False)

# %%
checks = []
if dataset == "simulated" and not dataset_settings and sessions == 1 and rank == 3 and planted_minutes >= 6:
    linear = ~weights["nonlinear"]
    rectified = weights["nonlinear"] & one_polarity & (kinds != "suppressed by contrast")
    checks = [
        ("linear cells: cosine with the true filter", filter_cosine["linear-nonlinear"], ">= 0.93"),
        ("planted couplings found with their sign", signs_found, ">= 0.9"),
        ("false couplings", false_alarms, "<= 1"),
        ("correlation with the planted history", results["planted_history_correlation"], ">= 0.95"),
        ("spread of false couplings, linear cells (1: chance)", coupling_spread["linear"], "< 1.2"),
        ("the same, nonlinear cells", coupling_spread["nonlinear"], "> 1.2"),
        ("bits per spike gained by knowing the spikes", single_trial["GLM, spikes known"] - single_trial["GLM"], "> 0.1"),
        ("least weight of contrast, rectified cells", weights["weight"][rectified].min(), "> 0.7"),
        ("largest weight of contrast, linear cells", weights["weight"][linear].abs().max(), "< 0.4"),
        ("correlation of true and found pool of subunits", np.median(pool_correlation), ">= 0.95"),
        ("median CC_norm: linear-nonlinear", results["cc_norm"]["linear-nonlinear"], "< 0.88"),
        ("median CC_norm: subunits", results["cc_norm"]["subunits"], "> 0.93"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Half the data: `dataset_settings = {"clips": 38}`. Which models suffer, which do not?
# - Pillow's GLM has an exponential: fit it with `fit_glm(recordings, nonlinearity="exp")` and score it. What do simulated
#   spike trains do?
# - Fit real cells: `dataset = "liu_2017"` (its cells have windows of their own, a session each). Do they have subunits?
#
# **Further reading**: Paninski 2004 (Network 15:243) for LNP; Pillow et al. 2008 (Nature 454:995) for coupled GLMs; Liu,
# Karamanlis & Gollisch 2022 (PLoS Comput. Biol. 18:e1009925) for spatial contrast; McFarland, Cui & Butts 2013 (PLoS
# Comput. Biol. 9:e1003143) for rectified subunits.
