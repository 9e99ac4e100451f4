"""Figures of how training went and how well models predict."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from retina_nb.plots.style import BASELINE, CEILING, RECORDED, TRUTH, TWIN, figure


def show_learning_curve(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Loss and validation correlation by epoch; the epoch whose weights were kept is marked."""
    made, (left, right) = figure(1, 2, size=(7.5, 2.6))
    epoch = history["epoch"] + 1
    left.plot(epoch, history["loss"], "o-", ms=3, color=RECORDED, label="training")
    left.plot(epoch, history["validation_loss"], "o-", ms=3, color=TWIN, label="validation")
    left.set(xlabel="epoch", ylabel="Poisson loss")
    left.legend(frameon=False)
    right.plot(epoch, history["validation_correlation"], "o-", ms=3, color=TWIN)
    right.axvline(best_epoch + 1, color=CEILING, zorder=0)
    right.set(xlabel="epoch", ylabel="validation correlation\n(single trials)")
    right.set_title("grey line: the epoch that was kept", loc="right", fontsize=9)
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return made


def show_scores(scores: pd.DataFrame, metric: str = "cc_norm", ceiling: str | None = None) -> Figure:
    """Twin against baseline neuron by neuron, and all neurons sorted with confidence intervals.

    Args:
        scores: from `retina_nb.evaluate`.
        metric: the score to show; intervals are drawn if the table has them.
        ceiling: column of each neuron's ceiling; 1 if None.
    """
    made, (left, right) = figure(1, 2, size=(7.5, 3.3), width_ratios=[1, 1.4])
    twin, baseline = scores[metric], scores[f"linear_nonlinear_{metric}"]
    low = min(0, np.nanmin(twin), np.nanmin(baseline))
    left.plot([low, 1], [low, 1], color=CEILING, zorder=0)
    marked = scores["nonlinear"].astype(bool) if "nonlinear" in scores else pd.Series(True, index=scores.index)
    left.scatter(baseline[~marked], twin[~marked], s=18, facecolor="none", edgecolor=TWIN, label="linear cells")
    left.scatter(baseline[marked], twin[marked], s=18, color=TWIN, lw=0, alpha=0.7, label="nonlinear cells")
    if "nonlinear" in scores:
        left.legend(frameon=False, fontsize=8, loc="lower right")
    name = metric.replace("cc_norm", "CC_norm")
    left.set(xlabel=f"linear-nonlinear, {name}", ylabel=f"twin, {name}", aspect="equal")
    order = np.argsort(-twin.to_numpy())
    place = np.arange(len(scores))
    top = np.ones(len(scores)) if ceiling is None else scores[ceiling].to_numpy()[order]
    right.bar(place, top, width=1, color=CEILING, alpha=0.4, label="ceiling")
    right.bar(place, twin.to_numpy()[order], width=1, color=TWIN, alpha=0.6, label="twin")
    right.plot(place, baseline.to_numpy()[order], ".", ms=4, color=BASELINE, label="linear-nonlinear")
    if f"{metric}_low" in scores:
        bounds = scores[[f"{metric}_low", f"{metric}_high"]].to_numpy()[order].T
        right.vlines(place, *bounds, color=RECORDED, lw=0.6, label="95% interval")
    right.set(xlabel="neuron, sorted", ylabel=name, xlim=(-1, len(scores)), ylim=(1.1 * low, 1.1))
    right.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return made


def show_positions(
    found: np.ndarray, expected: np.ndarray, size: tuple[int, int], pixel_um: float, *, expected_name: str = "truth"
) -> Figure:
    """Receptive field centres of the twin beside where they should be, and the distances between them.

    Args:
        found: (neuron, 2) centres (y, x) of the twin, in pixels.
        expected: (neuron, 2) centres to compare with.
        size: (height, width) of the screen in pixels.
        pixel_um: side of a pixel (µm).
        expected_name: what they are compared with.
    """
    made, (left, right) = figure(1, 2, size=(7.5, 3.4), width_ratios=[1, 1.2])
    for one, other in zip(found, expected, strict=True):
        left.plot([one[1], other[1]], [one[0], other[0]], color=CEILING, lw=1, zorder=0)
    left.scatter(expected[:, 1], expected[:, 0], s=28, facecolor="none", edgecolor=TRUTH, label=expected_name)
    left.scatter(found[:, 1], found[:, 0], s=8, color=TWIN, label="twin")
    left.set(
        xlim=(-0.5, size[1] - 0.5), ylim=(size[0] - 0.5, -0.5), aspect="equal", xlabel="x (pixels)", ylabel="y (pixels)"
    )
    left.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
    distance = np.hypot(*(found - expected).T)
    # Wide enough for nearly all; whatever lies beyond is in the last bar.
    last = np.clip(np.ceil(np.nanquantile(distance, 0.98) / 0.2) * 0.2, 1.2, 4.0)
    if (distance > last).any():
        right.set_title(f"the last bar has all from {last - 0.2:.1f} pixels on", loc="right", fontsize=9)
    right.hist(distance.clip(max=last - 0.1), bins=np.arange(0, last + 0.1, 0.2), color=TWIN)
    right.axvline(1, color=CEILING)
    right.set_xlim(0, last)
    unit = "" if np.isnan(pixel_um) else f" of {pixel_um:g} µm"
    right.set(xlabel=f"distance from the {expected_name} (pixels{unit})", ylabel="neurons")
    right.yaxis.set_major_locator(MaxNLocator(integer=True))
    return made
