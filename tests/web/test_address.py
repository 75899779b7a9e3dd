"""Addresses for links, and the names that a server answers to."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from plaudit.errors import PlauditError
from plaudit.web.folder import Folder
from plaudit.web.guard import checked, names, reached
from plaudit.web.server import guarded
from plaudit.web.state import AppState
from tests.web.asking import Site

PATHS = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_the_address_for_links() -> None:
    assert reached("127.0.0.1", 8000, None) == "http://127.0.0.1:8000"
    assert reached("::1", 8000, None) == "http://[::1]:8000"
    assert reached("lab", 8000, "https://label.example.org/") == "https://label.example.org"
    assert re.fullmatch(r"http://(?!0\.0\.0\.0)[\d.]+:8000", reached("0.0.0.0", 8000, None))


@pytest.mark.parametrize(
    "public",
    [
        "label.example.org",
        "ftp://a",
        "https://",
        "http://a/b",
        "http://a:x",
        "http://[",
        "http://u@a",
        "http://@a",
        "https://x\n",
        " https://x",
        "https://x\t",
        "https://a b",
        "https://a\u3000b",
        "https://x?",
        "https://x#",
        "https://x:0",
        "\x01https://x",
        "https://x:99999",
        "https://x\\y",
        "https://<script>",
        "https://[fe80::1%eth0]",
        "https://ü" + 70 * "a",
        "https://[1.2.3.4]",
        "https://\u200d.de",
    ],
)
def test_public_addresses_that_are_none(public: str) -> None:
    with pytest.raises(
        PlauditError, match=r"^--public: .* is no address such as .*; give http or https, a name"
    ):
        checked(public)


def status(site: Site, host: str, listening: str, public: str | None = None) -> int:
    app = guarded(site.app, names(listening, public), numbers=listening != "127.0.0.1")
    return TestClient(app, base_url="http://127.0.0.1").get("/api/health", headers={"Host": host}).status_code


def test_names_that_others_made_point_here_are_refused(site: Site) -> None:
    for listening in ("127.0.0.1", "0.0.0.0", "192.168.1.5"):
        assert status(site, "evil.example:8000", listening) == 400
        assert status(site, "localhost:8000", listening) == 200
    assert status(site, "192.168.1.5:8000", "0.0.0.0") == status(site, "[fe80::1]:8000", "0.0.0.0") == 200
    assert status(site, f"{socket.gethostname().upper()}:8000", "0.0.0.0") == 200
    assert status(site, "192.168.1.5:8000", "127.0.0.1") == 400
    public = "https://label.example.org"  # a proxy on this machine hands on the name it was called by
    assert status(site, "label.example.org", "127.0.0.1", public) == 200
    assert status(site, "other.example.org", "127.0.0.1", public) == 400


@pytest.mark.parametrize(
    ("public", "host"),  # as browsers send it
    [
        ("https://müller.de", "xn--mller-kva.de"),
        ("https://MÜLLER.de/", "xn--mller-kva.de"),
        ("https://faß.de", "xn--fa-hia.de"),
        ("https://xn--mller-kva.de", "xn--mller-kva.de"),
        ("http://[2001:db8::1]:8000", "[2001:db8::1]:8000"),
        ("http://[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ("http://192.168.1.5:8000", "192.168.1.5:8000"),
        ("https://Label.Example.org.", "label.example.org."),
        ("http://my_lab:8000", "my_lab:8000"),
    ],
)
def test_a_proxy_may_call_by_the_public_name_as_browsers_write_it(site: Site, public: str, host: str) -> None:
    assert status(site, host, "127.0.0.1", checked(public)) == 200
    assert status(site, host, "127.0.0.1", "https://other.example.org") == 400


def test_links_lead_to_the_public_address(folder: Path) -> None:
    state = AppState.open(Folder(folder), public="https://label.example.org/")
    try:
        root = Site(state).let_in("Root", "admin")
        link = root.post("/api/invitations", {"role": "annotator"}).json()["link"]
    finally:
        state.close()
    assert link.startswith("https://label.example.org/join#")


@pytest.mark.slow
def test_the_server_prints_the_public_address(folder: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "plaudit.cli.main",
        "serve",
        str(folder),
        "--public",
        "https://label.example.org",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | PATHS) as process:
        assert process.stdout is not None
        first, second = process.stdout.readline(), process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert "http" not in first  # one link alone to choose from
    assert "https://label.example.org/join?named#" in second
    wrong = subprocess.run(
        [*words[:-1], "example"], capture_output=True, text=True, env=os.environ | PATHS, timeout=60
    )
    assert wrong.returncode == 1 and "--public: 'example' is no address" in wrong.stderr
