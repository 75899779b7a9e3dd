"""A file of texts becomes questions, people answer them, and what was said comes out again, ours and TRL's."""

import json
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from plaudit.errors import PlauditError
from plaudit.feedback import Binary, Comparison, Feedback, Ranking, Rating
from plaudit.readers.texts import read_text_pairs
from plaudit.stages.export import export_feedback
from plaudit.stages.label import Items, prepare
from plaudit.stages.verify import verify
from plaudit.storage import NewResponse, Query, Store, open_store

USER = [{"role": "user", "content": "Hi"}]
TURN = [{"role": "assistant", "content": "A"}]


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def answer(folder: Path, *said: Any, who: str = "ann") -> None:
    """One answer after another; each is what makes the feedback of a question's options."""
    store = open_store(folder / "feedback.db")
    for number, make in enumerate(said):
        query = store.claim(who, 60, besides=[])
        assert query is not None
        store.submit(NewResponse(f"{who}{number}", query.id, who, make(query), query.shown_order))
    store.close()


def prefers(place: int) -> Any:
    return lambda query: Comparison(query.items, ("first", "second")[place])


def test_pairs_there_and_back(tmp_path: Path) -> None:
    items = written(
        tmp_path / "pairs.jsonl",
        {"prompt": "p", "chosen": "a", "rejected": "b", "id": 7},
        {"prompt": USER, "chosen": TURN, "rejected": [{"role": "assistant", "content": "B"}]},
        {"prompt": "q", "chosen": "same", "rejected": "same"},
        {"prompt": "r", "chosen": "c", "rejected": "d"},
    )
    folder = tmp_path / "labels"
    assert prepare(Items(items, question="Which is kinder?"), folder) == (3, 1)
    answer(folder, prefers(1), prefers(0), lambda query: Comparison(query.items, "equal"))
    assert export_feedback(folder, tmp_path / "trl.jsonl", "trl") == 2
    assert lines(tmp_path / "trl.jsonl") == [
        {"prompt": "p", "chosen": "b", "rejected": "a"},
        {"prompt": USER, "chosen": TURN, "rejected": [{"role": "assistant", "content": "B"}]},
    ]
    assert export_feedback(folder, tmp_path / "ours.jsonl") == 3
    ours = lines(tmp_path / "ours.jsonl")
    assert isinstance(ours[0].pop("first_shown"), bool)  # drawn when it was claimed
    assert ours[0] == {
        "kind": "comparison", "answer": "second", "first": "a", "second": "b", "prompt": "p", "annotator": "ann",
        "seq": 1, "held_out": False, "columns": {"id": 7},
    }  # fmt: skip
    assert [(p.chosen, p.preference) for p in read_text_pairs(tmp_path / "ours.jsonl")] == [
        ("b", 1.0), (tuple(TURN), 1.0), ("c", 0.5)
    ]  # fmt: skip
    assert verify(folder).faults == []


def test_the_same_command_again_adds_only_what_is_new(tmp_path: Path) -> None:
    row = {"prompt": "p", "chosen": "a", "rejected": "b"}
    folder, items = tmp_path / "labels", written(tmp_path / "pairs.jsonl", row)
    assert prepare(Items(items, wanted=2), folder) == (1, 0)
    answer(folder, prefers(0))
    assert prepare(Items(written(items, row, {**row, "prompt": "q"})), folder) == (2, 0)
    store = open_store(folder / "feedback.db")
    assert [len(store.answers()), store.pending(), store.queries()[0].wanted] == [1, 2, 2]
    store.close()


def test_rankings_ratings_and_thumbs(tmp_path: Path) -> None:
    def exported(rows: list[Any], ask: Any, make: Any, form: Any = "ours") -> list[Any]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        prepare(Items(written(tmp_path / f"{folder.name}.jsonl", *rows), ask), folder)
        answer(folder, make)
        to = tmp_path / f"{folder.name}-out.jsonl"
        export_feedback(folder, to, form)
        return lines(to)

    three = [{"prompt": "p", "completions": ["a", "b", "c"]}]

    def ranked(query: Query) -> Feedback:
        return Ranking(query.items, ((2,), (0, 1)))

    (ranking,) = exported(three, None, ranked)
    assert (ranking["completions"], ranking["ranks"]) == (["a", "b", "c"], [2, 2, 1])
    assert exported(three, None, ranked, "trl") == [
        {"prompt": "p", "chosen": "c", "rejected": "a"},
        {"prompt": "p", "chosen": "c", "rejected": "b"},
    ]
    one = [{"prompt": "p", "completion": "a"}]

    def rated(query: Query) -> Feedback:
        return Rating(query.items[0], "overall", 4, **{k: query.payload["scale"][k] for k in ("low", "high")})

    (rating,) = exported(one, None, rated)
    assert (rating["completion"], rating["rating"], rating["low"], rating["high"]) == ("a", 4.0, 1.0, 5.0)
    with pytest.raises(PlauditError, match="no columns for ratings"):
        exported(one, None, rated, "trl")
    thumb = exported(one, "binary", lambda query: Binary(query.items[0], False), "trl")
    assert thumb == [{"prompt": "p", "completion": "a", "label": False}]
    assert exported(one, "binary", lambda query: Binary(query.items[0], None), "trl") == []


