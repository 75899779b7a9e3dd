"""plaudit: learn what people want from what they say about behaviour, and make a policy do more of it."""

import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TextIO

from plaudit.errors import PlauditError, Renamed, missing

COMMANDS = {
    "demo": "the whole loop in a few minutes: a policy learns what people want, without seeing the reward",
    "sample-data": "write small files to try every other command with",
    "run": "run a config: collect, ask, learn a reward, optimise, evaluate, report",
    "resume": "go on with a run that was stopped or killed",
    "pretrain": "clone a policy from demonstrations, or train a language model on texts or demonstrations",
    "reward": "learn a reward model from what people said, in a file",
    "optimise": "optimise a policy by an algorithm: plaudit optimise ppo --env CartPole-v1",
    "evaluate": "how good a run or a saved policy is: true return, or gold reward and win rate",
    "sample": "let a language model answer prompts",
    "chat": "talk with a language model",
    "compare": "two or more runs side by side, with intervals",
    "label": "answer questions in the browser: those of a run, or of a file of pairs",
    "serve": "let several people answer a run's questions in their browsers",
    "verify": "prove that every answer that was given is stored and exported",
    "restore": "put a store that is lost or damaged back, from its copy and the answers that came after it",
    "export": "write a run's feedback to a file",
    "report": "write a run's report.html again",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        try:
            print(_help(), flush=True)
        except BrokenPipeError:
            return _nobody_listens()
        return 0 if arguments else 2
    command, rest = arguments[0], arguments[1:]
    if command == "--version":
        print(importlib.import_module("importlib.metadata").version("plaudit"))
        return 0
    if command not in COMMANDS:
        near = get_close_matches(command, COMMANDS, 1, 0.4)
        hint = f"did you mean {near[0]!r}?" if near else "see plaudit --help"
        return _fail(f"unknown command {command!r}; {hint}", 2)
    try:
        with _noting():
            return importlib.import_module(f"plaudit.cli.{command.replace('-', '_')}").main(rest)
    except PlauditError as error:
        return _fail(str(error), getattr(error, "status", 1))
    except ModuleNotFoundError as error:
        return _fail(_missing(error), 1)
    except KeyboardInterrupt as stop:
        return _fail(str(stop) or "stopped", 130)
    except BrokenPipeError:
        return _nobody_listens()
    except OSError as error:
        return _fail(f"{error.filename or command}: {error.strerror or error}", 1)


def run() -> None:
    """The entry point of the installed command."""
    sys.exit(main())


@contextmanager
def _noting() -> Iterator[None]:
    """A name of before is noted in a line; other warnings are shown as ever."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, Renamed):
            print(f"note: {message}", file=sys.stderr)
        else:
            others(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("always", Renamed)
        others, warnings.showwarning = warnings.showwarning, show
        yield


def _missing(error: ModuleNotFoundError) -> str:
    explained = missing(error)
    if explained is None:
        raise error
    return str(explained)


def _nobody_listens() -> int:
    """As with `plaudit ... | head`: what is still in the buffer goes nowhere, without a word at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "usage: plaudit COMMAND ...",
            "",
            str(__doc__),
            "",
            "commands:",
            *lines,
            "",
            "plaudit COMMAND --help tells more.",
        ]
    )


def _fail(message: str, status: int) -> int:
    print(f"plaudit: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    run()
