# %% [markdown]
# # What is each cell's favourite movie?
#
# A recording shows a cell a few minutes of movies; a twin can be shown any. So we may turn the question round: of all
# movies that can be made with so much contrast, which one excites a cell **most**? The answer is found by gradient
# ascent, from noise, and shows in one picture what a cell computes: where it looks, what colour and polarity it
# likes, how fast, and which way things should move.
#
# - **What you'll do**: find the most exciting inputs of twelve cells, one of each type, hold them to different constraints,
# look inside the core, and try the movies on the true cells.
# - **What you'll learn**: when such a stimulus is a filter, what constraints do to it, and when it can be trusted.
# - **What you need**: notebook 01 for twins; half a minute on two CPU cores.

# %% tags=["parameters"]
twin = "simulated"  # a twin that comes with the package, or the path of one
session = "simulated_1"  # whose cells
cells = 12  # how many of them, from the first on
seeds = 2  # random starts for each cell
steps = 60  # of gradient ascent at most
norm = 10.0  # L2 norm of the stimuli over all frames, pixels and channels: the contrast to be spent
seed = 0  # of the first start
output_dir = "runs/07_most_exciting_inputs"  # where results go

# %%
import time

import numpy as np
import pandas as pd
from IPython.display import Markdown

import retina_nb as rnb
from retina_nb import plots
from retina_nb.analyses import Constraint, most_exciting_features, most_exciting_inputs, motion_direction
from retina_nb.analyses.descriptions import describe_most_exciting
from retina_nb.widgets import steer_mei

started = time.perf_counter()

# %%
model = rnb.load_twin(twin)
truth = rnb.load_truth() if twin == "simulated" else None
neurons = list(range(min(cells, model.about["neurons"][session])))
types = truth.neurons(session)["type"].to_numpy()[neurons] if truth else np.array([f"cell {n}" for n in neurons])
print(f"{len(neurons)} cells of {session}, stimuli of (channel, height, width) {model.stimulus_shape}, lag {model.lag} bins")

# %% [markdown]
# ## Climbing
#
# Every cell starts from the same noise. Each step changes the movie along the gradient of the cell's response in ten
# bins, then scales it back to its norm: contrast is a budget. All cells and starts climb side by side in one batch,
# and rows that have converged are no longer computed. A step that does not help is taken back and tried
# shorter, so that what we keep is always the best that was met.

# %%
made = most_exciting_inputs(
    model, session=session, neurons=neurons, seeds=seeds, steps=steps, constraints=Constraint(norm=norm), seed=seed
)
by_row = types[made.to_dataframe()["neuron"]]
plots.show_ascent(made, by_row);

# %%
best = made.best()
best.to_dataframe().assign(type=types)[["type", "score", "start", "steps", "converged"]].round(3)

# %% [markdown]
# The movies of four cells: frames before the end (left), the best description by one map and one time course (in brackets:
# how much of the movie it explains), and the response, of which the shaded bins counted.

# %%
drawn = [name for name in (("ON sustained", "OFF alpha", "colour opponent", "ON-OFF DS right") if truth else types[:4]) if name in types]
drawn = {name: int(np.flatnonzero(types == name)[0]) for name in drawn or types[:4]}
for name, row in drawn.items():
    plots.show_most_exciting(best, row, title=name)

# %% [markdown]
# In words:

# %%
Markdown("\n".join(f"- **{name}**: {describe_most_exciting(best, row)}" for name, row in drawn.items()))

# %% [markdown]
# Watch it yourself: `From noise` starts again, and what you change while it climbs holds from the next step on.

