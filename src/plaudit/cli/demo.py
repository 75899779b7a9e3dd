"""plaudit demo: a pendulum and a language model learn what a simulated person wants, and a report shows how it went.

Nobody tells them the true reward: they learn from answers to "which of these two is better?".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from plaudit.cli import arguments
from plaudit.cli.run import bar_of, reported, run_one
from plaudit.errors import PlauditError
from plaudit.runs.folder import RunFolder
from plaudit.stages.demo import Task


@dataclass(frozen=True)
class Demo:
    """Where the demo runs."""

    out: Path = Path("runs/demo")
    """The folder of its runs; a number is added where there is one already."""
    only: Literal["control", "language"] | None = None
    """One half alone."""
    language: Literal["en", "zh"] = "en"
    """The language of the report."""
    me: bool = False
    """You answer, in the browser, instead of a simulated person: as often as you like, and leave when you like."""
    task: Task = "pendulum"
    """With --me: what there is to teach, a pendulum, or a one-legged robot that could turn a back-flip."""
    browser: bool = True
    """With --me: open a browser, where there is a screen."""
    seed: int = 0
    """Seed of everything."""


def main(argv: Sequence[str]) -> int:
    """Run the demo."""
    given = arguments.parse(Demo, argv, "demo", str(__doc__))
    torch.set_num_threads(1)
    out, runs = _free(given.out), []
    if given.me:
        return _with_me(given, out)
    if given.task != "pendulum":
        raise PlauditError(
            f"demo --task {given.task}: there is nobody to teach it; add --me and answer yourself"
        )
    if given.only != "language":
        runs.append(_control(out / "control", given.seed))
    if given.only != "control":
        runs.append(_language(out / "language", given.seed))
    print(reported(lambda report: report.write_joint_report(runs, out / "report.html", given.language)))
    return 0


TO_TEACH = {
    "pendulum": (
        "A pendulum hangs down. You see pairs of short clips and say which one is nearer to standing upright. Ten\n"
        "answers are enough for a first policy, more make it better; a minute without an answer ends the questions,\n"
        "and the policy learns on from what you said. The first question comes in a few seconds."
    ),
    "backflip": (
        "A robot with one leg falls over. You see pairs of short clips, in slow motion, and say which is more of a\n"
        "back-flip. A simulated judge gave 400 answers, which come in rounds; a minute without an answer ends the\n"
        "questions, and the policy learns on from what you said. The first question comes within a minute."
    ),
}
"""What somebody is told before the first question."""


def _with_me(given: Demo, out: Path) -> int:
    from plaudit.cli.interactive import run_interactive
    from plaudit.stages import demo

    if given.only == "language":
        raise PlauditError(
            "demo --me: the model would have to learn to write first; leave out --only language"
        )
    print(TO_TEACH[given.task])
    title = "a pendulum learns from you" if given.task == "pendulum" else "a robot learns from you"
    run = run_interactive(demo.control_with_me(given.seed, given.task), out, title, given.browser)
    # in place of the run's own, which was named above: it may be wanted in another language
    reported(lambda report: report.write_joint_report([run], run.report, given.language))
    return 0


def _control(out: Path, seed: int) -> RunFolder:
    from plaudit.stages import demo

    print(
        "A pendulum hangs down. A simulated person sees pairs of short clips and says which is better, 200 times.\n"
        "A reward model learns from the answers, and PPO learns from the reward model."
    )
    return run_one(demo.control(seed), out, "Pendulum from 200 comparisons")


def _language(out: Path, seed: int) -> RunFolder:
    from plaudit.stages import demo
    from plaudit.stages.pretrain import pretrain

    print(
        "A small language model (1 million parameters) learns to answer customers as a shop's clerks do: some are\n"
        "rude, some ramble, some get the facts wrong. A simulated person says 400 times which of two answers is better."
    )
    place = out
    for part in demo.pretraining(out, seed):
        place, bar = part.folder, bar_of(part.title, part.config.trainer)
        try:
            pretrain(part.config, "service", place, bar.write)
        finally:
            bar.close()
    print("Before the policy first moves, 300 pairs of its answers are compared: about half a minute.")
    return run_one(demo.language(place, seed), out / "run", "language from 400 comparisons")


def _free(path: Path) -> Path:
    taken = [path, *(path.with_name(f"{path.name}-{i}") for i in range(2, 10_000))]
    return next(candidate for candidate in taken if not candidate.exists())
