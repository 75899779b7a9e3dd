"""The language half on other people's text: a small language model, a reward model of human comparisons, PPO on it.

    python -m benchmarks.real_text [--only pretrain reward ppo] [--seeds 3] [--jobs 2] [--data FOLDER]

FOLDER has text_corpus/tinyshakespeare.txt and text_pairs/hh_pairs.jsonl.gz (HH-RLHF, columns source and split).
Every model is trained through `plaudit.stages` as the commands in the table do it, in a process of its own with
one thread. Results are kept in results/real_text.json, part by part, and written as tables to real_text.md.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import RESULTS, merged, today
from benchmarks.ngrams import baseline
from benchmarks.real_text_tables import SHOWN, tables
from plaudit import report
from plaudit.models.language import reward_model
from plaudit.readers.texts import read_text_pairs
from plaudit.rewards.learned.trainer import RewardTrainer
from plaudit.runs import settings
from plaudit.runs.config import from_mapping
from plaudit.runs.statistics import rank_correlation
from plaudit.stages import optimise
from plaudit.stages import reward as reward_stage
from plaudit.stages.adapters.language import reward_medium
from plaudit.stages.adapters.language_reward import longer_by
from plaudit.stages.pretrain import pretrain
from plaudit.stages.pretrain_config import PretrainText

DATA = Path(__file__).parents[2] / "shared" / "data"
TEXT, PAIRS = Path("text_corpus/tinyshakespeare.txt"), Path("text_pairs/hh_pairs.jsonl.gz")
LANGUAGE: dict[str, Any] = {
    "new": {"family": "llama", "layers": 4, "width": 192, "heads": 4, "context": 128, "vocabulary": 1024},
    "trainer": {"learning_rate": 4e-3, "warmup": 100, "minibatch_size": 8, "epochs": 4, "weight_decay": 0.1},
}
DIALOGUES: dict[str, Any] = {
    "learn": "everything",
    "too_long": "cut",
    "new": {"layers": 4, "width": 192, "heads": 4, "context": 256, "vocabulary": 4096},
    "trainer": {"learning_rate": 3e-3, "warmup": 100, "minibatch_size": 16, "epochs": 4, "weight_decay": 0.1},
}
REWARD: dict[str, Any] = {
    "split": "train",
    "test_split": "test",
    "length": 128,
    "likelihood": {"label_noise": 0.2},
    "fit": {"learning_rate": 3e-4, "weight_decay": 0.05, "minibatch_size": 16, "first_steps": 470},
}
"""Chosen by cross-validation on the train split, of which 470 steps are two passes."""
TOLD: dict[str, Any] = {"judged_by": ["source"]}
"""The two sources were asked for opposite things, full answers and refusals; a model that is told which is which can
learn both."""
PPO: dict[str, Any] = {
    "environment": {
        "split": "train",
        "evaluate_split": "test",
        "too_long": "cut",
        "max_new_tokens": 48,
        "batch_size": 32,
    },
    "settings": {"kl": {"coef": 0.05}},
    "updates": 30,
    "evaluate_count": 200,
}


def built(usual: Any, changes: dict[str, Any]) -> Any:
    """A stage's config: the usual one with changes to single fields, as the flags of its command make them."""
    return settings.build(type(usual), merged(settings.dump(usual), changes), "")


def language_model(place: Path, changes: dict[str, Any], out: Path) -> dict[str, Any]:
    """Pre-train a model in this process."""
    began = time.process_time()
    result = pretrain(built(PretrainText(), changes), str(place), out, lambda row: None)
    return result | {"cpu_seconds": time.process_time() - began}


