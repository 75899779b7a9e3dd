"""PPOTrainer: padding, masks, outputs of others, rewards; the same PPO as everywhere; a fixed reference."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from plaudit import PPOConfig, PPOTrainer
from plaudit.api import generated
from plaudit.api.generated import Special
from plaudit.errors import PlauditError
from tests.models.language.tiny import lm, logits, words

END, PAD = words().end, words().tokenizer.pad_token_id


def trainer(model: Any = None, tokenizer: Any = None, **given: Any) -> PPOTrainer:
    config = {"learning_rate": 1e-2, "batch_size": 4, "max_new_tokens": 5} | given
    return PPOTrainer(lm() if model is None else model, PPOConfig(**config), tokenizer)


PROMPTS = [[7, 8, 9], [11], [7, 12]]


def padded(side: str, pad: int = PAD) -> dict[str, Tensor]:
    width = max(map(len, PROMPTS))
    rows, masks = [], []
    for row in PROMPTS:
        fill, none = [pad] * (width - len(row)), [0] * (width - len(row))
        rows.append(fill + row if side == "left" else row + fill)
        masks.append(none + [1] * len(row) if side == "left" else [1] * len(row) + none)
    return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(masks)}


def test_padding_changes_neither_answers_nor_learning() -> None:
    found = []
    for inputs in (padded("left"), padded("right"), padded("left", pad=END)):
        mine = trainer()
        outputs = mine.generate(**inputs)
        assert torch.equal(outputs[:, :3], inputs["input_ids"])
        stats = mine.train_step(inputs, outputs, [1.0, 0.0, 2.0])
        found.append((outputs[:, 3:].tolist(), stats, mine.updater.optimiser.flat.vector))
    for answers, stats, weights in found[1:]:
        assert answers == found[0][0]
        assert stats == pytest.approx(found[0][1], nan_ok=True)
        torch.testing.assert_close(weights, found[0][2])


def test_the_first_step_by_hand() -> None:
    """One answer of two tokens, one gradient step of rate 0: values are 0, so the advantage is what is paid after."""
    model = lm()
    mine = trainer(model, learning_rate=0.0, gamma=0.5, lam=1.0, num_ppo_epochs=1, normalize_advantage=False,
                   kl_coef=0.3)  # fmt: skip
    stats = mine.train_step(torch.tensor([[7, 8]]), torch.tensor([[7, 8, 9, END]]), torch.tensor([2.0]))
    # returns: 2 at the end, .5 * 2 before; ratio 1, so the loss is minus their mean; the value loss .5 * mean square
    assert stats["loss/policy_avg"] == pytest.approx(-(1 + 2) / 2)
    assert stats["loss/value_avg"] == pytest.approx(0.5 * (1 + 4) / 2)
    assert stats["objective/kl"] == 0 and stats["objective/non_score_reward"] == 0
    assert stats["objective/scores"] == stats["objective/rlhf_reward"] == 2
    assert stats["policy/approxkl_avg"] == 0 and stats["val/ratio"] == 1
    entropies = [-(p * p.log()).sum() for p in logits(model, [7, 8, 9]).softmax(dim=-1)[1:]]
    assert stats["objective/entropy"] == pytest.approx(float(sum(entropies) / 2), rel=1e-4)


def test_the_reference_is_the_model_as_it_was_given() -> None:
    model = lm()
    before = deepcopy(model)
    mine = trainer(model, kl_coef=0.1)
    for _ in range(3):
        outputs = mine.generate(**padded("left"))
        stats = mine.train_step(padded("left"), outputs, [1.0, 0.0, 2.0])
    assert stats["objective/kl"] != 0
    for name, p in before.named_parameters():
        assert torch.equal(p, dict(mine.reference.lm.named_parameters())[name])
    talk = generated.completions(
        generated.prompts_of(padded("left"), mine.special), outputs, mine.special, "cpu"
    )
    slow = 0.0
    for prompt, row in zip(PROMPTS, outputs.tolist(), strict=True):
        said = row[3:]
        said = said[: said.index(END) + 1] if END in said else said
        logp = logits(before, prompt + said).log_softmax(dim=-1)
        slow += sum(float(logp[len(prompt) - 1 + j, token]) for j, token in enumerate(said))
    assert float(mine.reference.scores(talk.record).logp.sum()) == pytest.approx(slow, rel=1e-4)


def test_without_a_price_no_reference_is_loaded() -> None:
    mine = trainer(kl_coef=0.0)
    assert mine.reference is None
    stats = mine.train_step([[7, 8]], [[7, 8, 9, END]], [1.0])
    assert stats["objective/kl"] != stats["objective/kl"]  # not a number: not measured


@pytest.mark.slow
def test_learns_what_is_paid() -> None:
    mine = trainer(batch_size=16, learning_rate=5e-3, kl_coef=0.01, num_ppo_epochs=4, mini_batch_size=8)
    inputs = torch.tensor([[7, 8]] * 16)
    share = []
    for _ in range(25):
        outputs = mine.generate(inputs, max_new_tokens=4)
        good = [float((row[2:] % 2 == 0).float().mean()) for row in outputs]
        share.append(sum(good) / 16)
        mine.train_step(inputs, outputs, good)
    assert sum(share[-3:]) / 3 > sum(share[:3]) / 3 + 0.3


def test_outputs_of_transformers_and_several_answers_to_a_prompt() -> None:
    model = lm()
    mine = trainer(model, tokenizer=words().tokenizer)
    inputs = padded("left")
    outputs = model.generate(
        **inputs, max_new_tokens=4, do_sample=True, num_return_sequences=2, return_dict_in_generate=True,
        eos_token_id=END, pad_token_id=PAD,
    )  # fmt: skip
    assert mine.train_step(inputs, outputs, torch.arange(6))["objective/scores"] == 2.5
    lists = [
        row[row != PAD]
        for row in model.generate(**inputs, max_new_tokens=4, do_sample=True, pad_token_id=PAD)
    ]
    asked = [torch.tensor(prompt) for prompt in PROMPTS]
    assert mine.train_step(asked, lists, [0, 1, 2.0])["objective/scores"] == 1.0


def test_prompts_of_different_lengths_as_lists() -> None:
    mine = trainer()
    outputs = mine.generate(PROMPTS)
    assert outputs[1, :3].tolist() == [PAD, PAD, 11]
    assert mine.train_step(PROMPTS, outputs, [0, 1, 2.0])["objective/scores"] == 1.0


def test_arguments_that_mean_the_policy_as_it_is_change_nothing() -> None:
    """As people copy them from programs for other libraries."""
    usual: dict[str, Any] = {
        "min_length": -1, "top_k": 0.0, "top_p": 1.0, "temperature": 1.0, "do_sample": True, "pad_token_id": PAD,
        "eos_token_id": END,
    }  # fmt: skip
    assert torch.equal(trainer().generate(PROMPTS, **usual), trainer().generate(PROMPTS))


def test_answers_end_with_their_first_end_token() -> None:
    special = Special(frozenset({1}), pad=0)
    asked = generated.prompts([[5, 6]] * 4, None, special)
    rows = [[5, 6, 7, 1, 9, 1], [5, 6, 7, 8, 0, 0], [5, 6, 1, 0, 0, 0], [5, 6, 0, 7, 8, 9]]
    said = generated.completions(asked, rows, special, "cpu").answers.tokens
    assert said == ((7, 1), (7, 8), (1,), (0, 7, 8, 9))
    same = Special(frozenset({0}), pad=0)  # padding and the end are one token: the first one is the end
    assert generated.completions(
        generated.prompts([[5, 6]], None, same), [[5, 6, 7, 0, 0, 0]], same, "cpu"
    ).answers.tokens == ((7, 0),)


def test_where_nothing_fills_up_every_token_was_said() -> None:
    """Without an end and a pad token 0 is a token like any other."""
    none = Special(frozenset(), 0, said=False)
    asked = generated.prompts([[5, 0], [0, 6]], None, none)
    assert asked.tokens == [[5, 0], [0, 6]]
    said = generated.completions(asked, [[5, 0, 3, 0], [0, 6, 0, 0]], none, "cpu").answers.tokens
    assert said == ((3, 0), (0, 0))


def test_where_an_answer_begins_behind_prompts_that_repeat_or_begin_with_the_pad_token() -> None:
    special = Special(frozenset({1}), pad=0, said=False)
    asked = generated.prompts([[0], [0, 5, 6]], None, special)
    outputs = generated.joined(asked, [[7], [8]], special)
    assert generated.completions(asked, outputs, special, "cpu").answers.tokens == ((7,), (8,))
    asked = generated.prompts([[5], [7, 8, 9]], None, special)
    cut = [[5, 2, 5, 3], [7, 8, 9, 4]]  # somebody has taken what fills up away
    assert generated.completions(asked, cut, special, "cpu").answers.tokens == ((2, 5, 3), (4,))


def test_dense_rewards_count_where_they_stand() -> None:
    mine = trainer(learning_rate=0.0, gamma=0.0, num_ppo_epochs=1, normalize_advantage=False, kl_coef=0.0)
    stats = mine.train_step([[7, 8]], [[7, 8, 9, END]], torch.tensor([[3.0, 5.0, 100.0]]))
    assert stats["loss/policy_avg"] == -4 and stats["objective/scores"] == 8


def test_end_and_padding_without_a_tokenizer_are_those_of_the_config() -> None:
    model = lm()
    assert generated.special_tokens(model, None) == Special(frozenset({END}), PAD)
    model.generation_config.eos_token_id = model.config.eos_token_id = None
    model.generation_config.pad_token_id = model.config.pad_token_id = None
    assert generated.special_tokens(model, None) == Special(frozenset(), 0, said=False)
    assert generated.special_tokens(model, words().tokenizer) == Special(frozenset({END}), PAD)
    outputs = trainer(model).generate([[7, 8]])
    assert outputs.shape == (1, 2 + 5)  # nothing ends an answer but its length
    model.config.eos_token_id = 10**6
    with pytest.raises(PlauditError, match="end token 1000000 is not among"):
        generated.special_tokens(model, None)


INPUTS, OUTPUTS = [[7, 8], [9, 10]], [[7, 8, 9, END], [9, 10, 11, 12]]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda t: t.train_step(INPUTS, OUTPUTS, [1.0]), "rewards: 1 for 2 answers"),
        (
            lambda t: t.train_step(INPUTS, OUTPUTS, [1.0, float("nan")]),
            "rewards: that of answer 2 is not finite",
        ),
        (lambda t: t.train_step(INPUTS, OUTPUTS, ["good", "bad"]), "rewards: not numbers"),
        (lambda t: t.train_step(INPUTS, OUTPUTS, [[1.0], [1.0]]), "those of answer 1 have shape"),
        (lambda t: t.train_step(INPUTS, OUTPUTS, 1.0), "rewards: not numbers"),
        (lambda t: t.train_step(INPUTS, OUTPUTS[:1], [1.0]), "outputs: 1 rows for 2 prompts"),
        (
            lambda t: t.train_step(INPUTS, [row[2:] for row in OUTPUTS], [1.0, 1.0]),
            "do not begin with their prompts",
        ),
        (lambda t: t.train_step(INPUTS, INPUTS, [1.0, 1.0]), "row 1 has no answer"),
        (lambda t: t.train_step({"ids": INPUTS}, OUTPUTS, [1.0, 1.0]), "`input_ids` is missing"),
        (lambda t: t.train_step("text", OUTPUTS, [1.0, 1.0]), "input_ids"),
        (lambda t: t.generate(INPUTS, attention_mask=[[1, 1]]), "attention_mask"),
        (lambda t: t.generate(INPUTS, attention_mask=[[0, 0], [1, 1]]), "prompt 1 is empty"),
        (lambda t: t.generate(INPUTS, temperature=0.5), "temperature belongs into PPOConfig"),
        (lambda t: t.generate(INPUTS, max_new_token=4), "unknown argument 'max_new_token'"),
        (lambda t: t.generate(INPUTS, do_sample=False), "do_sample=False draws from another policy"),
        (lambda t: t.generate(INPUTS, top_k=50), "top_k=50 draws from another policy"),
        (lambda t: t.generate(INPUTS, eos_token_id=7), "eos_token_id=7 is no end token"),
        (lambda t: t.generate(INPUTS, max_new_tokens=0), "max_new_tokens"),
        (lambda t: t.generate(INPUTS, max_new_tokens=500), "the model reads at most"),
        (lambda t: t.generate([[7, 10**6]]), "input_ids: row 1 holds token 1000000"),
        (lambda t: t.generate([[7, -1]]), "input_ids: row 1 holds token -1"),
        (lambda t: t.train_step(INPUTS, [INPUTS[0] + [10**6], OUTPUTS[1]], [1, 1]), "outputs: row 1 holds"),
    ],
)
def test_bad_input_gets_a_sentence(call: Callable[[PPOTrainer], Any], said: str) -> None:
    with pytest.raises(PlauditError, match=said):
        call(trainer())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cliprang": 0.2}, "unknown argument 'cliprang'; did you mean 'cliprange'"),
        ({"lerning_rate": 1.0}, "did you mean 'learning_rate'"),
        ({"epsilon": 0.1, "cliprange": 0.2}, "means the same as"),
        ({"batch_size": 0}, "batch_size: 0 is not a whole number above 0"),
        ({"gamma": 2}, "gamma: must be between 0 and 1"),
        ({"lam": 2}, "lam: must be between 0 and 1"),
        ({"temperature": 0}, "temperature"),
        ({"cliprange": -0.1}, "cliprange: must be at least 0"),
        ({"max_grad_norm": -1}, "max_grad_norm: must be at least 0"),
    ],
)
def test_bad_settings_are_named_as_they_were_given(given: dict[str, Any], said: str) -> None:
    with pytest.raises(PlauditError, match=said):
        PPOConfig(**given)


def test_settings_are_read_back_by_every_name() -> None:
    config = PPOConfig(
        learning_rate=1e-4, batch_size=8, gamma=0.99, epsilon=0.3, gae_lambda=0.9, init_kl_coef=0.2
    )
    assert (config.batch_size, config.mini_batch_size, config.learning_rate, config.gamma) == (
        8,
        8,
        1e-4,
        0.99,
    )
    assert config.epsilon == config.cliprange == config.clip_range == 0.3
    assert config.lam == config.gae_lambda == 0.9 and config.kl_coef == 0.2
    assert "cliprange=0.3" in repr(config)
    assert config.target_kl is None and PPOConfig(target_kl=0.1).target_kl == 0.1
    assert PPOConfig(batch_size=torch.tensor(8), gamma=np.float32(0.5)).batch_size == 8  # pyright: ignore
    with pytest.raises(AttributeError):
        config.cliprang  # noqa: B018


def test_models_that_are_none_or_in_half_precision_are_refused() -> None:
    with pytest.raises(PlauditError, match="a str is no model"):
        PPOTrainer("gpt2")
    with pytest.raises(PlauditError, match=r"load it with dtype=torch.float32"):
        PPOTrainer(lm().half())
    with pytest.raises(PlauditError, match="a Linear is no language model"):
        PPOTrainer(torch.nn.Linear(2, 2))
    with pytest.raises(PlauditError, match=r"config: a dict was given; give PPOConfig"):
        PPOTrainer(lm(), {"learning_rate": 1.0})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("when", ["before", "by it"])
def test_learning_that_diverges_is_told_by_the_names_of_the_config(when: str) -> None:
    mine = trainer(learning_rate=1e-3 if when == "before" else float("1e38"), epsilon=0.1)
    outputs = mine.generate([[7, 8]])
    if when == "before":
        with torch.no_grad():
            for p in mine.model.parameters():
                p.fill_(float("nan"))
    what = "logp is" if when == "before" else "(logp is|the weights are)"
    lower = "lower learning_rate, cliprange or max_grad_norm"
    with pytest.raises(
        PlauditError, match=f"^learning has diverged: {what} no longer finite; {lower}$"
    ) as told:
        for _ in range(3):
            mine.train_step([[7, 8]], outputs, [1.0])
    assert str(pickle.loads(pickle.dumps(told.value))) == str(told.value)  # as it comes from another process
    for name in lower.removeprefix("lower ").replace(" or", ",").split(", "):
        assert getattr(mine.args, name) > 0
