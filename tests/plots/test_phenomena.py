"""Figures of phenomena draw a column for each group, and the truth below."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from retina_nb import plots
from retina_nb.analyses import Phenomenon


def test_a_column_for_each_group_and_a_line_for_each_stimulus():
    neurons = pd.DataFrame({"session": "a", "neuron": range(3)})
    rates = np.arange(3 * 2 * 7.0).reshape(3, 2, 7)
    found = Phenomenon("score", neurons, np.zeros(3), pd.DataFrame(), ("one", "two"), np.arange(7) / 30, rates)
    made = plots.show_phenomenon(found, ["ON", "OFF", "ON"], shown=["OFF", "ON"], truth=found, seconds=(0, 0.1))
    assert [ax.get_title() for ax in made.axes] == ["OFF", "ON", "", ""]
    drawn = [line.get_ydata() for line in made.axes[0].get_lines() if not line.get_label().startswith("_")]
    np.testing.assert_array_equal(drawn, rates[1])
    assert [text.get_text() for text in made.legends[0].get_texts()] == ["one", "two"]
    plt.close(made)
