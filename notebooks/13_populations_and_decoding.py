# %% [markdown]
# # What do the cells tell the brain together?
#
# The brain never hears one ganglion cell alone. What a population says depends on what its cells share: a stimulus that
# drives several at once, noise that comes to several at once, types that each tile the retina. With a twin, cells of
# different recordings see the same movies, any number of them, so that all can be asked together.
#
# - **What you'll do**: measure signal and noise correlations, redundancy, and information per spike; sort cells into types;
# read the stimulus back from the spikes, with a linear filter and with Bayes; and ask how far a model may be trusted
# on stimuli that it was not trained on.
# - **What you'll learn**: which of these numbers are biased and by what, and how much more a model of the cells reads from
# their spikes than a linear filter does.
# - **What you need**: notebook 01 for what a twin is; a minute and a half on two CPU cores.

# %% tags=["parameters"]
sessions = 4  # how many sessions of the simulated retina, 30 cells each
decoder_minutes = 3.5  # of natural movies to which the linear decoder is fitted
decoded_movies = 3  # movies of 4 s that are read back from spikes
clusters = 12  # types to look for
baselines = True  # also fit linear-nonlinear models to each kind of stimulus
seed = 0  # fixes spikes, permutations and bootstrap
output_dir = "runs/13_populations_and_decoding"  # where results go

# %%
import time
from dataclasses import replace

import numpy as np
import pandas as pd

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses import generalization, populations
from retina_nb.analyses.subjects import subject
from retina_nb.loaders.simulated.cells import CELL_TYPES, mosaic
from retina_nb.loaders.simulated.movies import frames_of
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear
from retina_nb.stimuli import Screen, batch, chirp, drifting_grating, moving_bar, natural_movie, sequence, white_noise
from retina_nb.widgets import live

started = time.perf_counter()

# %% [markdown]
# ## The cells
#
# Three sources of spikes: the recordings, with ten trials of a test movie; the twin that ships with the workbook; and
# the truth behind both.

# %%
recordings = dict(list(rnb.load_recordings("simulated").items())[:sessions])
first = next(iter(recordings.values()))
twin, truth = rnb.load_twin("simulated"), rnb.load_truth()
cells = range(sum(recording.n_neurons for recording in recordings.values()))
kinds = truth.neurons()["type"][: len(cells)]
screen = Screen.of(twin)
test_movie = first.stimulus("test")[None]
print(first.summary(), f"... {len(recordings)} sessions, {len(cells)} cells of {kinds.nunique()} types", sep="\n")

# %% [markdown]
# ## What cells share from trial to trial
#
# A **noise correlation** is the correlation of what differs between trials of the same stimulus. Ten trials of independent
# cells give correlations that are not zero, and *permuted* trials say how large they are by chance. The simulated cells
# are independent. To see that the measure would find shared noise, we add some, of a strength of its own to each cell.

# %%
noise = populations.noise_correlations(first, seed=seed)
random, trials = np.random.default_rng(seed), first.trials()
variance = (trials - trials.mean(axis=0)).var(axis=(0, 1)) * len(trials) / (len(trials) - 1)
gain = np.sqrt(variance * random.uniform(0, 0.6, len(variance)))
responses = first.responses.copy()
responses[first.repeats["test"]] += (gain * random.standard_normal((*trials.shape[:2], 1))).astype(np.float32)
noisy = replace(first, responses=responses, signed=True)
added = populations.noise_correlations(noisy, seed=seed)
plots.show_null(
    {"as recorded": (noise.null, noise.pairs.mean()), "shared noise added": (added.null, added.pairs.mean())},
    xlabel="mean noise correlation",
);

# %%
deviations = np.sqrt(variance + gain**2)
planted = np.outer(gain / deviations, gain / deviations)[np.triu_indices(len(gain), 1)]
significant = pd.Series({"as recorded": noise, "shared noise added": added}).map(
    lambda found: float((found.to_dataframe()["p_value"] < 0.05).mean())
)
noise_recovered = float(np.corrcoef(planted, added.pairs)[0, 1])
print("share of pairs with p < 0.05 (of independent cells 0.05 is expected):", significant.round(3).to_string(), sep="\n")
print(f"correlation of planted and found noise correlations: {noise_recovered:.3f}")

