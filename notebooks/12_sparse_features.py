# %% [markdown]
# # What has the twin learned inside?
#
# A twin predicts ganglion cells, but between stimulus and response it has a core whose channels nobody designed. Are they
# anything that a physiologist would recognize? Here the twin is opened in three ways: **attribution** of responses to pixels
# and channels, hidden units that resemble **interneurons**, and **sparse features** of the core.
#
# - **What you'll do**: split responses into what each pixel and each channel contributed, look for the true retina's
# subunits among hidden units, and take the core apart with a sparse autoencoder.
# - **What you'll learn**: what attribution can promise, why hidden units resemble cells that no model was fitted to, and how
# few features at a time are enough.
# - **What you need**: notebook 01 for what a twin is; a minute on two CPU cores.

# %% tags=["parameters"]
dataset = "simulated"  # recordings, whose movie is shown to the twin
twin = "simulated"  # a twin's name or file; the default was trained on the default dataset
session = ""  # whose neurons; the first if empty
neurons = [2, 3, 4, 8]  # the ones that are drawn
bins = 3000  # of the movie that the features are found on
features = 32  # how many
top_k = 4  # at most so many in one place and bin
steps = 1500  # of the autoencoder's training
seed = 0  # fixes the autoencoder and the choice of subunits
output_dir = "runs/12_sparse_features"  # where results go

# %%
import time

import numpy as np
import pandas as pd
import torch

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses import (
    conductance,
    feature_clips,
    find_features,
    integrated_gradients,
    match_units,
    score_with_features,
    tell_types,
)
from retina_nb.widgets import live

started = time.perf_counter()
recordings = rnb.load_recordings(dataset)
session = session or next(iter(recordings))
recording = recordings[session]
model = rnb.load_twin(twin)
truth = rnb.load_truth() if dataset == "simulated" else None
neurons = [neuron for neuron in neurons if neuron < recording.n_neurons]
titles = [recording.label(neuron).replace(": ", "\n") for neuron in neurons]

# %% [markdown]
# ## Which pixels make the response? Attribution
#
# A bright bar crosses a grey screen. **Integrated gradients** split the change of a response, from a grey screen to the bar,
# among all pixels and bins: they follow the gradient on the straight path from grey to the bar. Their promise is that the
# parts add up to the whole.

# %%
channels, height, width = model.stimulus_shape
bar = np.zeros((channels, model.lag + 25, height, width), dtype=np.float32)
for bin_ in range(25):
    left = int(-3 + (width + 3) * bin_ / 25)
    bar[:, model.lag + bin_, :, max(left, 0) : max(left + 3, 0)] = 1.5
last = model.lag + 18
pixels = integrated_gradients(model, bar, window=(last - 1, last + 1), session=session)
plots.show_attribution(bar, pixels, neurons, titles, list(range(last - 12, last + 1, 2)), recording.rate);

# %% [markdown]
# Beside each row is how the rate changes from grey to bar (events per second). Red pixels raised it, blue ones lowered it. An ON cell owes
# its rise, and an OFF cell its fall, to where the bar was about a hundred milliseconds ago, in the receptive field.

# %%
of_pixels = pixels.to_dataframe().loc[neurons].set_index(["session", "neuron"]) * recording.rate
print("events per second, and by how many the sum of all parts misses the change:")
print(of_pixels.round(4).to_string())
pixel_error = float(np.abs(pixels.error).max() / np.abs(pixels.response - pixels.baseline).max())

# %% [markdown]
# Drag the moment of the response: which earlier position of the bar caused it?

# %%
by_label = {recording.label(neuron): neuron for neuron in range(recording.n_neurons)}


def owed_to(neuron=neurons[0], bins_after=18):
    """What a cell's response is owed to, so many bins after the bar set out."""
    now = model.lag + bins_after
    owed = integrated_gradients(model, bar, window=(now, now + 1), session=session, neurons=neuron)
    label = recording.label(neuron).replace(": ", "\n")
    return plots.show_attribution(bar, owed, [0], [label], list(range(now - 12, now + 1, 2)), recording.rate)


