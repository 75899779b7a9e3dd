"""What the last bits of a run depend on: its named random streams, and the threads of torch."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from plaudit.seeds import seed_of


def generator(seed: int, purpose: str) -> torch.Generator:
    """An independent stream for a purpose of a run."""
    return torch.Generator().manual_seed(seed_of(seed, purpose))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many meanwhile, whatever the surrounding program uses."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
