"""Who may come in: people with a role, invitations for one sign-in each, and sessions.

Tokens are random, 256 bits each; the database holds only their SHA-256, which is enough for what cannot be guessed:
nobody chooses a password here. Nobody is deleted: answers of somebody who has left stay theirs.
"""

import hashlib
import secrets
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Row, bindparam, insert, select, true, update

from plaudit.errors import PlauditError
from plaudit.feedback import fields
from plaudit.storage.sql_queue import SqlQueueRows
from plaudit.storage.store import Conflict, Unknown
from plaudit.storage.tables import annotators, invitations, people, sessions, setting
from plaudit.storage.transactions import Action, Transactions

Role = Literal["admin", "annotator"]
ROLES: tuple[Role, ...] = get_args(Role)

DAY = 86400.0
SESSION_SECONDS = 90 * DAY
LINK_SECONDS = 7 * DAY
LONGEST_NAME = 60

REMEMBERED_SECONDS = 2.0
"""How long a session is good without another look; one that is ended by this process is forgotten at once."""
REMEMBERED = 1000
"""Sessions that are remembered at most."""

WHO = (
    select(people, sessions.c.expires_at)
    .join(sessions, sessions.c.person_id == people.c.id)
    .where(
        sessions.c.token_sha256 == bindparam("token"),
        sessions.c.revoked_at.is_(None),
        sessions.c.expires_at > bindparam("now"),
        people.c.revoked_at.is_(None),
    )
)
"""Whose session a token is; built once, as it is asked at every request."""


class Gone(PlauditError):
    """A link that is no longer good."""


@dataclass(frozen=True)
class Person:
    """Somebody who has come in."""

    id: int
    name: str
    """As the answers name their annotator; never changes."""
    role: Role
    revoked: bool


@dataclass(frozen=True)
class Invitation:
    """A link that waits to be used."""

    id: int
    role: Role
    name: str | None
    """Of whoever comes by it, where that is known."""
    person_id: int | None
    """Of somebody who has been here."""
    created_at: float
    expires_at: float


