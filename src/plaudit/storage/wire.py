"""How queries and answers are written down: canonical JSON, the same text for the same content."""

import hashlib
import json

from plaudit.errors import PlauditError
from plaudit.feedback import to_json
from plaudit.storage.store import NewResponse


def canonical(name: str, value: object) -> str:
    """JSON with sorted keys and no spaces; `name` is the field to name where it cannot be written."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        hint = "use text, finite numbers, lists and objects"
        raise PlauditError(f"{name}: cannot be written as JSON ({error}); {hint}") from error
    return text


def as_object(name: str, value: object) -> str:
    """Canonical JSON of a dictionary."""
    if not isinstance(value, dict):
        raise PlauditError(f"{name}: {value!r} is not a dictionary")
    return canonical(name, value)


def body(response: NewResponse) -> str:
    """An answer as canonical JSON."""
    return canonical(
        "response",
        {
            "client_uuid": response.client_uuid,
            "query_id": response.query_id,
            "annotator": response.annotator,
            "feedback": to_json(response.feedback),
            "shown_order": list(response.shown_order),
            "active_ms": response.active_ms,
            "supersedes": response.supersedes,
        },
    )


def sha256(text: str) -> str:
    """Hex SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def digest(response: NewResponse) -> str:
    """The SHA-256 of an answer, as its receipt tells it."""
    return sha256(body(response))
