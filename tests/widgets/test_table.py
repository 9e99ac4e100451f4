import numpy as np
import pandas as pd
import pytest

from retina_nb import UserError
from retina_nb.widgets.table import Table, aligned, choose_rows

FRAME = pd.DataFrame(
    {
        "kind": ["ON", "OFF alpha", "ON", None],
        "score": [0.5, np.nan, 0.25, 0.75],
        "cells": [3, 12, 7, 1],
        "score.twin": [0.1, 0.2, 0.3, 0.4],
        "about": [{}, {}, {}, {}],
    },
    index=[9, 9, 4, 4],
)


def table(**options):
    return Table(FRAME, ["kind", "score", "cells"], **options)


def test_rows_are_sorted_and_those_without_a_number_come_last():
    rows = FRAME.reset_index(drop=True)
    assert choose_rows(rows, by="score").index.tolist() == [3, 0, 2, 1]
    assert choose_rows(rows, by="score", ascending=True).index.tolist() == [2, 0, 3, 1]
    assert choose_rows(rows).index.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("where", "left"),
    [
        ("score > 0.3", [0, 3]),
        ("kind == 'ON' and cells < 5", [0]),
        ("`score.twin` >= 0.2", [1, 2, 3]),
        ("kind in ['OFF alpha']", [1]),
        ("kind not in ('OFF alpha', 'ON')", [3]),
        ("not kind == 'ON'", [1, 3]),
        ("kind == 'a`b`' or 0.2 <= score < 0.6", [0, 2]),
        ("cells > -1 and (cells == 1 or cells == 3)", [0, 3]),
        ("0.1 < `score.twin`", [1, 2, 3]),
        ("  ", [0, 1, 2, 3]),
    ],
)
def test_only_rows_for_which_the_condition_holds_are_left(where, left):
    assert choose_rows(FRAME.reset_index(drop=True), where).index.tolist() == left


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("scor > 0.3", "unknown column 'scor': did you mean 'score'"),
        ("score >", r"cannot be understood .* as in score > 0\.5"),
        ("score * 2", "not a condition"),
        ("score", "not a condition"),
        ("kind = 'ON'", "cannot be understood"),
        ("score * 2 > 1", "no name, number or text"),
        ("cells in 3", "must be a list"),
        ("kind > 3", "cannot be understood"),
        ("1 < 2", "a comparison needs a column"),
        ("score > 9**9**9", "no name, number or text"),
        ("score.to_csv('made.csv') == score", "no name, number or text"),
        ("score > __import__('os').getpid()", "no name, number or text"),
        ("(lambda: 1)() == score", "no name, number or text"),
        ("[score for _ in ''] == score", "no name, number or text"),
        ("f'{score}' == kind", "no name, number or text"),
        ("score > 1j", "no name, number or text"),
        ("cells == 1" + "0" * 480, "no row meets"),
        ("not " * 120 + "score", "not a condition"),
        ("(" * 240 + "score" + ")" * 240, "not a condition|cannot be understood"),
        ("score > 0.3 or " * 400 + "score > 0.3", "has 6011 characters, and may have 500"),
        ("score > 0\x00", "cannot be understood"),
        ("`score", "cannot be understood"),
        ("score is 3", "is compared by"),
        ("score > 5", "no row meets the condition 'score > 5'"),
        ("@frame.score > 0", "cannot be understood|unknown column"),
    ],
)
def test_a_condition_that_makes_no_sense_is_told_in_a_sentence(where, sentence):
    with pytest.raises(UserError, match=sentence):
        choose_rows(FRAME.reset_index(drop=True), where, by="score")


def test_columns_stand_below_each_other():
    lines = aligned(FRAME[["kind", "score", "cells"]])
    assert lines == [
        "kind       score  cells",
        "ON         0.500      3",
        "OFF alpha      –     12",
        "ON         0.250      7",
        "–          0.750      1",
    ]


def test_numbers_of_any_size_and_long_texts_can_be_read():
    lines = aligned(pd.DataFrame({"rate": [1e-4, 0.25], "seed": [1.0, np.nan], "path": ["x" * 50, "y"]}))
    assert lines[1].startswith("0.0001     1  …xxx")
    assert lines[2].startswith("  0.25     –  y")
    assert max(map(len, lines)) < 50


def test_the_largest_is_chosen_at_first_and_the_choice_survives_sorting_and_filtering():
    shown = table(sort_by="score")
    assert shown.value == 3
    shown.rows.value = 0
    shown.sort_by.value = "cells"
    assert [row for _, row in shown.rows.options] == [1, 2, 0, 3]
    shown.ascending.value = True
    shown.where.value = "kind == 'ON'"
    assert shown.value == 0
    assert shown.message.value == "2 of 4 rows"
    shown.where.value = "cells > 10"
    assert shown.value == 1, "what is no longer there cannot stay chosen"


def test_a_bad_condition_leaves_the_rows_and_says_why():
    shown = table()
    shown.where.value = "scor > 1"
    assert "did you mean &#x27;score&#x27;" in shown.message.value
    assert len(shown.rows.options) == 4
    shown.where.value = "score > 0.3"
    assert shown.message.value == "2 of 4 rows"


def test_who_watches_is_told_of_a_choice_once():
    shown, seen = table(sort_by="score"), []
    shown.observe(lambda change: seen.append(change["new"]), "value")
    shown.rows.value = 2
    shown.sort_by.value = "cells"
    shown.ascending.value = True
    shown.where.value = "cells == 12"
    assert seen == [2, 1]


def test_columns_that_cannot_be_compared_are_not_sorted_by():
    names = [value for _, value in table().sort_by.options]
    assert names == ["", "kind", "score", "cells", "score.twin"]


def test_a_table_needs_rows_and_its_columns():
    with pytest.raises(UserError, match="no row"):
        Table(FRAME.iloc[:0], ["kind"])
    with pytest.raises(UserError, match="unknown column of the table 'scores'"):
        Table(FRAME, ["scores"])
