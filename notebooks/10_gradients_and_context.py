# %% [markdown]
# # Does the context change what a cell wants?
#
# A receptive field says what a cell wants more of. For a linear cell that is all there is to say: it wants the same
# everywhere. Ganglion cells are not linear, and what they want can depend on what is on the screen already. The tool
# to see it is the **gradient** of the response: in this context, which change would raise it most?
#
# - **What you'll do**: follow the gradient over all contrasts of two colours, and over hundreds of images, and draw the
# landscape that a cell's response is.
# - **What you'll learn**: which cells keep their preference, which invert their polarity from image to image, and how a
# local receptive field differs from an average one.
# - **What you need**: notebook 01 for what a twin is; half a minute on two CPU cores.

# %% tags=["parameters"]
dataset = "simulated"  # recordings, of whose movie some frames are the images
twin = "simulated"  # a twin's name or file; the default was trained on the default dataset
session = ""  # whose neurons; the first if empty
neurons = [2, 3, 10, 4, 11, 8]  # the ones that are drawn
landscapes = [2, 4, 11]  # the ones whose landscape is drawn
step = 0.1  # of the contrast grid from -1 to 1
images = 256  # how many images
seed = 0  # fixes which
output_dir = "runs/10_gradients_and_context"  # where results go

# %%
import time

import numpy as np
import pandas as pd

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses import (
    contrast_gradients,
    equal_contrast,
    local_spike_triggered_averages,
    response_field,
)
from retina_nb.analyses.receptive_fields import operating_points, receptive_fields
from retina_nb.widgets import live

started = time.perf_counter()

# %% [markdown]
# ## The cells
#
# By default two linear cells, ON and OFF; a color-opponent one, which compares green in its center with UV around it; and
# three with rectified subunits, two of which respond to both polarities.

# %%
recordings = rnb.load_recordings(dataset)
session = session or next(iter(recordings))
recording = recordings[session]
model = rnb.load_twin(twin)
truth = rnb.load_truth() if dataset == "simulated" else None
neurons = [neuron for neuron in neurons if neuron < recording.n_neurons]
titles = [recording.label(neuron).replace(": ", "\n") for neuron in neurons]
print(*[recording.label(neuron) for neuron in neurons], sep="\n")

# %% [markdown]
# ## Two colours
#
# A flash of the whole screen, with every contrast of green from -1 to 1 and every contrast of UV. The colour of the map is
# the response (yellow: the cell's largest), and an arrow points where it rises: to the right if more green would help, up
# if more UV would (Höfling et al. 2024).

# %%
channels, height, width = model.stimulus_shape
flash = np.zeros((channels, model.lag + 7, height, width), dtype=np.float32)
flash[:, model.lag :] = 1
window = (model.lag + 2, model.lag + 7)  # bins that count: 67 to 233 ms after the onset
pair = (0, min(1, channels - 1))
if channels > 1:
    colours = contrast_gradients(model, flash, step=step, window=window, session=session, neurons=neurons)
    plots.show_contrast_gradients(colours, titles)

# %% [markdown]
# Arrows that are parallel everywhere mean that the context does not matter: the response is a bent sum of the two
# contrasts. A color-opponent cell wants more of one color and *less* of the other. Cells of both polarities have arrows that
# turn around: with a dark flash they want it darker, with a bright one brighter, or, if they are suppressed by contrast,
# greyer. `same_direction` is 1 for parallel arrows and 0 for arrows that cancel.

# %%
turning = pd.DataFrame()
if channels > 1:
    turning = colours.to_dataframe().assign(cell=[recording.label(neuron) for neuron in neurons]).set_index("cell")
    print(turning.drop(columns=["session", "neuron"]).round(3).to_string())

# %% [markdown]
# When is the response the one that turns? Choose a cell, and drag the bin after the onset.

# %%
by_label = {recording.label(neuron): neuron for neuron in range(recording.n_neurons)}


def gradients_after(neuron=neurons[0], bins_after=3):
    """A cell's response to a flash, and its gradient, over the contrasts of two colours in one bin."""
    one_bin = (model.lag + bins_after, model.lag + bins_after + 1)
    one = contrast_gradients(model, flash, step=max(step, 0.2), window=one_bin, session=session, neurons=neuron)
    label = recording.label(neuron).replace(": ", "\n")
    title = f"{label}\n{1000 * bins_after / recording.rate:.0f} ms after the onset"
    return plots.show_contrast_gradients(one, [title], every=1)


live(gradients_after, neuron=by_label, bins_after=(0, 6)) if channels > 1 else None

# %% [markdown]
# The same for each cell's own stimulus: the mean gradient over recorded clips, which is its linear receptive field, with
# both colours scaled to the same norm. The filter has the signs in it already, so that cells of one polarity now want more
# of both; by the angle of the arrows one sees which colour counts more. Cells of both polarities have a filter only as far
# as one of them prevails.

# %%
if channels > 1:
    points = operating_points(recording, model.lag, seed=seed)
    filters = receptive_fields(model, points, session=session, neurons=neurons).linear
    filters = equal_contrast(filters * 10 / np.linalg.norm(filters.reshape(len(filters), -1), axis=1)[:, *[None] * 4])
    own = contrast_gradients(model, filters, step=step, session=session, neurons=neurons)
    plots.show_contrast_gradients(own, titles)

# %% [markdown]
# ## Many images
#
# The context is now a natural image, or whatever else was in the movie. For each image, the gradient by its pixels is the
# cell's **local receptive field**: what it would like brighter or darker *in this image*. Goldin et al. (2022) measured
# it with the spikes that small perturbations of images evoke, and called it local spike-triggered average.