@pytest.mark.parametrize("there", ["run", "store", "damaged"])
def test_what_is_there_is_not_overwritten(tmp_path: Path, there: str) -> None:
    items = written(tmp_path / "pairs.jsonl", {"prompt": "p", "chosen": "a", "rejected": "b"})
    folder = tmp_path / "labels"
    folder.mkdir()
    if there == "store":
        open_store(folder / "feedback.db").close()
    else:
        (folder / "manifest.json").write_text('{"stage": "optimise"}' if there == "run" else "{")
    with pytest.raises(PlauditError, match="choose another --out|damaged"):
        prepare(Items(items), folder)


def test_nothing_to_ask(tmp_path: Path) -> None:
    items = written(tmp_path / "pairs.jsonl", {"prompt": "p", "chosen": "a", "rejected": "a"})
    with pytest.raises(PlauditError, match="two of the answers are the same"):
        prepare(Items(items), tmp_path / "labels")
    with pytest.raises(PlauditError, match="--wanted"):
        prepare(Items(items, wanted=0), tmp_path / "labels")


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    """A folder with two answers, one of them corrected."""
    rows = [{"prompt": f"p{i}", "chosen": "a", "rejected": "b"} for i in range(3)]
    prepare(Items(written(tmp_path / "pairs.jsonl", *rows)), tmp_path / "labels")
    answer(tmp_path / "labels", prefers(0), prefers(0))
    store = open_store(tmp_path / "labels" / "feedback.db")
    first = store.answers()[0]
    correction = Comparison(first.feedback.options, "equal")  # type: ignore[union-attr]
    store.submit(NewResponse("fix", first.query_id, "ann", correction, first.shown_order, None, first.id))
    store.close()
    return tmp_path / "labels"


def receipts(store: Store) -> list[dict[str, Any]]:
    """As the server gives them."""
    found = []
    for said in store.answers():
        new = NewResponse(
            said.client_uuid,
            said.query_id,
            said.annotator,
            said.feedback,
            said.shown_order,
            None,
            said.supersedes,
        )
        receipt = store.submit(new)
        found.append({"client_uuid": said.client_uuid, **vars(receipt)})
    return found


def test_verify_finds_every_receipt_in_store_and_export(answered: Path, tmp_path: Path) -> None:
    store = open_store(answered / "feedback.db")
    promised = receipts(store)
    store.close()
    found = verify(answered, written(tmp_path / "receipts.jsonl", *promised))
    assert (found.answers, found.standing, found.receipts, found.exported, found.faults) == (3, 2, 3, 2, [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"client_uuid": "lost"}, "answer lost is not in the store"),
        ({"sha256": "0" * 64}, "another sha256"),
        ({"seq": 9}, "another seq"),
        ({"response_id": None}, "not a receipt .`response_id`"),
    ],
    ids=str,
)
def test_verify_notices(answered: Path, tmp_path: Path, change: dict, said: str) -> None:
    store = open_store(answered / "feedback.db")
    promised = receipts(store)
    store.close()
    promised[1] |= change
    (fault,) = verify(answered, written(tmp_path / "receipts.jsonl", *promised)).faults
    assert "receipts.jsonl, line 2" in fault
    assert re.search(said, fault)


def test_verify_notices_a_mirror_that_knows_more(answered: Path) -> None:
    (answered / "responses.jsonl").write_text('{"id": 4, "seq": 4, "client_uuid": "gone", "sha256": "00"}\n')
    (fault,) = verify(answered).faults
    assert "responses.jsonl, line 1: answer gone is not in the store" in fault


def test_verify_leaves_out_what_a_killed_server_did_not_finish(answered: Path) -> None:
    store = open_store(answered / "feedback.db")
    lines = [json.dumps(row | {"id": row["response_id"]}, ensure_ascii=False) for row in receipts(store)]
    store.close()
    torn = "\n".join([*lines[:2], lines[2][:30] + "é"]).encode()[:-1]  # in the middle of a letter
    (answered / "responses.jsonl").write_bytes(torn)
    found = verify(answered)
    assert (found.mirrored, found.faults) == (2, [])


def test_verify_notices_an_answer_that_was_changed_in_the_file(answered: Path) -> None:
    with sqlite3.connect(answered / "feedback.db") as connection:
        connection.execute("DROP TRIGGER responses_no_update")
        connection.execute("UPDATE responses SET active_ms = 5 WHERE seq = 2")
    connection.close()
    assert verify(answered).faults == ["answers: number 2 is not what was stored (its SHA-256 differs)"]
