"""Where neurons look, for stimuli that are shown there."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import gaussian_filter, label

from retina_nb.analyses.subjects import Subject, frozen, subject
from retina_nb.errors import UserError


def find_centers(watching: Subject, *, stimuli: int = 16, seed: int = 0) -> Float[np.ndarray, "neuron 2"]:
    """Place (y, x) of each neuron's receptive field in pixels from the middle of the top left one.

    The centroid of the peak, above half of its height, of the root mean square of the rate's gradient over operating
    points in Gaussian white noise, in which cells that respond to both polarities are found as well as others. (At a
    grey screen itself they have no gradient.)

    A neuron that no place drives, and that will respond to nothing anywhere, gets the middle of the screen.

    Args:
        watching: the neurons.
        stimuli: number of operating points.
        seed: of the noise.
    """
    rng = torch.Generator().manual_seed(seed)
    channel, height, width = watching.stimulus_shape
    noise = torch.randn((stimuli, channel, watching.lag + 1, height, width), generator=rng)
    noise = noise.to(watching.device).requires_grad_()
    table, places = watching.table(), np.zeros((len(watching.neurons), 2))
    with frozen(watching.model), torch.enable_grad():
        # Session by session, so that a graph has no more neurons than needed.
        for session, rows in table.groupby("session").indices.items():
            here = subject(watching.model, session=str(session), neurons=table["neuron"].iloc[rows].tolist())
            for row, rate in zip(rows, here.respond(noise)[:, 0].sum(dim=0), strict=True):
                (gradient,) = torch.autograd.grad(rate, noise, retain_graph=True)
                places[row] = _center(gradient.square().mean(dim=(0, 1, 2)).sqrt().cpu().numpy())
    return places


def centers_or_found(
    watching: Subject, centers: Float[np.ndarray, "_ _"] | None, *, seed: int
) -> Float[np.ndarray, "neuron 2"]:
    """The given centres, checked, or those that `find_centers` finds.

    Raises:
        UserError: if there is not a finite (y, x) for each neuron.
    """
    if centers is None:
        return find_centers(watching, seed=seed)
    given = np.asarray(centers, dtype=float)
    if given.shape != (len(watching.neurons), 2) or not np.isfinite(given).all():
        raise UserError(
            f"centers= needs a finite (y, x) for each of {len(watching.neurons)} neurons, not an array {given.shape}"
        )
    return given


def _center(sensitivity: np.ndarray) -> np.ndarray:
    """(y, x) of the centroid of the region around the peak of the smoothed map that exceeds half its height."""
    smooth = gaussian_filter(sensitivity, 0.7)
    smooth = smooth - np.median(smooth)
    peak = np.unravel_index(smooth.argmax(), smooth.shape)
    if smooth[peak] <= 0:
        return (np.array(smooth.shape) - 1) / 2
    regions, _ = label(smooth > smooth[peak] / 2)
    weight = np.where(regions == regions[peak], smooth, 0)
    return (np.indices(smooth.shape) * weight).sum(axis=(1, 2)) / weight.sum()
