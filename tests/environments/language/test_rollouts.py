"""Rollouts of a small language model: rewards where they belong, exact distances, caps, groups, and the same again."""

import math
from copy import deepcopy
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from plaudit.algorithms.on_policy import ppo
from plaudit.batches import Episodes, Rewards, Rollout
from plaudit.environments.language.config import Bootstrap, Penalty, Score
from plaudit.environments.language.prompts import Prompt, PromptQueue
from plaudit.environments.language.rollouts import (
    Answers,
    Completions,
    GenerationConfig,
    LanguageRollouts,
    generate,
    place,
    repetition,
)
from plaudit.errors import PlauditError
from plaudit.maths import kl
from plaudit.maths.advantage import GAE
from plaudit.maths.kl import Kl
from plaudit.models.language import tokens
from plaudit.models.language.adapters import Lora
from plaudit.models.language.generation import Sampling
from plaudit.models.language.logprobs import Shaping
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig
from plaudit.rewards.functions import adapt
from plaudit.trainers import on_policy
from plaudit.trainers.on_policy import Algorithm, OnPolicy, Updater
from tests.environments.language.letters import generator, model, policy, vocabulary

COUNT, STOP = 5, 4
WORDS = vocabulary(COUNT)
ONE, TWO = torch.tensor([True, True, False]), torch.tensor([True, True, True])


def prompt(text: str, **columns: Any) -> Prompt:
    return Prompt(tuple(WORDS.encode(text)), text, columns)


PROMPTS = [prompt(text) for text in ("a", "bc", "dab", "cadba", "d", "bb", "acd")]


def language(
    batch: int = 12, cap: Any = None, each: int = 1, prompts: list[Prompt] | None = None
) -> LanguageRollouts:
    generation = GenerationConfig(WORDS, WORDS.stops(), Sampling(max_new_tokens=6), cap or Score(), each)
    return LanguageRollouts(PromptQueue(prompts or PROMPTS, generator(1)), generation, batch, generator(2))


def scored(
    environment: LanguageRollouts, said: Completions, policies: tuple[Any, Any], reward: Any
) -> Rollout:
    """Episodes of what was said by (learning, reference)."""
    return environment.episodes(said, *policies, reward(said.answers))


def rolled(environment: LanguageRollouts, learning: Any, reference: Any, reward: Any) -> Rollout:
    """Fresh episodes."""
    return scored(environment, environment.collect(learning), (learning, reference), reward)


def worth(answers: Answers) -> Rewards:
    """A score of the whole answer: which tokens, in which order."""
    return Rewards(
        torch.tensor([float(sum(t * (i + 1) for i, t in enumerate(row))) for row in answers.tokens])
    )


def learner_and_reference(seed: int = 0, moved: float = 0.0) -> tuple[LanguagePolicy, LanguagePolicy]:
    """A policy whose critic says something, and the reference; moved: how far the policy has gone from it."""
    learning, reference = policy(model(COUNT, seed)), policy(model(COUNT, seed), "none")
    with torch.no_grad():
        learning.value.weight.normal_(generator=generator(seed + 1))
        learning.value.bias.fill_(0.5)
        for p in learning.lm.parameters():
            p.add_(moved * torch.randn(p.shape, generator=generator(seed + 2)))
    return learning, reference


def told(rows: list[tuple[str, str]]) -> Completions:
    """What would have been said, as (prompt, answer); an answer that ends in `.` is complete."""
    asked, said = [prompt(text) for text, _ in rows], [tuple(WORDS.encode(text)) for _, text in rows]
    answers = Answers(tuple(p.text for p in asked), tuple(text.rstrip(".") for _, text in rows), tuple(said))
    ended = torch.tensor([text.endswith(".") for _, text in rows])
    return Completions(
        tokens.answers([p.tokens for p in asked], said), answers, ended, torch.arange(len(rows))
    )


def rows_of(rollout: Rollout, name: str) -> list[list[float]]:
    """The decisions of each answer as a list."""
    e = rollout.episodes
    return [row[mask].tolist() for row, mask in zip(getattr(e, name), e.mask, strict=True)]


# ------------------------------------------------------------------------------------------------- what was said


