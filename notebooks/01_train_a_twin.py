# %% [markdown]
# # How well can a model learn to be a retina?
#
# Ganglion cells are all that the brain hears of the eye. A **twin** is a network trained to answer any movie as
# recorded ganglion cells would: a *core* of space-time filters that all cells share, and a *readout* for each
# recording that says where every cell looks and which features it pools.
#
# - **What you'll do**: train a twin, score it against what is possible at all, and check it against the truth.
# - **What you'll learn**: how noise limits scores, what a twin gains over a linear-nonlinear model, and whether it found
# the cells' receptive fields.
# - **What you need**: nothing else; two minutes on two CPU cores.

# %% tags=["parameters"]
dataset = "simulated"  # one of rnb.datasets()
dataset_settings = {}  # what the dataset's loader takes, e.g. {"seed": 1}
preset = "simulated_retina"  # one of rnb.presets()
overrides = []  # changes to the preset in Hydra syntax, see "On your own" below
max_epochs = 40  # passes over the training data; 0 scores the linear-nonlinear model alone
seed = 0  # fixes initial weights, order of batches and bootstrap
output_dir = "runs/01_train_a_twin"  # where results go

# %%
import time

import numpy as np

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses.receptive_fields import operating_points, receptive_fields, spike_triggered_averages
from retina_nb.models.linear_nonlinear import fit_linear_nonlinear
from retina_nb.widgets import browse_neurons

started = time.perf_counter()

# %% [markdown]
# ## The recordings
#
# A recording holds the movie once, the frame that was on screen in every time bin, and the responses. Some bins
# are for training, some for validation, and a test movie was shown many times.

# %%
recordings = rnb.load_recordings(dataset, **dataset_settings)
first = next(iter(recordings.values()))
print(*[recording.summary() for recording in list(recordings.values())[:2]], sep="\n")
print(f"... {len(recordings)} sessions, {sum(recording.n_neurons for recording in recordings.values())} neurons")

# %%
plots.show_stimulus(first);

# %% [markdown]
# The same stimulus does not give the same response twice. Whatever differs between trials no model can predict: this
# is the **noise ceiling**.

# %%
shown = [(recording, n) for recording in recordings.values() for n in range(min(recording.n_neurons, 5))][:5]
plots.show_responses({one.label(n): one.trials()[:20, :, n] for one, n in shown}, first.rate);

# %% [markdown]
# ## The twin
#
# It is initialized from what the data say at once: each neuron's mean rate, and roughly where it looks. (It is built
# before anything is fitted, so that a mistyped preset is noticed now and not in a minute.)

# %%
model = rnb.build_twin(preset, recordings, overrides=overrides, seed=seed) if max_epochs else None

# %% [markdown]
# ## The baseline
#
# Every twin should be compared with the textbook: a linear filter for each neuron, then a nonlinearity, fitted to the
# same bins.

# %%
baseline = fit_linear_nonlinear(recordings)

# %% [markdown]
# ## Training
#
# Sessions that saw the same frames share the core's work.

# %%
history = None
if max_epochs:
    history = rnb.fit(model, recordings, max_epochs=max_epochs, seed=seed, **model.config["training"])
model = model or baseline

# %%
if history:
    plots.show_learning_curve(history.history, history.best_epoch)

# %% [markdown]
# ## Scores against ceilings
#
# CC$_{norm}$ is the correlation with the mean over trials, divided by the largest that noise allows (Schoppe 2016): 1
# is a perfect model. Each row of the table also has the baseline's scores, reliability and confidence intervals.

# %%
scores = rnb.evaluate(model, recordings, baseline=baseline, seed=seed)
scores[["cc_norm", "linear_nonlinear_cc_norm", "correlation", "linear_nonlinear_correlation", "cc_max"]].describe()

# %% tags=["thumbnail"]
plots.show_scores(scores);

# %% [markdown]
# Is the difference more than chance? Neuron by neuron, with a bootstrap interval over neurons and Wilcoxon's test:

# %%
rnb.compare_models(scores["cc_norm"], scores["linear_nonlinear_cc_norm"])

# %% [markdown]
# ## What it predicts
#
# A good, a middling and a bad cell: recorded mean with its standard error, twin and baseline.

