"""What goes over the wire, field by field; anything else is refused. docs/web.md explains it."""

from functools import reduce
from operator import or_
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from plaudit.feedback import KINDS
from plaudit.feedback.kind import names_of
from plaudit.storage.people import LONGEST_NAME, Role
from plaudit.storage.store import LARGEST
from plaudit.web.trainer import State

Id = Annotated[int, Field(ge=0, le=LARGEST)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
LONGEST = 64
"""Entries of a list."""
Place = Annotated[int, Field(ge=1 - LONGEST, le=LONGEST - 1)]
"""A place, or a small number of steps to either side."""
Places = list[Annotated[int, Field(ge=0, le=LONGEST - 1)]]
Number = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=4 * LONGEST_NAME)]


class Sent(BaseModel):
    """What a client sends: no unknown fields, no guessing at types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Empty(Sent):
    """Nothing beside the address."""


class Join(Sent):
    """A link's token, and a name where the link does not fix one."""

    token: Annotated[str, Field(min_length=1, max_length=100)]
    name: Name | None = None


class Claim(Sent):
    """How many questions are wanted besides those at hand."""

    count: Annotated[int, Field(ge=1, le=3)] = 1
    besides: Annotated[list[Id], Field(max_length=100)] = []


def _said(kind: str) -> type[Sent]:
    """What an answer of a kind looks like: the fields of its file, no longer than anybody needs."""
    schema = KINDS[kind]
    hints = get_type_hints(schema)
    literal: Any = Literal
    wire: dict[str, Any] = {"kind": (literal[kind], ...)}
    wire |= {name: (_wire(hints[name]), ...) for name in names_of(schema)}
    if "option" in wire:
        wire["option"] = (Sha256, ...)
    if "options" in wire:
        least, most = schema.SHOWN
        wire["options"] = (Annotated[list[Sha256], Field(min_length=least, max_length=most or LONGEST)], ...)
    made = create_model(f"Said{schema.__name__}", __base__=Sent, **wire)
    made.__doc__ = schema.__doc__
    return made


def _wire(hint: Any) -> Any:
    """A field of JSON for one of a dataclass."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return reduce(or_, (_wire(one) for one in inside))
    if origin is tuple:
        return Annotated[list[_wire(inside[0])], Field(max_length=LONGEST)]
    return {int: Place, float: Number, str: Annotated[str, Field(min_length=1, max_length=200)]}.get(
        hint, hint
    )


if TYPE_CHECKING:
    Said = Sent
else:
    Said = Annotated[reduce(or_, map(_said, KINDS)), Field(discriminator="kind")]


class NewAnswer(Sent):
    """A decision."""

    client_uuid: Uuid
    query_id: Id
    shown_order: Annotated[Places, Field(max_length=64)]
    feedback: Said
    active_ms: Id | None = None
    supersedes: Uuid | None = None


class Invite(Sent):
    """A role, and a name where it is known."""

    role: Role
    name: Name | None = None


class Wish(Sent):
    """A wish about the run."""

    kind: Literal["start", "pause", "stop"]


class Message(BaseModel):
    """A turn of a dialogue."""

    role: str
    content: str


class Turn(BaseModel):
    """A turn of a dialogue, or a whole text (without a role), formatted: `nodes` are those of `rendered`."""

    role: str | None
    nodes: list[Any]


class Sheet(BaseModel):
    """A picture that holds consecutive frames."""

    sha256: str
    first: int
    frames: int


class End(BaseModel):
    """Where the episode ends in a clip: because the task was over, or only the time for it."""

    how: Literal["terminated", "time_limit"]
    frame: int


class Clip(BaseModel):
    """Frames on sheets."""

    width: int
    height: int
    frames: int
    columns: int
    fps: float
    sheets: list[Sheet]
    end: End | None = None


class View(BaseModel):
    """One option, as it is to be shown: a text, messages, a clip, or why it is missing."""

    kind: Literal["text", "messages", "clip", "missing"]
    text: str | None = None
    messages: list[Message] | None = None
    turns: list[Turn] | None = None
    clip: Clip | None = None
    message: str | None = None


class Option(BaseModel):
    """One option by its content hash."""

    sha256: str
    view: View


class Task(BaseModel):
    """A question as it is to be shown, with what its kind tells beside the options, such as the `scale` of a rating."""

    model_config = ConfigDict(extra="allow")

    query_id: int
    kind: str
    shown_order: list[int]
    prompt: str | list[Message] | None
    prompt_turns: list[Turn] | None
    question: str | None
    options: list[Option]


class Tasks(BaseModel):
    """Questions that are now with whom they were given to."""

    tasks: list[Task]
    lease_seconds: float
    more: bool
    state: State


class Receipt(BaseModel):
    """Proof that an answer is stored for good."""

    client_uuid: str
    response_id: int
    seq: int
    sha256: str


class Answered(BaseModel):
    """An own standing answer."""

    client_uuid: str
    response_id: int
    seq: int
    feedback: dict[str, Any]
    task: Task


class Answers(BaseModel):
    """The newest own standing answers."""

    answers: list[Answered]


class Released(BaseModel):
    """A question was given back."""

    released: bool = True


class Revoked(BaseModel):
    """A person or a link is no longer good."""

    revoked: bool = True


class Left(BaseModel):
    """Signed out."""

    left: bool = True


class Health(BaseModel):
    """The server answers."""

    status: Literal["ok"] = "ok"
    version: str


class Who(BaseModel):
    """Somebody who has come in."""

    id: int
    name: str
    role: Role


class Me(Who):
    """The person whose session this is."""

    csrf: str
    answered: int
    title: str
    store: str
    state: State


class Member(Who):
    """A row of the page of people."""

    revoked: bool
    answered: int


class OpenInvitation(BaseModel):
    """A link that waits."""

    id: int
    role: Role
    name: str | None
    created_at: float
    expires_at: float


class Everyone(BaseModel):
    """People and open links."""

    people: list[Member]
    invitations: list[OpenInvitation]


class NewLink(BaseModel):
    """A link, told this once."""

    id: int
    role: Role
    name: str | None
    link: str


class Stored(BaseModel):
    """A stored wish."""

    id: int
    kind: str


class Trouble(BaseModel):
    """What went wrong."""

    error: str
    message: str
