"""Models that only answer: sampled, talked with, evaluated beside another."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from plaudit.environments.language.config import Language
from plaudit.errors import PlauditError
from plaudit.models.language import loading, reward_model
from plaudit.models.language.logprobs import Shaping
from plaudit.models.language.policy import LanguagePolicy
from plaudit.readers.texts import TextPrompt
from plaudit.seeds import seed_of
from plaudit.stages import optimise
from plaudit.stages.evaluate import EvaluateText, evaluate, of_run
from plaudit.stages.generate import GenerateConfig, Generator
from tests.text_world import World, made_of, quiet, write_rows


def evaluation(world: World, **changes: Any) -> EvaluateText:
    environment = Language(prompts=str(world.prompts), max_new_tokens=6, held_out=0.5)
    return replace(EvaluateText(environment=environment, gold_reward=world.hidden), **changes)


def full(*_: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 ...")


def test_a_policy_answers_with_the_temperature_it_learned_with(world: World, tmp_path: Path) -> None:
    """With another one it is another policy than the one that was evaluated."""
    config = world.config(updates=1, policy={"shaping": {"temperature": 0.7, "top_p": 0.95}})
    run = optimise.start(config, tmp_path / "run", quiet).path
    assert Generator(str(run), GenerateConfig(4)).policy.config.shaping == Shaping(0.7, 0.95)
    hotter = Generator(str(run), GenerateConfig(4, temperature=1.5))
    assert hotter.policy.config.shaping == Shaping(1.5, 0.95)
    assert (
        Generator(str(run), GenerateConfig(4, temperature=1.0, top_p=1.0)).policy.config.shaping == Shaping()
    )
    with pytest.raises(PlauditError, match="temperature: must be above 0, not 0"):
        Generator(str(run), GenerateConfig(4, temperature=0.0))
    assert loading.shaping_of(loading.load(str(world.lm))[0]) == Shaping()
    assert Generator(str(world.lm), GenerateConfig(4)).policy.config.shaping == Shaping()


# ---- two models side by side -----------------------------------------------------------------------------------------


def test_a_model_beside_another_is_what_it_is_alone(world: World, tmp_path: Path) -> None:
    """Also one of other tokens: each reads and answers in its own, and there is no KL between them."""
    other = made_of("zebra crossing quiz ", tmp_path / "other")
    alone = [evaluate(str(place), evaluation(world)) for place in (world.lm, other)]
    beside = evaluate(str(world.lm), evaluation(world, against=str(other)))
    turned = evaluate(str(other), evaluation(world, against=str(world.lm)))
    assert beside["before"] == {name: value for name, value in alone[1].items() if name != "prompts"}
    assert turned["before"] == {name: value for name, value in alone[0].items() if name != "prompts"}
    for found, single in ((beside, alone[0]), (turned, alone[1])):
        assert {name: found[name] for name in single} == single and single["prompts"] == 20
        assert "kl_per_answer" not in found and "kl_per_answer" not in found["before"]
    assert beside["win_rate"] == pytest.approx(1 - turned["win_rate"])


def test_a_model_beside_itself(world: World) -> None:
    found = evaluate(str(world.lm), evaluation(world, against=str(world.lm)))
    assert found["kl_per_answer"] == 0 and found["win_rate"] == 0.5 and found["win_ties"] == 1
    assert "proxy_reward_mean" not in found and "proxy_reward_mean" not in found["before"]


def test_what_does_not_fit_one_of_them_is_left_out_for_both(world: World, tmp_path: Path) -> None:
    small = made_of("zebra crossing quiz ", tmp_path / "small", context=16)
    rows = [{"prompt": "say " * (1 + i % 3) + f"{i}:"} for i in range(12)]
    asked = Language(str(write_rows(tmp_path / "p.jsonl", rows)), max_new_tokens=6, held_out=0.9)
    config = evaluation(world, environment=asked, against=str(small))
    with pytest.raises(
        PlauditError, match="the prompt has .* tokens, but 10 fit the context beside the answer"
    ):
        evaluate(str(world.lm), config)
    found = evaluate(str(world.lm), replace(config, environment=replace(asked, too_long="leave out")))
    assert 0 < found["prompts"] < evaluate(str(world.lm), evaluation(world, environment=asked))["prompts"]
    assert found["prompts"] == found["win_prompts"]


def test_a_learned_reward_that_was_never_learned_judges_nothing(world: World, tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="has no trained score, .*; train one with `plaudit reward`"):
        evaluate(str(world.lm), evaluation(world, reward=str(world.lm)))
    made = reward_model.begin(str(world.lm), torch.Generator().manual_seed(0))
    reward_model.save(tmp_path / "rm", made)
    found = evaluate(str(world.lm), evaluation(world, reward=str(tmp_path / "rm"), against=str(world.lm)))
    assert found["proxy_reward_mean"] == found["before"]["proxy_reward_mean"] != 0


# ---- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_says_how_it_is_evaluated(world: World, tmp_path: Path) -> None:
    config = world.config(updates=1, policy={"shaping": {"temperature": 0.7}, "rows": 5})
    path = optimise.start(config, tmp_path / "run", quiet).path
    found = of_run(path)
    assert found.environment == replace(config.environment, prompts=str(world.prompts))
    assert (found.against, found.gold_reward, found.rows) == (str(world.lm), world.hidden, 5)
    assert found.reward == str(path / "reward") and found.shaping == Shaping(0.7)
    assert (found.count, found.seed) == (config.evaluate_count, seed_of(config.seed, "evaluation"))
    other = write_rows(tmp_path / "other.jsonl", [{"prompt": "say it:"}])
    assert of_run(path, str(other)).environment == replace(config.environment, prompts=str(other))


@pytest.mark.parametrize("changes", [{}, {"gold_reward": None, "feedback": {"labels": 0}}])
def test_a_run_is_evaluated_as_at_its_end(world: World, tmp_path: Path, changes: dict[str, Any]) -> None:
    """By the gold reward, and by the reward it is trained on; other prompts or random numbers would give other wins."""
    if changes:  # a function pays, so that nobody has to judge
        changes = changes | {
            "reward": {"weights": {"f": 1.0}, "functions": {"f": f"{world.functions}:texts"}}
        }
    many = {
        "evaluate_count": 3,
        "environment": {"held_out": 0.5},
        "policy": {"shaping": {"temperature": 0.7}},
    }
    run = optimise.start(world.config(updates=2, **many, **changes), tmp_path / "run", quiet)
    result, again = run.read_manifest()["result"], evaluate(str(run.path), of_run(run.path))
    assert again["prompts"] == result["win_prompts"] == 3  # of 20 held out
    measured = set(again) - {"prompts", "before"}
    assert {"win_rate", "win_low", "win_high", "win_ties", "win_by", "kl_per_answer", "tokens"} <= measured
    assert {name: again[name] for name in measured} == pytest.approx(
        {name: result[name] for name in measured}, abs=1e-5
    )
    assert again["before"] == pytest.approx(result["before"], abs=1e-5)
    assert evaluate(str(run.path), replace(of_run(run.path), count=12))["prompts"] == 12


def test_other_prompts_leave_the_splits_of_the_run_behind(world: World, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other.jsonl", [{"prompt": f"say {i}:"} for i in range(4)])
    config = world.config(updates=1, environment={"evaluate_on": str(other)})
    path = optimise.start(config, tmp_path / "run", quiet).path
    assert (
        of_run(path).environment.evaluate_on
        == of_run(path, str(world.prompts)).environment.evaluate_on
        == str(other)
    )
    assert of_run(path, str(other)).environment.evaluate_on is None


def test_a_run_that_is_not_finished(world: World, tmp_path: Path) -> None:
    def stop(_: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        optimise.start(world.config(), path, stop)
    for ask in (lambda: evaluate(str(path), of_run(path)), lambda: Generator(str(path), GenerateConfig())):
        with pytest.raises(PlauditError) as caught:
            ask()
        assert str(caught.value) == (
            f"{path}: this run is not finished, so there is no policy in it; resume it first: plaudit resume {path}"
        )


# ---- what can go wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"gold_reward": "rubric"},
            "gold_reward: the rubric judges service dialogues alone; give a function of your own",
        ),
        ({"gold_reward": None}, "evaluate: nothing to score answers by"),
        ({"count": 0}, "count: must be at least 1, not 0"),
        ({"rows": 0}, "rows: must be at least 1, not 0"),
        ({"environment": Language(split="train")}, "environment.prompts: service dialogues have no splits"),
        (
            {"environment": Language(max_new_tokens=0)},
            "environment.max_new_tokens: must be at least 1, not 0",
        ),
        (
            {"environment": Language(held_out=3.0)},
            "environment.held_out: must be between 0.01 and 0.9, not 3",
        ),
        (
            {"environment": Language(max_new_tokens=40)},
            "environment.max_new_tokens: 40 leave no room for a prompt",
        ),
    ],
)
def test_bad_evaluations(changes: dict[str, Any], expected: str, world: World) -> None:
    with pytest.raises(PlauditError) as caught:
        evaluate(str(world.lm), evaluation(world, **changes))
    assert str(caught.value).startswith(expected)


def test_bad_answers(world: World) -> None:
    for changes, expected in (
        ({"max_new_tokens": 0}, "max_new_tokens: must be at least 1, not 0"),
        ({"rows": 0}, "rows: must be at least 1, not 0"),
        (
            {"max_new_tokens": 40},
            "max_new_tokens: 40 leave no room for a prompt in the model's context of 32 tokens;",
        ),
    ):
        with pytest.raises(PlauditError) as caught:
            Generator(str(world.lm), GenerateConfig(**changes))
        assert str(caught.value).startswith(expected)
    with pytest.raises(
        PlauditError, match=r"here: the prompt has .* but 28 fit .*; shorten it or lower max_new_tokens$"
    ):
        Generator(str(world.lm), GenerateConfig(4)).answers([TextPrompt("say " * 30, {}, "here")])


def test_not_enough_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = Generator(str(world.lm), GenerateConfig(4))
    monkeypatch.setattr(LanguagePolicy, "generate", full)
    said = r"there is not enough memory \(2.00 GiB more were wanted\); lower rows or "
    with pytest.raises(PlauditError, match=f"{said}max_new_tokens"):
        generator.answers([TextPrompt("say", {}, "here")])
    with pytest.raises(PlauditError, match=f"{said}environment.max_new_tokens"):
        evaluate(str(world.lm), evaluation(world))


def test_a_conversation_that_outgrows_the_context_loses_its_oldest_turns(tmp_path: Path) -> None:
    place = made_of("<|user|>say<|assistant|>it\n", tmp_path / "lm", context=60)
    generator = Generator(str(place), GenerateConfig(8))
    turns = [{"role": ("user", "assistant")[i % 2], "content": f"say it {i}"} for i in range(21)]
    recent = generator.recent(turns)
    assert 1 < len(recent) < 21 and recent == turns[-len(recent) :] and recent[0]["role"] == "user"
    fits = [len(generator.vocabulary.prompt(turns[-n:])) <= 52 for n in (len(recent), len(recent) + 2)]
    assert fits == [True, False] and generator.recent(turns[:1]) == turns[:1]
    generator.reply(recent, False)
