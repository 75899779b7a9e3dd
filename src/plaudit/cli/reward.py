"""plaudit reward FILE ... --out FOLDER: learn a reward model from what people said, and say how good it is.

Segments: .npz with obs_1, obs_2, action_1, action_2 [pairs, steps, ...] and label [pairs] (0 first, 1 second, .5
equal), or .jsonl as `plaudit export` writes it; accuracy by cross-validation. Text: .jsonl, .json or .csv with
prompt, chosen and rejected (plain or messages), completions and ranks, or completion and rating or label, and
`--start MODEL`; accuracy on held-out pairs. Several files are learned from together. `plaudit reward FILE --help`
lists the fields.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from plaudit.cli import arguments
from plaudit.cli.run import CONSOLE
from plaudit.errors import PlauditError
from plaudit.stages import reward
from plaudit.trackers.console import ProgressBar

TEXT_FIELDS = ("prompt", "chosen", "messages")
QUIET_SECONDS = 2.0
"""What takes no longer shows no bar."""


def main(argv: Sequence[str]) -> int:
    """Learn from the files named before the first flag."""
    files = _leading(argv)
    if not files and any(item in ("-h", "--help") for item in argv):
        print(f"usage: plaudit reward FILE ... [--out FOLDER] [--FIELD VALUE]\n\n{__doc__}")
        return 0
    if not files:
        raise PlauditError("reward: give at least one file with comparisons before the flags")
    out, rest = arguments.take(argv[len(files) :], "out", "runs/reward")
    if any(item.partition("=")[0] == "--epochs" for item in rest):
        raise PlauditError(
            "--epochs: the fit is as long as a live run's now, whatever the data; give its gradient steps by "
            "--fit.first-steps"
        )
    usual = reward.usual("language" if _is_text(Path(files[0])) else "control")
    config = arguments.parse_with(usual, rest, "reward FILE ...", str(__doc__))
    answers = reward.read([Path(file) for file in files], config)
    bar = ProgressBar("reward", 100, CONSOLE, "percent")
    try:
        outcome = reward.learn(answers, config, Path(str(out)), {"files": files}, _told(bar))
    finally:
        bar.close()
    results = outcome.accuracy
    if not results:
        print("no comparison says which of two is better, so that nothing tells how accurate the model is")
    elif answers.test:
        print(
            f"accuracy on {len(answers.test):,} held-out answers after {len(answers.train):,} "
            "(mean, 95 % interval over pairs):"
        )
    else:
        folds = f"{config.repeats} x {config.folds}-fold cross-validation"
        print(f"accuracy on held-out decided pairs, {folds} (mean, 95 % interval over repeats):")
    if results:
        print(_lines({name: f"{a.mean:.3f} ({a.low:.3f} to {a.high:.3f})" for name, a in results.items()}))
    for note in outcome.notes:
        print(f"note: {note}")
    print(f"reward model written to {out}")
    return 0


def _told(bar: ProgressBar, clock: Callable[[], float] = time.monotonic) -> Callable[[float], None]:
    """What moves the bar, once a percent is done; nothing in the first two seconds, so that what is quick is quiet."""
    began, known = clock(), 0

    def tell(share: float) -> None:
        nonlocal known
        percent = int(100 * share)
        if percent > known and clock() - began > QUIET_SECONDS:
            known = percent
            bar.write({"percent": percent})

    return tell


def _is_text(path: Path) -> bool:
    """Whether the first row speaks of texts."""
    if path.suffix == ".npz":
        return False
    from plaudit.readers.lines import read_lines

    first = next(iter(read_lines(path)), None)
    if first is None:
        raise PlauditError(f"{path}: there is not a single row in it; give a file with comparisons")
    return any(name in first for name in TEXT_FIELDS)


def _leading(argv: Sequence[str]) -> list[str]:
    stop = next((i for i, item in enumerate(argv) if item.startswith("-")), len(argv))
    return list(argv[:stop])


def _lines(results: dict[str, str]) -> str:
    width = max(map(len, results))
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in results.items())
