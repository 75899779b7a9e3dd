"""How good answers are: KL by an independent computation, wins and their interval by hand."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plaudit.batches import Rewards
from plaudit.environments.language.prompts import Answers
from plaudit.environments.language.rollouts import GenerationConfig
from plaudit.feedback.text_record import TextRecord
from plaudit.models.language import loading
from plaudit.models.language.generation import Sampling
from plaudit.models.language.logprobs import Shaping
from plaudit.models.language.policy import PolicyConfig, as_it_was
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.readers.texts import TextPrompt
from plaudit.rewards import gold
from plaudit.rewards.weighted import Fixed
from plaudit.runs.statistics import mean_interval
from plaudit.stages.adapters.language_evaluate import Scorers, evaluate, wins
from plaudit.stages.adapters.prompts import fitted
from tests.text_world import World

SHAPING = PolicyConfig(shaping=Shaping(temperature=0.8))


@pytest.fixture(scope="module")
def speakers(world: World) -> tuple[Any, Any, Vocabulary]:
    """The model, the same with other weights, and its tokens."""
    one, spoken = loading.load(str(world.lm))
    other, _ = loading.load(str(world.lm))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for p in other.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.05)
    return as_it_was(one, SHAPING), as_it_was(other, SHAPING), spoken


def asked(spoken: Vocabulary, count: int) -> list[Any]:
    words = [a + b for a in "klmnopqr" for b in "aeiou"]
    return [fitted(TextPrompt(f"say {word}:", {"n": i}, "x"), spoken, None, "refuse") for i, word in enumerate(words[:count])]  # fmt: skip


def lengths(answers: Answers) -> Rewards:
    return Rewards(torch.tensor([float(len(text)) for text in answers.completions]))


PROXY = Fixed(lambda said: lengths(said.answers))


def generation(spoken: Vocabulary) -> GenerationConfig:
    return GenerationConfig(spoken, spoken.stops(), Sampling(6))


@torch.no_grad()
def log_probability(policy: Any, prompt: tuple[int, ...], answer: tuple[int, ...]) -> float:
    """Of one answer, by transformers' logits, a token at a time."""
    total = 0.0
    for i, token in enumerate(answer):
        ids = torch.tensor([[*prompt, *answer[:i]]])
        logits = policy.lm(input_ids=ids).logits[0, -1].double() / 0.8
        total += float(logits.log_softmax(dim=-1)[token])
    return total


def test_an_evaluation(speakers: tuple[Any, Any, Vocabulary]) -> None:
    policy, other, spoken = speakers
    prompts = asked(spoken, 12)
    scorers = Scorers(PROXY, lambda answers: -lengths(answers).scores, other)
    found = evaluate(policy, prompts, generation(spoken), scorers, 7)
    said = found.said.answers
    expected = [
        log_probability(policy, prompt.tokens, answer) - log_probability(other, prompt.tokens, answer)
        for prompt, answer in zip(prompts, said.tokens, strict=True)
    ]
    assert found.kl == pytest.approx(sum(expected) / 12, abs=1e-4) and found.kl != 0
    metrics = found.metrics()
    sizes = [float(len(text)) for text in said.completions]
    mean = sum(sizes) / 12
    assert metrics["proxy_reward_mean"] == pytest.approx(mean) and metrics[
        "gold_reward_mean"
    ] == pytest.approx(-mean)
    assert metrics["gold_reward_std"] == pytest.approx(math.sqrt(sum((s - mean) ** 2 for s in sizes) / 11))
    assert metrics["tokens"] == sum(map(len, said.tokens)) / 12
    assert metrics["capped"] == sum(tokens[-1] != spoken.end for tokens in said.tokens) / 12
    assert metrics["kl_per_answer"] == found.kl
    assert found.scores() == {"proxy_reward": sizes, "gold_reward": [-size for size in sizes]}
    assert torch.equal(found.worth, -torch.tensor(sizes))
    again = evaluate(policy, prompts, generation(spoken), scorers, 7)
    assert again.said.answers == said and again.kl == found.kl
    assert evaluate(policy, prompts, generation(spoken), scorers, 8).said.answers != said


def test_of_one_answer_without_a_hidden_score(speakers: tuple[Any, Any, Vocabulary]) -> None:
    policy, _, spoken = speakers
    found = evaluate(policy, asked(spoken, 1), generation(spoken), Scorers(PROXY, None, None), 0)
    metrics = found.metrics()
    assert set(metrics) == {"proxy_reward_mean", "tokens", "repetition", "capped"}
    assert found.worth is found.proxy and found.scores()["gold_reward"] is None
    judged = evaluate(
        policy, asked(spoken, 1), generation(spoken), Scorers(PROXY, lambda a: torch.ones(1), policy), 0
    )
    assert judged.metrics()["gold_reward_std"] == 0.0 and judged.kl == 0.0


