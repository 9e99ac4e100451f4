"""The natural movie: each bin shows a film's frame from where the gaze of the simulated eye was.

The first `TEST_LINES` lines of a file of fixations are of the frozen movie, and then come the running trials.
"""

import os
import warnings
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from retina_nb.errors import UserError
from retina_nb.loaders.gaze import distinct_views
from retina_nb.loaders.lazy import DrawnFrames
from retina_nb.loaders.sridhar_2025.retinas import Retina, cropped, load_array
from retina_nb.recording import Movie

TEST_LINES = 5100
IMAGES = "stimuli_padded_4"
# Files of fixations: two seeds one after the other, but for a retina that saw the first seed only.
FIXATIONS = {"02": "complete_fixations_seed2022_s4.txt"}
BOTH_SEEDS = "complete_fixations_seed_2022and2023_s4_fixed.txt"

_LEVELS = 1e4  # no grey level is as far from 0

Crop = tuple[int, int, int, int]


def natural_movie(
    fixations: Path, images: Path, view: tuple[int, int], padding: int, crop: Crop
) -> tuple[Movie, Int64[np.ndarray, " line"]]:
    """The movie of a file of fixations, made from the images where it is looked at.

    Args:
        fixations: text with a line for each bin: number of the image, two columns that are not used, x and y of the
            gaze, and 0 where the view is upside down.
        images: folder of the images, each (width, height) of bytes with `padding` around it.
        view: height and width of what is seen of an image around the gaze.
        padding: pixels around an image.
        crop: pixels cut off the view at the top, bottom, left and right.

    Returns:
        The movie of all distinct views, and which of them each line shows.

    Raises:
        UserError: if files are missing, damaged or of another kind, or a view does not fit into its image.
    """
    files = image_files(images)
    width, height = load_array(files[0], "width height").shape
    views, frames = distinct_views(read_fixations(fixations))
    _check_views(views, frames, fixations, len(files), (height, width), view, padding)
    made = cropped(np.empty(view), crop, "a view").shape
    draw = partial(draw_views, views=views, files=files, shape=(width, height), view=view, padding=padding, crop=crop)
    return Movie(DrawnFrames(draw, len(views), *made), channels=("luminance",)), frames


def shown(
    retina: Retina, lines: Int64[np.ndarray, " line"], fixations: Path
) -> tuple[Int64[np.ndarray, "trial time"], Int64[np.ndarray, " test_time"]]:
    """Which frames of the movie a retina saw in its running trials and in each frozen one.

    Raises:
        UserError: if there are not enough lines.
    """
    time, test_time = retina.running.shape[1], retina.frozen.shape[1]
    needed = TEST_LINES + time * (int(retina.trials.max()) + 1)
    if len(lines) < needed or test_time > TEST_LINES:
        raise UserError(
            f"{fixations} has {len(lines)} lines, the responses of retina {retina.name} need {needed}, of which "
            f"{test_time} of {TEST_LINES} are for testing; is it the file of this retina?"
        )
    starts = TEST_LINES + time * retina.trials
    return lines[starts[:, None] + np.arange(time)], lines[:test_time]


def read_fixations(path: Path) -> Int64[np.ndarray, "line 4"]:
    """Number of the image, x, y, and 0 where the view is upside down, of every line of a file.

    Raises:
        UserError: if the file is missing, or is not such a text.
    """
    try:
        with open(path, encoding="utf-8") as file:
            columns = {len(words) for line in file if (words := line.split())}
        if len(columns) > 1:  # the last column would be another one
            raise ValueError(f"its lines have from {min(columns)} to {max(columns)} columns")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an empty file is a warning
            table = np.loadtxt(path, usecols=(0, 3, 4, -1), ndmin=2, comments=None, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}; get it again") from None
    except (ValueError, UserWarning, IndexError, OverflowError) as error:
        raise UserError(f"{path} is not a list of fixations ({error}); get it again") from None
    if not np.isfinite(table).all() or np.abs(table).max() > 2**31:
        line = int(np.argwhere(~(np.abs(table) <= 2**31))[0][0]) + 1
        raise UserError(f"{path} has no usable numbers in line {line}; get it again")
    if (part := table[:, 0] % 1 != 0).any():
        raise UserError(f"{path} has image {table[part.argmax(), 0]:g} in line {part.argmax() + 1}; get it again")
    return table.astype(np.int64)


def image_files(folder: Path) -> list[Path]:
    """The files of the images in the order of their numbers.

    Raises:
        UserError: if there are none, or the folder cannot be read.
    """
    try:
        names = sorted(name for name in os.listdir(folder) if "_img_" in name and name.endswith(".npy"))
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror or error}; get it again") from None
    if not names:
        raise UserError(f"{folder} has no images *_img_*.npy; get it again")
    return [folder / name for name in names]


def draw_views(
    numbers: Int64[np.ndarray, " n"],
    *,
    views: Int64[np.ndarray, "view 4"],
    files: list[Path],
    shape: tuple[int, int],
    view: tuple[int, int],
    padding: int,
    crop: Crop,
) -> Float32[np.ndarray, "n height width"]:
    """Views of images, in units of the largest grey level; see `natural_movie`.

    Grey levels pass through 16-bit floats, as openretina published models with.

    Args:
        numbers: which views, ascending: those of one image follow one another, and it is read once.
        views: number of the image, x, y, and 0 where it is upside down.
        files: the images.
        shape: the images' size, as they are stored.
        view, padding, crop: see `natural_movie`.
    """
    made = np.empty((len(numbers), *cropped(np.empty(view), crop, "a view").shape), dtype=np.float32)
    before, pixels = -1, np.empty(shape)
    for place, (image, x, y, upright) in zip(made, views[numbers].tolist(), strict=True):
        if image != before:
            before, pixels = image, load_array(files[image], "width height")
            if pixels.shape != shape or not (pixels.min() > -_LEVELS and pixels.max() < _LEVELS):
                raise UserError(
                    f"{files[image]} must have grey levels up to 255 in the shape {shape}, not levels from "
                    f"{pixels.min():g} to {pixels.max():g} in {pixels.shape}; get it again"
                )
        left, top = x + padding - view[1] // 2, y + padding - view[0] // 2
        seen = pixels[left : left + view[1], top : top + view[0]].T
        place[:] = (cropped(seen if upright else seen[::-1], crop, "a view") / 255).astype(np.float16)
    return made


def _check_views(
    views: np.ndarray,
    frames: np.ndarray,
    path: Path,
    n_images: int,
    size: tuple[int, int],
    view: tuple[int, int],
    padding: int,
) -> None:
    image, x, y, _ = views.T
    left, top = x + padding - view[1] // 2, y + padding - view[0] // 2
    fits = (left >= 0) & (top >= 0) & (left + view[1] <= size[1]) & (top + view[0] <= size[0])
    bad = ~(fits & (image >= 0) & (image < n_images))
    if bad.any():
        line = int(bad[frames].argmax()) + 1
        wrong = frames[line - 1]
        raise UserError(
            f"{path}, line {line}: a view of {view[0]} x {view[1]} pixels around x={x[wrong]}, y={y[wrong]} of image "
            f"{image[wrong]} does not fit: there are {n_images} images of {size[0]} x {size[1]} with a padding of "
            f"{padding}; is it the file of these images?"
        )
