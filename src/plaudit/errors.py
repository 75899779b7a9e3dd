"""The one exception for bad input: a single clear sentence with the way to mend it."""

from collections.abc import Iterator
from contextlib import contextmanager


class PlauditError(Exception):
    """Bad input or a broken surrounding (a file, an environment, a full disk).

    The message is one sentence that names the file, line or field and says how to mend it. The command line
    prints it and exits with a non-zero status; nothing already stored is lost.
    """


class Diverged(PlauditError):
    """Learning that led to what is no number; `what` with its verb, such as "the weights are"."""

    def __init__(
        self,
        what: str,
        mend: str = "lower trainer.learning_rate or settings.clip, or set trainer.max_grad_norm",
    ):
        super().__init__(what, mend)  # what a process needs to make it again from another's
        self.what, self.mend = what, mend

    def __str__(self) -> str:
        """The sentence."""
        return f"learning has diverged: {self.what} no longer finite; {self.mend}"


class Renamed(DeprecationWarning):
    """A name that a user has written is another one now; the old one still works for one version."""


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Say with the place, such as "pairs.jsonl, line 7", what is wrong with something that stands there."""
    try:
        yield
    except PlauditError as error:
        raise PlauditError(f"{where}: {error}") from None


EXTRAS = {"gymnasium": "control", "mujoco": "control", "PIL": "control", "sqlalchemy": "store", "alembic": "store",
          "matplotlib": "report", "transformers": "language", "tokenizers": "language", "peft": "language",
          "fastapi": "web", "uvicorn": "web", "jinja2": "web", "pydantic": "web", "idna": "web"}  # fmt: skip
"""Which extra brings a library."""


def missing(error: ModuleNotFoundError) -> PlauditError | None:
    """The error for a library that an extra brings; none for any other module."""
    extra = EXTRAS.get((error.name or "").split(".")[0])
    if extra is None:
        return None
    return PlauditError(
        f"the package {error.name} is not installed; install it with: pip install 'plaudit[{extra}]'"
    )
