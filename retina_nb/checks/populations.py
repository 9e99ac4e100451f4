"""What population analyses recover: independent and planted noise, signal correlations, mosaics, types, stimuli."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.stats import combine_pvalues

from retina_nb.analyses import populations
from retina_nb.analyses.populations.correlations import upper
from retina_nb.analyses.receptive_fields.centers import find_centers
from retina_nb.analyses.subjects import subject
from retina_nb.checks.check import Check, at_least, at_most
from retina_nb.loaders.simulated import Truth, load_truth
from retina_nb.loaders.simulated.cells import CELL_TYPES, mosaic
from retina_nb.recording import Recording
from retina_nb.stimuli import Screen, batch, moving_bar, natural_movie


def checks(model: Any, truth: Truth, recordings: Mapping[str, Recording]) -> list[Check]:
    """Run every analysis on all cells; what is known of recordings alone is checked once, with the truth."""
    first = next(iter(recordings.values()))
    test = first.stimulus("test")[None]
    of_recordings = [*_noise(recordings), *_mosaics(), *_found_mosaics(), _recorded_signal(truth, first, test)]
    return [
        *(of_recordings if isinstance(model, Truth) else []),
        *_signal(model, truth, test),
        *_types(model, truth),
        *_reconstruction(model, truth),
        *_directions(model, truth),
        *_information(model, truth, first, test),
    ]


def _noise(recordings: Mapping[str, Recording]) -> list[Check]:
    """Simulated noise is independent; then noise that the cells of a session share is added to it."""
    outside, slopes = [], []
    for seed, recording in enumerate(recordings.values()):
        found = populations.noise_correlations(recording, seed=seed)
        spread = found.null.std()  # type: ignore[union-attr]
        outside.append(found.pairs.mean() / spread)
        random, trials = np.random.default_rng(seed), recording.trials()
        shared = random.standard_normal(trials.shape[:2])
        noise = (trials - trials.mean(axis=0)).var(axis=(0, 1)) * len(trials) / (len(trials) - 1)
        gain = np.sqrt(noise * random.uniform(0, 0.6, trials.shape[2]))
        responses = recording.responses.copy()
        responses[recording.repeats["test"]] += (gain * shared[..., None]).astype(np.float32)
        again = populations.noise_correlations(replace(recording, responses=responses, signed=True), shuffles=1)
        expected = np.outer(gain, gain) / np.sqrt(np.outer(noise + gain**2, noise + gain**2))
        slopes.append(np.corrcoef(upper(expected), again.pairs)[0, 1])
    return [
        at_most("noise correlations, none: mean over pairs (standard errors)", np.abs(outside).max(), 3),
        at_least("noise correlations, planted: correlation over pairs", min(slopes), 0.95),
    ]


def _mosaics() -> list[Check]:
    random, size, margin = np.random.default_rng(0), (48, 60), 4.5
    area = ((margin, margin), (size[0] - 1 - margin, size[1] - 1 - margin))
    placed = {name: mosaic(4 * kind.center_um / 50, size, margin, random) for name, kind in CELL_TYPES.items()}
    types, places = np.repeat(list(placed), [len(one) for one in placed.values()]), np.concatenate([*placed.values()])
    found = populations.mosaics(places, types, area=area)
    shuffled = populations.mosaics(places, random.permutation(types), area=area)
    least = (found.regularity / found.random).min()
    return [
        at_least("mosaics: least regularity of a type over that of random places", least, 2),
        at_most("mosaics: largest p value of a type", found.p_value.max(), 0.01),
        at_least("mosaics: median p value if types are shuffled", np.median(shuffled.p_value), 0.1),
    ]


def _found_mosaics() -> list[Check]:
    """Places by receptive fields and types by clustering, in a piece of retina that holds several cells of each type.

    Few cells say little of one type, so that the p values of all are combined (Fisher 1932).
    """
    size, margin = (29, 31), 4.5
    retina = load_truth(sessions=1, cells_per_session=72, size=size, clips=6, test_clips=1, repeats=2)
    places = find_centers(subject(retina), stimuli=8)
    types = populations.cluster_cells(retina, clusters=len(CELL_TYPES), bootstraps=1).labels
    slack = margin - 2  # places that are found may lie a little outside of where cells are
    area = ((slack, slack), (size[0] - 1 - slack, size[1] - 1 - slack))
    shuffled = np.random.default_rng(0).permutation(types)
    found, mixed = (
        float(combine_pvalues(populations.mosaics(places, one, area=area).p_value).pvalue) for one in (types, shuffled)
    )
    return [
        at_most("mosaics of places and types that are found: p value of all types", found, 0.001),
        at_least("mosaics of places that are found, types shuffled: p value of all types", mixed, 0.05),
    ]


def _recorded_signal(truth: Truth, recording: Recording, test: np.ndarray) -> Check:
    expected = populations.signal_correlations(truth, test, session=recording.session).pairs
    found = populations.recorded_signal_correlations(recording).pairs
    name = "signal correlations of the recording: median error"
    return at_most(name, np.nanmedian(np.abs(found - expected)), 0.03)


def _signal(model: Any, truth: Truth, test: np.ndarray) -> list[Check]:
    expected, found = (populations.signal_correlations(one, test).pairs for one in (truth, model))
    cells = range(min(30, len(truth.neurons())))  # pairs of all would take long
    shared, read = (upper(populations.pair_redundancy(one, test, neurons=cells).fraction) for one in (truth, model))
    return [
        at_least("signal correlations: correlation over pairs", np.corrcoef(expected, found)[0, 1], 0.93),
        at_least("redundancy: correlation over pairs", np.corrcoef(shared, read)[0, 1], 0.85),
    ]


def _types(model: Any, truth: Truth) -> list[Check]:
    found = populations.cluster_cells(model, clusters=len(CELL_TYPES), bootstraps=20)
    agreement = populations.adjusted_rand_index(truth.neurons()["type"], found.labels)
    return [
        at_least("types by clustering of responses: adjusted Rand index", agreement, 0.9),
        at_least("types by clustering of responses: least stability", found.stability.min(), 0.75),
    ]


def _reconstruction(model: Any, truth: Truth) -> list[Check]:
    """Natural movies: as decoded from the model's spikes, and by the model as likelihood from those of the truth."""
    screen, middle = Screen.of(truth), np.s_[..., 4:-4, 4:-4]  # where receptive fields are
    examples, _ = batch([natural_movie(screen, duration=5, seed=100 + seed) for seed in range(40)])
    test, _ = batch([natural_movie(screen, duration=4, seed=seed) for seed in range(3)])
    total = len(truth.neurons())
    sizes = (total // 12, total // 4, total)
    found = populations.reconstruct(model, examples, test, sizes=sizes, draws=8, lags=8)
    gains = np.diff(found.correlation.mean(axis=1))

    def similar(decoded: np.ndarray, shown: np.ndarray) -> float:
        return float(np.corrcoef(decoded[middle].ravel(), shown[middle].ravel())[0, 1])

    spikes = np.random.default_rng(0).poisson(subject(truth).show(test)).astype(np.float32)[:, model.lag :]
    prior = populations.StimulusPrior.of(examples, test.shape[2])
    decoded = populations.decode_most_probable(model, spikes, prior, steps=40).stimulus
    bins = np.s_[:, :, model.lag : -7]  # frames that have all responses, as the linear decoder needs
    linear = found.decoder.decode(spikes)
    by_line, by_bayes = similar(linear, test[bins]), similar(decoded[bins], test[bins])
    few, some, all_ = sizes
    return [
        at_least(f"reconstruction: gain in correlation from {few} to {some} cells", gains[0], 0.02),
        at_least(f"reconstruction: gain in correlation from {some} to {all_} cells", gains[1], 0.02),
        at_least("reconstruction of the middle, linear: correlation", by_line, 0.65),
        at_least("reconstruction of the middle, most probable stimulus: correlation", by_bayes, 0.75),
        at_least("reconstruction: most probable stimulus less linear", by_bayes - by_line, 0.01),
    ]


def _directions(model: Any, truth: Truth) -> list[Check]:
    """Which of twelve directions a faint bar had, from one trial of the truth's spikes in 10 cells (chance: 1 / 12)."""
    bars, _ = batch([moving_bar(Screen.of(truth), direction=angle, contrast=0.5) for angle in range(0, 360, 30)])
    random = np.random.default_rng(0)
    found = [
        populations.identify(
            model, bars, source=truth, neurons=random.permutation(len(truth.neurons()))[:10].tolist(), seed=draw
        )
        for draw in range(5)
    ]
    return [
        at_least("direction of a bar by Bayes: share identified", float(np.mean([one.accuracy for one in found])), 0.6),
        at_least("direction of a bar by Bayes: bits of 3.58", float(np.mean([one.information for one in found])), 2),
    ]


def _information(model: Any, truth: Truth, recording: Recording, test: np.ndarray) -> list[Check]:
    session = recording.session
    expected, found = (populations.spike_information(one, test, session=session) for one in (truth, model))
    recorded = populations.recorded_spike_information(recording)
    error, raw = (
        np.median(values - expected.bits_per_spike) for values in (recorded.bits_per_spike, recorded.uncorrected)
    )
    name = "information per spike"
    bits = (expected.bits_per_spike, found.bits_per_spike)
    of_recording = [
        at_most(f"{name} of the recording: median error (bits)", abs(error), 0.05),
        at_most(f"{name} of the recording: error over that without correction", abs(error / raw), 0.3),
    ]
    return [
        *(of_recording if isinstance(model, Truth) else []),
        at_least(f"{name}: correlation over cells", np.corrcoef(*bits)[0, 1], 0.85),
        at_most(f"{name}: median error (bits)", np.median(np.abs(bits[0] - bits[1])), 0.3),
    ]
