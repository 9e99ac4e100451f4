"""Executing a notebook in a kernel of its own, which dies with the process that started it."""

import logging
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import nbformat

from retina_nb.errors import UserError
from retina_nb.sweeps.progress import CellProgress
from retina_nb.sweeps.stills import keep_pictures

if TYPE_CHECKING:  # they take a second to import, and reading what was run needs none of them
    from jupyter_client.manager import AsyncKernelManager

KERNEL_STARTS = 3
_NOT_ITS = {"MPLBACKEND", "PYTHONSAFEPATH"}  # of scripts, and of workers, but not of kernels

# What a kernel runs. The working folder is not where Python looks first, or a file signal.py there would be taken for
# the standard module; IPython adds it behind these. A kernel notices within a second that it lost its parent; until
# then it would go on writing to a folder that may be another's by now: Linux can end it at once. Ctrl-C reaches a
# kernel from its parent alone, which may be a worker that leaves it to the driver (`retina_nb.sweeps.clusters`).
_BOOTSTRAP = """
import sys
if sys.path[:1] == [""]:
    del sys.path[0]
sys.path.append({folder!r})
import ctypes, os, runpy, signal
if hasattr(signal, "pthread_sigmask"):
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != int(os.environ["JPY_PARENT_PID"]):
        os._exit(1)
runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
"""


class NotebookFailed(RuntimeError):
    """A notebook stopped before its end.

    Attributes:
        reason: why, in a line.
        notebook: the executed copy, with the error in it.
    """

    def __init__(self, reason: str, notebook: Path) -> None:
        super().__init__(f"{reason} (see {notebook})")
        self.reason = reason
        self.notebook = notebook


class _Exit(Exception):
    """A cell ended its kernel as if that were a program; Jupyter and papermill go on, or stop without an error."""


def execute(
    document: nbformat.NotebookNode,
    source: Path,
    output: Path,
    parameters: Mapping[str, Any],
    progress: CellProgress,
    *,
    directory: Path | None = None,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    on_kernel: Callable[[int], None] = lambda pid: None,
) -> Path:
    """Execute a notebook and keep the copy in a folder.

    Args:
        document: the notebook.
        source: where it was read.
        output: the folder, which exists.
        parameters: values for its parameters, already checked.
        progress: is told of cells and of what they print.
        directory: the kernel's working directory; by default this process's.
        timeout: how long it may take (s).
        environment: variables to add to the kernel's environment.
        on_kernel: is told the process number of the kernel.

    Returns:
        The executed notebook, ``<output>/<name>.ipynb``, with pictures of its widgets. While it runs it is
        ``<output>/.<name>.ipynb``.

    Raises:
        NotebookFailed: if a cell raises or exits, the kernel dies or the time is over. The executed copy is kept as
            ``<output>/<name>.failed.ipynb``.
        UserError: if the copy cannot be written, as on a full disk.
    """
    from nbclient.exceptions import CellTimeoutError
    from papermill.exceptions import PapermillExecutionError

    finished = output / f"{source.stem}.ipynb"
    failed = output / f"{source.stem}.failed.ipynb"
    unfinished = unfinished_copy(source, output)
    # What a kernel says on its error stream is nobody's but to tell why it died.
    with tempfile.TemporaryFile() as told:
        try:
            nbformat.write(document, unfinished)
            kernel = _kernel(source.absolute().parent, directory, environment or {}, on_kernel, told)
            executed = _execute(unfinished, parameters, progress, kernel, timeout)
            keep_pictures(executed)
            executed.metadata.papermill.update(input_path=str(source), output_path=str(finished))
            nbformat.write(executed, unfinished)
            os.replace(unfinished, finished)
            failed.unlink(missing_ok=True)
        except PapermillExecutionError as error:
            raise NotebookFailed(_last_line(error), failed) from error
        except CellTimeoutError as error:  # the copy marks every cell completed, and tells nothing of it
            limit = f"not done after {timeout:g} s, the most that it may take"
            raise NotebookFailed(str(error) if timeout is None else limit, failed) from error
        except _Exit as error:
            raise NotebookFailed(str(error), failed) from None
        except UnicodeEncodeError as error:
            raise UserError(f"cannot run {source} in {output}: {error.object!r} is not text") from error
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise UserError(f"cannot run {source.name} in {output}: {error.strerror or error}{where}") from error
        except RuntimeError as error:
            raise NotebookFailed(_death(told, progress.started, error), failed) from error
        finally:
            progress.close()
            with suppress(OSError):  # there may be none, or no folder any more
                os.replace(unfinished, failed)
    return finished


