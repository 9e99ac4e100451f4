"""``python -m retina_nb.checks [FOLDER] [README]``: every topic on the shipped twin and on the truth.

Prints the table and writes it to ``FOLDER/truth.json``, and into the README between its two marks, if one is given.
"""

import json
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd

import retina_nb as rnb
from retina_nb.files import replace_between, replace_file

# The modules of this package, in the order of the table.
TOPICS: tuple[str, ...] = (
    "tuning",
    "gradients",
    "attribution",
    "features",
    "most_exciting",
    "most_discriminative",
    "populations",
    "generalization",
    "receptive_fields",
    "phenomena",
)
MARKS = ("<!-- truth -->\n", "<!-- /truth -->\n")


def run_checks(topics: tuple[str, ...] = TOPICS, models: tuple[str, ...] = ("twin", "truth")) -> pd.DataFrame:
    """A row for each check: ``topic``, ``check``, ``model``, ``value``, ``bound``, ``holds``."""
    truth, recordings = rnb.load_truth(), rnb.load_recordings("simulated")
    known = {"twin": rnb.load_twin("simulated"), "truth": truth}
    rows = [
        {"topic": topic, "check": one.check, "model": name, "value": one.value, "bound": one.bound, "holds": one.holds}
        for topic in topics
        for name in models
        for one in import_module(f"retina_nb.checks.{topic}").checks(known[name], truth, recordings)
    ]
    return pd.DataFrame(rows)


def markdown(table: pd.DataFrame) -> str:
    """A line for each check with what the twin and the truth reach, and their bounds; what does not hold is bold."""
    lines = ["| analysis | recovered | twin | bound | truth | bound |", "|---|---|---|---|---|---|"]
    for (topic, check), rows in table.groupby(["topic", "check"], sort=False):
        cells = []
        for model in ("twin", "truth"):
            one = rows[rows["model"] == model]
            cells += [_value(one.iloc[0]), f"{one.iloc[0]['bound']:.3g}"] if len(one) else ["", ""]
        lines.append(f"| {str(topic).replace('_', ' ')} | {check} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(folder: str = "runs/truth", readme: str | None = None) -> int:
    """Print the table and write it; 1 if a check does not hold."""
    table = run_checks()
    Path(folder).mkdir(parents=True, exist_ok=True)
    with replace_file(Path(folder) / "truth.json") as temporary:
        temporary.write_text(json.dumps({"rows": table.to_dict("records")}, indent=1), encoding="utf-8")
    if readme is not None:
        replace_between(readme, MARKS, markdown(table))
    print(table.drop(columns="topic").to_string(index=False, float_format="{:.3g}".format))
    return int(not table["holds"].all())


def _value(row: pd.Series) -> str:
    return f"{row['value']:.3g}" if row["holds"] else f"**{row['value']:.3g}**"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
