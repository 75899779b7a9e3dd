"""People, links and sessions: random tokens kept as hashes, each link good once, nobody ever deleted."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from plaudit.errors import PlauditError
from plaudit.storage import Conflict
from plaudit.storage.database import Database
from plaudit.storage.people import REMEMBERED_SECONDS, SESSION_SECONDS, Gone, People, Person, clean_name
from plaudit.storage.store import Unknown
from tests.storage.asking import ask, claimed, reply


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def people(database: Database, clock: Clock) -> People:
    return People(database.transactions, clock)


def test_a_link_lets_in_once_and_the_session_lasts(people: People, clock: Clock) -> None:
    invitation, token = people.invite("annotator")
    assert [link.id for link in people.open_invitations()] == [invitation.id]
    ada, session = people.join(token, " Ada  Lovelace ")
    assert (ada.name, ada.role, ada.revoked) == ("Ada Lovelace", "annotator", False)
    assert people.who(session) == ada
    assert people.open_invitations() == []
    with pytest.raises(Gone, match="was used"):
        people.join(token, "Eve")
    clock.now += SESSION_SECONDS - 1
    assert people.who(session) == ada
    clock.now += 1
    assert people.who(session) is None and people.recent(session) is None


def test_no_token_is_in_the_database(people: People, database: Database) -> None:
    _, token = people.invite("admin", "Ada")
    _, session = people.join(token)
    assert len({token, session}) == 2 and all(re.fullmatch(r"[\w-]{43}", one) for one in (token, session))
    with database.transactions.engine.connect() as connection:
        rows = [
            str(tuple(row))
            for table in ("invitations", "sessions", "people")
            for row in connection.execute(text(f"SELECT * FROM {table}"))
        ]
    assert len(rows) == 3
    assert not any(secret in row for row in rows for secret in (token, session))


def test_links_that_are_no_longer_good(people: People, clock: Clock) -> None:
    late, withdrawn = people.invite("annotator", seconds=10), people.invite("annotator")
    people.revoke_invitation(withdrawn[0].id)
    people.revoke_invitation(withdrawn[0].id)
    clock.now += 11
    for token in (late[1], withdrawn[1], "never seen", ""):
        with pytest.raises(Gone):
            people.join(token, "Ada")
    with pytest.raises(Unknown):
        people.revoke_invitation(999)


def test_a_link_without_a_name_waits_for_one_and_names_are_taken_once(people: People) -> None:
    token = people.invite("annotator")[1]
    with pytest.raises(PlauditError, match="give a name"):
        people.join(token)
    people.join(token, "Ada")
    other = people.invite("annotator")[1]
    with pytest.raises(Conflict, match="taken"):
        people.join(other, "ADA")
    with pytest.raises(Conflict, match="taken"):
        people.invite("admin", "ada")
    assert people.join(other, "Bob")[0].name == "Bob"


def test_whoever_answered_before_cannot_be_impersonated(people: People, database: Database) -> None:
    ask(database.store, "a")
    database.store.submit(reply(claimed(database.store, "simulated-0"), "simulated-0", "u"), now=1)
    with pytest.raises(Conflict, match="taken"):
        people.join(people.invite("annotator")[1], "simulated-0")


def test_a_link_for_somebody_known_makes_nobody_new(people: People) -> None:
    ada, first = people.join(people.invite("annotator", "Ada")[1])
    again, second = people.join(people.invite_again(ada.id)[1], "Eve")
    assert again == ada and first != second
    assert people.who(first) == people.who(second) == ada
    assert people.everyone() == [ada]
    people.leave(first)
    assert people.who(first) is None and people.who(second) == ada


def test_revoking_ends_everything_but_answers(people: People, database: Database) -> None:
    people.join(people.invite("admin", "Root")[1])
    ada, session = people.join(people.invite("annotator", "Ada")[1])
    ask(database.store, "a")
    database.store.submit(reply(claimed(database.store, "Ada"), "Ada", "u"), now=1)
    waiting = people.invite_again(ada.id)[1]
    people.revoke(ada.id)
    people.revoke(ada.id)
    assert people.who(session) is None
    with pytest.raises(Gone):
        people.join(waiting)
    with pytest.raises(Conflict):
        people.invite_again(ada.id)
    assert [answer.annotator for answer in database.store.answers()] == ["Ada"]
    assert [person.revoked for person in people.everyone()] == [False, True]
    with pytest.raises(Unknown):
        people.revoke(77)


def test_the_last_admin_stays(people: People) -> None:
    root, _ = people.join(people.invite("admin", "Root")[1])
    with pytest.raises(Conflict, match="last admin"):
        people.revoke(root.id)
    people.join(people.invite("admin", "Two")[1])
    people.revoke(root.id)


def test_an_admin_who_is_thrown_out_has_no_link_to_come_back_by(people: People) -> None:
    people.join(people.invite("admin", "Root")[1])
    eve, _ = people.join(people.invite("admin", "Eve")[1])
    ann, _ = people.join(people.invite("annotator", "Ann")[1])
    links = [people.invite("admin")[1], people.invite_again(ann.id)[1]]
    people.revoke(eve.id)
    for token in links:
        with pytest.raises(Gone, match="withdrawn"):
            people.join(token, "Eve again")
    assert people.open_invitations() == []
    bob = people.join(people.invite("annotator", "Bob")[1])[0]
    kept = people.invite("annotator")[1]
    people.revoke(bob.id)  # could not make any
    assert people.join(kept, "Cat")[0].name == "Cat"


def test_two_admins_who_throw_each_other_out_at_once_do_not_both_succeed(people: People) -> None:
    for round in range(5):
        everyone = [people.join(people.invite("admin", f"{name}{round}")[1])[0] for name in ("a", "b")]
        for old in people.everyone():
            if not old.revoked and old not in everyone:
                people.revoke(old.id)

        def out(person: Person) -> bool:
            try:
                people.revoke(person.id)
            except Conflict:
                return False
            return True

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(out, everyone)) == [False, True]


def test_a_link_used_twice_at_once_lets_one_in(people: People) -> None:
    token = people.invite("annotator")[1]

    def join(number: int) -> bool:
        try:
            people.join(token, f"p{number}")
        except Gone:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(join, range(8))) == 1
    assert len(people.everyone()) == 1


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\x00b", "a\u202eb", "a\u200bb", "\ud800", "a\x07"])
def test_names_that_cannot_be_read_are_refused(name: str) -> None:
    with pytest.raises(PlauditError, match="name"):
        clean_name(name)


def test_script_in_a_name_is_a_name() -> None:
    assert clean_name("<script>alert(1)</script>") == "<script>alert(1)</script>"


def test_an_unknown_role_is_refused(people: People) -> None:
    with pytest.raises(PlauditError, match="role"):
        people.invite("owner")


def test_a_session_is_remembered_for_a_moment_and_forgotten_once_any_is_ended(
    people: People, clock: Clock
) -> None:
    _, boss = people.join(people.invite("admin", "Boss")[1])
    ada, session = people.join(people.invite("annotator", "Ada")[1])
    assert people.recent(session) is None
    assert people.who(session) == people.recent(session) == ada
    clock.now += REMEMBERED_SECONDS
    assert people.recent(session) is None
    for end in (lambda: people.leave(boss), lambda: people.revoke(ada.id)):
        assert people.who(session) == people.recent(session) == ada
        end()
        assert people.recent(session) is None
    assert people.who(session) is None and people.recent(session) is None


def test_what_was_read_before_a_session_ended_is_not_remembered(people: People) -> None:
    """A request may read who it is from just before they are signed out, and go on just after."""
    ada, session = people.join(people.invite("annotator", "Ada")[1])
    keep = people._recent.keep

    def late(*given: object) -> None:
        people.leave(session)
        keep(*given)

    people._recent.keep = late
    assert people.who(session) == ada
    assert people.recent(session) is None
