"""The runs of a sweep: a table, a figure, and the way to each executed notebook."""

import os
from html import escape
from pathlib import Path

import ipywidgets as ipw
import pandas as pd
from matplotlib.figure import Figure

from retina_nb.errors import UserError
from retina_nb.plots.runs import show_runs
from retina_nb.sweeps.runs import find_runs
from retina_nb.sweeps.table import read_sweep
from retina_nb.widgets.controls import control
from retina_nb.widgets.live import Live
from retina_nb.widgets.table import Table

# What is known of each run that is neither a parameter nor a result.
_ABOUT = {"run", "status", "device", "host", "started", "error", "notebook"}
_COSTS = ["seconds", "peak_memory_gb"]


def browse_sweep(folder: str | Path) -> "BrowseSweep":
    """The runs of a sweep as a table to sort and filter, a result of all against a parameter, and of the chosen run a
    link to its executed notebook.

    Args:
        folder: of the sweep, the search, or any runs; as for `read_sweep`.

    Raises:
        UserError: if there is no such folder, or there are no runs in it.
    """
    return BrowseSweep(Path(folder))


class BrowseSweep(Live):
    """A table of runs and a picture; made by `browse_sweep`.

    Attributes:
        runs: the table as `read_sweep` has it, its index as the column ``run``.
        table: its `value` is the chosen row of `runs`.
        controls: besides the table, the ``result``, the parameter ``against`` which it is drawn, and the one by which
            dots have their ``colour``.
        again: the button that reads the folder again, while runs go on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.runs = self._read()
        given = {name for run in find_runs(folder).values() for name in run["parameters"]}
        parameters = [name for name in self.runs if name in given or name.removeprefix("parameter.") in given]
        varied = [name for name in parameters if self.runs[name].map(repr).nunique() > 1] or parameters or ["run"]
        others = [name for name in self.runs if name not in {*_ABOUT, *_COSTS, *parameters}]
        results = [name for name in others if _has_numbers(self.runs[name])] + _COSTS
        result = next((name for name in results if "cc_norm" in name), results[0])
        self.table = Table(self.runs, list(dict.fromkeys(["status", *varied, result, "seconds"])), sort_by=result)
        self.again = ipw.Button(description="Read again", icon="refresh", layout={"width": "9em"})
        self._link = ipw.Output(layout={"width": "24em"})
        # A parameter of numbers makes the better axis, and seeds are there to be averaged over.
        varied.sort(key=lambda name: (name == "seed", not pd.api.types.is_numeric_dtype(self.runs[name])))
        colours = {"none": None} | {name: name for name in varied}
        super().__init__(
            self._show,
            {
                "row": self.table,
                "result": control("result", results, result),
                "against": control("against", varied, varied[0]),
                "colour": control("colour", colours, varied[1] if len(varied) > 1 else None),
            },
        )
        side = self.children[0]
        side.children = [self.table, self._link, *side.children[1:], self.again]
        self.again.on_click(lambda _: self._read_again())

    def _read(self) -> pd.DataFrame:
        runs = read_sweep(self._folder).reset_index()
        if runs.empty:
            raise UserError(f"there are no runs in {self._folder}: give the folder that a sweep was told to write to")
        return runs

    def _read_again(self) -> None:
        """Show the runs as they are by now."""
        try:
            self.runs = self._read()
        except UserError as error:
            self._say(str(error))
            return
        self.table.fill(self.runs)
        self.redraw()

    def _show(self, row: int, result: str, against: str, colour: str | None) -> Figure:
        """A result of all runs against a parameter; the chosen run is ringed."""
        html = describe_run(self.runs.iloc[row])
        # In an output, unlike in other widgets, JupyterLab opens links to files as it opens files.
        self._link.outputs = ({"output_type": "display_data", "data": {"text/html": html}, "metadata": {}},)
        return show_runs(self.runs, result, against, colour=None if colour == against else colour, chosen=row)


def describe_run(run: pd.Series) -> str:
    """A link to the executed notebook of a run, and how the run ended, as HTML.

    Args:
        run: a row of `read_sweep` with the run's name as ``run``.
    """
    known = [f"run {run['run']}, {run['status']}"]
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
