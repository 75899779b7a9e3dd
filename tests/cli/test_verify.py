"""`plaudit verify` says no more than it has shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plaudit.errors import PlauditError
from plaudit.feedback import Comparison
from plaudit.stages import verify
from plaudit.stages.label import Items, prepare
from plaudit.storage import NewResponse, open_store
from plaudit.storage.backup import copy

Run = Callable[..., tuple[int, str, str]]


def test_what_it_concludes(plaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "p", "first": "a", "second": "b"}\n')
    prepare(Items(tmp_path / "pairs.jsonl"), tmp_path / "labels")
    status, out, _ = plaudit("verify", "labels")
    assert status == 0 and out.endswith("Nothing was answered yet, so there is nothing to prove.\n")

    store = open_store(tmp_path / "labels" / "feedback.db")
    (query,) = store.queries()
    receipt = store.submit(NewResponse("one", query.id, "ann", Comparison(query.items, "first"), ()))
    store.close()
    status, out, _ = plaudit("verify", "labels")
    assert status == 0 and "No receipts were compared" in out and "Every receipt" not in out

    kept = tmp_path / "receipts.jsonl"
    kept.write_text(json.dumps({"client_uuid": "one", **vars(receipt)}) + "\n")
    status, out, _ = plaudit("verify", "labels", "--receipts", "receipts.jsonl")
    assert status == 0
    assert out.endswith("Every receipt is in the store, and every standing answer is in the export.\n")

    kept.write_text(json.dumps({"client_uuid": "two", **vars(receipt)}) + "\n")
    status, out, err = plaudit("verify", "labels", "--receipts", "receipts.jsonl")
    assert status == 1 and "answer two is not in the store" in out and "1 fault" in err


def test_answers_that_come_meanwhile_are_no_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "p", "first": "a", "second": "b"}\n')
    prepare(Items(tmp_path / "pairs.jsonl"), tmp_path / "labels")
    store = open_store(tmp_path / "labels" / "feedback.db")
    (query,) = store.queries()
    first = store.submit(NewResponse("one", query.id, "ann", Comparison(query.items, "first"), ()))

    def late(folder: Any, upto: int) -> Any:
        better = NewResponse(
            "two", query.id, "ann", Comparison(query.items, "second"), (), supersedes=first.response_id
        )
        store.submit(better)
        return rows_of(folder, upto)

    rows_of = verify.rows_of
    monkeypatch.setattr(verify, "rows_of", late)
    found = verify.verify(tmp_path / "labels")
    assert (found.answers, found.standing, found.exported, found.faults) == (1, 1, 1, [])
    store.close()


@pytest.mark.parametrize("command", [("verify", "labels"), ("export", "labels", "--to", "out.jsonl")])
def test_a_store_that_is_gone_is_not_nothing(plaudit: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"prompt": "p", "first": "a", "second": "b"}\n')
    prepare(Items(tmp_path / "pairs.jsonl"), tmp_path / "labels")
    copy(tmp_path / "labels" / "feedback.db")
    (tmp_path / "labels" / "feedback.db").unlink()
    status, _, err = plaudit(*command)
    assert status == 1 and "put it back: plaudit restore labels" in err
    with pytest.raises(PlauditError, match="restore"):
        prepare(Items(tmp_path / "pairs.jsonl"), tmp_path / "labels")
    assert not (tmp_path / "labels" / "feedback.db").exists()
