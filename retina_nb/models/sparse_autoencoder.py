"""Sparse autoencoders: a layer's activations as sums of few of many features, which may be easier to understand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from retina_nb.errors import UserError
from retina_nb.representations import model_words, one_line
from retina_nb.seeding import seeded

# Samples that are looked at together, where not all need to be.
_SAMPLES = 16384


@one_line
class SparseAutoencoder(nn.Module):
    """Activations as ``code @ decoder + bias`` with few features in each code, none negative.

    ``code = relu((activations - bias) @ encoder + threshold)``, of which only the largest `top_k` are kept if that is
    given (Makhzani & Frey 2013, arXiv:1312.5663; Gao et al. 2024, arXiv:2406.04093). The rows of the decoder have
    norm 1 (Bricken et al. 2023, transformer-circuits.pub), so that a code is in units of the activations.

    Args:
        units: of the layer.
        features: of the code; more than units for an overcomplete one.
        top_k: how many features of a code are kept at most; None for all.

    Raises:
        UserError: if a number is not positive or `top_k` is larger than `features`.
    """

    _in_words = model_words

    kind = "sparse_autoencoder"

    def __init__(self, units: int, features: int, *, top_k: int | None = None) -> None:
        super().__init__()
        if min(units, features) < 1 or (top_k is not None and not 1 <= top_k <= features):
            raise UserError(
                "a sparse autoencoder needs one unit or more, one feature or more and top_k from 1 to features, "
                f"not units={units}, features={features}, top_k={top_k}"
            )
        self.top_k = top_k
        self.about: dict[str, Any] = {}
        directions = nn.functional.normalize(torch.randn(features, units), dim=1)
        self.bias = nn.Parameter(torch.zeros(units))
        self.decoder = nn.Parameter(directions)
        self.encoder = nn.Parameter(directions.T.clone(memory_format=torch.contiguous_format))
        self.threshold = nn.Parameter(torch.zeros(features))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "SparseAutoencoder":
        """An autoencoder of the same sizes with random weights, to be filled from a checkpoint."""
        return cls(config["units"], config["features"], top_k=config["top_k"])

    @property
    def config(self) -> dict[str, Any]:
        """What `from_config` makes the autoencoder of."""
        features, units = self.decoder.shape
        return {"units": units, "features": features, "top_k": self.top_k}

    def encode(self, activations: Float[Tensor, "*sample unit"]) -> Float[Tensor, "*sample feature"]:
        """How much of each feature there is."""
        if activations.shape[-1] != self.decoder.shape[1]:
            raise UserError(
                f"the autoencoder is for {self.decoder.shape[1]} units, the activations have {activations.shape[-1]}"
            )
        code = torch.relu((activations - self.bias) @ self.encoder + self.threshold)
        if self.top_k is None:
            return code
        values, places = code.topk(self.top_k, dim=-1)
        return torch.zeros_like(code).scatter(-1, places, values)

    def decode(self, code: Float[Tensor, "*sample feature"]) -> Float[Tensor, "*sample unit"]:
        """The activations that a code stands for."""
        return code @ self.decoder + self.bias

    def forward(self, activations: Float[Tensor, "*sample unit"]) -> Float[Tensor, "*sample unit"]:
        """Activations as far as the features hold them."""
        return self.decode(self.encode(activations))


@one_line
@dataclass(frozen=True)
class SparseFit:
    """A trained autoencoder, and how well it holds the activations it was trained on.

    Args:
        autoencoder: the autoencoder.
        r2: share of the activations' variance that is reconstructed, over all units.
        l0: mean number of features in a code.
        dead: share of features that are in no code.
    """

    autoencoder: SparseAutoencoder
    r2: float
    l0: float
    dead: float


def fit_sparse_autoencoder(
    activations: Float[Tensor, "sample unit"],
    features: int,
    *,
    top_k: int | None = None,
    sparsity: float | None = None,
    steps: int = 3000,
    batch_size: int = 512,
    learning_rate: float = 3e-3,
    seed: int = 0,
) -> SparseFit:
    """Train an autoencoder on activations, with Adam on the squared error.

    What holds codes sparse is either `top_k` or a penalty. Features that are never used are dead: six times in the
    first two thirds of the training they are set to what is worst reconstructed (Bricken et al. 2023).

    Args:
        activations: see `collect_activations`. The training runs where they are.
        features: number of features.
        top_k: how many features of a code are kept at most.
        sparsity: weight of the L1 norm of codes against the share of variance that is not reconstructed, with
            activations scaled to a mean squared norm of 1; 0.2 is moderate.
        steps: of the optimiser; the learning rate falls to 0 in the last third.
        batch_size: samples in a step.
        learning_rate: of Adam.
        seed: fixes everything.

    Raises:
        UserError: unless just one of `top_k` and `sparsity` is given, or if the activations do not vary.
    """
    if (top_k is None) == (sparsity is None):
        raise UserError("fit_sparse_autoencoder needs either top_k= or sparsity=, and not both")
    mean = activations.mean(dim=0)
    scale = (activations - mean).square().sum(dim=1).mean().sqrt()
    if not scale > 0:
        raise UserError("the activations do not vary, or are not finite: there is nothing to code")
    with seeded(seed), torch.enable_grad():
        autoencoder = SparseAutoencoder(activations.shape[1], features, top_k=top_k).to(activations)
        _train(autoencoder, (activations - mean) / scale, sparsity or 0.0, steps, batch_size, learning_rate)
    with torch.no_grad():  # back to the units of the activations
        autoencoder.threshold.mul_(scale)
        autoencoder.bias.mul_(scale).add_(mean)
    return SparseFit(autoencoder, *quality(autoencoder, activations))


@torch.no_grad()
def quality(autoencoder: SparseAutoencoder, activations: Float[Tensor, "sample unit"]) -> tuple[float, float, float]:
    """R², mean number of features in a code and share of dead features, as in `SparseFit`, on any activations."""
    error, used, count = activations.new_zeros(()), activations.new_zeros(()), 0
    alive = torch.zeros(len(autoencoder.decoder), dtype=torch.bool, device=activations.device)
    for part in activations.split(_SAMPLES):
        code = autoencoder.encode(part)
        error += (autoencoder.decode(code) - part).square().sum()
        used += (code > 0).sum()
        alive |= (code > 0).any(dim=0)
        count += len(part)
    total = (activations - activations.mean(dim=0)).square().sum()
    return float(1 - error / total), float(used / count), float(1 - alive.float().mean())


def _train(
    autoencoder: SparseAutoencoder,
    activations: Tensor,
    sparsity: float,
    steps: int,
    batch_size: int,
    learning_rate: float,
) -> None:
    optimizer = torch.optim.Adam(autoencoder.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, 3 * (1 - step / steps)))
    unused = torch.ones(len(autoencoder.decoder), dtype=torch.bool, device=activations.device)
    every = max(1, steps // 9)
    for step in range(1, steps + 1):
        batch = activations[torch.randint(len(activations), (batch_size,)).to(activations.device)]
        code = autoencoder.encode(batch)
        error = autoencoder.decode(code) - batch
        loss = error.square().sum(dim=1).mean() + sparsity * code.sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        _project(autoencoder)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            autoencoder.decoder.copy_(nn.functional.normalize(autoencoder.decoder, dim=1))
            unused &= ~(code > 0).any(dim=0)
            if step % every == 0 and step <= 6 * every:
                _revive(autoencoder, unused, activations, optimizer)
                unused.fill_(True)


@torch.no_grad()
def _project(autoencoder: SparseAutoencoder) -> None:
    """Take the part of the decoder's gradient away that would change the norm of its rows."""
    rows, gradient = autoencoder.decoder, autoencoder.decoder.grad
    if gradient is not None:
        gradient -= (gradient * rows).sum(dim=1, keepdim=True) * rows


def _revive(
    autoencoder: SparseAutoencoder, dead: Tensor, activations: Tensor, optimizer: torch.optim.Optimizer
) -> None:
    """Set dead features to what is left of samples, drawn by how badly they are reconstructed."""
    count = int(dead.sum())
    if not count:
        return
    some = activations[torch.randint(len(activations), (_SAMPLES,)).to(activations.device)]
    left = some - autoencoder(some)
    drawn = torch.multinomial(left.square().sum(dim=1).cpu() + 1e-12, count).to(left.device)
    directions = nn.functional.normalize(left[drawn], dim=1)
    autoencoder.decoder[dead] = directions
    autoencoder.encoder[:, dead] = directions.T
    autoencoder.threshold[dead] = 0
    for weights, axis in ((autoencoder.decoder, 0), (autoencoder.encoder, 1), (autoencoder.threshold, 0)):
        for moment in ("exp_avg", "exp_avg_sq"):
            optimizer.state[weights][moment].movedim(axis, 0)[dead] = 0
