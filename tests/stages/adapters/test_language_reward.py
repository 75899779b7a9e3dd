"""The reward stage for text: what is learned and tested on, rules by hand, intervals, and that it can learn at all."""

import gzip
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from plaudit.errors import PlauditError
from plaudit.feedback.text_record import TextRecord
from plaudit.models.language import reward_model
from plaudit.models.language.reward_model import TextReward
from plaudit.readers.judgements import Judged, read_judgements
from plaudit.rewards.learned.trainer import RewardTrainer
from plaudit.rewards.text import sequence
from plaudit.runs import settings
from plaudit.runs.statistics import share_interval
from plaudit.stages import reward as stage
from plaudit.stages.adapters.language_reward import longer_by, medium, rules
from plaudit.stages.adapters.language_reward import read as read_text
from plaudit.stages.reward import Accuracy, Answers, RewardFromFiles, as_judgements
from tests.text_world import World, made_of, write_rows


def config(start: Any = "lm", **changes: Any) -> RewardFromFiles:
    """`steps`: gradient steps of the fit."""
    fit = {"learning_rate": 0.01, "minibatch_size": 8, "first_steps": changes.pop("steps", 30)}
    fit |= changes.pop("fit", {})
    return settings.build(RewardFromFiles, {"start": str(start), "fit": fit} | changes, "")


def pair(
    chosen: Any, rejected: Any, preference: float = 1.0, prompt: Any = "say ka:", **columns: Any
) -> Judged:
    return Judged("comparison", prompt, (chosen, rejected), (preference,), None, "here", columns=columns)


def read(files: list[Path], how: RewardFromFiles) -> tuple[list[Judged], list[Judged]]:
    found = stage.read(files, how)
    return found.train, found.test


def learn(train: list[Judged], test: list[Judged], how: RewardFromFiles, out: Path) -> dict[str, Accuracy]:
    return stage.learn(Answers(train, test), how, out, {}).accuracy


def encode(model: TextReward, one: Judged, which: int) -> list[int]:
    """The tokens of one answer of a comparison with its prompt."""
    return read_text(model, one.things[which], 1024)


# ---- what is learned from and what is tested on ------------------------------------------------------------------------


def written(path: Path, count: int, prompts: int, **columns: Any) -> Path:
    rows = [
        {"prompt": f"say {i % prompts}:", "chosen": f"a{i}", "rejected": f"b{i}"} | columns
        for i in range(count)
    ]
    return write_rows(path, rows)


