"""Who sends a request: the session in the cookie, the CSRF token in the header, the role."""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from plaudit.storage.people import Person
from plaudit.web.guard import Refusal
from plaudit.web.state import AppState

CSRF_HEADER = "x-plaudit-csrf"


@dataclass(frozen=True)
class Caller:
    """Somebody with a session."""

    person: Person
    token: str
    """Of the session; never shown."""

    @property
    def csrf(self) -> str:
        """Belongs to the session, follows from it, and says nothing about it."""
        return sha256(f"csrf/{self.token}".encode()).hexdigest()


async def app_state(request: Request) -> AppState:
    """What this server serves. Asynchronous, as only what waits for a disk is worth a thread."""
    return request.app.state.open


TheState = Annotated[AppState, Depends(app_state)]


async def visitor(request: Request, state: TheState) -> Caller | None:
    """Whoever is signed in, if anybody is."""
    token, people = request.cookies.get(state.cookie), state.database.people
    if not token:
        return None
    person = people.recent(token) or await run_in_threadpool(people.who, token)
    return None if person is None else Caller(person, token)


async def caller(request: Request, state: TheState) -> Caller:
    """Whoever is signed in; whoever changes something also proves that the page did it, not another site."""
    found = await visitor(request, state)
    if found is None:
        raise Refusal(
            401, "signed_out", "You are not signed in; open your invitation link, or ask for a new one."
        )
    given = request.headers.get(CSRF_HEADER, "")
    if request.method != "GET" and not hmac.compare_digest(given.encode(), found.csrf.encode()):
        raise Refusal(403, "forbidden", "The page is out of date; load it again.")
    return found


TheVisitor = Annotated[Caller | None, Depends(visitor)]
TheCaller = Annotated[Caller, Depends(caller)]


async def admin(caller: TheCaller) -> Caller:
    """Somebody who may run things."""
    if caller.person.role != "admin":
        raise Refusal(403, "forbidden", "Only an admin may do this.")
    return caller


TheAdmin = Annotated[Caller, Depends(admin)]
