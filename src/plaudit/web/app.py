"""The application: routes, refusals and the guard around them."""

import asyncio

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from plaudit.web import refusals
from plaudit.web.address import LOOPBACK
from plaudit.web.guard import App, Guard
from plaudit.web.routes import labelling, pages, people, progress
from plaudit.web.schemas import Trouble
from plaudit.web.state import AppState

ROUTERS = (people.router, labelling.router, progress.router)

TROUBLES = {
    status: {"model": Trouble}
    for status in (400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 500, 503, 507)
}


def make_app(state: AppState) -> FastAPI:
    """The routes over one open folder; without the guard, for those who need the OpenAPI description."""

    app = FastAPI(title="plaudit", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.open, app.state.closing = state, asyncio.Event()
    for router in ROUTERS:
        app.include_router(router, responses=TROUBLES)  # pyright: ignore[reportArgumentType]
    app.include_router(pages.router)
    app.mount("/static", Files(directory=pages.STATIC), name="static")
    refusals.install(app, pages.trouble)
    return app


def guarded(app: FastAPI, hosts: tuple[str, ...] = LOOPBACK, numbers: bool = False) -> App:
    """The application as it is served, under these names or, where `numbers`, any address in numbers."""
    return Guard(app, hosts, numbers)


class Files(StaticFiles):
    """Files of the package; a browser asks each time whether they have changed."""

    def file_response(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        """With an ETag, and not to be taken from a cache unasked."""
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = "no-cache"
        return response
