"""Reward functions as people have them, in one shape; which shape one has is read from its parameters' names.

The first rule that fits decides (`*args` is passed over; a bound method, a callable object or a partial will do):

1. `solution_str` is among the names: verl's `compute_score(data_source, solution_str, ground_truth, extra_info)`,
   called once per answer. The values come from the columns of these names; where there is none, `data_source` is
   "", `extra_info` is None, and `ground_truth` is looked up in a column `reward_model` of verl's data. It returns
   a number, or a dict with the number under "score" and further numbers to log.
2. `samples` or `outputs` is: trlX's `f(samples, prompts, outputs, **metadata)`; a sample is prompt + output.
3. `completions` or `completion_ids` is: TRL's `f(prompts, completions, **columns)`. In conversational data a
   prompt is a list of messages and a completion `[{"role": "assistant", "content": text}]`; a prompt that ends in
   the assistant's words gives them to the completion. None in the returned list: no opinion, counts as 0.
   Not so `f(completions)` without anything else, which falls under 4.
4. One parameter must be given, and by position: `f(answers)` gets the `Answers`, `f(texts)` (or any other name,
   but not `prompts`) the completions as texts. With `**keywords` only the names `answers` and `texts` are meant.
5. There are `**keywords`: TRL's again.

Columns are passed by name to shapes 2 and 3: those that the function names, or all where it takes `**keywords`. A
function of shape 2 to 4 returns B numbers, or for each answer a list of numbers, one per token. Any function may be
a coroutine function.
"""

import asyncio
import contextvars
import inspect
import math
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from inspect import Parameter
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import torch

from plaudit.batches import Rewards
from plaudit.environments.language.prompts import Answers
from plaudit.errors import PlauditError
from plaudit.python_files import execute
from plaudit.rewards.reward_output import read, read_each

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
    async def one(value: object) -> Any:
        return await value if inspect.isawaitable(value) else value

    return list(await asyncio.gather(*map(one, values)))


SIGNATURES = (
    "f(prompts, completions, **columns)",
    "f(samples, prompts, outputs, **metadata)",
    "compute_score(data_source, solution_str, ground_truth, extra_info)",
    "f(texts) or f(answers)",
)
Reward = Callable[[Answers], Rewards]
"""Judges answers; raises PlauditError where it cannot."""
Shape = Literal["trl", "trlx", "verl", "answers", "texts"]
Call = tuple[list[Any], dict[str, Any]]
"""What a function is called with, by position and by name."""


def adapt(function: Callable[..., Any], name: str, time_limit: float | None = 60.0) -> Reward:
    """A reward from a function of one of the four shapes, see the module.

    `name` stands in errors and metrics. `time_limit`: seconds for one batch of answers, after which the reward
    is given up; None waits for ever and runs the function in the caller's thread. PlauditError for an unknown
    signature here; and when called, where the function raises, is late, misses a column, or returns anything
    but finite numbers in the right number.
    """
    if time_limit is not None and not 0 < time_limit < math.inf:
        raise PlauditError(
            f"reward {name!r}: time_limit {time_limit} is no number of seconds above 0; give one, or none"
        )
    parameters = _parameters(function, name)
    shape = _shape(parameters, name)

    def reward(answers: Answers) -> Rewards:
        """The scores of B answers."""
        if len(answers) == 0:
            return Rewards(torch.zeros(0))
        calls = _calls(shape, parameters, answers, name)
        returned = _call(function, calls, name, time_limit)
        if shape == "verl":
            return read_each(returned, answers, name)
        return read(returned[0], answers, name, opinions=shape == "trl")

    return reward


def load(place: str) -> Callable[..., Any]:
    """The function at `path/to/file.py:name`; without a name, the one called `reward`."""
    file, name = (place, "") if place.endswith(".py") else place.rpartition(":")[::2]
    path, name = Path(file).expanduser(), name or "reward"
    if path.suffix != ".py" or not path.is_file():
        raise PlauditError(f"{file or place}: no such Python file; give a reward as path/to/file.py:name")
    own_name = f"plaudit_reward_{re.sub(r'[^A-Za-z0-9]', '_', str(path.resolve()))}"
    try:
        module = execute(path, own_name)
    except (Exception, SystemExit) as error:
        raise PlauditError(f"{path}: importing it raised {_told(error, str(path))}; mend the file") from error
    found = getattr(module, name, None)
    if callable(found):
        return found
    if found is not None:
        raise PlauditError(f"{path}: `{name}` is {type(found).__name__}, not a function; name a function")
    own = {key: value for key, value in vars(module).items() if inspect.isroutine(value)}
    there = sorted(key for key, value in own.items() if value.__module__ == own_name)
    near = get_close_matches(name, there, 1)
    hint = f"did you mean {near[0]}?" if near else f"its functions: {', '.join(there) or 'none'}"
    raise PlauditError(f"{path}: `{name}` is missing, {hint}; give the reward as {path.name}:name")


def _parameters(function: object, name: str) -> Mapping[str, Parameter]:
    if not callable(function):
        raise PlauditError(f"reward {name!r} is {type(function).__name__}, not a function; give a function")
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError) as error:  # some functions written in C do not tell
        raise PlauditError(
            f"reward {name!r}: its parameters cannot be found out; wrap it in {_or(SIGNATURES)}"
        ) from error