def test_record_and_texts_are_what_was_sampled() -> None:
    learning, _ = learner_and_reference()
    said = language(30).collect(learning)
    assert said.answers.prompts == tuple(
        "".join(chr(97 + i) for i in ids[: length - len(answer)])
        for ids, length, answer in zip(
            said.record.ids.tolist(), said.record.lengths.tolist(), said.answers.tokens, strict=True
        )
    )
    lengths = [len(answer) for answer in said.answers.tokens]
    assert min(lengths) < max(lengths) == 6 and 0 < said.ended.sum() < 30  # some end, some are cut
    for b, answer in enumerate(said.answers.tokens):
        end = int(said.record.lengths[b])
        assert said.record.ids[b, end - len(answer) : end].tolist() == list(answer)
        assert said.record.ids[b, end:].eq(0).all()
        assert said.record.decisions[b, : len(answer)].tolist() == list(range(end - len(answer), end))
        assert said.record.decisions[b, len(answer) :].eq(0).all()
        assert bool(said.ended[b]) == (answer[-1] == STOP)
        assert STOP not in answer[:-1]
        text = "".join(chr(97 + i) for i in answer if i != STOP)
        assert said.answers.completions[b] == text


def test_a_text_that_stops_an_answer_is_no_part_of_it() -> None:
    learning, _ = learner_and_reference()
    speech = replace(language().generation, stops=WORDS.stops(["b"]))
    said = generate(learning, PROMPTS * 6, speech, generator(3))
    endings = {answer[-1] for answer in said.answers.tokens}
    assert {1, STOP} < endings  # both kinds of stop, and the cap
    for answer, text, ended in zip(said.answers.tokens, said.answers.completions, said.ended, strict=True):
        assert bool(ended) == (answer[-1] in (1, STOP)) and "b" not in text
        assert len(text) == len(answer) - int(ended)


def test_answers_to_one_prompt_share_a_number() -> None:
    learning, _ = learner_and_reference()
    said = language(batch=8, each=3).collect(learning)
    assert said.group.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]  # the last prompt gets what is left
    assert len({said.answers.prompts[i] for i in (0, 1, 2)}) == 1
    assert said.answers.prompts[0] != said.answers.prompts[3] != said.answers.prompts[6]
    assert len(set(said.answers.tokens[:3])) > 1  # drawn apart
    many = language(batch=5, prompts=PROMPTS[:1]).collect(learning)
    assert many.group.tolist() == [0] * 5  # the same prompt taken again is the same prompt
    rollout = rolled(language(batch=8, each=3), learning, None, worth)
    assert rollout.episodes.group is not None
    assert rollout.episodes.group.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]


def test_columns_and_messages_reach_the_reward() -> None:
    learning, _ = learner_and_reference()
    turns = [({"role": "user", "content": "ab"},), ({"role": "user", "content": "c"},)]
    asked = [
        Prompt(tuple(WORDS.prompt(turns[0])), "ab", {"label": "x"}, turns[0]),
        Prompt(tuple(WORDS.prompt(turns[1])), "c", {"other": 3}, turns[1]),
    ]
    assert asked[0].tokens == (0, 1)
    seen: dict[str, Any] = {}

    def reward(prompts, completions, label, other):
        seen.update(prompts=prompts, completions=completions, label=label, other=other)
        return [1.0] * len(prompts)

    environment = language(2, prompts=asked)
    said = generate(learning, asked, environment.generation, generator(0))
    assert said.answers.messages == tuple(turns)
    scored(environment, said, (learning, None), adapt(reward, "mine"))
    assert seen["prompts"] == [[{"role": "user", "content": "ab"}], [{"role": "user", "content": "c"}]]
    assert seen["completions"] == [
        [{"role": "assistant", "content": text}] for text in said.answers.completions
    ]
    assert seen["label"] == ["x", None] and seen["other"] == [None, 3]  # a row without the column says None
    mixed = generate(learning, [asked[0], PROMPTS[0]], environment.generation, generator(0))
    assert mixed.answers.messages is None


def test_nothing_asked_is_nothing_said() -> None:
    learning, _ = learner_and_reference()
    said = generate(learning, [], language().generation, generator(0))
    assert len(said.answers) == 0 and said.ended.dtype == torch.bool and said.group.dtype == torch.long


# ------------------------------------------------------------------------------------- rewards and distances


