# %% [markdown]
# # Does the twin show what retinas are known for?
#
# Retinas do things that a camera does not: they see moving bars ahead of where they are, fire when a flash is missing, turn
# down their gain when contrast is high. Maheswaranathan et al. (2023) asked whether a network that learned from natural scenes
# alone does the same, without having seen a single flash. Here a twin is asked, and so is the **truth**, the simulated retina
# that it learned from. (The default twin was trained on natural scenes, white noise, bars, gratings and full-field flicker,
# but on no spot, no pair of flashes and no train of them.) From the truth, parts can be taken out: then one sees which part
# makes a phenomenon.
#
# - **What you'll do**: score nine phenomena in every cell, compare twin and truth, and take parts out of the circuit.
# - **What you'll learn**: how each phenomenon is defined as a number, what makes it, and that a good model also must *not* show
# what its retina does not do.
# - **What you need**: notebooks 01 and 09; a minute on two CPU cores.

# %% tags=["parameters"]
twin = "simulated"  # a published twin, or the file of one
session = "simulated_1"  # whose cells
neurons = 24  # how many of them, the first ones; 0 for all
seed = 0  # fixes noise, textures and the search for receptive fields
output_dir = "runs/11_phenomena_and_mechanisms"  # where results go

# %%
import copy
import time

import numpy as np
import pandas as pd

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses import find_centers, phenomena
from retina_nb.analyses.subjects import subject
from retina_nb.loaders.simulated.cells import CELL_TYPES
from retina_nb.widgets import live

started = time.perf_counter()

# %% [markdown]
# ## The cells
#
# Most stimuli are shown where a cell looks: in the simulated retina where the truth says, otherwise where the cell's gradient
# is largest.

# %%
model = rnb.load_twin(twin)
truth = rnb.load_truth() if twin == "simulated" else None
chosen = {"session": session, "neurons": range(neurons) if neurons else None}
watched = subject(model, **chosen)
if truth:
    cells = truth.neurons(session).iloc[watched.neurons].reset_index(drop=True)
    places = cells[["y", "x"]].to_numpy()
else:
    cells = watched.table().assign(type=session)
    places = find_centers(watched, seed=seed)
groups = [kind[:9] if kind.startswith("ON-OFF") else kind for kind in cells["type"]]
names = list(dict.fromkeys(groups))
models = {"twin": model} | ({"truth": truth} if truth else {})


def shown(*wanted):
    """Those of the groups that there are."""
    return [name for name in wanted if name in names] or names[:4]


def ask(experiment, local=True, **options):
    """An experiment on the twin, and on the truth where there is one."""
    options = {**chosen, **({"centers": places, "seed": seed} if local else {}), **options}
    return {name: experiment(one, **options) for name, one in models.items()}


found = {}
print(f"{len(cells)} cells of {len(names)} types")

# %% [markdown]
# ## Frequency doubling: subunits
#
# A grating stands in place and its contrast reverses twice a second. A cell that adds up light has a **null phase** at which
# bright and dark cancel. A cell that adds up *rectified* subunits responds there to both reversals, at twice the frequency: the
# X and Y cells of Hochstein & Shapley (1976). The score is F2 / (F2 + max F1): 0 for linear cells.

# %%
found["frequency doubling"] = ask(phenomena.frequency_doubling, local=False)
plots.show_phenomenon(
    found["frequency doubling"]["twin"],
    groups,
    shown=shown("ON sustained", "ON transient", "OFF alpha", "ON-OFF DS"),
    truth=found["frequency doubling"].get("truth"),
);

# %% [markdown]
# ## Contrast adaptation: gain control
#
# The contrast of a grating follows Gaussian noise, weak or strong. Divided by the filter's output, does the response keep its
# gain? The score is 1 - g, the gain lost at high contrast (Baccus & Meister 2002). Cells that respond to both polarities have
# no filter, and no score.

# %%
found["contrast adaptation"] = ask(phenomena.contrast_adaptation, local=False, seed=seed)
found["contrast adaptation"]["twin"].to_dataframe().groupby(np.asarray(groups))[["gain", "explained"]].median().round(2)

# %% [markdown]
# ## Paired flashes and latency
#
# A flash lowers the response to a second one, 0.2 s later: 1 - second / first. And a stronger flash is answered earlier, so
# that the time of the first spike alone tells contrast (Gollisch & Meister 2008): milliseconds per doubling of contrast.

# %%
found["paired-flash suppression"] = ask(phenomena.paired_flash_suppression)
found["latency advance (ms)"] = ask(phenomena.latency_coding)
plots.show_phenomenon(
    found["latency advance (ms)"]["twin"],
    groups,
    shown=shown("ON sustained", "ON transient", "OFF sustained", "OFF transient"),
    truth=found["latency advance (ms)"].get("truth"),
    seconds=(-0.05, 0.5),
    conditions="contrast",
);

