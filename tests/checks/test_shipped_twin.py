"""What the README's table says of the shipped twin and of the truth holds."""

from pathlib import Path

import pytest

from retina_nb.checks.__main__ import MARKS, TOPICS, run_checks

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", ["twin", "truth"])
@pytest.mark.parametrize("topic", TOPICS)
def test_every_check_holds_and_is_in_the_readme(topic, model):
    table = run_checks((topic,), (model,))
    listed = README.split(MARKS[0])[1].split(MARKS[1])[0]
    for row in table.itertuples():
        assert row.holds, f"{row.check}: {row.value} against {row.bound}"
        assert f"| {row.check} |" in listed
