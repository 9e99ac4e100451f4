"""Which cells of a session are kept, and what is known of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import h5py
import numpy as np
from jaxtyping import Bool

from retina_nb.errors import UserError
from retina_nb.loaders import h5

# The last of the 46 groups of Baden et al. 2016 that is in each class.
CLASSES = {"OFF": 9, "ON-OFF": 14, "fast ON": 20, "slow ON": 28, "uncertain": 32, "amacrine": 46}
GANGLION_CELLS = tuple(range(1, 33))

_UM = 2.0  # side of a pixel of the mask of cells


@dataclass(frozen=True)
class Filter:
    """What a cell has to be to be kept.

    Args:
        cell_types: groups of Baden et al. 2016, from 1 to 46; None for all.
        d_qi: least quality of the responses to moving bars.
        chirp_qi: least quality of the responses to the chirp.
        both: whether a cell needs both qualities, or one of them.
        confidence: least confidence of the classifier in the cell's group.
    """

    cell_types: Sequence[int] | None
    d_qi: float
    chirp_qi: float
    both: bool
    confidence: float

    def __post_init__(self) -> None:
        for one in () if self.cell_types is None else self.cell_types:
            if not (isinstance(one, int | np.integer) and 1 <= one <= CLASSES["amacrine"]):
                raise UserError(f"hoefling_2024: cell_types are numbers between 1 and 46, not {one!r}")

    def drops(self, cells: dict[str, np.ndarray]) -> dict[str, Bool[np.ndarray, " cell"]]:
        """Which cells are left out for which reason, the first that holds."""
        qualities = [cells["d_qi"] >= self.d_qi, cells["chirp_qi"] >= self.chirp_qi]
        everyone = np.ones(len(cells["type"]), dtype=bool)
        good = {
            "type": everyone if self.cell_types is None else np.isin(cells["type"], list(self.cell_types)),
            "quality": np.all(qualities, axis=0) if self.both else np.any(qualities, axis=0),
            "confidence": cells["confidence"] >= self.confidence,
        }
        dropped, left = {}, everyone
        for reason, passes in good.items():
            dropped[reason] = left & ~passes
            left = left & passes
        return dropped


def read_cells(session: h5py.Group) -> dict[str, np.ndarray]:
    """What is known of each cell of a session: its type and class, and the numbers that filters look at.

    Raises:
        UserError: naming the file, session and key, if anything is missing or does not fit.
    """
    kinds = h5.read(session, "group_assignment", axes="cell", kind=h5.INTEGERS)
    n = len(kinds)
    wrong = kinds[(kinds < 1) | (kinds > CLASSES["amacrine"])]
    if len(wrong):
        raise UserError(
            f"{h5.place(session, 'group_assignment')} has the group {wrong[0]}, there are 1 to 46; get the file again"
        )
    confidences = h5.read(session, "group_confidences", axes="cell group", shape=(n, None))
    cells = {
        "type": kinds,
        "class": np.array(list(CLASSES))[np.searchsorted(list(CLASSES.values()), kinds)],
        "roi_id": h5.read(session, "roi_ids", axes="cell", kind=h5.INTEGERS, shape=(n,)),
        # A quality that could not be computed is none.
        "d_qi": _quality(session, "d_qi", n),
        "chirp_qi": _quality(session, "chirp_qi", n),
        "confidence": confidences.max(axis=1),
    }
    if "roi_mask" in h5.keys(session):
        mask = h5.read(session, "roi_mask", axes="row column")
        cells["y_um"], cells["x_um"] = _places(mask, cells["roi_id"])
    return cells


def _quality(session: h5py.Group, key: str, n: int) -> np.ndarray:
    quality = h5.read(session, key, axes="cell", shape=(n,), finite=False)
    if np.isinf(quality).any():
        raise UserError(f"{h5.place(session, key)} is infinite for a cell; mend the file or get it again")
    return quality


def _places(mask: np.ndarray, roi_ids: np.ndarray) -> np.ndarray:
    """(2, cell): the middle of each cell in the scanned field, down and to the right (µm); NaN if it is not in it.

    The mask is 1 in the background and minus the cell's number where a cell is.
    """
    cells, inverse = np.unique(-mask.ravel(), return_inverse=True)  # one look at the mask for all cells
    count = np.bincount(inverse)
    middle = np.array([np.bincount(inverse, place.ravel()) / count for place in np.indices(mask.shape)])
    at = np.searchsorted(cells, roi_ids).clip(max=len(cells) - 1)
    return np.where(cells[at] == roi_ids, _UM * middle[:, at], np.nan)
