"""Runs of a notebook with other parameters, by papermill."""

import ast
import logging
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import papermill
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from retina_nb.errors import UserError, unknown

# papermill warns of parameters that it cannot read line by line; they are read and checked here.
logging.getLogger("papermill").setLevel(logging.ERROR)

OUTPUT_DIR = "output_dir"
KERNEL_STARTS = 3


class NotebookFailed(RuntimeError):
    """A notebook stopped before its end. `notebook` is the executed copy, with the error in it."""

    def __init__(self, reason: str, notebook: Path) -> None:
        super().__init__(f"{reason} (see {notebook})")
        self.notebook = notebook


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
    values = _checked(parameters or {}, defaults, notebook.name)
    _make_writable(output)
    if OUTPUT_DIR in defaults:
        values[OUTPUT_DIR] = str(output)
    document = _read(notebook)

    finished = output / f"{notebook.stem}.ipynb"
    failed = output / f"{notebook.stem}.failed.ipynb"
    unfinished = output / f".{notebook.stem}.ipynb"
    progress = _Progress(sum(cell.cell_type == "code" for cell in document.cells) + bool(values))
    try:
        nbformat.write(document, unfinished)
        executed = _execute(unfinished, values, progress)
        executed.metadata.papermill.update(input_path=str(notebook), output_path=str(finished))
        nbformat.write(executed, unfinished)
        os.replace(unfinished, finished)
        failed.unlink(missing_ok=True)
    except PapermillExecutionError as error:
        raise NotebookFailed(_last_line(error), failed) from error
    except RuntimeError as error:
        reason = "the kernel died, perhaps for want of memory" if progress.started else f"no kernel starts: {error}"
        raise NotebookFailed(reason, failed) from error
    finally:
        progress.close()
        if unfinished.exists():
            os.replace(unfinished, failed)
    return finished


def notebook_parameters(notebook: str | Path) -> dict[str, Any]:
    """The names that a notebook's cell tagged ``parameters`` assigns, and their defaults.

    Raises:
        UserError: if there is no such notebook, or that cell has anything but plain literals: papermill could
            not replace what is computed from them.
    """
    notebook = Path(notebook)
    rule = f"the parameters cell of {notebook.name} may only have lines of the form 'name = literal'"
    cells = [cell.source for cell in _read(notebook).cells if "parameters" in cell.metadata.get("tags", [])]
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


def _read(path: Path) -> nbformat.NotebookNode:
    if path.suffix not in (".ipynb", ".py"):
        raise UserError(f"{path} is not a notebook: its name must end in .ipynb or .py")
    if not path.is_file():
        raise unknown(f"notebook in {path.parent}", path.name, (found.name for found in path.parent.glob("*.ipynb")))
    try:
        document = jupytext.read(path)
    except (ValueError, nbformat.ValidationError) as error:
        raise UserError(f"{path} cannot be read as a notebook: {str(error).splitlines()[0]}") from None
    # The kernel is this very Python, whatever the notebook was last opened with.
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


def _checked(given: Mapping[str, Any], defaults: Mapping[str, Any], notebook: str) -> dict[str, Any]:
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


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder {folder}: {error.strerror}; choose one that can be written"
        ) from None


class _Kernel(AsyncKernelManager):
    """A kernel that draws figures into its notebook, even where MPLBACKEND is set for scripts, as in CI."""

    transport_encryption = "auto"  # else ipykernel warns in every notebook that it is off

    def start_kernel(self, **options: Any) -> Any:
        environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
        return super().start_kernel(env=environment, **options)


def _execute(path: Path, parameters: dict[str, Any], progress: "_Progress") -> nbformat.NotebookNode:
    """Run a notebook in place."""
    literally = str(path).replace("{", "{{").replace("}", "}}")  # papermill formats paths
    starts = 0
    while True:
        starts += 1
        try:
            return papermill.execute_notebook(
                literally,
                literally,
                parameters,
                kernel_name="python3",
                kernel_manager_class=_Kernel,
                progress_bar=False,
                stdout_file=progress,
                on_cell_start=progress.enter,
                on_cell_executed=progress.leave,
            )
        except RuntimeError:
            # Kernels that are started together may choose the same port; the one that loses dies at once.
            if progress.started or starts == KERNEL_STARTS:
                raise


def _last_line(error: PapermillExecutionError) -> str:
    message = (error.evalue.strip().splitlines() or [""])[-1]
    return message if error.ename == "UserError" else f"{error.ename}: {message}".rstrip(": ")


class _Progress:
    """A bar over the cells with the running section and its last printed line; plain lines where no one watches."""

    def __init__(self, cells: int) -> None:
        self.started = False
        self.lively = sys.stderr.isatty()
        self.bar = tqdm(
            total=cells,
            desc="starting",
            disable=not self.lively,
            dynamic_ncols=True,
            bar_format="{desc} |{bar:20}| {n}/{total} cells, {elapsed}{postfix}",
        )
        self.rest = ""

    def enter(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        self.started = True
        headings = re.findall(r"^#+ +(.+)", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else []
        if headings:
            self.bar.set_description_str(headings[-1])
            self._say(headings[-1])

    def leave(self, cell: nbformat.NotebookNode, cell_index: int, execute_reply: dict[str, Any]) -> None:
        self.bar.set_postfix_str("", refresh=False)
        self.bar.update()

    def write(self, text: str) -> None:
        """Take what the running cell prints, in pieces of any length."""
        *lines, self.rest = (self.rest + text).replace("\r", "\n").split("\n")
        for line in filter(str.strip, lines):
            self.bar.set_postfix_str(line.strip())
            self._say(f"  {line.rstrip()}")

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.bar.close()

    def _say(self, line: str) -> None:
        if not self.lively:
            print(line, file=sys.stderr, flush=True)