def _shape(parameters: Mapping[str, Parameter], name: str) -> Shape:
    """The rule of the module's docstring."""
    single = {n: p for n, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    keywords = any(p.kind == p.VAR_KEYWORD for p in parameters.values())
    needed = [n for n in single if _is_needed(single[n])]
    if "solution_str" in single:
        return "verl"
    if single.keys() & {"samples", "outputs"}:
        return "trlx"
    if single.keys() & {"completions", "completion_ids"} and (keywords or [*single] != ["completions"]):
        return "trl"
    first = next(iter(single), "prompts")
    alone = (needed == [first] or len(single) == 1) and single[first].kind != Parameter.KEYWORD_ONLY
    if alone and first != "prompts" and (not keywords or first in ("answers", "texts")):
        return "answers" if first == "answers" else "texts"
    if keywords:
        return "trl"
    raise PlauditError(
        f"reward {name!r}: parameters ({', '.join(parameters)}) are of no known shape; write it as {_or(SIGNATURES)}"
    )


def _calls(shape: Shape, parameters: Mapping[str, Parameter], answers: Answers, name: str) -> list[Call]:
    """One call for all answers, or in verl's shape one for each."""
    if shape in ("texts", "answers"):
        return [([answers if shape == "answers" else list(answers.completions)], {})]
    columns: dict[str, Any] = {key: list(values) for key, values in answers.columns.items()}
    if shape == "trl":
        return [_bind(parameters, columns | _trl(answers), name)]
    if shape == "trlx":
        samples = [p + o for p, o in zip(answers.prompts, answers.completions, strict=True)]
        own = {"samples": samples, "prompts": list(answers.prompts), "outputs": list(answers.completions)}
        return [_bind(parameters, columns | own, name)]
    if "ground_truth" not in columns and all(_has_truth(row) for row in columns.get("reward_model", [None])):
        columns["ground_truth"] = [row["ground_truth"] for row in columns["reward_model"]]
    optional = {"data_source": "", "extra_info": None}
    absent = {
        key: value
        for key, value in optional.items()
        if key not in columns and key in parameters and _is_needed(parameters[key])
    }
    rows = [{key: values[i] for key, values in columns.items()} for i in range(len(answers))]
    known = {"data_source", "ground_truth", "extra_info", *parameters}
    return [
        _bind(
            parameters, {k: v for k, v in row.items() if k in known} | absent | {"solution_str": text}, name
        )
        for row, text in zip(rows, answers.completions, strict=True)
    ]


def _trl(answers: Answers) -> dict[str, Any]:
    """The arguments that TRL passes besides the columns."""
    prompts: list[Any] = list(answers.prompts)
    completions: list[Any] = list(answers.completions)
    if answers.messages is not None:
        prompts = [[dict(message) for message in messages] for messages in answers.messages]
        for i, (prompt, text) in enumerate(zip(prompts, answers.completions, strict=True)):
            begun = prompt.pop()["content"] if prompt and prompt[-1]["role"] == "assistant" else ""
            completions[i] = [{"role": "assistant", "content": begun + text}]
    ids = [list(tokens) for tokens in answers.tokens]
    return {"prompts": prompts, "completions": completions, "completion_ids": ids}


def _bind(parameters: Mapping[str, Parameter], offered: dict[str, Any], name: str) -> Call:
    """Of what is offered, what the function takes; PlauditError for what it needs and is not offered."""
    by_position, by_name = [], {}
    for key, parameter in parameters.items():
        if parameter.kind == Parameter.VAR_KEYWORD:
            by_name |= {k: v for k, v in offered.items() if k not in parameters}
        elif key in offered and parameter.kind == Parameter.POSITIONAL_ONLY:
            by_position.append(offered[key])
        elif key in offered:
            by_name[key] = offered[key]
        elif _is_needed(parameter):
            raise PlauditError(
                f"reward {name!r}: it needs `{key}`, for which the prompts have no column (what it can have: "
                f"{', '.join(offered)}); add the column, or give `{key}` a default"
            )
        elif parameter.kind == Parameter.POSITIONAL_ONLY:
            by_position.append(parameter.default)  # what follows must stand in its place
    return by_position, by_name


def _call(function: Callable[..., Any], calls: list[Call], name: str, limit: float | None) -> list[Any]:
    """What the calls return, in order; every way to fail is one PlauditError."""
    try:
        return wait(lambda: [function(*args, **words) for args, words in calls], limit)
    except Late:
        raise PlauditError(
            f"reward {name!r}: it took longer than {limit:g} seconds for a batch of answers; raise its `time_limit` "
            "or make it faster, the run can be resumed after it"
        ) from None
    except (Exception, SystemExit, asyncio.CancelledError) as error:
        code = getattr(inspect.unwrap(function), "__code__", None)
        told = _told(error, code.co_filename if code else "")
        aside = "; signals need `time_limit` none" if "signal only works in main thread" in told else ""
        raise PlauditError(
            f"reward {name!r}: it raised {told}{aside}; the run can be resumed after mending it"
        ) from error


def _told(error: BaseException, file: str) -> str:
    """Type, message and, where it is in the given file, the line."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    where = f" in line {lines[-1]} of {Path(file).name}" if lines else ""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}{where}" + (f": {text[:500]}" if text else "")


def _is_needed(parameter: Parameter) -> bool:
    stars = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    return parameter.kind not in stars and parameter.default is Parameter.empty


def _has_truth(row: object) -> bool:
    return isinstance(row, Mapping) and "ground_truth" in row


def _or(texts: tuple[str, ...]) -> str:
    return ", ".join(texts[:-1]) + f", or {texts[-1]}"
