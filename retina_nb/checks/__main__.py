"""``python -m retina_nb.checks [FOLDER]``: every topic on the shipped twin and on the truth; a table and truth.json."""

import json
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd

import retina_nb as rnb
from retina_nb.files import replace_file

# The modules of this package, in the order of the table.
TOPICS: tuple[str, ...] = ("receptive_fields", "tuning", "gradients", "attribution", "features")


def run_checks() -> pd.DataFrame:
    """A row for each check: ``topic``, ``check``, ``model``, ``value``, ``bound``, ``holds``."""
    truth, recordings = rnb.load_truth(), rnb.load_recordings("simulated")
    models = {"twin": rnb.load_twin("simulated"), "truth": truth}
    rows = [
        {"topic": topic, "check": one.check, "model": name, "value": one.value, "bound": one.bound, "holds": one.holds}
        for topic in TOPICS
        for name, model in models.items()
        for one in import_module(f"retina_nb.checks.{topic}").checks(model, truth, recordings)
    ]
    return pd.DataFrame(rows)


def main(folder: str = "runs/truth") -> int:
    """Print the table, write it to ``truth.json``; 1 if a check does not hold."""
    table = run_checks()
    Path(folder).mkdir(parents=True, exist_ok=True)
    with replace_file(Path(folder) / "truth.json") as temporary:
        temporary.write_text(json.dumps({"rows": table.to_dict("records")}, indent=1), encoding="utf-8")
    print(table.drop(columns="topic").to_string(index=False, float_format="{:.3g}".format))
    return int(not table["holds"].all())


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
