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
from retina_nb.files import absolute_path, expand_path
from retina_nb.sweeps.kernels import NotebookFailed, execute
from retina_nb.sweeps.parameters import check_overrides
from retina_nb.sweeps.progress import CellProgress

__all__ = ["OUTPUT_DIR", "NotebookFailed", "check_parameters", "notebook_parameters", "read_notebook", "run_notebook"]

OUTPUT_DIR = "output_dir"
_LONGEST = 4000  # digits of a whole number: Python writes no longer ones
_DEEPEST = 50  # lists within lists; what holds itself is deeper


def run_notebook(notebook: str | Path, output: str | Path, parameters: Mapping[str, Any] | None = None) -> Path:
    """Run a notebook from top to bottom in a kernel of its own, showing its progress on stderr.

    Args:
        notebook: a notebook, ``.ipynb`` or its percent-format source, ``.py``.
        output: the run's folder, made if it does not exist. The notebook is told of it by its parameter
            ``output_dir``, if it has one. ``results.json`` and the executed notebook of an earlier run there get
            another name first, ``*.earlier.*``, and are removed when this run is complete.
        parameters: values for the names that the notebook's cell tagged ``parameters`` assigns.

    Returns:
        The executed notebook, ``<output>/<name>.ipynb``.

    Raises:
        UserError: before anything runs, if there is no such notebook or parameter (the closest one is named),
            a value is of another kind than the default, or the folder cannot be written.
        NotebookFailed: if a cell raises or exits, or the kernel dies. The executed copy is kept as
            ``<output>/<name>.failed.ipynb``.
    """
    notebook, output = expand_path(notebook), absolute_path(output)
    if output.resolve() == notebook.parent.resolve():
        raise UserError(f"the run of {notebook} would overwrite it: give another output folder than {output}")
    document, defaults = read_notebook(notebook), notebook_parameters(notebook)
    values = _injected(document, notebook) | check_parameters(parameters or {}, defaults, notebook.name)
    if values.keys() & {"preset", "overrides"}:
        check_overrides([defaults | values])
    make_writable(output)
    if OUTPUT_DIR in defaults:
        values[OUTPUT_DIR] = str(output)
    cells = sum(cell.cell_type == "code" for cell in document.cells) + bool(values)
    earlier = [_set_aside(path) for path in (output / "results.json", output / f"{notebook.stem}.ipynb")]
    executed = execute(document, notebook, output, values, CellProgress(cells, sys.stderr))
    for path in earlier:
        path.unlink(missing_ok=True)
    return executed


def _set_aside(path: Path) -> Path:
    """Give a file of an earlier run another name: nobody shall take it for one of this run, should this one fail."""
    aside = path.with_name(f"{path.stem}.earlier{path.suffix}")
    if path.is_file():
        path.replace(aside)
    return aside


def notebook_parameters(notebook: str | Path) -> dict[str, Any]:
    """The names that a notebook's cell tagged ``parameters`` assigns, and their defaults. Those of an executed notebook
    are what it was executed with.

    Raises:
        UserError: if there is no such notebook, it has two such cells, or that cell has anything but plain literals:
            papermill could not replace what is computed from them.
    """
    notebook = expand_path(notebook)
    document = read_notebook(notebook)
    cells = _tagged(document, "parameters")
    if len(cells) > 1:
        raise UserError(
            f"{notebook.name} has {len(cells)} cells tagged 'parameters': put all parameters into one of them"
        )
    return {**_assigned(cells, notebook), **_injected(document, notebook)}


def _injected(document: nbformat.NotebookNode, notebook: Path) -> dict[str, Any]:
    """The parameters with which a notebook was executed by papermill, if it was, apart from its folder."""
    values = _assigned(_tagged(document, "injected-parameters"), notebook)
    return {name: value for name, value in values.items() if name != OUTPUT_DIR}


def _tagged(document: nbformat.NotebookNode, tag: str) -> list[str]:
    return [cell.source for cell in document.cells if cell.cell_type == "code" and tag in cell.metadata.get("tags", [])]