def test_published_reward_assembly_of_torchtune() -> None:
    logp = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.6, 0.7, 0.8]])
    ref = torch.tensor([[0.2, 0.3, 0.4], [0.6, 0.7, 0.8], [0.9, 1.0, 1.1]])
    mask, ended = torch.ones(3, 3, dtype=torch.bool), torch.ones(3, dtype=torch.bool)
    rewards = place(Rewards(torch.tensor([1.0, 2.0, 3.0])), mask, ended, Score())
    assert rewards.tolist() == [[0, 0, 1], [0, 0, 2], [0, 0, 3]]
    last = mask & torch.tensor([False, False, True])
    e = Episodes(logp, rewards, last, last, mask, ref_logp=ref)
    expected = torch.tensor([[0.05, 0.05, 1.05], [0.1, 0.1, 2.1], [0.15, 0.15, 3.15]])
    assert torch.allclose(kl.in_reward(e, Kl(0.5)).rewards, expected, atol=1e-6)
    assert torch.allclose(kl.k1(logp, ref).mean(dim=1), torch.tensor([-0.1, -0.2, -0.3]), atol=1e-6)


def test_the_rewards_of_an_answer_are_its_score_minus_the_price_of_its_kl() -> None:
    learning, reference = learner_and_reference(moved=0.1)
    environment, beta = language(24), 0.3
    said = environment.collect(learning)
    rollout = scored(environment, said, (learning, reference), worth)
    e = rollout.episodes
    assert torch.equal(e.rewards[~e.mask], torch.zeros_like(e.rewards[~e.mask]))
    charged = replace(rollout, episodes=kl.in_reward(e, Kl(beta)))
    assert torch.equal(charged.episodes.rewards[~e.mask], torch.zeros_like(e.rewards[~e.mask]))
    scores = worth(said.answers).scores.tolist()
    plain, paid = rows_of(rollout, "rewards"), rows_of(charged, "rewards")
    logp, ref = rows_of(rollout, "logp"), rows_of(rollout, "ref_logp")
    for b, score in enumerate(scores):
        assert plain[b] == [0.0] * (len(plain[b]) - 1) + [score]  # once, at the last decision
        prices = [p - q for p, q in zip(logp[b], ref[b], strict=True)]
        assert math.fsum(paid[b]) == pytest.approx(score - beta * math.fsum(prices), abs=1e-5)
        assert paid[b][:-1] == pytest.approx([-beta * price for price in prices[:-1]], abs=1e-6)
    per_answer = [math.fsum(p) - math.fsum(q) for p, q in zip(logp, ref, strict=True)]
    assert rollout.metrics["objective/kl_per_answer"] == pytest.approx(sum(per_answer) / 24, rel=1e-5)
    assert abs(sum(per_answer)) > 0.1  # there was something to count


def test_log_probabilities_are_those_of_the_model_on_the_text_alone() -> None:
    learning, reference = learner_and_reference(moved=0.1)
    rollout = rolled(language(12), learning, reference, worth)
    logp, ref, entropy = rows_of(rollout, "logp"), rows_of(rollout, "ref_logp"), []
    for b, answer in enumerate(logp):
        length = int(rollout.record.lengths[b])
        ids = rollout.record.ids[b : b + 1, :length]
        for lm, found in ((learning.lm, answer), (reference.lm, ref[b])):
            with torch.no_grad():
                rows = lm(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].log_softmax(dim=-1)
            places = range(length - len(answer), length)
            assert found == pytest.approx([float(rows[t - 1, ids[0, t]]) for t in places], abs=1e-5)
            if lm is learning.lm:
                entropy += [-float((rows[t - 1].exp() * rows[t - 1]).sum()) for t in places]
    assert rollout.metrics["objective/entropy"] == pytest.approx(sum(entropy) / len(entropy), rel=1e-5)


@pytest.mark.parametrize("shaping", [Shaping(), Shaping(temperature=0.7), Shaping(top_p=0.8)])
def test_a_policy_at_its_reference_is_at_distance_0_exactly(shaping: Shaping) -> None:
    learning, reference = (policy(model(COUNT, 0), critic, shaping) for critic in ("shared", "none"))
    rollout = rolled(language(20), learning, reference, worth)
    assert rollout.episodes.ref_logp is not None
    assert torch.equal(rollout.episodes.logp, rollout.episodes.ref_logp)
    assert rollout.metrics["objective/kl_per_answer"] == 0.0
    assert torch.equal(kl.in_reward(rollout.episodes, Kl(0.7)).rewards, rollout.episodes.rewards)


