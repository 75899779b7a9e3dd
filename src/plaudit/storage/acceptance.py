"""Whether an answer may be stored: the rules that need no database."""

from collections.abc import Sequence
from math import isfinite

from plaudit.errors import PlauditError
from plaudit.feedback import Rating, fields, kind_of, options_of
from plaudit.storage.store import Conflict, NewResponse, NotYours, Query, Response, Unknown


def check_claim(annotator: str, lease_seconds: float, now: float) -> None:
    """Refuse a claim by nobody or for no time."""
    fields.text("annotator", annotator)
    if not (isfinite(lease_seconds) and lease_seconds > 0 and isfinite(now)):
        raise PlauditError(f"lease_seconds: {lease_seconds!r} from {now!r} is not a positive, finite time")


def check_fit(response: NewResponse, query: Query, shown: Sequence[int] | None) -> None:
    """Refuse another kind, other options, or another order than was shown (None: there was no claim)."""
    feedback = response.feedback
    if kind_of(feedback) != query.kind:
        raise PlauditError(
            f"response.feedback: query {query.id} asks for a {query.kind}, not a {kind_of(feedback)}"
        )
    if sorted(options_of(feedback)) != sorted(query.items):
        raise PlauditError(
            f"response.feedback: the options are not those of query {query.id}; answer by content hash"
        )
    if shown is not None and tuple(shown) != response.shown_order:
        raise PlauditError(
            f"response.shown_order: {response.shown_order} is not {tuple(shown)}, the order query "
            f"{query.id} was claimed with; send back the order of the claim"
        )
    if response.shown_order and sorted(response.shown_order) != list(range(len(query.items))):
        raise PlauditError(
            f"response.shown_order: {response.shown_order} is not an order of {len(query.items)} options"
        )


def check_shown(response: NewResponse, query: Query) -> None:
    """Of a claimed query: refuse options in another order than shown, and a rating on another scale than asked for."""
    feedback, scale, shown = response.feedback, query.payload.get("scale"), query.shown_order
    if response.shown_order != shown:
        raise PlauditError(
            f"response.shown_order: {response.shown_order} is not {shown}, the order query {query.id} was shown "
            "in; send back the order of the claim"
        )
    if options_of(feedback) != tuple(query.items[place] for place in shown):
        raise PlauditError(
            f"response.feedback: the options are not those of query {query.id} in the order they were shown in"
        )
    if isinstance(feedback, Rating) and scale is not None:
        wanted = scale["criterion"], scale["low"], scale["high"]
        if (feedback.criterion, feedback.low, feedback.high) != wanted:
            raise PlauditError(
                f"response.feedback: query {query.id} asks for {wanted[0]!r} from {wanted[1]} to {wanted[2]}"
            )


def check_superseded(response: NewResponse, old: Response | None, replaced: bool) -> None:
    """Only an own answer to the same query can be superseded, and only once: corrections form a chain."""
    if old is None or old.annotator != response.annotator or old.query_id != response.query_id:
        raise PlauditError(
            f"response.supersedes: {response.supersedes} is not an answer of {response.annotator!r} "
            f"to query {response.query_id}"
        )
    if replaced:
        raise Conflict(
            f"response.supersedes: answer {old.id} has been superseded already; supersede the latest one"
        )


def unknown_query(query_id: int) -> Unknown:
    """There is no such query."""
    return Unknown(f"query {query_id} does not exist in this store")


def never_shown(query_id: int) -> NotYours:
    """Who answers must have been asked."""
    return NotYours(
        f"response.query_id: query {query_id} was never given to you; answer the questions you get"
    )


def unknown_answer(client_uuid: str) -> Unknown:
    """What is to be corrected is not there, or not there yet."""
    return Unknown(
        f"response.supersedes: {client_uuid!r} is not an answer of yours in this store; send that one first"
    )


def another_body(client_uuid: str) -> Conflict:
    """A client must never reuse the identifier of a decision for another one."""
    return Conflict(
        f"response.client_uuid: {client_uuid!r} is stored with another answer; draw a new one per decision"
    )


def answered_already(response: NewResponse) -> Conflict:
    """A second answer must say what it replaces."""
    return Conflict(
        f"response.query_id: {response.annotator!r} has answered query {response.query_id} already; "
        "name the earlier answer in supersedes to correct it"
    )


def no_room(query_id: int) -> Conflict:
    """Every wanted answer has come from, or is leased to, other people."""
    return Conflict(f"response.query_id: query {query_id} is with other people now; claim another query")
