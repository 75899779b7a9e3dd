"""Bad questions and answers never reach a store: the error names the field."""

from dataclasses import replace

import pytest

from plaudit.errors import PlauditError
from plaudit.feedback import Binary
from plaudit.storage import NewResponse
from tests.storage.asking import question

ANSWER = NewResponse("u1", 1, "ann", Binary("x", True), ())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key", ""),
        ("key", "a\x00"),
        ("key", "\ud800"),
        ("kind", "opinion"),
        ("kind", ["comparison"]),
        ("items", ("a",)),
        ("items", ("a", "b", "c")),
        ("items", ("a", "")),
        ("items", ["a", "b"]),
        ("tick", 1.5),
        ("tick", True),
        ("wanted", 0),
        ("wanted", 2**63),
    ],
)
def test_a_bad_field_of_a_question(field: str, value: object) -> None:
    with pytest.raises(PlauditError, match=rf"query\.{field}"):
        replace(question("a"), **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("client_uuid", ""),
        ("client_uuid", None),
        ("annotator", "\udfff"),
        ("query_id", "1"),
        ("query_id", 2**63),
        ("query_id", -1),
        ("feedback", {"kind": "binary"}),
        ("shown_order", [0, 1]),
        ("shown_order", (0, "1")),
        ("shown_order", (-1,)),
        ("active_ms", -1),
        ("active_ms", 1.5),
        ("supersedes", "u0"),
    ],
)
def test_a_bad_field_of_an_answer(field: str, value: object) -> None:
    with pytest.raises(PlauditError, match=rf"response\.{field}"):
        replace(ANSWER, **{field: value})