# %% [markdown]
# ## What cells share because of the stimulus
#
# A **signal correlation** is the correlation of expected responses. From the recording it must be estimated without
# the noise that is left in an average over ten trials; a twin has none. And a twin compares cells that were never recorded
# together. Sorted by type, blocks appear: cells of a type agree where their fields overlap, ON and OFF cells disagree.

# %% tags=["thumbnail"]
both = {"twin": twin, "truth": truth}
signal = {name: populations.signal_correlations(model, test_movie, neurons=cells) for name, model in both.items()}
plots.show_correlations({name: found.values for name, found in signal.items()}, kinds);

# %%
recorded = populations.recorded_signal_correlations(first)
naive = np.corrcoef(first.trials().mean(axis=0).T)[np.triu_indices(first.n_neurons, 1)]
session_truth = populations.signal_correlations(truth, test_movie, session=first.session)
plots.show_clouds(
    {
        "recording, one session": {
            "between trials": (session_truth.pairs, recorded.pairs),
            "of trial averages": (session_truth.pairs, naive),
        },
        "twin, all cells": {"twin": (signal["truth"].pairs, signal["twin"].pairs)},
    },
    xlabel="true signal correlation",
    ylabel="found",
);

# %% [markdown]
# Correlations of trial averages are too small, because the noise that is left in the averages is not shared. Those between different
# trials are right on average.

# %%
signal_agreement = float(np.corrcoef(signal["truth"].pairs, signal["twin"].pairs)[0, 1])
slope = {
    name: float(np.polyfit(session_truth.pairs, found, 1)[0])
    for name, found in {"between trials": recorded.pairs, "of trial averages": naive}.items()
}
print(f"twin against truth: r = {signal_agreement:.3f} over pairs")
print("slope of the recorded on the true:", pd.Series(slope).round(3).to_string(), sep="\n")

# %% [markdown]
# ## Is the population redundant?
#
# Two cells are **redundant** as far as the information in both is less than the sum: *I(a) + I(b) − I(a, b)*. For
# pairs, as a share of the largest that is possible, by the distance between their places, from exact distributions of
# the counts in a bin. The count distributions are exact; only the set of stimuli is finite. Shifting one response in time shows
# how much redundancy that alone would suggest.

# %%
session_cells = truth.neurons(first.session)
redundancy = {
    name: populations.pair_redundancy(model, test_movie, session=first.session, seed=seed)
    for name, model in both.items()
}
places = session_cells[["y", "x"]].to_numpy() * first.pixel_um
pairs = np.triu_indices(len(places), 1)
apart = np.hypot(*(places[pairs[0]] - places[pairs[1]]).T)
bins = pd.cut(apart, [0, 100, 150, 200, 300, 400, 1000])
by_distance = pd.DataFrame({name: found.fraction[pairs] for name, found in redundancy.items()}).groupby(bins, observed=True)
for name, one in redundancy.items():
    print(f"{name}: {np.nanmean(one.shared):.4f} bits shared on average, {one.chance:.4f} by chance")
by_distance.agg(["median", "max"]).rename_axis("distance (µm)").round(3)

# %% [markdown]
# For groups, in a linear-Gaussian approximation: the information of all cells together, and the sum over the cells.

# %%
sizes = [size for size in (1, 2, 5, 10, 20, 50, 120) if size <= len(cells)]
information = populations.population_information(twin, test_movie, neurons=cells, sizes=sizes, seed=seed)
table = information.to_dataframe()
plots.show_population_curves(
    {
        "information": {"together": table["together"], "sum of single cells": table["apart"]},
        "told more than once": {"twin": table["redundancy"]},
    },
    sizes,
    ylabels=["bits per bin", "redundancy"],
);

# %% [markdown]
# With the default parameters, most pairs are hardly redundant: they look elsewhere or for something else, and noise hides much
# of what they share. Neighbors that look for the same share up to half. A large group is redundant, since each cell shares a
# little with many.

