"""Response gradients: right to the digit, with the signs of planted colours, and inverting where cells are even."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from retina_nb.analyses import contrast_gradients, local_spike_triggered_averages
from retina_nb.analyses.subjects import subject
from retina_nb.checks.check import Check, at_least, at_most
from retina_nb.loaders.simulated import Truth
from retina_nb.recording import Recording

IMAGES = 32


def checks(model: Any, truth: Truth, recordings: Mapping[str, Recording]) -> list[Check]:
    """Finite differences, signs of colours, polarity inversions and the fields of linear cells."""
    return [
        at_most("contrast gradient: largest error, share of the largest gradient", _gradient_error(model), 0.01),
        at_least("contrast gradient: cells with the planted signs of green and UV", _signs(model, truth), 0.95),
        *_local_fields(model, truth, recordings),
    ]


def _gradient_error(model: Any) -> float:
    """Against central differences, at two contrasts of noise."""
    session, step = sorted(model.about["neurons"])[0], 0.02
    stimulus = (
        np.random.default_rng(0).standard_normal((2, model.lag + 5, *model.stimulus_shape[1:])).astype(np.float32)
    )
    found = contrast_gradients(model, stimulus, start=0.6, stop=0.6, session=session)
    contrasts = 0.6 + step * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])
    shown = (contrasts[:, :, None, None, None] * stimulus).astype(np.float32)
    rates = subject(model, session=session).rates(shown).mean(axis=1)  # (contrast, neuron)
    differences = np.stack([rates[0] - rates[1], rates[2] - rates[3]], axis=1) / (2 * step)
    gradients = found.gradient[:, :, 0, 0]
    return float(np.abs(gradients - differences).max() / np.abs(gradients).max())


def _signs(model: Any, truth: Truth) -> float:
    """A flash of the whole field: cells want both colours brighter or both darker, opponent ones one of each."""
    right = []
    flash = np.zeros((2, model.lag + 7, *model.stimulus_shape[1:]), dtype=np.float32)
    flash[:, model.lag :] = 1
    window = (model.lag + 2, model.lag + 7)
    for session in truth.sessions:
        gradient = contrast_gradients(model, flash, step=1, window=window, session=session).gradient.mean(axis=(2, 3))
        cells = truth.neurons(session)
        opponent = (cells["type"] == "colour opponent").to_numpy()
        planted = cells["polarity"].to_numpy()[:, None] * np.where(opponent[:, None], [1, -1], [1, 1])
        right.append((np.sign(gradient) == planted).all(axis=1)[cells["polarity"] != 0])
    return float(np.concatenate(right).mean())


def _local_fields(model: Any, truth: Truth, recordings: Mapping[str, Recording]) -> list[Check]:
    inversion, even, cosine = [], [], []
    for session in truth.sessions[:2]:
        movie = recordings[session].movie.frames
        images = movie[:, :: movie.shape[1] // IMAGES][:, :IMAGES].swapaxes(0, 1)
        local = local_spike_triggered_averages(model, images, session=session)
        cells = truth.neurons(session)
        inversion.append(local.to_dataframe()["inversion"])
        even.append(cells["polarity"] == 0)
        planted = truth.receptive_field(session).numpy()
        best = np.abs(planted).max(axis=(1, 3, 4)).argmax(axis=1)
        planted = planted[np.arange(len(planted)), :, best].reshape(len(planted), -1)
        mean = local.lsta.mean(axis=1).reshape(len(planted), -1)
        cosines = (planted * mean).sum(axis=1) / np.linalg.norm(planted, axis=1) / np.linalg.norm(mean, axis=1)
        cosine.append(cosines[~cells["nonlinear"]])
    right = (np.concatenate(inversion) > 0.4) == np.concatenate(even)
    alike = float(np.median(np.concatenate(cosine)))
    return [
        at_least("polarity inversion: cells told even from not even", right.mean(), 0.95),
        at_least("local field: cosine with a linear cell's filter, median", alike, 0.95),
    ]
