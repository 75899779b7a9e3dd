"""Pre-training: which tokens are learned, each once, and what the held-out loss means, by independent computations."""

import gzip
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from plaudit.batches import Pairs
from plaudit.environments.language import service
from plaudit.environments.language.config import Language
from plaudit.errors import PlauditError
from plaudit.models.language import loading
from plaudit.models.language.config import PolicyConfig
from plaudit.models.language.policy import LanguagePolicy, as_it_was
from plaudit.runs import config as configs
from plaudit.runs import settings
from plaudit.runs.provenance import of_weights
from plaudit.stages.adapters import language_data
from plaudit.stages.adapters.language_data import demonstrations
from plaudit.stages.adapters.prompts import prompts
from plaudit.stages.pretrain import pretrain
from plaudit.stages.pretrain_config import PretrainText
from plaudit.trainers import supervised
from tests.text_world import NEW, World, quiet, write_rows

TEXT = "".join(f"The {noun} is {colour}.\n" for noun in ("dög", "cat", "bird", "bee", "frog") * 9
               for colour in ("red", "green", "grey"))  # fmt: skip


def config(**changes: Any) -> PretrainText:
    trainer = {"learning_rate": 0.01, "epochs": 2, "minibatch_size": 4} | changes.pop("trainer", {})
    return settings.build(PretrainText, {"new": NEW, "trainer": trainer} | changes, "")


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The data of every training, learned and held out."""
    found: list[Any] = []
    run = supervised.run

    def spied(learner: supervised.Supervised) -> Any:
        found.append((learner.data, learner.held_out))
        return run(learner)

    monkeypatch.setattr(supervised, "run", spied)
    return found


def decided(side: Any) -> list[list[int]]:
    """The tokens of every row that are learned."""
    record = side.record
    return [record.ids[row, record.decisions[row][side.mask[row]]].tolist() for row in range(len(record.ids))]


def rows_of(side: Any) -> list[list[int]]:
    return [ids[:n].tolist() for ids, n in zip(side.record.ids, side.record.lengths.tolist(), strict=True)]


@torch.no_grad()
def nll(folder: Path, sequences: Sequence[list[int]], starts: Sequence[int]) -> tuple[float, int]:
    """The sum over all tokens from these places on, and their number, by transformers alone."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    total, count = 0.0, 0
    for ids, start in zip(sequences, starts, strict=True):
        logp = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(dim=-1)
        total -= sum(float(logp[i - 1, ids[i]]) for i in range(start, len(ids)))
        count += len(ids) - start
    return total, count


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.slow
def test_a_text_is_learned_once_and_its_end_is_held_out(
    packed: bool, learned: list[Any], tmp_path: Path
) -> None:
    file = tmp_path / ("text.txt.gz" if packed else "text.txt")
    file.write_bytes(gzip.compress(TEXT.encode()) if packed else TEXT.encode())
    result = pretrain(config(context=10, held_out=0.1), str(file), tmp_path / "lm", quiet)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "lm")
    cut = round(len(TEXT) * 0.9)
    ((train, held),) = learned
    for side, part in ((train, TEXT[:cut]), (held, TEXT[cut:])):
        ids = tokenizer(part, add_special_tokens=False)["input_ids"]
        assert [token for row in decided(side) for token in row] == ids[1:]
        rows = rows_of(side)
        assert all(len(row) <= 10 for row in rows)
        assert all(one[-1] == other[0] for one, other in zip(rows, rows[1:], strict=False))
    total, count = nll(tmp_path / "lm", rows_of(held), [1] * len(held.mask))
    assert result["val/nll_avg"] == pytest.approx(total / count, rel=1e-4)
    characters = len(tokenizer.decode(tokenizer(TEXT[cut:])["input_ids"][1:]))
    assert result["val/nll_per_character"] == pytest.approx(total / characters, rel=1e-4)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "lm")
    assert result["parameters"] == sum(p.numel() for p in model.parameters())
    assert result["val/nll_avg"] < math.log(270) - 1  # it has learned something


