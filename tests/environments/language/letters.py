"""A world of letters: a language model so small that the probability of every answer can be written down."""

from itertools import product
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from plaudit.models.language import loading
from plaudit.models.language.logprobs import Shaping
from plaudit.models.language.policy import LanguagePolicy, PolicyConfig
from plaudit.models.language.vocabulary import Vocabulary

END = "."


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vocabulary(count: int) -> Vocabulary:
    """Every character a token, 0 is `a`; the last of the `count` tokens is the end of an answer and the padding too."""
    letters = {chr(ord("a") + i): i for i in range(count - 1)} | {END: count - 1}
    tokenizer = Tokenizer(models.WordLevel(letters, unk_token=END))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")  # type: ignore[assignment]
    tokenizer.decoder = decoders.Fuse()  # type: ignore[assignment]
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, pad_token=END)
    wrapped.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    return Vocabulary(wrapped, "letters")


def model(count: int, seed: int, layers: int = 1) -> Any:
    """A GPT-2 over so many letters; its weights are larger than usual, so that it is far from indifferent."""
    sizes = loading.NewModel(layers=layers, width=16, heads=2, context=32)
    lm = loading.make(sizes, vocabulary(count), generator(seed))
    with torch.no_grad():
        for p in lm.parameters():
            if p.dim() > 1:
                p.mul_(6)
    return lm


def policy(lm: Any, critic: Any = "shared", shaping: Shaping | None = None) -> LanguagePolicy:
    """The model as a policy."""
    return LanguagePolicy(lm, PolicyConfig(critic, shaping or Shaping(), rows=512), generator(0))


@torch.no_grad()
def log_distribution(lm: Any, prompt: tuple[int, ...], length: int, temperature: float = 1.0) -> Tensor:
    """log p of each of `every_answer`, in double precision, by transformers' own logits."""
    ids = torch.tensor([[*prompt, *answer] for answer in every_answer(lm.config.vocab_size, length)])
    logits = lm(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, len(prompt) - 1 : -1]
    logp = (logits.double() / temperature).log_softmax(dim=-1)
    return logp.gather(2, ids[:, len(prompt) :, None]).squeeze(2).sum(dim=1)


def every_answer(count: int, length: int) -> list[tuple[int, ...]]:
    return list(product(range(count), repeat=length))
