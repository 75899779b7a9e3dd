"""A folder as a language run leaves it, made by hand: every number in it is known."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from plaudit.feedback import Comparison
from plaudit.runs.folder import RunFolder
from plaudit.storage import open_store
from plaudit.storage.store import NewQuery, NewResponse

EVERY, PROMPTS = 2, 16
RISING = (0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80)
FALLING = (0.50, 0.62, 0.70, 0.68, 0.60, 0.50, 0.40)
"""Gold rewards at the start and at every second update."""
WATCHED = (0.7, 0.6, 0.4, 0.2)
"""Win rates of four checks by held-out judgements."""
PROXY = (0.0, 0.4, 0.8, 1.1, 1.4, 1.6, 1.8)
KL = (0.0, 0.6, 1.3, 2.1, 3.0, 4.2, 5.5)
GOLD = [i / PROMPTS for i in range(PROMPTS)]
BEFORE = {"proxy_reward": [i / 10 - 0.8 for i in range(PROMPTS)], "gold_reward": GOLD}
AFTER = {"proxy_reward": [2 - i / 10 for i in range(PROMPTS)], "gold_reward": GOLD}
"""Before, both rewards put the answers in the same order; after, in the opposite one."""


@dataclass(frozen=True)
class Made:
    """What differs between made-up runs."""

    gold: Sequence[float] | None = RISING
    proxy: Sequence[float] = PROXY
    kl: Sequence[float] | None = KL
    std: float = 0.1
    """Spread of the gold reward between prompts."""
    tokens: Sequence[float] = (20, 21, 20, 22, 21, 20, 22)
    capped: Sequence[float] = (0.0,) * 7
    repetition: Sequence[float] = (0.01,) * 7
    wins: tuple[float, float, float] = (0.75, 0.6, 0.9)
    """Win rate at the end, low, high."""
    kept: int = 12
    watched: Sequence[float] = ()
    """Win rates of checks after updates 3, 6, 9 and 12, by ten judgements each."""


def make(path: Path, made: Made = Made()) -> RunFolder:
    """Write the folder."""
    path.mkdir(parents=True)
    folder = RunFolder(path)
    folder.config.write_text(yaml.safe_dump(config(made)))
    folder.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows(made)))
    folder.manifest.write_text(json.dumps(manifest(made)))
    (path / "samples.json").write_text(json.dumps(samples(made.gold is not None)))
    answered(folder)
    return folder


def config(made: Made) -> dict[str, Any]:
    """config.yaml."""
    watch = {"every": 3 if made.watched else 0, "judgements": 10, "stop": made.kept != 12}
    people = [{"mistake": 0.1}] if made.gold is not None else []
    return {
        "start": "somewhere/lm",
        "environment": {"kind": "language", "prompts": "service", "max_new_tokens": 64, "batch_size": 8},
        "reference": None,
        "algorithm": "ppo",
        "settings": {"kl": {"coef": 0.05}},
        "updates": 12,
        "reward": {"weights": {"learned": 1.0}},
        "feedback": {"labels": 40, "first": 20, "rounds": 1, "people": people},
        "gold_reward": "rubric" if made.gold is not None else None,
        "win_rate_check": watch,
        "evaluate_every": EVERY,
        "evaluate_count": PROMPTS,
        "seed": 3,
    }


def rows(made: Made) -> list[dict[str, Any]]:
    """metrics.jsonl: twelve updates; new answers before updates 1 and 5."""
    found = []
    for update in range(1, 13):
        row: dict[str, Any] = {
            "update": update,
            "tokens": 160 * update,
            "objective/scores": made.proxy[update // EVERY] - 0.05,
            "objective/entropy": 3.0 - update / 10,
            "rollout/answer_tokens": 20.5,
            "rollout/capped": 0.0,
            "rollout/repetition": 0.02,
            "feedback/labels": 20 if update < 5 else 40,
            "time/seconds": 10.0 * update,
        }
        if made.kl is not None:
            row["objective/kl_per_answer"] = made.kl[update // EVERY] + 0.01
        if update == 1:
            row |= {f"start/{name}": value for name, value in evaluation(made, 0).items()}
            row["reward/accuracy"] = 0.8
        if update == 5:
            row |= {
                "reward/accuracy": 0.9,
                "reward/held_out_probabilities": [0.9, 0.8, 0.7, 0.2, 0.5],
                "reward/held_out_answers": [1.0, 1.0, 0.0, 0.0, 0.5],
            }
        if update % EVERY == 0:
            row |= {f"eval/{name}": value for name, value in evaluation(made, update // EVERY).items()}
        if made.watched and update % 3 == 0:
            row |= {
                "watch/win_rate": made.watched[update // 3 - 1],
                "watch/judgements": 10,
                "watch/kl_per_answer": update / 2,
                "watch/held_out_probabilities": [0.6] * 10,
                "watch/held_out_answers": [1.0] * 7 + [0.0] * 3,
            }
        found.append(row)
    return found


def evaluation(made: Made, i: int) -> dict[str, float]:
    """The measures of evaluation i."""
    found = {"proxy_reward_mean": made.proxy[i], "tokens": made.tokens[i], "capped": made.capped[i]}
    found["repetition"] = made.repetition[i]
    if made.gold is not None:
        found |= {"gold_reward_mean": made.gold[i], "gold_reward_std": made.std}
    return found | ({} if made.kl is None else {"kl_per_answer": made.kl[i]})


def manifest(made: Made) -> dict[str, Any]:
    """manifest.json of a finished run."""
    rate, low, high = made.wins
    scores = {"before": dict[str, Any](BEFORE), "after": dict[str, Any](AFTER)}
    if made.gold is None:
        scores = {which: found | {"gold_reward": None} for which, found in scores.items()}
    wins = {"win_rate": rate, "win_low": low, "win_high": high, "win_ties": 0.25, "win_prompts": PROMPTS}
    result = evaluation(made, made.kept // EVERY) | wins
    result |= {
        "win_by": "learned reward" if made.gold is None else "gold reward",
        "kept_update": made.kept,
    }
    result |= {"before": evaluation(made, 0), "scores": scores}
    return {"status": "finished", "seed": 3, "result": result, "notes": [], "versions": {"plaudit": "0"}}


def samples(gold: bool) -> list[dict[str, Any]]:
    """samples.json: six prompts with short answers; the scores of prompt i are multiples of i."""
    found = []
    for i in range(6):
        said = {
            "before": ("No idea.", 0.1, -0.2),
            "after": ("It is here.", 0.5, 0.6),
            "best": ("Here.", 0.3, 0.9),
        }
        row: dict[str, Any] = {"prompt": f"Customer {i}: where is it?\nClerk:"}
        for side, (text, worth, proxy) in said.items():
            words = text.split(" ")
            tokens = [words[0], *(f" {word}" for word in words[1:]), "<|end|>"]
            adds = [(-1) ** k * (k + 1) / 10 for k in range(len(tokens))]
            row[side] = {"text": text, "tokens": tokens, "adds": adds, "proxy_reward": proxy * i}
            row[side]["gold_reward"] = worth * i if gold else None
        found.append(row)
    return found


def plain_rows(folder: RunFolder) -> list[dict[str, Any]]:
    """metrics.jsonl, read by hand."""
    return [json.loads(line) for line in folder.metrics.read_text().splitlines()]


def aged(folder: RunFolder) -> RunFolder:
    """The same folder with the names of the first version, as it wrote them."""
    text = folder.metrics.read_text()
    for new, old in (
        ('"tokens"', '"decisions"'),
        ("reward/held_out_", "reward/fresh_"),
        ("watch/held_out_", "watch/fresh_"),
        ("/gold_reward_", "/hidden_"),
        ("/proxy_reward_", "/proxy_"),
    ):
        text = text.replace(new, old)
    folder.metrics.write_text(text)
    manifest = folder.manifest.read_text().replace("gold_reward", "hidden").replace("proxy_reward", "proxy")
    folder.manifest.write_text(manifest.replace("gold reward", "hidden score"))
    answers = folder.path / "samples.json"
    answers.write_text(answers.read_text().replace("gold_reward", "hidden").replace("proxy_reward", "proxy"))
    config = yaml.safe_load(folder.config.read_text())
    environment = config.pop("environment")
    config["language"] = {"prompts": environment["prompts"], "answer_tokens": environment["max_new_tokens"],
                          "batch": environment["batch_size"]}  # fmt: skip
    config["settings"] = {"kl_in_reward": config["settings"]["kl"]["coef"]}
    for new, old in (
        ("gold_reward", "hidden"),
        ("win_rate_check", "watch"),
        ("evaluate_count", "evaluate_prompts"),
    ):
        config[old] = config.pop(new)
    folder.config.write_text(yaml.safe_dump(config))
    return folder


def answered(folder: RunFolder) -> None:
    """feedback.db: three answers to learn from and two held-out judgements, by two people."""
    a, b = "a" * 64, "b" * 64
    store = open_store(folder.feedback)
    keys = ["1/0", "1/1", "5/0", "held-out/3/0", "held-out/3/1"]
    queries = [NewQuery(key, "comparison", (a, b), 1, {}) for key in keys]
    queries[3:] = [replace(query, purpose="held_out") for query in queries[3:]]
    ids = store.enqueue(queries)
    said = ["first", "second", "skip", "first", "first"]
    for place, (query, answer) in enumerate(zip(ids, said, strict=True)):
        feedback = Comparison((a, b), answer)  # pyright: ignore
        store.submit(NewResponse(f"r{place}", query, "ann" if place else "bob", feedback, (0, 1)))
    store.close()
