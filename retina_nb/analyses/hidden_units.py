"""Hidden units of a model that do what something recorded does, e.g. interneurons that no model was fitted to.

Models of ganglion cells have units inside that resemble recorded interneurons (Maheswaranathan et al. 2023, Neuron
111:2742; Tanaka et al. 2019, NeurIPS). With many units, some resemble anything: chance is what matters.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from retina_nb.analyses.attribution import layer_output
from retina_nb.analyses.subjects import One, subject
from retina_nb.errors import UserError
from retina_nb.representations import one_line
from retina_nb.tensors import as_tensor

# Bins of stimulus that a model is given at once.
_BLOCK = 600


@one_line
@dataclass(frozen=True)
class UnitMatches:
    """The hidden unit that is most like each trace.

    Args:
        unit: its channel and place (channel, y, x) in the layer's feature movie.
        shift: bins by which the unit is later than the trace; negative if it is earlier.
        correlation: of both at this shift, of either sign.
        chance: the largest correlation, whatever its sign, of any unit with the trace at the wrong time: the 95 %
            quantile over shifts by at least a tenth of the length.
        p_value: how often such a shift does at least as well.
        rate: bins per second (Hz).
    """

    unit: Int[np.ndarray, "trace 3"]
    shift: Int[np.ndarray, " trace"]
    correlation: Float[np.ndarray, " trace"]
    chance: Float[np.ndarray, " trace"]
    p_value: Float[np.ndarray, " trace"]
    rate: float

    def to_dataframe(self) -> pd.DataFrame:
        """A row a trace: ``channel``, ``y``, ``x``, ``shift_s`` (s), ``correlation``, ``chance``, ``p_value``."""
        return pd.DataFrame(self.unit, columns=["channel", "y", "x"]).assign(
            shift_s=self.shift / self.rate, correlation=self.correlation, chance=self.chance, p_value=self.p_value
        )


def match_units(
    model: Any,
    layer: str,
    stimulus: One,
    traces: Float[np.ndarray, "trace _"],
    *,
    most_shift: int = 3,
    session: str | None = None,
    device: str | torch.device | None = None,
) -> UnitMatches:
    """For each trace, the unit of a layer, in any place and at any small shift in time, that correlates most with it.

    Chance is estimated with the same number of units and shifts, from traces that are moved far in time. They keep
    their own correlation in time, which random reordering would destroy. Traces and units are taken to be periodic.

    Args:
        model: a twin, or another model with layers of feature movies.
        layer: its name, e.g. ``"core.layers.0"``.
        stimulus: what it was shown while the traces were recorded (channel, time, height, width), or a `Stimulus`.
        traces: in the bins of the stimulus. Those in the first `lag` bins of the model are not used.
        most_shift: how far a unit may be late or early (bins).
        session: whose readout the model is called with.
        device: where to compute.

    Raises:
        UserError: if stimulus, traces and model do not fit, a trace is constant or not finite, or too short.
    """
    one = subject(model, session=session, device=device)
    stimulus = one.frames(stimulus)
    one.examine(stimulus[None])
    if traces.shape[1] != stimulus.shape[1]:
        raise UserError(f"traces of {traces.shape[1]} bins do not fit a stimulus of {stimulus.shape[1]} bins")
    movie = layer_movie(model, layer, stimulus, session=session)
    wanted = _standard(traces[:, one.lag :].astype(np.float32))
    if not np.isfinite(wanted).all():
        bad = int(np.flatnonzero(~np.isfinite(wanted).all(axis=1))[0])
        raise UserError(f"trace {bad} does not vary after the first {one.lag} bins, or is not finite")
    bins, width = wanted.shape[1], 2 * most_shift + 1
    far = np.arange(bins // 10, bins - bins // 10)
    if most_shift < 0 or len(far) < 20 * width:
        raise UserError(f"{bins} bins are too few to tell a match within {most_shift} bins from chance")
    units = np.nan_to_num(_standard(movie.reshape(-1, bins)))
    spectra, found = np.fft.rfft(units), []
    near = np.arange(-most_shift, most_shift + 1)
    for trace in wanted:
        # Correlation of every unit with the trace at every shift.
        at = np.fft.irfft(spectra * np.fft.rfft(trace).conj(), n=bins).astype(np.float32) / bins
        best, shift = np.unravel_index(np.abs(at[:, near]).argmax(), (len(at), width))
        null = np.abs(at).max(axis=0)[far[: len(far) // width * width]].reshape(-1, width).max(axis=1)
        correlation = at[best, near[shift]]
        p_value = (1 + (null >= abs(correlation)).sum()) / (1 + len(null))
        found.append((best, near[shift], correlation, np.quantile(null, 0.95), p_value))
    best, shift, correlation, chance, p_value = (np.array(column) for column in zip(*found, strict=True))
    place = np.stack(np.unravel_index(best, (len(movie), *movie.shape[1:3])), axis=1)
    return UnitMatches(place, shift, correlation, chance, p_value, one.rate)


@torch.no_grad()
def layer_movie(
    model: Any, layer: str, stimulus: One, *, session: str | None = None
) -> Float[np.ndarray, "unit y x time_out"]:
    """What a layer makes of a stimulus, in the bins in which the model responds: ``time_out = time - lag``.

    Raises:
        UserError: if the stimulus does not fit, there is no such layer or it makes no feature movie.
    """
    one, parts = subject(model, session=session), []
    stimulus = one.frames(stimulus)
    with layer_output(model, layer) as output:
        for start in range(one.lag, stimulus.shape[1], _BLOCK):
            part = stimulus[None, :, start - one.lag : start + _BLOCK]
            rates = one.respond(as_tensor(np.ascontiguousarray(part)).float())
            parts.append(output()[0, :, -rates.shape[1] :].movedim(1, -1).cpu())
    return torch.cat(parts, dim=-1).numpy()


def _standard(traces: np.ndarray) -> np.ndarray:
    """Rows of mean 0 and standard deviation 1; NaN where they do not vary."""
    centred = traces - traces.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    return np.divide(
        centred, spread, out=np.full_like(centred, np.nan), where=spread > 1e-6 * np.abs(traces).max(initial=1e-12)
    )