# %% [markdown]
# Drag the second flash towards the first, and make both stronger or larger.

# %%
few = [groups.index(name) for name in shown("ON sustained", "ON transient", "OFF sustained", "OFF transient")]


def two_flashes(interval=0.2, contrast=1.0, diameter=200.0):
    """Responses of one cell of each group to one flash and to two, of the twin and of the truth."""
    options = {"session": session, "neurons": watched.neurons[few], "centers": places[few], "seed": seed}
    options |= {"interval": interval, "contrast": contrast, "diameter": diameter}
    asked = {name: phenomena.paired_flash_suppression(one, **options) for name, one in models.items()}
    kinds_of_few = [groups[cell] for cell in few]
    return plots.show_phenomenon(asked["twin"], kinds_of_few, shown=kinds_of_few, truth=asked.get("truth"))


live(two_flashes, interval=(0.1, 0.8, 0.05), contrast=(0.2, 2.0, 0.1), diameter=(50.0, 800.0, 50.0))

# %% [markdown]
# ## The omitted stimulus
#
# A train of flashes stops. Some cells fire although nothing happened: because nothing happened (Schwartz et al. 2007). The score
# is that response as a part of the cell's largest. Time 0 is when the missing flash was due.

# %%
found["omitted stimulus"] = ask(phenomena.omitted_stimulus_response)
plots.show_phenomenon(
    found["omitted stimulus"]["twin"],
    groups,
    shown=shown("ON sustained", "ON transient", "OFF transient", "OFF alpha"),
    truth=found["omitted stimulus"].get("truth"),
    seconds=(-0.8, 0.5),
    conditions="a flash every",
)
timing = {name: float(np.nanmedian(one.measures["timing"])) for name, one in found["omitted stimulus"].items()}
print("seconds later per second of period (1: the cell knows when):", pd.Series(timing).round(2).to_string(), sep="\n")

# %% [markdown]
# The cells of a salamander respond when the flash was *due*: one second later for each second of period. A number near 0
# means that cells respond to the end of the train, as a biphasic filter must.
#
# ## Motion: ahead of the bar
#
# A bar crosses the cell, or is flashed where it is half way. If the peak comes earlier after the middle of the moving bar is on
# the cell than after the flash, motion is **anticipated** (Berry et al. 1999). Time 0 is when the bar's middle is on the cell.

# %%
found["anticipation (ms)"] = ask(phenomena.motion_anticipation)
plots.show_phenomenon(
    found["anticipation (ms)"]["twin"],
    groups,
    shown=shown("ON sustained", "OFF sustained", "ON transient", "OFF transient"),
    truth=found["anticipation (ms)"].get("truth"),
    seconds=(-0.5, 0.5),
);

# %% [markdown]
# ## What should not be there
#
# A response to the **reversal** of motion itself, the preference of **object motion** cells for an object that moves against its
# background, and a **polarity** that turns when the periphery shifts: they need circuits that the simulated retina has not. A
# score of 0 is the right answer. (Reversal is scored 0 if the peak follows the bar's return, 1 if it follows the reversal;
# direction-selective cells and fast cells with gain control do not simply follow the bar.)

# %%
found["reversal"] = ask(phenomena.motion_reversal_response)
found["object motion"] = ask(phenomena.object_motion_sensitivity)
found["polarity reversal"] = ask(phenomena.polarity_reversal)

# %% [markdown]
# ## All scores
#
# A dot is a cell of the twin, a green line the median of the true cells of its type.

# %%
scores = {name: pd.DataFrame({key: one[name].score for key, one in found.items()}) for name in models}
first = [*found][:5]
plots.show_indices(scores["twin"][first], groups, scores["truth"][first] if truth else None);

# %%
second = [*found][5:]
plots.show_indices(scores["twin"][second], groups, scores["truth"][second] if truth else None);

# %% [markdown]
# Cell by cell, where cells differ:

# %%
agreement = {}
if truth:
    pairs = {
        name: (scores["truth"][name].to_numpy(), scores["twin"][name].to_numpy())
        for name in ("frequency doubling", "paired-flash suppression", "omitted stimulus", "anticipation (ms)")
    }
    agreement = {
        name: float(pd.Series(true).corr(pd.Series(of_twin), method="spearman")) for name, (true, of_twin) in pairs.items()
    }
    plots.show_agreement(pairs)

# %% [markdown]
# ## Which part makes it?
#
# In the truth a part can be taken out of every cell: gain control (`gain_control` = 0) or the rectification of subunits
# (`rectified` = 0). The cells are asked again.

