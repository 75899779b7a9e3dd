from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from plaudit.batches import Episodes, Scores
from plaudit.errors import PlauditError
from plaudit.models.language import tokens
from plaudit.models.language.adapters import Lora
from plaudit.models.language.generation import Sampling
from plaudit.models.language.logprobs import Shaping
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig
from plaudit.models.language.tokens import Tokens
from plaudit.trainers.steps import AdamOptimiser
from tests.models.language import tiny
from tests.models.language.tiny import FAMILIES, lm, nucleus, seeded, sequences

NO_CRITIC = PolicyConfig(critic="none")


def policy(family: str = "gpt2", config: PolicyConfig = PolicyConfig(), seed: int = 0) -> LanguagePolicy:
    """A policy whose critic, where it has one, has weights."""
    made = LanguagePolicy(lm(family, seed), config, seeded(9))
    with torch.no_grad():
        if config.critic != "none":
            made.value.weight.normal_(generator=seeded(10))
            made.value.bias.normal_(generator=seeded(11))
        for name, p in made.named_parameters():
            if "lora_B" in name:
                p.normal_(0.0, 0.3, generator=seeded(12))
    return made


def dialogues(seed: int = 0) -> Tokens:
    """Rows of unlike lengths; one with decisions in several places, one with a single one, one with none."""
    rows = sequences([9, 14, 5, 3, 11], seed)
    return tokens.record(rows, [range(4, 9), [2, 3, 4, 8, 9, 13], [4], [], range(1, 11)])


def decisions(record: Tokens) -> list[tuple[int, int, list[int], int]]:
    """Every decision: its row and place, the tokens before it and the token itself."""
    found = []
    for row in range(len(record.ids)):
        for place, column in enumerate(record.decisions[row].tolist()):
            if column:
                ids = record.ids[row, : column + 1].tolist()
                found.append((row, place, ids[:-1], ids[-1]))
    return found


def changed(scores: Scores, record: Tokens) -> bool:
    return any(bool((t[~record.mask] != 0).any()) for t in (scores.logp, scores.entropy))


# ------------------------------------------------------------------------------------------------ scores of decisions


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("shaping", [Shaping(), Shaping(temperature=0.7), Shaping(1.4, top_p=0.8)])
@pytest.mark.parametrize("rows", [1, 2, 64])
def test_scores_are_those_of_transformers_in_double_precision(
    family: str, shaping: Shaping, rows: int
) -> None:
    made, record = policy(family, PolicyConfig("none", shaping, rows=rows)), dialogues()
    with torch.no_grad():
        scores = made.scores(record)
    for row, place, before, token in decisions(record):
        raw = tiny.logits(made.lm, before)[-1] / shaping.temperature
        kept = nucleus(raw, shaping.top_p, token) if shaping.top_p < 1 else list(range(len(raw)))
        logp = raw[kept].log_softmax(dim=0)
        assert scores.logp[row, place].item() == pytest.approx(logp[kept.index(token)].item(), abs=2e-5)
        assert scores.entropy[row, place].item() == pytest.approx(-(logp.exp() * logp).sum().item(), abs=2e-4)
    assert not changed(scores, record) and scores.values is None


@pytest.mark.parametrize("critic", ["shared", "separate"])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rows", [2, 64])
def test_values_stand_before_each_decision_and_after_it(critic: Any, family: str, rows: int) -> None:
    made, record = policy(family, PolicyConfig(critic, rows=rows)), dialogues()
    if critic == "separate":  # as it is once it has learned
        with torch.no_grad():
            for p in made.critic.parameters():
                p.add_(torch.randn(p.shape, generator=seeded(p.numel())), alpha=0.1)
    trunk = made.lm.base_model if critic == "shared" else made.critic

    def value(before: list[int]) -> float:
        with torch.no_grad():
            hidden = deepcopy(trunk).double()(input_ids=torch.tensor([before]), use_cache=False)
            return deepcopy(made.value).double()(hidden.last_hidden_state[0, -1]).item()

    with torch.no_grad():
        scores, following = made.score(record)
    assert scores.values is not None and following is not None
    expected = {(row, place): value(before) for row, place, before, _ in decisions(record)}
    for (row, place), number in expected.items():
        assert scores.values[row, place].item() == pytest.approx(number, abs=3e-5)
        end = record.ids[row, : record.lengths[row]].tolist()
        after = expected.get((row, place + 1)) or value(end)
        assert following[row, place].item() == pytest.approx(after, abs=3e-5)
    assert bool((scores.values[~record.mask] == 0).all()) and bool((following[~record.mask] == 0).all())


