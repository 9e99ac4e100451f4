# %% [markdown]
# # Which settings matter, and would another seed say the same?
#
# One training is an anecdote. A **sweep** runs a notebook with many parameters, several at once, and survives what goes
# wrong on the way; a **search** chooses the parameters itself. Both leave a folder for each run and one table.
#
# - **What you'll do**: sweep a small notebook over two retinas, two sizes of core and two seeds, meet runs that fail, fix
# the cause and resume the sweep, and search for good settings.
# - **What you'll learn**: to tell the effect of a setting from that of a seed, and what is lost when something breaks.
# - **What you need**: nothing else; a minute and a half on two CPU cores.

# %% tags=["parameters"]
widths = [1, 8]  # features of the core
seeds = [0, 1]  # of weights and of the order of batches
max_epochs = 10  # passes over the training data in each run
trials = 6  # of the search
workers = 2  # runs at once
output_dir = "runs/15_sweeps"  # where results go

# %%
import shutil
import time
from pathlib import Path

import nbformat

import retina_nb as rnb
from retina_nb import plots, widgets

started = time.perf_counter()
home = Path(output_dir).absolute()
shutil.rmtree(home / "sweep", ignore_errors=True)  # so that the story starts at its start
shutil.rmtree(home / "search", ignore_errors=True)

# %% [markdown]
# ## A notebook to run
#
# Any notebook of this series will do, on one laptop or a cluster. This one is small: it trains a twin of one retina and
# writes down how good it is. What a sweep needs is a cell of parameters, and `rnb.write_results` at the end.

# %%
small_twin = '''
# %% tags=["parameters"]
retina = 1  # which recording
folder = "."  # where recordings are
preset = "simulated_retina"
overrides = []
max_epochs = 10
seed = 0
output_dir = "runs/small_twin"

# %%
import retina_nb as rnb

recordings = rnb.load_recordings(f"{folder}/retina_{retina}.h5")
twin = rnb.build_twin(preset, recordings, overrides=overrides, seed=seed)
fit = rnb.fit(twin, recordings, max_epochs=max_epochs, seed=seed, **twin.config["training"])
rnb.write_results(output_dir, validation_correlation=fit.history["validation_correlation"].max())
'''
home.mkdir(parents=True, exist_ok=True)
notebook = home / "small_twin.py"
notebook.write_text(small_twin);


# %%
def record(retina):
    """What the second laboratory would send: recordings of another retina."""
    settings = {"sessions": 1, "cells_per_session": 12, "clips": 18, "test_clips": 1, "repeats": 2}
    recordings = rnb.load_recordings("simulated", seed=retina, **settings)
    return rnb.write_recordings(recordings, home / f"retina_{retina}.h5")


(home / "retina_2.h5").unlink(missing_ok=True)
record(1);

# %% [markdown]
# ## A sweep, half of which fails
#
# Every combination of the grid is a run. The recordings of the second retina have not arrived yet: its runs will fail.
# From a shell this is `retina-nb sweep small_twin.py -g retina=1,2 -g seed=0,1 ...`; `--dry-run` tells what would be run.

# %%
one_layer = ["core.temporal_kernel_sizes=[15]", "core.spatial_kernel_sizes=[9]"]
small = [*one_layer, "training.learning_rate=0.04"]
grid = {
    "retina": [1, 2],
    "overrides": [[*small, f"core.hidden_channels=[{width}]"] for width in widths],
    "seed": seeds,
}
same = {"folder": str(home), "max_epochs": max_epochs}
options = {"parameters": same, "grid": grid, "workers": workers}
first = rnb.sweep(notebook, home / "sweep", **options)

# %% [markdown]
# No run stopped another, and the summary says why each of them failed and where its notebook is: the executed cells up to
# the error, to look at.

# %%
failed = first[first["status"] == "failed"]
print(failed["error"].iloc[0])
document = nbformat.read(failed["notebook"].iloc[0], as_version=4)
print("cells that raised an error:", sum("error" in str(cell.get("outputs")) for cell in document.cells))
first[["status", "seconds", "retina", "seed", "validation_correlation"]]

