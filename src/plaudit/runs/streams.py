"""Random streams of a run: one of its own for each purpose."""

import torch

from plaudit.seeds import seed_of


def generator(seed: int, purpose: str) -> torch.Generator:
    """An independent stream for a purpose of a run."""
    return torch.Generator().manual_seed(seed_of(seed, purpose))
