"""Files in every published layout are audited and drawn, whatever they lack."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from golden_files import GOLDEN, golden

import retina_nb as rnb
from retina_nb import plots

CLIPS = {"n_validation_clips": 3, "clip_length": 15}
CASES = {
    "hoefling_2024": ("hoefling_2024", {}),
    "hoefling_2024 chirp": ("hoefling_2024", {"stimulus": "chirp"}),
    "karamanlis_2024 mouse": ("karamanlis_2024", {"species": "mouse", "size": (12, 16), **CLIPS}),
    "karamanlis_2024 marmoset": ("karamanlis_2024", {"species": "marmoset", "size": (12, 16), **CLIPS}),
    "maheswaranathan_2023": ("maheswaranathan_2023", {"stimulus": "naturalscene", **CLIPS}),
    "maheswaranathan_2023 noise": ("maheswaranathan_2023", {"stimulus": "whitenoise", **CLIPS}),
    "goldin_2022 mouse": ("goldin_2022", {"species": "mouse", "n_validation_images": 12}),
    "goldin_2022 axolotl": ("goldin_2022", {"species": "axolotl", "n_validation_images": 12}),
    "sridhar_2025": ("sridhar_2025_natural_movie", {"view": (16, 20), "padding": 5}),
    "sridhar_2025 noise": ("sridhar_2025_whitenoise", {}),
    "hdf5": ("hdf5", {"rate": 30.0}),
}
# Responses in these files are random, so that no audit could call them reliable.
BY_CHANCE = {"reliability", "timing"}


def load(folder: str, settings: dict, tmp_path: Path) -> dict[str, rnb.Recording]:
    files, *_ = golden(folder, tmp_path)
    if folder == "hdf5":
        return rnb.load_recordings(files / "recordings", **settings)
    if folder.startswith("sridhar_2025"):
        spec = json.loads((GOLDEN / folder / "spec.json").read_text())["spec"]["loader"]
        stimulus = folder.removeprefix("sridhar_2025_")
        settings = settings | {"stimulus": stimulus, "excluded_cells": spec["excluded_cells"]}
        return rnb.load_recordings("sridhar_2025", data_dir=files, crop=spec["big_crops"]["01"], **settings)
    return rnb.load_recordings(folder, data_dir=files, **settings)


@pytest.mark.parametrize("case", CASES)
def test_an_audit_of_a_published_layout(case, tmp_path):
    recordings = load(*CASES[case], tmp_path)
    audit = rnb.audit(recordings)
    assert {finding.check for finding in audit.problems} <= BY_CHANCE
    assert audit.sessions["session"].tolist() == list(recordings)
    assert len(audit.neurons) == sum(recording.n_neurons for recording in recordings.values())
    assert (audit.neurons["reliability"].notna() == audit.neurons["quality_index"].notna()).all()
    plots.show_audit(audit)
    plt.close("all")
    kept, dropped = rnb.select_neurons(recordings)
    assert sum(one.n_neurons for one in kept.values()) + len(dropped) == len(audit.neurons)
