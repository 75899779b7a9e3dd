"""Waiting for a function of somebody else's: no longer than a limit, and always open to an interrupt."""

import asyncio
import contextvars
import inspect
import math
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import torch

SLICE = 0.1
"""Seconds between two looks at the clock: a wait in one piece cannot be interrupted on every system."""


class Late(Exception):
    """The limit has passed and the function has not returned."""


def wait(function: Callable[[], list[Any]], limit: float | None) -> list[Any]:
    """The results that `function` returns, raising what it raises; Late after `limit` seconds.

    With a limit the function runs in a daemon thread, which is left behind when it is late: nothing can stop it,
    but it does not keep the program from ending. Without one it runs in this thread, as code needs that sets
    signals. Results that are awaitable are awaited, all at once; no gradients are recorded.
    """
    return _finish(function) if limit is None else _aside(lambda: _finish(function), limit)


def _aside(function: Callable[[], Any], limit: float) -> Any:
    """Run in a daemon thread that has this one's context and GPU."""
    outcome: list[tuple[Any, BaseException | None]] = []
    context = contextvars.copy_context()
    gpu = torch.cuda.current_device() if torch.cuda.is_initialized() else None

    def work() -> None:
        try:
            if gpu is not None:
                torch.cuda.set_device(gpu)
            outcome.append((context.run(function), None))
        except BaseException as error:  # raised again below, where somebody is waiting
            outcome.append((None, error))

    thread = threading.Thread(target=work, daemon=True, name="plaudit-reward")
    thread.start()
    end = monotonic() + limit
    while not outcome:
        if (left := end - monotonic()) <= 0:
            raise Late
        thread.join(min(left, SLICE))
    thread.join(SLICE)  # it has nothing left to do but end
    value, error = outcome.pop()
    if error is not None:
        raise error
    return value


@torch.no_grad()
def _finish(function: Callable[[], list[Any]]) -> list[Any]:
    """Call, and await what is to be awaited."""
    values = function()
    if not any(map(inspect.isawaitable, values)):
        return values
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_together(values))
    return _aside(lambda: asyncio.run(_together(values)), math.inf)  # a notebook: this thread has a loop


async def _together(values: list[Any]) -> list[Any]:
    async def one(value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value

    return list(await asyncio.gather(*map(one, values)))
