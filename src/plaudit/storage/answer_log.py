"""Answers: which may be stored, and a store's answers and questions kept at hand without reading anything twice."""

from collections.abc import Sequence

from plaudit.errors import PlauditError
from plaudit.feedback import kind_of, options_of
from plaudit.storage.store import LARGEST, Conflict, NewResponse, Query, Response, Store


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
    feedback, shown = response.feedback, query.shown_order
    if response.shown_order != shown:
        raise PlauditError(
            f"response.shown_order: {response.shown_order} is not {shown}, the order query {query.id} was shown "
            "in; send back the order of the claim"
        )
    if options_of(feedback) != tuple(query.items[place] for place in shown):
        raise PlauditError(
            f"response.feedback: the options are not those of query {query.id} in the order they were shown in"
        )
    wanted = feedback.wrong_for(query.payload)
    if wanted is not None:
        raise PlauditError(f"response.feedback: query {query.id} asks for {wanted}")


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


class AnswerLog:
    """The answers and questions of a store, kept up to date by reading only what is new.

    The cost of reading on does not grow with what was read before. One thread uses it. It keeps nothing that another
    process, or this one after it was killed, could not read again: a new log of the same store holds the same.
    """

    def __init__(self, store: Store):
        self.store = store
        self.queries: dict[int, Query] = {}
        """Every question known so far, by id; also such as were asked after the last answer read."""
        self._fetched: list[Response] = []
        self._newest_query = 0
        self._begin()

    def _begin(self) -> None:
        """Before the first answer."""
        self.cursor = 0
        """The seq of the last answer read."""
        self._standing: dict[int, Response] = {}
        self._answered: dict[int, int] = {}
        self._open = dict(self.queries)

    def read(self, upto: int = LARGEST) -> list[Response]:
        """What is new since the last reading: the answers up to this seq, by seq, superseded ones too.

        Where more was read before, as by a process that was resumed and goes through its old cursors again, the log
        goes back, and gives all answers from the first on.
        """
        if upto < self.cursor:
            self._begin()
        known = len(self._fetched)  # seqs are numbered without gaps, so the answer at place i has seq i + 1
        if upto > known:
            self._fetched += self.store.answers(known, upto)
        self._take(self.store.queries(after=self._newest_query))  # after the answers: none lacks its question
        new = self._fetched[self.cursor : max(upto, 0)]
        for response in new:
            self._add(response)
        self.cursor += len(new)
        return new

    @property
    def view(self) -> list[Response]:
        """The standing answers at the cursor, as `Store.view` gives them: without superseded ones, by seq."""
        return list(self._standing.values())

    def after(self, seq: int) -> list[Response]:
        """The answers above this seq that have been read, superseded ones too, by seq."""
        return self._fetched[max(seq, 0) : self.cursor]

    @property
    def open_queries(self) -> list[Query]:
        """The questions that at the cursor want another answer, by id."""
        return list(self._open.values())

    def _take(self, queries: list[Query]) -> None:
        for query in queries:
            self.queries[query.id] = self._open[query.id] = query
            self._newest_query = query.id

    def _add(self, response: Response) -> None:
        self._standing[response.id] = response  # behind all others: a dictionary keeps the order of its keys
        if response.supersedes is not None:
            del self._standing[response.supersedes]
            return
        count = self._answered[response.query_id] = self._answered.get(response.query_id, 0) + 1
        if count >= self.queries[response.query_id].wanted:
            del self._open[response.query_id]
