"""The command `retina-nb`: from a shell what the package does in a notebook."""

import argparse
import io
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import retina_nb as rnb
from retina_nb.cli_sweeps import add_commands, same_for_all
from retina_nb.errors import UserError
from retina_nb.files import expand_path
from retina_nb.words import add_values, from_word, pairs, read_yaml


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after ``retina-nb``; by default those it was started with.

    Returns:
        The exit status: 0; 1 if a notebook failed, or one of many; 2 for input that cannot be used; 128 and the number
        of the signal that ended it, as 130 for Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no command fails because a terminal has no µ
    whole = parser()
    options, rest = whole.parse_known_args(pairs(sys.argv[1:] if arguments is None else arguments))
    if rest:
        value = next((word for word in rest if re.match(r"\w+=", word)), None)
        hint = f"; to set a parameter, write -p {value}" if value else ""
        whole.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
    try:
        os.getcwd()
    except FileNotFoundError:
        return _complain("the folder that this is started in was deleted: change to another one, and try again", 2)
    try:
        with _endings():
            status = options.command(options)
            sys.stdout.flush()
            return status
    except UserError as error:
        return _complain(error, 2)
    except KeyboardInterrupt:
        return _complain("interrupted", 128 + signal.SIGINT)
    except _Ended as ending:
        return _complain(f"ended by {ending}", ending.status)
    except BrokenPipeError:  # as by '| head': nobody reads on
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:  # most of all, a full disk
        return _complain(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}", 1)


