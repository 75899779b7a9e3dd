import json
import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from plaudit.errors import PlauditError
from plaudit.models.language import loading, reward_model
from plaudit.models.language.reward_model import TextReward, Texts, texts
from plaudit.models.language.vocabulary import PAD, Vocabulary, train_bpe
from plaudit.trainers.steps import AdamOptimiser
from tests.models.language.tiny import FAMILIES, TEXT, lm, seeded, sequences, words

LENGTHS = [5, 1, 12, 7, 7, 3]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model to begin from."""
    made = tmp_path_factory.mktemp("model") / request.param
    loading.save(made, lm(request.param), words())
    return made


def begun(folder: Path, seed: int = 1) -> TextReward:
    return reward_model.begin(str(folder), seeded(seed))


def read(folder: Path) -> Any:
    """As anybody reads it."""
    with loading.quiet():
        return AutoModelForSequenceClassification.from_pretrained(folder).eval()


@torch.no_grad()
def scored(model: Any, ids: Tensor, attended: Tensor | None = None) -> Tensor:
    """transformers' own scores."""
    return model(input_ids=ids, attention_mask=None if attended is None else attended.long()).logits[:, 0]


# ------------------------------------------------------------------------------------------------------------- scores


def test_19_the_score_is_read_at_the_last_token(folder: Path) -> None:
    made, rows = begun(folder), sequences(LENGTHS)
    trunk, weight = deepcopy(made.model.base_model).double(), made.model.score.weight[0].double()
    for ids, score in zip(rows, made(texts(rows)).tolist(), strict=True):
        states = trunk(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
        assert score == pytest.approx((states[len(ids) - 1] @ weight).item(), abs=1e-5)


def test_19_every_token_counts_and_no_padding_does(folder: Path) -> None:
    made, (row,) = begun(folder), sequences([6])
    expected = made(texts([row])).item()
    for place in range(6):
        other = [*row]
        other[place] = 2 + (row[place] - 1) % 200
        assert abs(made(texts([other])).item() - expected) > 1e-4
    for filler in (0, 1, 2, 99):  # the end token, padding, and words
        ids = torch.tensor([[*row, *[filler] * 5]])
        assert made(Texts(ids, torch.tensor([6]))).item() == pytest.approx(expected, abs=1e-5)


def test_1_the_end_token_is_read_even_where_it_pads_too() -> None:
    made, (row,) = TextReward(classifier(), words()), sequences([4])
    end = words().end
    made.model.config.pad_token_id = end
    ended = made(texts([[*row, end], [*row, end, end]]))
    assert len({round(score, 4) for score in [*ended.tolist(), made(texts([row])).item()]}) == 3


def test_3_neighbours_batch_size_and_padding_change_no_score(folder: Path) -> None:
    made, rows = begun(folder), sequences(LENGTHS)
    expected = torch.cat([made(texts([row])) for row in rows])
    for count in (1, 2, 4, 64):
        made.rows = count
        torch.testing.assert_close(made(texts(rows)), expected, atol=1e-5, rtol=1e-5)
    order = [3, 0, 5, 4, 1, 2]
    torch.testing.assert_close(made(texts([rows[i] for i in order])), expected[order], atol=1e-5, rtol=1e-5)


def test_3_transformers_says_the_same_with_padding_at_either_side(folder: Path, tmp_path: Path) -> None:
    made, rows = begun(folder), sequences(LENGTHS)
    made.standardise(texts(rows))
    reward_model.save(tmp_path, made)
    theirs, expected = read(tmp_path), made(texts(rows)).detach()
    assert made.offset != 0 and made.scale != 1
    pad, width = made.vocabulary.tokenizer.pad_token_id, max(LENGTHS)
    for left in (False, True):
        fill = [[pad] * (width - len(row)) for row in rows]
        ids = torch.tensor([[*f, *row] if left else [*row, *f] for row, f in zip(rows, fill, strict=True)])
        attended = ids != pad
        place = (attended.long().cumsum(dim=1) - 1).clamp(min=0)
        with torch.no_grad():
            raw = theirs(input_ids=ids, attention_mask=attended.long(), position_ids=place).logits[:, 0]
        torch.testing.assert_close(raw, expected, atol=1e-4, rtol=1e-4)


def test_14_dropout_is_off_in_training_too(folder: Path) -> None:
    made, batch = begun(folder), texts(sequences(LENGTHS))
    still = made(batch)
    made.train()
    assert torch.equal(made(batch), still)


def test_bfloat16_is_near(folder: Path) -> None:
    made, batch = begun(folder), texts(sequences(LENGTHS))
    exact = made(batch)
    made.dtype = "bfloat16"
    rough = made(batch)
    assert rough.dtype == torch.float32 and not torch.equal(rough, exact)
    assert (rough - exact).abs().max().item() < 0.05 * exact.abs().max().item()


# --------------------------------------------------------------------------------------------------- beginning, saving


def test_24_a_new_head_is_drawn_with_spread_one_over_root_of_width_plus_one() -> None:
    model = lm(width=256, heads=2, layers=1)
    with pytest.MonkeyPatch.context() as patch:
        classifying = AutoModelForSequenceClassification.from_config(classifier_config(model))
        patch.setattr(loading, "load", lambda place, kind: (classifying, words()))
        drawn = torch.cat(
            [reward_model.begin("here", seeded(n)).model.score.weight.detach()[0].clone() for n in range(20)]
        )
    assert drawn.std().item() == pytest.approx(257**-0.5, rel=0.05)
    assert abs(drawn.mean().item()) < 0.1 * 257**-0.5


def test_24_a_new_reward_model_prefers_nothing(tmp_path: Path) -> None:
    with torch.no_grad():
        loading.save(tmp_path, lm(scale=0.02), words())
    made = begun(tmp_path)
    with torch.no_grad():
        first, second = made(texts(sequences([8] * 300, 1))), made(texts(sequences([8] * 300, 2)))
    assert 0.4 < float((first > second).float().mean()) < 0.6
    assert -nn.functional.logsigmoid(first - second).mean().item() == pytest.approx(math.log(2), abs=0.1)


def test_45_beginning_follows_its_generator_and_leaves_the_global_one(folder: Path) -> None:
    before = torch.get_rng_state()
    first, second, third = begun(folder, 1), begun(folder, 1), begun(folder, 2)
    assert torch.equal(before, torch.get_rng_state())
    batch = texts(sequences(LENGTHS))
    assert torch.equal(first(batch), second(batch)) and not torch.equal(first(batch), third(batch))


def test_the_trunk_is_the_language_models(folder: Path) -> None:
    base, made = loading.load(str(folder))[0].base_model, begun(folder).model.base_model
    for (name, p), (other, q) in zip(base.named_parameters(), made.named_parameters(), strict=True):
        assert name == other and torch.equal(p, q)


def test_an_earlier_reward_model_goes_on_as_it_is(folder: Path, tmp_path: Path) -> None:
    made, batch = begun(folder), texts(sequences(LENGTHS))
    made.standardise(batch)
    reward_model.save(tmp_path, made)
    again = begun(tmp_path, seed=7)
    torch.testing.assert_close(again(batch), made(batch))
    torch.testing.assert_close(again.rewards(batch), made.rewards(batch))
    assert (again.offset, again.scale) == (made.offset, made.scale) != (0, 1)


def test_transformers_gives_the_same_scores(folder: Path, tmp_path: Path) -> None:
    made, rows = begun(folder), sequences(LENGTHS)
    made.standardise(texts(rows))
    AdamOptimiser(made.parameters()).step(
        made(texts(rows)).square().mean(), 0.001, None
    )  # weights are views of one vector now
    reward_model.save(tmp_path, made)
    theirs = read(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == [type(theirs).__name__]
    for row, score in zip(rows, made(texts(rows)).tolist(), strict=True):
        assert scored(theirs, torch.tensor([row])).item() == pytest.approx(score, abs=1e-5)


def test_23_standardised_rewards_have_mean_0_and_variance_1(folder: Path) -> None:
    """And the scores stay what people have taught: forecasts and further fits go on from them."""
    made, batch = begun(folder), texts(sequences(LENGTHS))
    before = made(batch).detach()
    for _ in range(2):
        made.standardise(batch)
        after = made.rewards(batch).detach()
        assert torch.equal(made(batch), before)
        assert after.mean().item() == pytest.approx(0, abs=1e-5) and after.std().item() == pytest.approx(
            1, abs=1e-5
        )
    gain = 1 / before.std()
    torch.testing.assert_close(after, gain * before - gain * before.mean(), atol=1e-4, rtol=1e-4)


def test_equal_scores_have_no_spread_to_standardise(folder: Path) -> None:
    made, (row,) = begun(folder), sequences([5])
    made.standardise(texts([row, row, row]))
    assert made.scale == 1
    assert made.rewards(texts([row])).item() == pytest.approx(0, abs=1e-5)
    with pytest.raises(PlauditError, match="one text has no spread of scores"):
        made.standardise(texts([row]))


def test_padding_becomes_a_token_of_its_own(tmp_path: Path) -> None:
    for pad in (None, "<|end|>"):
        tokenizer = train_bpe([*TEXT, "x"], 300)
        tokenizer.backend_tokenizer.add_special_tokens([])
        tokenizer.pad_token = pad
        kept = Vocabulary(tokenizer, "mine")
        model = lm()
        model.resize_token_embeddings(len(kept), mean_resizing=False)
        loading.save(tmp_path, model, kept)
        made = begun(tmp_path)
        own = made.vocabulary.tokenizer
        assert own.pad_token == PAD and own.pad_token_id != own.eos_token_id
        assert made.model.config.pad_token_id == own.pad_token_id
        assert made.model.get_input_embeddings().weight.shape[0] >= len(own)


def test_26_a_separable_set_is_learned_by_heart(folder: Path) -> None:
    made = begun(folder)
    first, second = (texts(sequences([9, 4, 12, 6] * 4, seed)) for seed in (1, 2))
    optimiser = AdamOptimiser(made.parameters())
    for _ in range(60):
        loss = -nn.functional.logsigmoid(made(first) - made(second)).mean()
        optimiser.step(loss, 0.01, 1.0)
    with torch.no_grad():
        assert bool((made(first) > made(second)).all()) and loss.item() < 0.1


# ----------------------------------------------------------------------------------------------------------- bad input


def classifier_config(model: Any, labels: int = 1) -> Any:
    config = deepcopy(model.config)
    config.num_labels = labels
    return config


def classifier(labels: int = 1) -> Any:
    with torch.random.fork_rng():
        return AutoModelForSequenceClassification.from_config(classifier_config(lm(), labels))


def test_heads_of_another_shape() -> None:
    with pytest.raises(
        PlauditError, match="words: a reward model has one linear `score` head with one output"
    ):
        TextReward(classifier(2), words())
    with pytest.raises(PlauditError, match="one linear `score` head"):
        TextReward(lm(), words())


def test_a_score_that_is_more_than_its_head() -> None:
    model = classifier()
    forward = model.forward

    def doubled(*ids: Any, **given: Any) -> Any:
        out = forward(*ids, **given)
        out.logits = 2 * out.logits
        return out

    model.forward = doubled
    with pytest.raises(PlauditError, match="words: its score is more than a linear layer of the last hidden"):
        TextReward(model, words())


def test_a_classifier_of_two_labels(tmp_path: Path) -> None:
    loading.save(tmp_path, classifier(2), words())
    with pytest.raises(PlauditError, match=f"^{tmp_path}: no usable reward model"):
        begun(tmp_path)


def test_a_reward_model_is_no_language_model(folder: Path, tmp_path: Path) -> None:
    """Where its first and last layer are one, nothing would be missing."""
    reward_model.save(tmp_path / "rm", reward_model.begin(str(folder), seeded(0)))
    with pytest.raises(PlauditError, match="rm: is a reward model, .*; give a language model"):
        loading.load(str(tmp_path / "rm"))


def test_a_classifier_without_its_head(tmp_path: Path) -> None:
    loading.save(tmp_path, classifier(), words())
    weights = load_file(tmp_path / "model.safetensors")
    del weights["score.weight"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(PlauditError, match="1 of the weights of a GPT2ForSequenceClassification are missing"):
        begun(tmp_path)


def test_texts_of_no_tokens_and_of_too_many(folder: Path) -> None:
    with pytest.raises(PlauditError, match="text 2 is empty"):
        texts([[5], []])
    with pytest.raises(PlauditError, match="a text of 49 tokens is longer than the 48"):
        begun(folder)(texts(sequences([3, 49])))
