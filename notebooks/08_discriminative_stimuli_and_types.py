# %% [markdown]
# # How many types are there, and which movie tells them apart?
#
# A most exciting movie says what one cell likes; others may like it as well. To know a cell's **type** in a minute of
# recording, one wants movies that excite one type and leave all others silent. Burg et al. (2024) find both at once:
# given groups of cells, the movies that tell them apart; given the movies, the groups; in turn until nothing
# moves.
#
# - **What you'll do**: move all cells to the middle of the screen, group them without being told how many groups there are,
# look at each group's movie, and try the movies on the true cells, spikes and all.
# - **What you'll learn**: how to compare cells that look at different places, what the contrastive objective is, when two
# groups are one, and how far a twin's movies can be trusted.
# - **What you need**: notebook 07 for the ascent; a minute on two CPU cores.

# %% tags=["parameters"]
twin = "simulated"  # a twin that comes with the package, or the path of one
cells = 0  # how many cells, from the first on; 0 for all
most = 20  # groups to start from
margin = 1.5  # two groups are one if neither's movie excites its own cells so much more than the other's
steps = 40  # of gradient ascent in each round
seed = 0  # fixes noise and starts
output_dir = "runs/08_discriminative_stimuli_and_types"  # where results go

# %%
import time

import numpy as np
import pandas as pd

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses import most_discriminative_stimuli
from retina_nb.analyses.populations import adjusted_rand_index
from retina_nb.analyses.stimulus_optimization import centred
from retina_nb.analyses.subjects import subject
from retina_nb.widgets import live

started = time.perf_counter()

# %%
model = rnb.load_twin(twin)
truth = rnb.load_truth() if twin == "simulated" else None
total = sum(model.about["neurons"].values())
neurons = list(range(cells or total))
types = truth.neurons()["type"].to_numpy()[neurons] if truth else np.full(len(neurons), "cell")
print(f"{len(neurons)} cells of {len(model.about['neurons'])} sessions, {len(set(types))} types planted")

# %% [markdown]
# ## The same cells in the same place
#
# Shown one movie, two cells of one type respond differently, because they look at different parts of it. But the core
# of a twin is a convolution: what it computes, it computes everywhere. So we may move every readout to the middle,
# and ask what each cell *would* say if it looked there. Correlations of responses to a minute of noise, before and after:

# %%
before, after = subject(model, neurons=neurons), subject(centred(model), neurons=neurons)
noise = np.random.default_rng(seed).standard_normal((4, model.stimulus_shape[0], 450, *model.stimulus_shape[1:]))
order = np.argsort(types, kind="stable")
correlations = {}
for name, one in (("where they look", before), ("moved to the middle", after)):
    traces = one.rates(noise.astype(np.float32)).reshape(-1, len(neurons))[:, order]
    correlations[name] = np.corrcoef(traces.T)
plots.show_similarity(correlations, types[order]);

# %% [markdown]
# On the left only neighbours correlate, whatever their type. On the right the types appear as blocks; those of similar
# types overlap.

# %% [markdown]
# ## Movies and groups in turn
#
# Start: more groups than we expect, by their responses to noise of different grain and pace (Ward's method). Then, in turn:
#
# 1. **Movies**: for each group $k$ ascend $r_k/\tau - \log \frac{1}{n}\sum_j \exp(r_j/\tau)$, where $r_j$ is the mean
#    response of group $j$, relative to the cells' largest. It is at most $\log n$: all response in one of $n$ groups.
# 2. **Cells** go to the group whose responses to all movies theirs are most like.
# 3. **Groups become one** if the movies that were made to tell them apart do not, on cells that were held out.

# %%
found = most_discriminative_stimuli(model, neurons=neurons, most=most, margin=margin, steps=steps, seed=seed)
found.rounds.round(2)

# %%
table = found.to_dataframe().assign(type=types)
majority = table.groupby("cluster")["type"].agg(lambda one: one.mode()[0])
names = [f"{number}: {majority[number]}" for number in range(len(found.stimuli))]
print(f"{len(found.stimuli)} groups")
plots.show_groups(found, names);

# %% [markdown]
# Every row is a movie, every column a cell. The bright blocks on the diagonal are what was asked for; what is left beside
# them shows which types are hard to tell apart.

# %% [markdown]
# ## The movies
#
# Each group's movie in its strongest frame, and its course in time. Compare with the favourite movies of notebook 07:
# here a movie says how a type **differs** from the others.

# %%
plots.show_group_stimuli(found, names);

# %% [markdown]
# Drag the contrast of a movie, shown to each cell in its middle: when do other types begin to respond?

