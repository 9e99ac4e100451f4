"""One readout for each recording session, behind one core."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from retina_nb.errors import UserError, unknown
from retina_nb.readouts.base import LinearReadout, Readout, check_features, joined, read_neurons, weighted
from retina_nb.readouts.clone import ClonedReadout
from retina_nb.representations import one_line, part_words

# Weights of more entries are made anew each time.
_MOST_KEPT = 2**25


@one_line
class SessionReadouts(nn.Module):
    """The readouts of several sessions by name.

    Args:
        readouts: a readout for each session.

    Raises:
        UserError: if a name cannot be kept, or a clone reads a readout that is not among them.
    """

    _in_words = part_words

    def __init__(self, readouts: Mapping[str, Readout]) -> None:
        super().__init__()
        self._kept: tuple[Hashable, list[Tensor], Tensor] | None = None  # kind, what weights were made of, weights
        self.readouts = nn.ModuleDict()
        # Clones last, since what they read must be there.
        for session in sorted(readouts, key=lambda name: isinstance(readouts[name], ClonedReadout)):
            self.add(session, readouts[session])

    @property
    def sessions(self) -> list[str]:
        """The sessions' names, sorted."""
        return sorted(self.readouts)

    @property
    def lag(self) -> int:
        """Bins of features before the first output: those of the readout that loses most."""
        return max([0, *[readout.lag for readout in self._all()]])

    def __getitem__(self, session: str) -> Readout:
        if session not in self.readouts:
            raise unknown("session", session, self.readouts)
        return self.readouts[session]  # type: ignore[return-value]

    def add(self, session: str, readout: Readout) -> None:
        """Add a session.

        Raises:
            UserError: if there is such a session, its name cannot be kept, or a clone reads none of the others.
        """
        if session in self.readouts:
            raise UserError(f"there is a session {session!r} already: remove it first or give another name")
        if not session or "." in session or hasattr(self.readouts, session):
            raise UserError(
                f"a session's name must not be empty, hold a dot or be one of Python's own, rename {session!r}"
            )
        if isinstance(readout, ClonedReadout) and not any(one is readout.original for one in self._all()):
            raise UserError(f"the clone for session {session!r} reads a readout of no session here: add that one first")
        self.readouts[session] = readout

    def remove(self, session: str) -> None:
        """Remove a session.

        Raises:
            UserError: if there is no such session, or a clone reads its readout.
        """
        removed = self[session]
        for name in self.sessions:
            one = self[name]
            if isinstance(one, ClonedReadout) and one.original is removed:
                raise UserError(f"session {name!r} is a clone of {session!r}: remove it first")
        del self.readouts[session]

    def freeze(self, sessions: Iterable[str] | None = None, *, frozen: bool = True) -> None:
        """Keep sessions' readouts as they are in training, or let them learn again; all sessions if None."""
        for session in self.sessions if sessions is None else sessions:
            self[session].requires_grad_(not frozen)

    def rates(
        self, features: Float[Tensor, "batch feature time height width"], sessions: Iterable[str] | None = None
    ) -> dict[str, Float[Tensor, "batch time_out _"]]:
        """Rates of several sessions that share the features, of all if None; what is linear is one product."""
        readouts = {session: self[session] for session in (self.sessions if sessions is None else sessions)}
        originals = {id(one): one for one in map(_original, readouts.values())}
        rates = dict(zip(originals, _read(list(originals.values()), features, self.lag), strict=True))
        return {
            session: readout.rescale(rates[id(readout.original)])
            if isinstance(readout, ClonedReadout)
            else rates[id(readout)]
            for session, readout in readouts.items()
        }

    def forward(
        self,
        features: Float[Tensor, "*batch feature time height width"],
        session: str | None = None,
        neurons: Int[Tensor, " neuron"] | None = None,
    ) -> Float[Tensor, "*batch time_out neuron"]:
        """Rates of one session's neurons, or of all sessions' in sorted order; of those with these numbers, if any."""
        sessions = self.sessions if session is None else [session]
        if neurons is not None:
            sessions, neurons = self._with_some(sessions, neurons)
        readouts = [self[name] for name in sessions]
        if len(_kinds(readouts)) > 1:
            every = torch.cat([*self.rates(features, sessions).values()], dim=-1)
            return every if neurons is None else every.index_select(-1, neurons.to(every.device))
        one = _joined(readouts)
        features = _recent(features, self.lag - one.lag)
        hooked = one._forward_hooks or one._forward_pre_hooks  # one that is listened to must be called
        if neurons is None and isinstance(one, LinearReadout) and one.is_product and not hooked:
            check_features(features, one.feature_shape)
            return one.rate(weighted(features, self._composed(one, readouts[0].kind)))
        return read_neurons(one, features, neurons)

    def _with_some(self, sessions: list[str], neurons: Tensor) -> tuple[list[str], Tensor]:
        """The sessions that have some of these neurons, and the neurons' numbers among theirs; all if unknown."""
        linear = [one for one in map(self.__getitem__, sessions) if isinstance(one, LinearReadout)]
        if len(linear) < len(sessions):
            return sessions, neurons
        sizes = torch.tensor([len(one.bias) for one in linear])
        ends = sizes.cumsum(0)
        neurons = neurons.cpu()
        needed, place = torch.bucketize(neurons, ends, right=True).unique(return_inverse=True)
        before = (ends - sizes)[needed] - (sizes[needed].cumsum(0) - sizes[needed])  # neurons of those left out
        return [sessions[number] for number in needed.tolist()], neurons - before[place]

    def _composed(self, one: LinearReadout, kind: Hashable) -> Tensor:
        """The weights of a readout; without gradients they are made anew only if what they are made of has changed."""
        parts = [getattr(one, name) for name in one.neuron_axes or {}]
        needs_gradients = torch.is_grad_enabled() and any(part.requires_grad for part in parts)
        if kind is None or needs_gradients or torch.is_autocast_enabled(one.bias.device.type):
            return one.weights()
        if self._kept is None or self._kept[0] != kind or not _equal(self._kept[1], parts):
            # As they are multiplied, neuron by neuron, or each product would turn them around.
            weights = one.weights().detach().permute(3, 1, 2, 0).contiguous().permute(3, 1, 2, 0)
            if weights.numel() > _MOST_KEPT:
                return weights
            self._kept = kind, [part.detach().clone() for part in parts], weights
        return self._kept[2]

    def regularizer(self) -> Float[Tensor, ""]:
        """Mean over sessions of each one's penalty."""
        return torch.stack([readout.regularizer() for readout in self._all()]).mean()

    def penalty(self, sizes: Mapping[str, int]) -> Float[Tensor, ""]:
        """Mean over the neurons of some sessions, given how many each has, of their penalties."""
        readouts, counts = [self[session] for session in sizes], [*sizes.values()]
        kinds = _kinds(readouts)
        penalties = [
            sum(counts[n] for n in kind) * _joined([readouts[n] for n in kind]).regularizer() for kind in kinds
        ]
        return torch.stack(penalties).sum() / sum(counts)

    def constrain(self) -> None:
        """Constrain every session's readout."""
        for readout in self._all():
            readout.constrain()

    def _all(self) -> list[Readout]:
        return list(self.readouts.values())  # type: ignore[arg-type]