# %% [markdown]
# ## How much is a spike worth?
#
# The information of single spikes follows from the modulation of the rate (Brenner 2000). With ten trials, counts fluctuate
# even at a constant rate, which inflates the information; an entropy estimator for few counts corrects most of that.

# %%
spikes = {
    name: populations.spike_information(model, test_movie, session=first.session) for name, model in both.items()
}
counted = populations.recorded_spike_information(first)
true_bits = spikes["truth"].bits_per_spike
plots.show_clouds(
    {
        "recording": {"corrected": (true_bits, counted.bits_per_spike), "as counted": (true_bits, counted.uncorrected)},
        "twin": {"twin": (true_bits, spikes["twin"].bits_per_spike)},
    },
    xlabel="true bits per spike",
    ylabel="found",
);

# %%
information_bias = {
    "corrected": float(np.median(counted.bits_per_spike - true_bits)),
    "as counted": float(np.median(counted.uncorrected - true_bits)),
    "twin": float(np.median(spikes["twin"].bits_per_spike - true_bits)),
}
print("median error (bits):", pd.Series(information_bias).round(3).to_string(), sep="\n")

# %% [markdown]
# ## Which types are there?
#
# Each type is a different message about the same place. Cells are sorted by how they respond to stimuli for which their
# place does not matter: the chirp in each colour, and gratings that drift in eight directions. The true types play
# no part in it. Bootstrap samples tell which clusters would return with other cells, and how many clusters there are: with too
# many, some are not stable.

# %%
found = populations.cluster_cells(twin, clusters=clusters, neurons=cells, seed=seed)
adjusted_rand = populations.adjusted_rand_index(kinds, found.labels)
crossed = pd.crosstab(kinds.to_numpy(), found.labels)
crossed = crossed.iloc[np.argsort(crossed.to_numpy().argmax(axis=1), kind="stable")]
plots.show_table(crossed, label="share of the type", xlabel="cluster", ylabel="");

# %%
numbers = [number for number in range(4, 21, 2) if number < len(cells)]
stability = {}
for name, model in both.items():
    features = populations.response_features(model, neurons=cells)
    stability[name] = [populations.cluster_features(features, number, bootstraps=30, seed=seed)[1] for number in numbers]
plots.show_population_curves(
    {
        "least stable cluster": {name: np.array([one.min() for one in every]) for name, every in stability.items()},
        "mean over clusters": {name: np.array([one.mean() for one in every]) for name, every in stability.items()},
    },
    numbers,
    ylabels=["Jaccard index", "Jaccard index"],
    xlabel="number of clusters",
    log=False,
)
print(f"adjusted Rand index of the twin's {clusters} clusters and the true types: {adjusted_rand:.3f}")

# %% [markdown]
# ## Does a type tile the retina?
#
# A cell type keeps its cells apart. Our recordings hold two or three cells of each type, too few to see it. Here are
# the mosaics from which they were drawn, on a larger piece of retina. **Regularity** is the mean distance to the nearest cell of the
# type over its standard deviation; random places give about 1.9. If types are mixed up, it is gone.

# %%
random, size, margin = np.random.default_rng(seed), (48, 60), 4.5
planted_places = {
    name: screen.pixel_um * mosaic(4 * kind.center_um / screen.pixel_um, size, margin, random)
    for name, kind in CELL_TYPES.items()
}
corners = tuple(tuple(screen.pixel_um * (np.array(end) + shift)) for end, shift in (((0, 0), margin), (size, -1 - margin)))
every_place = np.concatenate(list(planted_places.values()))
every_type = np.repeat(list(planted_places), [len(one) for one in planted_places.values()])
radius = {name: 2 * kind.center_um for name, kind in CELL_TYPES.items()}
tiles = populations.mosaics(every_place, every_type, area=corners, radius=radius, seed=seed)
mixed = populations.mosaics(every_place, random.permutation(every_type), area=corners, seed=seed)
regular = tiles.to_dataframe().assign(mixed_up=mixed.to_dataframe()["regularity"])
shown = ["ON transient", "OFF transient", "ON-OFF DS up", "colour opponent", "ON alpha"]
plots.show_mosaics(
    every_place,
    every_type,
    radius,
    {
        name: f"{name}\nregularity {regular.regularity[name]:.1f}, by chance {regular.random[name]:.1f}"
        for name in shown
    },
);

