"""Showing stimuli and measuring how strongly neurons respond."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from tqdm.auto import tqdm

from retina_nb.analyses.subjects import Subject, check_batch_size, subject
from retina_nb.stimuli import Stimulus, batch

# From rates (events per second) in the bins of a stimulus to one number or more.
Measure = Callable[[Float[np.ndarray, "*shape time"]], Float[np.ndarray, "..."]]

# An experiment that shows more batches than this shows its progress.
_LONG = 300

# Seconds for which responses to a bar are watched after it has left the screen.
AFTER_BAR = 0.5


def responses_to(
    watching: Subject, stimuli: Sequence[Stimulus], measure: Measure, *, batch_size: int, after: float = 0.0
) -> Float[np.ndarray, "neuron condition ..."]:
    """What is measured of every neuron's response to every stimulus, all of which every neuron sees.

    Args:
        watching: the neurons.
        stimuli: conditions; shorter ones of a batch are followed by grey.
        measure: of rates over the time of a stimulus.
        batch_size: stimuli shown at once.
        after: seconds of grey after each stimulus, for responses that outlast it.
    """
    made = []
    for part in _parts(stimuli, batch_size):
        frames = np.pad(batch(part)[0], ((0, 0), (0, 0), (0, round(after * watching.rate)), (0, 0), (0, 0)))
        made.append(measure(watching.show(frames, batch_size=batch_size).transpose(2, 0, 1) * watching.rate))
    return np.concatenate(made, axis=1)


def local_responses(
    watching: Subject,
    centers: Float[np.ndarray, "neuron 2"],
    make: Callable[[tuple[float, float]], list[Stimulus]],
    measure: Measure,
    *,
    batch_size: int,
) -> Float[np.ndarray, "neuron condition ..."]:
    """What is measured of every neuron's response to stimuli of its own, which are shown at its place.

    Args:
        watching: the neurons.
        centers: place (y, x) of each in pixels.
        make: the conditions at a place, of one duration.
        measure: of rates over the time of a stimulus.
        batch_size: stimuli shown at once.
    """
    table = watching.table()
    conditions = len(make((float(centers[0, 0]), float(centers[0, 1]))))
    together = max(batch_size // conditions, 1)
    # Cells of one session together, so that those of others need not answer.
    parts = [
        (session, rows[start : start + together])
        for session, rows in table.groupby("session").indices.items()
        for start in range(0, len(rows), together)
    ]
    made: list[np.ndarray] = [np.empty(0)] * len(table)
    for session, rows in tqdm(parts, disable=len(parts) <= _LONG, leave=False):
        some = subject(watching.model, session=str(session), neurons=table["neuron"].iloc[rows].tolist())
        stimuli = [one for y, x in centers[rows] for one in make((float(y), float(x)))]
        rates = some.show(batch(stimuli)[0], batch_size=batch_size) * watching.rate
        for at, row in enumerate(rows):
            made[row] = measure(rates[at * conditions : (at + 1) * conditions, :, at])
    return np.stack(made)


def _parts(stimuli: Sequence[Stimulus], batch_size: int) -> Iterator[Sequence[Stimulus]]:
    check_batch_size(batch_size)
    starts = range(0, len(stimuli), batch_size)
    for start in tqdm(starts, disable=len(starts) <= _LONG, leave=False):
        yield stimuli[start : start + batch_size]


def grey_rates(watching: Subject) -> Float[np.ndarray, " neuron"]:
    """The neurons' rates (events per second) at a grey screen."""
    channel, height, width = watching.stimulus_shape
    return watching.show(np.zeros((1, channel, 1, height, width), dtype=np.float32))[0, 0] * watching.rate
