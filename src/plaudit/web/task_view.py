"""Questions as the pages show them: sides in the order drawn, options by content hash, texts raw and formatted."""

import json
from functools import lru_cache
from typing import Any

from plaudit.errors import PlauditError
from plaudit.feedback import KINDS
from plaudit.readers.dialogues import is_dialogue, turns_of
from plaudit.storage.artifacts import Artifacts
from plaudit.storage.store import Query, Unknown
from plaudit.web.renderer import renderer

REMEMBERED = 2048
"""Texts kept in memory."""

MISSING = {"kind": "missing", "message": "This option cannot be shown here. Please skip the question."}


class TaskView:
    """Artifacts, and what of them people may see."""

    def __init__(self, artifacts: Artifacts):
        self.artifacts = artifacts
        self._known = lru_cache(REMEMBERED)(self._read)

    def task(self, query: Query) -> dict[str, Any]:
        """A claimed question as `Task` in `schemas`; neither its key nor its tick nor its purpose is told."""
        texts = [self._text(item) for item in query.items]
        payload = _sendable(query.payload)
        clips = payload.get("clips") or [None] * len(query.items)
        prompt = _prompt(texts, payload)
        options = [
            {"sha256": query.items[place], "view": _formatted(_view(texts[place], clips[place]), prompt)}
            for place in query.shown_order
        ]
        return {
            "query_id": query.id,
            "kind": query.kind,
            "shown_order": list(query.shown_order),
            "prompt": prompt,
            "prompt_turns": None if prompt is None else _turns(prompt, prompt),
            "question": payload.get("question"),
            "options": options,
            **KINDS[query.kind].shown(payload),
        }

    def content(self, sha256: str) -> tuple[bytes, str]:
        """A picture, or a text as JSON of its `View`, with its media type; Unknown for anything else.

        The rest of a stored answer (its tokens, the columns it came with) is nobody's business here.
        """
        text = self._text(sha256)
        if text is not None:
            return json.dumps(_view(text, None), ensure_ascii=False).encode(), "application/json"
        try:
            content = self.artifacts.get(sha256)
        except PlauditError as error:
            raise Unknown(f"{sha256} cannot be read") from error  # where it lies is nobody's business here
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return content, "image/webp"
        raise Unknown(f"{sha256} is no picture and no text")

    def _text(self, sha256: str) -> dict[str, Any] | None:
        """A stored answer to a prompt; None for what is no text, or cannot be read now."""
        try:
            return self._known(sha256)
        except PlauditError:
            return None

    def _read(self, sha256: str) -> dict[str, Any] | None:
        content = self.artifacts.get(sha256)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            return None
        return _sendable(found) if isinstance(found, dict) and "completion" in found else None


def _sendable(found: dict[str, Any]) -> dict[str, Any]:
    """The same, where halves of characters, which JSON can name but nobody can send, are question marks."""
    return json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))


def _view(text: dict[str, Any] | None, clip: dict[str, Any] | None) -> dict[str, Any]:
    if clip is not None:
        return {"kind": "clip", "clip": clip}
    if text is None:
        return MISSING
    if isinstance(text["completion"], list):
        return {"kind": "messages", "messages": text["completion"]}
    return {"kind": "text", "text": str(text["completion"])}


def _formatted(view: dict[str, Any], prompt: Any) -> dict[str, Any]:
    """A view with its turns, where it has any."""
    said = view.get("text") if view["kind"] == "text" else view.get("messages")
    return view if said is None else {**view, "turns": _turns(said, prompt)}


def _turns(said: Any, prompt: Any) -> list[dict[str, Any]] | None:
    """Formatted turns of a text or of messages; None where they have to be shown as they are.

    A plain text is cut into turns only where its prompt is a dialogue, so that an essay about one stays whole.
    """
    if not isinstance(said, str):
        turns = [(message["role"], message["content"]) for message in said]
    else:
        turns = [(None, said)]
        if isinstance(prompt, str) and is_dialogue(prompt):
            spoken = [(turn["role"], turn["content"]) for turn in turns_of(said)]
            turns = spoken if said is prompt or len(spoken) > 1 else turns
    found = renderer().nodes([content for _, content in turns])
    if found is None:
        return None
    return [{"role": role, "nodes": nodes} for (role, _), nodes in zip(turns, found, strict=True)]


def _prompt(texts: list[dict[str, Any] | None], payload: dict[str, Any]) -> Any:
    """What was asked: as messages where they are known, as a model's template would only be in the way."""
    known = [text for text in texts if text is not None]
    for text in known:
        if text.get("messages"):
            return text["messages"]
    asked = [payload.get("prompt"), *(text.get("prompt") for text in known)]
    return next((prompt for prompt in asked if prompt is not None), None)
