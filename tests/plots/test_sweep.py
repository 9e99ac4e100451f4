"""Figures of sweeps draw every run that has a result, whatever its parameters are."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from retina_nb import UserError, plots
from retina_nb.sweeps.varied import varied


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def runs():
    """A grid of learning rates, widths and seeds, of which one run failed."""
    rows = [
        {"rate": rate, "layers": layers, "seed": seed, "preset": "a", "overrides": overrides}
        for rate in (0.001, 0.01, 0.1)
        for layers in ([8], [8, 8])
        for overrides in ([], ["core.dropout=0.5"])
        for seed in (0, 1)
    ]
    table = pd.DataFrame(rows)
    table["score"] = -np.log10(table["rate"]) + 0.1 * table["seed"] + table["layers"].map(len)
    table.loc[0, "score"] = np.nan
    table.attrs["parameters"] = list(rows[0])
    return table


def test_what_varies_has_a_column_each(runs):
    table = varied(runs)
    assert list(table) == ["rate", "layers", "seed", "core.dropout"]
    assert set(table["layers"]) == {"[8]", "[8, 8]"}
    assert set(table["core.dropout"]) == {"preset", 0.5}
    assert len(table) == len(runs)


def test_a_table_that_was_saved_and_read_is_told_its_parameters(runs, tmp_path):
    runs.to_csv(tmp_path / "runs.csv")
    read = pd.read_csv(tmp_path / "runs.csv")
    with pytest.raises(UserError, match="say parameters="):
        plots.show_sweep(read, "score")
    plots.show_sweep(read, "score", parameters=["rate", "layers"])


def test_a_panel_shows_means_and_spread_over_seeds(runs):
    figure = plots.show_sweep(runs, "score")
    first, second, third, empty = (*figure.axes, None)[:4]
    assert [ax.get_xlabel() for ax in (first, second, third)] == ["rate", "layers", "core.dropout"]
    assert empty is None
    assert first.get_xscale() == "log"
    assert [tick.get_text() for tick in second.get_xticklabels()] == ["[8]", "[8, 8]"]
    dots, *lines = first.lines
    assert len(dots.get_xdata()) == 23
    courses = [line for line in lines if len(line.get_xdata()) == 3]
    assert len(courses) == 4  # of widths and dropout
    assert any(list(line.get_ydata()) == pytest.approx([5.05, 4.05, 3.05]) for line in courses)
    assert {text.get_text() for text in second.get_legend().get_texts()} >= {"rate=0.1, core.dropout=0.5"}


def test_categories_are_in_the_order_of_their_numbers():
    table = pd.DataFrame({"layers": ["[12]", "[4]", "[8, 16]", "[8, 4]"], "score": range(4)})
    (ax,) = plots.show_sweep(table, "score", parameters=["layers"]).axes
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["[4]", "[8, 4]", "[8, 16]", "[12]"]


def test_a_random_search_is_dots_alone(runs):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.random(20), "b": rng.random(20), "score": rng.random(20)})
    figure = plots.show_sweep(table, "score", parameters=["a", "b"])
    assert [len(ax.lines) for ax in figure.axes] == [1, 1]


def test_the_best_settings_are_first(runs):
    (ax,) = plots.show_best_runs(runs, "score", most=3).axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) == 3
    assert all("rate=0.001, layers=[8, 8]" in label for label in labels[:2])
    (ax,) = plots.show_best_runs(runs, "score", minimize=True, most=1).axes
    assert "rate=0.1, layers=[8]" in ax.get_yticklabels()[0].get_text()


def test_parallel_coordinates_have_a_line_for_each_run(runs):
    (ax,) = plots.show_parallel_coordinates(runs, "score").axes
    lines = [line for line in ax.lines if len(line.get_xdata()) == 5]
    assert len(lines) == 23
    assert all(0 <= height <= 1 for line in lines for height in line.get_ydata())
    assert {"0.001", "0.01", "0.1", "[8]", "[8, 8]", "preset", "0.5"} <= {text.get_text() for text in ax.texts}


@pytest.mark.parametrize("absent", [np.nan, "preset"])
def test_a_parameter_that_only_some_runs_have_is_on_an_axis_of_numbers(absent):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"kind": list("ab") * 12, "score": rng.random(24)})
    table["penalty"] = [absent if kind == "b" else 10 ** rng.uniform(-5, -2) for kind in table["kind"]]
    options = {"parameters": ["kind", "penalty"]}
    _, penalty = plots.show_sweep(table, "score", **options).axes
    assert penalty.get_xscale() == "log"
    assert np.isfinite(penalty.lines[0].get_xdata()).sum() == 12
    (ax,) = plots.show_parallel_coordinates(table, "score", **options).axes
    heights = [line.get_ydata()[1] for line in ax.lines if len(line.get_xdata()) == 3]
    assert sum(height < 0 for height in heights) == 12
    assert ("–" if absent is np.nan else absent) in {text.get_text() for text in ax.texts}
    (ax,) = plots.show_best_runs(table, "score", **options).axes
    assert not any("nan" in label.get_text() or "–" in label.get_text() for label in ax.get_yticklabels())


def test_what_cannot_be_shown_is_told(runs):
    with pytest.raises(UserError, match="did you mean 'score'"):
        plots.show_sweep(runs, "scoer")
    with pytest.raises(UserError, match="nothing to compare: 1 runs have score"):
        plots.show_best_runs(runs.iloc[1:2], "score")
    with pytest.raises(UserError, match="nothing to compare: 0 runs"):
        plots.show_parallel_coordinates(runs.assign(score=np.nan), "score")


def test_seeds_alone_can_be_shown(runs):
    only = runs[(runs["rate"] == 0.1) & (runs["layers"].map(len) == 1) & (runs["overrides"].map(len) == 0)]
    assert [ax.get_xlabel() for ax in plots.show_sweep(only, "score").axes] == ["seed"]
    assert len(plots.show_best_runs(only, "score").axes[0].get_yticklabels()) == 2