ROWS = [
    {"prompt": f"say {i}:", "completion": " yes" if i % 2 else " no no", "split": "a" if i < 8 else "b"}
    for i in range(12)
]


@pytest.mark.parametrize("learn", ["answers", "everything"])
def test_demonstrations(learn: str, learned: list[Any], tmp_path: Path) -> None:
    file = write_rows(tmp_path / "d.jsonl", ROWS)
    result = pretrain(config(learn=learn, held_out=0.25), str(file), tmp_path / "lm", quiet)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "lm")
    ((train, held),) = learned
    assert len(train.mask) == 9 and len(held.mask) == 3
    expected = {}
    for row in ROWS:
        prompt, answer = (tokenizer(row[name])["input_ids"] for name in ("prompt", "completion"))
        whole = [*prompt, *answer, tokenizer.eos_token_id]  # the end is learned as well
        expected[tuple(whole)] = whole[len(prompt) :] if learn == "answers" else whole[1:]
    seen = [*rows_of(train), *rows_of(held)]
    assert sorted(map(tuple, seen)) == sorted(expected)
    assert [*decided(train), *decided(held)] == [expected[tuple(row)] for row in seen]
    starts = [len(row) - len(expected[tuple(row)]) for row in rows_of(held)]
    total, count = nll(tmp_path / "lm", rows_of(held), starts)
    assert result["val/nll_avg"] == pytest.approx(total / count, rel=1e-4)
    texts = [
        tokenizer.decode(row[start:], skip_special_tokens=True)
        for row, start in zip(rows_of(held), starts, strict=True)
    ]
    assert result["val/nll_per_character"] == pytest.approx(total / sum(map(len, texts)), rel=1e-4)


def test_texts_in_rows_are_learned_whole(learned: list[Any], tmp_path: Path) -> None:
    file = write_rows(tmp_path / "t.jsonl", [{"text": f"one two {i}"} for i in range(6)])
    pretrain(config(held_out=0.2), str(file), tmp_path / "lm", quiet)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "lm")
    ((train, held),) = learned
    whole = [[*tokenizer(f"one two {i}")["input_ids"], tokenizer.eos_token_id] for i in range(6)]
    assert sorted([*rows_of(train), *rows_of(held)]) == sorted(whole)
    assert all(row[1:] == said for row, said in zip(rows_of(train), decided(train), strict=True))


@pytest.mark.parametrize("prompt", [True, False])
def test_nothing_that_was_learned_is_held_out(prompt: bool, learned: list[Any], tmp_path: Path) -> None:
    """Rows come twice, and prompts with several answers: a held-out loss on what was learned would say nothing."""
    rows: list[dict[str, str]] = []
    for i in [*range(6), *range(6)]:
        answers = ("yes", "no", "perhaps")
        rows += (
            [{"prompt": f"say {i}:", "completion": a} for a in answers] if prompt else [{"text": f"say {i}:"}]
        )
    file = write_rows(tmp_path / "d.jsonl", rows)
    pretrain(config(learn="everything", held_out=0.3), str(file), tmp_path / "lm", quiet)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "lm")
    ((train, held),) = learned
    one, other = ({tokenizer.decode(row).split(":")[0] for row in rows_of(side)} for side in (train, held))
    assert len(one) == 4 and len(other) == 2 and not one & other
    assert len(train.mask) + len(held.mask) == len(rows)


def test_a_single_prompt_cannot_be_divided(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "d.jsonl", [{"prompt": "say:", "completion": str(i)} for i in range(9)])
    with pytest.raises(PlauditError, match="9 demonstrations are too few .* of one prompt"):
        pretrain(config(), str(file), tmp_path / "lm", quiet)


