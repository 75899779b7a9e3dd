"""The one exception for bad input: a single clear sentence with the way to mend it."""


class PlauditError(Exception):
    """Bad input or a broken surrounding (a file, an environment, a full disk).

    The message is one sentence that names the file, line or field and says how to mend it. The command line
    prints it and exits with a non-zero status; nothing already stored is lost.
    """


EXTRAS = {"gymnasium": "control", "mujoco": "control", "PIL": "control", "sqlalchemy": "store", "alembic": "store",
          "matplotlib": "report", "transformers": "language", "tokenizers": "language", "peft": "language"}  # fmt: skip
"""Which extra brings a library."""


def missing(error: ModuleNotFoundError) -> PlauditError | None:
    """The error for a library that an extra brings; none for any other module."""
    extra = EXTRAS.get((error.name or "").split(".")[0])
    if extra is None:
        return None
    return PlauditError(
        f"the package {error.name} is not installed; install it with: pip install 'plaudit[{extra}]'"
    )
