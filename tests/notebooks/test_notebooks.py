"""Every notebook runs with small parameters, and saves what it promises. (nbmake runs them as they are.)"""

import json
import re
from pathlib import Path

import nbformat
import pytest
import yaml

from retina_nb.cli import main
from retina_nb.sweeps import notebook_parameters, run_notebook

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]_*.py"))

# Parameters with which a notebook takes seconds. Every notebook has its line.
SMALL = {
    "00_start_here": {"neurons": [1, 6], "favourite": 6},
    "01_train_a_twin": {
        "dataset": "simulated",
        "dataset_settings": {"sessions": 2, "cells_per_session": 5, "clips": 12, "test_clips": 1, "repeats": 4},
        "max_epochs": 2,
    },
    "02_classical_models": {
        "dataset_settings": {"sessions": 1, "cells_per_session": 5, "clips": 12, "test_clips": 1, "repeats": 4},
        "planted_minutes": 1,
    },
    "03_cores_and_readouts": {
        "dataset_settings": {"sessions": 2, "cells_per_session": 5, "clips": 12, "test_clips": 1, "repeats": 4},
        "variants": {"Gaussian mask": [], "point": ["readout=point_gaussian"]},
        "max_epochs": 1,
    },
    "04_datasets": {
        "dataset_settings": {"sessions": 2, "cells_per_session": 6, "clips": 18, "test_clips": 2, "repeats": 4},
        "criteria": {"explainable_variance_ratio": 0.2},
    },
    "05_your_own_data": {"minutes": 1.5, "max_epochs": 1},
    "06_receptive_fields": {"shown": [2, 4], "noise_minutes": [0.5, 1]},
    "07_most_exciting_inputs": {"cells": 3, "seeds": 2, "steps": 3},
    "08_discriminative_stimuli_and_types": {"cells": 24, "most": 6, "steps": 3},
    "09_tuning": {"session": "simulated_1", "trials": 5},
    "10_gradients_and_context": {"neurons": [2, 10], "landscapes": [4], "step": 0.5, "images": 12},
    "11_phenomena_and_mechanisms": {"neurons": 12},
    "12_sparse_features": {"neurons": [2, 4], "bins": 600, "features": 8, "top_k": 2, "steps": 50},
    "13_populations_and_decoding": {
        "sessions": 1,
        "decoder_minutes": 0.5,
        "decoded_movies": 1,
        "baselines": False,
    },
    "14_custom_core_and_readout": {
        "dataset_settings": {"sessions": 2, "cells_per_session": 5, "clips": 12, "test_clips": 1, "repeats": 4},
        "bipolar_types": 3,
        "features": 4,
        "max_epochs": 1,
    },
    "15_sweeps": {"seeds": [0], "max_epochs": 1, "trials": 2},
}

