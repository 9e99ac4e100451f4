"""Runs of notebooks by papermill: one, a grid of them, on one machine or many, and the table of what came out."""

from retina_nb.sweeps.notebooks import NotebookFailed, notebook_parameters, run_notebook
from retina_nb.sweeps.runs import read_run, run_name, run_once

__all__ = ["NotebookFailed", "notebook_parameters", "read_run", "run_name", "run_notebook", "run_once"]