# %%
def responses_to(movie=0, contrast=1.0):
    """The response of every cell to one group's movie, by type."""
    rates = after.rates(contrast * found.stimuli[[movie]])[0, -found.length :].mean(axis=0)
    return plots.show_by_type(pd.Series(rates) * found.rate, types, xlabel=f"events per second to the movie of {names[movie]}")


live(responses_to, movie={name: number for number, name in enumerate(names)}, contrast=(0.0, 2.0, 0.1))

# %% [markdown]
# ## Are the groups the types?

# %%
rand = None
if truth:
    rand = adjusted_rand_index(types, found.cluster)
    print(pd.crosstab(table["type"], table["cluster"]).to_string())
    print(f"\nadjusted Rand index with the planted types: {rand:.3f} (1: the same, 0: chance)")

# %% [markdown]
# How sure are we of the number? Another seed draws other noise, other starts and other halves. And if we are told the number
# of types, what then?

# %%
other = most_discriminative_stimuli(model, neurons=neurons, most=most, margin=margin, steps=steps, seed=seed + 1)
stability = adjusted_rand_index(found.cluster, other.cluster)
print(f"another seed: {len(other.stimuli)} groups, adjusted Rand index with the first {stability:.3f}")
rand_given = None
if truth and len(set(types)) > 1:
    given = most_discriminative_stimuli(model, neurons=neurons, clusters=len(set(types)), steps=steps, seed=seed)
    rand_given = adjusted_rand_index(types, given.cluster)
    print(f"told that there are {len(set(types))}: adjusted Rand index {rand_given:.3f}")

# %% [markdown]
# On the truth itself, where cells of a type differ only in their position, the exact types come out (`make truth`). A type
# that is split was learned differently for some of its cells, from noisy data: a split says as much about the twin as about
# the retina. An ensemble of twins would tell.

# %% [markdown]
# ## The test that counts: type true cells with these movies
#
# Would the movies work in an experiment? We show them to the **true** cells, each movie in the middle of each cell's
# receptive field, count Poisson spikes in the ten bins of a few repeats, and give each cell the group whose mean
# response it is most like.

# %%
typed = {}
if truth:
    expected = subject(centred(truth), neurons=neurons).rates(found.stimuli)[:, -found.length :].sum(axis=1)
    rng = np.random.default_rng(seed)
    member = np.eye(len(found.stimuli))[found.cluster]
    for repeats in (1, 3, 10, 30):
        counts = rng.poisson(repeats * expected) / repeats
        scaled = counts / np.maximum(np.linalg.norm(counts, axis=0), 1e-9)
        # A cell is compared with the others: groups' means leave it out.
        means = np.stack([scaled @ member - scaled[:, [cell]] * member[cell] for cell in range(len(neurons))])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
        nearest = np.einsum("csk,sc->ck", means, scaled).argmax(axis=1)
        typed[repeats] = float(np.mean(majority.to_numpy()[nearest] == types))
    seconds_each = found.stimuli.shape[2] / found.rate
    print(f"{len(found.stimuli)} movies of {seconds_each:.1f} s; part of the true cells that get their own type:")
    for repeats, part in typed.items():
        print(f"  {repeats:2d} repeats ({repeats * len(found.stimuli) * seconds_each:4.0f} s): {part:.0%}")

# %% [markdown]
# ## What we learned
#
# - Cells are compared in one place: a convolutional core makes that exact for a twin.
# - Stimuli and groups are found together, and the number of groups with them, by asking of each pair whether any movie
#   tells them apart.
# - Movies found on a twin type the true cells; with the default parameters, less than a minute of recording is enough.

# %%
results = {
    "twin": twin,
    "neurons": len(neurons),
    "groups": len(found.stimuli),
    "score": float(found.scores.mean()),
    "highest_score": float(np.log(len(found.stimuli))),
    "adjusted_rand": rand,
    "adjusted_rand_number_given": rand_given,
    "stability": stability,
    "true_cells_typed": typed,
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)

# %%
checks = []
if twin == "simulated" and not cells and most == 20 and margin == 1.5 and steps >= 40:
    checks = [
        ("adjusted Rand index with the planted types", rand, ">= 0.8"),
        ("the same, their number given", rand_given, ">= 0.8"),
        ("adjusted Rand index of two seeds", stability, ">= 0.8"),
        ("true cells that get their own type in one repeat", typed[1], ">= 0.8"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Raise `margin` to 2.5: which types become one first, and do their movies explain why?
# - Give a clustering that you know (`start=`, e.g. by responses to a chirp) to `most_discriminative_stimuli`: which of its
#   groups survive?
#
# **Further reading**: Burg et al. 2024 (ICLR, "Most discriminative stimuli for functional cell type clustering"); Baden et
# al. 2016 (Nature 529:345) for types by chirps and bars; Hubert & Arabie 1985 (J. Classif. 2:193) for the adjusted Rand
# index.
