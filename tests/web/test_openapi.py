"""Whatever is sent, the API answers as its own description says: schemathesis draws the requests, good and bad ones."""

import warnings
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.web.asking import Site, Someone

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = 40
"""Requests of each operation and each mode."""
LEFT_OUT = ("/api/progress/stream", "/api/leave", "/api/people/{person_id}/revoke")
"""One does not end; the others end the session that all the others need. test_roles calls them."""

QUIET = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def send(who: Someone, case: Any) -> Any:
    """The request of a case, from somebody who is signed in."""
    given = case.as_transport_kwargs(base_url="http://127.0.0.1:8000")
    kept = {
        name: given[name] for name in ("json", "content", "data", "params") if given.get(name) is not None
    }
    if isinstance(kept.get("data"), bytes | str):
        kept["content"] = kept.pop("data")
    headers = {name: value for name, value in dict(given.get("headers") or {}).items() if name != "Cookie"}
    headers |= {"X-Plaudit-CSRF": who.csrf, "Host": "127.0.0.1:8000"}
    return who.http.request(given["method"], given["url"], headers=headers, **kept)


CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
)


def try_out(who: Someone, operation: Any, mode: str) -> set[int]:
    """The statuses of a few requests, each answer checked against the description."""
    checks = schemathesis.checks.CHECKS.get_by_names(list(CHECKS))
    found: set[int] = set()

    @QUIET
    @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
    def answers(case: Any) -> None:
        answer = send(who, case)
        found.add(answer.status_code)
        case.validate_response(answer, checks=checks)

    answers()
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_every_answer_is_as_described(site: Site, root: Someone, mode: str) -> None:
    description = site.app.openapi()
    schema = schemathesis.openapi.from_dict(description)
    operations = [
        (path, method.upper())
        for path, methods in description["paths"].items()
        for method in methods
        if path not in LEFT_OUT
    ]
    assert len(operations) >= 13
    skipped, statuses = [], {}
    for path, method in operations:
        try:
            statuses[method, path] = try_out(root, schema[path][method], mode)
        except hypothesis.errors.Unsatisfiable:  # nothing can be wrong about a request without parameters
            skipped.append((method, path))
    assert mode == "negative" or not skipped
    assert not any(status >= 500 for found in statuses.values() for status in found)
    if mode == "positive":
        assert all(200 in statuses["GET", path] for path in ("/api/health", "/api/me", "/api/people"))
        assert 200 in statuses["POST", "/api/tasks"]
    else:
        assert statuses["POST", "/api/answers"] <= {400, 403, 415, 422}
