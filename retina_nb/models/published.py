"""Published twins: the table of what there is, and where each is downloaded from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from retina_nb.loaders.cache import keep
from retina_nb.loaders.download import RemoteFile, cache_dir, download_files
from retina_nb.loaders.hub import hub_file
from retina_nb.representations import one_line

_GNODE = "https://gin.g-node.org/teulerlab/open-retina/raw/checkpoints/model_checkpoints/24-01-2025"
_TUNED, _FIRST = "model_checkpoints/2026-03-09", "model_checkpoints/27-11-2025"
_UNSAID = "in the checkpoint, and here once it has been loaded by its name"
_SCORES = "scores.json"  # in the cache: what loaded checkpoints say of themselves


@one_line
@dataclass(frozen=True)
class PublishedTwin:
    """One twin that OpenRetina's authors have published. Rates in Hz, pixels in µm on the retina.

    Args:
        place: path in the hub's repository, or an address.
        cells: as its authors count them; None if they do not say.
        input_shape: (channel, height, width) of its stimuli.
    """

    place: str
    dataset: str
    species: str
    cells: int | None
    input_shape: tuple[int, int, int]
    rate_hz: float
    pixel_um: float
    summary: str


_LOW, _HIGH, _KARAMANLIS, _MAHESWARANATHAN, _GOLDIN = (
    ("hoefling_2024", "mouse", 3144, (2, 18, 16), 30.0, 50.0),
    ("hoefling_2024", "mouse", 3144, (2, 72, 64), 30.0, 12.5),
    ("karamanlis_2024", "mouse", 1800, (1, 60, 80), 75.0, 75.0),
    ("maheswaranathan_2023", "salamander", 50, (1, 50, 50), 100.0, 50.0),
    ("goldin_2022", "mouse", 40, (1, 108, 108), 1 / 0.3, 28.0),
)
PUBLISHED = {
    "hoefling_2024_low_res": PublishedTwin(
        f"{_TUNED}/hoefling_2024_cnn_low_res.ckpt", *_LOW, "two-layer core, point readout, tuned"
    ),
    "hoefling_2024_high_res": PublishedTwin(
        f"{_TUNED}/hoefling_2024_cnn_high_res.ckpt", *_HIGH, "four-layer core, point readout, tuned"
    ),
    "karamanlis_2024_mouse": PublishedTwin(
        f"{_TUNED}/karamanlis_2024_mouse.ckpt", *_KARAMANLIS, "three-layer core, point readout, tuned"
    ),
    "karamanlis_2024_marmoset": PublishedTwin(
        f"{_TUNED}/karamanlis_2024_marmoset.ckpt",
        *("karamanlis_2024", "marmoset", 42, (1, 60, 80), 85.0, 75.0),
        "three-layer core, point readout, tuned",
    ),
    "maheswaranathan_2023": PublishedTwin(
        f"{_TUNED}/maheswaranathan_2023.ckpt", *_MAHESWARANATHAN, "two-layer core, point readout, tuned"
    ),
    "sridhar_2025": PublishedTwin(
        f"{_TUNED}/sridhar_2025.ckpt",
        *("sridhar_2025", "marmoset", None, (1, 80, 90), 85.0, 30.0),
        "three-layer core, point readout, natural movie",
    ),
    "goldin_2022_axolotl": PublishedTwin(
        f"{_TUNED}/goldin_2022_axolotl.ckpt",
        *("goldin_2022", "axolotl", 48, (1, 108, 108), 1 / 0.3, 28.0),
        "flashed images, tuned",
    ),
    "goldin_2022_mouse": PublishedTwin(f"{_TUNED}/goldin_2022_mouse.ckpt", *_GOLDIN, "flashed images, tuned"),
    "hoefling_2024_base_low_res": PublishedTwin(
        f"{_FIRST}/hoefling_2024_base_low_res.ckpt", *_LOW, "of the first preprint; sees five frames of the future"
    ),
    "hoefling_2024_base_high_res": PublishedTwin(
        f"{_GNODE}/hoefling_2024_base_high_res.ckpt", *_HIGH, "of January 2025; may be gone"
    ),
    "karamanlis_2024_base": PublishedTwin(
        f"{_GNODE}/karamanlis_2024_base.ckpt", *_KARAMANLIS, "of January 2025; may be gone"
    ),
    "karamanlis_2024_gru": PublishedTwin(
        f"{_GNODE}/karamanlis_2024_GRU.ckpt", *_KARAMANLIS, "recurrent core, of January 2025; may be gone"
    ),
    "maheswaranathan_2023_base": PublishedTwin(
        f"{_GNODE}/maheswaranathan_2023_base.ckpt", *_MAHESWARANATHAN, "of January 2025; may be gone"
    ),
    "maheswaranathan_2023_gru": PublishedTwin(
        f"{_GNODE}/maheswaranathan_2023_GRU.ckpt", *_MAHESWARANATHAN, "recurrent core, of January 2025; may be gone"
    ),
}


def zoo() -> pd.DataFrame:
    """Every published twin, a row each, and whether it is on this machine. Asks no network.

    Their authors publish no table of scores, but each checkpoint has its own: ``score`` is the median over its neurons
    of what it says, known once the twin has been loaded by its name.
    """
    scores = _scores()
    rows = [
        {
            **asdict(twin),
            "score": scores.get(name, (None, ""))[0],
            "score_source": scores.get(name, (None, _UNSAID))[1],
            "licence": "not stated",
            "cached": _cached(twin).exists(),
        }
        for name, twin in PUBLISHED.items()
    ]
    table = pd.DataFrame(rows, index=pd.Index(PUBLISHED, name="twin")).astype({"cells": "Int64"})
    return table.drop(columns="place")


def find_published(name: str, *, again: bool = False) -> Path:
    """The checkpoint of a published twin: from the cache, without asking the network, or downloaded into it.

    Args:
        name: of the twin.
        again: download it in any case, see `retina_nb.loaders.download.download_files`.

    Raises:
        UserError: if it is damaged, is not published any more, or cannot be downloaded.
    """
    place = PUBLISHED[name].place
    if not _is_address(place):
        return hub_file(place, again=again)
    download_files([RemoteFile(Path(place).name, place)], _cached(PUBLISHED[name]).parent, again=again)
    return _cached(PUBLISHED[name])


def remember_score(name: str, about: Mapping[str, Any]) -> None:
    """Keep for `zoo` what a published checkpoint says of its own score."""
    said = about.get("scores")
    if not said or name in _scores():
        return
    values = np.concatenate([np.ravel(one) for one in said["sessions"].values()])
    score = round(float(np.nanmedian(values)), 3)
    scores = _scores() | {name: [score, f"{said['metric']}, in the checkpoint"]}
    keep(cache_dir() / "twins" / _SCORES, lambda temporary: temporary.write_text(json.dumps(scores), encoding="utf-8"))


def _scores() -> dict[str, list]:
    try:
        return json.loads((cache_dir() / "twins" / _SCORES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _cached(twin: PublishedTwin) -> Path:
    if _is_address(twin.place):
        return cache_dir() / "twins" / Path(twin.place).name
    return cache_dir() / "hub" / twin.place


def _is_address(place: str) -> bool:
    return place.startswith("https://")
