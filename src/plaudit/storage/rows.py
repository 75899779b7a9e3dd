"""Rows of the tables as queries and answers, and back."""

import json
from typing import Any

from sqlalchemy import Row

from plaudit.feedback import from_json, to_json
from plaudit.storage import wire
from plaudit.storage.store import Command, NewQuery, NewResponse, Query, Response


def of_query(query: NewQuery) -> dict[str, Any]:
    """The row of a new query."""
    return {
        "key": query.key,
        "kind": query.kind,
        "items": wire.canonical("query.items", list(query.items)),
        "tick": query.tick,
        "payload": wire.as_object("query.payload", query.payload),
        "wanted": query.wanted,
    }


def to_query(row: Row[Any], shown_order: tuple[int, ...] = ()) -> Query:
    """A query from its row."""
    return Query(
        id=row.id,
        key=row.key,
        kind=row.kind,
        items=tuple(json.loads(row.items)),
        tick=row.tick,
        payload=json.loads(row.payload),
        wanted=row.wanted,
        shown_order=shown_order,
    )


def of_response(response: NewResponse) -> dict[str, Any]:
    """The row of a new answer, but for its seq and time."""
    return {
        "client_uuid": response.client_uuid,
        "query_id": response.query_id,
        "annotator": response.annotator,
        "feedback": wire.canonical("response.feedback", to_json(response.feedback)),
        "shown_order": of_order(response.shown_order),
        "active_ms": response.active_ms,
        "supersedes": response.supersedes,
        "sha256": wire.sha256(wire.body(response)),
    }


def to_response(row: Row[Any]) -> Response:
    """An answer from its row."""
    return Response(
        id=row.id,
        seq=row.seq,
        client_uuid=row.client_uuid,
        query_id=row.query_id,
        annotator=row.annotator,
        feedback=from_json(json.loads(row.feedback)),
        shown_order=to_order(row.shown_order),
        active_ms=row.active_ms,
        supersedes=row.supersedes,
        received_at=row.received_at,
    )


def to_command(row: Row[Any]) -> Command:
    """A command from its row."""
    return Command(row.id, row.kind, json.loads(row.payload))


def of_order(order: tuple[int, ...]) -> str:
    """An order of options as text."""
    return json.dumps(list(order), separators=(",", ":"))


def to_order(text: str) -> tuple[int, ...]:
    """An order of options from its text."""
    return tuple(json.loads(text))