def test_adapters_start_at_distance_0_exactly() -> None:
    learning = LanguagePolicy(model(COUNT, 0), PolicyConfig(lora=Lora(rank=2)), generator(0))
    rollout = rolled(language(20), learning, learning.reference(), worth)
    assert rollout.metrics["objective/kl_per_answer"] == 0.0


def test_without_a_reference_there_is_no_distance() -> None:
    learning, _ = learner_and_reference()
    rollout = rolled(language(), learning, None, worth)
    assert rollout.episodes.ref_logp is None and "objective/kl_per_answer" not in rollout.metrics


def test_metrics_by_name_and_by_hand() -> None:
    learning, reference = learner_and_reference(moved=0.1)
    said = told([("a", "abab."), ("bc", "aaaaaa"), ("d", ".")])
    rollout = scored(
        language(),
        said,
        (learning, reference),
        lambda answers: Rewards(torch.tensor([1.0, 2.0, 6.0]), metrics={"own": 7.0}),
    )
    metrics = dict(rollout.metrics)
    assert metrics.pop("objective/entropy") > 0 and metrics.pop("objective/kl_per_answer") != 0
    assert metrics == {
        "objective/scores": 3.0,
        "objective/scores_std": pytest.approx(7**0.5),  # (4 + 1 + 9) / 2
        "objective/reward": 3.0,
        "rollout/answer_tokens": 4.0,  # 5, 6 and 1
        "rollout/capped": pytest.approx(1 / 3),
        "rollout/repetition": pytest.approx((0 + 3 / 4 + 0) / 3),
        "own": 7.0,
    }


def test_repetition_by_hand() -> None:
    assert repetition([1, 2, 3]) == 0.0  # one trigram
    assert repetition([1, 2]) == 0.0  # none
    assert repetition([7, 7, 7, 7, 7]) == pytest.approx(2 / 3)  # three trigrams, one of them new
    assert repetition([1, 2, 1, 2, 1]) == pytest.approx(1 / 3)  # 121 212 121
    assert repetition([1, 2, 1, 2], n=2) == pytest.approx(1 / 3)  # 12 21 12


# --------------------------------------------------------------------------------------------------------- caps


@pytest.mark.parametrize(
    ("cap", "expected"),
    [
        (Score(), [[0, 1, 0], [0, 0, 2]]),
        (Penalty(0.5), [[0, 1, 0], [0, 0, 1.5]]),
        (Bootstrap(), [[0, 1, 0], [0, 0, 0]]),
    ],
)
def test_caps_by_hand(cap: Any, expected: list[list[float]]) -> None:
    # the first answer has two tokens and ended; the second has three and was cut
    mask, ended = torch.stack([ONE, TWO]), torch.tensor([True, False])
    assert place(Rewards(torch.tensor([1.0, 2.0])), mask, ended, cap).tolist() == expected


@pytest.mark.parametrize(
    ("cap", "expected"),
    [
        (Score(), [[1, 2, 0], [3, 4, 5]]),
        (Penalty(0.5), [[1, 2, 0], [3, 4, 4.5]]),
        (Bootstrap(), [[1, 2, 0], [3, 4, 0]]),  # what was earned before the cut stays
    ],
)
def test_dense_rewards_by_hand(cap: Any, expected: list[list[float]]) -> None:
    mask, ended = torch.stack([ONE, TWO]), torch.tensor([True, False])
    dense = torch.tensor([[1.0, 2.0, 0.0], [3.0, 4.0, 5.0]])
    graded = Rewards(torch.tensor([3.0, 12.0]), dense)
    assert place(graded, mask, ended, cap).tolist() == expected


def test_dense_rewards_of_a_function_stand_at_their_tokens() -> None:
    learning, _ = learner_and_reference()
    environment = language(12)
    said = environment.collect(learning)
    reward = adapt(lambda answers: [[float(t) for t in row] for row in answers.tokens], "tokens")
    rollout = scored(environment, said, (learning, None), reward)
    assert rows_of(rollout, "rewards") == [[float(t) for t in row] for row in said.answers.tokens]


