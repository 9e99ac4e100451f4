"""Random draws of torch that follow from a seed and leave the user's random state as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int, device: str | torch.device = "cpu") -> Iterator[None]:
    """Draws inside, on the CPU and on a device, follow from the seed; draws afterwards know nothing of them."""
    device = torch.device(device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed_torch(seed, device)
        yield


def seed_torch(seed: int, device: str | torch.device = "cpu") -> None:
    """Seed the generators of the CPU and of one device; `torch.manual_seed` would seed those of all devices."""
    device, seed = torch.device(device), int(seed)
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
