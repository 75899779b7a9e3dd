"""The server as a process: how it starts, what it refuses, and that no death of it loses an answer."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from plaudit.errors import PlauditError
from plaudit.stages.verify import verify
from plaudit.storage import open_store
from plaudit.web.folder import Folder
from plaudit.web.state import AppState
from tests.web.asking import decision, make_folder
from tests.web.processes import Server, start

KILLS, PEOPLE, QUESTIONS = 5, 4, 400


@pytest.mark.slow
def test_one_server_a_folder_and_a_link_that_is_good_once(folder: Path) -> None:
    server = start(folder)
    root = server.client()
    try:
        me = root.get("/api/me").json()
        assert me["role"] == "admin"
        again = httpx2.post(f"{server.address}/api/join", json={"token": server.token, "name": "Eve"})
        assert (again.status_code, again.json()["error"]) == (410, "gone")
        mirror, unfinished = folder / "responses.jsonl", '{"seq": 1}\n{"se'
        mirror.write_text(unfinished)
        command = [sys.executable, "-m", "plaudit.cli.main", "label", str(folder), "--no-browser"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert second.returncode == 1 and second.stdout == ""
        assert f"another server is serving it at {server.address}" in second.stderr
        assert mirror.read_text() == unfinished  # what the first one is writing is left alone
    finally:
        assert server.end(signal.SIGINT) == 0
    restarted = start(folder)
    try:
        assert restarted.address == server.address  # what browsers keep, they keep by address
        assert root.get("/api/me").json() == me  # the session has survived
        with closing(restarted.client()) as other:
            assert other.get("/api/me").json()["id"] == me["id"]
    finally:
        root.close()
        restarted.end(signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
@pytest.mark.slow
def test_it_ends_with_one_quiet_line_whoever_is_connected(folder: Path, number: int) -> None:
    server = start(folder, stderr=subprocess.STDOUT)
    assert server.process.stdout is not None
    port = int(server.address.rpartition(":")[2])
    with (
        closing(server.client()) as root,
        root.stream("GET", "/api/progress/stream") as stream,
        socket.create_connection(("127.0.0.1", port), timeout=30) as slow,
    ):
        next(stream.iter_lines())
        head = f"POST /api/answers HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        slow.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())  # and no more
        time.sleep(0.3)
        server.process.send_signal(number)
        said = server.process.stdout.read().split("\n")
    assert server.process.wait(30) == 0
    server.process.stdout.close()
    told = ["", "Stopped. Every acknowledged answer is stored; the same command goes on.", ""]
    assert said == (told if number == signal.SIGINT else [""])


def test_a_very_large_body_is_refused_unread(folder: Path) -> None:
    server = start(folder)
    try:
        port = int(server.address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            head = (
                f"POST /api/answers HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            )
            connection.sendall(f"{head}Content-Length: {100 * 2**20}\r\n\r\n".encode())
            assert connection.recv(4096).startswith(b"HTTP/1.1 413")
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            with pytest.raises(OSError):
                for _ in range(100 * 2**20 // 65536):  # goes on sending, whatever is answered
                    connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
                connection.recv(1)
                raise OSError  # the server took it all without looking
        assert httpx2.get(f"{server.address}/api/health").status_code == 200
    finally:
        server.end(signal.SIGINT)


def test_it_starts_without_torch_and_the_trainers_libraries(folder: Path) -> None:
    code = (
        "import sys; import plaudit.cli.label, plaudit.cli.serve, plaudit.stages.label, plaudit.web.server; "
        "from pathlib import Path; from plaudit.web.state import AppState; from plaudit.web.folder import Folder; "
        "from plaudit.web.server import make_app; make_app(AppState.open(Folder(Path(sys.argv[1])))); "
        "print(sorted({'torch', 'gymnasium', 'transformers', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


def test_folders_that_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match=r"not a run folder .manifest\.json is missing"):
        AppState.open(Folder(tmp_path))
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(PlauditError, match="has asked nobody yet"):
        AppState.open(Folder(tmp_path))
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(PlauditError, match="damaged"):
        AppState.open(Folder(tmp_path))


def test_ports_that_are_taken(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "plaudit.cli.main", "serve", str(folder), "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1 and f"port {port}" in done.stderr and "choose another" in done.stderr


class Person(threading.Thread):
    """Answers until told to stop; an answer leaves the outbox with its receipt, and not before."""

    def __init__(self, http: httpx2.Client, stop: threading.Event):
        super().__init__()
        self.http, self.stop = http, stop
        self.receipts: list[dict[str, Any]] = []
        self.faults: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            for task in self._heard("/api/tasks", {"count": 3})["tasks"]:
                self.receipts.append(self._heard("/api/answers", decision(task)))

    def _heard(self, path: str, body: dict[str, Any]) -> Any:
        while True:
            try:
                answer = self.http.post(path, json=body)
            except httpx2.TransportError:
                time.sleep(0.05)
                continue
            if answer.status_code == 200:
                return answer.json()
            self.faults.append(answer.text)
            return {"tasks": []}


@pytest.mark.slow
def test_killed_again_and_again_it_keeps_every_promise(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "run", QUESTIONS, stage="label")
    server = start(folder)
    root, stop = server.client(), threading.Event()
    people = [Person(_invited(server, root, f"p{i}"), stop) for i in range(PEOPLE)]
    for person in people:
        person.start()
    for _ in range(KILLS):
        time.sleep(0.7)
        server.end(signal.SIGKILL)
        server = start(folder)
    stop.set()
    for person in people:
        person.join(60)
        person.http.close()
    root.close()
    server.end(signal.SIGINT)
    assert [fault for person in people for fault in person.faults] == []
    receipts = [receipt for person in people for receipt in person.receipts]
    kept = tmp_path / "receipts.jsonl"
    kept.write_text("".join(str(receipt).replace("'", '"') + "\n" for receipt in receipts))
    found = verify(folder, kept)
    assert found.faults == [] and found.receipts == len(receipts) > 0
    assert found.answers == found.mirrored == len(receipts)
    store = open_store(folder / "feedback.db")
    counts = Counter(response.query_id for response in store.answers())
    store.close()
    assert set(counts.values()) == {1}


def _invited(server: Server, root: httpx2.Client, name: str) -> httpx2.Client:
    body = {"role": "annotator", "name": name}
    return server.client(root.post("/api/invitations", json=body).json()["link"].rpartition("#")[2])
