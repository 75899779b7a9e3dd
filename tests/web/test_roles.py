"""Who may what: one table over every route of the application; a route that is missing in it fails."""

import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from plaudit.storage.people import ROLES
from tests.web.asking import Site, Someone, decision

ANYBODY, SIGNED_IN, ADMINS = ("nobody", "annotator", "admin"), ("annotator", "admin"), ("admin",)

TABLE: dict[tuple[str, str], tuple[tuple[str, ...], Any]] = {
    ("GET", "/"): (SIGNED_IN, None),
    ("GET", "/join"): (ANYBODY, None),
    ("GET", "/run"): (ADMINS, None),
    ("GET", "/people"): (ADMINS, None),
    ("GET", "/api/health"): (ANYBODY, None),
    ("POST", "/api/join"): (ANYBODY, {"token": "TOKEN"}),
    ("GET", "/api/me"): (SIGNED_IN, None),
    ("POST", "/api/leave"): (SIGNED_IN, {}),
    ("POST", "/api/tasks"): (SIGNED_IN, {"count": 1}),
    ("POST", "/api/tasks/{query_id}/release"): (SIGNED_IN, {}),
    ("POST", "/api/answers"): (SIGNED_IN, "ANSWER"),
    ("GET", "/api/answers"): (SIGNED_IN, None),
    ("GET", "/api/artifacts/{sha256}"): (SIGNED_IN, None),
    ("GET", "/api/progress"): (ADMINS, None),
    ("GET", "/api/progress/stream"): (ADMINS, None),
    ("POST", "/api/commands"): (ADMINS, {"kind": "pause"}),
    ("GET", "/api/people"): (ADMINS, None),
    ("POST", "/api/invitations"): (ADMINS, {"role": "annotator"}),
    ("POST", "/api/invitations/{invitation_id}/revoke"): (ADMINS, {}),
    ("POST", "/api/people/{person_id}/link"): (ADMINS, {}),
    ("POST", "/api/people/{person_id}/revoke"): (ADMINS, {}),
}
"""Who may call it, and with what body."""


def routes(site: Site) -> set[tuple[str, str]]:
    """Every method and path of the application, however deep its routers lie."""
    found: set[tuple[str, str]] = set()

    def walk(items: Any, prefix: str) -> None:
        for route in items:
            if isinstance(route, APIRoute):
                found.update((method, prefix + route.path) for method in route.methods)
            inner = getattr(route, "original_router", None) or getattr(route, "router", None)
            if inner is not None:
                walk(inner.routes, prefix)

    walk(site.app.routes, "")
    return found


def test_every_route_is_in_the_table_and_in_the_contract(site: Site) -> None:
    assert routes(site) == set(TABLE)
    contract = (Path(__file__).parents[2] / "docs" / "web.md").read_text(encoding="utf-8")
    told = {
        (method, re.sub(r"\{(\w+)\}", "{}", path))
        for method, path in re.findall(r"\| `(GET|POST) (\S+)` \|", contract)
    }
    assert {(method, re.sub(r"\{(\w+)\}", "{}", path)) for method, path in TABLE} | {
        ("GET", "/static/{}")
    } == told


NO_TASK = {"query_id": 0, "shown_order": [], "options": [{"sha256": ""}]}


def call(site: Site, who: Someone | None, route: tuple[str, str], owner: Someone) -> int:
    """The status that this caller gets; the question in it is the owner's."""
    method, path = route
    task = (
        owner.tasks()[0] if "{query_id}" in path or "{sha256}" in path or path == "/api/answers" else NO_TASK
    )
    victim = site.let_in(f"Victim of {method} {path}")
    link, token = site.state.database.people.invite("annotator", f"New at {method} {path}")
    body = TABLE[route][1]
    body = decision(task) if body == "ANSWER" else {"token": token} if body == {"token": "TOKEN"} else body
    path = path.format(
        query_id=task["query_id"],
        sha256=task["options"][0]["sha256"],
        invitation_id=link.id,
        person_id=victim.id,
    )
    if path.endswith("/stream"):
        site.app.state.closing.set()  # the stream ends at once
    http = site.visitor() if who is None else who.http
    headers = {} if who is None else {"X-Plaudit-CSRF": who.csrf}
    return http.request(method, path, json=body, headers=headers if method == "POST" else {}).status_code


@pytest.mark.parametrize("role", ("nobody", *ROLES))
@pytest.mark.slow
def test_role_by_route(site: Site, root: Someone, ann: Someone, role: str) -> None:
    who = {"nobody": None, "annotator": ann, "admin": root}[role]
    last_out = sorted(TABLE, key=lambda route: (route[1] == "/api/join", route[1] == "/api/leave"))
    found = {route: call(site, who, route, owner=who or ann) for route in last_out}
    refused = 401 if role == "nobody" else 403
    assert found == {route: 200 if role in TABLE[route][0] else refused for route in TABLE}


def test_nothing_changes_without_the_csrf_token(site: Site, root: Someone, ann: Someone) -> None:
    for method, path in TABLE:
        if method == "GET" or path == "/api/join":
            continue
        for csrf in ("", "0" * 64, ann.csrf):
            thief = Someone(root.http, csrf, root.id, root.name)
            answer = thief.post(path.format(query_id=1, invitation_id=1, person_id=1), {"count": 1})
            assert (answer.status_code, answer.json()["error"]) == (403, "forbidden"), path
    assert root.get("/api/me").status_code == 200
    assert not any(person.revoked for person in site.state.database.people.everyone())


def test_a_session_that_has_ended_opens_nothing(site: Site, ann: Someone) -> None:
    site.state.database.people.revoke(ann.id)
    for (method, path), (roles, _) in TABLE.items():
        if roles == ANYBODY:
            continue
        path = path.format(query_id=1, sha256="0" * 64, invitation_id=1, person_id=1)
        body = {} if method == "POST" else None
        assert (
            ann.http.request(method, path, json=body, headers={"X-Plaudit-CSRF": ann.csrf}).status_code == 401
        )