def test_25_the_critic_starts_at_0() -> None:
    for critic in ("shared", "separate"):
        made = LanguagePolicy(lm(), PolicyConfig(critic), seeded(0))  # type: ignore[arg-type]
        scores, following = made.score(dialogues())
        assert scores.values is not None and following is not None
        assert not scores.values.any() and not following.any()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("critic", ["shared", "separate"])
def test_3_neighbours_padding_and_batch_size_change_no_score(family: str, critic: Any) -> None:
    made, record = policy(family, PolicyConfig(critic)), dialogues()

    def seen(part: Tokens, rows: int) -> tuple[Tensor, ...]:
        made.config = replace(made.config, rows=rows)
        with torch.no_grad():
            scores, following = made.score(part)
        assert scores.values is not None and following is not None
        return scores.logp, scores.entropy, scores.values, following

    expected = [torch.cat(parts) for parts in zip(*(seen(one(record, i), 1) for i in range(5)), strict=True)]
    padding = torch.randint(2, 200, (5, 7), generator=seeded(4))
    wider = Tokens(torch.cat([record.ids, padding], dim=1), record.lengths, record.decisions)
    for rows in (1, 2, 3, 64):
        for part in (record, wider):
            for mine, alone in zip(seen(part, rows), expected, strict=True):
                torch.testing.assert_close(mine, alone, atol=2e-5, rtol=1e-5)


def one(record: Tokens, row: int) -> Tokens:
    """A row alone, as wide as its text."""
    length = int(record.lengths[row])
    return Tokens(
        record.ids[row : row + 1, :length], record.lengths[row : row + 1], record.decisions[row : row + 1]
    )


