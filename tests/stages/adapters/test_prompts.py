"""Prompts: in tokens, divided, and never longer than what fits beside an answer."""

from pathlib import Path
from typing import Any

import pytest
import torch

from plaudit.environments.language import service
from plaudit.errors import PlauditError
from plaudit.models.language import loading, vocabulary
from plaudit.models.language.vocabulary import Vocabulary
from plaudit.readers.texts import TextPrompt
from plaudit.runs.config import Language
from plaudit.stages.adapters.prompts import Prompts, fitted, generated, prompts
from plaudit.stages.reward import divided
from tests.text_world import World, write_rows


@pytest.fixture(scope="module")
def spoken() -> Vocabulary:
    texts = ["say the word and go on", "<|user|>hello\n<|assistant|>"] * 20
    return Vocabulary(vocabulary.train_bpe(texts, 300), "test")


def asked(path: Path, spoken: Vocabulary, context: int | None = 100, **settings: Any) -> Prompts:
    return prompts(Language(prompts=str(path), max_new_tokens=8, **settings), spoken, context, 0)


def test_service_dialogues(spoken: Vocabulary) -> None:
    settings = Language(count=300, max_new_tokens=8)
    found = prompts(settings, spoken, None, 0)
    again, other = prompts(settings, spoken, None, 0), prompts(settings, spoken, None, 1)
    assert found == again and [p.text for p in found.train] != [p.text for p in other.train]
    assert found.held_out == other.held_out, "runs of several seeds are evaluated on the same prompts"
    assert len(found.held_out) >= 190 and found.left_out == 0
    assert not {p.text for p in found.train} & {p.text for p in found.held_out}
    assert len({p.text for p in found.train}) == len(found.train) <= 300
    for prompt in found.train[:20]:
        assert spoken.decode(prompt.tokens) == prompt.text and prompt.text.endswith("Clerk:")
        assert set(prompt.columns) == {"facts"} and set(prompt.columns["facts"]) > {"item", "matter"}
    kept = {prompt.text: prompt.columns["facts"] for prompt in found.held_out}
    for facts in list(kept.values())[:20]:
        colour, noun = facts["item"].split(" ")
        kind = next(name for name in facts if name not in ("item", "matter"))
        assert service.is_held_out(facts["matter"], {"colour": colour, "noun": noun, kind: facts[kind]})
    assert [row.where for row in generated(3, 0, False)] == [f"service prompt {i}" for i in (1, 2, 3)]


def test_a_file_is_divided_the_same_for_every_seed(spoken: Vocabulary, tmp_path: Path) -> None:
    """So that runs of several seeds, and `plaudit evaluate`, judge on prompts that nobody learned from."""
    file = write_rows(tmp_path / "p.jsonl", [{"prompt": f"say {i}", "n": i} for i in range(50)])
    found = [prompts(Language(prompts=str(file), held_out=0.2), spoken, None, seed) for seed in (0, 1)]
    assert found[0] == found[1]
    held = [prompt.columns["n"] for prompt in found[0].held_out]
    assert len(held) == 10 and held != sorted(held)
    assert sorted([*held, *(prompt.columns["n"] for prompt in found[0].train)]) == list(range(50))


def test_a_prompt_that_comes_twice_is_on_one_side(spoken: Vocabulary, tmp_path: Path) -> None:
    file = write_rows(tmp_path / "p.jsonl", [{"prompt": f"say {i % 7}", "n": i} for i in range(28)])
    found = asked(file, spoken, held_out=0.3)
    one, other = ({prompt.text for prompt in side} for side in (found.train, found.held_out))
    assert len(one) == 5 and len(other) == 2 and not one & other
    assert len(found.train) == 20 and len(found.held_out) == 8


def test_dividing() -> None:
    for seed in range(5):
        train, held = divided(["a", "b", "a", [{"role": "user", "content": "a"}], "c", "d"], 0.25, seed)
        assert sorted([*train, *held]) == list(range(6))
        assert len({("a", "b", "a", "m", "c", "d")[i] for i in held}) == 1  # a quarter of five, rounded
        assert (0 in held) == (2 in held)
    assert len({tuple(divided(list("abcdefgh"), 0.25, seed)[1]) for seed in range(10)}) > 3
    assert divided(["a"], 0.1, 0) == ([], [0])


def test_splits_and_other_files(spoken: Vocabulary, tmp_path: Path) -> None:
    rows = [{"prompt": f"say {i}", "split": "test" if i % 5 == 0 else "train"} for i in range(20)]
    file = write_rows(tmp_path / "p.jsonl", rows)
    other = write_rows(tmp_path / "o.jsonl", [{"prompt": "go on"}])
    found = asked(file, spoken, split="train", evaluate_split="test")
    assert len(found.train) == 16 and [p.text for p in found.held_out] == [
        "say 0",
        "say 5",
        "say 10",
        "say 15",
    ]
    found = asked(file, spoken, evaluate_on=str(other))
    assert len(found.train) == 20 and [p.text for p in found.held_out] == ["go on"]
    found = asked(file, spoken, split="train", held_out=0.25)
    assert len(found.train) == 12 and len(found.held_out) == 4
    with pytest.raises(
        PlauditError, match=r"p.jsonl: no row of the split 'dev'; its splits are 'test', 'train'"
    ):
        asked(file, spoken, split="dev")


