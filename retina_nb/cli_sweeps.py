"""The commands of `retina-nb` that run a notebook many times."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retina_nb.errors import UserError
from retina_nb.words import add_values, from_word


def add_commands(commands: Any) -> None:
    """Add them to the commands of a parser."""
    sweep = commands.add_parser(
        "sweep",
        help="run a notebook with every combination of parameters",
        description=_sweep.__doc__,
        epilog="Example: retina-nb sweep notebooks/01_train_a_twin.ipynb -g seed=0,1,2 -g max_epochs=5,10",
    )
    sweep.set_defaults(command=_sweep)
    sweep.add_argument(
        "-g",
        dest="grid",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="the values of a parameter, to combine with those of every other -g: seed=0,1,2 or, if they have commas, "
        "'sizes=[5,7]|[7,9]'",
    )
    sweep.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help="a YAML file with a list of sets of parameters, or with a grid, 'seed: [0, 1, 2]'; -g multiplies it",
    )
    sweep.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep complete runs (default), or discard them and run all again",
    )
    sweep.add_argument("--dry-run", action="store_true", help="only list the runs, and how long they would take")
    sweep.add_argument(
        "--best",
        default="validation_correlation",
        metavar="RESULT",
        help="the result to sort runs by, outer.inner if it is nested (default: %(default)s)",
    )
    add_common(sweep, "sweep")

    search = commands.add_parser("search", help="search for the best parameters", description=_search.__doc__)
    search.set_defaults(command=_search)
    search.add_argument(
        "--space",
        type=Path,
        metavar="FILE",
        help="YAML with a line for each parameter, 'seed: [0, 1]' or 'max_epochs: {low: 5, high: 40}', and for each "
        "value within the preset, under 'overrides:'; what needs a certain choice stands under it, 'readout: "
        "{factorized: {readout.mask_penalty: {low: 0.0, high: 0.1}}, gaussian_mask: {}}' "
        "(default: what is worth changing in the notebook's preset)",
    )
    search.add_argument(
        "--objective",
        default="validation_correlation",
        metavar="RESULT",
        help="the result to make as large as possible, outer.inner if it is nested (default: %(default)s)",
    )
    search.add_argument("--minimize", action="store_true", help="make it as small as possible")
    search.add_argument("--trials", type=int, default=50, metavar="N", help="trials in all (default: %(default)s)")
    search.add_argument("--seed", type=int, default=0, metavar="N", help="of the random draws (default: %(default)s)")
    search.add_argument("--no-pruning", action="store_true", help="train every trial to its last epoch")
    add_common(search, "search")


def add_common(parser: argparse.ArgumentParser, kind: str) -> None:
    """Add what every command has that runs a notebook many times."""
    parser.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="an .ipynb, or its source, a .py")
    add_values(parser, "parameters", "set a parameter of all runs")
    parser.add_argument(
        "-o", dest="output", type=Path, metavar="DIR", help=f"the folder of all runs (default: runs/NOTEBOOK_{kind})"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="how many runs at once (default: what fits)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="let the workers of a Dask scheduler do the runs")
    parser.add_argument(
        "--slurm",
        nargs="*",
        metavar="NAME=VALUE",
        help="do the runs in jobs of SLURM, with options of dask_jobqueue.SLURMCluster: queue=gpu cores=4 memory=16GB",
    )
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="stop a run that takes longer (default: no limit)"
    )


def where(options: argparse.Namespace) -> dict[str, Any]:
    """What was said of the place and the time of runs."""
    slurm = None if options.slurm is None else dict(map(_slurm_option, options.slurm))
    return {
        "workers": options.workers,
        "scheduler": options.scheduler,
        "slurm": slurm,
        "timeout": options.timeout,
    }


def same_for_all(options: argparse.Namespace, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of all runs."""
    return {name: from_word(value, f"the value of {name}", defaults.get(name)) for name, value in options.parameters}


def _sweep(options: argparse.Namespace) -> int:
    """Run a notebook with every combination of parameters, several runs at once, each in a folder of its own. At the
    end, a table of all runs is printed and written to runs.csv. Ctrl-C stops the sweep; the same command again runs
    what is not complete. The exit status is 1 if a run is not complete at the end."""
    from retina_nb.sweeps import notebook_parameters  # pandas takes a while to import
    from retina_nb.sweeps.driver import sweep
    from retina_nb.sweeps.parameters import grid_from_words, read_sets

    defaults = notebook_parameters(options.notebook)
    runs = sweep(
        options.notebook,
        options.output or Path("runs") / f"{options.notebook.stem}_sweep",
        parameters=same_for_all(options, defaults),
        grid=grid_from_words(options.grid, defaults),
        sets=read_sets(options.file, defaults) if options.file else (),
        best=options.best,
        resume=options.resume,
        dry_run=options.dry_run,
        **where(options),
    )
    return int(not options.dry_run and not (runs["status"] == "complete").all())


def _search(options: argparse.Namespace) -> int:
    """Search for the parameters of a notebook with which a result is best, by Optuna, several runs at once. Ctrl-C
    stops the search; the same command again goes on, and several machines may share one folder. The exit status is 1 if
    no trial is complete at the end."""
    from retina_nb.sweeps import notebook_parameters
    from retina_nb.sweeps.search import search

    trials = search(
        options.notebook,
        options.output or Path("runs") / f"{options.notebook.stem}_search",
        options.space,
        objective=options.objective,
        minimize=options.minimize,
        trials=options.trials,
        parameters=same_for_all(options, notebook_parameters(options.notebook)),
        seed=options.seed,
        prune=not options.no_pruning,
        **where(options),
    )
    return int(not (trials["status"] == "complete").any())


def _slurm_option(word: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not (name and equals):
        raise UserError(f"{word!r} is no option of SLURM: write it as name=value, such as queue=gpu")
    # A time such as 10:00:00 would be a number in YAML.
    return name, value if ":" in value and not value.startswith(("[", "{")) else from_word(value, word)