def test_pairs_of_a_prompt_stay_together(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one.jsonl", 20, 10), written(tmp_path / "other.jsonl", 10, 5)
    train, test = read([one, other], config(held_out=0.3))
    assert len(train) + len(test) == 30
    asked = [{p.prompt for p in side} for side in (train, test)]
    assert len(asked[1]) == 3 and not asked[0] & asked[1]
    assert read([one, other], config(held_out=0.3)) == (train, test)
    assert read([one, other], config(held_out=0.3, seed=1)) != (train, test)


def test_splits(tmp_path: Path) -> None:
    rows = [
        {"prompt": f"p{i}", "chosen": "a", "rejected": "b", "split": "test" if i > 6 else "train"}
        for i in range(10)
    ]
    file = write_rows(tmp_path / "p.jsonl", rows)
    train, test = read([file], config(split="train", test_split="test"))
    assert [p.prompt for p in train] == [f"p{i}" for i in range(7)]
    assert [p.prompt for p in test] == ["p7", "p8", "p9"]
    other = written(tmp_path / "other.jsonl", 4, 4)
    train, test = read([file], config(test=str(other)))
    assert len(train) == 10 and [p.options[0] for p in test] == ["a0", "a1", "a2", "a3"]
    for split in ({}, {"split": "test"}):
        with pytest.raises(
            PlauditError, match="split: the rows of 'test' would be learned from and tested on"
        ):
            read([file], config(test_split="test", **split))
    (tmp_path / "alias.jsonl").symlink_to(file)
    for test in (file, f"{tmp_path}/../{tmp_path.name}/p.jsonl", tmp_path / "alias.jsonl"):
        for split in ({}, {"split": "train"}):
            with pytest.raises(
                PlauditError, match="test: the comparisons of .* are learned from as well; give anoth"
            ):
                read([other, file], config(test=str(test), **split))
        for split in ({}, {"split": "test"}):
            with pytest.raises(PlauditError, match="split: the rows of 'test' would be learned from"):
                read([other, file], config(test=str(test), test_split="test", **split))
        found = read([file], config(test=str(test), test_split="test", split="train"))
        assert [len(side) for side in found] == [7, 3]
    with pytest.raises(PlauditError, match="held_out: must be between"):
        read([file], config(held_out=0.95))


HH = [
    ("\n\nHuman: Hello?\n\nAssistant: Hi there, how are you?", "\n\nHuman: Hello?\n\nAssistant: Go away."),
    ("\n\nHuman: A?\n\nAssistant: B.\n\nHuman: C?\n\nAssistant: Yes.", "\n\nHuman: A?\n\nAssistant: B.\n\nHuman: C?\n\nAssistant: No no no."),
]  # fmt: skip


def test_dialogues_as_hh_writes_them(world: World, tmp_path: Path) -> None:
    """What both share is the prompt; the answers are the last turns."""
    file = tmp_path / "hh.jsonl.gz"
    file.write_bytes(
        gzip.compress("".join(json.dumps({"chosen": a, "rejected": b}) + "\n" for a, b in HH).encode())
    )
    pairs = read_judgements(file)
    model = reward_model.begin(str(world.lm), torch.Generator().manual_seed(0))
    for one, (chosen, rejected) in zip(pairs, HH, strict=True):
        assert str(one.prompt).endswith("Assistant:")
        for which, whole in enumerate((chosen, rejected)):
            ids = encode(model, one, which)
            assert ids[-1] == model.vocabulary.end and model.vocabulary.decode(ids) == whole
    assert [longer_by(one) for one in pairs] == [len(a) - len(b) for a, b in HH]


# ---- the rules and the interval ----------------------------------------------------------------------------------------


def scored(margins: dict[str, torch.Tensor]) -> dict[str, Accuracy]:
    """As the stage scores margins: a margin of 0 is half right."""
    points = {name: (one > 0).double() + 0.5 * (one == 0).double() for name, one in margins.items()}
    return {name: Accuracy(*share_interval(one)) for name, one in points.items()}


def test_rules_by_hand() -> None:
    train = [
        pair("long answer", "short", source="a"), pair("longer", "long", source="a"), pair("x", "xyz", source="a"),
        pair("x", "xyz", source="b"), pair("xx", "xy", source="c"),
    ]  # fmt: skip
    test = [
        pair("long", "s", source="a"),  # longer wins, as in a: right, right
        pair("s", "long", source="a"),  # wrong, wrong
        pair("s", "long", source="b"),  # wrong; in b the shorter one wins: right
        pair("long", "s", source="c"),  # right; in c neither: half
        pair("same", "size", source="a"),  # half, half
        pair("long", "s", source="new"),  # right; never seen: half
    ]
    found = scored(rules(train, test))
    assert found["longer wins"].mean == pytest.approx((1 + 0 + 0 + 1 + 0.5 + 1) / 6)
    assert found["length, by source"].mean == pytest.approx((1 + 0 + 1 + 0.5 + 0.5 + 0.5) / 6)
    assert set(rules(train, [pair("a", "b")])) == {"longer wins"}
    talk = ({"role": "assistant", "content": "four"}, {"role": "assistant", "content": "!"})
    assert longer_by(pair(talk, ({"role": "assistant", "content": "ab"},))) == 3


def test_the_interval_by_hand() -> None:
    found = scored({"x": torch.tensor([1.0, 2.0, -1.0, 0.0, 2.0, 2.0, 2.0, 2.0])})["x"]
    points = [1] * 7 + [0.5, 0, 0]  # one more right and one more wrong
    mean = sum(points) / 10
    half = 2.262157 * math.sqrt(sum((p - mean) ** 2 for p in points) / 9 / 10)  # t(.975, 9)
    assert found.mean == 6.5 / 8 and found.low == pytest.approx(mean - half, abs=1e-5)
    assert found.high == pytest.approx(min(1, mean + half), abs=1e-5)
    few = scored({"x": torch.tensor([1.0, 1.0])})["x"]
    assert (few.low, few.mean, few.high) == (0, 1, 1)


# ---- learning ----------------------------------------------------------------------------------------------------------


def letters(count: int, seed: int) -> list[Judged]:
    """More of the letter a is better; lengths say nothing."""
    draws = torch.Generator().manual_seed(seed)
    pairs = []
    for i in range(count):
        texts = ["".join("ab"[int(b)] for b in torch.randint(0, 2, (4,), generator=draws)) for _ in range(2)]
        texts.sort(key=lambda text: -text.count("a"))
        equal = texts[0].count("a") == texts[1].count("a")
        pairs.append(pair(" " + texts[0], " " + texts[1], 0.5 if equal else 1.0, f"say {i}:"))
    return pairs


@pytest.mark.slow
def test_a_reward_is_learned(world: World, tmp_path: Path) -> None:
    """Better than the rules; saved as everybody reads it; its scale is that of all texts it learned from."""
    train, test = letters(120, 0), letters(60, 1)
    results = learn(train, test, config(world.lm, steps=180), tmp_path / "rm")
    assert results["reward model"].mean > 0.9 > results["longer wins"].mean == 0.5
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "rm")

    @torch.no_grad()
    def score(one: Judged, answer: Any) -> float:
        ids = tokenizer(f"{one.prompt}{answer}{tokenizer.eos_token}", return_tensors="pt")["input_ids"]
        return float(theirs(input_ids=ids).logits)

    decided = [one for one in test if one.said[0] == 1]
    right = sum(score(one, one.options[0]) > score(one, one.options[1]) for one in decided) / len(decided)
    assert results["reward model"].mean == pytest.approx(right)
    scores = torch.tensor([score(one, answer) for one in train for answer in one.options])
    rewards = (scores - theirs.config.reward_offset) * theirs.config.reward_scale
    assert float(rewards.mean()) == pytest.approx(0, abs=1e-4)
    assert float(rewards.var()) == pytest.approx(1, abs=1e-3)
    again = learn(train, test, config(tmp_path / "rm", steps=1, fit={"learning_rate": 0.0}), tmp_path / "rm2")
    assert again["reward model"] == results["reward model"]  # going on from it, a step of size 0