@pytest.mark.parametrize("cap", [Score(), Penalty(2.0), Bootstrap()])
def test_what_a_cap_means_for_learning(cap: Any) -> None:
    learning, _ = learner_and_reference()
    said = told([("a", "bd."), ("cab", "dcba")])
    scores = Rewards(torch.tensor([5.0, 7.0]))
    rollout = scored(language(cap=cap), said, (learning, None), lambda answers: scores)
    e, paid = rollout.episodes, {Score(): 12.0, Penalty(2.0): 10.0, Bootstrap(): 5.0}[cap]
    assert rollout.metrics["objective/scores"] == 6 and rollout.metrics["objective/reward"] == paid / 2
    assert e.last.tolist() == [[False, False, True, False], [False, False, False, True]]
    cut = isinstance(cap, Bootstrap)
    assert e.terminated.tolist() == [[False, False, True, False], [False, False, False, not cut]]

    def value(text: str) -> float:
        """V of a text by the critic's own weights."""
        ids = torch.tensor([WORDS.encode(text)])
        with torch.no_grad():
            return float(learning.value(learning.lm.transformer(input_ids=ids).last_hidden_state[0, -1]))

    # lambda 0, discount 1: delta = r + V(next) - V
    advantages = ppo.advantages(e, ppo.Config(discount=1.0, advantage=GAE(0.0)))
    first = [value("ab") - value("a"), value("abd") - value("ab"), 5 - value("abd")]
    texts = ["cab", "cabd", "cabdc", "cabdcb", "cabdcba"]
    v = [value(text) for text in texts]
    end = {"Score": 7.0, "Penalty": 5.0, "Bootstrap": v[4]}[type(cap).__name__]
    second = [v[1] - v[0], v[2] - v[1], v[3] - v[2], end - v[3]]
    assert advantages[0].tolist() == pytest.approx([*first, 0.0], abs=1e-5)
    assert advantages[1].tolist() == pytest.approx(second, abs=1e-5)
    assert e.values is not None and e.next_values is not None
    assert e.values[1].tolist() == pytest.approx(v[:4], abs=1e-5)
    assert e.next_values[1].tolist() == pytest.approx(v[1:], abs=1e-5)


def test_a_stop_token_at_the_very_cap_is_an_end() -> None:
    learning, _ = learner_and_reference()
    environment = language(64, cap=Bootstrap())
    said = environment.collect(learning)
    at_cap = [b for b, answer in enumerate(said.answers.tokens) if len(answer) == 6 and answer[-1] == STOP]
    assert at_cap and said.ended[at_cap].all()
    rollout = scored(environment, said, (learning, None), worth)
    assert (rollout.episodes.terminated.any(dim=1) == said.ended).all()
    assert rollout.metrics["rollout/capped"] == pytest.approx(
        sum(a[-1] != STOP for a in said.answers.tokens) / 64
    )


# ------------------------------------------------------------------------------------------------ what is learned


def first_minibatch(minibatch: int) -> tuple[Any, dict[str, float]]:
    """What PPO sees at its first step, and what the update of one pass reports."""
    learning, reference = learner_and_reference(moved=0.1)
    rollout = rolled(language(48), learning, reference, worth)
    seen: list[Any] = []

    def loss(new: Any, episodes: Any, advantages: Any, config: Any) -> Any:
        seen.append((new, episodes, advantages, ppo.loss(new, episodes, advantages, config)))
        return seen[-1][-1]

    module = ModuleType("listening")
    vars(module).update(needs=ppo.needs, advantages=ppo.advantages, loss=loss)
    settings = ppo.Config(discount=1.0, advantage=GAE(1.0), kl=Kl(0.1))
    config = on_policy.Config(epochs=1, minibatch_size=minibatch)
    updater = Updater(learning, Algorithm(module, settings), config, generator(0))
    updater.update(rollout, 1.0)
    return seen[0], updater.metrics


@pytest.mark.parametrize("minibatch", [5, 48])
def test_the_ratio_is_1_on_the_first_minibatch(minibatch: int) -> None:
    (new, episodes, _, loss), _ = first_minibatch(minibatch)
    assert new.logp.dtype == torch.float32 and len(new.logp) == minibatch
    ratio = (new.logp - episodes.logp).exp()[episodes.mask]
    assert (ratio - 1).abs().max() < 1e-5
    assert float(loss.metrics["policy/approxkl_avg"]) == pytest.approx(0, abs=1e-9)
    assert float(loss.metrics["policy/clipfrac_avg"]) == 0.0
    assert float(loss.metrics["val/ratio"]) == pytest.approx(1, abs=1e-5)
    # standardised advantages have mean 0, and so has the loss at a ratio of 1
    assert float(loss.metrics["loss/policy_avg"]) == pytest.approx(0, abs=1e-5)