def answers(data: Path, out: Path) -> Path:
    """Both answers of every comparison to learn from, as demonstrations: what was said, not which was better."""
    rows = [
        {"prompt": pair.prompt, "completion": answer}
        for pair in read_text_pairs(data / PAIRS, "train")
        for answer in (pair.chosen, pair.rejected)
        if str(answer).strip()
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return out


def dialogue_model(data: Path, folder: Path) -> dict[str, Any]:
    """A model of both answers of every comparison; one that was kept there by an earlier run is taken as it is."""
    note = folder / "dialogues.json"
    if not note.exists():
        result = language_model(answers(data, folder / "answers.jsonl"), DIALOGUES, folder / "dialogues")
        note.write_text(json.dumps(result), encoding="utf-8")
    return json.loads(note.read_text(encoding="utf-8"))


def shakespeare(data: Path, out: Path) -> dict[str, Any]:
    """The first part: a model and n-grams on the same held-out characters."""
    model = language_model(data / TEXT, LANGUAGE, out)
    text = (data / TEXT).read_text(encoding="utf-8")
    return {"settings": LANGUAGE, "model": model, "n_grams": baseline(text, PretrainText().held_out)}


def reward_model_of(data: Path, base: Path, seed: int, told: bool, out: Path) -> dict[str, Any]:
    """The second part for one seed: accuracy beside simple rules, and how near it is to them."""
    began = time.process_time()
    changes = REWARD | (TOLD if told else {}) | {"start": str(base), "seed": seed}
    config = built(reward_stage.usual("language"), changes)
    read = reward_stage.read([data / PAIRS], config)
    found = reward_stage.learn(read, config, out, {}).accuracy
    spent = time.process_time() - began
    train, test = read.train, [pair for pair in read.test if pair.decided]
    medium = reward_medium(test, config, reward_model.begin(str(out), torch.Generator()))
    trainer = RewardTrainer(medium, config, torch.Generator())
    (term,) = trainer.terms(reward_stage.as_judgements(test))
    scores = trainer.returns(term).numpy() * np.sign([[pair.said[0] - 0.5] for pair in test])
    margins, longer = scores[:, 0] - scores[:, 1], np.array([longer_by(pair) for pair in test])
    sources = np.array([pair.columns["source"] for pair in test])
    signs = {
        s: np.sign(sum(np.sign(longer_by(p)) for p in train if p.columns["source"] == s)) for s in {*sources}
    }
    rule = longer * np.array([signs[source] for source in sources])
    return {
        "seed": seed,
        "accuracy": {name: one.mean for name, one in found.items()},
        "points": {name: points(by) for name, by in (("model", margins), ("longer", longer), ("rule", rule))},
        "by_source": {s: float(np.mean(points(margins[sources == s]))) for s in sorted(signs)},
        "as_rule": float(np.mean((margins > 0) == (rule > 0))),
        "length": {s: rank_correlation(margins[sources == s], longer[sources == s]) for s in sorted(signs)},
        "pairs": [len(train), len(test)],
        "cpu_seconds": spent,
    }


def points(margins: np.ndarray) -> list[float]:
    """1 for each pair that is put in the order people gave, one half for a tie."""
    return ((np.sign(margins) + 1) / 2).tolist()


def improved(data: Path, base: Path, reward: Path, out: Path) -> dict[str, Any]:
    """The third part: PPO against the learned reward, and its report."""
    began = time.process_time()
    files = {
        "start": str(base),
        "environment": {"prompts": str(data / PAIRS)},
        "reward": {"start": str(reward)},
    }
    done = optimise.start(from_mapping(merged(PPO, files), "real_text"), out, lambda row: None)
    manifest = done.read_manifest()
    spent = time.process_time() - began
    written = report.write_report(done)
    result = {name: value for name, value in manifest["result"].items() if name != "scores"}
    return result | {"status": manifest["status"], "report": written.stat().st_size, "cpu_seconds": spent}


def measure(only: Sequence[str], seeds: int, jobs: int, data: Path, folder: Path) -> None:
    """The parts, `jobs` processes at a time; each is kept when it is done."""
    os.environ["OMP_NUM_THREADS"] = "1"  # before the processes start: torch reads it when it is imported
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, fresh, max_tasks_per_child=1) as pool:
        text = pool.submit(shakespeare, data, folder / "text") if "pretrain" in only else None
        if {"reward", "ppo"} & {*only}:
            base = pool.submit(dialogue_model, data, folder).result()
            places = {seed: folder / f"reward-{seed}" for seed in range(seeds if "reward" in only else 1)}
            work = [
                pool.submit(reward_model_of, data, folder / "dialogues", seed, True, out)
                for seed, out in places.items()
            ]
            work[0].result()
            run = None
            if "ppo" in only:
                run = pool.submit(improved, data, folder / "dialogues", places[0], folder / "run")
            if "reward" in only:
                blind = [
                    pool.submit(
                        reward_model_of, data, folder / "dialogues", seed, False, folder / f"blind-{seed}"
                    )
                    for seed in places
                ]
                keep(
                    "reward",
                    {
                        "base": base,
                        "runs": [one.result() for one in work],
                        "blind": [one.result()["points"]["model"] for one in blind],
                        "settings": REWARD | TOLD,
                        "base_settings": DIALOGUES,
                    },
                )
            if run is not None:
                keep("ppo", run.result() | {"settings": PPO})
        if text is not None:
            keep("pretrain", text.result())


def keep(name: str, row: dict[str, Any]) -> None:
    """Put a finished part into the file of results, and write the tables again."""
    rows = recorded() | {name: row | {"date": today()}}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "real_text.json").write_text(json.dumps(rows) + "\n", encoding="utf-8")
    (RESULTS / "real_text.md").write_text(tables(rows), encoding="utf-8")
    print(f"{name} is done", flush=True)


def recorded() -> dict[str, Any]:
    """The parts measured so far."""
    path = RESULTS / "real_text.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main() -> int:
    """Measure, write the tables, and fail where a requirement is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=list(SHOWN), choices=list(SHOWN))
    parser.add_argument("--seeds", type=int, default=3, help="seeds of the reward model")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with text_corpus and text_pairs")
    parser.add_argument("--keep", type=Path, help="keep the models and the run in this folder")
    given = parser.parse_args()
    missing = [given.data / file for file in (TEXT, PAIRS) if not (given.data / file).exists()]
    if missing:
        sys.exit(f"there is no {missing[0]}; give a folder that has it with --data")
    with tempfile.TemporaryDirectory() as folder:
        measure(given.only, given.seeds, given.jobs, given.data, given.keep or Path(folder))
    text = tables({name: recorded()[name] for name in given.only})
    print(text)
    return 1 if ": NO (" in text else 0


if __name__ == "__main__":
    sys.exit(main())
