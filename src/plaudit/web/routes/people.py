"""Coming in, going out, and who may."""

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter, Request, Response

from plaudit.storage.people import SESSION_SECONDS, Invitation
from plaudit.web.identity import TheAdmin, TheCaller, TheState
from plaudit.web.schemas import (
    Empty,
    Everyone,
    Health,
    Id,
    Invite,
    Join,
    Left,
    Me,
    Member,
    NewLink,
    OpenInvitation,
    Revoked,
    Who,
)

router = APIRouter(prefix="/api")


@router.get("/health")
def health() -> Health:
    """The server answers."""
    try:
        return Health(version=version("plaudit"))
    except PackageNotFoundError:  # run from its sources
        return Health(version="unknown")


@router.post("/join")
def join(wish: Join, request: Request, response: Response, state: TheState) -> Who:
    """Use a link, once; the session is in the cookie."""
    person, token = state.database.people.join(wish.token, wish.name)
    response.set_cookie(
        state.cookie,
        token,
        max_age=int(SESSION_SECONDS),
        path="/",
        httponly=True,
        secure=request.url.scheme == "https",  # behind a proxy that adds TLS
        samesite="strict",  # links lead to /join, which needs no cookie, and go on from there
    )
    return Who(id=person.id, name=person.name, role=person.role)


@router.get("/me")
def me(caller: TheCaller, state: TheState) -> Me:
    """Who am I."""
    person = caller.person
    return Me(
        id=person.id,
        name=person.name,
        role=person.role,
        csrf=caller.csrf,
        answered=state.database.queue.answered().get(person.name, 0),
        title=state.folder.title,
        store=state.store,
        state=state.trainer.state(),
    )


@router.post("/leave")
def leave(_: Empty, response: Response, caller: TheCaller, state: TheState) -> Left:
    """Sign out here."""
    state.database.people.leave(caller.token)
    response.delete_cookie(state.cookie, path="/", httponly=True, samesite="strict")
    return Left()


@router.get("/people")
def everyone(_: TheAdmin, state: TheState) -> Everyone:
    """People and the links that wait."""
    people, counts = state.database.people, state.database.queue.answered()
    members = [Member(**asdict(person), answered=counts.get(person.name, 0)) for person in people.everyone()]
    waiting = [OpenInvitation(**asdict(link)) for link in people.open_invitations()]
    return Everyone(people=members, invitations=waiting)


@router.post("/invitations")
def invite(wish: Invite, request: Request, _: TheAdmin, state: TheState) -> NewLink:
    """A link for somebody new."""
    return _told(state.public or str(request.base_url), *state.database.people.invite(wish.role, wish.name))


@router.post("/invitations/{invitation_id}/revoke")
def withdraw(invitation_id: Id, _: Empty, __: TheAdmin, state: TheState) -> Revoked:
    """Make a link useless."""
    state.database.people.revoke_invitation(invitation_id)
    return Revoked()


@router.post("/people/{person_id}/link")
def invite_again(person_id: Id, _: Empty, request: Request, __: TheAdmin, state: TheState) -> NewLink:
    """A link for somebody who has lost their session."""
    return _told(state.public or str(request.base_url), *state.database.people.invite_again(person_id))


@router.post("/people/{person_id}/revoke")
def revoke(person_id: Id, _: Empty, __: TheAdmin, state: TheState) -> Revoked:
    """Sign somebody out for good; their answers stay."""
    state.database.people.revoke(person_id)
    return Revoked()


def _told(address: str, invitation: Invitation, token: str) -> NewLink:
    link = link_of(address, invitation, token)
    return NewLink(id=invitation.id, role=invitation.role, name=invitation.name, link=link)


def link_of(address: str, invitation: Invitation, token: str) -> str:
    """A link to come in by; what stands behind # reaches no server and no log on the way.

    `?named` tells the page that whoever comes need not be asked for a name, `?named=2` that it is person 2.
    """
    whose = "" if invitation.person_id is None else f"={invitation.person_id}"
    named = "" if invitation.name is None else f"?named{whose}"
    return f"{address.rstrip('/')}/join{named}#{token}"
