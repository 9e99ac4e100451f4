"""The table at the end of a notebook: verdicts that can fail, and plain numbers where nothing is expected."""

import numpy as np
import pytest

import retina_nb as rnb
from retina_nb.expectations import Check


@pytest.fixture
def results(tmp_path):
    values = {"cc_norm": {"twin": 0.91234, "linear_nonlinear": None}, "dataset": "simulated", "same": True}
    return rnb.write_results(tmp_path, **values, many=list(range(50)), seconds=12.3)


@pytest.mark.parametrize(
    ("value", "expected", "holds"),
    [
        (0.9, ">= 0.9", True),
        (0.89, ">= 0.9", False),
        (np.float32(0.5), "> 0.5", False),
        (np.int64(0), "<= 0", True),
        (np.float64(1e-12), "<= 0", False),
        (-0.05, "< 0", True),
        (1.02, "0.97 to 1.03", True),
        (0.96, "0.97 to 1.03", False),
        (np.bool_(True), "yes", True),
        (False, "yes", False),
        (float("nan"), "< 1", False),
        (float("nan"), "0 to 1", False),
    ],
)
def test_a_verdict_is_what_the_numbers_say(value, expected, holds):
    assert Check("it", value, expected).holds is holds


def test_an_expectation_of_no_known_form_is_no_verdict():
    with pytest.raises(ValueError, match="is no expectation"):
        Check("it", 1, "about 1").holds  # noqa: B018


def test_results_that_are_as_expected_are_a_table(results):
    table = rnb.verdicts(results, [("median CC_norm", 0.91234, ">= 0.85"), ("the <same>", True, "yes")])
    assert repr(table).splitlines()[1].split() == ["median", "CC_norm", "0.912", "≥", "0.85", "✓"]
    assert f"All results are as expected. Everything is in {results} (12 s, " in repr(table)
    html = table._repr_html_()
    assert html.count("<tr>") == 3
    assert "the &lt;same&gt;" in html


def test_a_result_that_is_not_as_expected_stops_the_notebook_and_is_named(results):
    with pytest.raises(AssertionError, match=r"NOT as expected: the other.\n(.*\n)*the other +0.1 +> 0.2 +✗") as caught:
        rnb.verdicts(results, [("one", 1, "> 0"), ("the other", 0.1, "> 0.2")])
    assert "✓" in str(caught.value)


def test_without_expectations_the_numbers_are_shown(results):
    table = rnb.verdicts(results)
    assert table.rows == (
        ("cc norm: twin", "0.912"),
        ("cc norm: linear nonlinear", "–"),
        ("dataset", "simulated"),
        ("same", "yes"),
    )
    assert "No verdicts: they are known for the default parameters." in repr(table)
