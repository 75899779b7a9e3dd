"""The stage `restore`: a store from its newest copy, and from responses.jsonl the answers that came after it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.feedback import fields, from_json
from plaudit.pipeline.run_folder import RunFolder
from plaudit.readers.lines import finished
from plaudit.storage import NewResponse, backups, sqlite_file
from plaudit.storage.office import Office, open_office
from plaudit.storage.serving import alone

ASIDE = ".replaced"
"""Behind the names of what was there before: nothing is thrown away."""


@dataclass
class Restored:
    """What came back."""

    copy: Path
    answers: int
    """In the copy."""
    again: int = 0
    """Answers that came after it, from responses.jsonl."""
    lost: list[str] = field(default_factory=list)
    """Why others in responses.jsonl could not be stored again."""


def restore(run: Path, copy: Path | None = None) -> Restored:
    """Put the newest copy of a run's store, or another one, in its place, and answer again what came after it.

    PlauditError where somebody is at work on the run, or no sound copy is there; then everything stays as it is.
    """
    folder = RunFolder.open(run)
    mirror = folder.path / "responses.jsonl"
    with folder.held(), alone(folder.path / "server.json"):
        found = _sound(folder.feedback, copy)
        later = list(finished(mirror)) if mirror.exists() else []
        for name in _with_logs(folder.feedback):
            _put_aside(name)
        sqlite_file.backup(found, folder.feedback)
        office = open_office(folder.feedback)
        try:
            restored = Restored(found, len(office.store.history()))
            _answer_again(office, later, restored)
        finally:
            office.store.close()
        _put_aside(mirror)  # last: who is interrupted can begin again
    return restored


def _sound(store: Path, copy: Path | None) -> Path:
    """The copy to take."""
    found = copy or backups.newest(store)
    if found is None or not found.exists() or not found.stat().st_size:
        where = found or f"{store}.backup-1"
        raise PlauditError(
            f"{where}: no copy of the answers is here; give the path of one: plaudit restore RUN COPY"
        )
    if found.resolve() == store.resolve():
        raise PlauditError(f"{found}: is what is to be replaced; give the path of a copy")
    sqlite_file.inspect(found)
    return found


def _with_logs(store: Path) -> list[Path]:
    return [store, *(store.with_name(store.name + ending) for ending in ("-wal", "-shm"))]


def _put_aside(path: Path) -> None:
    """Under a name that nothing has."""
    if not path.exists():
        return
    number, place = 1, path.with_name(f"{path.name}{ASIDE}-1")
    while place.exists():
        number += 1
        place = path.with_name(f"{path.name}{ASIDE}-{number}")
    os.rename(path, place)


def _answer_again(office: Office, later: list[tuple[str, dict[str, Any]]], restored: Restored) -> None:
    """Store what the copy lacks, oldest first, each under its own identifier and with its own time."""
    ids = {answer.client_uuid: answer.id for answer in office.store.history()}
    backups.forget_leases(office.session)
    names = {row.get("id"): row.get("client_uuid") for _, row in later}
    for where, row in later:
        if row.get("client_uuid") in ids:
            continue
        try:
            response = _response(row, names, ids)
            at = fields.number("received_at", row["received_at"])
            ids[response.client_uuid] = office.store.submit(response, at).response_id
            restored.again += 1
        except KeyError as error:
            restored.lost.append(f"{where}: {error} is missing, or was not stored again")
        except (PlauditError, TypeError) as error:
            restored.lost.append(f"{where}: {error}")


def _response(row: dict[str, Any], names: dict[Any, Any], ids: dict[str, int]) -> NewResponse:
    """An answer as it was sent; numbers of rows may be others now."""
    old = row["supersedes"]
    return NewResponse(
        client_uuid=row["client_uuid"],
        query_id=row["query_id"],
        annotator=row["annotator"],
        feedback=from_json(row["feedback"]),
        shown_order=tuple(row["shown_order"]),
        active_ms=row["active_ms"],
        supersedes=None if old is None else ids[names[old]],
    )


def sentences(restored: Restored) -> Iterator[str]:
    """What to tell of it."""
    yield f"{restored.answers} answers from {restored.copy}, and {restored.again} later ones from responses.jsonl"
    for said in restored.lost[:20]:
        yield f"not stored again: {said}"
    if len(restored.lost) > 20:
        yield f"and {len(restored.lost) - 20} more"
