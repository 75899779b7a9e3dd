"""The stage `verify`: is every answer that anybody was promised in the store, unchanged, and in the export?"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plaudit.errors import PlauditError
from plaudit.pipeline.export import rows_of
from plaudit.pipeline.run_folder import RunFolder
from plaudit.readers.lines import numbered
from plaudit.storage import NewResponse, Response, open_store, wire
from plaudit.storage.store import LARGEST

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
    if not folder.feedback.exists():
        raise PlauditError(f"{run}: this run asked nobody; there is nothing to verify")
    store = open_store(folder.feedback)
    try:
        history, view = store.history(), store.view(LARGEST)
    finally:
        store.close()
    found = Verdict(answers=len(history), standing=len(view))
    found.faults += [f"answers: number {number} is missing" for number in _gaps(history)]
    stored = {response.client_uuid: _receipt(response) for response in history}
    mirror = folder.path / "responses.jsonl"
    if mirror.exists():
        found.mirrored = _compare(mirror, stored, found.faults, "id")
    if receipts is not None:
        found.receipts = _compare(receipts, stored, found.faults, "response_id")
    exported = {row["seq"] for row in rows_of(folder)}
    found.exported = len(exported)
    found.faults += [f"export: answer {r.seq} is missing" for r in view if r.seq not in exported]
    found.faults += [
        f"export: answer {seq} no longer stands" for seq in sorted(exported - {r.seq for r in view})
    ]
    return found


def _gaps(history: list[Response]) -> Iterator[int]:
    known = {response.seq for response in history}
    yield from (number for number in range(1, max(known, default=0)) if number not in known)


def _receipt(response: Response) -> dict[str, Any]:
    """What was promised for this answer, made again from the answer itself."""
    values = {name: getattr(response, name) for name in NewResponse.__dataclass_fields__}
    return {
        "client_uuid": response.client_uuid,
        "response_id": response.id,
        "seq": response.seq,
        "sha256": wire.sha256(wire.body(NewResponse(**values))),
    }


def _compare(path: Path, stored: dict[str, dict[str, Any]], faults: list[str], id: str) -> int:
    """Check every line of a file against the store; how many lines there were. `id`: its name for the response_id."""
    count = 0
    for where, row in numbered(path):
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
