"""What every request passes and every answer carries."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from plaudit.web.guard import LARGEST_BODY, Guard
from plaudit.web.server import guarded
from tests.web.asking import ADDRESS, Site, Someone

PATHS = (
    "/",
    "/join",
    "/nowhere",
    "/static/label.js",
    "/static/nowhere.js",
    "/api/health",
    "/api/me",
    "/api/nowhere",
)


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_headers(site: Site, path: str) -> None:
    headers = site.visitor().get(path).headers
    csp = headers["content-security-policy"]
    assert "default-src 'none'" in csp and "frame-ancestors 'none'" in csp and "script-src 'self'" in csp
    assert not any(word in csp for word in ("unsafe", "*", "http:", "data:"))
    assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["cache-control"] == ("no-cache" if path == "/static/label.js" else "no-store")
    assert "server" not in headers


def test_pages_hold_no_inline_script_or_style(site: Site, root: Someone) -> None:
    for path in ("/", "/join", "/run", "/people"):
        page = root.get(path).text
        for tag in page.split("<script")[1:]:
            assert 'src="/static/' in tag.partition(">")[0] and tag.partition(">")[2].startswith("</script>")
        assert "<style" not in page and " style=" not in page and "//" not in page.replace("<!--", "")


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(site: Site) -> None:
    token = site.state.database.people.invite("admin", "Root")[1]
    answer = site.visitor().post("/api/join", json={"token": token})
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert cookie.startswith(f"{site.state.cookie}=")
    secret = cookie.partition("=")[2].partition(";")[0]
    assert secret not in answer.text


def test_behind_tls_the_cookie_stays_there(site: Site) -> None:
    for scheme in ("https", "http"):
        token = site.state.database.people.invite("annotator", scheme)[1]
        http = TestClient(guarded(site.app), base_url=f"{scheme}://127.0.0.1:8000")
        cookie = http.post("/api/join", json={"token": token}).headers["set-cookie"]
        assert ("Secure" in cookie.split("; ")) == (scheme == "https")


def test_another_host_name_is_refused(site: Site) -> None:
    """A page elsewhere whose name was made to point at this machine."""
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "localhost.evil:8000"):
        assert site.visitor().get("/api/health", headers={"Host": host}).status_code == 400
    for host in ("localhost:1", "127.0.0.1", "[::1]:8000"):
        assert site.visitor().get("/api/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_other_sites_cannot_send_anything(root: Someone, headers: dict[str, str]) -> None:
    sent = {"X-Plaudit-CSRF": root.csrf, **headers}
    assert root.http.post("/api/tasks", json={"count": 1}, headers=sent).status_code == 403
    sent = {"X-Plaudit-CSRF": root.csrf, "Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}
    assert root.http.post("/api/tasks", json={"count": 1}, headers=sent).status_code == 200


def send(who: Someone, body: bytes, kind: str = "application/json", path: str = "/api/answers") -> Any:
    headers = {"X-Plaudit-CSRF": who.csrf, "Content-Type": kind}
    return who.http.post(path, content=body, headers=headers)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_only_json_is_taken(root: Someone, kind: str) -> None:
    assert send(root, b"{}", kind).status_code == 415


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nonsense", b"\xff\xfe", b"[" * 60_000, b'{"a":' * 10_000, b"9" * 60_000, b'{"count": 01}'],
    ids=lambda body: f"{body[:8]!r} x {len(body)}",
)
def test_what_is_no_json_is_said_to_be_none(root: Someone, body: bytes) -> None:
    answer = send(root, body)
    assert answer.status_code in (400, 422)
    assert set(answer.json()) == {"error", "message"}


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b'"text"', b"3", b"true", b'{"count": NaN}', b'{"count": 1e999}']
)
def test_json_of_another_form_is_refused(root: Someone, body: bytes) -> None:
    assert send(root, body, path="/api/tasks").status_code == 422


def test_half_a_surrogate_pair_is_refused(site: Site) -> None:
    token = site.state.database.people.invite("annotator")[1]
    body = f'{{"token": "{token}", "name": "\\ud800"}}'.encode()
    answer = site.visitor().post("/api/join", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422


def test_large_bodies_are_refused_before_they_are_read(root: Someone) -> None:
    answer = send(root, json.dumps({"name": "x" * LARGEST_BODY}).encode())
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    taken = 0

    def endless() -> Any:
        nonlocal taken
        for _ in range(200):
            taken += 1
            yield b" " * 65536

    answer = root.http.post(
        "/api/answers",
        content=endless(),
        headers={"X-Plaudit-CSRF": root.csrf, "Content-Type": "application/json"},
    )
    assert answer.status_code == 413


def test_a_body_that_trickles_in_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a byte comes: the time is for the whole of it."""
    monkeypatch.setattr("plaudit.web.guard.BODY_SECONDS", 0.3)
    said: list[Any] = []

    async def never(*_: Any) -> None:
        raise AssertionError("the application is not reached")

    async def receive() -> Any:
        await asyncio.sleep(0.1)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        said.append(message)

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/api/answers", "headers": headers}
    with ThreadPoolExecutor(1) as thread:  # a browser's test may have left a loop in this one
        thread.submit(asyncio.run, asyncio.wait_for(Guard(never)(scope, receive, send), 5)).result()
    assert said[0]["status"] == 408


def test_methods_that_are_not_there(root: Someone) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        answer = root.http.request(method, "/api/answers", json={}, headers={"X-Plaudit-CSRF": root.csrf})
        assert (answer.status_code, answer.json()["error"]) == (405, "method_not_allowed")
        assert answer.headers["allow"]
    assert root.get("/openapi.json").status_code == 404 and root.get("/docs").status_code == 404


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"]
)
def test_static_files_stay_in_their_folder(site: Site, path: str) -> None:
    answer = site.visitor().get(path)
    assert answer.status_code == 404 and "import" not in answer.text


def test_a_mistake_of_the_server_tells_nothing(
    site: Site, root: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(type(site.state.database.people), "everyone", broken)
    answer = root.get("/api/people")
    assert (answer.status_code, answer.json()["error"]) == (500, "failed")
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers


def test_pages_say_what_is_wrong_as_text(site: Site) -> None:
    answer = site.visitor().get("/<script>alert(1)</script>")
    assert answer.status_code == 404 and answer.headers["content-type"].startswith("text/html")
    assert "<script>alert" not in answer.text
    assert site.visitor().get("/").status_code == 401
