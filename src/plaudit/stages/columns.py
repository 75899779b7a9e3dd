"""What a person said, in the columns that `readers.judgements` reads, whatever it is about."""

from typing import Any, Literal

from plaudit.feedback import Binary, Comparison, Feedback, Ranking


def columns(feedback: Feedback, options: list[Any], name: Literal["completion", "segment"]) -> dict[str, Any]:
    """An answer with its options inside; one option alone is called by `name`, several to rank by its plural."""
    if isinstance(feedback, Comparison):
        return {"kind": "comparison", "answer": feedback.answer, "first": options[0], "second": options[1]}
    if isinstance(feedback, Ranking):
        ranks = None if feedback.ranks is None else list(feedback.ranks)
        return {"kind": "ranking", f"{name}s": options, "ranks": ranks}
    if isinstance(feedback, Binary):
        return {"kind": "binary", name: options[0], "label": feedback.good}
    scale = {"criterion": feedback.criterion, "low": feedback.low, "high": feedback.high}
    return {"kind": "rating", name: options[0], "rating": feedback.value, **scale}
