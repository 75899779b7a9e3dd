"""Reading what a reward function returned: numbers per answer or per decision, checked one by one."""

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from plaudit.batches import Rewards
from plaudit.environments.language.prompts import Answers
from plaudit.errors import PlauditError
from plaudit.rewards.weighted import PREFIX

SHOWN = 60
"""Characters of an answer that an error shows."""


def read(returned: object, answers: Answers, name: str, opinions: bool) -> Rewards:
    """The scores of B answers from a list, tuple, array or tensor; on the CPU, float32.

    Shapes [B] and [B, 1] are one number per answer; an entry that is itself a list, array or tensor has one
    number per token of that answer. With `opinions` an entry may be None (no opinion): it counts as 0, and the
    share of such entries is the metric `objective/rewards/<name>/no_opinion`. PlauditError for anything else.
    """
    entries = _entries(returned, len(answers), name)
    if len(entries) != len(answers):
        raise PlauditError(
            f"reward {name!r}: it gave {len(entries)} scores, wanted {len(answers)}; return one for each answer"
        )
    silent = [entry is None for entry in entries]
    values = [
        None if none and opinions else _value(entry, answers, name, i)
        for i, (entry, none) in enumerate(zip(entries, silent, strict=True))
    ]
    metrics = {f"{PREFIX}/{name}/no_opinion": sum(silent) / len(silent)} if opinions and silent else {}
    dense = [i for i, value in enumerate(values) if isinstance(value, list)]
    plain = [i for i, value in enumerate(values) if isinstance(value, float)]
    scores = [value if isinstance(value, float) else 0.0 for value in values]
    if dense and plain:
        raise PlauditError(
            f"reward {name!r}: answer {plain[0]} has one number and answer {dense[0]} a list of them; "
            "return one number for every answer, or for every answer one per token"
        )
    if not dense:
        return Rewards(_float32(scores, name, answers), metrics=metrics)
    rows = [_float32(_row(value, answers, name, i), name, answers, i) for i, value in enumerate(values)]
    sums = _float32([row.double().sum().item() for row in rows], name, answers)
    return Rewards(sums, pad_sequence(rows, batch_first=True), metrics)


def read_each(returned: Sequence[Any], answers: Answers, name: str) -> Rewards:
    """The scores of B results that were asked for one by one: numbers, or dicts with the number under "score".

    Other entries of the dicts that are finite numbers are averaged, over the answers that have them, into the
    metrics `objective/rewards/<name>/<key>`; other entries are passed over.
    """
    scores, others = [], {}
    for i, result in enumerate(returned):
        if isinstance(result, Mapping):
            if "score" not in result:
                raise PlauditError(
                    f"reward {name!r}: the dict for {_shown(answers, i)} has no 'score' (it has: "
                    f"{', '.join(map(str, result)) or 'nothing'}); put the number there"
                )
            for key, value in result.items():
                if key != "score" and (number := _number(value)) is not None and math.isfinite(number):
                    others.setdefault(key, []).append(number)
            result = result["score"]
        if (number := _number(result)) is None:
            raise _not_a_number(result, answers, name, i)
        scores.append(number)
    metrics = {f"{PREFIX}/{name}/{key}": sum(found) / len(found) for key, found in others.items()}
    return Rewards(_float32(scores, name, answers), metrics=metrics)


def _entries(returned: object, count: int, name: str) -> list[Any]:
    """One entry per answer, as Python's own values where the whole is an array or a tensor."""
    if isinstance(returned, list | tuple):
        return list(returned)
    numbers = _array(returned)
    if numbers is None or numbers.ndim not in (1, 2):
        what = f"{type(returned).__name__}" + (
            f" of shape {list(numbers.shape)}" if numbers is not None else ""
        )
        raise PlauditError(
            f"reward {name!r}: it returned {what}, which is no list of numbers; return a list, array or tensor "
            f"of {count} numbers, one for each answer"
        )
    return (numbers[:, 0] if numbers.ndim == 2 and numbers.shape[1] == 1 else numbers).tolist()


def _array(value: object) -> np.ndarray | None:
    """A tensor or array as an array of float64 (of objects, where its own entries are objects), or None."""
    if isinstance(value, Tensor):
        odd = value.is_complex() or value.layout is not torch.strided
        return None if odd else value.detach().cpu().double().numpy()
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufO":
        return value if value.dtype.kind == "O" else value.astype(np.float64)
    return None


def _value(entry: object, answers: Answers, name: str, i: int) -> float | list[float]:
    """One number, or one number per token."""
    if (number := _number(entry)) is not None:
        return number
    array = _array(entry)
    row = list(entry) if isinstance(entry, list | tuple) else array.tolist() if array is not None else None
    if row is None:
        raise _not_a_number(entry, answers, name, i)
    numbers = [_number(item) for item in row]
    if None in numbers:
        raise _not_a_number(row[numbers.index(None)], answers, name, i)
    return [number for number in numbers if number is not None]


def _number(value: object) -> float | None:
    """A Python float from a number, a bool or an array or tensor without dimensions; None for other things."""
    if isinstance(value, Tensor | np.ndarray):
        array = _array(value)
        return _number(array.item()) if array is not None and array.ndim == 0 else None
    if not isinstance(value, Real | np.bool_):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _row(value: Any, answers: Answers, name: str, i: int) -> list[float]:
    """The numbers of an answer's tokens; zeros where there is no opinion."""
    wanted = len(answers.tokens[i])
    if value is None:
        return [0.0] * wanted
    if len(value) != wanted:
        raise PlauditError(
            f"reward {name!r}: {_shown(answers, i)} got {len(value)} numbers, wanted {wanted}; return one for "
            "each of its tokens, the stop token included, or one number for the whole answer"
        )
    return value


def _float32(numbers: list[float], name: str, answers: Answers, row: int | None = None) -> Float[Tensor, "_"]:
    """As a tensor; PlauditError for the first that is not finite (of the answers, or of the tokens of one)."""
    tensor = torch.tensor(numbers, dtype=torch.float64).float()
    bad = torch.nonzero(~torch.isfinite(tensor)).flatten().tolist()
    if bad:
        where = _shown(answers, bad[0] if row is None else row) + (
            "" if row is None else f", token {bad[0]},"
        )
        raise PlauditError(
            f"reward {name!r}: {where} got {numbers[bad[0]]}, which is no finite float32 number; mend the reward, "
            "the run can be resumed after it"
        )
    return tensor


def _not_a_number(value: object, answers: Answers, name: str, i: int) -> PlauditError:
    text = " ".join(repr(value).split())
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
    return PlauditError(
        f"reward {name!r}: {_shown(answers, i)} got {text} ({type(value).__name__}), which is not a number; "
        "return a number"
    )


def _shown(answers: Answers, i: int) -> str:
    return f"answer {i} ({answers.completions[i][:SHOWN]!r})"