def test_some_rows_are_those_rows_of_all() -> None:
    made, record = policy(), dialogues()
    with torch.no_grad():
        every, some, cut = (
            made.scores(record),
            made.scores(record, torch.tensor([3, 1])),
            made.scores(record, slice(1, 3)),
        )
    torch.testing.assert_close(some.logp, every.logp[[3, 1]], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(cut.logp, every.logp[1:3], atol=1e-5, rtol=1e-5)


def test_9_what_is_no_decision_adds_nothing_to_the_gradient() -> None:
    made, (text,) = policy(config=NO_CRITIC), sequences([8])
    record = tokens.answers([text[:5]], [text[5:]])
    whole = tokens.whole([text])
    made.scores(record).logp.sum().backward()
    first = [p.grad.clone() for p in made.parameters() if p.grad is not None]
    made.zero_grad()
    made.scores(whole).logp[0, 4:].sum().backward()
    for p, grad in zip(made.parameters(), first, strict=True):
        torch.testing.assert_close(p.grad, grad, atol=1e-5, rtol=1e-4)


def test_bfloat16_is_near() -> None:
    made, record = policy(config=PolicyConfig("shared")), dialogues()
    with torch.no_grad():
        exact = made.scores(record)
        made.config = replace(made.config, dtype="bfloat16")
        rough = made.scores(record)
    assert rough.values is not None and exact.values is not None
    for mine, other in (
        (rough.logp, exact.logp),
        (rough.values, exact.values),
        (rough.entropy, exact.entropy),
    ):
        assert mine.dtype == torch.float32 and not torch.equal(mine, other)
        assert float((mine - other).abs().max()) < 0.05 * float(other.abs().max())
    rough.logp.requires_grad_(False)
    made.scores(record).logp.sum().backward()
    assert all(p.dtype == torch.float32 for p in made.parameters())


# ------------------------------------------------------------------------------------------------ dropout, checkpoints


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize("family", ["gpt2", "opt"])
def test_14_dropout_is_off_whatever_mode_the_model_is_in(family: str, checkpointed: bool) -> None:
    model = lm(family)
    assert max(model.config.to_dict().get(name) or 0 for name in ("resid_pdrop", "dropout")) == 0.1
    config = PolicyConfig("separate", gradient_checkpointing=checkpointed)
    made, record = LanguagePolicy(model, config, seeded(0)), dialogues()
    with torch.no_grad():
        made.value.weight.normal_(generator=seeded(1))
    still = made.scores(record)
    made.train()
    assert any(module.training for module in made.lm.modules())
    moving = made.scores(record)
    assert still.values is not None and moving.values is not None
    assert torch.equal(still.logp, moving.logp) and torch.equal(still.values, moving.values)
    said = [made.generate(sequences([4]), frozenset(), Sampling(8), seeded(2)) for _ in range(2)]
    made.eval()
    assert said[0] == said[1] == made.generate(sequences([4]), frozenset(), Sampling(8), seeded(2))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
def test_checkpointing_changes_no_gradient_and_no_answer(family: str, lora: Lora | None) -> None:
    record, found = dialogues(), []
    for checkpointed in (False, True):
        made = policy(family, PolicyConfig("separate", lora=lora, gradient_checkpointing=checkpointed))
        blocks = [m for m in made.modules() if getattr(m, "gradient_checkpointing", False) and m.training]
        assert bool(blocks) == checkpointed
        scores = made.scores(record)
        assert scores.values is not None
        (scores.logp.sum() + scores.entropy.sum() + scores.values.sum()).backward()
        gradients = {name: p.grad for name, p in made.named_parameters()}
        assert all((gradients[name] is not None) == p.requires_grad for name, p in made.named_parameters())
        found.append((gradients, made.generate(sequences([4, 6]), frozenset(), Sampling(8), seeded(2))))
    (plain, said), (again, said_again) = found
    assert said == said_again
    for name, gradient in plain.items():
        torch.testing.assert_close(gradient, again[name], atol=1e-6, rtol=1e-5)


# ---------------------------------------------------------------------------------------------- answers and references


@pytest.mark.parametrize(
    "config", [NO_CRITIC, PolicyConfig(lora=Lora(rank=2)), PolicyConfig(dtype="bfloat16")]
)
def test_8_what_is_scored_are_the_ids_that_were_sampled(config: PolicyConfig) -> None:
    made, prompts = policy(config=config), sequences([4, 2, 6])
    said = made.generate(prompts, frozenset({0}), Sampling(9), seeded(3))
    record = tokens.answers(prompts, said)
    for row, answer in enumerate(said):
        assert tuple(record.ids[row, record.decisions[row, : len(answer)]].tolist()) == answer
    with torch.no_grad():
        assert bool(made.scores(record).logp[record.mask].isfinite().all())


@pytest.mark.parametrize("shaping", [Shaping(temperature=0.6), Shaping(temperature=1.3, top_p=0.7)])
def test_11_answers_are_as_frequent_as_their_scores_say(shaping: Shaping) -> None:
    made, (prompt,) = policy(config=PolicyConfig("none", shaping)), sequences([3])
    count = 6000
    # `generate` takes temperature and nucleus from the policy, not from what it is given
    said = made.generate([prompt] * count, frozenset(), Sampling(1, rows=1000), seeded(4))
    drawn = torch.bincount(torch.tensor(said).flatten(), minlength=300).double() / count
    every = sorted({token for (token,) in said})
    with torch.no_grad():
        logp = made.scores(tokens.answers([prompt] * len(every), [[token] for token in every])).logp
    p = logp[:, 0].double().exp()
    assert p.sum().item() == pytest.approx(1, abs=0.01)  # what was never drawn is unlikely
    apart = 0.5 * float((drawn[every] - p).abs().sum())
    expected = 0.5 * float((2 * p * (1 - p) / (torch.pi * count)).sqrt().sum())
    assert apart < 2 * expected + 0.005


def test_15_the_policy_is_its_reference_at_the_start() -> None:
    record = dialogues()
    fresh = LanguagePolicy(lm(), PolicyConfig("shared"), seeded(0))
    reference = LanguagePolicy(lm(), NO_CRITIC, seeded(1))
    assert torch.equal(fresh.scores(record).logp, reference.scores(record).logp)
    adapted = LanguagePolicy(lm(), PolicyConfig(lora=Lora()), seeded(0))
    assert torch.equal(adapted.scores(record).logp, adapted.reference().scores(record).logp)
    assert torch.equal(adapted.scores(record).logp, reference.scores(record).logp)


@pytest.mark.parametrize("family", FAMILIES)
def test_39_with_the_adapters_off_the_logits_are_exactly_the_base_models(family: str) -> None:
    record, base = dialogues(), LanguagePolicy(lm(family), NO_CRITIC, seeded(0))
    made = policy(family, PolicyConfig(lora=Lora(rank=3)))
    assert not torch.equal(made.scores(record).logp, base.scores(record).logp)
    reference = made.reference().scores(record)
    assert torch.equal(reference.logp, base.scores(record).logp)
    assert torch.equal(reference.entropy, base.scores(record).entropy)
    assert reference.values is None and not reference.logp.requires_grad


def test_38_learning_leaves_the_reference_byte_for_byte() -> None:
    record = dialogues()
    made, reference = policy(), LanguagePolicy(lm(), NO_CRITIC, seeded(0)).requires_grad_(False)
    before = {name: p.clone() for name, p in reference.named_parameters()}
    logp = reference.scores(record).logp
    assert not logp.requires_grad
    step(made, record)
    assert all(torch.equal(p, before[name]) and p.grad is None for name, p in reference.named_parameters())
    assert torch.equal(logp, reference.scores(record).logp)
    assert not torch.equal(logp, made.scores(record).logp)


def test_without_adapters_there_is_no_reference() -> None:
    with pytest.raises(PlauditError, match="give the folder of a model"):
        policy().reference()


# ------------------------------------------------------------------------------------------------------- what learns


def step(made: LanguagePolicy, record: Tokens, rate: float = 0.01) -> set[str]:
    """One step of Adam on all scores; the names of what it changed."""
    before = {name: p.detach().clone() for name, p in made.named_parameters()}
    optimiser = AdamOptimiser(made.parameters())
    scores = made.scores(record)
    total = scores.logp.sum() + scores.entropy.sum()
    optimiser.step(total if scores.values is None else total + scores.values.sum(), rate, None)
    return {name for name, p in made.named_parameters() if not torch.equal(p, before[name])}


@pytest.mark.parametrize("family", FAMILIES)
def test_only_adapters_and_the_value_learn(family: str) -> None:
    made = policy(family, PolicyConfig("shared", lora=Lora(rank=2)))
    base = {
        name: p.clone() for name, p in made.named_parameters() if "lora" not in name and "value" not in name
    }
    moved = step(made, dialogues())
    assert moved == set(made.trainable())
    assert moved == {n for n, _ in made.named_parameters() if "lora" in n or n.startswith("value.")}
    assert {"value.weight", "value.bias"} < moved
    assert all(torch.equal(p, base[name]) for name, p in made.named_parameters() if name in base)


@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_separate_critic_trains_all_its_weights(family: str, lora: Lora | None) -> None:
    made = policy(family, PolicyConfig("separate", lora=lora))
    critic = {f"critic.{name}" for name, _ in made.critic.named_parameters()}
    assert len(critic) == len(list(lm(family).base_model.parameters())) and not any(
        "lora" in n for n in critic
    )
    moved = step(made, dialogues())
    assert critic < moved == set(made.trainable())
    scores = made.scores(dialogues())
    assert scores.values is not None
    made.zero_grad()
    scores.values.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in made.lm.parameters())


