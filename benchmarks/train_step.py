"""A step of training, as `fit` takes it, beside openretina's: forward, loss, penalties, backward, AdamW."""

# mypy: disable-error-code="import-not-found"

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.pairs import Options, Pair, Results
from benchmarks.peer_models import ARCHITECTURES, CHUNK, LAG, both, by_our_names, peer_model
from retina_nb.loaders.batches import Batch, Targets
from retina_nb.losses import LOSSES
from retina_nb.models.core_readout import CoreReadout
from retina_nb.training import _Training

SESSION, NEURONS, RATE, DECAY = "one", 100, 0.01, 0.01
BATCHES = {"low_res": 128, "high_res": 4, "karamanlis": 2}
QUICK = {"low_res": 128, "high_res": 2, "karamanlis": 1}


def prepare(name: str, options: Options) -> Pair:
    """Steps of one of the `ARCHITECTURES`, on batches of 50 frames with a session of 100 cells."""
    architecture = name.removeprefix("train_step_")
    batch = (QUICK if options.quick else BATCHES)[architecture]
    random = torch.Generator().manual_seed(0)
    stimulus = torch.randn(batch, *_movie(architecture), generator=random).to(options.device)
    responses = torch.poisson(torch.ones(batch, CHUNK, NEURONS), generator=random).to(options.device)
    model = peer_model(architecture, {SESSION: NEURONS})
    twin, theirs = both(model, options.folder / f"{name}.ckpt")
    return Pair(
        f"{batch} x {CHUNK} frames, {NEURONS} cells",
        OurStep(twin.to(options.device), stimulus, responses),
        PeerStep(theirs.to(options.device), stimulus, responses),
        partial(exact_step, model, stimulus.cpu(), responses.cpu()),
    )


def _movie(architecture: str) -> tuple[int, ...]:
    channels, height, width = ARCHITECTURES[architecture].shape
    return channels, CHUNK, height, width


class OurStep:
    """Steps of our training, as Lightning would have them, with a loss that is a sum."""

    def __init__(self, twin: CoreReadout, stimulus: Tensor, responses: Tensor) -> None:
        outputs = responses[:, LAG:]
        weights = torch.ones(outputs.shape[:2], device=outputs.device)
        targets = {SESSION: Targets(slice(0, len(stimulus)), outputs, weights)}
        self.batch = Batch(stimulus, targets, count=1.0)  # the mean over one is the sum, as openretina's
        readout: Any = twin.session_readout(SESSION)
        for penalty in ("width_penalty", "position_penalty", "feature_penalty"):  # means over neurons, theirs are sums
            setattr(readout, penalty, getattr(readout, penalty) * NEURONS)
        self.training = _Training(
            twin,
            twin.core,
            LOSSES["poisson"],
            {SESSION: torch.ones(NEURONS, device=outputs.device)},
            RATE,
            DECAY,
            patience=3,
            seed=0,
        )
        self.training.on_train_epoch_start()
        self.optimizer = self.training.configure_optimizers()

    def __call__(self) -> Callable[[], Results]:
        self.optimizer.zero_grad()
        loss = silent(self.training.training_step, self.batch, 0)
        loss.backward()
        self.optimizer.step()
        self.training.on_train_batch_end(None, self.batch, 0)
        return partial(_results, loss, self.training.twin)


class PeerStep:
    """Steps of openretina's training."""

    def __init__(self, model: Any, stimulus: Tensor, responses: Tensor) -> None:
        from openretina.data_io.base_dataloader import DataPoint

        self.model, self.point = model, DataPoint(stimulus, responses)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)

    def __call__(self) -> Callable[[], Results]:
        self.optimizer.zero_grad()
        loss = silent(self.model.training_step, (SESSION, self.point), 0)
        loss.backward()
        self.optimizer.step()
        return partial(_results, loss, self.model, by_our_names)


def exact_step(model: Any, stimulus: Tensor, responses: Tensor) -> Results:
    """openretina's step in float64."""
    with float64():
        return PeerStep(model.double(), stimulus.double(), responses.double())()()


@contextmanager
def float64() -> Iterator[None]:
    """New tensors are float64, and dense convolutions take a frame at a time: torch unfolds their inputs in memory."""
    before, convolve = torch.get_default_dtype(), F.conv3d

    def by_frames(x: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0) -> Tensor:
        bins = weight.shape[2]
        pieces = [x[:, :, start : start + bins] for start in range(x.shape[2] - bins + 1)]
        return torch.cat([convolve(one, weight, bias, stride, padding) for one in pieces], dim=2)

    torch.set_default_dtype(torch.float64)
    try:
        with patch.object(F, "conv3d", by_frames):
            yield
    finally:
        torch.set_default_dtype(before)


def _results(
    loss: Tensor, model: nn.Module, named: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda weights: weights
) -> Results:
    """Loss, gradients, and weights after the step, by our names.

    The first step of AdamW is the gradient's sign, which rounding decides where the gradient is next to nothing. So
    weights after the step count by their gradient's share of the largest one.
    """
    parameters = dict(model.named_parameters())
    gradients = named({name: one.grad for name, one in parameters.items()})  # type: ignore[misc]
    found = {"loss": loss.detach(), **{f"gradient of {name}": one for name, one in gradients.items()}}
    for name, one in named({name: one.detach() for name, one in parameters.items()}).items():
        # openretina clamps feature weights when it next uses them.
        after = one.clamp(min=0) if name.endswith("features") else one
        found[f"{name} after the step"] = after * gradients[name].abs() / gradients[name].abs().max()
    return found


def silent(step: Callable[..., Tensor], *arguments: Any) -> Tensor:
    """What a training step returns, which warns that nothing is logged without a trainer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return step(*arguments)
