"""Questions out and answers in, over HTTP: the mistakes of other services do not happen here."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import event

from plaudit.feedback import Comparison
from plaudit.storage import Artifacts, NewQuery
from tests.web.asking import SCALE, Site, Someone, decision, sheet, text


def test_a_question_shows_texts_in_the_order_drawn_and_nothing_of_its_key(ann: Someone, site: Site) -> None:
    (task,) = ann.tasks()
    query = site.state.database.store.queries([task["query_id"]])[0]
    assert [option["sha256"] for option in task["options"]] == [query.items[i] for i in task["shown_order"]]
    views = {option["view"]["text"] for option in task["options"]}
    assert views == {"<b>yes 0</b>", "no 0"} and task["prompt"] == "Why?"
    assert set(task) == {"query_id", "kind", "shown_order", "prompt", "prompt_turns", "question", "options"}
    assert "secret" not in str(task)


def test_sides_are_balanced_for_each_person(site: Site, ann: Someone) -> None:
    store = site.state.database.store
    store.enqueue([NewQuery(f"n{i}", "comparison", ("a" * 64, "b" * 64), 0, {}) for i in range(20)])
    shown = {}
    while len(shown) < 12:
        for task in ann.tasks():
            assert ann.answer(task).status_code == 200
            if task["query_id"] not in site.state.database.queue.repeats():
                shown[task["query_id"]] = tuple(task["shown_order"])
    orders = list(shown.values())
    assert orders.count((0, 1)) == orders.count((1, 0)) == 6


def test_two_people_never_get_the_same_question(ann: Someone, bob: Someone) -> None:
    mine, theirs = ann.tasks(3), bob.tasks(3)
    assert not {task["query_id"] for task in mine} & {task["query_id"] for task in theirs}
    assert len(theirs) == 2


def test_overlap_gives_a_question_to_as_many_people_as_wanted(site: Site, ann: Someone, bob: Someone) -> None:
    site.state.database.store.enqueue([NewQuery("both", "comparison", ("a" * 64, "b" * 64), 0, {}, 2)])
    cat = site.let_in("Cat")
    besides = list(range(1, 6))
    ids = [[task["query_id"] for task in who.tasks(1, besides)] for who in (ann, bob, cat)]
    assert ids == [[6], [6], []]


def test_a_reload_brings_back_what_was_held_in_the_same_order(ann: Someone) -> None:
    assert ann.tasks(3) == ann.tasks(3)


def test_the_receipt_is_of_what_is_stored(ann: Someone, site: Site) -> None:
    (task,) = ann.tasks()
    sent = decision(task)
    receipt = ann.post("/api/answers", sent).json()
    (stored,) = site.state.database.store.answers()
    ((_, digest),) = site.state.database.queue.after(0)
    assert receipt == {
        "client_uuid": sent["client_uuid"],
        "response_id": stored.id,
        "seq": 1,
        "sha256": digest,
    }
    assert (stored.annotator, stored.active_ms, stored.received_at > 1e9) == ("Ann", 1200, True)


def test_sending_again_gives_the_same_receipt_and_stores_nothing(ann: Someone, site: Site) -> None:
    (task,) = ann.tasks()
    sent = decision(task)
    with ThreadPoolExecutor(8) as pool:  # a double click, two tabs, an impatient client
        answers = list(pool.map(lambda _: ann.post("/api/answers", sent), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert len(site.state.database.store.answers()) == 1


def test_the_same_uuid_with_another_answer_is_refused(ann: Someone, bob: Someone, site: Site) -> None:
    one, two = ann.tasks(2)
    sent = decision(one)
    assert ann.post("/api/answers", sent).status_code == 200
    for other in (sent | {"active_ms": 1}, decision(two) | {"client_uuid": sent["client_uuid"]}):
        answer = ann.post("/api/answers", other)
        assert (answer.status_code, answer.json()["error"]) == (409, "conflict")
    (task,) = bob.tasks()
    assert bob.answer(task, client_uuid=sent["client_uuid"]).status_code == 409
    assert [said.annotator for said in site.state.database.store.answers()] == ["Ann"]


def test_a_second_answer_must_say_what_it_corrects(ann: Someone) -> None:
    (task,) = ann.tasks()
    assert ann.answer(task).status_code == 200
    assert ann.answer(task, "second").status_code == 409


def test_what_is_anothers_is_refused(ann: Someone, bob: Someone, site: Site) -> None:
    (task,) = ann.tasks()
    answer = bob.answer(task)
    assert (answer.status_code, answer.json()["error"]) == (403, "forbidden")
    assert bob.answer(task | {"query_id": 4711}).status_code == 404
    assert ann.answer(task).status_code == 200
    uuid = ann.get("/api/answers").json()["answers"][0]["client_uuid"]
    (own,) = bob.tasks()
    stolen = bob.answer(own, supersedes=uuid)
    assert (stolen.status_code, stolen.json()["error"]) == (404, "not_found")
    assert len(site.state.database.store.answers()) == 1


def test_undo_shows_the_last_ten_and_corrects_without_erasing(ann: Someone, site: Site) -> None:
    store = site.state.database.store
    store.enqueue([NewQuery(f"n{i}", "comparison", ("a" * 64, "b" * 64), 0, {}) for i in range(9)])
    for _ in range(4):
        for task in ann.tasks(3):
            ann.answer(task)
    found = ann.get("/api/answers").json()["answers"]
    assert len(found) == 10 and [one["seq"] for one in found] == list(range(12, 2, -1))
    first = found[0]
    corrected = ann.answer(first["task"], "both_bad", supersedes=first["client_uuid"])
    assert corrected.status_code == 200
    again = ann.get("/api/answers").json()["answers"]
    assert again[0]["feedback"]["answer"] == "both_bad" and again[0]["task"] == first["task"]
    assert first["client_uuid"] not in [one["client_uuid"] for one in again]
    assert len(store.answers()) == 13 and len(store.view(13)) == 12
    twice = ann.answer(first["task"], supersedes=first["client_uuid"])
    assert twice.status_code == 409


def test_what_one_person_said_is_not_shown_to_another(ann: Someone, bob: Someone) -> None:
    ann.answer(ann.tasks()[0])
    assert bob.get("/api/answers").json() == {"answers": []}


def test_released_questions_are_free_at_once(ann: Someone, bob: Someone) -> None:
    held = ann.tasks(3)
    path = f"/api/tasks/{held[0]['query_id']}/release"
    assert bob.post(path).json() == ann.post(path).json() == ann.post(path).json() == {"released": True}
    assert [task["query_id"] for task in bob.tasks(3)] == [1, 4, 5]


def test_skip_is_an_answer_and_no_answer_is_never_zero(ann: Someone, site: Site) -> None:
    ann.answer(ann.tasks()[0], "skip")
    (stored,) = site.state.database.store.answers()
    assert isinstance(stored.feedback, Comparison) and stored.feedback.answer == "skip"
    (task,) = ann.tasks()
    unset = decision(task)
    unset["feedback"]["answer"] = None
    assert ann.post("/api/answers", unset).status_code == 422
    del unset["feedback"]["answer"]
    assert ann.post("/api/answers", unset).status_code == 422


def test_every_kind_goes_over_the_wire(ann: Someone, site: Site, artifacts: Artifacts) -> None:
    a, b, c = (text(artifacts, one) for one in "abc")
    store = site.state.database.store
    store.enqueue(
        [
            NewQuery("rank", "ranking", (a, b, c), 0, {}),
            NewQuery("rate", "rating", (a,), 0, {"scale": SCALE, "question": "How kind?"}),
            NewQuery("thumb", "binary", (b,), 0, {}),
        ]
    )
    rank, rate, thumb = ann.tasks(3, range(1, 6))
    assert (rank["kind"], rate["scale"], rate["question"]) == ("ranking", SCALE, "How kind?")
    options = [option["sha256"] for option in rank["options"]]
    said = {
        rank["query_id"]: {"kind": "ranking", "options": options, "order": [[2], [0, 1]]},
        rate["query_id"]: {"kind": "rating", "option": a, "value": 4, **SCALE},
        thumb["query_id"]: {"kind": "binary", "option": b, "good": False},
    }
    for task in (rank, rate, thumb):
        answer = ann.answer(task, feedback=said[task["query_id"]])
        assert answer.status_code == 200, answer.text
    found = {one["task"]["query_id"]: one["feedback"] for one in ann.get("/api/answers").json()["answers"]}
    assert found == said


@pytest.mark.parametrize(
    "change",
    [
        {"client_uuid": "not a uuid"},
        {"client_uuid": "1CBAA3D9-FA03-4862-8415-B404DE9D1F08"},
        {"query_id": "1"},
        {"query_id": True},
        {"query_id": -1},
        {"query_id": 2**70},
        {"shown_order": [0]},
        {"shown_order": [0, 0]},
        {"shown_order": "01"},
        {"active_ms": -5},
        {"active_ms": 1.5},
        {"feedback": None},
        {"feedback": {"kind": "essay", "text": "x"}},
        {"feedback": {"kind": "binary", "option": "a" * 64, "good": True}},
        {"feedback": {"kind": "comparison", "options": ["a" * 64, "b" * 64], "answer": "first"}},
        {"feedback": {"kind": "comparison", "options": ["a" * 64], "answer": "first"}},
        {
            "feedback": {
                "kind": "rating",
                "option": "a" * 64,
                "criterion": "x",
                "value": "3",
                "low": 1,
                "high": 5,
            }
        },
        {"supersedes": 1},
        {"annotator": "Root"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_wrong_fields_are_refused_in_one_sentence(ann: Someone, site: Site, change: dict) -> None:
    answer = ann.answer(ann.tasks()[0], **change)
    assert answer.status_code == 422
    said = answer.json()
    assert said["error"] == "invalid" and 10 < len(said["message"]) < 600 and "\n" not in said["message"]
    assert site.state.database.store.answers() == []


def test_a_full_disk_is_507_and_the_answer_can_be_sent_again(ann: Someone, site: Site) -> None:
    """SQLite is told that its file may not grow; what room is left in its pages is soon used up."""
    store, engine = site.state.database.store, site.state.database.transactions.engine
    store.enqueue([NewQuery(f"n{i}", "comparison", ("a" * 64, "b" * 64), 0, {}) for i in range(90)])
    sent: list[dict] = []
    while len(sent) < 40:
        besides = [*range(6), *(one["query_id"] for one in sent)]
        sent += [decision(task) for task in ann.tasks(3, besides)]
    with engine.connect() as connection:
        limit = [connection.exec_driver_sql("PRAGMA page_count").scalar_one()]
    event.listen(engine, "checkout", lambda c, *_: c.execute(f"PRAGMA max_page_count = {limit[0]}"))
    stored = 0
    while (answer := ann.post("/api/answers", sent[stored])).status_code == 200:
        stored += 1
    assert (answer.status_code, answer.json()["error"]) == (507, "disk_full")
    assert "disk is full" in answer.json()["message"]
    assert "/" not in answer.json()["message"]  # where the store lies is nobody's business
    assert [said.client_uuid for said in store.answers()] == [one["client_uuid"] for one in sent[:stored]]
    limit[0] = 4294967294
    assert ann.post("/api/answers", sent[stored]).status_code == 200


def test_artifacts_by_hash_and_only_ones_own(
    ann: Someone, bob: Someone, root: Someone, site: Site, artifacts: Artifacts
) -> None:
    picture, loose = sheet(artifacts), artifacts.put(b"tensors")
    clip = {"width": 8, "height": 8, "frames": 1, "columns": 1, "fps": 30.0}
    clip["sheets"] = [{"sha256": picture, "first": 0, "frames": 1}]
    ends = clip | {"end": {"how": "terminated", "frame": 0}}
    # a clip of the version before says nothing of ends
    query = NewQuery("clip", "ranking", (loose, loose), 0, {"clips": [clip, ends]})
    site.state.database.store.enqueue([query])
    (task,) = ann.tasks(1, range(1, 6))
    shown = [task["options"][task["shown_order"].index(place)]["view"]["clip"] for place in (0, 1)]
    assert shown == [clip | {"end": None}, ends]
    found = ann.get(f"/api/artifacts/{picture}")
    assert (found.status_code, found.headers["content-type"]) == (200, "image/webp")
    assert found.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert found.content == artifacts.get(picture)
    assert bob.get(f"/api/artifacts/{picture}").status_code == 403
    assert root.get(f"/api/artifacts/{picture}").status_code == 200
    assert root.get(f"/api/artifacts/{loose}").status_code == 404  # neither text nor picture
    assert root.get(f"/api/artifacts/{'0' * 64}").status_code == 403  # of no question at all
    for odd in ("..%2f..%2fmanifest.json", "x" * 64, picture[:-1], picture.upper(), "%00"):
        assert root.get(f"/api/artifacts/{odd}").status_code in (404, 422)


def test_a_text_artifact_tells_the_text_alone(ann: Someone) -> None:
    (task,) = ann.tasks()
    found = ann.get(f"/api/artifacts/{task['options'][0]['sha256']}")
    assert found.json() == {"kind": "text", "text": task["options"][0]["view"]["text"]}


def test_dialogues_are_shown_as_messages(ann: Someone, site: Site, artifacts: Artifacts) -> None:
    asked = [{"role": "user", "content": "<i>hi</i>"}]
    turns = [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    items = text(artifacts, "one", messages=asked), text(artifacts, turns, messages=asked)
    site.state.database.store.enqueue([NewQuery("talk", "comparison", items, 0, {"prompt": "<|user|>hi"})])
    (task,) = ann.tasks(1, range(1, 6))
    views = {option["sha256"]: option["view"] for option in task["options"]}
    assert task["prompt"] == asked
    assert views[items[0]]["text"] == "one" and views[items[1]]["messages"] == turns


def test_what_cannot_be_shown_says_so(ann: Someone, site: Site) -> None:
    site.state.database.store.enqueue([NewQuery("gone", "comparison", ("a" * 64, "b" * 64), 0, {})])
    (task,) = ann.tasks(1, range(1, 6))
    assert [option["view"]["kind"] for option in task["options"]] == ["missing", "missing"]
    assert ann.answer(task, "skip").status_code == 200


def test_what_could_not_be_read_once_is_read_again(ann: Someone, site: Site) -> None:
    (task,) = ann.tasks()
    option = task["options"][0]["sha256"]
    path = site.state.folder.path / "artifacts" / option[:2] / option
    away = path.rename(path.with_suffix(".away"))
    site.state.tasks._known.cache_clear()

    def kinds() -> list[str]:
        return [option["view"]["kind"] for option in ann.tasks()[0]["options"]]

    assert kinds() == ["missing", "text"]
    refused = ann.get(f"/api/artifacts/{option}")
    assert refused.status_code == 404 and str(site.state.folder.path) not in refused.text
    away.rename(path)
    assert kinds() == ["text", "text"]


def test_the_mirror_follows_the_store(ann: Someone, site: Site, folder: Path) -> None:
    receipts = [ann.answer(task).json() for task in ann.tasks(3)]
    site.state.close()
    lines = (folder / "responses.jsonl").read_text().splitlines()
    assert len(lines) == 3 and all(r["sha256"] in line for r, line in zip(receipts, lines, strict=True))