# %%
ranked = scores.dropna(subset="cc_norm").sort_values("cc_norm", ascending=False)
chosen = [ranked.iloc[round(quantile * (len(ranked) - 1))] for quantile in (0.1, 0.5, 0.9)]
panels = []
for row in chosen:
    recording, neuron = recordings[row.session], row.neuron
    stimulus = recording.stimulus("test")
    models = {"linear-nonlinear": baseline, "twin": model} if max_epochs else {"linear-nonlinear": baseline}
    traces = {label: rnb.predict(one, stimulus, row.session)[:, neuron] for label, one in models.items()}
    title = f"{recording.label(neuron)}: CCnorm {row.cc_norm:.2f}, linear-nonlinear {row.linear_nonlinear_cc_norm:.2f}"
    panels.append(plots.Prediction(title, recording.trials()[:, :, neuron], traces))
plots.show_predictions(panels, first.rate);

# %% [markdown]
# All the others are here: sort them, write a condition (`cc_norm < 0.5`), click one to see what is known of it.

# %%
browse_neurons(scores, model, recordings) if max_epochs else None

# %% [markdown]
# ## Where its cells look
#
# The gradient of a neuron's response with respect to the stimulus says which pixels matter to it. Its centre should lie
# where the cell's receptive field is: known for a simulated retina, estimated by reverse correlation for a real one.

# %%
found, expected = [], []
for recording in recordings.values() if max_epochs else ():
    points = operating_points(recording, model.lag, seed=seed)
    found.append(receptive_fields(model, points, session=recording.session).centers)
    if dataset == "simulated":
        expected.append(np.stack([recording.neurons["y"], recording.neurons["x"]], axis=1))
    else:
        expected.append(spike_triggered_averages(recording).centers)
within_1px = None
if found:
    found, expected = np.concatenate(found), np.concatenate(expected)
    within_1px = float((np.hypot(*(found - expected).T) <= 1).mean())
    reference = "truth" if dataset == "simulated" else "spike-triggered average"
    plots.show_positions(found, expected, first.movie.frame_shape[1:], first.pixel_um, expected_name=reference)

# %% [markdown]
# ## What we learned
#
# With the default parameters the twin comes close to the ceiling and the linear-nonlinear model does not, because most
# of the simulated cells are truly nonlinear (subunits, direction selectivity, gain control). The table below checks it.

# %%
gain = None
if "nonlinear" in scores:
    nonlinear = scores[scores["nonlinear"].astype(bool)]
    gain = nonlinear["cc_norm"].median() - nonlinear["linear_nonlinear_cc_norm"].median()


def medians(metric):
    """Median over neurons for both models."""
    twin = scores[metric].median() if max_epochs else None
    return {"twin": twin, "linear_nonlinear": scores[f"linear_nonlinear_{metric}"].median()}


results = {
    "dataset": dataset,
    "preset": preset,
    "neurons": len(scores),
    "cc_norm": medians("cc_norm"),
    "correlation": medians("correlation"),
    "cc_max": scores["cc_max"].median(),
    "cc_norm_gain_nonlinear": gain,
    "rf_center_within_1px": within_1px,
    "validation_correlation": history.history["validation_correlation"].max() if history else None,
    "epochs": len(history.history) if history else 0,
    "seconds": time.perf_counter() - started,
    "device": history.device if history else "cpu",
}
path = rnb.write_results(output_dir, **results)
if max_epochs:
    model.about["scores"] = {name: results[name] for name in ("cc_norm", "correlation", "cc_max")}
    print(f"the twin is in {model.save(f'{output_dir}/twin.safetensors')}")
scores.to_csv(f"{output_dir}/scores.csv", index=False)

# %%
checks = []
if dataset == "simulated" and not dataset_settings and not overrides and max_epochs >= 40:
    checks = [
        ("median CC_norm of the twin", results["cc_norm"]["twin"], ">= 0.85"),
        ("gain over the linear-nonlinear model, nonlinear cells", gain, ">= 0.15"),
        ("receptive-field centers within a pixel of the truth", within_1px, ">= 0.9"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Halve the data: `dataset_settings = {"clips": 38}`. Who suffers more, the twin or the baseline?
# - Take the second layer away: `overrides = ["core.hidden_channels=[16]", "core.temporal_kernel_sizes=[21]",
#   "core.spatial_kernel_sizes=[11]"]`. Which cell types does it cost?
#
# **Further reading**: Höfling et al. 2024 (eLife 13:e86860) for the model; Schoppe et al. 2016 (Front. Comput. Neurosci.
# 10:10) for the score; Klindt et al. 2017 (NeurIPS) for cores and readouts.
