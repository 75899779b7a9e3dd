"""The stage `export`: the answers of a run in a file."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from plaudit.errors import PlauditError
from plaudit.feedback import Binary, Comparison, Feedback, Ranking, Rating, options_of, to_json
from plaudit.readers.lines import write_lines
from plaudit.runs import config as configs
from plaudit.runs.folder import RunFolder
from plaudit.stages.label import STAGE
from plaudit.storage import Artifacts, open_store
from plaudit.storage.backup import refuse_lost
from plaudit.storage.store import LARGEST

Form = Literal["ours", "trl"]
Row = dict[str, Any]


def export_feedback(run: Path, to: Path, form: Form = "ours") -> int:
    """Write the current view of a run's feedback to `.jsonl` or `.jsonl.gz`, or for control to `.npz`.

    Returns the number of rows.
    """
    folder = RunFolder.open(run)
    medium = medium_of(folder)
    if form == "trl" and medium == "control":
        raise PlauditError(f"--form: TRL trains language models, and {run} holds answers about clips")
    if to.suffix == ".npz" and medium == "control":
        from plaudit.stages.adapters.control_export import write_arrays

        return write_arrays(list(rows_of(folder)), to)
    if not to.name.endswith((".jsonl", ".jsonl.gz")):
        raise PlauditError(
            f"{to}: the name must end in .jsonl or .jsonl.gz" + (" or .npz" if medium == "control" else "")
        )
    return write_lines(as_trl(rows_of(folder)) if form == "trl" else rows_of(folder), to)


def rows_of(folder: RunFolder, upto: int = LARGEST) -> Iterator[Row]:
    """The standing answers of a run, each with what it is about; as of answer `upto`. From `held_out` ones (held-out
    questions, and those asked again) nothing is learned; columns that came with a question from a file are in
    `columns`."""
    refuse_lost(folder.feedback)
    if not folder.feedback.exists():
        raise PlauditError(f"{folder.path}: this run asked nobody; there is no feedback to export")
    return _rows(folder, upto)


def _rows(folder: RunFolder, upto: int) -> Iterator[Row]:
    artifacts, control = Artifacts(folder.artifacts), medium_of(folder) == "control"
    if control:
        from plaudit.stages.adapters.control_export import side as shown
    else:
        from plaudit.stages.adapters.language_export import side as shown
    name: Literal["completion", "segment"] = "segment" if control else "completion"
    store = open_store(folder.feedback)
    try:
        queries = {query.id: query for query in store.queries()}
        for response in store.view(upto):
            query = queries[response.query_id]
            options = options_of(response.feedback)
            told = [shown(artifacts.get(option)) for option in options]
            said = columns(response.feedback, [one.option for one in told], name)
            about = {
                "annotator": response.annotator,
                "seq": response.seq,
                "held_out": query.purpose != "train",
            }
            order = response.shown_order
            if len(order) == 2:
                about["first_shown"] = order[0] == 0  # which side a person favours is learned from it
            yield said | about | _beside(told, options, query.payload, control)
    finally:
        store.close()


def _beside(told: list[Any], options: tuple[str, ...], payload: dict[str, Any], control: bool) -> Row:
    if control:
        return {"options": list(options)}
    found: Row = {"prompt": told[0].prompt}
    if all(one.tokens is not None for one in told):
        found |= {"tokens": [list(one.tokens) for one in told], "ended": [one.ended for one in told]}
    others = payload.get("columns")
    return found | ({"columns": others} if others else {})


def medium_of(folder: RunFolder) -> str:
    """What the answers are about: control or language."""
    if folder.read_manifest().get("stage") == STAGE:
        return "language"
    return configs.load(folder.config).medium


def columns(feedback: Feedback, options: list[Any], name: Literal["completion", "segment"]) -> Row:
    """An answer with its options inside, in the columns that `readers.judgements` reads; one option alone is called by
    `name`, several by its plural."""
    if isinstance(feedback, Comparison):
        return {
            "kind": "comparison",
            "answer": feedback.answer,
            "first": options[0],
            "second": options[1],
        }
    if isinstance(feedback, Ranking):
        ranks = None if feedback.ranks is None else list(feedback.ranks)
        return {"kind": "ranking", f"{name}s": options, "ranks": ranks}
    if isinstance(feedback, Binary):
        return {"kind": "binary", name: options[0], "label": feedback.good}
    if isinstance(feedback, Rating):
        scale = {"criterion": feedback.criterion, "low": feedback.low, "high": feedback.high}
        return {"kind": "rating", name: options[0], "rating": feedback.value, **scale}
    said = to_json(feedback)
    about = {name: options[0]} if said.pop("options", None) is None else {f"{name}s": options}
    return {"kind": said.pop("kind"), **about, **{one: said[one] for one in said if one != "option"}}


def as_trl(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows of a language run so; what says nothing about order, and what nothing is learned from, is left out.

    A ranking gives a pair for every two answers of which one is better. PlauditError for ratings and others, as TRL has
    no columns for them, and where some rows would give pairs and others single answers.
    """
    form = None
    for row in rows:
        if row["held_out"]:
            continue
        kind = row["kind"]
        if kind not in ("comparison", "ranking", "binary"):
            raise PlauditError(
                f"export: TRL has no columns for {kind}s; leave --form out to get them in ours"
            )
        if form not in (None, kind == "binary"):
            raise PlauditError(
                "export: some answers compare texts and others judge single ones, which TRL keeps apart; "
                "leave --form out"
            )
        form = kind == "binary"
        yield from _binary(row) if form else _pairs(row)


def _binary(row: Row) -> Iterator[Row]:
    if row["label"] is not None:
        yield {"prompt": row["prompt"], "completion": row["completion"], "label": row["label"]}


def _pairs(row: Row) -> Iterator[Row]:
    if row["kind"] == "comparison":
        texts = [row["first"], row["second"]]
        ranks = {"first": [1, 2], "second": [2, 1]}.get(row["answer"])
    else:
        texts, ranks = row["completions"], row["ranks"]
    for i, better in enumerate(ranks or ()):
        for j, worse in enumerate(ranks or ()):
            if better < worse:
                yield {"prompt": row["prompt"], "chosen": texts[i], "rejected": texts[j]}
