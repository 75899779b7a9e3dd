"""The stage `export` for texts: answers of people with the texts they are about, as JSON lines."""

import json
from collections.abc import Iterator
from typing import Any

from plaudit.feedback import options_of
from plaudit.runs.folder import RunFolder
from plaudit.stages.columns import columns
from plaudit.storage import Artifacts, open_store
from plaudit.storage.store import LARGEST


def rows(folder: RunFolder, upto: int = LARGEST) -> Iterator[dict[str, Any]]:
    """The standing answers, each with its prompt and texts; from `held_out` ones nothing is learned.

    Columns that came with a question from a file are in `columns`.
    """
    artifacts = Artifacts(folder.artifacts)
    store = open_store(folder.feedback)
    try:
        queries = {query.id: query for query in store.queries()}
        for response in store.view(upto):
            query = queries[response.query_id]
            said = [json.loads(artifacts.get(option)) for option in options_of(response.feedback)]
            others = query.payload.get("columns")
            yield {
                **columns(response.feedback, [_answer(one) for one in said], "completion"),
                "annotator": response.annotator,
                "seq": response.seq,
                "held_out": query.purpose != "train",
                "prompt": said[0]["messages"] or said[0]["prompt"],
                **({"columns": others} if others else {}),
            }
    finally:
        store.close()


def _answer(said: dict[str, Any]) -> Any:
    """A text, or the assistant's messages where the prompt is a conversation."""
    if said["messages"] is None or isinstance(said["completion"], list):
        return said["completion"]
    return [{"role": "assistant", "content": said["completion"]}]