def test_an_export_with_an_empty_answer_is_learned_from(world: World, tmp_path: Path) -> None:
    """Of a model that ended at once: its end token is still there to read."""
    rows = [
        {"kind": "comparison", "prompt": f"say {i}:", "first": "", "second": f" a{i}", "answer": "second"}
        for i in range(10)
    ]
    train, test = read([write_rows(tmp_path / "said.jsonl", rows)], config(world.lm, held_out=0.3))
    results = learn(train, test, config(world.lm, steps=3), tmp_path / "rm")
    assert results["longer wins"].mean == 1 and math.isfinite(results["reward model"].mean)


@pytest.mark.slow
def test_the_same_seed_is_the_same_model(world: World, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        learn(letters(20, 0), letters(8, 1), config(world.lm, seed=seed), tmp_path / name)
        found.append((tmp_path / name / "model.safetensors").read_bytes())
    assert found[0] == found[1] != found[2] and torch.equal(torch.get_rng_state(), state)


def test_what_is_too_long_loses_its_beginning(world: World) -> None:
    model = reward_model.begin(str(world.lm), torch.Generator().manual_seed(0))
    one = pair(" a" * 30, " b", prompt="say ka:")
    whole = [encode(model, one, which) for which in (0, 1)]
    reward = medium([one], config(world.lm, length=12), model)
    assert [reward.read(said) for said in one.things] == [whole[0][-12:], whole[1]]
    trainer = RewardTrainer(reward, config(world.lm), torch.Generator())
    (term,) = trainer.terms(as_judgements([pair("x", "y", 0.5)]))
    assert term.judgements.preference.tolist() == [0.5]


def test_conversations(tmp_path: Path) -> None:
    model = reward_model.begin(
        str(made_of("<|user|>Hi\n<|assistant|>", tmp_path / "lm", context=64)), torch.Generator()
    )
    prompt = ({"role": "user", "content": "Hi"},)
    one = pair(
        ({"role": "assistant", "content": "yes"},), ({"role": "assistant", "content": "no"},), prompt=prompt
    )
    ids = encode(model, one, 0)
    assert model.vocabulary.decode(ids) == "<|user|>Hi\n<|assistant|>yes" and ids[-1] == model.vocabulary.end


@pytest.mark.slow
def test_opposite_wishes_are_told_apart_by_a_column(world: World, tmp_path: Path) -> None:
    """What one group of rows prefers another rejects: a reward that reads by what was judged can hold both."""
    sides = [("aaa", "bbb"), ("bbb", "aaa")]
    pairs = [pair(*sides[i % 2], prompt=f"say {i % 7}:", wish="ab"[i % 2], source="one") for i in range(64)]
    found = {}
    for name, judged_by in (("blind", ()), ("told", ("wish",))):
        made = config(world.lm, judged_by=judged_by, steps=200)
        found[name] = learn(pairs[:48], pairs[48:], made, tmp_path / name)["reward model"].mean
    assert found == {"blind": 0.5, "told": 1.0}
    # the model remembers it: what a policy says is read in the same way
    model = reward_model.trained(str(tmp_path / "told"))
    assert model.judged_by == ("wish",)
    text = TextRecord("say 1:", "aaa", tokens=(), ended=False)

    def read_by(wish: str, answer: str) -> list[int]:
        ids = tuple(model.vocabulary.encode(answer))
        said = replace(text, completion=answer, tokens=ids, columns={"wish": wish})
        return sequence(model, said, model.vocabulary)

    assert model.vocabulary.decode(read_by("b", "aaa")) == "b\nsay 1:aaa"
    end = [model.vocabulary.end]
    for wish, (good, bad) in zip("ab", sides, strict=True):
        two = model(reward_model.texts([read_by(wish, answer) + end for answer in (good, bad)]))
        assert two[0] > two[1]
    with pytest.raises(
        PlauditError, match="judges by the column `wish`, which a row lacks; add it to the rows"
    ):
        sequence(model, text, model.vocabulary)
    with pytest.raises(PlauditError, match="here: .*judges by the column `taste`, which a row lacks"):
        learn(pairs[:48], pairs[48:], config(world.lm, judged_by=("taste",)), tmp_path / "lacking")
    # what is too long loses the beginning of the text, never by what it is judged
    first, ids = model.vocabulary.encode("b\n"), list(range(40))
    assert model.reading(ids, {"wish": "b"}, 10) == [*first, *ids[-(10 - len(first)) :]]
    assert model.reading(ids, {"wish": "b"}, None) == [*first, *ids]


def test_bad_input(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def message(train: list[Judged], test: list[Judged], **changes: Any) -> str:
        with pytest.raises(PlauditError) as caught:
            learn(train, test, config(changes.pop("start", world.lm), **changes), tmp_path / "rm")
        assert "\n" not in str(caught.value) and not (tmp_path / "rm" / "config.json").exists()
        return str(caught.value)

    some, test = letters(10, 0), letters(10, 1)
    assert "1 answers to learn from and" in message(some[:1], test)
    ties = [pair("a", "b", 0.5)] * 5
    assert "10 answers to learn from and 0 decided comparisons to test on are too few" in message(some, ties)
    assert "length: 33 tokens are more than the model's 32; lower it" in message(some, test, length=33)
    assert "fit.first_steps: must be at least 0, not -1" in message(some, test, steps=-1)
    assert "fit.subsample: has no effect, " in message(some, test, fit={"subsample": 0.5})
    assert "fit.minibatch_size: must be at least 1" in message(some, test, fit={"minibatch_size": 0})
    assert "/nowhere" in message(some, test, start="/nowhere")
    wild = message(some, test, fit={"learning_rate": 1e37}, steps=30)
    assert wild == (
        "the fit of the reward has diverged: its weights are no longer finite; lower fit.learning_rate"
    )
    with pytest.raises(PlauditError, match="a model is here already; choose another --out"):
        learn(some, test, config(world.lm), world.lm)

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB. GPU 0 ...")

    monkeypatch.setattr(TextReward, "forward", full)
    said = message(some, test)
    assert re.fullmatch(
        r"there is not enough memory \(1.00 GiB more were wanted\); lower rows, fit.minibatch_size, .*length",
        said,
    )


@pytest.mark.slow
def test_pairs_of_hh(world: World, shared_data: Path, tmp_path: Path) -> None:
    """Real comparisons, with their splits: everything fits and the rules are those of the data."""
    file = shared_data / "text_pairs" / "hh_pairs.jsonl.gz"
    first = next(iter(read_judgements(file)))
    split = {"split": "train", "test_split": "test"} if "split" in first.columns else {"held_out": 0.1}
    train, test = read([file], config(**split))
    assert len(train) > len(test) > 50
    results = learn(train[:64], test[:64], config(world.lm, steps=8, length=24), tmp_path / "rm")
    decided = [p for p in test[:64] if p.said[0] != 0.5]
    lengths = [len(str(p.options[0])) - len(str(p.options[1])) for p in decided]
    points = [1.0 if n > 0 else 0.5 if n == 0 else 0.0 for n in lengths]
    assert results["longer wins"].mean == pytest.approx(sum(points) / len(points))
    assert (
        0.2 < results["reward model"].mean < 0.8
        and results["reward model"].low < results["reward model"].mean
    )


def test_what_is_read_in_part_and_what_is_few_is_said(world: World, tmp_path: Path) -> None:
    """Four of ten rows have a text of more than 12 tokens; two decided comparisons are few."""
    long, short = "a" * 40, "a"
    rows = [pair(long if i < 4 else short, "b", prompt=f"say {i}:") for i in range(10)]
    outcome = stage.learn(
        Answers(rows[:8], rows[8:]), config(world.lm, steps=2, length=12), tmp_path / "rm", {}
    )
    cut, few = outcome.notes
    assert cut.startswith("4 of 10 rows have a text of more than the 12 tokens") and cut.endswith(
        "raise length"
    )
    assert few.startswith("2 comparisons are few to test on")
    whole = stage.learn(Answers(rows[4:8], rows[8:] * 15), config(world.lm, steps=2), tmp_path / "other", {})
    assert whole.notes == ()
    rows = [pair("a" * 400, "b", prompt=f"say {i}:") for i in range(4)]
    (noted, _) = stage.learn(
        Answers(rows[:2], rows[2:]), config(world.lm, steps=2), tmp_path / "third", {}
    ).notes
    assert noted.endswith("start from one with a larger new.context")