def _read(readouts: Sequence[Readout], features: Tensor, lag: int) -> list[Tensor]:
    """Rates of each readout from the same features, of which the first bins are lost to all alike."""
    products = [one for one in readouts if isinstance(one, LinearReadout) and one.is_product]
    rates: dict[int, Tensor] = {}
    if len(products) > 1:
        kinds = [[products[n] for n in kind] for kind in _kinds(products)]
        joint = [_joined(kind) for kind in kinds]
        for one in joint:
            check_features(features, one.feature_shape)
        weights = [one.weights() for one in joint]
        drives = weighted(_recent(features, lag), torch.cat(weights, dim=-1)).split([w.shape[-1] for w in weights], -1)
        for kind, one, drive in zip(kinds, joint, drives, strict=True):
            parts = one.rate(drive).split([len(part.bias) for part in kind], dim=-1)
            rates |= {id(part): rate for part, rate in zip(kind, parts, strict=True)}
    return [rates[id(one)] if id(one) in rates else one(_recent(features, lag - one.lag)) for one in readouts]


def _kinds(readouts: Sequence[Readout]) -> list[list[int]]:
    """Numbers of the readouts that can be joined to one."""
    kinds: dict[Hashable, list[int]] = {}
    for number, one in enumerate(readouts):
        kind = one.kind if isinstance(one, LinearReadout) else None
        kinds.setdefault(number if kind is None else kind, []).append(number)
    return list(kinds.values())


def _equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    return all(
        (one.device, one.dtype) == (other.device, other.dtype) and torch.equal(one, other)
        for one, other in zip(some, others, strict=True)
    )


def _joined(readouts: Sequence[Any]) -> Any:
    return readouts[0] if len(readouts) == 1 else joined(readouts)


def _original(readout: Readout) -> Readout:
    return readout.original if isinstance(readout, ClonedReadout) else readout


def _recent(features: Tensor, lost: int) -> Tensor:
    """Features without their first bins."""
    return features[..., lost:, :, :] if lost else features
