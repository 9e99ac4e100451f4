# %% [markdown]
# # How do I build a core and a readout of my own?
#
# Presets are general: they know nothing of retinas. An idea about the circuit, written down as a few lines of PyTorch, may
# need fewer data. Here the idea is anatomy: a dozen types of bipolar cells, each with one course in time and one small
# receptive field, pass on **increases and decreases separately**, and ganglion cells pool what they pass on.
#
# - **What you'll do**: write that core and a readout, train them, compare them with a preset and the truth, keep them.
# - **What you'll learn**: what a core and a readout must have (a `forward`), what they may have, how to see that a core does
#   not look into the future, and how a twin of your own is read back.
# - **What you need**: notebook 01 for twins and scores; a minute on two CPU cores.

# %% tags=["parameters"]
dataset = "simulated"  # one of rnb.datasets()
dataset_settings = {"sessions": 2, "cells_per_session": 24, "orders": 1, "clips": 48}  # what its loader takes
preset = "simulated_retina"  # what to compare with, one of rnb.presets()
bipolar_types = 8  # filters of the core
features = 16  # what the core hands to the readouts
max_epochs = 12  # passes over the training data, for both models
batch_size = 6  # chunks in a batch
seed = 0  # fixes initial weights, order of batches and bootstrap
output_dir = "runs/14_custom_core_and_readout"  # where results go

# %%
import time

import numpy as np
import pandas as pd
import torch
from torch import nn

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses.receptive_fields import operating_points, receptive_fields
from retina_nb.cores import Core, feature_shape
from retina_nb.models import CoreReadout
from retina_nb.models.building import start_readouts
from retina_nb.readouts import Readout, SessionReadouts

started = time.perf_counter()

# %%
recordings = rnb.load_recordings(dataset, **dataset_settings)
first = next(iter(recordings.values()))
print(*[recording.summary() for recording in recordings.values()], sep="\n")

# %% [markdown]
# ## A core
#
# A core is a `torch.nn.Module` that turns a stimulus (batch, channel, time, height, width) into a movie of features
# (batch, feature, time, height, width). It needs a `forward` and nothing else. Kernels in time are not padded, so that
# each output is of the frames before it and its own. A `regularizer`, a penalty added to the loss, is one of the things
# that a part *may* have.

# %%
class BipolarCore(Core):
    """ON and OFF signals of a few types of bipolar cells, pooled in space and time."""

    def __init__(self, channels, types, features):
        super().__init__()
        self.course = nn.Conv3d(channels, types, (21, 1, 1), bias=False)  # each type's course in time, and its colours
        self.field = nn.Conv3d(types, types, (1, 7, 7), groups=types, bias=False)  # each type's receptive field
        self.scale = nn.BatchNorm3d(types)
        self.pool = nn.Sequential(
            nn.Conv3d(2 * types, features, (1, 5, 5), padding=(0, 2, 2), bias=False),
            nn.Conv3d(features, features, (9, 1, 1), groups=features, bias=False),
            nn.BatchNorm3d(features),
            nn.ELU(),
        )

    def regularizer(self):
        """Courses should be smooth; it does not matter how large they are, since they are scaled."""
        course = self.course.weight
        return 0.01 * course.diff(dim=2).square().sum() / course.square().sum()

    def forward(self, stimulus):
        drive = self.scale(self.field(self.course(stimulus)))
        on_off = torch.cat([drive.relu(), (-drive).relu()], dim=1)
        return self.pool(on_off)


# %% [markdown]
# ## A readout
#
# A readout turns the features into rates (batch, time, neuron) of one session's neurons. Ours has a spotlight for each
# neuron, a map that is positive and sums to one, and weighs the features that it sees there. A readout may have an
# `initialize`: it is told mean rates and places, so that training does not start from nothing. It may have a
# `regularizer` as well, and a `constrain` that is called after each step.

# %%
class SpotlightReadout(Readout):
    """Each neuron weighs the features under its own spotlight."""

    def __init__(self, feature_shape, neurons):
        super().__init__()
        features, _, height, width = feature_shape
        self.where = nn.Parameter(torch.zeros(neurons, height, width))
        self.what = nn.Parameter(0.1 * torch.randn(neurons, features))
        self.bias = nn.Parameter(torch.zeros(neurons))

    def spotlight(self):
        return self.where.flatten(1).softmax(dim=1).view_as(self.where)

    def forward(self, features):
        seen = torch.einsum("bfthw,nhw->bftn", features, self.spotlight())
        return nn.functional.softplus(torch.einsum("bftn,nf->btn", seen, self.what) + self.bias)

    @torch.no_grad()
    def initialize(self, mean_rate, position):
        y, x = (torch.arange(size) - (size - 1) / 2 for size in self.where.shape[1:])  # from the middle, like positions
        down, right = position[:, :1] - y, position[:, 1:] - x
        self.where.copy_(-(down[:, :, None] ** 2 + right[:, None] ** 2) / 2)
        self.bias.copy_(mean_rate.clamp(min=1e-3).expm1().log())


