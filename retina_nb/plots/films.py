"""Frames of a stimulus as pictures: a film to play, and a row of its frames to print."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.font_manager import findfont
from PIL import Image, ImageDraw, ImageFont

from retina_nb.errors import unknown
from retina_nb.plots.pictures import compressed

COMPOSITE = "composite"
# What each channel adds to a composite: two are told apart by the colour-blind as green and magenta.
_INKS = {1: [[1, 1, 1]], 2: [[0, 1, 0], [1, 0, 1]], 3: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}
_CAPTION = 18
_EDGE = 204


def film_views(names: Sequence[str]) -> list[str]:
    """The ways to look at so many channels: all in one picture of colours, where there are two or three, or one."""
    return [COMPOSITE, *names] if len(names) in (2, 3) else list(names)


def film(
    frames: Float[np.ndarray, "channel time height width"],
    names: Sequence[str],
    *,
    view: str,
    limit: float,
    height: int = 288,
) -> UInt8[np.ndarray, "time high wide 3"]:
    """Frames as pictures of about the same height on a page, pixels as squares.

    Args:
        frames: in units in which 0 is grey.
        names: of the channels.
        view: the channel to show in greys, or ``"composite"``: the first of two in green, the second in magenta, which
            makes greys where they agree; three in red, green and blue.
        limit: what is white; minus that is black.
        height: of the pictures, about (pixels).

    Raises:
        UserError: if there is no such view.
    """
    if view not in film_views(names):
        raise unknown("view", view, film_views(names))
    chosen = frames if view == COMPOSITE else frames[[list(names).index(view)]]
    levels = (chosen.clip(-limit, limit) / limit + 1) * 127.5
    colours = (
        np.einsum("cthw,ck->thwk", levels, np.array(_INKS[len(chosen)], dtype=np.float32)).round().astype(np.uint8)
    )
    if frames.shape[2] <= height:
        return colours.repeat(height // frames.shape[2], axis=1).repeat(height // frames.shape[2], axis=2)
    size = (round(frames.shape[3] * height / frames.shape[2]), height)
    return np.stack([np.asarray(Image.fromarray(one).resize(size, Image.Resampling.BOX)) for one in colours])


def film_strip(pictures: UInt8[np.ndarray, "time high wide 3"], captions: Sequence[str]) -> bytes:
    """Pictures below each other, a caption under each, as a PNG of a height of `strip_step` for each of them."""
    count, high, wide = pictures.shape[:3]
    sheet = np.full((count, strip_step(high), wide, 3), 255, dtype=np.uint8)
    sheet[:, :high] = _edged(pictures)
    made = Image.fromarray(sheet.reshape(-1, wide, 3))
    draw, font = ImageDraw.Draw(made), _font()
    for number, caption in enumerate(captions):
        draw.text((wide / 2, (number + 1) * strip_step(high) - 1), caption, fill="black", font=font, anchor="md")
    return compressed(made)


def strip_step(high: int) -> int:
    """How much of a strip (pixels) one picture of that height and its caption take."""
    return high + _CAPTION


def film_row(pictures: UInt8[np.ndarray, "time high wide 3"], captions: Sequence[str], *, gap: int = 6) -> bytes:
    """Pictures beside each other, a caption under each, as a PNG."""
    count, high, wide = pictures.shape[:3]
    made = Image.new("RGB", (count * (wide + gap) - gap, strip_step(high)), "white")
    for number, (picture, caption) in enumerate(zip(_edged(pictures), captions, strict=True)):
        left = number * (wide + gap)
        made.paste(Image.fromarray(picture), (left, 0))
        ImageDraw.Draw(made).text((left + wide / 2, strip_step(high) - 1), caption, "black", _font(), anchor="md")
    return compressed(made)


def _edged(pictures: UInt8[np.ndarray, "time high wide 3"]) -> UInt8[np.ndarray, "time high wide 3"]:
    """Pictures with a grey edge, so that what is white does not end at the page."""
    edged = pictures.copy()
    edged[:, [0, -1]] = edged[:, :, [0, -1]] = _EDGE
    return edged


def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(findfont("DejaVu Sans"), 12)
