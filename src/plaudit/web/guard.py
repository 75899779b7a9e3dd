"""What every request passes first and every answer carries: size, type and origin of requests; security headers."""

import asyncio
import ipaddress
import json
import re
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import idna

from plaudit.errors import PlauditError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
NAME = re.compile(r"[a-z0-9._-]+")
ANYWHERE = ("0.0.0.0", "::", "")
"""Hosts to listen at that mean: every address of this machine."""


def is_local(host: str) -> bool:
    """Whether only this machine reaches it."""
    return host in ("127.0.0.1", "localhost", "::1")


def reached(host: str, port: int, public: str | None) -> str:
    """The address for links: the public one, else this machine's own in its network."""
    if public is not None:
        return public.rstrip("/")
    return f"http://{_written(_own() if host in ANYWHERE else host)}:{port}"


def names(host: str, public: str | None) -> tuple[str, ...]:
    """The names, in the header Host, that are ours.

    A page elsewhere can make a name of its own point here and act as if it were ours; with a number it cannot.
    """
    ours = LOOPBACK if is_local(host) else (*LOOPBACK, _written(host), socket.gethostname().lower())
    return ours if public is None else (*ours, _called(public))


def is_number(name: str) -> bool:
    """Whether a name is an address in numbers."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def checked(public: str | None) -> str | None:
    """The public address, if it is one."""
    if public is None:
        return None
    try:
        parts = urlsplit(public)
        whole = parts.scheme in ("http", "https") and parts.path in ("", "/") and parts.port != 0
        whole = whole and public.isprintable() and not any(sign in public for sign in " ?#@%\\")
        whole = bool(whole and _called(public))
    except ValueError:
        whole = False
    if not whole:
        raise PlauditError(
            f"--public: {public!r} is no address such as https://label.example.org or http://lab:8000; give http or "
            "https, a name, and at most a port above 0"
        )
    return public


def _called(public: str) -> str:
    """The name of an address as browsers send it in the header Host; ValueError where it is none."""
    host = urlsplit(public).hostname or ""
    if ":" in host:
        return _written(ipaddress.IPv6Address(host).compressed)
    name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name")
    return name


def _own() -> str:
    """This machine's address in its network; nothing is sent to learn it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(("192.0.2.1", 9))  # for documentation (RFC 5737): routed, never used
            return asked.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def _written(host: str) -> str:
    return f"[{host}]" if ":" in host else host


Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST_BODY = 64 * 1024
BODY_SECONDS = 30.0
"""How long a body may take to arrive."""

CSP = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "connect", "font", "manifest", "worker")),
        "img-src 'self' blob:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)

OFF = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "microphone",
    "payment",
    "usb",
)

HEADERS = [
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", ", ".join(f"{name}=()" for name in OFF).encode()),
]


class Refusal(Exception):
    """A request that goes no further."""

    def __init__(self, status: int, error: str, message: str):
        super().__init__(message)
        self.status, self.error, self.message = status, error, message


class Guard:
    """Wraps the whole application. `hosts`: names this server may be called by; `numbers`: or any in numbers."""

    def __init__(self, app: App, hosts: tuple[str, ...] = LOOPBACK, numbers: bool = False):
        self.app, self.hosts, self.numbers = app, hosts, numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, pass on, add headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name, value) for name, value in message.get("headers", []) if name != b"server"]
                known = {name for name, _ in own}
                if b"cache-control" not in known:
                    own.append((b"cache-control", b"no-store"))
                message["headers"] = own + HEADERS
            await send(message)

        try:
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            self._check(scope["method"], headers)
            if scope["method"] not in ("GET", "HEAD"):
                receive = _again(await _body(headers, receive), receive)
        except Refusal as refusal:
            await _refuse(sending, refusal)
            return
        await self.app(scope, receive, sending)

    def _check(self, method: str, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name.lower() not in self.hosts and not (self.numbers and is_number(name)):
            raise Refusal(
                400, "bad_request", "This server is called by another name; use the address it printed."
            )
        if method in ("GET", "HEAD"):
            return
        origin = headers.get("origin")
        ours = origin is None or origin.partition("://")[2] == host
        if not ours or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refusal(403, "forbidden", "This request comes from another site.")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refusal(415, "not_json", "Send JSON, with the header Content-Type: application/json.")


async def _body(headers: dict[str, str], receive: Receive) -> bytes:
    """The whole body, which is small."""
    length = headers.get("content-length", "0")
    if length.isdigit() and int(length) > LARGEST_BODY:
        raise _too_large()
    found, more = bytearray(), True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                found += message.get("body", b"")
                if len(found) > LARGEST_BODY:
                    raise _too_large()
                more = message.get("more_body", False)
    except TimeoutError:
        raise Refusal(408, "bad_request", "The request took too long to arrive; send it again.") from None
    return bytes(found)


def _too_large() -> Refusal:
    return Refusal(
        413, "too_large", f"The request is larger than {LARGEST_BODY // 1024} KiB; send less at once."
    )


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives what has been read, then goes on as the one before."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


async def _refuse(send: Send, refusal: Refusal) -> None:
    body = json.dumps({"error": refusal.error, "message": refusal.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