# %%
frames = np.sort(np.random.default_rng(seed).choice(len(recording.movie), images, replace=False))
shown = np.ascontiguousarray(recording.movie.frames[:, frames].swapaxes(0, 1))
local = local_spike_triggered_averages(model, shown, session=session)

# %%
few = np.linspace(0, images - 1, 8).astype(int)
plots.show_local_fields(local, neurons, titles, few);

# %% [markdown]
# Red where the cell wants it brighter, blue where it wants it darker; under each field the response to the image. Linear
# cells have one field, stronger or weaker. Cells with subunits look at other parts of their receptive field in each image,
# and those of both polarities are ON cells in one image and OFF cells in another.
#
# ## Who inverts?
#
# The **polarity** in an image is the local field in the middle of the receptive field: ON above 0, OFF below.

# %%
plots.show_polarity(local, neurons, titles);

# %% [markdown]
# `inversion` is twice the share of the rarer polarity, weighted by how strong it is: 0 for a cell that never inverts, 1 for
# one that is ON as much as OFF.

# %%
table = local.to_dataframe()
kinds = recording.neurons.get("type", np.full(recording.n_neurons, "cells"))
plots.show_by_type(table["inversion"], kinds, xlabel="polarity inversion");

# %% [markdown]
# ## The landscape
#
# Two directions of image space hold most of what changes a cell's response. In their plane, the response is a landscape:
# colours are mean responses to the images that fall into a bin, arrows their mean gradients, and lines connect images to
# which the response is the same. (For the lines, the twin saw images that lie in the plane.)


# %%
def landscape(neuron):
    """A neuron's response field and the twin's responses to images in the plane (point, point)."""
    field = response_field(local, neuron, bins=13)
    plane = local_spike_triggered_averages(model, field.images(21), session=session, neurons=neuron)
    return field, plane.response[0].reshape(21, 21)


fields = {neuron: landscape(neuron) for neuron in landscapes if neuron < recording.n_neurons}
for neuron, (field, iso) in fields.items():
    plots.show_response_field(field, iso=iso, title=recording.label(neuron))

# %% [markdown]
# A linear cell has almost parallel lines, all uphill to one side. A cell that responds to both polarities has a valley:
# whichever way an image goes from grey, the response rises. A cell that contrast suppresses has a hill.

# %% [markdown]
# ## Against the truth
#
# The simulated retina can be asked for the same gradients. Do the twin's cells invert where the true ones do?

# %%
agreement = {}
if truth:
    planted = local_spike_triggered_averages(truth, shown, session=session)
    pairs = [np.corrcoef(one, other)[0, 1] for one, other in zip(local.polarity, planted.polarity, strict=True)]
    flat, true = (one.lsta.reshape(*one.lsta.shape[:2], -1) for one in (local, planted))
    lengths = np.linalg.norm(flat, axis=2) * np.linalg.norm(true, axis=2)
    cosines = (flat * true).sum(axis=2) / np.where(lengths > 0, lengths, np.inf)
    # Images to which a cell hardly responds have hardly a field.
    weights = np.linalg.norm(true, axis=2)
    cosine = (cosines * weights).sum(axis=1) / weights.sum(axis=1)
    even = recording.neurons["polarity"] == 0
    inversion = pd.DataFrame({"twin": table["inversion"], "truth": planted.to_dataframe()["inversion"], "even": even})
    print(inversion.groupby("even").median().round(3).to_string())
    agreement = {
        "local_field_cosine": float(np.median(cosine)),
        "polarity_correlation_even": float(np.median(np.array(pairs)[even])),
        "inversion_told_apart": float(((inversion["twin"] > 0.4) == even).mean()),
    }
    print(pd.Series(agreement).round(3).to_string())

# %% [markdown]
# ## What we learned
#
# - For linear cells the context changes how much they want something, not what.
# - Cells that pool both polarities have no receptive field on average, but one in every image. Polarity is then a
#   property of a cell *and* a context.
# - The gradient is cheap: one pass back through the twin for every cell and image, without noise.

# %%
results = {
    "dataset": dataset,
    "session": session,
    "images": images,
    "same_direction": turning["same_direction"].to_dict() if len(turning) else {},
    "inversion": table["inversion"].groupby(np.asarray(kinds)).median().to_dict(),
    "same_field": table["same_field"].groupby(np.asarray(kinds)).median().to_dict(),
    **agreement,
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)
table.assign(type=kinds).to_csv(f"{output_dir}/polarity.csv", index=False)

# %%
checks = []
if dataset == twin == "simulated" and session == "simulated_1" and images >= 256 and step <= 0.1 and 10 in neurons:
    opponent = turning[turning["neuron"] == 10].iloc[0]
    checks = [
        ("cells told even or not by their inversion", agreement["inversion_told_apart"], ">= 1"),
        ("local field: cosine with the true one", agreement["local_field_cosine"], ">= 0.8"),
        ("polarity of even cells: correlation with the true one", agreement["polarity_correlation_even"], ">= 0.8"),
        ("color-opponent cell: gradient of green", opponent["gradient_first"], "> 0"),
        ("color-opponent cell: gradient of UV", opponent["gradient_second"], "< 0"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Flash a spot instead of the whole screen: `flash[:, :, 3:9, 4:10]`. What becomes of the opponent cell, and why?
# - Put the window later, into the rebound of transient cells: `window=(12, 18)` of
#   `local_spike_triggered_averages`. Do they invert now?
#
# **Further reading**: Goldin et al. 2022 (Nat. Commun. 13:5556) for local receptive fields in natural images; Höfling et
# al. 2024 (eLife 13:e86860) for colour contrast that depends on context; Constantine 2015 (*Active Subspaces*, SIAM) for
# the plane of gradients.
