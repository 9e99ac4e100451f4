"""The runs of a sweep: a table, a figure, and the way to each executed notebook."""

import os
from html import escape
from pathlib import Path

import ipywidgets as ipw
import pandas as pd
from matplotlib.figure import Figure

from retina_nb.errors import UserError
from retina_nb.files import expand_path
from retina_nb.plots.style import figure
from retina_nb.plots.sweep import show_sweep
from retina_nb.sweeps.table import read_sweep
from retina_nb.sweeps.varied import varied
from retina_nb.widgets.controls import control
from retina_nb.widgets.live import Live
from retina_nb.widgets.table import Table

# What is known of each run that is neither a parameter nor a result.
_ABOUT = {"status", "device", "host", "started", "error", "notebook"}
_COSTS = ["seconds", "peak_memory_gb"]


def browse_sweep(folder: str | Path) -> "BrowseSweep":
    """The runs of a sweep as a table to sort and filter, what each parameter does to a result, and of the chosen run a
    link to its executed notebook.

    Args:
        folder: of the sweep, the search, or any runs; as for `read_sweep`.

    Raises:
        UserError: if there is no such folder, or there are no runs in it.
    """
    return BrowseSweep(expand_path(folder))


class BrowseSweep(Live):
    """A table of runs and a picture; made by `browse_sweep`.

    Attributes:
        runs: as `read_sweep` has them.
        table: its `value` is the chosen row of `runs`.
        controls: the table, and the ``result`` that is drawn.
        again: the button that reads the folder again, while runs go on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.runs = _read(folder)
        results = _results(self.runs)
        result = next((name for name in results if "cc_norm" in name), results[0])
        rows, settings = _with_settings(self.runs)
        columns = dict.fromkeys(["status", *(settings or ["run"]), result, "seconds"])
        self.table = Table(rows, list(columns), sort_by=result)
        self.again = ipw.Button(description="Read again", icon="refresh", layout={"width": "9em"})
        self._link = ipw.Output(layout={"width": "24em"})
        super().__init__(self._show, {"row": self.table, "result": control("result", results, result)})
        side = self.children[0]
        side.children = [self.table, self._link, *side.children[1:], self.again]
        self.again.on_click(lambda _: self._read_again())

    def _read_again(self) -> None:
        """Show the runs as they are by now."""
        try:
            self.runs = _read(self._folder)
        except UserError as error:
            self._say(str(error))
            return
        self.table.fill(_with_settings(self.runs)[0])
        self.redraw()

    def _show(self, row: int, result: str) -> Figure:
        """What each parameter does to a result of the runs; the chosen run is ringed."""
        run = self.runs.iloc[row]
        # In an output, unlike in other widgets, JupyterLab opens links to files as it opens files.
        data = {"text/html": describe_run(run)}
        self._link.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)
        try:
            return show_sweep(self.runs, result, chosen=str(run.name))
        except UserError as error:  # too few have ended to compare; the table tells of the others
            return _words(str(error))


def _read(folder: Path) -> pd.DataFrame:
    runs = read_sweep(folder)
    if runs.empty:
        raise UserError(f"there are no runs in {folder}: give the folder that a sweep was told to write to")
    return runs


def _results(runs: pd.DataFrame) -> list[str]:
    """The columns of results that are numbers, and at the end what runs cost."""
    others = [name for name in runs if name not in {*_ABOUT, *_COSTS, *runs.attrs["parameters"]}]
    return [name for name in others if _has_numbers(runs[name])] + _COSTS


def _with_settings(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with the runs' names and the values within the preset that differ as columns; what differs at all."""
    settings = varied(runs)
    new = settings[[name for name in settings if name not in runs]]
    return pd.concat([runs, new], axis=1).rename_axis("run").reset_index(), [*settings]


def _words(sentence: str) -> Figure:
    made, ax = figure(size=(6.6, 1))
    ax.set_axis_off()
    ax.text(0, 0.5, sentence, wrap=True, va="center", transform=ax.transAxes)
    return made


def describe_run(run: pd.Series) -> str:
    """A link to the executed notebook of a run, and how the run ended, as HTML.

    Args:
        run: a row of `read_sweep`.
    """
    known = [f"run {run.name}, {run['status']}"]
    if pd.notna(run["seconds"]):
        known.append(f"{run['seconds']:.0f} s")
    error = f"<br><span style='color:#b00020'>{escape(str(run['error']))}</span>" if pd.notna(run["error"]) else ""
    path = os.path.relpath(str(run["notebook"]))
    link = f"<a href='{escape(path, quote=True)}' target='_blank'>open the executed notebook</a>"
    return (
        f"<div style='width:23em;line-height:1.4;overflow-wrap:anywhere'>{escape(', '.join(known))}{error}<br>{link}"
        f"<br><small>{escape(path)}</small></div>"
    )


def _has_numbers(column: pd.Series) -> bool:
    """Whether there are any, truth values apart."""
    plain = column[[not isinstance(value, bool) for value in column]]
    return bool(pd.to_numeric(plain, errors="coerce").notna().any())