# What its results.json holds at least.
RESULTS = {
    "00_start_here": {"twin", "session", "agreement", "steps", "transfer_to_truth", "seconds"},
    "01_train_a_twin": {
        *("dataset", "preset", "neurons", "cc_norm", "correlation", "cc_max", "cc_norm_gain_nonlinear"),
        *("rf_center_within_1px", "seconds", "peak_memory_gb", "device", "versions"),
    },
    "02_classical_models": {
        *("dataset", "neurons", "cc_norm", "cc_norm_interval", "gain_over_linear_nonlinear", "filter_cosine"),
        *("planted_signs_found", "coupling_spread", "contrast_weight", "pool_correlation", "seconds"),
    },
    "03_cores_and_readouts": {
        *("dataset", "preset", "neurons", "cc_norm", "cc_norm_interval", "gain", "core_parameters", "fit_seconds"),
        *("mask_within_1px", "new_cells_cc_norm", "seconds"),
    },
    "04_datasets": {
        *("dataset", "neurons", "findings", "problems", "latency", "faults_found", "reliability", "reliability_error"),
        *("intervals_with_truth", "kept", "dropped", "seconds"),
    },
    "05_your_own_data": {"neurons", "formats_agree", "mistakes_told", "cc_norm", "cc_norm_gain_nonlinear", "seconds"},
    "06_receptive_fields": {
        *("twin", "dataset", "session", "neurons", "filter_cosine", "significant", "noise_cosine", "excitatory"),
        *("suppressive", "recovered", "seconds"),
    },
    "07_most_exciting_inputs": {
        *("twin", "neurons", "converged", "filter_cosine", "direction_error", "relative_score"),
        *("aligned_correlation_of_starts", "transfer_to_truth", "seconds"),
    },
    "08_discriminative_stimuli_and_types": {
        *("twin", "neurons", "groups", "score", "adjusted_rand", "stability", "true_cells_typed", "seconds"),
    },
    "09_tuning": {"twin", "neurons", "direction_selective", "directions", "agreement", "polarity_right", "seconds"},
    "10_gradients_and_context": {
        *("dataset", "session", "images", "same_direction", "inversion", "same_field", "local_field_cosine"),
        *("polarity_correlation_even", "inversion_told_apart", "seconds"),
    },
    "11_phenomena_and_mechanisms": {"twin", "neurons", "agreement", "medians", "without", "seconds"},
    "12_sparse_features": {
        *("dataset", "session", "pixel_error", "channel_error", "subunit_correlation", "subunits_significant"),
        *("features_at_a_time", "variance_held", "cc_norm", "type_area", "seconds"),
    },
    "13_populations_and_decoding": {
        *("cells", "noise_correlation_mean", "noise_correlation_recovered", "signal_correlation_agreement"),
        *("information_bias_bits", "adjusted_rand", "mosaic_regularity", "linear_reconstruction"),
        *("decoding_correlation", "direction_identified", "generalization", "seconds"),
    },
    "14_custom_core_and_readout": {
        *("dataset", "preset", "neurons", "cc_norm", "parameters", "rf_center_within_1px", "loaded_is_the_same"),
        "seconds",
    },
    "15_sweeps": {
        *("runs", "complete_at_first", "failed_at_first", "complete", "left_alone", "gain_of_width"),
        *("spread_over_seeds", "trials", "best", "seconds"),
    },
}


def _start_here(told: str, results: dict) -> None:
    """The favorite movie of a cell that prefers motion to the left, not that of the default cell."""
    assert told.startswith("**ON-OFF DS left (6)**")
    assert "It moves left." in told
    assert results["agreement"].keys() == {"OFF transient (1)", "ON-OFF DS left (6)"}


def _receptive_fields(told: str, results: dict) -> None:
    """A linear cell without significant directions and an ON-OFF cell with some."""
    linear, on_off = told.splitlines()
    assert results["excitatory"][0] == results["suppressive"][0] == 0 < results["excitatory"][1]
    assert linear == "- neuron 2: ON sustained: no direction: its average says all that is seen here."
    assert on_off.startswith(f"- neuron 4: ON-OFF DS right: {results['excitatory'][1]} excitatory")


# What must be said of cells that are not the default ones.
OF_OTHER_CELLS = {"00_start_here": _start_here, "06_receptive_fields": _receptive_fields}


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request) -> Path:
    return request.param


def test_every_line_is_of_a_notebook():
    assert SMALL.keys() == RESULTS.keys() == {notebook.stem for notebook in NOTEBOOKS}


def test_a_notebook_has_literal_parameters_and_an_output_folder(notebook):
    parameters = notebook_parameters(notebook)
    assert isinstance(parameters["output_dir"], str)
    assert parameters == notebook_parameters(notebook.with_suffix(".ipynb"))


