"""The command `retina-nb`: from a shell what the package does in a notebook."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import retina_nb as rnb
from retina_nb.cli_sweeps import add_commands
from retina_nb.errors import UserError
from retina_nb.words import add_values, from_word, pairs, read_yaml


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the words after ``retina-nb``; by default those it was started with.

    Returns:
        The exit status: 0; 1 if a notebook failed, or one of many; 2 for input that cannot be used; 130 if interrupted.
    """
    options = parser().parse_args(pairs(sys.argv[1:] if arguments is None else arguments))
    try:
        return options.command(options)
    except UserError as error:
        return _complain(error, 2)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)


def parser() -> argparse.ArgumentParser:
    """What the command understands."""
    whole = argparse.ArgumentParser(prog="retina-nb", description=rnb.__doc__)
    whole.add_argument("--version", action="version", version=rnb.__version__)
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run a notebook with other parameters", description=_run.__doc__)
    run.set_defaults(command=_run)
    run.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="an .ipynb, or its source, a .py")
    add_values(run, "parameters", "set a parameter: 3, 1e-3, true, a_name, '[1, 2]', '{seed: 1}'")
    run.add_argument(
        "-f", dest="files", type=Path, action="append", default=[], metavar="FILE", help="set those in a YAML file"
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

    datasets = commands.add_parser("datasets", help="list the datasets")
    datasets.set_defaults(command=lambda _: _print_table(rnb.datasets()))
    presets = commands.add_parser("presets", help="list the presets of models")
    presets.set_defaults(command=lambda _: _print_table(rnb.presets()))

    zoo = commands.add_parser("zoo", help="list the published twins")
    zoo.set_defaults(command=lambda _: _print_table(rnb.zoo()))
    card = commands.add_parser("card", help="tell what a twin is", description=_card.__doc__)
    card.set_defaults(command=_card)
    card.add_argument("twin", metavar="TWIN", help="a .safetensors or .ckpt file, or a name that 'retina-nb zoo' lists")
    convert = commands.add_parser("convert", help="turn a checkpoint into ours", description=_convert.__doc__)
    convert.set_defaults(command=_convert)
    convert.add_argument("theirs", metavar="CHECKPOINT", help="a .ckpt file of OpenRetina, or a published name")
    convert.add_argument("ours", type=Path, metavar="FILE", help="the .safetensors file to write")
    return whole


def _run(options: argparse.Namespace) -> int:
    """Run a notebook and keep the executed copy, with what it saved, in a folder. Later parameters win over earlier
    ones, and -p over -f."""
    parameters: dict[str, Any] = {}
    for file in options.files:
        parameters |= _parameter_file(file)
    for name, value in options.parameters:
        parameters[name] = from_word(value, f"the value of {name}")

    from retina_nb.sweeps import NotebookFailed, run_notebook  # papermill takes a second to import

    folder = options.output or Path("runs") / options.notebook.stem
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


def _parameter_file(path: Path) -> dict[str, Any]:
    parameters = read_yaml(path) or {}
    if not isinstance(parameters, dict):
        raise UserError(f"{path} must have lines of the form 'name: value', not a {type(parameters).__name__}")
    return parameters


def _print_run(folder: Path) -> None:
    """Tell what a run left in its folder and, if it saved scores, how good they are against their ceiling."""
    print(f"in {folder}:")
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        print(f"  {path.name}{'/' if path.is_dir() else ''}")
    results = folder / "results.json"
    if results.is_file():
        print(*_score_lines(json.loads(results.read_text(encoding="utf-8"))), sep="\n")


def _score_lines(results: Mapping[str, Any]) -> list[str]:
    match results:
        case {"neurons": neurons, "cc_norm": dict(cc_norm), "correlation": dict(correlation), "cc_max": cc_max}:
            return [
                f"medians over {neurons} neurons, on test stimuli:",
                _score_line("CC_norm", cc_norm, 1.0),
                _score_line("correlation", correlation, cc_max),
            ]
    return []


def _score_line(name: str, scores: Mapping[str, float | None], ceiling: float) -> str:
    """The score of every model that was scored, and the best that noise allows."""
    models = [f"{model.replace('_', '-')} {score:.2f}" for model, score in scores.items() if score is not None]
    return f"  {name:<12} {', '.join(models)}, at best {ceiling:.2f}"


def _print_table(table: Any) -> int:
    """Print a table that is too wide for a terminal: for each row its name, its summary and the rest."""
    for name, row in table.iterrows():
        print(f"{name}: {row.pop('summary')}")
        print("  " + "; ".join(f"{column} {value}" for column, value in row.items()))
    return 0


def _complain(message: object, status: int) -> int:
    print(f"retina-nb: {message}", file=sys.stderr)
    return status
