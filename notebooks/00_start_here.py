# %% [markdown]
# # What would this retina say?
#
# A **twin** is a neural network that was trained to answer any movie as recorded ganglion cells of a retina would. One comes
# with this package. Its retina is simulated, so that we know the **truth**: what each cell really does.
#
# - **What you'll do**: show the twin a movie, compare its answer with the truth, find the movie that one cell likes best,
#   and play with the twin yourself. In the menu, *Run › Run All Cells*. JupyterLab then shows the last cells: a table of
#   checks there says that all went well. If there is none, a cell above has stopped with an error. Scroll up and read.
# - **What you'll learn**: what this workbook is about, and where to go next.
# - **What you need**: nothing; half a minute on two CPU cores, two to read.

# %% tags=["parameters"]
twin = "simulated"  # the twin that comes with the package, a published one, or the file of one
session = "simulated_1"  # the recording whose cells we look at
neurons = [2, 9, 10, 4]  # some of its cells
favourite = 9  # the cell whose favourite movie we look for
seed = 0  # of the noise in which the search begins
output_dir = "runs/00_start_here"  # where results go

# %%
import time

import numpy as np
import pandas as pd
from IPython.display import Markdown

import retina_nb as rnb
from retina_nb import plots, stimuli, widgets
from retina_nb.analyses import most_exciting_inputs
from retina_nb.analyses.descriptions import describe_most_exciting
from retina_nb.analyses.subjects import subject
from retina_nb.loaders.simulated.movies import contents

started = time.perf_counter()

# %% [markdown]
# ## Meet the twin

# %%
model = rnb.load_twin(twin)
model.card()

# %% [markdown]
# ## Show it a movie
#
# A bright spot lights up for a second. Then a bright bar crosses the screen to the right, and back to the left. Press play, or
# drag the time.

# %%
screen = stimuli.Screen.of(model)
spot = stimuli.spot(screen, diameter=400, before=0.1, after=0)
bars = [stimuli.moving_bar(screen, direction=direction) for direction in (0, 180)]
stimulus = stimuli.sequence([spot, *bars], gap=0.4)
player = widgets.play(stimulus, start=0.1)
player

# %% [markdown]
# ## What do the cells say?
#
# The twin's prediction for some cells, beside what these cells truly do. Has the twin seen anything like it before?

# %%
if twin == "simulated":
    print(f"What this twin was trained on: {contents()}.\nIt has seen bars, then, but never a spot.")

# %%
models = {"twin": model} | ({"truth": rnb.load_truth()} if twin == "simulated" else {})
rates = {
    name: screen.rate * subject(one, session=session, neurons=neurons).show(stimulus.frames[None])[0]
    for name, one in models.items()
}  # (time, neuron), in events per second
types = models["truth"].neurons(session)["type"] if "truth" in models else {n: f"cell {n}" for n in [*neurons, favourite]}
panels = {
    f"{types[neuron]} ({neuron})": {name: rate[:, column] for name, rate in rates.items()}
    for column, neuron in enumerate(neurons)
}
plots.show_curves(panels, np.arange(len(rates["twin"])) / screen.rate, ylabel="events per second");

# %% [markdown]
# Which bar does each cell prefer? A direction-selective cell answers one of the two, and is nearly silent when the same bar
# comes back. And how alike are twin and truth?

# %%
starts = [*stimulus.events["start"], stimulus.frames.shape[1]]
peaks = {
    title: [curves["twin"][start:end].max() for start, end in zip(starts, starts[1:])] for title, curves in panels.items()
}
peaks = pd.DataFrame(peaks, index=["spot", "bar to the right", "bar to the left"], dtype=float).T
print("largest predicted response (events per second):", peaks.round(1).to_string(), sep="\n")

# %%
agreement = {}
if "truth" in models:
    for title, curves in panels.items():
        agreement[title] = float(np.corrcoef(curves["twin"], curves["truth"])[0, 1])
    print("correlation of twin and truth:", pd.Series(agreement).round(2).to_string(), sep="\n")

