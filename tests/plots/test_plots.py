import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from helpers import small_recording

from retina_nb import plots
from retina_nb.analyses.receptive_fields import SpikeTriggeredCovariance
from retina_nb.evaluation import compare_all_models
from retina_nb.recording import Movie


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_stimulus_frames_have_a_row_for_each_channel():
    figure = plots.show_stimulus(small_recording(), frames=5, every=1)
    assert len(figure.axes) == 10
    assert figure.axes[0].get_ylabel() == "channel 0"


def test_responses_and_predictions_have_a_row_for_each_panel_with_units():
    trials = small_recording().trials()[:, :, 0]
    figure = plots.show_responses({"one": trials, "two": trials}, 30.0)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["one", "two"]
    panel = plots.Prediction("cell", trials, {"twin": np.ones(70), "linear-nonlinear": np.ones(60)})
    figure = plots.show_predictions([panel], 30.0)
    assert figure.axes[0].get_ylabel() == "events/s"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "recorded, mean over trials",
        "twin",
        "linear-nonlinear",
    ]


def test_scores_show_every_neuron_even_undefined_ones():
    scores = pd.DataFrame(
        {
            "cc_norm": [0.9, np.nan, 0.5],
            "cc_norm_low": [0.8, np.nan, 0.4],
            "cc_norm_high": [1.0, np.nan, 0.6],
            "linear_nonlinear_cc_norm": [0.6, 0.1, np.nan],
            "nonlinear": [True, False, True],
        }
    )
    left, right = plots.show_scores(scores).axes
    assert "twin" in left.get_ylabel()
    assert len([patch for patch in right.patches if np.isfinite(patch.get_height())]) >= 5


def test_learning_curve_and_positions():
    history = pd.DataFrame(
        {"epoch": [0, 1], "loss": [1.0, 0.5], "validation_loss": [1.0, 0.6], "validation_correlation": [0.1, 0.2]}
    )
    assert len(plots.show_learning_curve(history, 1).axes) == 2
    found = np.array([[1.0, 2.0], [3.0, 4.0]])
    figure = plots.show_positions(found, found + 0.5, (7, 9), 50.0)
    assert "50 µm" in figure.axes[1].get_xlabel()


def test_models_side_by_side_have_a_row_each_and_their_gain():
    scores = pd.DataFrame({"plain": [0.2, 0.4, 0.6], "better": [0.3, 0.5, 0.8]})
    figure = plots.show_comparison(compare_all_models(scores), label="score")
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["plain", "better"]
    assert right.get_xlabel() == "gain over plain, neuron by neuron"


def test_kernels_are_maps_above_courses_that_end_at_the_present():
    figure = plots.show_kernels(np.random.rand(3, 5, 7), np.random.rand(3, 9), ["a", "b", "c"], 30.0)
    assert [ax.get_title() for ax in figure.axes[:3]] == ["a", "b", "c"]
    assert figure.axes[3].lines[1].get_xdata()[-1] == 0


def test_masks_lie_where_they_are_on_the_screen():
    masks = {"twin": np.random.rand(2, 4, 6), "truth": np.random.rand(2, 8, 10)}
    figure = plots.show_masks(masks, ["one", "two"], (8, 10))
    small, large = figure.axes[0].images[0].get_extent(), figure.axes[2].images[0].get_extent()
    assert list(small) == [1.5, 7.5, 5.5, 1.5]
    assert list(large) == [-0.5, 9.5, 7.5, -0.5]
    assert [ax.get_title() for ax in figure.axes] == ["one", "two", "", ""]


def test_maps_have_a_title_for_each_column_and_a_name_for_each_row():
    maps = {name: np.random.default_rng(0).standard_normal((5, 7)) for name in ("truth", "found")}
    figure = plots.show_maps({"one": maps, "two": maps})
    assert [ax.get_title() for ax in figure.axes] == ["truth", "found", "", ""]
    assert [ax.get_ylabel() for ax in figure.axes] == ["one", "", "two", ""]
    matrices = plots.show_maps({"": maps}, limit=3, label="errors", axes_names=("neuron", "source"))
    assert [ax.get_ylabel() for ax in matrices.axes] == ["neuron", "neuron", "errors"]
    assert matrices.axes[0].images[0].get_clim() == (-3, 3)


def test_curves_have_one_colour_for_a_name_in_every_panel():
    curve = np.arange(4.0)
    figure = plots.show_curves(
        {"a": {"planted": curve, "mine": curve}, "b": {"mine": curve}}, np.arange(4) / 30, ylabel="effect"
    )
    first, second = figure.axes
    assert first.get_ylabel() == "effect"
    assert first.lines[1].get_color() == second.lines[1].get_color()


def test_the_truth_is_filled_and_hides_no_curve_that_is_the_same():
    curve = np.sin(np.arange(9.0))
    first, second = plots.show_curves(
        {"a": {"twin": curve, "truth": curve}, "b": {"truth": curve}}, curve, ylabel="r"
    ).axes
    assert len(first.collections) == 1
    assert len(first.lines) == 2  # zero and the twin
    assert len(second.collections) == 0  # alone it is a line
    assert len(second.lines) == 2


def test_many_panels_of_curves_are_in_two_rows_that_a_page_can_show():
    curve = np.arange(4.0)
    figure = plots.show_curves({str(n): {"twin": curve} for n in range(7)}, curve, ylabel="r")
    assert [ax.get_visible() for ax in figure.axes] == [True] * 7 + [False]
    assert figure.get_figwidth() <= 7.5