def test_wins_by_hand() -> None:
    found = wins(torch.tensor([1.0, 2.0, 3.0, 4.0] * 3), torch.tensor([0.0, 2.0, 5.0, 1.0] * 3))
    assert found.rate == 0.625 and found.ties == 0.25 and found.prompts == 12
    points = [1.0] * 7 + [0.5] * 3 + [0.0] * 4  # one more win and one more loss
    mean = sum(points) / 14
    half = 2.160369 * math.sqrt(sum((p - mean) ** 2 for p in points) / 13 / 14)  # t(.975, 13)
    assert found.low == pytest.approx(mean - half, abs=1e-5) and found.high == pytest.approx(
        mean + half, abs=1e-5
    )
    assert wins(torch.tensor([1.0]), torch.tensor([0.0])).named("x_") == {
        "x_rate": 1.0, "x_low": 0.0, "x_high": 1.0, "x_ties": 0.0, "x_prompts": 1,
    }  # fmt: skip


def test_of_many_prompts_it_is_the_usual_interval() -> None:
    for won, ties, count in ((49, 1, 100), (300, 0, 500), (60, 400, 500), (180, 10, 200)):
        scores = torch.cat([torch.ones(won), torch.zeros(ties), -torch.ones(count - won - ties)])
        found = wins(scores, torch.zeros(count))
        mean, low, high = mean_interval(((scores.sign() + 1) / 2).numpy())
        assert found.rate == pytest.approx(mean)
        assert found.low == pytest.approx(low, abs=0.011) and found.high == pytest.approx(high, abs=0.011)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_an_interval_is_never_without_width(won: int, ties: int, lost: int) -> None:
    """At the edge as well, and the win rate lies in it."""
    if won + ties + lost == 0:
        return
    scores = torch.cat([torch.ones(won), torch.zeros(ties), -torch.ones(lost)])
    found = wins(scores, torch.zeros(len(scores)))
    assert 0 <= found.low <= found.rate <= found.high <= 1 and found.high - found.low > 1 / len(scores) / 2
    assert found.low == pytest.approx(1 - wins(-scores, torch.zeros(len(scores))).high)


@pytest.mark.parametrize(("share", "ties"), [(0.5, 0.0), (0.9, 0.0), (0.97, 0.0), (0.4, 0.5), (0.1, 0.9)])
@pytest.mark.parametrize("count", [2, 10, 30])
def test_it_holds_what_it_should(share: float, ties: float, count: int) -> None:
    """The exact probability that the interval holds the truth, by the trinomial: near 95 % however few prompts."""
    held, truth, lost = 0.0, share + ties / 2, 1 - share - ties
    for a in range(count + 1):
        for b in range(count + 1 - a):
            scores = torch.tensor([1.0] * a + [-1.0] * b + [0.0] * (count - a - b))
            found = wins(scores, torch.zeros(count))
            if found.low <= truth <= found.high:
                ways = math.comb(count, a) * math.comb(count - a, b)
                held += ways * share**a * lost**b * ties ** (count - a - b)
    assert held > 0.94


def test_hidden_scores(world: World, tmp_path: Path) -> None:
    assert gold.find(None, 1.0) is None
    facts = {"item": "red lamp", "matter": "arrives", "day": "Monday"}
    texts = (
        " Thank you for asking us. Your red lamp arrives on Monday. Please write again at any time.",
        " Idiot.",
    )
    answers = Answers(("p", "p"), texts, ((1,), (2,)), {"facts": [facts, facts]})
    score = gold.find("rubric", 1.0)
    assert score is not None
    given = score(answers)
    assert given.dtype.is_floating_point and float(given[0]) > float(given[1])
    mine = gold.find(world.hidden, 1.0)
    assert mine is not None
    answers = Answers(("p", "p"), ("aab", "b"), ((1,), (2,)), {"n": [1, 2]})
    assert mine(answers).tolist() == [1.5, -0.5]
    stored = TextRecord("p", "aab", tokens=(1,), columns={"n": 1})
    assert gold.of_one(mine, stored) == 1.5
    conversation = replace(stored, messages=({"role": "user", "content": "p"},))
    (tmp_path / "h.py").write_text(
        "def h(prompts, completions, n):\n"
        "    return [float(m[0]['content'] == 'p') + len(c[0]['content']) + k for m, c, k in zip(prompts, completions, n)]\n"
    )
    other = gold.find(f"{tmp_path / 'h.py'}:h", 1.0)
    assert other is not None and gold.of_one(other, conversation) == 1 + 3 + 1