live(owed_to, neuron=by_label, bins_after=(0, 24))

# %% [markdown]
# ## Through which channels?
#
# **Conductance** is the same sum, cut elsewhere: what passes through each channel of a layer, bin by bin. Channels that
# are red carry what raised the response. Nothing after the last layer remembers, so that only the bins count there in which
# the response is taken.

# %%
layers = [name for name, _ in model.named_modules() if name.startswith("core.layers.") and name.count(".") == 2]
through = {layer: conductance(model, bar, layer, window=(last - 1, last + 1), session=session) for layer in layers}
for layer, one in through.items():
    label = f"channel of {layer}"
    plots.show_conductance(one, neurons, titles, slice(last - 14, last + 1), recording.rate, label=label)

# %%
channel_error = max(
    float(np.abs(one.error).max() / np.abs(one.response - one.baseline).max()) for one in through.values()
)
print(f"largest error, as a share of the largest change: pixels {pixel_error:.1e}, channels {channel_error:.1e}")

# %% [markdown]
# ## Interneurons that nobody fitted
#
# In the simulated retina most cells pool rectified **subunits**, as ganglion cells pool bipolar cells. The twin never saw
# them. Still, to predict their sums it may have had to invent them (Maheswaranathan et al. 2023). For every subunit we look
# for the hidden unit, of any channel, place and small shift in time, that correlates most with it. So many units are
# like anything, so chance is measured with the same search at wrong times.

# %%
matches = pd.DataFrame()
shown = np.ascontiguousarray(recording.movie.frames[:, :bins])
if truth:
    subunits = truth.subunits(session)
    chosen = np.random.default_rng(seed).choice(len(subunits), min(100, len(subunits)), replace=False)
    with torch.no_grad():
        outputs = truth.subunit_traces(torch.from_numpy(shown)[None], session)[0, chosen].numpy()
    traces = np.pad(outputs, ((0, 0), (shown.shape[1] - outputs.shape[1], 0)))
    matches = match_units(model, layers[0], shown, traces, session=session).to_dataframe()
    matches["type"] = recording.neurons["type"][subunits["neuron"].iloc[chosen]]
    plots.show_matches(matches, matches["type"])

# %% [markdown]
# With the default twin, subunits of ON and OFF cells have good matches in the first layer, at the right positions. Those of
# direction-selective cells have not: they respond to both polarities and are inhibited from one side, which takes more than
# one filter and a rectification. The twin makes these cells of several units.
#
# ## Features
#
# A channel need not mean one thing: a feature may be spread over several channels, and one channel may serve several
# purposes. A **sparse autoencoder** looks for a dictionary of more features than channels, of which few at a time
# describe the activity in a place and bin.

# %%
found = find_features(model, shown, features=features, top_k=top_k, steps=steps, seed=seed)
print(f"{found.fit.l0:.1f} of {features} features at a time hold {found.fit.r2:.0%} of the core's variance")
table = found.to_dataframe()

# %% [markdown]
# Do they hold what matters for the cells? The readouts now get the features alone.

# %%
scores = score_with_features(model, found, recordings)
whole, reduced = scores["cc_norm"].median(), scores["features_cc_norm"].median()
print(f"median CC_norm {whole:.3f}; with features alone {reduced:.3f}, {reduced / whole:.1%} of it")

# %% [markdown]
# ## Who reads them?
#
# If a feature is removed, which cells change their mean rate, and by which share of it? A row for each feature that is active
# in at least 1 % of positions and bins, sorted by the cell type that it changes most.

# %%
kinds = np.concatenate(
    [one.neurons.get("type", np.full(one.n_neurons, name)) for name, one in sorted(recordings.items())]
)
by_type = pd.DataFrame(found.relative_effect.T).groupby(kinds).mean().T
common = by_type[found.share >= 0.01]
order = common.to_numpy().argmax(axis=1).argsort(kind="stable")
plots.show_readers(common.iloc[order]);

