import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from retina_nb import plots


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def drawn(figure):
    figure.canvas.draw()
    return figure


def test_correlations_are_sorted_by_group_and_have_no_diagonal():
    matrix = np.arange(25.0).reshape(5, 5) / 25
    figure = drawn(plots.show_correlations({"twin": matrix, "truth": matrix}, ["a", "b", "a", "b", "a"]))
    first = figure.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b"]
    shown = first.images[0].get_array()
    assert shown[0, 1] == matrix[0, 2]
    assert np.ma.getmaskarray(shown).diagonal().all()


def test_what_was_found_stands_beside_chance_and_expectation():
    null = np.random.default_rng(0).standard_normal(50)
    figure = drawn(plots.show_null({"one": (null, 3.0), "two": (null, 0.1)}, xlabel="correlation"))
    assert [ax.get_title() for ax in figure.axes] == ["one", "two"]
    clouds = {"twin": (null, null), "truth": (null, null + 1)}
    figure = drawn(plots.show_clouds({"cells": clouds}, xlabel="true", ylabel="found"))
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["twin", "truth"]


def test_a_table_leaves_zeros_empty_and_draws_shares_of_rows():
    counts = pd.DataFrame([[3, 1, 0], [0, 0, 5]], index=["a", "b"])
    figure = drawn(plots.show_table(counts, label="share"))
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "1", "5"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), [[0.75, 0.25, 0], [0, 0, 1]])


def test_mosaics_have_a_panel_for_each_type_and_vertical_places_downwards():
    places = np.random.default_rng(0).uniform(0, 700, (9, 2))
    figure = drawn(plots.show_mosaics(places, ["a", "b", "c"] * 3, dict.fromkeys("abc", 50.0), {"a": "A", "b": "B"}))
    assert [ax.get_title() for ax in figure.axes] == ["A", "B"]
    assert figure.axes[0].yaxis_inverted()


def test_curves_and_frames_have_names_and_units():
    curves = {"gain": {"twin": np.arange(3.0)}, "loss": {"a": np.arange(3.0), "b": np.ones(3)}}
    figure = drawn(plots.show_population_curves(curves, [1, 3, 10], ylabels=["bits", "share"]))
    assert [ax.get_ylabel() for ax in figure.axes] == ["bits", "share"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "3", "10"]
    movie = np.random.default_rng(0).standard_normal((4, 5, 7))
    figure = drawn(plots.show_frames({"shown": movie, "decoded": movie / 9}, [0, 0.1, 0.2, 0.3]))
    assert [ax.get_title() for ax in figure.axes[:4]] == ["0.00 s", "0.10 s", "0.20 s", "0.30 s"]
    assert figure.axes[4].get_ylabel() == "decoded"