class _Ended(BaseException):
    """A signal that asks for an end, by name: what it ends can say what is left."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.status = 128 + number


@contextmanager
def _endings() -> Iterator[None]:
    """While this lasts, SIGTERM and SIGHUP (a closed terminal) raise `_Ended`, unless they are ignored, as by nohup."""

    def end(number: int, _: object) -> None:
        raise _Ended(number)

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


def parser() -> argparse.ArgumentParser:
    """What the command understands."""
    whole = argparse.ArgumentParser(prog="retina-nb", description=rnb.__doc__)
    whole.add_argument("--version", action="version", version=rnb.__version__)
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="run a notebook with other parameters",
        description=_run.__doc__,
        epilog="Example: retina-nb run notebooks/01_train_a_twin.ipynb -p max_epochs=3 -o runs/quick",
    )
    run.set_defaults(command=_run)
    run.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="an .ipynb, or its source, a .py")
    add_values(run, "parameters", "set a parameter; VALUE is text or YAML: 3, 1e-3, true, '[1, 2]', '{seed: 1}'")
    run.add_argument(
        "-f",
        dest="files",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="set the parameters in a YAML file of lines 'name: value'",
    )
    run.add_argument("-o", dest="output", type=Path, metavar="DIR", help="the run's folder (default: runs/NOTEBOOK)")

    add_commands(commands)

    fetch = commands.add_parser("fetch", help="download a dataset", description=_fetch.__doc__)
    fetch.set_defaults(command=_fetch)
    fetch.add_argument("dataset", metavar="NAME", help="a name that 'retina-nb datasets' lists")
    fetch.add_argument("--resolution", help="the resolution of the stimulus, where there are several")
    fetch.add_argument("--sessions", nargs="+", metavar="SESSION", help="only these sessions")
    fetch.add_argument("--data-dir", type=Path, metavar="DIR", help="where to put it (default: the cache)")
    add_values(fetch, "settings", "another setting of load_recordings, e.g. '-p species marmoset'")

    datasets = commands.add_parser(
        "datasets", help="list the datasets", description="List the datasets that load_recordings and fetch know."
    )
    datasets.set_defaults(command=lambda _: _print_table(rnb.datasets()))
    presets = commands.add_parser(
        "presets", help="list the presets of models", description="List the architectures that build_twin knows."
    )
    presets.set_defaults(command=lambda _: _print_table(rnb.presets()))

    zoo = commands.add_parser(
        "zoo", help="list the published twins", description="List the published twins that load_twin knows by name."
    )
    zoo.set_defaults(command=lambda _: _print_table(rnb.zoo()))
    card = commands.add_parser("card", help="describe a twin", description=_card.__doc__)
    card.set_defaults(command=_card)
    card.add_argument("twin", metavar="TWIN", help="a .safetensors or .ckpt file, or a name that 'retina-nb zoo' lists")
    convert = commands.add_parser("convert", help="convert a checkpoint of OpenRetina", description=_convert.__doc__)
    convert.set_defaults(command=_convert)
    convert.add_argument("theirs", metavar="CHECKPOINT", help="a .ckpt file of OpenRetina, or a published name")
    convert.add_argument("ours", type=Path, metavar="FILE", help="the .safetensors file to write")
    return whole


def _run(options: argparse.Namespace) -> int:
    """Run a notebook and keep the executed copy, and what the notebook saves, in a folder. Where a parameter is set
    twice, the last one counts, and -p counts more than -f. Ctrl-C ends the run; the copy so far is kept as
    NAME.failed.ipynb."""
    from retina_nb.sweeps import NotebookFailed, notebook_parameters, run_notebook  # it takes a second

    defaults = notebook_parameters(options.notebook)
    parameters: dict[str, Any] = {}
    for file in options.files:
        parameters |= _parameter_file(file, defaults)
    parameters |= same_for_all(options, defaults)
    folder = expand_path(options.output or Path("runs") / options.notebook.stem)
    try:
        run_notebook(options.notebook, folder, parameters)
    except NotebookFailed as error:
        return _complain(error, 1)
    _print_run(folder)
    return 0


def _fetch(options: argparse.Namespace) -> int:
    """Download what load_recordings(NAME, ...) needs with the same settings, check it and unpack it. What is there
    already is not downloaded again, and what broke off is taken up."""
    settings = {name: from_word(value, f"the value of {name}") for name, value in options.settings}
    given = {"resolution": options.resolution, "sessions": options.sessions}
    settings |= {name: value for name, value in given.items() if value is not None}

    from retina_nb.loaders import fetch  # as everything that needs pandas, which takes a while to import

    print(f"{options.dataset} is in {fetch(options.dataset, data_dir=options.data_dir, **settings)}")
    return 0


def _card(options: argparse.Namespace) -> int:
    """Print what a twin is, what it was trained on and how good it is."""
    rnb.load_twin(options.twin).card()
    return 0


def _convert(options: argparse.Namespace) -> int:
    """Read a checkpoint of OpenRetina, without running anything in it, and write the same twin as a safetensors file,
    which predicts the same."""
    twin = rnb.load_twin(options.theirs)
    print(f"{twin.save(options.ours)} holds the twin of {options.theirs}:")
    twin.card()
    return 0


def _parameter_file(path: Path, defaults: Mapping[str, Any]) -> dict[str, Any]:
    parameters = read_yaml(path, dict(defaults)) or {}
    if not isinstance(parameters, dict):
        raise UserError(f"{path} must have lines of the form 'name: value', not a {type(parameters).__name__}")
    return parameters


def _print_run(folder: Path) -> None:
    """Tell what a run left in its folder and, if it saved scores, how good they are against their ceiling."""
    from retina_nb.sweeps.records import results_fault
    from retina_nb.sweeps.runs import read_results

    print(f"in {folder}:")
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        print(f"  {path.name}{'/' if path.is_dir() else ''}")
    if fault := results_fault(folder):
        print(f"nothing is known of its results: {fault}")
    for line in _score_lines(read_results(folder)):
        print(line)


def _score_lines(results: Mapping[str, Any]) -> list[str]:
    match results:
        case {
            "neurons": neurons,
            "cc_norm": dict(cc_norm),
            "correlation": dict(correlation),
            "cc_max": int() | float() as cc_max,
        }:
            return [
                f"medians over {neurons} neurons, on test stimuli:",
                _score_line("CC_norm", cc_norm, 1.0),
                _score_line("correlation", correlation, cc_max),
            ]
    return []


def _score_line(name: str, scores: Mapping[str, Any], ceiling: float) -> str:
    """The score of every model that was scored, and the best that noise allows."""
    numbers = {model: score for model, score in scores.items() if isinstance(score, int | float)}
    models = [f"{model.replace('_', '-')} {score:.2f}" for model, score in numbers.items()]
    return f"  {name:<12} {', '.join(models)}, at best {ceiling:.2f}"


def _print_table(table: Any) -> int:
    """Print a table that is too wide for a terminal: for each row its name, its summary and the rest."""
    for name, row in table.iterrows():
        print(f"{name}: {row.pop('summary')}")
        known = {column.replace("_", " "): _shown(value) for column, value in row.items()}
        print("  " + "; ".join(f"{column} {value}" for column, value in known.items() if value))
    return 0


def _shown(value: Any) -> str:
    """A value for people; nothing for what is not known."""
    if str(value) in ("None", "nan", "<NA>"):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _complain(message: object, status: int) -> int:
    with suppress(OSError):  # where the terminal is gone
        print(f"retina-nb: {message}", file=sys.stderr)
    return status
