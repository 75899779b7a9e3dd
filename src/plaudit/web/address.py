"""By which addresses a server is reached, and which names of it are not somebody else's trick."""

import ipaddress
import socket
from urllib.parse import urlsplit

from plaudit.errors import PlauditError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
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
    return ours if public is None else (*ours, str(urlsplit(public).hostname))


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
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/")
        whole = whole and not (parts.query or parts.fragment or parts.username) and (parts.port or 1)
    except ValueError:
        whole = False
    if not whole:
        raise PlauditError(
            f"--public: {public!r} is no address such as https://label.example.org or http://lab:8000"
        )
    return public


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
