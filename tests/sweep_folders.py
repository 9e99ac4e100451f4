"""Sweeps that were never run."""

import json


def write_run(folder, name, parameters, results, *, status="complete", error=None, started=0):
    """Write what a run of a sweep leaves behind."""
    home = folder / (f"{name}.failed" if status == "failed" else name)
    home.mkdir(parents=True)
    known = {
        "name": name,
        "status": status,
        "parameters": parameters,
        "error": error,
        "seconds": 12.0 + started,
        "peak_memory_gb": 0.5,
        "device": "cpu",
        "host": "here",
        "started": f"2026-11-24T13:00:{started:02d}+00:00",
        "source": "01_tiny.py",
        "notebook": "01_tiny.ipynb",
    }
    (home / "status.json").write_text(json.dumps(known))
    (home / "01_tiny.ipynb").write_text("{}")
    if results:
        (home / "results.json").write_text(json.dumps(results))