# %%
regular[["cells", "spacing", "regularity", "random", "p_value", "coverage", "mixed_up"]].round(3)

# %% [markdown]
# ## What was on screen?
#
# We read natural movies back from one trial of spikes. The spikes are the truth's, as a real retina's would be. The **linear
# decoder** adds a filter for each spike, fitted to spikes that the twin fires at other movies. **Bayes** asks which movie
# is most probable, given how natural movies are (a Gaussian prior with their 1/f spectrum) and that the twin says how the cells respond:
# it follows the twin's gradient.

# %%
lags = 10
examples, _ = batch(
    [natural_movie(screen, duration=5, seed=100 + number) for number in range(max(5, int(decoder_minutes * 12)))]
)
movies, _ = batch([natural_movie(screen, duration=4, seed=number) for number in range(decoded_movies)])
curves = {
    name: populations.reconstruct(model, examples, movies, neurons=cells, lags=lags, seed=seed)
    for name, model in both.items()
}
plots.show_population_curves(
    {"linear reconstruction of natural movies": {name: one.correlation.mean(axis=1) for name, one in curves.items()}},
    curves["twin"].sizes,
    ylabels=["correlation with\nwhat was shown"],
)
by_all = pd.Series({name: float(one.correlation[-1].mean()) for name, one in curves.items()})
print("correlation with what was shown, decoded from all cells:", by_all.round(3).to_string(), sep="\n")

# %%
random = np.random.default_rng(seed)
fired = random.poisson(subject(truth, neurons=cells).show(movies)).astype(np.float32)
linear = curves["twin"].decoder.decode(fired[:, twin.lag :])
prior = populations.StimulusPrior.of(examples, movies.shape[2])
probable = populations.decode_most_probable(twin, fired[:, twin.lag :], prior, neurons=cells).stimulus
bins = slice(twin.lag, movies.shape[2] - lags + 1)
decoded = {"shown": movies[:, :, bins], "linear": linear, "most probable": probable[:, :, bins]}
middle = np.s_[..., 4:-4, 4:-4]  # where receptive fields are
decoding = {
    name: float(np.corrcoef(decoded[name][middle].ravel(), decoded["shown"][middle].ravel())[0, 1])
    for name in ("linear", "most probable")
}
print("correlation with what was shown, in the middle of the screen:", pd.Series(decoding).round(3).to_string(), sep="\n")

# %%
frames = np.arange(2, decoded["shown"].shape[2], 10)[:8]
plots.show_frames(
    {name: movie[0, 0, frames] for name, movie in decoded.items()}, [frame / screen.rate for frame in frames]
);

# %% [markdown]
# At the edges, where no recorded cell looks, the linear decoder sees nothing, and Bayes continues the scene.
#
# ## Which way did it go?
#
# If only some stimuli are possible, the posterior is a list of numbers. A faint bar moves in one of twelve directions; ten random
# cells fire once. We decode the true cells' spikes with the twin and with the truth; the gap is what the twin does not know.

# %%
bars, parameters = batch([moving_bar(screen, direction=angle, contrast=0.5) for angle in range(0, 360, 30)])
groups = [1, 3, 10, 30]
accuracy = {"twin": [], "truth": []}
for size in groups:
    for name, model in both.items():
        drawn = [np.random.default_rng([seed, draw]).permutation(len(cells))[:size] for draw in range(8)]
        read = [populations.identify(model, bars, source=truth, neurons=one, seed=seed) for one in drawn]
        means = np.mean([(one.accuracy, one.information) for one in read], axis=0)
        accuracy[name].append({"identified": means[0], "bits": means[1]})
        if size == 10 and name == "twin":
            confusion = np.mean([one.confusion for one in read], axis=0)
