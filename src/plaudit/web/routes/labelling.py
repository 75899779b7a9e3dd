"""Questions out, answers in."""

from dataclasses import asdict

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from plaudit.feedback import from_json, to_json
from plaudit.storage.store import NewResponse
from plaudit.web.guard import Refusal
from plaudit.web.identity import TheCaller, TheState
from plaudit.web.schemas import (
    Answers,
    Claim,
    Empty,
    Id,
    NewAnswer,
    Receipt,
    Released,
    Sha256,
    Tasks,
)

router = APIRouter(prefix="/api")

UNDO = 10
"""Own answers that can be taken back."""

ENDED = ("label", "over")
"""Nobody asks anything new then."""

KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}


@router.post("/tasks", response_model=Tasks)
def claim(wish: Claim, caller: TheCaller, state: TheState) -> Response:
    """Lease up to three questions; one after another, as `besides` says what is at hand."""
    queue, who = state.database.queue, caller.person.name
    trainer = state.trainer.state()  # before the claim: what a trainer asks before its end is not missed
    claimed = queue.claim(who, wish.count, state.lease_seconds, wish.besides)
    held = [*wish.besides, *(query.id for query in claimed)]
    more = len(claimed) == wish.count or trainer not in ENDED or queue.may_get(who, held)
    tasks = [state.tasks.task(query) for query in claimed]
    found = {"tasks": tasks, "lease_seconds": state.lease_seconds, "more": more, "state": trainer}
    return _told(Tasks.model_validate(found))


@router.post("/tasks/{query_id}/release")
def release(query_id: Id, _: Empty, caller: TheCaller, state: TheState) -> Released:
    """Give a question back unanswered."""
    state.database.queue.release(caller.person.name, query_id)
    return Released()


@router.post("/answers", response_model=Receipt)
def submit(answer: NewAnswer, caller: TheCaller, state: TheState) -> Response:
    """Store an answer; what is returned was committed before."""
    response = NewResponse(
        client_uuid=answer.client_uuid,
        query_id=answer.query_id,
        annotator=caller.person.name,
        feedback=from_json(answer.feedback.model_dump()),
        shown_order=tuple(answer.shown_order),
        active_ms=answer.active_ms,
    )
    receipt = state.database.queue.submit(response, answer.supersedes)
    state.log.wake()
    return _told(Receipt(client_uuid=answer.client_uuid, **asdict(receipt)))


@router.get("/answers")
def latest(caller: TheCaller, state: TheState) -> Answers:
    """The newest own standing answers, to be corrected if need be."""
    found = [
        {
            "client_uuid": said.client_uuid,
            "response_id": said.id,
            "seq": said.seq,
            "feedback": to_json(said.feedback),
            "task": state.tasks.task(query),
        }
        for said, query in state.database.queue.latest(caller.person.name, UNDO)
    ]
    return Answers.model_validate({"answers": found})


@router.get("/artifacts/{sha256}")
def artifact(sha256: Sha256, caller: TheCaller, state: TheState) -> Response:
    """A picture, or a text as JSON; of a question that is, or was, this person's. Admins see all."""
    person = caller.person
    whose = None if person.role == "admin" else person.name
    if not state.database.queue.may_see(whose, sha256):
        raise Refusal(403, "forbidden", "This belongs to no question of yours.")
    content, kind = state.tasks.content(sha256)
    return Response(content, media_type=kind, headers=KEPT)


def _told(reply: BaseModel) -> Response:
    """A reply as it is: given the model, FastAPI would check it once more, in another thread."""
    return Response(reply.model_dump_json(), media_type="application/json")
