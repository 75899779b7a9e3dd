"""`plaudit verify` says no more than it has shown."""

import json
from collections.abc import Callable
from pathlib import Path

from plaudit.feedback import Comparison
from plaudit.pipeline.questions import Items, prepare
from plaudit.storage import NewResponse, open_store

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