def unfinished_copy(source: Path, output: Path) -> Path:
    """The executed copy while it grows, cell by cell."""
    return output / f".{source.stem}.ipynb"


def _execute(
    path: Path,
    parameters: Mapping[str, Any],
    progress: CellProgress,
    kernel: "type[AsyncKernelManager]",
    timeout: float | None,
) -> nbformat.NotebookNode:
    """Run a notebook in place."""
    import papermill

    # It warns of parameters that it cannot read line by line; they are read and checked before.
    logging.getLogger("papermill").setLevel(logging.ERROR)

    def leave(cell: nbformat.NotebookNode, cell_index: int, execute_reply: Mapping[str, Any]) -> None:
        progress.leave(cell, cell_index, execute_reply)
        _refuse_exit(execute_reply["content"])

    literally = str(path).replace("{", "{{").replace("}", "}}")  # papermill formats paths
    deadline = math.inf if timeout is None else time.monotonic() + timeout
    starts = 0
    while True:
        starts += 1
        try:
            return papermill.execute_notebook(
                literally,
                literally,
                dict(parameters),
                kernel_name="python3",
                kernel_manager_class=kernel,
                progress_bar=False,
                stdout_file=progress,
                on_cell_start=progress.enter,
                on_cell_executed=leave,
                timeout_func=lambda _: _seconds_until(deadline),
                iopub_timeout=60,  # for what a cell has printed to arrive: 4 s may pass on a busy machine
            )
        except RuntimeError:
            # Kernels that are started together may choose the same port; the one that loses dies at once.
            if progress.started or starts == KERNEL_STARTS:
                raise


def _seconds_until(deadline: float) -> int | None:
    """What is left for a cell, in whole seconds, at least one: none at all would mean no limit."""
    return None if deadline == math.inf else max(1, math.ceil(deadline - time.monotonic()))


def _refuse_exit(reply: Mapping[str, Any]) -> None:
    """``sys.exit()``, ``exit()`` and ``quit()`` end a run before its end."""
    asked = any(payload.get("source") == "ask_exit" for payload in reply.get("payload", ()))
    if asked or reply.get("ename") == "SystemExit":
        status = f" with {reply['evalue']!r}" if reply.get("evalue") else ""
        raise _Exit(f"a cell called exit{status}, so the cells after it did not run")


def _death(told: BinaryIO, started: bool, error: RuntimeError) -> str:
    """Why a kernel died, or did not start, as far as it could tell."""
    told.seek(0)
    lines = [line for line in told.read().decode(errors="replace").splitlines() if line.strip()]
    if not started:
        return f"no kernel starts: {lines[-1].strip() if lines else error}"
    fatal = next((line for line in lines if line.startswith("Fatal Python error: ")), None)
    return f"the kernel died: {fatal.split(': ')[1]}" if fatal else "the kernel died, perhaps for want of memory"


def _kernel(
    beside: Path,
    directory: Path | None,
    environment: Mapping[str, str],
    on_kernel: Callable[[int], None],
    told: BinaryIO,
) -> "type[AsyncKernelManager]":
    """Kernels of this very Python, whatever kernels the user has installed.

    Args:
        beside: the notebook's folder, from which it may import, after all else.
        directory: the working directory; by default this process's.
        environment: variables to add.
        on_kernel: is told the process number.
        told: takes the error stream.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    class Kernel(AsyncKernelManager):
        """A kernel that draws figures into its notebook, even where MPLBACKEND is set for scripts, as in CI."""

        transport_encryption = "auto"  # else ipykernel warns in every notebook that it is off

        @property
        def kernel_spec(self) -> KernelSpec:
            command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=command, display_name="Python 3", language="python")

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]  # so it is there, too
            options["env"] = {name: value for name, value in os.environ.items() if name not in _NOT_ITS}
            options["env"] |= environment
            options["stderr"] = told
            if directory is not None:
                options["cwd"] = str(directory)  # of the kernel alone: a chdir here would be everybody's
            await super().start_kernel(**options)
            provisioner: Any = self.provisioner  # of a process here
            on_kernel(provisioner.pid)

        def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
            _, _, _, *command = super().format_kernel_cmd(extra_arguments)
            # It is interrupted when it is shut down, and may tell of that on the error stream of whoever started it.
            return [
                *(sys.executable, "-c", _BOOTSTRAP.format(folder=str(beside))),
                *(*command, "--IPKernelApp.log_level=CRITICAL"),
            ]

    return Kernel


def _last_line(error: Any) -> str:
    message = (error.evalue.strip().splitlines() or [""])[-1]
    return message if error.ename == "UserError" else f"{error.ename}: {message}".rstrip(": ")