def test_conversations_go_through_the_chat_template(learned: list[Any], tmp_path: Path) -> None:
    talks = [
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": f"Who are you, {name}?"},
            {"role": "assistant", "content": f"I am {name}."},
        ]
        for name in ("Ann", "Bob", "Eve", "Tim")
    ]
    file = write_rows(tmp_path / "c.jsonl", [{"messages": talk} for talk in talks])
    new = {"new": NEW | {"context": 96}}
    pretrain(config(held_out=0.25, **new), str(file), tmp_path / "lm", quiet)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "lm")
    ((train, held),) = learned
    for row, said in zip([*rows_of(train), *rows_of(held)], [*decided(train), *decided(held)], strict=True):
        name = tokenizer.decode(said).removeprefix("I am ").removesuffix(".<|end|>")
        (talk,) = (talk for talk in talks if f"I am {name}." == talk[-1]["content"])
        rendered = tokenizer.apply_chat_template(talk, tokenize=False)
        assert tokenizer.decode(row) == rendered.removesuffix("\n") and said[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("learn", ["answers", "everything"])
def test_a_demonstration_that_is_too_long_loses_the_beginning_of_its_prompt(
    learn: str, learned: list[Any], tmp_path: Path
) -> None:
    """What is learned of the answer stays what it was; of an answer that alone is too long, the end."""
    rows = [{"prompt": "say " * n + f"{n}:", "completion": " yes" * (1 + n // 5)} for n in (1, 2, 3, 8, 9)]
    rows.append({"prompt": "say:", "completion": " no" * 60})
    file = write_rows(tmp_path / "d.jsonl", rows)
    new = {"new": NEW | {"context": 20}}
    pretrain(config(learn=learn, too_long="cut", held_out=0.3, **new), str(file), tmp_path / "lm", quiet)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "lm")
    expected = {}
    for row in rows:
        prompt, answer = (tokenizer(row[name])["input_ids"] for name in ("prompt", "completion"))
        answer = [*answer, tokenizer.eos_token_id][-20:]
        whole = [*prompt, *answer][-20:]
        start = max(1, len(whole) - len(answer)) if learn == "answers" else 1
        expected[tuple(whole)] = whole[start:]
    ((train, held),) = learned
    seen = [*rows_of(train), *rows_of(held)]
    assert sorted(map(tuple, seen)) == sorted(expected) and max(map(len, seen)) == 20
    assert [*decided(train), *decided(held)] == [expected[tuple(row)] for row in seen]


def test_how_many_were_left_out(learned: list[Any], tmp_path: Path) -> None:
    file = write_rows(tmp_path / "d.jsonl", [*ROWS, {"prompt": "say", "completion": " word" * 90}])
    found = pretrain(config(too_long="leave out"), str(file), tmp_path / "lm", quiet)
    ((train, held),) = learned
    assert found["left_out"] == 1 and len(train.mask) + len(held.mask) == len(ROWS)
    assert pretrain(config(), str(write_rows(file, ROWS)), tmp_path / "all", quiet)["left_out"] == 0


def test_a_split_alone(learned: list[Any], tmp_path: Path) -> None:
    file = write_rows(tmp_path / "d.jsonl", ROWS)
    pretrain(config(split="b", held_out=0.25), str(file), tmp_path / "lm", quiet)
    ((train, held),) = learned
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "lm")
    texts = sorted(tokenizer.decode(row, skip_special_tokens=True) for row in rows_of(train) + rows_of(held))
    assert texts == sorted(f"say {i}:{' yes' if i % 2 else ' no no'}" for i in range(8, 12))


def test_service_dialogues() -> None:
    for style in ("clerks", "plain", "both"):
        rows = demonstrations("service", config(count=60, style=style))
        again = demonstrations("service", config(count=60, style=style))
        assert rows == again and len(rows) == 60
        assert rows != demonstrations("service", config(count=60, style=style, seed=1))
    plain = demonstrations("service", config(count=60, style="plain"))
    assert all(len(str(row.completion).split()) <= 9 for row in plain)
    held = {case.prompt for case in service.cases(300, np.random.default_rng(0), True)}
    assert not held & {row.prompt for row in plain}


@pytest.mark.slow
def test_the_vocabulary_of_gpt2(shared_data: Path, learned: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    pretrain(
        config(tokenizer=str(shared_data / "gpt2_tokenizer"), trainer={"epochs": 1}, held_out=0.2),
        str(file), tmp_path / "lm", quiet,
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "lm")
    assert tokenizer("Hello world")["input_ids"] == [15496, 995] and tokenizer.eos_token_id == 50256
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "lm")
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer) == 50258
    ((train, _),) = learned
    cut = round(len(TEXT) * 0.8)
    assert [token for row in decided(train) for token in row] == tokenizer(TEXT[:cut])["input_ids"][1:]
    with pytest.raises(PlauditError, match=r"no byte-level BPE in vocab.json and merges.txt"):
        pretrain(config(tokenizer=str(tmp_path)), str(file), tmp_path / "other", quiet)


def test_going_on_from_a_saved_model(world: World, tmp_path: Path) -> None:
    """With a step size of 0 it stays what it is; with one, it changes; the tokenizer is kept."""
    file = write_rows(tmp_path / "d.jsonl", ROWS)
    pretrain(config(start=str(world.lm), trainer={"learning_rate": 0.0}), str(file), tmp_path / "same", quiet)
    before, same = (AutoModelForCausalLM.from_pretrained(f) for f in (world.lm, tmp_path / "same"))
    assert of_weights(before) == of_weights(same)
    result = pretrain(config(start=str(world.lm)), str(file), tmp_path / "more", quiet)
    assert of_weights(AutoModelForCausalLM.from_pretrained(tmp_path / "more")) != of_weights(before)
    one, other = (AutoTokenizer.from_pretrained(f) for f in (world.lm, tmp_path / "more"))
    assert one.get_vocab() == other.get_vocab() and result["parameters"] == before.num_parameters()


def test_adapters_alone(world: World, tmp_path: Path) -> None:
    """What is saved is the whole model; it differs by a product of low rank in the adapted layers and nowhere else."""
    file = write_rows(tmp_path / "d.jsonl", ROWS)
    policy = {"critic": "none", "lora": {"rank": 2, "targets": ["c_fc"]}}
    result = pretrain(config(start=str(world.lm), policy=policy), str(file), tmp_path / "lm", quiet)
    before, after = (
        AutoModelForCausalLM.from_pretrained(f).state_dict() for f in (world.lm, tmp_path / "lm")
    )
    for name, tensor in before.items():
        change = after[name] - tensor
        if name.endswith("c_fc.weight"):
            assert torch.linalg.matrix_rank(change, atol=1e-6) == 2
        else:
            assert torch.equal(after[name], tensor), name
    assert result["parameters"] == sum(
        p.numel() for p in AutoModelForCausalLM.from_pretrained(world.lm).parameters()
    )


def test_the_same_seed_is_the_same_model(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "d.jsonl", ROWS)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(2)
    hashes = []
    for name, changes in (("a", {}), ("b", {}), ("c", {"seed": 1})):
        pretrain(config(**changes), str(file), tmp_path / name, quiet)
        hashes.append(of_weights(AutoModelForCausalLM.from_pretrained(tmp_path / name)))
        assert torch.get_num_threads() == 2  # as before; it learned with one
    torch.set_num_threads(threads)
    assert hashes[0] == hashes[1] != hashes[2]
    assert torch.equal(torch.get_rng_state(), state)


# ---- what can go wrong -------------------------------------------------------------------------------------------------


def message(place: Path, out: Path, **changes: Any) -> str:
    with pytest.raises(PlauditError) as caught:
        pretrain(config(**changes), str(place), out, quiet)
    assert "\n" not in str(caught.value) and not (out / "config.json").exists()
    return str(caught.value)


def test_bad_input(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, file = tmp_path / "lm", write_rows(tmp_path / "d.jsonl", ROWS)
    long = write_rows(tmp_path / "long.jsonl", [*ROWS[:4], {"prompt": "say", "completion": " word" * 40}])
    said = message(long, out, new=NEW | {"vocabulary": 262})
    assert said.startswith(f"{long}, line 5: prompt and answer have ") and "but the model takes 32" in said
    assert "1 demonstrations are too few" in message(write_rows(tmp_path / "one.jsonl", ROWS[:1]), out)
    assert "context: 33 tokens are more than the model's 32; lower it" in message(file, out, context=33)
    assert "context: must be at least 8, not 3" in message(file, out, context=3)
    assert "held_out: must be between 0.001 and 0.9, not 1" in message(file, out, held_out=1)
    assert "trainer.minibatch_size: must be at least 1" in message(file, out, trainer={"minibatch_size": 0})
    assert "tokenizer: the model to go on with brings its own" in message(
        file, out, start=str(world.lm), tokenizer=str(tmp_path)
    )
    for place in (Path("service"), tmp_path / "a.txt"):
        assert f"split: {place} has no rows with a column `split`" in message(place, out, split="train")
    for name, content, expected in (
        ("empty.txt", b"", "there is no text in it"),
        ("blank.txt", b"\n \n", "there is no text in it"),
        ("latin.txt", b"caf\xe9 caf\xe9", "UTF-8"),
        ("short.txt", b"a", "the text is too short to learn from and hold a part out"),
        ("empty.jsonl", b"", "there is not a single row in it"),
        ("odd.jsonl", b'{"prompt": "x"}\n', "odd.jsonl, line 1: not a demonstration"),
    ):
        (tmp_path / name).write_bytes(content)
        assert expected in message(tmp_path / name, out), name
    assert "nothing.txt" in message(tmp_path / "nothing.txt", out)
    assert "nowhere" in message(file, out, start="/nowhere")
    wild = {"learning_rate": 1e37, "max_grad_norm": None}
    assert "learning has diverged: the held-out loss is no longer finite" in message(file, out, trainer=wild)
    with pytest.raises(PlauditError, match="a model is here already; choose another --out"):
        pretrain(config(), str(file), world.lm, quiet)

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 ...")

    monkeypatch.setattr(LanguagePolicy, "scores", full)
    assert message(file, out) == (
        "there is not enough memory (2.50 GiB more were wanted); lower trainer.microbatch_size, trainer.minibatch_size, policy.rows "
        "or context; or set policy.gradient_checkpointing"
    )


def test_what_is_reported(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    file = write_rows(tmp_path / "d.jsonl", ROWS)
    result = pretrain(config(trainer={"epochs": 3}), str(file), tmp_path / "lm", rows.append)
    assert [row["epoch"] for row in rows] == [1, 2, 3] and result["val/nll_avg"] == rows[-1]["val/nll_avg"]
    assert json.loads(json.dumps(result)) == result


def test_pairs_without_prompts_are_evaluated_on_those_held_out(world: World, tmp_path: Path) -> None:
    """What is asked at the end is what no pair that was learned from answers."""
    rows = [{"prompt": f"say {i % 20}:", "chosen": " a", "rejected": " b"} for i in range(40)]
    file = write_rows(tmp_path / "pairs.jsonl", rows)
    mapping = {"algorithm": "dpo", "start": str(world.lm), "pairs": str(file)}
    run = configs.from_mapping(mapping | {"environment": {"max_new_tokens": 6}}, "test")
    assert isinstance(run.environment, Language) and run.environment.prompts == str(file)
    lm, words = loading.load(str(world.lm))
    policy = as_it_was(lm, PolicyConfig())
    train, held_out = language_data.pairs(run, words, policy)
    asked = prompts(run.environment, words, loading.context_of(lm), 0)
    beginnings = {tuple(prompt.tokens) for prompt in asked.held_out}

    def begun(side: Pairs) -> set[tuple[int, ...]]:
        ids = side.record.ids[:, 0].tolist()
        return {known for row in ids for known in beginnings if tuple(row[: len(known)]) == known}

    assert len(beginnings) == 2 and begun(held_out) == beginnings and not begun(train)
