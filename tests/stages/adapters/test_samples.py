"""Answers side by side: the best of several is the best, and what each token adds adds up."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from plaudit.models.language.reward_model import texts
from plaudit.stages.adapters import samples
from tests.stages.tasks import build
from tests.text_world import World, made_of


def shown(run: Any, seed: int = 0) -> list[dict[str, Any]]:
    made = run.models
    by = samples.Shown(made.generation, run.scorers, made.reward)
    return samples.side_by_side(made.start, made.policy, made.prompts.held_out, by, seed)


def test_side_by_side(world: World, tmp_path: Path) -> None:
    run = build(world.config(evaluate_count=3), tmp_path / "r")
    assert run.feedback is not None
    run.feedback.proven = True
    rows = shown(run)
    assert rows == shown(run) != shown(run, 1)
    made = run.models
    model, generation = made.reward, made.generation
    assert [row["prompt"] for row in rows] == [prompt.text for prompt in made.prompts.held_out]
    assert model is not None
    for row in rows:
        ids = generation.vocabulary.encode(row["prompt"])
        for which in ("before", "after", "best"):
            one = row[which]
            end = generation.vocabulary.tokenizer.eos_token
            assert "".join(one["tokens"]).removesuffix(end) == one["text"]
            assert one["gold_reward"] == one["text"].count("a") - 0.5 * one["text"].count("b")
            said = generation.vocabulary.encode(one["text"])
            said += [generation.vocabulary.end] if one["tokens"][-1] == end else []
            with torch.no_grad():
                alone, whole = (float(model(texts([part]))[0]) for part in (ids, [*ids, *said]))
            assert len(one["adds"]) == len(one["tokens"])
            if len(said) == len(one["tokens"]):  # it was sampled as it would be encoded
                assert sum(one["adds"]) == pytest.approx(whole - alone, abs=1e-4)
                assert one["proxy_reward"] == pytest.approx(whole, abs=1e-4)
    assert json.loads(samples.text(rows)) == rows
    run.close()


def test_the_best_is_the_best_of_eight(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the proxy: over many prompts it beats the one answer that comes before it."""
    functions = {"trl": f"{world.functions}:trl"}
    config = world.config(
        reward={"weights": {"trl": 1.0}, "functions": functions}, feedback={"labels": 0}, evaluate_count=4
    )
    run = build(config, tmp_path / "r")
    rows = [row for seed in range(5) for row in shown(run, seed)]
    assert all(
        row[which]["proxy_reward"] == len(row[which]["text"]) for row in rows for which in ("before", "best")
    )
    best, before = (sum(row[which]["proxy_reward"] for row in rows) for which in ("best", "before"))
    assert best > before and "adds" not in rows[0]["best"]
    assert (
        sum(row["best"]["proxy_reward"] >= row["before"]["proxy_reward"] for row in rows) >= 16
    )  # eight draws against one, of 20


def test_what_tokens_add_needs_the_same_tokens(world: World, tmp_path: Path) -> None:
    other = made_of("zebra ", tmp_path / "other")
    run = build(world.config(reward={"start": str(other)}, evaluate_count=1), tmp_path / "r")
    assert "adds" not in shown(run)[0]["after"] and "proxy_reward" in shown(run)[0]["after"]
    run.close()
