"""One session: which cells are kept, what they did, and what they saw."""

from dataclasses import replace

import h5py
import numpy as np

from retina_nb.errors import UserError
from retina_nb.loaders import h5
from retina_nb.loaders.hoefling_2024.cells import Filter, read_cells
from retina_nb.loaders.hoefling_2024.timelines import Screen
from retina_nb.loaders.hoefling_2024.traces import RATE, Responses, read_responses
from retina_nb.recording import Recording

# Its eye is noted as the left one by mistake, as openretina has it.
_RIGHT_EYES = ("session_2_ventral2_20200626",)


def read_session(
    group: h5py.Group, screen: Screen, criteria: Filter, trace: str, pixel_um: float, drop_unusable: bool
) -> tuple[Recording | None, dict[str, list[int]]]:
    """The recording of the cells that are kept, None if none is, and the ``roi_ids`` of the others by reason.

    Args:
        group: the session's group in the file.
        screen: what was shown.
        criteria: which cells are kept.
        trace: which of their traces is taken.
        pixel_um: side of a pixel of the stimulus (µm).
        drop_unusable: whether a cell whose trace is constant or not finite is left out, or an error.

    Raises:
        UserError: naming the file, session and key, if anything is missing, damaged or does not fit.
    """
    cells, responses, why = _kept(group, screen, criteria, trace, drop_unusable)
    if responses is None:
        return None, why
    session, eye, order = group.name.strip("/"), _eye(group), _order(group)
    timeline = screen.timeline(h5.place(group, ""), order, responses.recorded)
    onsets = responses.gaps * screen.shown.bins
    recording = Recording(
        session=session,
        movie=screen.movie,
        responses=responses.values[: len(timeline.frames)],
        rate=RATE,
        frames=timeline.frames,
        split=timeline.split,
        repeats=timeline.repeats,
        onsets=onsets[onsets < len(timeline.frames)],
        mirrored=eye == "left" and session not in _RIGHT_EYES,
        pixel_um=pixel_um,
        unit="standard deviations",
        neurons=cells,
        signed=trace != "spikes",
        about=h5.attributes(group) | {"eye": eye, "scan_sequence_idx": order, "dropped": why} | _mask(group),
    )
    return recording, why


def _kept(
    group: h5py.Group, screen: Screen, criteria: Filter, trace: str, drop_unusable: bool
) -> tuple[dict[str, np.ndarray], Responses | None, dict[str, list[int]]]:
    """The properties and the responses of the cells that are kept, and the ``roi_ids`` of the others by reason."""
    cells = read_cells(group)
    dropped = criteria.drops(cells)
    kept, responses = ~np.any(list(dropped.values()), axis=0), None
    if kept.any():
        responses = read_responses(group, screen.shown, trace, kept)
        usable = np.isfinite(responses.values).all(axis=0)
        if not usable.all() and not drop_unusable:
            raise UserError(
                f"{h5.place(group, screen.shown.prefix)}: the {trace} of roi {cells['roi_id'][kept][~usable][0]} are "
                "constant or not finite; leave such cells out with drop_unusable=True, or the session by sessions=..."
            )
        dropped["unusable trace"] = kept.copy()
        dropped["unusable trace"][kept] = ~usable
        kept = kept & ~dropped["unusable trace"]
        responses = replace(responses, values=responses.values[:, usable]) if usable.any() else None
    why = {reason: cells["roi_id"][those].tolist() for reason, those in dropped.items() if those.any()}
    return {name: values[kept] for name, values in cells.items()}, responses, why


def _eye(group: h5py.Group) -> str:
    eye = h5.attribute(group, "eye")
    if eye not in ("left", "right"):
        raise UserError(f"{h5.place(group, 'eye')} must be left or right, not {eye!r}; get the file again")
    return eye


def _order(group: h5py.Group) -> int:
    order = h5.attribute(group, "scan_sequence_idx")
    if not isinstance(order, int):
        raise UserError(f"{h5.place(group, 'scan_sequence_idx')} must be an integer, not {order!r}; get the file again")
    return order


def _mask(group: h5py.Group) -> dict[str, np.ndarray]:
    has_mask = "roi_mask" in h5.keys(group)
    return {"roi_mask": h5.read(group, "roi_mask", axes="row column")} if has_mask else {}
