"""What the figure of a preview shows."""

from io import BytesIO

import numpy as np
from PIL import Image

from retina_nb.analyses.preview import Preview
from retina_nb.plots.preview import PreviewFigure

SIZE = (5, 7)


def seen(scale=1.0, **rates):
    frames = np.random.default_rng(0).normal(size=(2, 40, *SIZE)).astype(np.float32)
    rates = {"twin": np.linspace(0, 20, 40) * scale, **rates}
    return Preview(frames, {name: one.astype(np.float32) for name, one in rates.items()}, 30.0, "a", 3)


def show(figure, preview, **options):
    painted = figure.show(preview, **{"place": (1.2, 5.7), "at": 0.5} | options)
    return painted, np.asarray(Image.open(BytesIO(painted._repr_png_())))


def test_the_frame_is_that_under_the_cursor_and_the_course_that_at_the_cell():
    figure, preview = PreviewFigure(SIZE, ["green", "UV"]), seen()
    painted, _ = show(figure, preview)
    green, uv, stimulus, response = painted.figure.axes
    assert np.array_equal(green.images[0].get_array(), preview.frames[0, 15])
    assert np.array_equal(uv.images[0].get_array(), preview.frames[1, 15])
    assert np.array_equal(stimulus.lines[1].get_ydata(), preview.frames[1, :, 1, 6])
    assert [line.get_xdata()[0] for line in (stimulus.lines[-1], response.lines[-1])] == [0.5, 0.5]
    assert uv.lines[0].get_xydata().tolist() == [[5.7, 1.2]]


def test_words_tell_what_is_seen_and_the_legend_what_there_is():
    figure = PreviewFigure(SIZE, ["green", "UV"])
    painted, _ = show(figure, seen(truth=np.linspace(0, 10, 40)), words="neuron 3")
    assert painted.figure.texts[0].get_text() == "neuron 3\ncorrelation with the truth: 1.00\nframe at 0.50 s"
    assert [one.get_text() for one in painted.figure.legends[0].get_texts()] == ["truth", "twin"]
    (truth,) = [one for one in painted.figure.axes[-1].collections if one.get_label() == "truth"]
    assert truth.get_paths()[0].vertices[:, 1].max() == 10, "an area up to what is true"
    assert painted.words.startswith("neuron 3, correlation with the truth: 1.00, frame at 0.50 s, ")
    assert "truth: largest rate 10 events per second at 1.30 s" in painted.words
    painted, _ = show(figure, seen())
    assert painted.figure.texts[0].get_text() == "frame at 0.50 s"
    assert [one.get_text() for one in painted.figure.legends[0].get_texts()] == ["twin"]


def test_a_picture_does_not_depend_on_those_before_it():
    used, fresh = PreviewFigure(SIZE, ["green", "UV"]), PreviewFigure(SIZE, ["green", "UV"])
    show(used, seen(7.0, truth=np.ones(40)), at=0.0)
    show(used, seen(0.0))
    assert np.array_equal(show(used, seen())[1], show(fresh, seen())[1])


def test_scales_have_room_for_what_is_shown():
    figure = PreviewFigure(SIZE, ["green", "UV"])
    tops = [show(figure, seen(scale))[0].figure.axes[-1].get_ylim()[1] for scale in (0.0, 1.0, 1.01, 3.7)]
    assert tops == [1, 20, 30, 80]


def test_one_channel_is_grey():
    frames = np.zeros((1, 40, *SIZE), dtype=np.float32)
    one = Preview(frames, {"twin": np.zeros(40, dtype=np.float32)}, 30.0, "a", 0)
    painted, _ = show(PreviewFigure(SIZE, ["0"]), one)
    assert painted.figure.axes[0].images[0].get_cmap().name == "gray"