def test_what_does_not_fit(spoken: Vocabulary, tmp_path: Path) -> None:
    long = "say the word and go on and on and on"
    file = write_rows(
        tmp_path / "p.jsonl", [{"prompt": "say"}, {"prompt": "go"}, {"prompt": long}, {"prompt": "on"}]
    )
    count = len(spoken.encode(long))
    exactly = asked(file, spoken, context=count + 8)
    assert max(len(p.tokens) for p in [*exactly.train, *exactly.held_out]) == count
    with pytest.raises(PlauditError) as caught:
        asked(file, spoken, context=count + 7)
    assert str(caught.value) == (
        f"{file}, line 3: the prompt has {count} tokens, but {count - 1} fit the context beside the answer; shorten it, "
        "lower environment.max_new_tokens, or set environment.too_long to `leave out` or `cut`"
    )
    left = asked(file, spoken, context=count + 7, too_long="leave out")
    assert left.left_out == 1 and long not in {p.text for p in [*left.train, *left.held_out]}
    cut = asked(file, spoken, context=12, too_long="cut")
    (shorter,) = (p for p in [*cut.train, *cut.held_out] if p.text not in ("say", "go", "on"))
    assert list(shorter.tokens) == spoken.encode(long)[-4:] and cut.left_out == 0
    assert shorter.text == spoken.decode(spoken.encode(long)[-4:]) and long.endswith(shorter.text)
    with pytest.raises(
        PlauditError, match="environment.max_new_tokens: 8 leave no room for a prompt in the model's"
    ):
        asked(file, spoken, context=8)
    with pytest.raises(
        PlauditError, match="leaves 0 prompts to learn from and 0 to evaluate on; give more prompts"
    ):
        asked(
            write_rows(tmp_path / "q.jsonl", [{"prompt": long}] * 2),
            spoken,
            context=12,
            too_long="leave out",
        )


def test_conversations(spoken: Vocabulary) -> None:
    messages = ({"role": "user", "content": "hello"},)
    prompt = fitted(TextPrompt(messages, {"x": 1}, "here"), spoken, None, "refuse")
    assert prompt is not None and prompt.messages == messages and prompt.columns == {"x": 1}
    assert prompt.text == "<|user|>hello\n<|assistant|>"
    assert list(prompt.tokens) == spoken.encode(prompt.text)


def test_a_beginning_token_is_not_cut(spoken: Vocabulary) -> None:
    """Of tokenizers that put one before texts, as Llama's does."""

    class Begins:
        bos_token_id = 7
        chat_template = None

        def __getattr__(self, name: str) -> Any:
            return getattr(spoken.tokenizer, name)

        def __call__(self, text: str, add_special_tokens: bool = True, **words: Any) -> dict[str, list[int]]:
            ids = spoken.tokenizer(text, add_special_tokens=False)["input_ids"]
            return {"input_ids": [7, *ids] if add_special_tokens else ids}

        def decode(self, ids: list[int], skip_special_tokens: bool = False, **words: Any) -> str:
            shown = [i for i in ids if not (skip_special_tokens and i == 7)]
            return spoken.tokenizer.decode(shown, **words)

    begins = Vocabulary(Begins(), "begins")
    row = TextPrompt("say the word and go on", {}, "here")
    whole = fitted(row, begins, 100, "cut")
    assert whole is not None and whole.tokens[0] == 7 and whole.text == row.prompt
    cut = fitted(row, begins, 4, "cut")
    assert cut is not None and list(cut.tokens) == [7, *spoken.encode(str(row.prompt))[-3:]]
    assert begins.prompt(cut.text)[0] == 7 and cut.text == spoken.decode(cut.tokens[1:])


def test_stops_are_single_tokens(world: World) -> None:
    _, own = loading.load(str(world.lm))
    assert own.stops((":",)) == {own.end, own.encode(":")[0]}
    with pytest.raises(PlauditError, match="tokens of .*; give texts that are one token each"):
        own.stops(("xyz!",))


def test_prompts_are_what_the_model_reads(world: World) -> None:
    lm, own = loading.load(str(world.lm))
    settings = Language(prompts=str(world.prompts), max_new_tokens=6)
    found = prompts(settings, own, loading.context_of(lm), 0)
    assert len(found.train) == 36 and len(found.held_out) == 4
    assert all(list(p.tokens) == own.encode(p.text) for p in found.train)
    assert all(torch.tensor(p.tokens).max() < 270 for p in found.train)


def test_messages_that_a_template_does_not_take_are_said_with_their_place() -> None:
    tokenizer = vocabulary.train_bpe(["say the word"], 300)
    tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    row = TextPrompt(({"role": "system", "content": "be brief"},), {}, "p.jsonl, line 7")
    with pytest.raises(PlauditError, match=r"^p\.jsonl, line 7: test: its chat template does not take"):
        fitted(row, Vocabulary(tokenizer, "test"), None, "refuse")
