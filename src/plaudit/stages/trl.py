"""Answers in the columns that TRL's trainers read: `prompt`, `chosen`, `rejected`; `prompt`, `completion`, `label`."""

from collections.abc import Iterable, Iterator
from typing import Any

from plaudit.errors import PlauditError


def columns(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows of `language.export` so; what says nothing about order, and what nothing is learned from, is left out.

    A ranking gives a pair for every two answers of which one is better. PlauditError for ratings, for which TRL has no
    columns, and where some rows would give pairs and others single answers.
    """
    form = None
    for row in rows:
        if row["held_out"]:
            continue
        kind = row["kind"]
        if kind == "rating":
            raise PlauditError("export: TRL has no columns for ratings; leave --form out to get them in ours")
        if form not in (None, kind == "binary"):
            raise PlauditError(
                "export: some answers compare texts and others judge single ones, which TRL keeps apart; "
                "leave --form out"
            )
        form = kind == "binary"
        yield from _binary(row) if form else _pairs(row)


def _binary(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if row["label"] is not None:
        yield {"prompt": row["prompt"], "completion": row["completion"], "label": row["label"]}


def _pairs(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if row["kind"] == "comparison":
        texts = [row["first"], row["second"]]
        ranks = {"first": [1, 2], "second": [2, 1]}.get(row["answer"])
    else:
        texts, ranks = row["completions"], row["ranks"]
    for i, better in enumerate(ranks or ()):
        for j, worse in enumerate(ranks or ()):
            if better < worse:
                yield {"prompt": row["prompt"], "chosen": texts[i], "rejected": texts[j]}