class Recent:
    """Sessions that were looked up a moment ago, so that who answers many questions is not looked up for each of them.

    Used from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Person, float]] = {}
        self.endings = 0
        """How often sessions were ended: what was read before the last time may be wrong."""

    def get(self, token: str, now: float) -> Person | None:
        """Whose it is; None where that is not known any more."""
        person, until = self._known.get(token, (None, 0.0))
        return person if now < until else None

    def keep(self, token: str, person: Person, until: float, endings: int) -> None:
        """Remember until then, unless a session was ended since `endings` was read."""
        with self._lock:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            if endings == self.endings:
                self._known[token] = person, until

    def forget(self) -> None:
        """A session was ended."""
        with self._lock:
            self.endings += 1
            self._known.clear()


class People:
    """People, invitations and sessions in SQLite or Postgres."""

    def __init__(self, transactions: Transactions, clock: Callable[[], float] = time.time):
        self._do, self._clock = transactions, clock
        self._recent = Recent()

    def invite(
        self, role: str, name: str | None = None, seconds: float = LINK_SECONDS
    ) -> tuple[Invitation, str]:
        """A link for somebody new, and its token, which is told this once."""
        fields.one_of("role", role, ROLES)
        known = None if name is None else clean_name(name)
        now = self._clock()
        return self._do.write(lambda c: _invite(c, _Link(role, known, None, now, now + seconds)))

    def invite_again(self, person_id: int, seconds: float = LINK_SECONDS) -> tuple[Invitation, str]:
        """A link for somebody who has been here."""

        def action(connection: Connection) -> tuple[Invitation, str]:
            person = _person(connection, person_id)
            if person.revoked:
                raise Conflict(f"{person.name} was signed out for good; invite somebody new")
            now = self._clock()
            return _invite(connection, _Link(person.role, person.name, person.id, now, now + seconds))

        return self._do.write(action)

    def join(self, token: str, name: str | None = None) -> tuple[Person, str]:
        """Use a link: who has come in, and the token of their session."""
        chosen = None if name is None else clean_name(name)
        return self._do.write(lambda c: _join(c, token, chosen, self._clock()))

    def who(self, token: str) -> Person | None:
        """Whose session this is; None where it has ended."""
        values, endings = {"token": digest(token), "now": self._clock()}, self._recent.endings
        row = self._do.read(lambda c: c.execute(WHO, values).one_or_none())
        if row is None:
            return None
        until = min(values["now"] + REMEMBERED_SECONDS, row.expires_at)
        self._recent.keep(values["token"], found := _to_person(row), until, endings)
        return found

    def recent(self, token: str) -> Person | None:
        """The same from memory, for whoever was looked up a moment ago; None: ask `who`."""
        return self._recent.get(digest(token), self._clock())

    def leave(self, token: str) -> None:
        """End a session."""
        ended = (
            update(sessions)
            .where(sessions.c.token_sha256 == digest(token), sessions.c.revoked_at.is_(None))
            .values(revoked_at=self._clock())
        )
        self._end(lambda connection: connection.execute(ended))

    def everyone(self) -> list[Person]:
        """Everybody who ever came in, by id."""
        rows = select(people).order_by(people.c.id)
        return self._do.read(lambda c: [_to_person(row) for row in c.execute(rows)])

    def open_invitations(self) -> list[Invitation]:
        """The links that are still good, by id."""
        waiting = select(invitations).where(_good(self._clock())).order_by(invitations.c.id)
        return self._do.read(lambda c: [_to_invitation(row) for row in c.execute(waiting)])

    def revoke_invitation(self, id: int) -> None:
        """Make a link useless; safe to do twice."""

        def action(connection: Connection) -> None:
            if connection.execute(select(invitations.c.id).where(invitations.c.id == id)).first() is None:
                raise Unknown(f"invitation {id} does not exist")
            still = (
                invitations.c.id == id,
                invitations.c.used_at.is_(None),
                invitations.c.revoked_at.is_(None),
            )
            connection.execute(update(invitations).where(*still).values(revoked_at=self._clock()))

        self._do.write(action)

    def revoke(self, person_id: int) -> None:
        """Sign somebody out for good, with all their sessions and links; safe to do twice.

        Where it is an admin, no open link stays good: they may have made any of them, for themselves to come back by.
        """
        self._end(lambda connection: _revoke(connection, person_id, self._clock()))

    def _end(self, action: Action[Any]) -> None:
        """End sessions; forget them even where the database could not say that it is done."""
        try:
            self._do.write(action)
        finally:
            self._recent.forget()


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def clean_name(name: str) -> str:
    """A name as it is kept; PlauditError for what people could not tell apart or read."""
    clean = " ".join(unicodedata.normalize("NFC", fields.text("name", name)).split())
    if not 1 <= len(clean) <= LONGEST_NAME:
        raise PlauditError(f"name: give 1 to {LONGEST_NAME} characters that can be seen")
    if any(unicodedata.category(character).startswith("C") for character in clean):
        raise PlauditError("name: it holds characters that cannot be seen; leave them out")
    return clean


@dataclass(frozen=True)
class _Link:
    """A link to be made; see `Invitation`."""

    role: str
    name: str | None
    person_id: int | None
    created_at: float
    expires_at: float


def _invite(connection: Connection, link: _Link) -> tuple[Invitation, str]:
    if link.name is not None and link.person_id is None:
        _refuse_taken(connection, link.name, invited=True)
    token = secrets.token_urlsafe(32)
    row = {"token_sha256": digest(token), **vars(link)}
    added = insert(invitations).values(row).returning(*invitations.c)
    return _to_invitation(connection.execute(added).one()), token


def _join(connection: Connection, token: str, chosen: str | None, now: float) -> tuple[Person, str]:
    wanted = invitations.c.token_sha256 == digest(token)
    link = connection.execute(select(invitations).where(wanted).with_for_update()).one_or_none()
    if link is None:
        raise Gone("this link is not known here; ask for another one")
    if link.used_at is not None or link.revoked_at is not None or link.expires_at <= now:
        raise Gone("this link was used, withdrawn or has expired; ask for another one")
    if link.person_id is not None:
        person = _person(connection, link.person_id)
        if person.revoked:
            raise Gone("whom this link is for was signed out; ask for another one")
    else:
        name = link.name or chosen
        if name is None:
            raise PlauditError("name: this link does not say who you are; give a name")
        _refuse_taken(connection, name, invited=link.name is not None)
        SqlQueueRows(connection).enter(name)
        added = insert(people).values(name=name, role=link.role, created_at=now).returning(*people.c)
        person = _to_person(connection.execute(added).one())
    connection.execute(update(invitations).where(invitations.c.id == link.id).values(used_at=now))
    own = secrets.token_urlsafe(32)
    session = {"token_sha256": digest(own), "person_id": person.id, "created_at": now}
    connection.execute(insert(sessions).values(**session, expires_at=now + SESSION_SECONDS))
    return person, own


def _refuse_taken(connection: Connection, name: str, invited: bool) -> None:
    """Also names of simulated people, and such as look alike in small letters.

    Who joined after the copy that a store was put back from has answers in it and no entry: an admin may invite them.
    """
    known = set(connection.execute(select(annotators.c.name)).scalars())
    if invited and setting(connection, "restored") is not None:
        known -= {name} - set(connection.execute(select(people.c.name)).scalars())
    if name.casefold() in {other.casefold() for other in known}:
        raise Conflict(f"name: {name!r} is taken; choose another one")


def _revoke(connection: Connection, person_id: int, now: float) -> None:
    person = _person(connection, person_id)
    if person.revoked:
        return
    admins = select(people.c.id).where(people.c.role == "admin", people.c.revoked_at.is_(None))
    # locked: two admins who throw each other out at once must not both succeed
    if person.role == "admin" and len(connection.execute(admins.with_for_update()).all()) == 1:
        raise Conflict(f"{person.name} is the last admin; invite another one first")
    links = true() if person.role == "admin" else invitations.c.person_id == person_id
    ended = (
        (people, people.c.id == person_id),
        (sessions, sessions.c.person_id == person_id),
        (invitations, links & invitations.c.used_at.is_(None)),
    )
    for table, theirs in ended:
        connection.execute(update(table).where(theirs, table.c.revoked_at.is_(None)).values(revoked_at=now))


def _good(now: float) -> Any:
    c = invitations.c
    return c.used_at.is_(None) & c.revoked_at.is_(None) & (c.expires_at > now)


def _person(connection: Connection, id: int) -> Person:
    row = connection.execute(select(people).where(people.c.id == id).with_for_update()).one_or_none()
    if row is None:
        raise Unknown(f"person {id} does not exist")
    return _to_person(row)


def _to_person(row: Row[Any]) -> Person:
    return Person(row.id, row.name, row.role, row.revoked_at is not None)


def _to_invitation(row: Row[Any]) -> Invitation:
    return Invitation(row.id, row.role, row.name, row.person_id, row.created_at, row.expires_at)