# %% [markdown]
# ## Together
#
# `CoreReadout` joins them. How many bins of history it needs (its `lag`), it finds out itself.

# %%
torch.manual_seed(seed)
channel, height, width = first.movie.frame_shape
core = BipolarCore(channel, bipolar_types, features)
shape = feature_shape(core, first.movie.frame_shape, time=40)  # what comes out for 40 bins
model = CoreReadout(core=core, readout=SpotlightReadout(shape, first.n_neurons))
stimulus = torch.from_numpy(first.stimulus("test")[None, :, :120])
print(f"features {shape}, rates {tuple(model(stimulus).shape)}, lag {model.lag}")

# %% [markdown]
# Does it look into the future? We change the second half of a stimulus; what it predicts for the first half must not change
# at all. This takes four lines, and each core of your own deserves them: a `Conv3d` that pads time on both sides fails
# here, although it trains and scores well.

# %%
changed = stimulus.clone()
changed[:, :, 60:] *= -1
model.eval()
before, after = (model(one)[:, : 60 - model.lag] for one in (stimulus, changed))
assert torch.equal(before, after)

# %% [markdown]
# For recordings, `rnb.build_twin` takes the parts in place of a preset, and tells the twin what it was made for: rate, size
# of pixels, sessions. With several sessions there is a readout for each. `start_readouts` calls each one's `initialize`.

# %%
def parts():
    """A core and readouts with random weights."""
    torch.manual_seed(seed)
    core = BipolarCore(channel, bipolar_types, features)
    readouts = {session: SpotlightReadout(shape, recording.n_neurons) for session, recording in recordings.items()}
    return {"core": core, "readout": SessionReadouts(readouts)}


twin = rnb.build_twin(recordings=recordings, **parts())
start_readouts(twin, recordings)
reference = rnb.build_twin(preset, recordings, seed=seed)

# %% [markdown]
# ## Against a preset
#
# The same data, number of passes and settings for both, and the linear-nonlinear model beside them.

# %%
models, fits = {"preset": reference, "our parts": twin}, {}
for name, one in models.items():
    print(name)
    settings = reference.config["training"] | {"batch_size": batch_size}
    fits[name] = rnb.fit(one, recordings, max_epochs=max_epochs, seed=seed, **settings)

# %%
plots.show_learning_curve(fits["our parts"].history, fits["our parts"].best_epoch);

# %%
ours = rnb.evaluate(twin, recordings, seed=seed)
preset_scores = rnb.evaluate(reference, recordings, baseline=None, seed=seed)
cc_norm = pd.DataFrame(
    {
        "preset": preset_scores["cc_norm"],
        "our parts": ours["cc_norm"],
        "linear-nonlinear": ours["linear_nonlinear_cc_norm"],
    }
)
comparison = rnb.compare_all_models(cc_norm, seed=seed)
plots.show_comparison(comparison, label="CCnorm");

# %% [markdown]
# Each cell is scored against its noise ceiling: 1 is what the true cells' rates would get. Who gains? Median of each
# type; the frame marks the best model. Cells whose parts rectify should gain. Sustained and color-opponent cells of the
# simulated retina are linear: there is nothing in them that our assumption could explain.

# %%
kinds = ours["type"] if "type" in ours else pd.Series("cells", index=ours.index)
plots.show_medians(cc_norm, kinds, label="median CCnorm");

# %% [markdown]
# ## What it found
#
# The types of bipolar cells: a map, and a course in time for the channel to which they respond most. Signs mean nothing,
# since both are passed on. Nothing in the model asks for courses that peak within a tenth of a second, nor for compact maps.
# With few data, some types are hardly used.

# %% tags=["thumbnail"]
with torch.no_grad():
    fields, courses = twin.core.field.weight[:, 0, 0].numpy(), twin.core.course.weight[:, :, :, 0, 0].numpy()
strongest = np.linalg.norm(courses, axis=2).argmax(axis=1)
channels = first.movie.channels or [f"channel {number}" for number in range(channel)]
shown = range(min(8, bipolar_types))
plots.show_kernels(
    fields[shown],
    courses[shown, strongest[shown]],
    [f"type {one + 1}\n{channels[strongest[one]]}" for one in shown],
    first.rate,
);

