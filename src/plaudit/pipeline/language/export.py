"""The stage `export` for language: a run's answers with the texts they are about, as JSON lines."""

import json
from collections.abc import Iterator
from typing import Any

from plaudit.feedback import Comparison
from plaudit.pipeline.desk import HELD_OUT
from plaudit.pipeline.run_folder import RunFolder
from plaudit.storage import Artifacts, open_store
from plaudit.storage.store import LARGEST


def rows(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """The standing answers of a run, each with its prompt and both texts; `held_out` ones were never learned from."""
    artifacts = Artifacts(folder.artifacts)
    store = open_store(folder.feedback)
    try:
        keys = {query.id: query.key for query in store.queries()}
        for response in store.view(LARGEST):
            said = response.feedback
            if isinstance(said, Comparison):
                first, second = (json.loads(artifacts.get(option)) for option in said.options)
                yield {
                    "kind": "comparison",
                    "answer": said.answer,
                    "annotator": response.annotator,
                    "seq": response.seq,
                    "held_out": keys[response.query_id].startswith(HELD_OUT),
                    "prompt": first["messages"] or first["prompt"],
                    "first": _answer(first),
                    "second": _answer(second),
                }
    finally:
        store.close()


def _answer(said: dict[str, Any]) -> Any:
    """A text, or the assistant's message where the prompt is a conversation."""
    if said["messages"] is None:
        return said["completion"]
    return [{"role": "assistant", "content": said["completion"]}]
