"""The pages; everything on them comes from the JSON API."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, select_autoescape

from plaudit.feedback import KINDS
from plaudit.web.identity import TheAdmin, TheCaller, TheVisitor

TEMPLATES = Path(__file__).parent.parent / "templates"
STATIC = Path(__file__).parent.parent / "static"

router = APIRouter(default_response_class=HTMLResponse, include_in_schema=False)

_environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(default=True))


def page(name: str, status: int = 200, **values: object) -> HTMLResponse:
    """A template filled in; every value is text."""
    return HTMLResponse(_environment.get_template(name).render(**values), status)


def trouble(request: Request, status: int, message: str) -> Response:
    """What went wrong, as a page."""
    return page("trouble.html", status, heading=str(status), message=message)


def askable() -> list[str]:
    """The kinds of feedback that the label page can ask for: those with a file `static/ask-<kind>.js`."""
    return sorted(kind for kind in KINDS if (STATIC / f"ask-{kind}.js").is_file())


@router.get("/")
def label(_: TheCaller) -> HTMLResponse:
    """Where people answer."""
    return page("label.html", kinds=askable())


@router.get("/join")
def join(visitor: TheVisitor) -> HTMLResponse:
    """Where links lead."""
    return page("join.html", signed_in=None if visitor is None else visitor.person)


@router.get("/run")
def run(_: TheAdmin) -> HTMLResponse:
    """How the run does."""
    return page("run.html")


@router.get("/people")
def people(_: TheAdmin) -> HTMLResponse:
    """Who may come in."""
    return page("people.html")