def _assigned(cells: list[str], notebook: Path) -> dict[str, Any]:
    """What cells of nothing but ``name = literal`` assign."""
    rule = f"the parameters cell of {notebook.name} may only have lines of the form 'name = literal'"
    try:
        statements = ast.parse("\n".join(cells)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two: nested too deeply
        raise UserError(f"{rule}, but line {getattr(error, 'lineno', '?')} is not Python") from None
    parameters = {}
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_literal(value):
                parameters[name] = _literal(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if _is_literal(value):
                parameters[name] = _literal(value)
            case _:
                raise UserError(f"{rule}, not {shown(ast.unparse(statement))}: move that to the next cell")
    return parameters


def run_time(notebook: str | Path) -> str | None:
    """What a notebook says it takes, "two minutes on two CPU cores", where it says what one needs; None if it does not.

    Raises:
        UserError: if there is no such notebook.
    """
    prose = [" ".join(cell.source.split()) for cell in read_notebook(expand_path(notebook)).cells]
    found = re.search(r"\*\*What you need\*\*: .+[;.] ([^;.]+ on [^;.]+)\.", prose[0] if prose else "")
    return found[1] if found else None


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """A notebook or its source, to be run by this very Python, whatever it was last opened with.

    Raises:
        UserError: if there is none, or it cannot be read.
    """
    if path.suffix not in (".ipynb", ".py"):
        raise UserError(f"{path} is not a notebook: its name must end in .ipynb or .py")
    if path.is_symlink() and not path.exists():
        raise UserError(f"{path} is a link to {path.readlink()}, which does not exist")
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a notebook")
    if not path.is_file():
        beside = (found.name for kind in ("*.ipynb", "*.py") for found in path.parent.glob(kind))
        raise unknown(f"notebook in {path.parent}", path.name, beside)
    try:
        document = jupytext.read(path)
        _check_cells(document)
    except Exception as error:  # of libraries that expect that it is one
        told = isinstance(error, ValueError | OSError | nbformat.ValidationError)
        reason = str(error).strip().splitlines()[0] if told and str(error).strip() else "it is not laid out as one"
        raise UserError(f"{path} cannot be read as a notebook: {shown(reason, quoted=False)}") from None
    document.metadata.kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return document


def _check_cells(document: nbformat.NotebookNode) -> None:
    if not isinstance(document.get("cells"), list) or not isinstance(document.get("metadata"), dict):
        raise ValueError("it is JSON, but has no cells or no metadata")
    for number, cell in enumerate(document.cells, 1):
        match cell:
            case {"cell_type": "code" | "markdown" | "raw", "source": str(), "metadata": dict() as metadata}:
                if isinstance(metadata.get("tags", []), list):
                    continue
        raise ValueError(f"its cell {number} is none of Jupyter's")


def _is_literal(value: ast.expr) -> bool:
    try:
        return _is_plain(_literal(value))
    except (ValueError, TypeError, RecursionError):
        return False


def _literal(value: ast.expr) -> Any:
    """A literal's value; what papermill writes for infinite numbers is one, too."""
    match value:
        case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str() as word)], keywords=[]):
            return float(word)
    return ast.literal_eval(value)


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether papermill hands a value over as it is (of a tuple, say, it makes a string)."""
    if depth > _DEEPEST:
        return False
    match value:
        case list():
            return all(_is_plain(item, depth + 1) for item in value)
        case dict():
            return all(
                isinstance(key, str) and _is_plain(key) and _is_plain(item, depth + 1) for key, item in value.items()
            )
        case str():
            return not any("\ud800" <= character <= "\udfff" for character in value)  # of names that are no text
        case int():
            return type(value) in (int, bool) and abs(value) < 10**_LONGEST
    return type(value) in (float, type(None))


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
        if not _can_be(value, defaults[name]):
            raise UserError(
                f"parameter {name} of {notebook} is {shown(defaults[name])} by default, "
                f"so it cannot be the {type(value).__name__} {shown(value)}"
            )
    return dict(given)


def shown(value: Any, *, quoted: bool = True) -> str:
    """A value in a sentence, whatever it is: not more than a line, and no number of thousands of digits."""
    try:
        text = repr(value) if quoted else str(value)
    except (ValueError, RecursionError):
        return "that is too long or holds itself"
    return text if len(text) <= 200 else f"{text[:200]}…"


def _can_be(value: Any, default: Any) -> bool:
    if isinstance(default, float) and type(value) is int:
        return abs(value) < 10**308
    return _is_plain(value) and (default is None or type(value) is type(default))


def make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder {folder}: {error.strerror}; choose one that can be written"
        ) from None