# %% [markdown]
# ## Resuming
#
# The recordings arrive. The same call does what is not complete, and nothing twice: a complete run is known by the code
# of its notebook, its parameters and the version of the package. A killed worker, a lost scheduler or a dead battery
# would be taken up in the same way.

# %%
record(2)
runs = rnb.sweep(notebook, home / "sweep", **options)

# %%
complete = first[first["status"] == "complete"]
untouched = (runs.loc[complete.index, "started"] == complete["started"]).all()
print("runs that were complete were left alone:", "yes" if untouched else "no")

# %% [markdown]
# ## What matters
#
# A panel for each parameter. Lines join runs that differ in that parameter only; bars are the spread over seeds.
# Differences smaller than the bars are not evidence.

# %%
plots.show_sweep(runs);

# %%
plots.show_best_runs(runs);

# %% [markdown]
# To look into single runs, there is a table of them: sort it, keep only some rows, draw another result, and open the
# executed notebook of the run that is ringed. `widgets.browse_sweep` does so for any folder of runs, while they go on, too.

# %%
widgets.browse_sweep(home / "sweep")

# %% [markdown]
# ## A search
#
# More parameters than a grid can hold are better drawn: `rnb.search` lets Optuna choose them from a **space**, trial by
# trial, and prunes a trial whose training falls behind the others'. The study lies in the folder, so that several
# machines may work at it, and a search that was stopped goes on.

# %%
space = {
    "overrides": {
        "core.hidden_channels": [[4], [8], [12]],
        "core.dropout": {"low": 0.0, "high": 0.4},
        "training.learning_rate": {"low": 0.003, "high": 0.1, "log": True},
    }
}
found = rnb.search(
    notebook,
    home / "search",
    space,
    trials=trials,
    parameters={**same, "overrides": one_layer},
    workers=workers,
)

# %%
plots.show_parallel_coordinates(found);

# %% [markdown]
# A space for any preset comes with the package: what is worth changing in its core, its readout and its training.

# %%
from retina_nb.sweeps.space import default_space

for name, values in default_space("simulated_retina")["overrides"].items():
    print(f"{name}: {values}")

# %% [markdown]
# ## What we learned
#
# With the default parameters, eight features predict both retinas better than one does, by more than seeds differ. The
# failure cost the runs that met it, and no other.

# %%
name = "validation_correlation"
runs["width"] = runs["overrides"].map(lambda changes: int(changes[-1].split("[")[1].rstrip("]")))
means = runs.groupby(["retina", "width"])[name].agg(["mean", "std"])
gain = means["mean"].unstack("width").pipe(lambda table: table[max(widths)] - table[min(widths)])
results = {
    "runs": len(runs),
    "complete_at_first": int((first["status"] == "complete").sum()),
    "failed_at_first": len(failed),
    "complete": int((runs["status"] == "complete").sum()),
    "left_alone": bool(untouched),
    "gain_of_width": {f"retina_{retina}": value for retina, value in gain.items()},
    "spread_over_seeds": means["std"].median(),
    "trials": found["status"].value_counts().to_dict(),
    "best": found[name].max(),
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)

# %%
checks = [
    ("runs that failed at first, for want of data", results["failed_at_first"] / results["runs"], "0.5 to 0.5"),
    ("runs that are complete in the end", results["complete"] / results["runs"], ">= 1"),
    ("complete runs were left alone", untouched, "yes"),
]
if widths == [1, 8] and seeds == [0, 1] and max_epochs == 10:
    checks.append(("least gain of width / spread over seeds", gain.min() / results["spread_over_seeds"], "> 2"))
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Sweep notebook 01 in a shell: `retina-nb sweep notebooks/01_train_a_twin.ipynb -g seed=0,1,2 -p max_epochs 5`. Press
#   Ctrl-C on the way, and give the same command again.
# - Search for the settings of a preset overnight: `retina-nb search notebooks/01_train_a_twin.ipynb --trials 50`. Which
#   parameter could as well have been left alone?
#
# **Further reading**: Bergstra et al. 2011 (NeurIPS 24) for the search; Akiba et al. 2019 (KDD, arXiv:1907.10902) for
# Optuna; Bouthillier et al. 2021 (MLSys, arXiv:2103.03098) for why seeds belong into every comparison.
