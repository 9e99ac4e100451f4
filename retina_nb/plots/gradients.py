"""Figures of responses and their gradients: over contrasts, over images, and in a plane of images."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from retina_nb.analyses.contrast_gradients import ContrastGradients
from retina_nb.analyses.local_spike_triggered import LocalSpikeTriggeredAverages
from retina_nb.analyses.response_fields import ResponseField
from retina_nb.plots.style import CEILING, TWIN, figure


def show_contrast_gradients(found: ContrastGradients, titles: Sequence[str], *, every: int = 2) -> Figure:
    """Responses as a map and their gradients as arrows over the plane of contrasts, a panel for each neuron.

    Args:
        found: responses and gradients.
        titles: of each neuron.
        every: an arrow for so many contrasts.
    """
    columns = len(titles) if len(titles) < 5 else -(-len(titles) // 2)
    rows = -(-len(titles) // columns)
    size = (2.6 * columns + 0.4, 2.9 * rows)
    made, axes = figure(rows, columns, size=size, squeeze=False, sharex=True, sharey=True)
    step = (found.first[-1] - found.first[0]) / max(len(found.first) - 1, 1) / 2
    extent = (found.first[0] - step, found.first[-1] + step, found.second[0] - step, found.second[-1] + step)
    for neuron, (ax, title) in enumerate(zip(axes.flat, titles, strict=False)):
        ax.imshow(found.response[neuron].T, origin="lower", extent=extent, cmap="viridis", aspect="equal")
        arrows = found.gradient[neuron][:, ::every, ::every]
        longest = max(np.linalg.norm(arrows, axis=0).max(), 1e-12)
        first, second = np.meshgrid(found.first[::every], found.second[::every], indexing="ij")
        ax.quiver(first, second, *(arrows / longest), color="w", scale=6, width=0.008, pivot="mid")
        ax.axhline(0, color=CEILING, lw=0.5)
        ax.axvline(0, color=CEILING, lw=0.5)
        ax.set_title(title, fontsize=9)
    for ax in axes.flat[len(titles) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel(f"contrast of {found.channels[0]}")
    for ax in axes[:, 0]:
        ax.set_ylabel(f"contrast of {found.channels[1]}")
    return made


def show_local_fields(
    local: LocalSpikeTriggeredAverages, rows: Sequence[int], titles: Sequence[str], stimuli: Sequence[int]
) -> Figure:
    """Images and, for some neurons, the local fields in them: red where the neuron wants it brighter.

    Args:
        local: images and local fields; the mean over channels is drawn.
        rows: neurons, a row of the figure each.
        titles: of the neurons.
        stimuli: images, a column each.
    """
    size = (1.2 * len(stimuli) + 1.2, 1.35 * (len(rows) + 1))
    made, axes = figure(len(rows) + 1, len(stimuli), size=size, squeeze=False, layout="compressed")
    for ax, number in zip(axes[0], stimuli, strict=True):
        shown = local.images[number].mean(axis=0)
        ax.imshow(shown, cmap="gray", vmin=-2 * local.images.std(), vmax=2 * local.images.std())
    for line, row in zip(axes[1:], rows, strict=True):
        fields = local.lsta[row, list(stimuli)].mean(axis=1)
        for ax, field, number in zip(line, fields, stimuli, strict=True):
            top = max(np.abs(field).max(), 1e-12)
            ax.imshow(field, cmap="RdBu_r", vmin=-top, vmax=top)
            ax.set_xlabel(f"{local.response[row, number]:.2f}", fontsize=8, labelpad=2)
    for ax in axes.ravel():
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set(visible=True, color=CEILING)
    for ax, title in zip(axes[:, 0], ["image", *titles], strict=True):
        ax.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9)
    return made


def show_response_field(
    field: ResponseField, *, iso: Float[np.ndarray, "point point"] | None = None, title: str = ""
) -> Figure:
    """Arrows of the mean gradient over a plane of images, iso-response lines, and the images that span the plane.

    Args:
        field: binned responses and gradients.
        iso: responses to ``field.images(points)``, for the lines; those of the bins are coloured.
        title: of the figure.
    """
    made, axes = figure(1, 3, size=(8.2, 3.6), width_ratios=(2.4, 1, 1))
    first, second = field.centers
    ax = axes[0]
    image = ax.pcolormesh(*field.edges, field.response.T, cmap="viridis", alpha=0.55)
    made.colorbar(image, ax=ax, label="mean response (events/bin)", shrink=0.8)
    if iso is not None:
        grid = [np.linspace(edges[0], edges[-1], len(iso)) for edges in field.edges]
        ax.contour(*grid, iso.T, levels=7, colors=TWIN, linewidths=1)
    there = field.count > 0
    arrows = field.gradient[there]  # (bin, 2)
    longest = max(np.linalg.norm(arrows, axis=1).max(), 1e-12)
    x, y = (grid[there] for grid in np.meshgrid(first, second, indexing="ij"))
    ax.quiver(x, y, *(arrows / longest).T, scale=9, width=0.006, pivot="mid")
    ax.set(xlabel="along direction 1", ylabel="along direction 2", title=title)
    for number, ax in enumerate(axes[1:]):
        shown = field.directions[number].mean(axis=0)
        top = np.abs(shown).max()
        ax.imshow(shown, cmap="RdBu_r", vmin=-top, vmax=top)
        ax.set_title(f"direction {number + 1}\n({field.explained[number]:.0%})", fontsize=9)
        ax.set(xticks=[], yticks=[])
    return made


def show_polarity(local: LocalSpikeTriggeredAverages, rows: Sequence[int], titles: Sequence[str]) -> Figure:
    """How the polarity of some neurons is spread over images: on one side of 0 unless it inverts.

    Args:
        local: local fields.
        rows: neurons, a panel each.
        titles: of the neurons.
    """
    made, axes = figure(1, len(rows), size=(1.7 * len(rows) + 0.4, 2), squeeze=False)
    for ax, row, title in zip(axes[0], rows, titles, strict=True):
        polarity = local.polarity[row]
        top = np.abs(polarity).max() * 1.05
        ax.hist(polarity, bins=np.linspace(-top, top, 31), color=TWIN)
        ax.axvline(0, color="k", lw=0.8)
        ax.set(yticks=[], title=title)
        ax.title.set_fontsize(8)
        ax.locator_params(axis="x", nbins=3)
    axes[0, 0].set_ylabel("images")
    made.supxlabel("polarity: OFF < 0 < ON", fontsize=9)
    return made
