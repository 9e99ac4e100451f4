"""Where neurons look, for stimuli that are shown there."""

import numpy as np
from jaxtyping import Float

from retina_nb.analyses.receptive_fields.fields import ReceptiveFields
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
    return known_centers(fields_in_noise(watching, stimuli=stimuli, seed=seed))


def fields_in_noise(watching: Subject, *, stimuli: int = 16, seed: int = 0) -> ReceptiveFields:
    """Each neuron's receptive field around operating points in Gaussian white noise; see `find_centers`."""
    rng = np.random.default_rng(seed)
    shape = (stimuli, watching.stimulus_shape[0], watching.lag + 1, *watching.stimulus_shape[1:])
    points = rng.standard_normal(shape).astype(np.float32)
    return receptive_fields(watching.model, points, session=watching.session, neurons=watching.neurons.tolist())


def known_centers(found: ReceptiveFields) -> Float[np.ndarray, "neuron 2"]:
    """Their centers; the middle of the screen for a neuron that no place drives."""
    return np.where(np.isnan(found.centers), (np.array(found.sensitivity.shape[1:]) - 1) / 2, found.centers)


def polarities(found: ReceptiveFields) -> list[str]:
    """Whether each neuron is ``"ON"``, ``"OFF"`` or ``"ON-OFF"``, as its receptive field has it.

    The sign of the mean gradient where and when it is strongest near the center; ON-OFF if gradients at different
    operating points cancel there, so that their mean is less than half of their size.
    """
    kinds = []
    for linear, sensitivity in zip(found.linear, found.sensitivity, strict=True):
        y, x = np.unravel_index(sensitivity.argmax(), sensitivity.shape)
        course = linear[:, :, y, x]  # (channel, lag)
        cancels = np.sqrt(np.square(course).mean()) < sensitivity[y, x] / 2
        strongest = course.flat[np.abs(course).argmax()]
        kinds.append("ON-OFF" if cancels else "ON" if strongest > 0 else "OFF")
    return kinds


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
