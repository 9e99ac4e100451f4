"""Where neurons look, for stimuli that are shown there."""

import numpy as np
from jaxtyping import Float

from retina_nb.analyses.receptive_fields.gradients import receptive_fields
from retina_nb.analyses.subjects import Subject
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
    rng = np.random.default_rng(seed)
    channel, height, width = watching.stimulus_shape
    points = rng.standard_normal((stimuli, channel, watching.lag + 1, height, width)).astype(np.float32)
    found = receptive_fields(
        watching.model, points, session=watching.session, neurons=watching.neurons.tolist()
    ).centers
    return np.where(np.isnan(found), (np.array([height, width]) - 1) / 2, found)


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