# %% [markdown]
# Columns are cell types. Some rows are for one polarity, some for direction-selective cells, some for colour. How well
# does the best single feature tell each type's cells from all others, compared with the core's channels as they are, and
# with what the best of so many features would by chance? (Area under the ROC curve; 1: perfectly. There are more features
# than channels to choose from.)

# %%
told = areas = None
if len(set(kinds)) > 1:
    channel_weights = torch.cat(
        [model.session_readout(name).weights().detach().sum(dim=(1, 2)) for name in model.sessions], dim=1
    ).numpy()
    told, by_channel = tell_types(found.relative_effect, kinds), tell_types(channel_weights, kinds)
    areas = pd.DataFrame({"feature": told["area"], "channel": by_channel["area"], "chance": told["chance"]})
    print(areas.round(2).to_string())
    print(areas.mean().round(3).to_string())

# %% [markdown]
# ## What do they mean?
#
# For five types the feature that tells them best: its filter in the middle of the screen (green and UV, at the lag in
# which it is strongest), its course in time at the cross, and the frames of the movie that evoke it most, at this lag,
# with a cross where the feature is.

# %% tags=["thumbnail"]
if told is not None:
    pick = told.sort_values("area", ascending=False).drop_duplicates("row").head(5)
    rows = pick["row"].tolist()
    names = [f"feature {row}\n{name}" for name, row in pick["row"].items()]
else:
    rows = table.sort_values("share", ascending=False)["feature"].head(5).tolist()
    names = [f"feature {row}" for row in rows]
evoking = [feature_clips(model, found, shown, row, count=4) for row in rows]
plots.show_features(found, rows, names, evoking);

# %% [markdown]
# ## What we learned
#
# - Attribution is exact bookkeeping: its parts add up, for pixels and for every layer. It explains *this* response compared
#   with grey; another baseline gives other parts.
# - Hidden units resemble subunits that the twin never saw, where a single unit can.
# - With the default parameters, a handful of features at a time carries most of what the cells need, and single features
#   belong to cell types.

# %%
results = {
    "dataset": dataset,
    "session": session,
    "pixel_error": pixel_error,
    "channel_error": channel_error,
    "subunit_correlation": matches["correlation"].abs().groupby(matches["type"]).median().to_dict() if truth else {},
    "subunits_significant": float((matches["p_value"] < 0.01).mean()) if truth else None,
    "features": features,
    "features_at_a_time": found.fit.l0,
    "variance_held": found.fit.r2,
    "cc_norm": {"twin": whole, "features": reduced},
    "type_area": areas.mean().to_dict() if areas is not None else {},
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)
table.to_csv(f"{output_dir}/features.csv", index=False)

# %%
checks = []
if dataset == twin == "simulated" and session == "simulated_1" and bins >= 3000 and (features, top_k) == (32, 4):
    checks = [
        ("attribution to pixels: largest error, share of the change", pixel_error, "< 0.01"),
        ("attribution to channels: largest error", channel_error, "< 0.01"),
        ("subunits found with p < 0.01", results["subunits_significant"], ">= 0.95"),
        ("correlation with subunits of ON transient cells", results["subunit_correlation"]["ON transient"], ">= 0.65"),
        ("correlation with subunits of OFF alpha cells", results["subunit_correlation"]["OFF alpha"], ">= 0.65"),
        ("share of CC_norm that the features keep", reduced / whole, ">= 0.9"),
        ("ROC area of the best feature for a type, mean", areas["feature"].mean(), ">= 0.9"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - One feature at a time, `top_k = 1`: how much of the score is left, and which cells lose most?
# - Ask the second layer for subunits: `match_units(model, layers[1], ...)`. Are the direction-selective ones found there?
#
# **Further reading**: Sundararajan, Taly & Yan 2017 (arXiv:1703.01365) for integrated gradients; Dhamdhere, Sundararajan &
# Yan 2019 (arXiv:1805.12233) for conductance; Maheswaranathan et al. 2023 (Neuron 111:2742) for interneurons inside models;
# Bricken et al. 2023 (transformer-circuits.pub) for sparse autoencoders.