accuracy = {name: pd.DataFrame(rows, index=groups) for name, rows in accuracy.items()}
plots.show_population_curves(
    {
        "direction of a bar (chance 0.083)": {name: one["identified"] for name, one in accuracy.items()},
        f"information (at most {np.log2(len(bars)):.2f} bits)": {name: one["bits"] for name, one in accuracy.items()},
    },
    groups,
    ylabels=["share identified", "bits per trial"],
);

# %%
angles = [f"{angle:g}°" for angle in parameters["direction"]]
plots.show_table(
    pd.DataFrame(confusion, index=angles, columns=angles),
    label="share of trials",
    xlabel="most probable direction, ten cells",
    ylabel="shown",
);

# %% [markdown]
# Drag how many cells are read, and the contrast of the bar.

# %%
readers = np.random.default_rng(seed).permutation(len(cells))


def directions_read(cells_read=10, contrast=0.5):
    """Which direction of a bar is taken for which."""
    degrees = range(0, 360, 30)
    moving, _ = batch([moving_bar(screen, direction=angle, contrast=contrast) for angle in degrees])
    read = populations.identify(twin, moving, source=truth, neurons=readers[:cells_read], seed=seed)
    labels = [f"{angle}°" for angle in degrees]
    confusion = pd.DataFrame(read.confusion, index=labels, columns=labels)
    xlabel = f"most probable direction; {read.accuracy:.0%} are right"
    return plots.show_table(confusion, label="share of trials", xlabel=xlabel, ylabel="shown")


live(directions_read, cells_read=(1, min(40, len(cells))), contrast=(0.1, 1.0, 0.1))

# %% [markdown]
# ## May the model be trusted there?
#
# All of the above relies on a model at stimuli that nobody recorded. The matrix has the correlation with the truth's response, median
# over cells, for new movies of several kinds. The linear-nonlinear models were fitted to one kind of clip each. *Sparse* and *strong
# noise* are of kinds that no model was shown.

# %%
angles = range(0, 360, 45)
stimuli = {
    "natural": natural_movie(screen, duration=20, seed=5),
    "noise": white_noise(screen, duration=20, stixel=2, hold=2, seed=5),
    "bars": sequence([moving_bar(screen, direction=angle) for angle in angles], gap=0.5),
    "gratings": sequence([drifting_grating(screen, direction=angle, wavelength=300) for angle in angles], gap=0.5),
    "chirp": chirp(screen),
    "sparse noise": white_noise(screen, duration=20, stixel=3, hold=2, kind="sparse", seed=5),
    "strong noise": white_noise(screen, duration=20, stixel=2, hold=2, contrast=2, seed=5),
}
models = {"twin": twin}
if baselines:
    models["LN: all clips"] = fit_linear_nonlinear(recordings)
    for kind in ("natural", "noise", "patterns"):
        clips = frames_of(kind, len(first.movie))
        some = generalization.trained_on(recordings, clips, splits=("train", "validation"))
        models[f"LN: {kind}"] = fit_linear_nonlinear(some)
tests = generalization.expected_tests(truth, {name: one.frames for name, one in stimuli.items()}, list(recordings))
scores = generalization.score_matrix(models, tests)
long = scores.to_dataframe()
wide = pd.DataFrame({name: long.loc[long["model"] == name, "correlation"].to_numpy() for name in models})
plots.show_medians(wide, long.loc[long["model"] == "twin", "test"], label="median correlation with the truth");

# %% [markdown]
# And against recorded spikes: clips of the test movie by kind, CC$_{norm}$, all models compared with the twin cell by cell.

# %%
clips = {kind: frames_of(kind, len(first.movie)) for kind in ("natural", "noise", "patterns")}
recorded_scores = generalization.score_matrix(
    models | {"truth": truth}, generalization.recorded_tests(recordings, clips), metric="cc_norm"
)
print(recorded_scores.matrix().round(3).to_string())
recorded_scores.compare("natural", seed=seed).round(3)

