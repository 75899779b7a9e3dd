from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import ByteLevelBPETokenizer, processors

from plaudit.errors import PlauditError
from plaudit.models.language.vocabulary import PAD, Vocabulary, read_gpt2, train_bpe
from tests.models.language.tiny import TEXT, words

HELLO: Any = [{"role": "user", "content": "hello"}]
ANSWER: Any = [{"role": "assistant", "content": "the cat!"}]


def made(**changes: Any) -> Vocabulary:
    """A tokenizer with some of its settings changed."""
    tokenizer = train_bpe(TEXT, 300)
    for name, value in changes.items():
        setattr(tokenizer, name, value)
    return Vocabulary(tokenizer, "mine")


def beginning() -> Vocabulary:
    """A tokenizer that begins texts with <|end|>, as Llama's do with <s>."""
    vocabulary = made(bos_token="<|end|>")
    vocabulary.tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|end|> $A", special_tokens=[("<|end|>", 0)]
    )
    return vocabulary


# ------------------------------------------------------------------------------------------------- texts and token ids


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_comes_back_and_its_pieces_are_the_whole_text(text: str) -> None:
    vocabulary = words()
    ids = vocabulary.encode(text)
    assert vocabulary.decode(ids) == text
    pieces = vocabulary.pieces(ids)
    assert len(pieces) == len(ids) and "".join(pieces) == text
    assert all(0 <= i < len(vocabulary) for i in ids)


def test_pieces_by_hand() -> None:
    vocabulary = words()
    ids = [*vocabulary.encode("é the"), vocabulary.end]
    assert vocabulary.pieces(ids)[-2:] == [" the", "<|end|>"]
    assert vocabulary.pieces(vocabulary.encode("🎉")) == ["", "", "", "🎉"]
    assert vocabulary.pieces(vocabulary.encode("🎉")[:2]) == ["", "\N{REPLACEMENT CHARACTER}"]
    assert vocabulary.pieces([]) == []


def test_special_tokens_are_two_and_not_shown() -> None:
    vocabulary = words()
    assert (vocabulary.end, vocabulary.tokenizer.pad_token_id) == (0, 1)
    ids = vocabulary.encode("the cat")
    assert vocabulary.decode([*ids, 0, 1, 1]) == "the cat"


def test_a_vocabulary_depends_on_its_texts_alone() -> None:
    again = train_bpe(iter(TEXT), 300)
    assert again.get_vocab() == words().tokenizer.get_vocab() and len(again) <= 300
    assert len(train_bpe([], 258)) == 258


def test_merges_are_learned() -> None:
    vocabulary = words()
    assert (
        len(vocabulary.encode(" the cat")) < len(" the cat") == len(train_bpe([], 258).tokenize(" the cat"))
    )


def test_gpt2_ids_are_those_of_another_reader(shared_data: Path) -> None:
    folder = shared_data / "gpt2_tokenizer"
    vocabulary = Vocabulary(read_gpt2(folder), "gpt2")
    oracle = ByteLevelBPETokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    texts = [
        "Hello world",
        " x  y\n\n\tz ",
        "It's 3,141 o'clock… naïve café 你好 🎉",
        "",
        "a" * 300,
        "def f(x):\n    return x",
    ]
    for text in texts:
        assert vocabulary.encode(text) == oracle.encode(text).ids
        assert vocabulary.decode(vocabulary.encode(text)) == text
    assert vocabulary.encode("Hello world") == [15496, 995]
    assert (vocabulary.end, vocabulary.tokenizer.pad_token_id, len(vocabulary)) == (50256, 50257, 50258)


# ------------------------------------------------------------------------------------------------- prompts and answers


def test_9_an_answer_ends_with_the_end_token() -> None:
    vocabulary = words()
    assert vocabulary.completion("the cat", "a dog") == [*vocabulary.encode("the cat"), vocabulary.end]
    assert vocabulary.completion(ANSWER, HELLO)[-1] == vocabulary.end
    assert vocabulary.completion(ANSWER, HELLO).count(vocabulary.end) == 1


