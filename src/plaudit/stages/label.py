"""The stage `label --items`: a file of texts becomes a folder with questions, for people alone; no torch."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.feedback import KINDS, Kind
from plaudit.feedback.text_record import TextRecord
from plaudit.readers.dialogues import Text
from plaudit.readers.judgements import TextQuestion, read_questions
from plaudit.storage import Artifacts, NewQuery, open_store, wire
from plaudit.storage.artifacts import write_whole
from plaudit.storage.backup import refuse_lost

STAGE = "label"
"""In the manifest of such a folder."""


@dataclass(frozen=True)
class Items:
    """What is asked of whom."""

    path: Path
    ask: Kind | None = None
    question: str | None = None
    """What to judge by, in words for people."""
    wanted: int = 1
    """From how many people an answer to each is wanted."""


def prepare(items: Items, folder: Path) -> tuple[int, int]:
    """Ask everything in the file, in a new folder or one that was prepared before (what is there is not asked again).

    Returns how many questions the folder holds, and how many rows were left out because their answers are the same.
    """
    if items.wanted < 1:
        raise PlauditError(f"--wanted: {items.wanted} is not a whole number above 0")
    asked = read_questions(items.path, items.ask)
    _check_free(folder)
    refuse_lost(folder / "feedback.db")
    folder.mkdir(parents=True, exist_ok=True)
    artifacts = Artifacts(folder / "artifacts")
    queries = [_query(one, items, artifacts) for one in asked]
    kept = [query for query in queries if len(set(query.items)) == len(query.items)]
    if not kept:
        raise PlauditError(
            f"{items.path}: in every row two of the answers are the same, so there is nothing to ask"
        )
    about = {"stage": STAGE, "status": "running", "items": str(items.path.resolve()), "started": time.time()}
    if not (folder / "manifest.json").exists():
        write_whole(folder / "manifest.json", json.dumps(about, indent=2, ensure_ascii=False) + "\n")
    store = open_store(folder / "feedback.db")
    try:
        store.enqueue(kept)
        count = len(store.queries())
    finally:
        store.close()
    return count, len(queries) - len(kept)


def _check_free(folder: Path) -> None:
    """Questions of another kind of folder are none of ours."""
    manifest = folder / "manifest.json"
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if (folder / "feedback.db").exists():
            raise PlauditError(f"{folder}: holds answers of something else; choose another --out") from None
        return
    except ValueError as error:
        raise PlauditError(f"{manifest}: damaged ({error}); restore the file from a copy") from None
    if not isinstance(found, dict) or found.get("stage") != STAGE:
        raise PlauditError(f"{folder}: a run is here already; choose another --out")


def _query(one: TextQuestion, items: Items, artifacts: Artifacts) -> NewQuery:
    kept = tuple(artifacts.put(_answer(one.prompt, option)) for option in one.options)
    payload: dict[str, Any] = {"columns": one.columns}
    if items.question is not None:
        payload["question"] = items.question
    payload |= KINDS[one.kind].PAYLOAD
    name = wire.sha256(wire.canonical("question", [one.kind, *kept]))
    return NewQuery(f"item/{name}", one.kind, kept, 0, payload, items.wanted)


def _answer(prompt: Text, completion: Text) -> bytes:
    """As a language run keeps what was said, but for what only it knows."""
    plain = isinstance(prompt, str)
    return TextRecord(
        prompt=prompt if isinstance(prompt, str) else None,
        completion=completion if isinstance(completion, str) else tuple(completion),
        messages=None if plain else tuple(prompt),
    ).to_json()
