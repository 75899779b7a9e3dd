"""The stage `verify`: is every answer that anybody was promised in the store, unchanged, and in the export?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.readers.lines import finished, numbered
from plaudit.runs.folder import RunFolder
from plaudit.stages.export import rows_of
from plaudit.storage import NewResponse, Response, backup, wire
from plaudit.storage.backup import RESPONSES, LoggedFeedback, refuse_lost
from plaudit.storage.database import open_database
from plaudit.storage.label_queue import LabelQueue
from plaudit.storage.serving import held

PROMISED = ("client_uuid", "response_id", "seq", "sha256")
"""Fields of a receipt."""


@dataclass
class Verdict:
    """What was found."""

    answers: int = 0
    standing: int = 0
    receipts: int = 0
    mirrored: int = 0
    exported: int = 0
    faults: list[str] = field(default_factory=list)
    """One sentence each; none: all is well."""


def verify(run: Path, receipts: Path | None = None) -> Verdict:
    """Check the store against itself, against responses.jsonl, against receipts of clients, and the export against it.

    `receipts` is a file of JSON lines, each with `client_uuid`, `response_id`, `seq` and `sha256`.
    """
    folder = RunFolder.open(run)
    refuse_lost(folder.feedback)
    if not folder.feedback.exists():
        raise PlauditError(f"{run}: this run asked nobody; there is nothing to verify")
    log = folder.path / RESPONSES
    # people may be answering: what was promised is read before the store, and all else as of its last answer
    mirrored = list(finished(log)) if log.exists() else []
    promised = [] if receipts is None else list(numbered(receipts))
    database = open_database(folder.feedback)
    try:
        history = list(_history(database.queue))
        last = history[-1][0].seq if history else 0
        view = database.store.view(last)
    finally:
        database.store.close()
    found = Verdict(answers=len(history), standing=len(view))
    found.faults += [f"answers: number {number} is missing" for number in _gaps(history)]
    found.faults += [
        f"answers: number {response.seq} is not what was stored (its SHA-256 differs)"
        for response, sha256 in history
        if _receipt(response)["sha256"] != sha256
    ]
    stored = {response.client_uuid: _receipt(response) for response, _ in history}
    found.mirrored = _compare(mirrored, stored, found.faults, "id")
    found.receipts = _compare(promised, stored, found.faults, "response_id")
    exported = {row["seq"] for row in rows_of(folder, last)}
    found.exported = len(exported)
    found.faults += [f"export: answer {r.seq} is missing" for r in view if r.seq not in exported]
    found.faults += [
        f"export: answer {seq} no longer stands" for seq in sorted(exported - {r.seq for r in view})
    ]
    return found


def _history(queue: LabelQueue) -> Iterator[tuple[Response, str]]:
    """Every answer with the SHA-256 that was stored with it, by seq."""
    seq = 0
    while some := queue.after(seq):
        yield from some
        seq = some[-1][0].seq


def _gaps(history: list[tuple[Response, str]]) -> Iterator[int]:
    known = {response.seq for response, _ in history}
    yield from (number for number in range(1, max(known, default=0)) if number not in known)


def _receipt(response: Response) -> dict[str, Any]:
    """What was promised for this answer, made again from the answer itself."""
    values = {name: getattr(response, name) for name in NewResponse.__dataclass_fields__}
    return {
        "client_uuid": response.client_uuid,
        "response_id": response.id,
        "seq": response.seq,
        "sha256": wire.digest(NewResponse(**values)),
    }


def _compare(
    rows: Iterable[tuple[str, dict[str, Any]]], stored: dict[str, dict[str, Any]], faults: list[str], id: str
) -> int:
    """Check rows with their places against the store; how many there were. `id`: their name for the response_id."""
    count = 0
    for where, row in rows:
        count += 1
        given = row | {"response_id": row.get(id)}
        missing = [name for name in PROMISED if given.get(name) is None]
        if missing:
            faults.append(f"{where}: not a receipt (`{missing[0]}` is missing)")
            continue
        kept = stored.get(str(given["client_uuid"]))
        if kept is None:
            faults.append(f"{where}: answer {given['client_uuid']} is not in the store")
            continue
        faults += [
            f"{where}: answer {given['client_uuid']} has another {name} in the store"
            for name in PROMISED
            if given[name] != kept[name]
        ]
    return count


def restore(run: Path, source: Path | None = None) -> backup.Restored:
    """Put a copy back (none given: the one beside the store), and what came after it by the lists beside it.

    Nobody may train or serve the run meanwhile. See `backup.restore`.
    """
    folder = RunFolder.open(run)
    asked, said = folder.path / backup.QUESTIONS, folder.path / backup.RESPONSES
    with folder.held(), held(folder.path / "server.json"):
        log = LoggedFeedback(*(list(finished(file)) if file.exists() else [] for file in (asked, said)))
        found = backup.restore(folder.feedback, source or backup.copy_path(folder.feedback), log)
        # a log that goes on behind the store would never be added to again; the next server writes it anew
        return replace(found, kept=backup.put_aside(said)) if found.left else found
