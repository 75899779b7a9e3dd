"""What goes wrong, as one JSON form, or as a page for somebody who looks at one."""

import logging
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from plaudit.errors import PlauditError
from plaudit.storage.people import Gone
from plaudit.storage.store import Busy, Conflict, DiskFull, NotYours, Refused, Unknown
from plaudit.web.guard import Refusal

STATUSES: tuple[tuple[type[PlauditError], int, str], ...] = (
    (Conflict, 409, "conflict"),
    (DiskFull, 507, "disk_full"),
    (Busy, 503, "busy"),
    (Refused, 500, "failed"),
    (Unknown, 404, "not_found"),
    (NotYours, 403, "forbidden"),
    (Gone, 410, "gone"),
    (PlauditError, 422, "invalid"),
)
"""The first that fits."""

WORDS = {404: "not_found", 405: "method_not_allowed"}

WHAT_PEOPLE_READ = {
    500: "The server could not store this just now; nothing was stored. Tell whoever runs it.",
    503: "The database is busy; nothing was stored. Try again.",
    507: "The server's disk is full; nothing was stored. Tell whoever runs it.",
}
"""In place of errors that say where things lie: these are for the log."""

LOG = logging.getLogger("plaudit.web")


def install(app: FastAPI, page: Callable[[Request, int, str], Response]) -> None:
    """Let the application answer so; `page` makes a page of a status and a sentence."""

    def answer(request: Request, status: int, error: str, message: str) -> Response:
        if not request.url.path.startswith(("/api/", "/static/")):
            return page(request, status, message)
        response = JSONResponse({"error": error, "message": message}, status)
        if status == 503:
            response.headers["Retry-After"] = "1"
        return response

    @app.exception_handler(Refusal)
    def refused(request: Request, refusal: Refusal) -> Response:
        return answer(request, refusal.status, refusal.error, refusal.message)

    @app.exception_handler(PlauditError)
    def plaudit_error(request: Request, error: Exception) -> Response:
        status, word = next((s, word) for kind, s, word in STATUSES if isinstance(error, kind))
        if status in (500, 507):
            LOG.error("%s", error)
        return answer(request, status, word, WHAT_PEOPLE_READ.get(status, str(error)))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            return answer(request, 400, "bad_request", "The body is not JSON; mend it.")
        return answer(request, 422, "invalid", _sentence(first))

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        word = WORDS.get(error.status_code, "bad_request")
        response = answer(request, error.status_code, word, f"{error.detail}.".replace("..", "."))
        response.headers.update(error.headers or {})  # which methods there are, for one
        return response

    @app.exception_handler(Exception)
    def mistake(request: Request, error: Exception) -> Response:
        return answer(
            request, 500, "failed", "The server made a mistake; nothing was stored. Try again later."
        )


def _sentence(error: dict[str, Any]) -> str:
    """Which field, and what is wrong with it."""
    place = [str(part) for part in error["loc"] if part not in ("body", "path", "query")]
    field = ".".join(place) or "the body"
    said = str(error["msg"])
    return f"{field}: {said[:1].lower()}{said[1:]}"[:500]