def test_the_critic_of_an_adapted_model_begins_as_its_base() -> None:
    made, base = LanguagePolicy(lm(), PolicyConfig("separate", lora=Lora()), seeded(0)), lm().base_model
    for (name, p), (other, q) in zip(made.critic.named_parameters(), base.named_parameters(), strict=True):
        assert name == other and torch.equal(p, q)


@pytest.mark.parametrize("config", [PolicyConfig("separate"), PolicyConfig(lora=Lora(rank=2))])
def test_what_learned_can_be_put_back(config: PolicyConfig) -> None:
    record, made = dialogues(), policy(config=config)
    start = {name: tensor.clone() for name, tensor in made.trainable().items()}
    scores = made.scores(record).logp.detach()
    step(made, record)
    learned = {name: tensor.clone() for name, tensor in made.trainable().items()}
    later = made.scores(record).logp.detach()
    assert not torch.equal(scores, later)
    made.restore(start)
    assert torch.equal(made.scores(record).logp, scores)
    other = policy(config=config)
    other.restore(learned)
    assert torch.equal(other.scores(record).logp, later)
    with pytest.raises(PlauditError, match="put the config back"):
        policy(config=NO_CRITIC).restore(learned)


@pytest.mark.parametrize("critic", ["shared", "separate", "none"])
def test_refreshed_values_are_those_of_the_critic_as_it_is_now(critic: Any) -> None:
    made, record = policy(config=PolicyConfig(critic)), dialogues()
    with torch.no_grad():
        scores, following = made.score(record)
    nothing = torch.zeros(record.mask.shape)
    old = Episodes(scores.logp, nothing, record.mask, record.mask, record.mask, scores.values, following)
    if critic == "none":
        assert made.refresh(old, record) is old
        return
    step(made, record)
    fresh = made.refresh(old, record)
    with torch.no_grad():
        scores, following = made.score(record)
    assert scores.values is not None and fresh.values is not None and old.values is not None
    assert torch.equal(fresh.values, scores.values) and torch.equal(fresh.next_values, following)  # type: ignore[arg-type]
    assert not torch.equal(fresh.values, old.values) and fresh.logp is old.logp


@pytest.mark.parametrize("config", [PolicyConfig("separate"), PolicyConfig(lora=Lora(rank=2))])
def test_45_making_a_policy_leaves_the_global_generator_and_follows_its_own(config: PolicyConfig) -> None:
    models = [lm() for _ in range(3)]
    before = torch.get_rng_state()
    first, second, third = (
        LanguagePolicy(model, config, seeded(seed)) for model, seed in zip(models, (1, 1, 2), strict=True)
    )
    assert torch.equal(before, torch.get_rng_state())
    for name, tensor in first.trainable().items():
        assert torch.equal(tensor, second.trainable()[name])
    if config.lora is not None:
        assert any(not torch.equal(t, third.trainable()[n]) for n, t in first.trainable().items())


# ----------------------------------------------------------------------------------------------------------- bad input


def test_texts_that_are_too_long() -> None:
    made = policy()
    long: Sequence[Sequence[int]] = sequences([49])
    with pytest.raises(PlauditError, match="a text of 49 tokens is longer than the 48"):
        made.scores(tokens.whole(long))


def test_no_rows_at_once() -> None:
    with pytest.raises(PlauditError, match="rows: must be at least 1, not 0"):
        PolicyConfig(rows=0)