# %% [markdown]
# ## What we learned
#
# - Correlations, information and decoding all need care with what few trials leave: permuted trials, products between
#   different trials, and corrected entropies take the bias away. A model of the rates does not have it.
# - With the default parameters, the twin knows which cells agree, how informative their spikes are, and which type each is.
# - Decoding with a model of the cells is then better than a linear filter, although both had the same spikes.
# - The twin then loses little on kinds of stimuli that it was never shown, and is ahead of the linear-nonlinear model
#   wherever cells are far from linear. A model of one kind of clip (there are half as many of noise as of the others) loses
#   on most other kinds.
#
# These are results with the default parameters. The table below checks them.

# %%
results = {
    "cells": len(cells),
    "noise_correlation_mean": float(noise.pairs.mean()),
    "noise_correlation_null": np.quantile(noise.null, [0.005, 0.995]),
    "noise_correlation_recovered": noise_recovered,
    "signal_correlation_agreement": signal_agreement,
    "signal_correlation_slope": slope,
    "redundancy_of_all": float(table["redundancy"].iloc[-1]),
    "information_bias_bits": information_bias,
    "adjusted_rand": adjusted_rand,
    "cluster_stability": found.stability,
    "mosaic_regularity": regular["regularity"].to_dict(),
    "linear_reconstruction": {name: one.correlation.mean(axis=1) for name, one in curves.items()},
    "decoding_correlation": decoding,
    "direction_identified": {name: one["identified"].to_dict() for name, one in accuracy.items()},
    "generalization": scores.matrix().to_dict("index"),
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)
found.to_dataframe().assign(type=kinds.to_numpy()).to_csv(f"{output_dir}/types.csv", index=False)
long.to_csv(f"{output_dir}/generalization.csv", index=False)

# %%
checks = []
if sessions == 4 and decoder_minutes >= 3 and clusters == 12:
    low, high = results["noise_correlation_null"]
    more_cells = min(np.diff(one.correlation.mean(axis=1)[1:]).min() for one in curves.values())
    checks = [
        ("independent cells: mean noise correlation", results["noise_correlation_mean"], f"{low:.4f} to {high:.4f}"),
        ("correlation of planted and found noise correlations", noise_recovered, ">= 0.95"),
        ("signal correlations of twin and truth: correlation", signal_agreement, ">= 0.93"),
        ("slope on the true ones, between trials", slope["between trials"], "0.95 to 1.05"),
        ("slope on the true ones, of trial averages", slope["of trial averages"], "< 0.95"),
        ("bits per spike, corrected: median error", information_bias["corrected"], "-0.1 to 0.1"),
        ("bits per spike, as counted: median error", information_bias["as counted"], "> 0.1"),
        ("adjusted Rand index of clusters and types", adjusted_rand, ">= 0.9"),
        ("mosaics: largest p value of a type", tiles.p_value.max(), "< 0.01"),
        ("reconstruction: least gain by more cells", more_cells, "> 0"),
        ("reconstruction: most probable over linear", decoding["most probable"] - decoding["linear"], "> 0.01"),
        ("directions identified from ten cells", accuracy["twin"]["identified"][10], "> 0.5"),
        ("new stimuli: least correlation with the truth", scores.matrix().loc["twin"].min(), "> 0.75"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - How much of what Bayes reads is the prior? Make it from white noise instead of `examples`, and decode again.
# - Leave out a type from `cells`: which directions are confused, and which part of the movie is lost?
# - Your own recordings: `populations.noise_correlations(recording)` needs repeats, and with `fit_linear_decoder` the recorded
#   responses take the place of the twin's.
#
# **Further reading**: Cohen & Kohn 2011 (Nat. Neurosci. 14:811) for noise correlations; Puchalla et al. 2005 (Neuron
# 46:493) for redundancy; Brenner et al. 2000 (Neural Comput. 12:1531) for information per spike; Wässle & Riemann 1978
# (Proc. R. Soc. B 200:441) for mosaics; Hennig 2007 (Comput. Stat. Data Anal. 52:258) for the stability of clusters; Warland
# et al. 1997 (J. Neurophysiol. 78:2336) and Brackbill et al. 2020 (eLife 9:e58516) for linear, Pillow et al. 2011 (Neural
# Comput. 23:1) for Bayesian decoding.
