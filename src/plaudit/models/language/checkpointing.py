"""Gradient checkpointing (Chen et al. 2016, arXiv:1604.06174): activations are computed again instead of kept."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from plaudit.errors import PlauditError


def turn_on(whole: nn.Module, models: Iterable[Any]) -> None:
    """Turn it on in these models of a module. Their blocks must be `training` for it, but nothing inside them is.

    Raises PlauditError where a model knows none.
    """
    how = {"use_reentrant": False, "preserve_rng_state": False}  # nothing is drawn inside
    for model in models:
        try:
            if hasattr(model, "activation_checkpointing_enable"):  # its name in newer versions
                model.activation_checkpointing_enable(activation_checkpointing_kwargs=how)
            else:
                model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=how)
        except ValueError:
            raise PlauditError(
                f"gradient_checkpointing: a {type(model).__name__} knows none; set it to false"
            ) from None
    for module in whole.modules():
        if getattr(module, "gradient_checkpointing", False):
            module.training = True


@contextmanager
def paused(whole: nn.Module) -> Iterator[None]:
    """Without it meanwhile: blocks that compute their activations again keep no cache of keys and values."""
    training = [module for module in whole.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
