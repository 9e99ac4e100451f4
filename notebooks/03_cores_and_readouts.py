# %% [markdown]
# # Which core and which readout suit these cells?
#
# A twin has two parts. The **core** turns the stimulus into a movie of features that all cells share; a **readout** says
# where each cell looks and which features it pools. Both come in kinds, and papers differ in which they took.
#
# - **What you'll do**: build twins from the same recordings with other parts, train them alike, and compare them on one
# table; then look at their weights.
# - **What you'll learn**: what the parts are, how to swap them, which differences are more than chance, and how to teach
# a trained core new cells.
# - **What you need**: notebook 01 for scores and ceilings; a minute and a half on two CPU cores.

# %% tags=["parameters"]
dataset = "simulated"  # one of rnb.datasets()
dataset_settings = {"sessions": 3, "cells_per_session": 24, "orders": 1, "clips": 48}  # what its loader takes
preset = "simulated_retina"  # one of rnb.presets(); the variants are changes to it
variants = {  # what to compare, by name; the first is the reference. One alone makes a run of a sweep
    "Gaussian mask": [],
    "point": ["readout=point_gaussian"],
    "free mask": ["readout=factorized"],
    "one layer": ["core.hidden_channels=[16]", "core.temporal_kernel_sizes=[21]", "core.spatial_kernel_sizes=[11]"],
    "free kernels": ["core.convolution=full"],
    "recurrent": ["core=conv_gru", "core.recurrent_channels=8"],
}
max_epochs = 17  # passes over the training data, for every variant
batch_size = 6  # chunks in a batch
seed = 0  # fixes initial weights, order of batches and bootstrap
output_dir = "runs/03_cores_and_readouts"  # where results go

# %%
import time

import numpy as np
import pandas as pd
import torch

import retina_nb as rnb
from retina_nb import plots

started = time.perf_counter()

# %% [markdown]
# ## What there is
#
# Presets are published architectures (and two of our own): kind of core, features and kernels of each layer, kind of
# readout. `lag` is how many bins of history an output needs.

# %%
rnb.presets().drop(columns="summary")

# %% [markdown]
# A preset is made of parts, and an override swaps one: `readout=point_gaussian` takes the readout of Lurz et al. (2021), a
# single point instead of a mask; `readout=factorized` a mask that is free in every pixel (Klindt et al. 2017);
# `core.convolution=full` kernels that need not be products of space and time; `core=conv_gru` puts recurrent units on
# top.
#
# ## The cells
#
# The last session is kept for later.

# %%
recordings = rnb.load_recordings(dataset, **dataset_settings)
kept = dict([list(recordings.items())[-1]]) if len(recordings) > 1 else {}
trained = {name: recording for name, recording in recordings.items() if name not in kept}
first = next(iter(trained.values()))
print(*[recording.summary() for recording in trained.values()], sep="\n")

# %% [markdown]
# ## Train them alike
#
# Same data, same number of passes, same settings. That is fair only as far as it goes: a core with more freedom needs more
# data or more passes, so what we compare is what can be had at this price. (All twins are built before any is trained, so
# that a mistyped override is noticed at once.)

# %%
twins = {
    name: rnb.build_twin(preset, trained, overrides=overrides, seed=seed) for name, overrides in variants.items()
}

# %%
fits, tables = {}, {}
for name in variants:
    settings = twins[name].config["training"] | {"batch_size": batch_size}
    print(name)
    fits[name] = rnb.fit(twins[name], trained, max_epochs=max_epochs, seed=seed, **settings)
    tables[name] = rnb.evaluate(twins[name], trained, baseline=None, seed=seed)

# %% [markdown]
# ## One table
#
# Median CC$_{norm}$ over cells with a 95 % interval, and the gain over the reference cell by cell: since all models are
# scored on the same cells and trials, a difference can be clear although the intervals of the medians overlap.

# %%
cc_norm = pd.DataFrame({name: table["cc_norm"] for name, table in tables.items()})
comparison = rnb.compare_all_models(cc_norm, seed=seed)
comparison["core_parameters"] = [sum(w.numel() for w in twin.core.parameters()) for twin in twins.values()]
comparison["seconds"] = [fit.seconds for fit in fits.values()]
comparison.round(3)

# %%
plots.show_comparison(comparison, label="CCnorm");

# %% [markdown]
# ## What the core looks for
#
# The first layer's kernels, the strongest first. Each is a product of a map and a course in time; red is brighter, blue
# darker, and the course runs to the present at 0.

# %%
reference = next(iter(twins.values()))
conv = reference.core.layers[0].conv
with torch.no_grad():
    space, course = conv.space_weights.numpy(), conv.temporal_kernels().numpy()
strength = np.linalg.norm(space, axis=(2, 3)) * np.linalg.norm(course, axis=2)
strongest = np.argsort(-strength, axis=None)[:6]
pairs = [np.unravel_index(index, strength.shape) for index in strongest]
channels = first.movie.channels or [f"channel {n}" for n in range(first.movie.frame_shape[0])]
plots.show_kernels(
    np.stack([space[pair] for pair in pairs]),
    np.stack([course[pair] for pair in pairs]),
    [f"feature {feature}\nof {channels[channel]}" for feature, channel in pairs],
    first.rate,
);

# %% [markdown]
# ## Where the cells look
#
# A mask says where a readout looks in the feature movie, which is smaller than the stimulus by the first kernel; it is
# drawn where it lies on the screen, with the cell's true receptive field below where it is known. A point has up to four
# pixels, since it lies between them; a free mask may find blobs of either sign.

