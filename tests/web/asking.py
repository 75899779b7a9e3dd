"""A folder with questions, and people who come in and answer over HTTP, in few words."""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image
from starlette.testclient import TestClient

from plaudit.storage import Artifacts, NewQuery, open_store
from plaudit.web.server import guarded, make_app
from plaudit.web.state import AppState

ADDRESS = "http://127.0.0.1:8000"
SCALE = {"criterion": "overall", "low": 1, "high": 5}


def make_folder(path: Path, pairs: int = 5, wanted: int = 1, **manifest: Any) -> Path:
    """A folder of questions about texts, as a run or `label --items` makes it."""
    path.mkdir(exist_ok=True)
    about = {"stage": "optimise", "status": "running"} | manifest
    (path / "manifest.json").write_text(json.dumps(about))
    artifacts = Artifacts(path / "artifacts")
    store = open_store(path / "feedback.db", 7)
    store.enqueue([pair(artifacts, number, wanted) for number in range(pairs)])
    store.close()
    return path


def text(artifacts: Artifacts, completion: Any, prompt: str = "Why?", messages: Any = None) -> str:
    """An answer to a prompt, as an artifact."""
    about = {
        "prompt": prompt,
        "completion": completion,
        "messages": messages,
        "columns": {"hidden": "secret"},
    }
    return artifacts.put(json.dumps(about).encode())


def pair(artifacts: Artifacts, number: int, wanted: int = 1) -> NewQuery:
    """A comparison of two texts."""
    items = text(artifacts, f"<b>yes {number}</b>"), text(artifacts, f"no {number}")
    return NewQuery(f"q{number}", "comparison", items, 3, {"prompt": "Why?"}, wanted)


def sheet(artifacts: Artifacts) -> str:
    """A small picture, as an artifact."""
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "WEBP")
    return artifacts.put(file.getvalue())


@dataclass
class Someone:
    """A person with a session at a server."""

    http: TestClient
    csrf: str
    id: int
    name: str

    def get(self, path: str) -> Any:
        return self.http.get(path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.http.post(path, json={} if body is None else body, headers={"X-Plaudit-CSRF": self.csrf})

    def tasks(self, count: int = 1, besides: Any = ()) -> list[dict[str, Any]]:
        found = self.post("/api/tasks", {"count": count, "besides": list(besides)})
        assert found.status_code == 200, found.text
        return found.json()["tasks"]

    def answer(self, task: dict[str, Any], said: str = "first", **changes: Any) -> Any:
        return self.post("/api/answers", decision(task, said) | changes)


def decision(task: dict[str, Any], said: str = "first") -> dict[str, Any]:
    """An answer to a comparison, as a page sends it."""
    return {
        "client_uuid": str(uuid4()),
        "query_id": task["query_id"],
        "shown_order": task["shown_order"],
        "feedback": {
            "kind": "comparison",
            "options": [option["sha256"] for option in task["options"]],
            "answer": said,
        },
        "active_ms": 1200,
        "supersedes": None,
    }


class Site:
    """Lets people in to one open folder."""

    def __init__(self, state: AppState):
        self.state = state
        self.app = make_app(state)
        self._guarded = guarded(self.app)

    def visitor(self) -> TestClient:
        """Somebody without a session."""
        return TestClient(self._guarded, base_url=ADDRESS, raise_server_exceptions=False)

    def let_in(self, name: str, role: str = "annotator") -> Someone:
        """Somebody new, by an invitation."""
        token = self.state.database.people.invite(role, name)[1]
        http = self.visitor()
        person = http.post("/api/join", json={"token": token}).json()
        return Someone(http, http.get("/api/me").json()["csrf"], person["id"], person["name"])