def test_maps_without_a_common_scale_say_so():
    maps = {"cell": {"twin": np.eye(3), "truth": 2 * np.eye(3)}}
    assert "each map to its own largest" in plots.show_maps(maps).get_supxlabel()
    assert plots.show_maps(maps, limit=2).get_supxlabel() == ""


def test_types_are_sorted_by_their_medians_and_every_neuron_is_drawn():
    figure = plots.show_by_type(pd.Series([3.0, 1.0, 2.0, 0.0]), ["ON", "OFF", "ON", "OFF"], xlabel="weight")
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.get_yticklabels()] == ["OFF", "ON"]
    assert sorted(x for line in ax.lines if line.get_marker() == "o" for x in line.get_xdata()) == [0, 1, 2, 3]


def test_the_best_model_of_each_group_is_framed():
    scores = pd.DataFrame({"simple": [0.9, 0.8, 0.1, np.nan], "rich": [0.5, 0.6, 0.7, np.nan]})
    ax, _ = plots.show_medians(scores, ["a", "a", "b", "c"], label="score").axes
    frames = {(round(frame.get_x() + 0.47), round(frame.get_y() + 0.45)) for frame in ax.patches}
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert {(0, names.index("a")), (1, names.index("b"))} <= frames
    assert len(frames) == 2


def test_frames_of_a_stimulus_say_when_they_were_shown():
    figure = plots.show_stimulus(small_recording(), frames=3, every=1)
    top = [float(ax.get_title().removesuffix(" s")) for ax in figure.axes[:3]]
    assert all(start <= shown <= start + 1 for start, shown in enumerate(top))
    assert [ax.get_title() for ax in figure.axes[3:]] == ["", "", ""]


def test_frames_of_a_stimulus_are_not_the_blank_ones():
    frames = np.zeros((1, 400, 7, 9), dtype=np.float32)
    seen = np.arange(400) % 30 >= 20  # two thirds of each second are grey, or flicker of the whole screen
    frames[:, seen] = np.random.default_rng(0).standard_normal((1, seen.sum(), 7, 9))
    frames[:, 30:50] = 3
    figure = plots.show_stimulus(small_recording(movie=Movie(frames)), frames=5, every=1)
    assert all(ax.images[0].get_array().std() > 0.5 for ax in figure.axes)


def test_distances_fill_their_panel_and_far_ones_are_told():
    expected = np.zeros((100, 2))
    near = np.linspace(0, 0.8, 100)[:, None] * [1.0, 0.0]
    right = plots.show_positions(near, expected, (7, 9), 50.0).axes[1]
    assert right.get_xlim() == (0, 1.2)
    assert right.get_title(loc="right") == ""
    near[-10:] = 5.0
    right = plots.show_positions(near, expected, (7, 9), 50.0).axes[1]
    assert right.get_xlim() == (0, 4)
    assert right.get_title(loc="right") == "the last bar has all from 3.8 pixels on"
    assert sum(bar.get_height() for bar in right.patches) == 100


def test_estimates_grow_with_data_beside_what_they_are_compared_with():
    cosines = pd.DataFrame({"rates": [0.2, 0.5, 0.8], "spikes": [0.1, 0.2, 0.3]}, index=[0.5, 1, 2])
    ax = plots.show_data_needed(cosines, ylabel="cosine", levels={"twin": 0.9}).axes[0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["rates", "spikes", "twin"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.5", "1", "2"]


def test_significant_directions_are_filled_and_the_strongest_drawn():
    filters = np.random.default_rng(0).standard_normal((1, 4, 2, 3, 5, 5))
    found = SpikeTriggeredCovariance(
        eigenvalues=np.array([[0.9, 0.2, -0.1, -0.4]]),
        filters=filters,
        low=np.array([-0.3]),
        high=np.array([0.3]),
        corners=np.zeros((1, 2), dtype=int),
        rate=30.0,
        neurons=pd.DataFrame({"session": ["a"], "neuron": [0]}),
    )
    values, first, second = plots.show_covariance(found, ["cell"]).axes
    assert len({tuple(colour) for colour in values.collections[-1].get_facecolors()}) == 2
    assert [first.get_xlabel(), second.get_xlabel()] == ["+0.90", "-0.40"]


def test_recovered_numbers_have_a_colour_for_each_group_and_off_is_hollow():
    planted = np.array([1.0, 2.0, 3.0, 4.0])
    groups = ["ON alpha", "OFF alpha", "ON transient", "opponent"]
    figure = plots.show_recovered({"size (µm)": (planted, planted + 0.1), "time (ms)": (planted, planted)}, groups)
    assert {text.get_text() for text in figure.legends[0].get_texts()} == set(groups)
    assert min(text.get_fontsize() for text in figure.legends[0].get_texts()) >= 9
    dots = {line.get_label(): line for line in figure.axes[0].lines if line.get_marker() == "o"}
    assert dots["ON alpha"].get_mec() == dots["OFF alpha"].get_mec()
    assert dots["OFF alpha"].get_mfc() == "none" != dots["ON alpha"].get_mfc()
    assert len({dots[name].get_mec() for name in ("ON alpha", "ON transient", "opponent")}) == 3
    assert figure.axes[0].get_title() == "size (µm)"
