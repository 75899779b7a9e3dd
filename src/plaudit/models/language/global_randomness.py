"""The one place that touches torch's global generator: to leave it as it was.

transformers and peft draw the first weights of new layers from it and take no generator. What they draw is drawn
again from ours, and whoever else uses the global one notices nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def kept() -> Iterator[None]:
    """Whatever is drawn from the global generator of the CPU meanwhile, it stands afterwards where it stood."""
    before = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(before)
