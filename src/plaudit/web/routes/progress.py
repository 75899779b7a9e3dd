"""How the run does, and wishes about it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from plaudit.web.identity import TheAdmin, TheState
from plaudit.web.schemas import Stored, Wish
from plaudit.web.state import AppState

router = APIRouter(prefix="/api")

LOOK_SECONDS = 1.0
QUIET_SECONDS = 15.0
"""After so long without news a comment is sent, so that nobody on the way closes the connection."""


@router.get("/progress")
def progress(_: TheAdmin, state: TheState) -> dict[str, Any]:
    """The numbers as they are now."""
    return state.progress.now()


@router.get("/progress/stream", response_class=StreamingResponse)
async def stream(request: Request, admin: TheAdmin, state: TheState) -> StreamingResponse:
    """The numbers whenever they change, for as long as the session lasts."""
    events = _events(state, admin.token, request.app.state.closing)
    return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.post("/commands")
def command(wish: Wish, _: TheAdmin, state: TheState) -> Stored:
    """A row in the command table; the trainer looks there between two updates."""
    return Stored(id=state.trainer.command(wish.kind), kind=wish.kind)


async def _events(state: AppState, token: str, closing: asyncio.Event) -> AsyncIterator[str]:
    def look() -> str | None:
        person = state.database.people.who(token)
        return None if person is None else json.dumps(state.progress.now(), ensure_ascii=False)

    last, quiet = "", 0.0
    while not closing.is_set() and (text := await run_in_threadpool(look)) is not None:
        if text != last:
            last, quiet = text, 0.0
            yield f"event: progress\ndata: {text}\n\n"
        elif quiet >= QUIET_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"
        with suppress(TimeoutError):
            await asyncio.wait_for(closing.wait(), LOOK_SECONDS)
        quiet += LOOK_SECONDS