def test_10_a_chat_prompt_is_a_prefix_of_prompt_and_answer() -> None:
    vocabulary = words()
    prompt, answer = vocabulary.prompt(HELLO), vocabulary.completion(ANSWER, HELLO)
    text = vocabulary.tokenizer.decode([*prompt, *answer])
    whole = vocabulary.tokenizer.apply_chat_template([*HELLO, *ANSWER], tokenize=False)
    assert text == "<|user|>hello\n<|assistant|>the cat!<|end|>" == whole.rstrip("\n")
    # a plain answer to messages is one more message
    assert vocabulary.completion("the cat!", HELLO) == answer
    # the next turn has both as its beginning
    assert vocabulary.tokenizer.decode(vocabulary.prompt([*HELLO, *ANSWER, *HELLO])).startswith(text)


def test_messages_to_a_plain_prompt_are_their_text() -> None:
    vocabulary = words()
    assert vocabulary.completion(ANSWER, "hello") == vocabulary.completion("the cat!", "hello")


def test_10_one_beginning_token() -> None:
    vocabulary = beginning()
    assert vocabulary.tokenizer("a")["input_ids"][0] == 0
    assert vocabulary.prompt("the cat") == [0, *words().encode("the cat")]
    assert vocabulary.prompt("<|end|>the cat") == [
        0,
        *words().encode("the cat"),
    ]  # a prompt that was rendered before
    assert vocabulary.prompt("") == [0]
    assert vocabulary.completion("the cat", "a")[0] != 0
    assert words().prompt("the cat") == words().encode("the cat")  # a tokenizer that begins nothing
    vocabulary.tokenizer.chat_template = "{{ bos_token }}" + vocabulary.tokenizer.chat_template
    assert vocabulary.prompt(HELLO).count(0) == 1 and vocabulary.prompt(HELLO)[0] == 0
    both = [*vocabulary.prompt(HELLO), *vocabulary.completion(ANSWER, HELLO)]
    assert both.count(0) == 2 and both[0] == both[-1] == 0  # the end token is the same one here


def test_stops() -> None:
    vocabulary = words()
    (newline,) = vocabulary.encode("\n")
    assert vocabulary.stops() == {vocabulary.end}
    assert vocabulary.stops(["\n", PAD]) == {vocabulary.end, newline, 1}
    with pytest.raises(PlauditError, match="stop: 'zebra' is 5 tokens of words"):
        vocabulary.stops(["zebra"])


# ----------------------------------------------------------------------------------------------------------- bad input


def test_a_vocabulary_that_is_too_small() -> None:
    with pytest.raises(PlauditError, match="vocabulary: 257 is too small"):
        train_bpe(TEXT, 257)


def test_no_end_token() -> None:
    with pytest.raises(PlauditError, match="mine: its tokenizer has no end token"):
        made(eos_token=None)


def test_no_gpt2_files(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="no byte-level BPE in vocab.json and merges.txt"):
        read_gpt2(tmp_path)
    (tmp_path / "vocab.json").write_text("[]")
    (tmp_path / "merges.txt").write_text("")
    with pytest.raises(PlauditError, match="no byte-level BPE"):
        read_gpt2(tmp_path)


def test_messages_without_a_template() -> None:
    with pytest.raises(PlauditError, match="no chat template, which messages need"):
        made(chat_template=None).prompt(HELLO)


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (
            "{{ raise_exception('System role not supported') }}",
            "System role not supported",
        ),  # as Gemma's does
        ("{% for m in messages %}{{ m.content ", "unexpected end of template"),
        ("{{ messages[0]['content'] + 5 }}", "can only concatenate str"),
    ],
)
def test_a_template_that_does_not_take_the_messages(template: str, why: str) -> None:
    with pytest.raises(PlauditError, match=rf"^mine: its chat template does not take these messages \({why}"):
        made(chat_template=template).prompt(HELLO)


def test_a_template_that_changes_the_prompt() -> None:
    vocabulary = made(
        chat_template="{% if messages|length == 1 %}{{ 'first' }}{% else %}{{ 'later' }}{% endif %}"
    )
    with pytest.raises(PlauditError, match="the prompt is no prefix of the dialogue"):
        vocabulary.completion(ANSWER, HELLO)