# %%
steered = steer_mei(model, session=session, neuron=neurons[len(neurons) // 3], constraint=Constraint(norm=norm), seed=seed)
steered

# %% [markdown]
# ## When it is a filter
#
# A cell that weighs the stimulus by one filter and bends the sum responds most to its own filter, whatever the bend.
# For a single bin to count, the most exciting movie of such a cell *is* its filter. The simulated retina has three
# such types, so that we can check both the method (on the truth itself) and the twin.

# %%
filter_cosine = {}
if truth:
    table = truth.neurons()
    linear = np.flatnonzero(~table["nonlinear"]).tolist()
    fields = truth.receptive_field()[linear].numpy()
    size = np.linalg.norm(fields.reshape(len(fields), -1), axis=1)
    rows = {}
    for name, one in (("truth", truth), ("twin", model)):
        for contrast in (2.0, norm):
            single = most_exciting_inputs(one, neurons=linear, length=1, constraints=Constraint(norm=contrast), seed=seed)
            shown = single.stimuli[:, :, -fields.shape[2] :]
            cosine = (shown * fields).sum(axis=(1, 2, 3, 4)) / size / np.linalg.norm(shown.reshape(len(shown), -1), axis=1)
            filter_cosine[f"{name}, norm {contrast:g}"] = float(np.median(cosine))
            rows[f"{name}, norm {contrast:g}"] = pd.Series(cosine).groupby(table["type"][linear].to_numpy()).median()
    print("cosine of the most exciting input with the true filter, median over cells of a type:")
    print(pd.DataFrame(rows).round(3).to_string())

# %% [markdown]
# On the truth the filter comes out exactly. The twin's answer is as good as the twin is, and (with the default twin) best at
# a contrast like that of the movies it was trained on: **more contrast asks the twin about movies that it has never seen**.

# %% [markdown]
# ## Which way it should move
#
# Direction-selective cells have no filter that would tell their direction: they like light and dark alike. Their most
# exciting movie tells. In a picture of time against place, motion is a slant.

# %%
degrees = {name: {"right": 0, "up": 90, "left": 180, "down": 270}[name.split()[-1]] for name in types if " DS " in name}
moving = {name: best.stimuli[int(np.flatnonzero(types == name)[0])] for name in degrees}
if moving:
    plots.show_space_time(moving, best.rate, axis={name: "x" if degrees[name] % 180 == 0 else "y" for name in moving})


# %% [markdown]
# The direction as a number: every Fourier component of a movie moves one way; the power-weighted mean of all components'
# velocities is the way the movie moves.

# %%
direction_error = {
    name: float(abs((motion_direction(movie) - degrees[name] + 180) % 360 - 180)) for name, movie in moving.items()
}
if direction_error:
    print("error of the direction of motion (degrees):", pd.Series(direction_error).round().to_string(), sep="\n")

# %% [markdown]
# ## What constraints do
#
# A norm alone allows frames that flicker and pixels that no optics would pass. One ascent takes any number of constraints
# side by side: smooth movies (cosines up to 8 Hz and 5 cycles per mm), a limited range as on a projector, grey
# outside 200 µm around the place the cell looks at, and few pixels in few frames (sparse). The strongest frame of each:

# %%
constraints = {
    "norm": Constraint(norm=norm),
    "smooth": Constraint(norm=norm, time_cutoff=8, space_cutoff=5),
    "range": Constraint(norm=norm, low=-0.5, high=0.5),
    "confined": Constraint(norm=norm, radius_um=200),
    "sparse": Constraint(norm=norm, sparsity=0.95),
}
held = most_exciting_inputs(
    model, session=session, neurons=neurons[:6], constraints=constraints, steps=steps, seed=seed
)
scores = held.to_dataframe()
relative = scores.pivot(index="neuron", columns="constraint", values="score")[list(constraints)]
relative = relative.div(relative["norm"], axis=0).set_index(types[:6])
print("response relative to the norm alone:")
print(relative.round(2).to_string())

# %% tags=["thumbnail"]
def strongest(movie):
    """(height, width): the frame with the most contrast of any channel."""
    channel, frame = np.unravel_index((movie**2).sum(axis=(2, 3)).argmax(), movie.shape[:2])
    return movie[channel, frame]


panels = {}
for neuron in (0, 2, 5):
    movies = held.stimuli[(scores["neuron"] == neuron).to_numpy()]
    if len(movies):
        panels[types[neuron]] = dict(zip(constraints, map(strongest, movies), strict=True))
plots.show_maps(panels);

# %% [markdown]
# What a constraint costs says how much the cell cares for what it takes away.

# %% [markdown]
# ## Does the start matter?
#
# For a linear cell there is one top, and every start finds it. Cells with rectified subunits have many: the same
# movie a little earlier, or to the side. How much do the movies of different starts have in common, as they are, and once
# they are moved by up to five bins and three pixels to fit best?

# %%
everyone = most_exciting_inputs(model, seeds=2, steps=steps, constraints=Constraint(norm=norm), seed=seed)
diversity = everyone.diversity()
kinds = truth.neurons()["type"].to_numpy() if truth else diversity["session"].to_numpy()
plots.show_by_type(diversity["correlation"], kinds, xlabel="correlation of two starts' movies")
plots.show_by_type(diversity["aligned"], kinds, xlabel="correlation, moved to fit best", reference=1);

# %% [markdown]
# Are the tops equally high? Standard deviation of the scores over their mean, median over cells:

# %%
print(f"spread of the score over starts: {diversity['score_spread'].median():.2%}")

# %% [markdown]
# ## What the core looks for
#
# Hidden units have favourites as well: each feature of the core, in the middle of its map. All cells are made of these.

# %%
features = most_exciting_features(model, length=1, steps=steps, constraints=Constraint(norm=norm), seed=seed)
maps = {f"feature {feature}": strongest(features.stimuli[row]) for row, feature in enumerate(features.table["feature"][:8])}
plots.show_maps({"strongest\nframe": maps}, side=1.2);

# %% [markdown]
# ## What silences a cell
#
# The same ascent downhill: the movie that the cell likes least. Cells that rest at a rate of nothing cannot be silenced;
# those that any change suppresses can, and their "most exciting" movie hides its contrast where they do not look.

# %%
least = most_exciting_inputs(
    model, session=session, neurons=neurons, suppress=True, steps=steps, constraints=Constraint(norm=norm), seed=seed
)
grey = np.zeros((1, model.stimulus_shape[0], model.lag + 10, *model.stimulus_shape[1:]), dtype=np.float32)
at_rest = rnb.analyses.subjects.subject(model, session=session, neurons=neurons).rates(grey).mean(axis=1)[0]
rates = pd.DataFrame({"least": least.scores, "grey screen": at_rest, "most": best.scores}, index=types)
(rates * best.rate).round(1).rename_axis("events per second")

# %% [markdown]
# ## The test that counts: show them to the real cells
#
# A movie that excites a model may exploit the model's faults. In the laboratory it would be shown to the recorded cells
# (Walker et al. 2019); here, to the truth. How much of the response to the true cells' own favourite movie does the
# twin's get? And how much do movies that fit another cell of the population get?

# %%
transfer = {}
if truth:
    own = most_exciting_inputs(
        truth, session=session, neurons=neurons, seeds=seeds, steps=steps, constraints=Constraint(norm=norm), seed=seed
    ).best()
    cells_truth = rnb.analyses.subjects.subject(truth, session=session, neurons=neurons)
    shown = cells_truth.rates(best.stimuli)[:, -10:].mean(axis=1)  # (movie, cell)
    noise = np.random.default_rng(seed).standard_normal((20, *best.stimuli.shape[1:])).astype(np.float32)
    noise *= norm / np.linalg.norm(noise.reshape(len(noise), -1), axis=1)[:, None, None, None, None]
    table = pd.DataFrame(
        {
            "twin's movie": np.diag(shown) / own.scores,
            "other cells' movies": (shown.sum(axis=0) - np.diag(shown)) / (len(shown) - 1) / own.scores,
            "noise": cells_truth.rates(noise)[:, -10:].mean(axis=(0, 1)) / own.scores,
        },
        index=types,
    )
    transfer = table.median().to_dict()
    print("response of the true cells, relative to that to their own most exciting movie:")
    print(table.round(2).to_string())

# %% [markdown]
# ## What we learned
#
# - The most exciting input of a linear cell is its filter; for other cells it shows what a filter cannot: motion, flicker.
# - Constraints are part of the question. With more contrast than the twin has seen, the answer is the twin's alone.
# - Movies from different starts differ although they are equally good; compare them after moving them together.

# %%
results = {
    "twin": twin,
    "neurons": len(neurons),
    "converged": float(made.converged.mean()),
    "steps": float(np.median(made.steps)),
    "filter_cosine": filter_cosine,
    "direction_error": direction_error,
    "relative_score": relative.median().to_dict(),
    "correlation_of_starts": diversity["correlation"].groupby(kinds).median().to_dict(),
    "aligned_correlation_of_starts": diversity["aligned"].groupby(kinds).median().to_dict(),
    "transfer_to_truth": transfer,
    "seconds": time.perf_counter() - started,
}
path = rnb.write_results(output_dir, **results)

# %%
checks = []
if twin == "simulated" and session == "simulated_1" and cells == 12 and steps >= 60 and norm == 10:
    checks = [
        ("linear cells of the truth: cosine with the filter", filter_cosine["truth, norm 2"], ">= 0.99"),
        ("linear cells of the twin: cosine with the filter", filter_cosine["twin, norm 2"], ">= 0.95"),
        ("direction of motion: largest error (degrees)", max(direction_error.values()), "< 45"),
        ("true cells: response to the twin's movie / to their own", transfer["twin's movie"], "> 0.7"),
        ("the same, other cells' movies", transfer["other cells' movies"], "< 0.2"),
        ("the same, noise", transfer["noise"], "< 0.1"),
    ]
rnb.verdicts(path, checks)

# %% [markdown]
# ## On your own
#
# - Set `norm = 2`: which cells' movies become more alike between starts, and between twin and truth?
# - Train five twins (notebook 01 with other seeds) and give `rnb.Ensemble(twins)` to `most_exciting_inputs`: do their
#   movies excite the true cells more?
#
# **Further reading**: Walker et al. 2019 (Nat. Neurosci. 22:2060) and Bashivan, Kar & DiCarlo 2019 (Science 364:eaav9436)
# for most exciting images; Höfling et al. 2024 (eLife 13:e86860) for the mouse retina, where they revealed a cell type
# that detects transitions between ground and sky.
