"""Questions that one person is asked twice, with the options the other way round: how steady are the answers?

One in every 20 answers, at a place that nobody can foresee; a repeat is a question like any other, for this person
alone, and the trainer does not learn from it.
"""

from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select

from plaudit.storage import rows
from plaudit.storage.claiming import QUERY, shown_to
from plaudit.storage.keys import REPEAT
from plaudit.storage.store import NewQuery
from plaudit.storage.tables import queries, repeats, responses, showings, slots

BLOCK = 20
"""One repeat in this many answers: 5 %."""
APART = 5
"""At least this many other answers lie between."""
REACH = 40
"""How far back a repeat may go, in answers."""

FOR_ANYBODY = slots.c.query_id.not_in(select(repeats.c.query_id))
"""Slots that somebody else may fill where one person leaves: what waits for an answer, and not for a person."""

OWN = (responses.c.annotator == bindparam("who"), responses.c.supersedes.is_(None))
ANSWERED = select(func.count()).select_from(responses).where(*OWN)
DONE = select(repeats.c.query_id).where(
    repeats.c.annotator == bindparam("who"), repeats.c.block == bindparam("block")
)
EARLIER = (
    select(responses.c.query_id)
    .where(*OWN, responses.c.query_id.not_in(select(repeats.c.query_id)))
    .order_by(responses.c.seq.desc())
    .offset(APART)
    .limit(REACH)
)


def ask_again(connection: Connection, seed: int, annotator: str, until: float) -> None:
    """Give this person a repeat if one is due; held for them until then, and for nobody else ever."""
    answered = connection.execute(ANSWERED, {"who": annotator}).scalar_one()
    block, place = divmod(answered, BLOCK)
    if answered <= APART or place < _drawn(f"place/{seed}/{block}/{annotator}", BLOCK):
        return
    if connection.execute(DONE, {"who": annotator, "block": block}).first() is not None:
        return
    found = connection.execute(EARLIER, {"who": annotator}).scalars().all()
    if found:
        chosen = found[_drawn(f"choice/{seed}/{block}/{annotator}", len(found))]
        _repeat(connection, chosen, (annotator, block), until)


def _repeat(connection: Connection, original: int, whose: tuple[str, int], until: float) -> None:
    annotator, block = whose
    old = rows.to_query(connection.execute(select(queries).where(queries.c.id == original)).one())
    new = NewQuery(f"{REPEAT}{annotator}/{block}", old.kind, old.items, old.tick, old.payload)
    added = insert(queries).values(rows.of_query(new)).returning(queries.c.id)
    id = connection.execute(added).scalar_one()
    row = {"query_id": id, "original_id": original, "annotator": annotator, "block": block}
    give(connection, row, until)


def give(connection: Connection, row: dict[str, Any], until: float) -> None:
    """Make a question the repeat that a row of `repeats` says, held for its person until then."""
    query_id, annotator = row["query_id"], row["annotator"]
    asked = rows.to_query(connection.execute(QUERY, {"query": query_id}).one())
    connection.execute(insert(repeats).values(row))
    connection.execute(insert(slots).values(query_id=query_id, holder=annotator, lease_until=until))
    shown = shown_to(connection, row["original_id"], annotator) or tuple(range(len(asked.items)))
    connection.execute(
        insert(showings).values(
            query_id=query_id,
            annotator=annotator,
            options=len(asked.items),
            position=-1 - row["block"],  # beside the balanced blocks of four, which count from 0
            shown_order=rows.of_order(shown[::-1]),
        )
    )


def _drawn(name: str, count: int) -> int:
    """A place from 0 to count - 1, the same for ever for the same name."""
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") % count