# %%
masked = {name: twin for name, twin in twins.items() if hasattr(twin.session_readout(first.session), "masks")}
masked = {name: masked[name] for name in list(masked)[:3]}
shown = list(range(min(first.n_neurons, 6)))
with torch.no_grad():
    masks = {name: twin.session_readout(first.session).masks()[shown].numpy() for name, twin in masked.items()}
truth = rnb.load_truth(**dataset_settings) if dataset == "simulated" else None
if truth:
    fields = truth.receptive_field(first.session)[shown].sum(dim=1).numpy()
    masks["truth"] = np.stack([field[np.abs(field).max(axis=(1, 2)).argmax()] for field in fields])
labels = [first.label(neuron).split(": ")[-1] for neuron in shown]
plots.show_masks(masks, labels, first.movie.frame_shape[1:]);

# %% [markdown]
# Are they where the cells are? Centres of the masks, moved from the feature movie to the screen, against the truth:

# %%
within_1px = {}
if truth:
    for name, twin in masked.items():
        distances = []
        for session, recording in trained.items():
            with torch.no_grad():
                mask = twin.session_readout(session).masks().clamp(min=0).numpy() ** 2  # blobs, not their surroundings
            mask /= mask.sum(axis=(1, 2), keepdims=True)
            border = (np.array(recording.movie.frame_shape[1:]) - mask.shape[1:]) / 2
            rows, columns = np.indices(mask.shape[1:])
            center = np.stack([(mask * rows).sum(axis=(1, 2)), (mask * columns).sum(axis=(1, 2))], axis=1) + border
            place = np.stack([recording.neurons["y"], recording.neurons["x"]], axis=1)
            distances.append(np.hypot(*(center - place).T))
        within_1px[name] = float((np.concatenate(distances) <= 1).mean())
    print("cells whose mask is within a pixel of the truth:", pd.Series(within_1px).round(2).to_string(), sep="\n")

# %% [markdown]
# ## Nothing sees the future
#
# Every core is causal by construction. We change the second half of a stimulus; responses in the first half must not
# change at all.

# %%
stimulus = torch.from_numpy(first.stimulus("test")[None, :, :120])
changed = stimulus.clone()
changed[:, :, 60:] = -changed[:, :, 60:]
for name, twin in twins.items():
    with torch.no_grad():
        before, after = (twin(one, first.session)[:, : 60 - twin.lag] for one in (stimulus, changed))
    assert torch.equal(before, after), name

# %% [markdown]
# ## New cells for a trained core
#
# The core has learned what retinas compute, so new cells need only readouts. We freeze it, add the session that was kept,
# and train that alone.

# %%
new_cells = None
if kept:
    reference.freeze_core()
    reference.add_sessions(kept)
    settings = reference.config["training"] | {"batch_size": batch_size}
    rnb.fit(reference, kept, max_epochs=max_epochs, seed=seed, **settings)
    new_cells = rnb.evaluate(reference, kept, baseline=None, seed=seed)["cc_norm"].median()
    print(f"median CC_norm of new cells behind the frozen core: {new_cells:.2f}")

# %% [markdown]
# Its card tells what it is now. `rnb.zoo()` lists twins that others have published; `rnb.load_twin(name)` downloads one.

# %%
reference.card()
rnb.zoo()[["dataset", "species", "cells", "input_shape", "rate_hz", "cached"]]

# %% [markdown]
# ## What we learned
#
# - Readouts that know cells look at one place (mask, point) find it to a pixel from the few data there are. A mask that is
#   free in every pixel finds it for half of the cells; it predicts them as well, with what lies around.
# - Kernels that are products of space and time have a fraction of the parameters of free ones, and at this price far
#   better scores.
# - A second layer does not pay here: subunits and their pool are one rectification, for which one layer and the readout
#   suffice. On real retinas, and with more data, it may.
# - A trained core serves cells it has never seen.
#
# These are results with the default parameters. The table below checks them.

# %%
results = {
    "dataset": dataset,
    "preset": preset,
    "neurons": len(cc_norm),
    "cc_norm": comparison["median"].to_dict(),
    "cc_norm_interval": {name: [row.low, row.high] for name, row in comparison.iterrows()},
    "gain": comparison["gain"].to_dict(),
    "core_parameters": comparison["core_parameters"].to_dict(),
    "fit_seconds": comparison["seconds"].to_dict(),
    "mask_within_1px": within_1px,
    "new_cells_cc_norm": new_cells,
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)

# %%
default = {"sessions": 3, "cells_per_session": 24, "orders": 1, "clips": 48}
checks = []
if dataset == "simulated" and dataset_settings == default and max_epochs >= 17 and len(variants) == 6:
    scored = results["cc_norm"]
    checks = [
        ("masks within a pixel of the truth", within_1px["Gaussian mask"], ">= 0.85"),
        ("median CC_norm: Gaussian mask", scored["Gaussian mask"], ">= 0.65"),
        ("that, more than for free kernels", scored["Gaussian mask"] - scored["free kernels"], "> 0.1"),
        ("median CC_norm: new cells behind the frozen core", new_cells, ">= 0.65"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Give the free kernels what they lack: `max_epochs = 60`, or `dataset_settings = {}`. Do they catch up?
# - Put photoreceptors in front: `["core.front_end={photoreceptor: adaptation}"]` needs a stimulus in units of light, whose
#   mean and spread are known (`Movie(mean=..., std=...)`). On which recordings should adaptation matter?
#
# **Further reading**: Höfling et al. 2024 (eLife 13:e86860) for the core and the mask; Lurz et al. 2021 (ICLR) for the point;
# Klindt et al. 2017 (NeurIPS) for the free mask; Sinz et al. 2018 (NeurIPS) for recurrence.
