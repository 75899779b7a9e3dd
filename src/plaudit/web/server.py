"""One process that serves a folder: lock, address, sign-in link, browser, and a quiet end."""

import asyncio
import getpass
import logging
import os
import signal
import socket
import sys
import threading
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message

from plaudit.errors import PlauditError
from plaudit.storage.people import Invitation, People
from plaudit.storage.serving import ServerRecord, only_server
from plaudit.web import refusals
from plaudit.web.folder import Folder
from plaudit.web.guard import LOOPBACK, App, Guard, checked, is_local, names, reached
from plaudit.web.renderer import renderer
from plaudit.web.routes import labelling, pages, people, progress
from plaudit.web.routes.people import link_of
from plaudit.web.schemas import Trouble
from plaudit.web.state import LEASE_SECONDS, AppState

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


LINK_SECONDS = 3600.0
"""How long the link that the terminal shows is good."""


@dataclass(frozen=True)
class Options:
    """How to serve."""

    host: str = "127.0.0.1"
    """Where to listen; anything but this machine's own loopback is open to others."""
    port: int = 0
    """0: the port of last time where it is free, as browsers keep unsent answers by address; else any free one."""
    public: str | None = None
    """The address by which others reach it, where that is another one."""
    browser: bool = True
    """Open a browser, where there is a screen."""
    lease_seconds: float = LEASE_SECONDS


def serve(path: Path, options: Options = Options()) -> None:
    """Serve a folder until interrupted; PlauditError where another server does, or nothing can be served."""
    state = AppState.open(Folder(path), options.lease_seconds, checked(options.public))
    try:
        with only_server(state.database.transactions, state.folder.server_record) as record:
            server = _made_ready(state, options)
            listening = _listen(options, record)
            state.start()
            try:
                _run(server, state, listening, options, record)
            finally:
                listening.close()
    finally:
        state.close()


def _made_ready(state: AppState, options: Options) -> "_Server":
    """A server that answers from its first moment on.

    Whoever labelled when it was killed tries again at once, so nobody may be let in and then wait for what is loaded at
    the first request.
    """
    app = make_app(state)
    inside = guarded(app, names(options.host, options.public), numbers=not is_local(options.host))
    config = uvicorn.Config(
        inside,
        log_level="warning",
        access_log=False,  # addresses hold no secrets, but what is not written cannot leak
        server_header=False,
        timeout_graceful_shutdown=2,
        timeout_keep_alive=30,
    )
    config.load()
    renderer().start()
    asyncio.run(_rehearse(inside))
    return _Server(config, app.state.closing)


async def _rehearse(app: ASGIApp) -> None:
    """A question asked for by nobody: refused, and nobody reads that."""

    async def asked() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def answered(_: Message) -> None:
        return None

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/api/tasks", "raw_path": b"/api/tasks", "root_path": "", "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"content-length", b"2")],
        "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 0),
    }  # fmt: skip
    await app(scope, asked, answered)


def _run(
    server: "_Server", state: AppState, listening: socket.socket, options: Options, record: ServerRecord
) -> None:
    local, port = is_local(options.host), listening.getsockname()[1]
    address = reached(options.host, port, options.public)
    record.write(address=address, port=port)
    link = link_of(address, *_invitation(state.database.people))
    for number in (signal.SIGINT, signal.SIGTERM):  # from the first word on, not only once it listens
        signal.signal(number, server.handle_exit)
    print(f"Labelling {state.folder.path} (stop: Ctrl-C)")
    print(f"Open this link to sign in; it is good once, within an hour: {link}", flush=True)
    if not local and options.public is None:
        print(
            "Others can reach this server. It speaks plain HTTP: put it behind a proxy that adds TLS, and give the "
            "address of that with --public.",
            flush=True,
        )
    if options.browser and _has_screen():
        threading.Timer(0.3, webbrowser.open, (link,)).start()
    server.run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends quietly when it is interrupted: with one line, and nothing about the connections that end with it."""

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event):
        super().__init__(config)
        self.closing = closing

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal; a second one does not wait for whoever is still connected."""
        if self.should_exit:
            self.force_exit = True
            return
        self.should_exit = True
        logging.getLogger("uvicorn.error").disabled = True  # a traceback for each connection that is cut
        if sig == signal.SIGINT:
            print("\nStopped. Every acknowledged answer is stored; the same command goes on.", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams end first: they would last."""
        self.closing.set()
        await super().shutdown(sockets)


def _invitation(people: People) -> tuple[Invitation, str]:
    """For the first admin who is still one; where there is none, whoever opens the link becomes it."""
    for person in people.everyone():
        if person.role == "admin" and not person.revoked:
            return people.invite_again(person.id, LINK_SECONDS)
    taken = {person.name.casefold() for person in people.everyone()}
    name = _user()
    return people.invite("admin", None if name.casefold() in taken else name, LINK_SECONDS)


def _user() -> str:
    """What this machine calls whoever started the server."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without names
        return "admin"


def _listen(options: Options, record: ServerRecord) -> socket.socket:
    wanted = options.port or record.before.get("port", 0)
    try:
        return _bound(options.host, wanted if isinstance(wanted, int) else 0)
    except OSError as error:
        if options.port or not wanted:
            raise PlauditError(
                f"--port: cannot listen at {options.host}, port {wanted} ({error.strerror}); choose another one"
            ) from None
    print(
        f"Port {wanted}, the one of last time, is taken, so the address is another one; what browsers could not send "
        "then waits at the old one: free that port and start again to get it.",
        file=sys.stderr,
    )
    return _bound(options.host, 0)


def _bound(host: str, port: int) -> socket.socket:
    family, kind, number, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listening = socket.socket(family, kind, number)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(256)
    except (OSError, OverflowError):
        listening.close()
        raise
    listening.set_inheritable(False)
    return listening


def _has_screen() -> bool:
    """A browser in the terminal would only be in the way."""
    return sys.platform in ("darwin", "win32") or any(
        os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY")
    )
