"""Runs of notebooks by papermill: one, a grid of them, on one machine or many, and the table of what came out."""

import sys

# jsonschema, which nbformat imports, prepares for seconds to check addresses in other scripts, if it finds this module.
# There are none in notebooks, and every command and every worker would wait for it.
_absent = "rfc3987_syntax" not in sys.modules
if _absent:
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

from retina_nb.sweeps.notebooks import NotebookFailed, notebook_parameters, run_notebook  # noqa: E402
from retina_nb.sweeps.runs import read_run, run_name, run_once  # noqa: E402

if _absent:
    del sys.modules["rfc3987_syntax"]

__all__ = ["NotebookFailed", "notebook_parameters", "read_run", "run_name", "run_notebook", "run_once"]
