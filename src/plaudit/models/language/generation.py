"""Sampling answers: a decoding loop of our own over the models' cache interface.

Prompts of like length go together, left-padded with positions that count real tokens only; finished rows leave the
batch, so that they cost nothing; keys and values lie in buffers of the final size. The random number of row i at
step t is fixed before the first step: what a row says depends neither on its neighbours nor on their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from plaudit.errors import PlauditError
from plaudit.models.language import logprobs
from plaudit.models.language.interfaces import Trunk
from plaudit.models.language.loading import context_of
from plaudit.models.language.logprobs import Head, Shaping, shaped
from plaudit.models.language.tokens import padded

CROWDED = 0.85
"""Rows leave the batch once at most this share of it is still speaking: moving the cache costs time too."""


@dataclass(frozen=True)
class Sampling:
    """How answers are drawn."""

    max_new_tokens: int = 48
    """The length cap of an answer."""
    shaping: Shaping = Shaping()
    """Temperature and nucleus."""
    greedy: bool = False
    """Always the likeliest token."""
    rows: int = 64
    """Answers drawn at once."""

    def __post_init__(self) -> None:
        """Raise PlauditError where no answer could be drawn."""
        for name in ("max_new_tokens", "rows"):
            if getattr(self, name) < 1:
                raise PlauditError(f"{name}: {getattr(self, name)} is too little; give 1 or more")


def positions(attended: Bool[Tensor, "B L"]) -> Int[Tensor, "B L"]:
    """The place of every real token among the real ones of its row: an exclusive sum over the mask."""
    return (attended.long().cumsum(dim=1) - 1).clamp(min=0)


def generate(
    trunk: Trunk,
    head: Head,
    prompts: Sequence[Sequence[int]],
    stops: frozenset[int],
    sampling: Sampling,
    generator: torch.Generator,
) -> list[tuple[int, ...]]:
    """An answer to every prompt, in their order: up to and with the first stop token, or as long as the cap.

    `trunk` is a transformers model without its head. Raises PlauditError where a prompt is empty or leaves too
    little room.
    """
    noise = torch.rand(len(prompts), sampling.max_new_tokens, generator=generator)
    return answered(trunk, head, prompts, stops, sampling, noise)


@torch.no_grad()
def answered(
    trunk: Trunk,
    head: Head,
    prompts: Sequence[Sequence[int]],
    stops: frozenset[int],
    sampling: Sampling,
    noise: Float[Tensor, "N T"],
) -> list[tuple[int, ...]]:
    """`generate` with the uniform number of every row and step given."""
    _refuse_unanswerable(prompts, sampling, context_of(trunk))
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    answers: list[tuple[int, ...]] = [()] * len(prompts)
    for first in range(0, len(order), sampling.rows):
        rows = order[first : first + sampling.rows]
        said = _batch(trunk, head, [prompts[i] for i in rows], stops, sampling, noise[rows])
        for i, answer in zip(rows, said, strict=True):
            answers[i] = answer
    return answers


def draw(logits: Float[Tensor, "N V"], noise: Float[Tensor, "N"], sampling: Sampling) -> Int[Tensor, "N"]:
    """A token of each row by the inverse of its distribution function at the given uniform numbers."""
    if sampling.greedy:
        return logits.argmax(dim=-1)
    mass = shaped(logits, sampling.shaping).softmax(dim=-1).double().cumsum(dim=-1)
    # right: the first token whose mass lies above the number, so one of probability 0 is never drawn
    token = torch.searchsorted(mass, noise.double()[:, None] * mass[:, -1:], right=True)
    return token.squeeze(1).clamp(max=logits.shape[-1] - 1)


def _refuse_unanswerable(prompts: Sequence[Sequence[int]], sampling: Sampling, context: int | None) -> None:
    for number, prompt in enumerate(prompts, 1):
        if not prompt:
            raise PlauditError(
                f"prompt {number} is empty: a model goes on from at least one token; give it some text"
            )
        if context is not None and len(prompt) + sampling.max_new_tokens > context:
            room = context - sampling.max_new_tokens
            instead = f"leave out prompts of more than {room} tokens or " if room > 0 else ""
            raise PlauditError(
                f"prompt {number} has {len(prompt)} tokens and its answer may take max_new_tokens = "
                f"{sampling.max_new_tokens}, but the model reads at most {context} together; {instead}lower "
                "max_new_tokens"
            )


def _batch(
    trunk: Trunk,
    head: Head,
    prompts: Sequence[Sequence[int]],
    stops: frozenset[int],
    sampling: Sampling,
    noise: Tensor,
) -> list[tuple[int, ...]]:
    head, device = head.ready(), head.weight.device
    ids, attended = left_padded(prompts, device)
    width, most = ids.shape[1], sampling.max_new_tokens
    attended = torch.nn.functional.pad(attended, (0, most), value=True)
    place = positions(attended)
    cache = new_cache(trunk, width + most)
    noise, endings = noise.to(device), torch.tensor(sorted(stops), device=device)
    said = torch.zeros(len(prompts), most, dtype=torch.long, device=device)
    lengths = torch.full((len(prompts),), most, device=device)
    rows = torch.arange(len(prompts), device=device)  # which answer each row of the batch is
    speaking = torch.ones(len(prompts), dtype=torch.bool, device=device)
    step_ids, columns = ids, slice(0, width)
    for step in range(most):
        hidden = ahead(trunk, step_ids, attended[rows, : columns.stop], place[rows, columns], cache)
        token = draw(head.logits(hidden[:, -1]), noise[rows, step], sampling)
        said[rows[speaking], step] = token[speaking]
        ended = speaking & torch.isin(token, endings)
        lengths[rows[ended]] = step + 1
        speaking = speaking & ~ended
        alive = int(speaking.sum())
        if alive == 0:
            break
        if alive <= CROWDED * len(rows):
            kept = speaking.nonzero().squeeze(1)
            cache.batch_select_indices(kept)
            rows, token, speaking = rows[kept], token[kept], speaking[kept]
        step_ids, columns = token[:, None], slice(width + step, width + step + 1)
    return [tuple(row[:length]) for row, length in zip(said.tolist(), lengths.tolist(), strict=True)]


def left_padded(
    prompts: Sequence[Sequence[int]], device: torch.device | str
) -> tuple[Int[Tensor, "B P"], Bool[Tensor, "B P"]]:
    """Token ids that all end in the last column, and which columns hold them."""
    ids, lengths = padded(prompts, left=True)
    width = ids.shape[1]
    return ids.to(device), (torch.arange(width) >= width - lengths[:, None]).to(device)


def ahead(
    trunk: Trunk,
    ids: Int[Tensor, "B L"],
    attended: Bool[Tensor, "B P"],
    place: Int[Tensor, "B L"],
    cache: Cache,
) -> Float[Tensor, "B L H"]:
    """The hidden states of further tokens. `attended`: which of the P columns up to now are real."""
    return trunk(
        input_ids=ids,
        attention_mask=attended.long(),  # also where all are real: without, transformers looks for padding itself
        position_ids=place,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state


def new_cache(trunk: Trunk, capacity: int) -> Cache:
    """Buffers of the final size where every layer attends to everything; else what transformers makes."""
    usual = DynamicCache(config=trunk.config)
    if all(type(layer) is DynamicLayer for layer in usual.layers) and usual.layers:
        return Cache(layers=[_Preallocated(capacity, trunk.config) for _ in usual.layers])
    return usual


class _Preallocated(DynamicLayer):
    """Keys and values of a layer in buffers of the final size: appending copies one column, not all of them."""

    def __init__(self, capacity: int, config: PreTrainedConfig):
        super().__init__()
        self.capacity, self.config, self.filled = capacity, config, 0

    def update(
        self, key_states: Tensor, value_states: Tensor, *_: object, **__: object
    ) -> tuple[Tensor, Tensor]:
        """Append columns; returns all that are filled."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.key_buffer, self.value_buffer = map(self._room, (key_states, value_states))
        start, self.filled = self.filled, self.filled + key_states.shape[-2]
        self.key_buffer[:, :, start : self.filled] = key_states
        self.value_buffer[:, :, start : self.filled] = value_states
        self.keys, self.values = (
            buffer[:, :, : self.filled] for buffer in (self.key_buffer, self.value_buffer)
        )
        return self.keys, self.values

    def _room(self, states: Tensor) -> Tensor:
        shape = (*states.shape[:2], self.capacity, states.shape[-1])
        return states.new_empty(shape, dtype=logprobs.kept_as(self.config, states))

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep these rows."""
        if not self.is_initialized:
            return
        self.key_buffer, self.value_buffer = self.key_buffer[indices], self.value_buffer[indices]
