"""Executed notebooks for those who read them without a kernel."""

from nbformat import NotebookNode

_WIDGET = "application/vnd.jupyter.widget-view+json"


def keep_pictures(document: NotebookNode) -> None:
    """Leave of every widget the picture that it has beside it, and nothing of those that have none.

    The kernel is gone by now, and with it what they show: JupyterLab would say that it loads them, GitHub and pages
    that are read without network show nothing in their place. What they were, megabytes for a film, goes with them.
    """
    document.metadata.pop("widgets", None)
    for cell in document.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if set(output.get("data", ())) != {_WIDGET, "text/plain"}]
            for output in cell.outputs:
                output.get("data", {}).pop(_WIDGET, None)
