"""Tokenizers: trained small on given text, or read from a folder; what a text is in tokens."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from plaudit.errors import PlauditError

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""How the first bytes of a character look."""
END, PAD = "<|end|>", "<|pad|>"

CHAT = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""The chat template of tokenizers made here: one line a turn, the end of an answer is the end token."""


def train_bpe(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE (Sennrich et al. 2016, arXiv:1508.07909) of at most `vocabulary` entries, two special ones
    among them; every text can be encoded and decoded without loss."""
    if vocabulary < 258:
        raise PlauditError(
            f"vocabulary: {vocabulary} is too small; 256 bytes and two special tokens need at least 258"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _wrapped(tokenizer, END, PAD)


def read_gpt2(folder: Path) -> PreTrainedTokenizerFast:
    """The GPT-2 vocabulary from its two files, vocab.json and merges.txt, with a padding token added."""
    try:
        model = models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt"))
    except Exception as error:  # the library raises a bare Exception
        raise PlauditError(
            f"{folder}: no byte-level BPE in vocab.json and merges.txt ({' '.join(str(error).split())})"
        ) from None
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    return _wrapped(tokenizer, "<|endoftext|>", PAD)


def _wrapped(tokenizer: Tokenizer, end: str, pad: str) -> PreTrainedTokenizerFast:
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)  # type: ignore[assignment]
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=end, pad_token=pad, clean_up_tokenization_spaces=False
    )
    made.chat_template = CHAT
    return made


class Vocabulary:
    """What the rest of plaudit asks of a tokenizer."""

    def __init__(self, tokenizer: Any, name: str, ends: Collection[int] = ()):
        self.tokenizer, self.name, self.ends = tokenizer, name, frozenset(ends)
        if tokenizer.eos_token_id is None:
            raise PlauditError(
                f"{name}: its tokenizer has no end token, so no answer could end; set eos_token in "
                "tokenizer_config.json"
            )
        self.end: int = tokenizer.eos_token_id

    def __len__(self) -> int:
        """Entries, added ones included."""
        return len(self.tokenizer)

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without any special token around it."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return self._text(ids, skip_special_tokens=True)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The text of each token, so that together they are the whole text, special tokens included.

        A character whose bytes lie in several tokens belongs to the last of them.
        """
        found, shown = [], 0
        for n in range(1, len(ids) + 1):
            text = self._text(ids[:n])
            whole = n == len(ids) or not text.endswith(UNFINISHED)
            found.append(text[shown:] if whole else "")
            shown = len(text) if whole else shown
        return found

    def stops(self, extra: Sequence[str] = ()) -> frozenset[int]:
        """The tokens that end an answer: the end token, those the model was saved with (as that of a turn), and
        the given texts, each of which must be one token."""
        found = {self.end, *self.ends}
        for text in extra:
            ids = self.encode(text)
            if len(ids) != 1:
                raise PlauditError(
                    f"stop: {text!r} is {len(ids)} tokens of {self.name}; give texts that are one token each"
                )
            found.add(ids[0])
        return frozenset(found)

    def prompt(self, text: "str | Sequence[dict[str, str]]") -> list[int]:
        """Token ids of a prompt, ready for the answer: a plain text, or messages through the chat template.

        One beginning token stands before it where this tokenizer puts one before texts, or its template does.
        """
        if not isinstance(text, str):
            return self.encode(self._render(list(text), add_generation_prompt=True))
        ids, begin = self.encode(text), self.tokenizer.bos_token_id
        if begin is None or begin in ids[:1] or begin not in self.tokenizer("a")["input_ids"][:1]:
            return ids
        return [begin, *ids]

    def completion(
        self, text: "str | Sequence[dict[str, str]]", prompt: "str | Sequence[dict[str, str]]"
    ) -> list[int]:
        """Token ids of an answer to a prompt, the end token included: to a plain prompt the text, to messages what
        the chat template makes of it. `prompt(...)` followed by it is the whole."""
        if isinstance(prompt, str):
            said = text if isinstance(text, str) else "".join(message["content"] for message in text)
            return [*self.encode(said), self.end]
        said = [{"role": "assistant", "content": text}] if isinstance(text, str) else text
        before = self._render(list(prompt), add_generation_prompt=True)
        both = self._render([*prompt, *said], add_generation_prompt=False)
        if not both.startswith(before):
            raise PlauditError(
                f"{self.name}: the chat template changes a prompt once it is answered, so the prompt is no prefix of "
                "the dialogue; use another template"
            )
        rest = both[len(before) :]
        at = rest.rfind(self.tokenizer.eos_token)
        return [*self.encode(rest[:at] if at >= 0 else rest.rstrip("\n")), self.end]

    def _text(self, ids: Sequence[int], skip_special_tokens: bool = False) -> str:
        return self.tokenizer.decode(
            list(ids), skip_special_tokens=skip_special_tokens, clean_up_tokenization_spaces=False
        )

    def _render(self, messages: list[dict[str, str]], add_generation_prompt: bool) -> str:
        if getattr(self.tokenizer, "chat_template", None) is None:
            raise PlauditError(
                f"{self.name}: its tokenizer has no chat template, which messages need; give plain prompts or set one"
            )
        try:
            return self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=add_generation_prompt
            )
        except Exception as error:  # a template is a program of somebody else's
            raise PlauditError(
                f"{self.name}: its chat template does not take these messages "
                f"({' '.join(str(error).split())[:200]}); change their roles, or set another template"
            ) from None