# %%
experiments = {
    "frequency doubling": (phenomena.frequency_doubling, False),
    "contrast adaptation": (phenomena.contrast_adaptation, False),
    "paired-flash suppression": (phenomena.paired_flash_suppression, True),
    "anticipation (ms)": (phenomena.motion_anticipation, True),
}
kinds = [CELL_TYPES.get(kind) for kind in cells["type"]]
controlled = np.array([kind is not None and kind.gain_control > 0 for kind in kinds])
without = {}
if truth:
    for part in ("gain_control", "rectified"):
        changed = copy.deepcopy(truth)
        getattr(changed, part).zero_()
        for name, (experiment, local) in experiments.items():
            options = chosen | ({"centers": places} if local else {})
            without[name, part] = experiment(changed, **options).score
    rows = {
        name: {"whole": np.nanmedian(scores["truth"][name][controlled])}
        | {f"without {part}": np.nanmedian(without[name, part][controlled]) for part in ("gain_control", "rectified")}
        for name in experiments
    }
    removed = pd.DataFrame(rows).T
removed.round(2) if truth else None

# %% [markdown]
# Medians of the cells with gain control. With the default parameters, nothing doubles without rectification; without gain
# control nothing adapts, and half of the anticipation is gone. Paired flashes, often taken for a sign of adaptation, hardly
# change: most of the suppression is the second lobe of a biphasic filter.
#
# ## What we learned
#
# With the default parameters:
#
# - The twin has learned which cells double frequencies, anticipate motion and answer an omitted flash, and has no
#   object motion cells, as its retina has none.
# - It is less certain of how much: its transient cells double half as much as the true ones, its direction-selective cells
#   suppress a second flash too much and anticipate too little, and its ON transient cells do not adapt to contrast at all.
#
# And always:
#
# - A phenomenon with a name need not have a mechanism of its own: a response to an omitted flash is no memory of the period
#   unless its time follows the period.

# %%
results = {
    "twin": twin,
    "neurons": len(cells),
    "medians": {name: {key: float(np.nanmedian(table[key])) for key in table} for name, table in scores.items()},
    "timing_of_the_omitted": timing,
    "agreement": agreement,
    "without": {f"{name}, {part}": float(np.nanmedian(one[controlled])) for (name, part), one in without.items()},
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)
pd.concat([watched.table().assign(type=cells["type"]), scores["twin"]], axis=1).to_csv(
    f"{output_dir}/phenomena.csv", index=False
)

# %%
checks = []
if twin == "simulated" and session == "simulated_1" and neurons == 24:
    linear = np.array([kind is not None and not kind.nonlinear for kind in kinds])
    of_truth, of_twin = scores["truth"], scores["twin"]
    doubling, adaptation, early = "frequency doubling", "contrast adaptation", of_twin["anticipation (ms)"]
    absent = of_twin[["object motion", "polarity reversal"]].abs().median().max()
    checks = [
        ("frequency doubling, truth: median of linear cells", of_truth[doubling][linear].median(), "< 0.05"),
        ("frequency doubling, truth: least of the others", of_truth[doubling][~linear].min(), "> 0.5"),
        ("frequency doubling, twin: median of linear cells", of_twin[doubling][linear].median(), "< 0.3"),
        ("frequency doubling, twin: median of the others", of_twin[doubling][~linear].median(), "> 0.3"),
        ("adaptation, truth: least with gain control", of_truth[adaptation][controlled].min(), "> 0.1"),
        ("adaptation, truth: most of linear cells", of_truth[adaptation][linear].max(), "< 0.1"),
        ("adaptation without gain control", np.nanmedian(without[adaptation, "gain_control"][controlled]), "< 0.05"),
        ("frequency doubling without rectification", np.nanmax(without[doubling, "rectified"]), "< 0.1"),
        ("anticipation, twin: gain control beyond linear (ms)", early[controlled].min() - early[linear].max(), "> 0"),
        ("what should not be there, twin: largest median", absent, "< 0.1"),
        ("twin and truth cell by cell: least rank correlation", min(agreement.values()), ">= 0.5"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Take out `inhibition` instead. Which phenomena of the direction-selective cells change, and which do not?
# - Does `phenomena.omitted_stimulus_response(..., periods=(0.2, 0.3, 0.4))` still find a response in the transient cells? When
#   does each flash get a response of its own?
#
# **Further reading**: Maheswaranathan et al. 2023 (Neuron 111:2742) for phenomena in models of natural scenes; Hochstein & Shapley
# 1976 (J. Physiol. 262:265) for X and Y cells; Baccus & Meister 2002 (Neuron 36:909) for contrast adaptation; Schwartz et al. 2007
# (Nat. Neurosci. 10:552) for the omitted stimulus and (Neuron 55:958) for reversals; Berry et al. 1999 (Nature 398:334) for
# anticipation; Ölveczky et al. 2003 (Nature 423:401) for object motion; Gollisch & Meister 2008 (Science 319:1108) for latencies;
# Geffen et al. 2007 (PLoS Biol. 5:e65) for polarity.
