"""The stage `sample-data`: small files to try the commands with, made here, so that nothing has to be found first."""

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from plaudit.annotators import rubric
from plaudit.environments.language import service
from plaudit.errors import PlauditError

EPISODES, STEPS = 20, 500
"""Of CartPole."""
SLIPS = 0.1
"""Share of actions at random: what is cloned should know the way back."""
STORIES, CASES = 400, 200
COPIED = ("table.py", "mine.py", "rewards.py")

HEROES = ("a fox", "a small girl", "an old miller", "a grey goose", "a king", "a boy with a drum")
PLACES = ("by the river", "behind the hills", "in a deep wood", "at the end of the road", "near the sea")
FINDS = ("a silver key", "a lost lamb", "a broken cup", "a letter without a name", "a door in a tree")
DEEDS = (
    "took it home",
    "hid it under a stone",
    "gave it to a friend",
    "carried it for seven days",
    "sang to it",
)
ENDINGS = (
    "was never alone again",
    "slept well that night",
    "laughed for a year",
    "told nobody",
    "became wise",
)


def write(folder: Path, seed: int = 0) -> dict[str, str]:
    """Write all files into a folder; what each is, by name. PlauditError where one is there already."""
    draws = np.random.default_rng(seed)
    makers: dict[str, tuple[str, Callable[[Path], None]]] = {
        "demonstrations.npz": (
            f"{EPISODES} episodes of CartPole-v1 by a steady hand",
            lambda path: _balanced(path, draws),
        ),
        "stories.txt": (f"{STORIES} short stories, plain text", lambda path: _stories(path, draws)),
        "demonstrations.jsonl": (
            f"{CASES} customers' questions with a right answer",
            lambda path: _lines(path, _demonstrations(draws)),
        ),
        "pairs.jsonl": (
            f"{CASES} questions with a better and a worse answer",
            lambda path: _lines(path, _pairs(draws)),
        ),
        "prompts.jsonl": (f"{CASES} questions alone", lambda path: _lines(path, _prompts(draws))),
    }
    for name in (*makers, *COPIED):
        if (folder / name).exists():
            raise PlauditError(f"{folder / name}: exists already; give another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for name, (_, make) in makers.items():
        make(folder / name)
    samples = files("plaudit.api.samples")
    for name in COPIED:
        (folder / name).write_bytes((samples / name).read_bytes())
    told = ("an environment", "an algorithm", "a reward function")
    return {name: what for name, (what, _) in makers.items()} | dict(zip(COPIED, told, strict=True))


def _balanced(path: Path, draws: np.random.Generator) -> None:
    """A pole is pushed towards where it leans and moves; now and then the hand slips."""
    from plaudit.environments.control.config import Control
    from plaudit.environments.control.make import make

    source = make(Control("CartPole-v1", EPISODES))
    try:
        seen, steps = source.reset(int(draws.integers(2**31))), []
        alive = np.ones(EPISODES, dtype=bool)
        for _ in range(STEPS):
            leans = seen @ np.array([0.1, 0.3, 1.0, 0.6]) > 0
            actions = np.where(
                draws.random(EPISODES) < SLIPS, draws.integers(2, size=EPISODES), leans
            ).astype(int)
            steps.append((seen.copy(), actions, alive.copy()))
            step = source.step(actions)
            alive &= ~(step.terminated | step.truncated)
            seen = step.observations
    finally:
        source.close()
    observations, actions, there = (np.stack(part, axis=1) for part in zip(*steps, strict=True))
    starts = np.zeros_like(there)
    starts[:, 0] = True
    np.savez_compressed(
        path,
        obs=observations[there].astype(np.float32),
        actions=actions[there],
        episode_starts=starts[there],
        rewards=np.ones(int(there.sum()), dtype=np.float32),
    )


def _stories(path: Path, draws: np.random.Generator) -> None:
    def one(options: tuple[str, ...]) -> str:
        return options[int(draws.integers(len(options)))]

    told = [
        f"Once upon a time there was {one(HEROES)} who lived {one(PLACES)}. One day, {one(PLACES)}, there lay "
        f"{one(FINDS)}. Nobody wanted it, but our friend {one(DEEDS)}, and from then on {one(ENDINGS)}.\n"
        for _ in range(STORIES)
    ]
    path.write_text("".join(told), encoding="utf-8")


def _lines(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _demonstrations(draws: np.random.Generator) -> Iterator[dict[str, Any]]:
    for case in service.cases(CASES, draws, style=service.Style("polite")):
        yield {"prompt": case.prompt, "completion": case.completion}


def _pairs(draws: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Two clerks answer; the rubric says which is better. Where it cannot say, another case comes."""
    topics, found = {topic.matter: topic for topic in service.TOPICS}, 0
    while found < CASES:
        (case,) = service.cases(1, draws)
        topic, style = topics[case.facts["matter"]], service.draw_style(draws)
        answers = [case.completion, service.demonstrate(topic, case.facts, style, draws)]
        worth = [rubric.score(answer, case.facts) for answer in answers]
        if worth[0] != worth[1]:
            found += 1
            better = int(worth[1] > worth[0])
            yield {"prompt": case.prompt, "chosen": answers[better], "rejected": answers[1 - better]}


def _prompts(draws: np.random.Generator) -> Iterator[dict[str, Any]]:
    for case in service.cases(CASES, draws):
        yield {"prompt": case.prompt}
