"""Gradient ascent on many stimuli at once: each row has its own objective, constraints, step size and end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from retina_nb.errors import UserError, unknown
from retina_nb.representations import one_line

Objective = Callable[[Tensor, Tensor], Tensor]
Project = Callable[[Tensor, Tensor], Tensor]
Hold = Callable[[Tensor], Tensor]  # the same for rows that are known
# Rules by name, and the step size that each has by default: see `ascend`.
OPTIMIZERS = {"adaptive": 1.0, "adam": 0.3, "sgd": 10.0}
# Of the adaptive rule: how its steps grow and shrink, how far they grow, how much of the last step the next one
# repeats, and how far along the gradient the stimulus is that it steps towards (in norms of the stimulus).
_GROW, _SHRINK, _LARGEST, _MOMENTUM, _REACH = 1.2, 0.5, 1.5, 0.5, 4.0
_SMALL = 1e-30
_NOTHING = "there is nothing to optimise: no stimulus changes what was to be maximised"
_LONG = 20  # with more batches than this there is a progress bar


@one_line
@dataclass(frozen=True)
class Ascent:
    """What became of each row.

    Args:
        stimuli: the best stimulus that was met.
        scores: its objective.
        history: the objective after each step, from the start (step 0) on; NaN for steps that were not taken, as after
            a row has converged.
        converged: whether the last steps gained next to nothing.
    """

    stimuli: Float[Tensor, "row channel time height width"]
    scores: Float[Tensor, " row"]
    history: Float[Tensor, "row step"]
    converged: Tensor

    @property
    def steps(self) -> Int[Tensor, " row"]:
        """Steps that each row took."""
        return (~self.history.isnan()).sum(dim=1) - 1


def ascend(
    objective: Objective,
    start: Callable[[Tensor], Tensor],
    project: Project,
    *,
    rows: int,
    steps: int = 100,
    optimizer: str = "adaptive",
    step_size: float | None = None,
    tolerance: float = 1e-3,
    patience: int = 10,
    batch_size: int | None = None,
    device: torch.device | None = None,
) -> Ascent:
    """Maximise an objective of every row, by projected gradient ascent; the best stimulus of each row is kept.

    Rows do not see each other: what one becomes does not depend on the others. Rows that have converged are no longer
    computed. The rules are

    - ``"adaptive"``: from the best stimulus so far towards the one that a very long step along the gradient leads to,
      once that is held to its constraints: `step_size` of the way there, 1.2 times as much after each success (up
      to 1.5 times `step_size`), half as much after a failure, when the step along the gradient becomes shorter too.
      Half of the last step is added if it was a success (Polyak 1964, USSR Comput. Math. Math. Phys. 4:1), except
      for the first, which leaves the start behind. The score never falls, and units of the objective do not matter.
      With a `step_size` of 1 this is the power method, which climbs convex functions on a sphere at once (Journée et
      al. 2010, J. Mach. Learn. Res. 11:517), with over-relaxation. Steps end at held stimuli because those that are
      clipped after a plain step keep too little of their norm, and end lower. From the same start, in as many
      steps, nearly all rows end as high as with ``"sgd"`` or higher; the few that do not (1 or 2 of 60 on the
      simulated twin at a norm of 30, by 2 % at most) have reached another local maximum.
    - ``"sgd"``: steps of `step_size` times the gradient.
    - ``"adam"`` (Kingma & Ba 2015, arXiv:1412.6980): `step_size` is in units of the stimulus' root mean square, and
      gradients are taken along the sphere of the stimulus' norm, since otherwise Adam does not come to rest
      at a maximum.

    Args:
        objective: from stimuli (row, channel, time, height, width) and their rows' numbers to a number for each.
        start: from rows' numbers to the stimuli that they start from.
        project: from stimuli and rows' numbers to the stimuli that are held to the constraints.
        rows: how many there are.
        steps: at most so many are taken.
        optimizer: the rule.
        step_size: see the rules; None for the rule's default.
        tolerance: a row has converged when `patience` steps gained less than this part of all that it has gained.
        patience: see `tolerance`.
        batch_size: at most so many rows are computed at once; `rows_at_once` if None.
        device: where.

    Raises:
        UserError: if there is no such rule, a number is not positive, no stimulus matters to its objective, or an
            objective is not finite.
    """
    batch_size = rows_at_once(device) if batch_size is None else batch_size
    if batch_size <= 0:
        raise UserError("batch_size must be positive")
    size = _checked_size(optimizer, step_size, steps, patience)
    parts = torch.arange(rows, device=device).split(batch_size)
    made, moved = [], False
    for part in tqdm(parts, disable=len(parts) <= _LONG, leave=False):
        all_steps = _climb(objective, start(part), project, part, optimizer, size, steps, tolerance, patience)
        *_, (ascent, moves) = all_steps
        made.append(ascent)
        moved |= moves
    if not moved:
        raise UserError(_NOTHING)
    return Ascent(
        torch.cat([one.stimuli for one in made]),
        torch.cat([one.scores for one in made]),
        torch.cat([one.history for one in made]),
        torch.cat([one.converged for one in made]),
    )


def climb(
    objective: Objective,
    start: Callable[[Tensor], Tensor],
    project: Project,
    *,
    rows: int,
    steps: int = 100,
    optimizer: str = "adaptive",
    step_size: float | None = None,
    tolerance: float = 1e-3,
    patience: int = 10,
    device: torch.device | None = None,
) -> Iterator[Ascent]:
    """The same ascent, of all rows at once, a step at a time: where it is at the start and after each step.

    Args:
        objective, start, project, rows, steps, optimizer, step_size, tolerance, patience, device: see `ascend`.

    Raises:
        UserError: see `ascend`.
    """
    size, every = _checked_size(optimizer, step_size, steps, patience), torch.arange(rows, device=device)
    for ascent, moves in _climb(objective, start(every), project, every, optimizer, size, steps, tolerance, patience):
        if not moves:
            raise UserError(_NOTHING)
        yield Ascent(*(one.clone() for one in (ascent.stimuli, ascent.scores, ascent.history, ascent.converged)))


def rows_at_once(device: torch.device | None) -> int:
    """How many stimuli to compute at once: on a CPU, more take memory and no less time each."""
    return 50 if device is None or device.type == "cpu" else 256


def _checked_size(optimizer: str, step_size: float | None, steps: int, patience: int) -> float:
    if optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS)
    size = OPTIMIZERS[optimizer] if step_size is None else step_size
    if min(steps, size, patience) <= 0:
        raise UserError("steps, step_size and patience must be positive")
    return size


def _climb(
    objective: Objective,
    start: Tensor,
    project: Project,
    part: Tensor,
    optimizer: str,
    size: float,
    steps: int,
    tolerance: float,
    patience: int,
) -> Iterator[tuple[Ascent, bool]]:
    """One batch of rows, at the start and after each step to its end, and whether any had a gradient at the start.

    What is given is the same tensors each time, which the next step fills further.
    """
    propose = {"adaptive": _adaptive, "adam": _adam, "sgd": _sgd}[optimizer]
    stimulus = project(start, part)
    score, gradient = _with_gradient(objective, stimulus, part)
    moved = bool(gradient.any())
    # What is known of the rows that still climb; `place` is where they are in the batch.
    state = {
        "place": torch.arange(len(part), device=part.device),
        "scale": torch.ones_like(score),
        "stimulus": stimulus,
        "gradient": gradient,
        "best": stimulus,
        "best_gradient": gradient,
        "best_score": score,
        "moment": torch.zeros_like(stimulus[:0] if propose is _sgd else stimulus),
        "square": torch.zeros_like(stimulus[:0] if propose is not _adam else stimulus),
    }
    history = score.new_full((len(part), steps + 1), torch.nan)
    history[:, 0] = score
    made = Ascent(stimulus.clone(), score.clone(), history, torch.zeros_like(score, dtype=torch.bool))
    yield made, moved
    record = score[:, None]  # best scores of the rows that still climb
    for step in range(1, steps + 1):
        place = state["place"]
        rows = part[place]
        state["stimulus"] = project(propose(state, size, step, partial(_hold, project, rows)), rows)
        score, state["gradient"] = _with_gradient(objective, state["stimulus"], rows, last=step == steps)
        history[place, step] = score
        if propose is _adaptive:
            _adapt(state, score, step)
        _keep_best(state, score)
        made.stimuli[place], made.scores[place] = state["best"], state["best_score"]
        record = torch.cat([record, state["best_score"][:, None]], dim=1)
        if step >= patience:
            gain = record[:, -1] - record[:, -1 - patience]
            ended = gain <= tolerance * (record[:, -1] - record[:, 0])
            if bool(ended.any()):
                made.converged[place[ended]] = True
                state = {name: value[~ended] if len(value) else value for name, value in state.items()}
                record = record[~ended]
        yield made, moved
        if not len(state["place"]):
            return


def _with_gradient(
    objective: Objective, stimulus: Tensor, rows: Tensor, *, last: bool = False
) -> tuple[Tensor, Tensor]:
    """Scores and their gradients; no step follows the last, which has the score alone."""
    with torch.set_grad_enabled(not last):
        shown = stimulus.detach().requires_grad_()
        score = objective(shown, rows)
        gradient = shown if last else torch.autograd.grad(score.sum(), shown)[0]
    if not bool(score.isfinite().all()):
        raise UserError("the model's response to a stimulus is not finite: tighten the constraints, or check the model")
    return score.detach(), gradient


def _keep_best(state: dict[str, Tensor], score: Tensor) -> None:
    better = score > state["best_score"]
    for name, new in (("best", "stimulus"), ("best_gradient", "gradient")):
        state[name] = torch.where(_spread(better), state[new], state[name])
    state["best_score"] = torch.where(better, score, state["best_score"])


def _adaptive(state: dict[str, Tensor], size: float, step: int, hold: Hold) -> Tensor:
    best, gradient, scale = state["best"], state["best_gradient"], state["scale"]
    # A stimulus of nothing has no norm to measure steps by: 1 then.
    length = _REACH * scale.square() * torch.where(_norm(best) > 0, _norm(best), 1.0)
    target = hold(best + _spread(length / _norm(gradient).clamp(min=_SMALL)) * gradient)
    return best + _spread(size * scale) * (target - best) + _MOMENTUM * state["moment"]


def _adapt(state: dict[str, Tensor], score: Tensor, step: int) -> None:
    """What the adaptive rule learns from a step, before its stimulus becomes the best."""
    better = score > state["best_score"]
    # The first step says nothing of those that follow: most of it is the noise that it leaves behind.
    grown = state["scale"] if step == 1 else (_GROW * state["scale"]).clamp(max=_LARGEST)
    state["scale"] = torch.where(better, grown, _SHRINK * state["scale"])
    moment = (state["stimulus"] - state["best"]) * (step > 1)
    state["moment"] = torch.where(_spread(better), moment, 0.0)


def _sgd(state: dict[str, Tensor], size: float, step: int, hold: Hold) -> Tensor:
    return state["stimulus"] + size * state["gradient"]


def _adam(state: dict[str, Tensor], size: float, step: int, hold: Hold) -> Tensor:
    x, gradient = state["stimulus"], state["gradient"]
    gradient = gradient / _spread(_norm(gradient).clamp(min=_SMALL))
    radial = (gradient * x).flatten(1).sum(dim=1) / x.square().flatten(1).sum(dim=1).clamp(min=_SMALL)
    along = gradient - _spread(radial) * x
    state["moment"] = 0.9 * state["moment"] + 0.1 * along
    state["square"] = 0.999 * state["square"] + 0.001 * along.square()
    rate = size * _norm(x) / x[0].numel() ** 0.5
    update = (state["moment"] / (1 - 0.9**step)) / ((state["square"] / (1 - 0.999**step)).sqrt() + 1e-8)
    return x + _spread(rate) * update


def _hold(project: Project, rows: Tensor, x: Tensor) -> Tensor:
    return project(x, rows)


def _norm(x: Tensor) -> Tensor:
    return x.flatten(1).norm(dim=1)


def _spread(row: Tensor) -> Tensor:
    return row[:, None, None, None, None]
