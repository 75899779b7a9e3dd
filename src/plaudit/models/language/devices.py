"""Where tensors live: choosing a device, and saying what to lower when its memory is full."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from plaudit.errors import PlauditError

FULL = ("out of memory", "can't allocate memory")
"""What torch says when memory is full, on a GPU and on a CPU."""


def device(name: str) -> torch.device:
    """`auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:N`; raises PlauditError where there is none of it."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    found = re.fullmatch(r"cuda(?::(\d+))?", name)
    if not found:
        raise PlauditError(f"device: {name!r} is unknown; give auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise PlauditError(f"device: {name} is asked for, but torch finds no GPU here; give auto or cpu")
    count = torch.cuda.device_count()
    if int(found[1] or 0) >= count:
        raise PlauditError(
            f"device: {name} is asked for, but there are {count}, from cuda:0; give one of these"
        )
    return torch.device(name)


def multiplies_in_half(device: torch.device) -> bool:
    """Whether there are instructions for bfloat16; a processor without them takes up to fifty times as long for it."""
    return device.type != "cpu" or any(
        has for name, has in torch.cpu.get_capabilities().items() if "bf16" in name
    )


@contextmanager
def memory_explained(knobs: str) -> Iterator[None]:
    """Turn `out of memory` into one PlauditError that says what to lower, such as `trainer.piece or model.rows`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_memory_full(error):
            raise
        raise PlauditError(f"there is not enough memory ({_wanted(error)}); lower {knobs}") from None


def is_memory_full(error: BaseException) -> bool:
    """Whether an error means that memory has run out, of a GPU or of the machine."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        text in str(error) for text in FULL
    )


def _wanted(error: BaseException) -> str:
    found = re.search(r"[Tt]ried to allocate ([\d.]+ \w+)", str(error))
    if not found:
        return "the machine has no more"
    amount, unit = found[1].split()
    wanted = f"{float(amount) / 2**30:.2f} GiB" if unit == "bytes" else found[1]
    return f"{wanted} more were wanted"


@contextmanager
def kept() -> Iterator[None]:
    """Whatever is drawn from the global generator of the CPU meanwhile, it stands afterwards where it stood."""
    before = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(before)


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