def test_prose_says_of_no_cell_what_is_true_by_default_only(notebook):
    """Cells are chosen by parameters, and so what is said of one must be measured."""
    cells = nbformat.read(notebook.with_suffix(".ipynb"), as_version=4).cells
    prose = " ".join(" ".join(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    told = re.findall(r"[^.]*\b[Tt](?:his|he (?:last|first|second)) cell (?:is|wants|has|rectifies)\b[^.]*\.", prose)
    assert not told
    # 40 % of the default twin's training are bars, gratings and flicker.
    assert not re.findall(r"(?:never seen an?|not seen a single|seen none of) \w+", prose)
    checked = [cell.source for cell in cells if cell.cell_type == "code"][-1]
    assert "rnb.verdicts(" in checked
    assert "print(rnb.write_results" not in "".join(cell.source for cell in cells)


@pytest.mark.parametrize(
    ("name", "cheap", "slow"),
    [
        ("01_train_a_twin", "rnb.build_twin(preset", "fit_linear_nonlinear(recordings)"),
        ("03_cores_and_readouts", "rnb.build_twin(preset", "rnb.fit("),
        ("05_your_own_data", "load_preset(preset", "natural_movie(screen"),
        ("14_custom_core_and_readout", "rnb.build_twin(preset", "rnb.fit("),
    ],
)
def test_a_mistyped_preset_is_noticed_before_anything_slow(name, cheap, slow):
    source = next(path for path in NOTEBOOKS if path.stem == name).read_text()
    assert source.index(cheap) < source.index(slow)


def test_a_notebook_runs_with_small_parameters(notebook, tmp_path):
    executed = nbformat.read(run_notebook(notebook, tmp_path, SMALL[notebook.stem]), as_version=4)
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    values = [output.data["text/plain"] for output in outputs if output.output_type == "execute_result"]
    assert not [value for value in values if value.startswith("<Figure")], "shown twice: end its line with a semicolon"
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    results = json.loads((tmp_path / "results.json").read_text())
    assert results.keys() >= RESULTS[notebook.stem]
    assert "Everything is in" in [value for value in values if "Everything is in" in value][-1]
    told = "\n".join(output.data["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {}))
    if check := OF_OTHER_CELLS.get(notebook.stem):
        check(told, results)


def real_runs() -> list[tuple[str, str]]:
    """Notebook and parameter file of every run on real recordings, of README's commands and of notebooks/params."""
    told = re.findall(r"retina-nb run (\S+) -f (\S+)", (REPOSITORY / "README.md").read_text(encoding="utf-8"))
    kept = [
        (str(next((REPOSITORY / "notebooks").glob(f"{path.name[:2]}_*.ipynb")).relative_to(REPOSITORY)), path)
        for path in sorted((REPOSITORY / "notebooks" / "params").glob("*.yaml"))
    ]
    runs = {(notebook, Path(path).name) for notebook, path in [*told, *kept]}
    return sorted(run for run in runs if parameters_of(run[1]).get("dataset", "simulated") != "simulated")


def parameters_of(name: str) -> dict:
    return yaml.safe_load((REPOSITORY / "notebooks" / "params" / name).read_text(encoding="utf-8"))


def test_the_readme_shows_a_run_on_real_recordings():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert any(f"-f notebooks/params/{name}" in text for _, name in real_runs())


@pytest.mark.parametrize(("notebook", "name"), real_runs(), ids=lambda one: Path(one).stem)
def test_runs_on_real_recordings_reach_their_end(notebook, name, shared_data, tmp_path, monkeypatch):
    """As the shell runs them, with the file's parameters but for few cells, trials and epochs."""
    monkeypatch.setenv("RETINA_NB_DATA", str(shared_data))
    of_file = parameters_of(name)
    settings = {"cells": [56, 9], **of_file.get("dataset_settings", {}), "trials": 3}
    parameters = SMALL[Path(notebook).stem] | of_file | {"dataset_settings": settings}
    settings |= {option: settings[option][:2] for option in ("cells", "corners") if option in settings}
    if "max_epochs" in parameters:
        parameters["max_epochs"] = min(parameters["max_epochs"], 1)
    (tmp_path / name).write_text(yaml.safe_dump(parameters), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert not main(["run", str(REPOSITORY / notebook), "-f", name, "-o", "run"])
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert results["dataset"] == parameters["dataset"]
    assert bool(list((tmp_path / "run").glob("*.safetensors"))) == bool(parameters.get("max_epochs"))