def test_one_pass_over_the_whole_rollout_reports_just_that() -> None:
    _, metrics = first_minibatch(48)
    assert metrics["policy/approxkl_avg"] == pytest.approx(0, abs=1e-9)
    assert metrics["policy/clipfrac_avg"] == 0.0
    assert metrics["val/ratio"] == pytest.approx(1, abs=1e-5)
    assert metrics["loss/policy_avg"] == pytest.approx(0, abs=1e-5)


def test_with_discount_and_lambda_1_the_target_is_the_reward_to_go() -> None:
    learning, reference = learner_and_reference(moved=0.1)
    rollout = rolled(language(24), learning, reference, worth)
    e, beta = rollout.episodes, 0.2
    advantages = ppo.advantages(e, ppo.Config(discount=1.0, advantage=GAE(1.0), kl=Kl(beta)))
    assert e.values is not None
    target = replace(rollout, episodes=replace(e, values=advantages + e.values))
    charged = rows_of(replace(rollout, episodes=kl.in_reward(e, Kl(beta))), "rewards")
    for found, rewards in zip(rows_of(target, "values"), charged, strict=True):
        to_go = [math.fsum(rewards[t:]) for t in range(len(rewards))]
        assert found == pytest.approx(to_go, abs=2e-5)
    assert torch.equal(advantages[~e.mask], torch.zeros_like(advantages[~e.mask]))


@pytest.mark.parametrize("cap", [Score(), Bootstrap()])
def test_what_stands_where_nothing_was_said_is_never_read(cap: Any) -> None:
    learning, reference = learner_and_reference(moved=0.1)
    e = rolled(language(24, cap=cap), learning, reference, worth).episodes
    settings = ppo.Config(discount=0.9, advantage=GAE(0.8), kl=Kl(0.2))
    plain = ppo.advantages(e, settings)
    for seed in range(3):
        noise = 100 * torch.randn(e.mask.shape, generator=generator(seed))

        def filled(tensor: Tensor | None, noise: Tensor = noise) -> Tensor:
            assert tensor is not None
            return torch.where(e.mask, tensor, noise)

        dirty = replace(
            e,
            logp=filled(e.logp),
            ref_logp=filled(e.ref_logp),
            rewards=filled(e.rewards),
            values=filled(e.values),
            next_values=filled(e.next_values),
        )
        assert torch.equal(ppo.advantages(dirty, settings), plain)


def test_neighbours_and_padding_change_nothing() -> None:
    learning, reference = learner_and_reference(moved=0.1)
    short = [("a", "bd."), ("cab", "dcba")]
    long = [("cabdcabdcabdcabd", "abcdabcdabcdabcd"), ("b", "aaaaaaaaaaaa.")]
    environment = language()
    alone = scored(environment, told(short), (learning, reference), worth).episodes
    among = scored(environment, told([long[0], *short, long[1]]), (learning, reference), worth).episodes
    width = alone.mask.shape[1]
    for name in ("logp", "rewards", "values", "next_values", "ref_logp", "mask", "last", "terminated"):
        rows = getattr(among, name)[1:3]
        assert torch.allclose(rows[:, :width].float(), getattr(alone, name).float(), atol=1e-5), name
        assert rows[:, width:].eq(0).all(), name
    settings = ppo.Config(discount=1.0, kl=Kl(0.1))
    pair = ppo.advantages(among, settings)[1:3, :width], ppo.advantages(alone, settings)
    assert torch.allclose(*pair, atol=1e-5)


# ------------------------------------------------------------------------------------------------- saved and resumed


def test_a_restored_environment_goes_on_bit_for_bit() -> None:
    learning, reference = learner_and_reference(moved=0.1)
    environment = language(5, each=2)
    rolled(environment, learning, reference, worth)
    saved = deepcopy(environment.state_dict())
    expected = [rolled(environment, learning, reference, worth) for _ in range(4)]
    other = LanguageRollouts(
        PromptQueue(PROMPTS, generator(77)), environment.generation, environment.batch, generator(78)
    )
    other.load_state_dict(saved)
    for rollout in expected:
        again = rolled(other, learning, reference, worth)
        assert torch.equal(again.record.ids, rollout.record.ids)
        assert torch.equal(again.record.decisions, rollout.record.decisions)
        for name in vars(rollout.episodes):
            a, b = getattr(again.episodes, name), getattr(rollout.episodes, name)
            assert torch.equal(a, b) if isinstance(a, Tensor) else a == b, name
        assert again.metrics == rollout.metrics