# %% [markdown]
# ## What does a cell like best?
#
# A recorded cell can be shown a few movies. A twin can be asked for *the* movie, of all that there are, that excites a cell
# most. It is found in a second, by climbing along the gradient of the response. Left, some of its frames before the end of
# the response that counts, red where they are brighter than grey and blue where they are darker. Right, the best description
# by one map and one time course for each color (in brackets: how much of the movie it explains), and the response.

# %%
best = most_exciting_inputs(model, session=session, neurons=favourite, seed=seed)
plots.show_most_exciting(best, title=f"{types[favourite]} ({favourite})");

# %% [markdown]
# In words:

# %%
Markdown(f"**{types[favourite]} ({favourite})**: {describe_most_exciting(best)}")

# %% [markdown]
# Would the *true* cell like it, too? Its largest response to this movie, to the spot and the bars, and to noise with the
# power of this movie (the mean of ten):

# %%
transfer = {}
if "truth" in models:
    cell = subject(models["truth"], session=session, neurons=favourite)
    noise = np.random.default_rng(seed).standard_normal((10, *best.stimuli.shape[1:])).astype(np.float32)
    noise *= np.linalg.norm(best.stimuli) / np.linalg.norm(noise.reshape(10, -1), axis=1)[:, None, None, None, None]
    for name, shown in {"its favourite": best.stimuli, "spot and bars": stimulus.frames[None], "noise": noise}.items():
        transfer[name] = float(screen.rate * cell.show(shown).max(axis=1).mean())
    print("largest response of the true cell (events per second):")
    print(pd.Series(transfer).round(1).to_string())

# %% [markdown]
# ## Now you
#
# Choose a cell, a stimulus, and drag: the response is redrawn as you do.

# %% tags=["thumbnail"]
explorer = widgets.explore_twin(model, truth=models.get("truth"))
explorer

# %% [markdown]
# ## Where to go next
#
# | | notebooks |
# |---|---|
# | **Make a twin** | [01 train one](01_train_a_twin.ipynb), [02 the classical models](02_classical_models.ipynb), [03 which core and readout](03_cores_and_readouts.ipynb), [14 parts of your own](14_custom_core_and_readout.ipynb) |
# | **Get data in** | [04 published datasets, and what can be wrong with them](04_datasets.ipynb), [05 your own recordings](05_your_own_data.ipynb) |
# | **Ask single cells** | [06 receptive fields](06_receptive_fields.ipynb), [07 most exciting inputs](07_most_exciting_inputs.ipynb), [09 tuning](09_tuning.ipynb), [10 context](10_gradients_and_context.ipynb), [11 phenomena and mechanisms](11_phenomena_and_mechanisms.ipynb) |
# | **Ask all of them** | [08 types](08_discriminative_stimuli_and_types.ipynb), [12 what the network has learned](12_sparse_features.ipynb), [13 populations and decoding](13_populations_and_decoding.ipynb) |
# | **Many runs** | [15 sweeps and searches](15_sweeps.ipynb) |
#
# Each notebook has a cell of parameters at its top, which you may edit, and which `retina-nb run` can set from a shell.

# %%
results = {
    "twin": twin,
    "session": session,
    "agreement": agreement,
    "steps": int(best.steps[0]),
    "transfer_to_truth": transfer,
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)

# %%
checks = []
if twin == "simulated" and session == "simulated_1" and neurons == [2, 9, 10, 4] and favourite == 9:
    checks = [
        ("correlation of twin and truth, worst cell", min(agreement.values()), ">= 0.9"),
        ("true cell: its favourite movie / spot and bars", transfer["its favourite"] / transfer["spot and bars"], "> 2"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Set `favourite = 4`, a direction-selective cell, and look for a moving bar in its favourite movie.
# - Show `stimuli.chirp(screen)` instead, which the twin has not seen either: which cells are fast, which are slow?
#
# **Further reading**: Höfling et al. 2024 (eLife 13:e86860), who found a type of cell with such a twin.
