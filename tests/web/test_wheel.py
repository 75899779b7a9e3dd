"""The wheel alone, in an environment of its own: nothing that the pages need was left out of it or lies elsewhere."""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest

from tests.web.processes import Server

ROOT = Path(__file__).parents[2]
BARE = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DISPLAY"))}
"""Nothing that leads back to the sources."""
PAGES = ("/", "/join", "/run", "/people")
KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".html": "text/html",
}
NAMED = re.compile(
    r"""(?:href|src)="(/[^"]*)"|(?:from|import)\s*\(?\s*["'](\.{0,2}/[^"']+)["']|url\(["']?([^"')]+)["']?\)"""
)
"""What pages, modules and style sheets name."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that holds the wheel, and sees the libraries of this one but not our sources."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    python = place / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
    ]
    done = subprocess.run([*install, str(wheel)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (packages,) = place.glob("lib/python*/site-packages")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "libraries.pth").write_text(
        "".join(f"{path}\n" for path in sorted(paths))
    )  # no .pth in there is read
    return place / "bin"


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    package = ROOT / "src" / "plaudit"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    with zipfile.ZipFile(wheel) as archive:
        assert {str(path.relative_to(package.parent)) for path in files} <= set(archive.namelist())


@pytest.fixture
def server(installed: Path, tmp_path: Path) -> Iterator[Server]:
    """`plaudit label --items` as somebody who installed it starts it."""
    rows = [{"prompt": f"p{i}", "first": "a", "second": "b"} for i in range(3)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = [str(installed / "plaudit"), "label", "--items", "pairs.jsonl", "--no-browser"]
    process = subprocess.Popen(words, cwd=tmp_path, env=BARE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = "".join(process.stdout.readline() for _ in range(3))
    link = re.search(r"(http://[^/]+)/join\S*#(\S+)", said)
    assert link is not None, said
    yield Server(process, link.group(1), link.group(2))
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stdout.close()


@pytest.mark.slow
def test_its_pages_and_everything_they_name_are_served(installed: Path, server: Server) -> None:
    where = [str(installed / "python"), "-c", "import plaudit; print(plaudit.__file__)"]
    found = subprocess.run(where, cwd=installed, env=BARE, capture_output=True, text=True, timeout=60)
    assert found.stdout.startswith(str(installed.parent)), found
    with closing(server.client()) as me:
        kinds = {path: _fetched(me, path) for path in PAGES}
        assert all(kind.startswith("text/html") for kind, _ in kinds.values())
        texts = [*(text for _, text in kinds.values()), me.get("/nowhere").text]
        waiting = [urljoin("/", name) for text in texts for name in _names(text)]
        seen: dict[str, str] = {}
        while waiting:
            path = waiting.pop()
            if path in seen or path in PAGES:
                continue
            seen[path], text = _fetched(me, path)
            waiting += [urljoin(path, name) for name in _names(text)]
        assert {
            path: kind for path, kind in seen.items() if not kind.startswith(KINDS[Path(path).suffix])
        } == {}
        static = {f"/static/{path.name}" for path in (ROOT / "src/plaudit/web/static").iterdir()}
        assert set(seen) == static  # nothing is missing, and nothing lies there that no page needs
        assert len(me.post("/api/tasks", json={"count": 3}).json()["tasks"]) == 3


def _fetched(http: httpx2.Client, path: str) -> tuple[str, str]:
    answer = http.get(path)
    assert answer.status_code == 200, path
    return answer.headers["content-type"], answer.text


def _names(text: str) -> list[str]:
    return [
        name
        for found in NAMED.findall(text)
        for name in found
        if name and not name.startswith(("data:", "#"))
    ]