def test_what_was_saved_does_not_go_on_with_the_environment() -> None:
    environment = language(3)
    learning, _ = learner_and_reference()
    saved = environment.state_dict()
    before = deepcopy(saved)
    environment.load_state_dict(saved)
    environment.collect(learning)
    assert torch.equal(saved["generator"], before["generator"])
    assert torch.equal(saved["prompts"]["waiting"], before["prompts"]["waiting"])


# -------------------------------------------------------------------------------------------------------- refusals


class Nobody:
    """Nobody is asked about the answers of a policy that has diverged before, and nobody learns from them after."""

    def observe(self, behaviour: Completions, progress: float) -> dict[str, Any]:
        return {}

    def rewards(self, behaviour: Completions) -> Rewards:
        return worth(behaviour.answers)

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        raise AssertionError


def learner(learning: Any, reference: Any) -> OnPolicy:
    updater = Updater(
        learning, Algorithm(ppo, ppo.Config(kl=Kl(0.1))), on_policy.Config(epochs=1), generator(0)
    )
    return OnPolicy(updater, language(), Nobody(), 4, reference)


@pytest.mark.parametrize("what", ["logp", "values"])
def test_a_policy_that_has_diverged_is_refused(what: str) -> None:
    learning, reference = learner_and_reference()
    with torch.no_grad():
        weights = learning.lm.parameters() if what == "logp" else learning.value.parameters()
        for p in weights:
            p.fill_(float("nan"))
    with pytest.raises(PlauditError, match=f"^learning has diverged: {what} is no longer finite; lower "):
        learner(learning, reference).step()


def test_a_reference_without_finite_numbers_is_refused() -> None:
    learning, reference = learner_and_reference()
    with torch.no_grad():
        next(reference.lm.parameters()).fill_(float("inf"))
    with pytest.raises(PlauditError, match="^reference: .* not finite; give the model"):
        learner(learning, reference).step()


def test_a_learner_spends_one_of_its_budget_for_each_batch() -> None:
    one = learner(*learner_and_reference())
    rows = []
    while not one.done:
        rows.append(one.step())
    assert len(rows) == one.updates == 4 and one.progress == 1
    assert one.updater.decisions == sum(round(12 * row["rollout/answer_tokens"]) for row in rows)
    paid_for = rows[-1]["objective/reward"] + rows[-1]["objective/non_score_reward"]
    assert rows[-1]["objective/rlhf_reward"] == pytest.approx(paid_for)
    price = -0.1 * rows[-1]["objective/kl_per_answer"]
    assert rows[-1]["objective/non_score_reward"] == pytest.approx(price)


def unchecked(scores: Tensor, dense: Tensor | None = None) -> Rewards:
    """As in production, where nobody looks at shapes before."""
    made = Rewards(torch.zeros(2))
    object.__setattr__(made, "scores", scores)
    object.__setattr__(made, "dense", dense)
    return made


@pytest.mark.parametrize(
    ("graded", "message"),
    [
        (Rewards(torch.zeros(1)), r"scores of shape \[1\], wanted \[2\]; give one per answer"),
        (unchecked(torch.zeros(2, 1)), r"scores of shape \[2, 1\], wanted \[2\]"),
        (Rewards(torch.tensor([0.0, float("nan")])), "not finite; give finite numbers"),
        (Rewards(torch.zeros(2), torch.zeros(2, 3)), "dense rows are not as long as the answers"),
        (unchecked(torch.zeros(2), torch.zeros(1, 4)), "dense rows are not as long as the answers"),
        (Rewards(torch.zeros(2), torch.tensor([[0, 0, 0, 0], [0, 1, 2, float("inf")]])), "not finite"),
    ],
)
def test_a_reward_that_says_something_else_is_refused(graded: Rewards, message: str) -> None:
    learning, _ = learner_and_reference()
    with pytest.raises(PlauditError, match=f"^reward: .*{message}"):
        scored(language(), told([("a", "bd."), ("cab", "dcba")]), (learning, None), lambda answers: graded)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(PlauditError, match="^batch: 0 .*give 1 or more"):
        language(batch=0)
    with pytest.raises(PlauditError, match="^num_generations: 0 .*give 1 or more"):
        language(each=0)
    for amount in (-1.0, math.inf, math.nan):
        with pytest.raises(PlauditError, match="amount: must be at least 0, not"):
            Penalty(amount)
