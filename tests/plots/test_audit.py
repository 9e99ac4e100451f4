"""The figure of an audit shows each check by its worst finding, and says where nothing can be told."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers import small_recording

import retina_nb as rnb
from retina_nb import plots


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_checks_are_listed_the_worst_first():
    recording = small_recording(time=3000)
    responses = recording.responses.copy()
    responses[:, 1] = 0
    audit = rnb.audit({"a": replace(recording, responses=responses)})
    (checks,) = [ax for ax in plots.show_audit(audit).axes if ax.get_title(loc="left") == "checks"]
    shown = texts(checks)
    assert shown[:2] == ["cells", "1 × problem"]
    assert set(shown[::2]) == {finding.check for finding in audit.findings}
    order = [text.split("× ")[-1] for text in shown[1::2]]
    assert order == sorted(order, key=["problem", "look at it", "fine"].index)


def test_axes_have_units_and_a_point_for_each_neuron():
    recordings = {name: replace(small_recording(time=3000), session=name) for name in "ab"}
    figure = plots.show_audit(rnb.audit(recordings))
    labels = [ax.get_xlabel() for ax in figure.axes]
    assert {"stimulus before response (ms)", "later than expected (ms)", "time (min)", "neuron, sorted"} <= set(labels)
    points = [line for line in figure.axes[labels.index("neuron, sorted")].lines if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in points) == 6


def test_estimates_have_a_dot_and_an_interval_for_each_neuron():
    exact = np.array([0.5, 0.7, 0.9])
    (ax,) = plots.show_estimates(exact, exact + 0.01, (exact - 0.1, exact + 0.1), label="reliability").axes
    assert ax.get_xlabel() == "exact reliability"
    (dots,) = [line for line in ax.lines if line.get_marker() == "."]
    np.testing.assert_allclose(dots.get_ydata(), exact + 0.01)
    assert len(ax.collections[0].get_segments()) == 3


def test_what_cannot_be_told_is_said():
    recording = replace(small_recording(), repeats={}, split=np.full(480, "train"))
    figure = plots.show_audit(rnb.audit({"a": recording}))
    assert sum(texts(ax) == ["cannot be told"] for ax in figure.axes) == 3