# %% [markdown]
# And the spotlights of some cells, where they lie on the screen, above their true receptive fields.

# %%
truth = rnb.load_truth(**dataset_settings) if dataset == "simulated" else None
some = list(range(0, first.n_neurons, max(1, first.n_neurons // 6)))[:6]
with torch.no_grad():
    masks = {"spotlight": twin.session_readout(first.session).spotlight()[some].numpy()}
names = [first.label(neuron).split(": ")[-1] for neuron in some]
if truth:
    whole = truth.receptive_field(first.session)[some].numpy()
    masks["truth"] = np.stack([one[np.unravel_index(np.abs(one).argmax(), one.shape)[:2]] for one in whole])
    names = truth.neurons(first.session)["type"].iloc[some].str.replace(" ", "\n").tolist()
plots.show_masks(masks, names, (height, width));

# %% [markdown]
# ## Everything works with it
#
# A twin of your own parts is a twin: each analysis of this series takes it. Its receptive fields, for example, by gradients:

# %%
found = []
for session, recording in recordings.items():
    found.append(receptive_fields(twin, operating_points(recording, twin.lag, seed=seed), session=session).centers)
found = np.concatenate(found)
within_1px = None
if truth:
    places = np.concatenate([[one.neurons["y"], one.neurons["x"]] for one in recordings.values()], axis=1).T
    within_1px = float((np.hypot(*(found - places).T) <= 1).mean())
    plots.show_positions(found, places, (height, width), first.pixel_um)

# %% [markdown]
# ## Keep it
#
# The file has the weights and what is known of the recordings, but no code: nothing in it is ever executed. So what happens
# if it is loaded like any other?

# %%
path = twin.save(f"{output_dir}/twin.safetensors")
try:
    rnb.load_twin(path)
except rnb.UserError as error:
    print(error)

# %% [markdown]
# That is the one thing to remember: keep your classes beside the file, and give `load_twin` parts of the same shapes.

# %%
again = rnb.load_twin(path, **parts())
with torch.no_grad():
    same = bool(torch.equal(again(stimulus), twin.eval()(stimulus)))
print(f"the same predictions: {same}")
again.card()

# %% [markdown]
# ## What we learned
#
# - A `forward` makes a core, another one a readout; what else they have is up to you.
# - An assumption that is true of the circuit is worth data and passes: with as few as here, our parts come closer to the
#   ceiling than the preset, which would have to find out. (We know the assumption to be true: the retina is simulated.)
# - Causality is not checked for parts made by hand, unless you check it.
#
# These are results with the default parameters. The table below checks them.

# %%
results = {
    "dataset": dataset,
    "preset": preset,
    "neurons": len(cc_norm),
    "cc_norm": comparison["median"].to_dict(),
    "cc_norm_interval": {name: [row.low, row.high] for name, row in comparison.iterrows()},
    "cc_norm_by_type": cc_norm["our parts"].groupby(kinds).median().to_dict(),
    "parameters": {name: sum(w.numel() for w in one.parameters()) for name, one in models.items()},
    "fit_seconds": {name: fit.seconds for name, fit in fits.items()},
    "rf_center_within_1px": within_1px,
    "loaded_is_the_same": same,
    "seconds": time.perf_counter() - started,
}
results_file = rnb.write_results(output_dir, **results)

# %%
default = {"sessions": 2, "cells_per_session": 24, "orders": 1, "clips": 48}
checks = [("the twin that was loaded predicts the same", same, "yes")]
if dataset == "simulated" and dataset_settings == default and max_epochs >= 12 and bipolar_types >= 8:
    checks += [
        ("median CC_norm of our parts", results["cc_norm"]["our parts"], ">= 0.75"),
        ("gain over the preset: lower end of the interval", comparison.loc["our parts", "gain_low"], "> 0"),
        ("receptive-field centers within a pixel of the truth", within_1px, ">= 0.9"),
    ]
rnb.verdicts(results_file, checks)

# %% [markdown]
# ## On your own
#
# - Take the idea away: let `forward` pass `drive` on twice, without `relu`. Which types of cells does it cost?
# - Give both models all data and more passes (`dataset_settings = {}`, `max_epochs = 40`). Is anatomy still worth it?
#
# **Further reading**: Franke et al. 2017 (Nature 542:439) for what bipolar cells say; Maheswaranathan et al. 2023 (Neuron
# 111:2742) for models whose insides resemble them; Klindt et al. 2017 (NeurIPS) for readouts that ask where and what.
