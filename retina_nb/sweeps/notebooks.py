"""Runs of a notebook with other parameters, by papermill."""

import ast
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from retina_nb.errors import UserError, unknown
from retina_nb.sweeps.kernels import NotebookFailed, execute
from retina_nb.sweeps.progress import CellProgress

__all__ = ["OUTPUT_DIR", "NotebookFailed", "check_parameters", "notebook_parameters", "read_notebook", "run_notebook"]

OUTPUT_DIR = "output_dir"


def run_notebook(notebook: str | Path, output: str | Path, parameters: Mapping[str, Any] | None = None) -> Path:
    """Run a notebook from top to bottom in a kernel of its own, showing its progress on stderr.

    Args:
        notebook: a notebook, ``.ipynb`` or its percent-format source, ``.py``.
        output: the run's folder, made if it does not exist. The notebook is told of it by its parameter
            ``output_dir``, if it has one.
        parameters: values for the names that the notebook's cell tagged ``parameters`` assigns.

    Returns:
        The executed notebook, ``<output>/<name>.ipynb``.

    Raises:
        UserError: before anything runs, if there is no such notebook or parameter (the closest one is named),
            a value is of another kind than the default, or the folder cannot be written.
        NotebookFailed: if a cell raises or the kernel dies. The executed copy is kept as
            ``<output>/<name>.failed.ipynb``.
    """
    notebook, output = Path(notebook), Path(output).absolute()
    if output.resolve() == notebook.parent.resolve():
        raise UserError(f"the run of {notebook} would overwrite it: give another output folder than {output}")
    defaults = notebook_parameters(notebook)
    values = check_parameters(parameters or {}, defaults, notebook.name)
    make_writable(output)
    if OUTPUT_DIR in defaults:
        values[OUTPUT_DIR] = str(output)
    document = read_notebook(notebook)
    cells = sum(cell.cell_type == "code" for cell in document.cells) + bool(values)
    return execute(document, notebook, output, values, CellProgress(cells, sys.stderr))


def notebook_parameters(notebook: str | Path) -> dict[str, Any]:
    """The names that a notebook's cell tagged ``parameters`` assigns, and their defaults.

    Raises:
        UserError: if there is no such notebook, or that cell has anything but plain literals: papermill could
            not replace what is computed from them.
    """
    notebook = Path(notebook)
    rule = f"the parameters cell of {notebook.name} may only have lines of the form 'name = literal'"
    cells = [cell.source for cell in read_notebook(notebook).cells if "parameters" in cell.metadata.get("tags", [])]
    try:
        statements = ast.parse("\n".join(cells)).body
    except SyntaxError as error:
        raise UserError(f"{rule}, but line {error.lineno} is no Python") from None
    parameters = {}
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_literal(value):
                parameters[name] = ast.literal_eval(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if _is_literal(value):
                parameters[name] = ast.literal_eval(value)
            case _:
                raise UserError(f"{rule}, not {ast.unparse(statement)!r}: move that to the next cell")
    return parameters


def run_time(notebook: str | Path) -> str | None:
    """What a notebook says it takes, "two minutes on two CPU cores", where it says what one needs; None if it does not.

    Raises:
        UserError: if there is no such notebook.
    """
    prose = [" ".join(cell.source.split()) for cell in read_notebook(Path(notebook)).cells]
    found = re.search(r"\*\*What you need\*\*: .+[;.] ([^;.]+ on [^;.]+)\.", prose[0] if prose else "")
    return found[1] if found else None


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """A notebook or its source, to be run by this very Python, whatever it was last opened with.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    if path.suffix not in (".ipynb", ".py"):
        raise UserError(f"{path} is not a notebook: its name must end in .ipynb or .py")
    if not path.is_file():
        raise unknown(f"notebook in {path.parent}", path.name, (found.name for found in path.parent.glob("*.ipynb")))
    try:
        document = jupytext.read(path)
    except (ValueError, nbformat.ValidationError) as error:
        raise UserError(f"{path} cannot be read as a notebook: {str(error).splitlines()[0]}") from None
    document.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return document


def _is_literal(value: ast.expr) -> bool:
    try:
        return _is_plain(ast.literal_eval(value))
    except ValueError:
        return False


def _is_plain(value: Any) -> bool:
    """Whether papermill hands a value over as it is (of a tuple, say, it makes a string)."""
    match value:
        case list():
            return all(map(_is_plain, value))
        case dict():
            return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return type(value) in (int, float, str, bool, type(None))


def check_parameters(given: Mapping[str, Any], defaults: Mapping[str, Any], notebook: str) -> dict[str, Any]:
    """A copy of the `given` parameters.

    Raises:
        UserError: if the notebook has no such parameter, or the value is of another kind than its default.
    """
    for name, value in given.items():
        if name not in defaults:
            raise unknown(f"parameter of {notebook}", name, defaults)
        if name == OUTPUT_DIR:
            raise UserError(f"{OUTPUT_DIR} is the run's folder: give it as the output, not as a parameter")
        if not _is_plain(value) or not _same_kind(value, defaults[name]):
            raise UserError(
                f"parameter {name} of {notebook} is {defaults[name]!r} by default, "
                f"so it cannot be the {type(value).__name__} {value!r}"
            )
    return dict(given)


def _same_kind(value: Any, default: Any) -> bool:
    if default is None or (isinstance(default, float) and type(value) is int):
        return True
    return type(value) is type(default)


def make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder {folder}: {error.strerror}; choose one that can be written"
        ) from None
