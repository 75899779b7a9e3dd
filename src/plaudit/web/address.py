"""By which addresses a server is reached, and which names of it are not somebody else's trick."""

import ipaddress
import re
import socket
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
