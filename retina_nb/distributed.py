"""Training by several processes, one for each device: what Lightning's data parallelism leaves open."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
import torch.distributed as dist
from lightning.pytorch.strategies import Strategy
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from retina_nb.errors import UserError

SCRIPT = "scripts/train_on_many_gpus.py"


def trainer_for(
    *, strategy: str | Strategy, accelerator: str, devices: int | str | list[int], num_nodes: int, **options: Any
) -> L.Trainer:
    """Lightning's Trainer; ``"auto"`` and ``"ddp"`` are what suits twins on several devices.

    Raises:
        UserError: if several devices are asked for in a notebook, or Lightning refuses them.
    """
    try:
        trainer = L.Trainer(
            # A batch need not have every session.
            strategy="ddp_find_unused_parameters_true" if strategy == "ddp" else strategy,
            accelerator=accelerator,
            devices=devices,
            num_nodes=num_nodes,
            **options,
        )
    except (MisconfigurationException, TypeError, ValueError) as error:
        raise UserError(f"Lightning cannot train so: {' '.join(str(error).split())}") from None
    if trainer.world_size > 1 and strategy == "auto":
        if hasattr(sys, "ps1"):
            raise UserError(f"a notebook trains on one device: use devices=1 here, and {SCRIPT} to train on several")
        options |= {"accelerator": accelerator, "devices": devices, "num_nodes": num_nodes}
        return trainer_for(strategy="ddp", **options)
    return trainer


def summed(value: Tensor, trainer: L.Trainer) -> Tensor:
    """The sum of a value over the trainer's processes."""
    if trainer.world_size > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def gathered(value: Any, trainer: L.Trainer) -> list[Any] | None:
    """What all the trainer's processes have for a value, in the first of them; None in the others."""
    if trainer.world_size == 1:
        return [value]
    values = [None] * trainer.world_size if trainer.is_global_zero else None
    dist.gather_object(value, values)
    return values


@contextmanager
def shared_statistics(module: nn.Module, trainer: L.Trainer) -> Iterator[None]:
    """Batch normalisation takes its statistics over the batches of all the trainer's processes."""
    norms = [one for one in module.modules() if isinstance(one, _BatchNorm)] if trainer.world_size > 1 else []
    kinds = [type(one) for one in norms]
    try:
        for norm in norms:
            norm.__class__ = nn.SyncBatchNorm if trainer.strategy.root_device.type == "cuda" else _SharedBatchNorm
            norm.process_group = None  # type: ignore[assignment]  # all
        yield
    finally:
        for norm, kind in zip(norms, kinds, strict=True):
            norm.__class__ = kind


class _SharedBatchNorm(_BatchNorm):
    """Batch normalisation over the batches of all processes on CPUs; torch has it for GPUs alone."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        axes, place = [0, *range(2, x.ndim)], (1, -1, *(1 for _ in x.shape[2:]))
        count = _Sum.apply(x.new_tensor(x.numel() // x.shape[1]))
        mean = _Sum.apply(x.sum(axes)) / count
        centred = x - mean.view(place)
        variance = _Sum.apply(centred.square().sum(axes)) / count
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        normal = centred * torch.rsqrt(variance + self.eps).view(place)
        return normal * self.weight.view(place) + self.bias.view(place) if self.affine else normal

    def _check_input_dim(self, x: Tensor) -> None:
        pass  # of whatever kind it was

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        part = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, part)
        self.running_var.lerp_(variance, part)


class _Sum(torch.autograd.Function):
    """The sum over processes; so is its gradient."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)
