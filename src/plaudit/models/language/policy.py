"""A causal language model as a policy over tokens, with an optional critic."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from plaudit.batches import Episodes, Scores
from plaudit.batches.rows import take
from plaudit.errors import PlauditError
from plaudit.models.language import adapters, devices, logprobs, requirements
from plaudit.models.language.config import PolicyConfig
from plaudit.models.language.generation import Sampling, generate
from plaudit.models.language.interfaces import Trunk
from plaudit.models.language.loading import context_of
from plaudit.models.language.logprobs import Head, selected
from plaudit.models.language.tokens import Tokens, alike, refuse_longer

SLOW = (
    "dtype: this processor has no instructions for bfloat16, so it takes many times as long as float32; set float32, "
    "or use a GPU"
)


class LanguagePolicy(nn.Module):
    """log pi and V of tokens; the critic starts at 0 everywhere. Dropout is never on.

    Every forward pass takes rows from column 0 without padding before or inside them, so that neither the batch
    nor its padding can change a score (a causal model does not look to the right).
    """

    memoryless = False

    def __init__(self, lm: PreTrainedModel, config: PolicyConfig, generator: torch.Generator):
        super().__init__()
        if config.dtype != "float32":
            if not devices.multiplies_in_half(lm.device):
                warnings.warn(SLOW, stacklevel=2)
            logprobs.install(lm)
        requirements.check(lm.eval())
        requirements.without_dropout(lm)
        self.config, self.lm = config, lm
        self.adapted = None if config.lora is None else adapters.adapt(lm, config.lora, generator)
        width = lm.config.get_text_config().hidden_size
        if config.critic != "none":
            with devices.kept():
                self.value = nn.Linear(width, 1).to(self.device)
            nn.init.zeros_(self.value.weight)
            nn.init.zeros_(self.value.bias)
        if config.critic == "separate":
            self.critic = deepcopy(_trunk(lm) if self.adapted is None else adapters.bare(lm, self.adapted))
            self.critic.requires_grad_(True)
        if config.gradient_checkpointing:
            devices.turn_on(self, filter(None, (lm, getattr(self, "critic", None))))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.lm.parameters()).device

    @property
    def head(self) -> Head:
        """The last layer of the language model."""
        last: Any = self.lm.get_output_embeddings()
        return Head(last.weight, getattr(last, "bias", None))

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        stops: frozenset[int],
        sampling: Sampling,
        generator: torch.Generator,
    ) -> list[tuple[int, ...]]:
        """An answer to every prompt; `sampling.shaping` is the policy's own."""
        sampling = replace(sampling, shaping=self.config.shaping)
        with _precision(self), devices.paused(self):
            return generate(_trunk(self.lm), self.head, prompts, stops, sampling, generator)

    def scores(self, record: Tokens, rows: "Tensor | slice | None" = None) -> Scores:
        """Log-probability, entropy and value of recorded decisions [B, T], differentiable; 0 where there is none."""
        return self._read(record if rows is None else take(record, rows), True)[0]

    def score(self, record: Tokens) -> tuple[Scores, Tensor | None]:
        """The scores, and the value after each decision: V(s_{t+1}) [B, T]; none without a critic."""
        scores, ends = self._read(record, True)
        return scores, _following(scores.values, ends, record)

    @torch.no_grad()
    def refresh(self, episodes: Episodes, record: Tokens) -> Episodes:
        """The same episodes with the values of the critic as it is now; without a critic, unchanged."""
        if self.config.critic == "none":
            return episodes
        scores, ends = self._read(record, False)
        return replace(episodes, values=scores.values, next_values=_following(scores.values, ends, record))

    def reference(self) -> "WithoutAdapters":
        """The model before it was adapted, at no cost in memory."""
        if self.adapted is None:
            raise PlauditError("reference: without adapters the base is not kept; give the folder of a model")
        return WithoutAdapters(self)

    def population(self, vectors: Float[Tensor, "M D"]) -> "Population":
        """As many policies of this shape, each with trained parameters of its own."""
        return Population(self, vectors)

    def trainable(self) -> dict[str, Tensor]:
        """What learning changes, by name; shared tensors once."""
        return {name: p.detach() for name, p in self.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `trainable` gave."""
        mine = self.trainable()
        if set(mine) != set(tensors):
            raise PlauditError(
                "the checkpoint holds other weights than this model has; put the config back as it was"
            )
        for name, tensor in tensors.items():
            mine[name].copy_(tensor)

    def _read(self, record: Tokens, logp: bool) -> tuple[Scores, Tensor | None]:
        """Scores, and the value after the last token of each row [B]. Rows of like length are read together.

        The last token is read even where no value after it is asked for: products of other sizes are rounded
        differently, and the policy would not be at distance 0 from itself.
        """
        refuse_longer(record.lengths, context_of(self.lm))
        shape, found = record.decisions.shape, []
        for rows in alike(record.lengths, self.config.rows):
            part = take(record, rows)
            b, t = torch.nonzero(part.mask, as_tuple=True)
            columns = part.decisions[b, t]
            before = b, columns - 1
            ids = part.ids[:, : int(part.lengths.max())]
            said = values = ends = None
            with _precision(self):
                hidden = _hidden(_trunk(self.lm), ids) if logp or self.config.critic == "shared" else None
                states = hidden if self.config.critic == "shared" else None
                if self.config.critic == "separate":
                    states = _hidden(self.critic, ids)
                asked = None if hidden is None else hidden[before]
                if logp and asked is not None:
                    said = selected(self.head, asked, part.ids[b, columns], self.config.shaping)
            if states is not None:
                values = self._value(asked if states is hidden and asked is not None else states[before])
                ends = self._value(states[torch.arange(len(rows)), part.lengths - 1])
            found.append((rows, rows[b], t, said, values, ends))
        return _assembled(found, shape, self.device)

    def _value(self, states: Float[Tensor, "N H"]) -> Float[Tensor, "N"]:
        with torch.autocast(self.device.type, enabled=False):
            return self.value(states.float()).squeeze(-1)


def _precision(policy: LanguagePolicy) -> AbstractContextManager[Any]:
    if policy.config.dtype == "float32":
        return nullcontext()
    return torch.autocast(policy.device.type, dtype=torch.bfloat16)


def as_it_was(lm: PreTrainedModel, config: PolicyConfig) -> LanguagePolicy:
    """A policy that never learns."""
    form = replace(config, critic="none", lora=None, gradient_checkpointing=False)
    return LanguagePolicy(lm, form, torch.Generator()).requires_grad_(False)


class Population:
    """Policies of one shape that complete prompts one after another, the prompts shared out evenly.

    Afterwards the policy has the parameters of the last one.
    """

    def __init__(self, policy: LanguagePolicy, vectors: Float[Tensor, "M D"]):
        self.policy, self.vectors = policy, vectors

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.policy.device

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        stops: frozenset[int],
        sampling: Sampling,
        generator: torch.Generator,
    ) -> list[tuple[int, ...]]:
        """A completion of every prompt, by whoever it belongs to."""
        share = len(prompts) // len(self.vectors)
        said: list[tuple[int, ...]] = []
        for number, vector in enumerate(self.vectors):
            self._become(vector)
            own = prompts[number * share : (number + 1) * share]
            said += self.policy.generate(own, stops, sampling, generator)
        return said

    @torch.no_grad()
    def _become(self, vector: Float[Tensor, "D"]) -> None:
        start = 0
        for p in self.policy.parameters():
            if p.requires_grad:
                p.copy_(vector[start : start + p.numel()].view_as(p))
                start += p.numel()


class WithoutAdapters:
    """The base of an adapted policy as its own reference."""

    def __init__(self, policy: LanguagePolicy):
        self.policy = policy

    @torch.no_grad()
    def scores(self, record: Tokens) -> Scores:
        """Log-probability and entropy with the adapters off."""
        with adapters.off(self.policy.adapted):
            return replace(self.policy.scores(record), values=None)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.policy.device

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        stops: frozenset[int],
        sampling: Sampling,
        generator: torch.Generator,
    ) -> list[tuple[int, ...]]:
        """An answer to every prompt with the adapters off."""
        with adapters.off(self.policy.adapted):
            return self.policy.generate(prompts, stops, sampling, generator)


def _trunk(lm: PreTrainedModel) -> Any:
    """The model without its last layer."""
    return lm.base_model


def _hidden(trunk: Trunk, ids: Int[Tensor, "B L"]) -> Float[Tensor, "B L H"]:
    # what is padded lies at the right, where no real token looks; without a mask transformers warns of it
    return trunk(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).last_hidden_state


def _assembled(found: list[Any], shape: torch.Size, device: torch.device) -> tuple[Scores, Tensor | None]:
    """[B, T] tensors from the decisions of all pieces."""
    rows, b, t, said, values, ends = zip(*found, strict=True)
    where = torch.cat(b), torch.cat(t)

    def placed(parts: Sequence[Tensor | None]) -> Tensor | None:
        if any(part is None for part in parts):
            return None
        together = torch.cat([part for part in parts if part is not None])
        return together.new_zeros(shape).index_put(where, together)

    logp, entropy = (placed([None if pair is None else pair[i] for pair in said]) for i in range(2))
    nothing = torch.zeros(shape, device=device)
    after = None
    if ends[0] is not None:
        after = torch.cat(ends)[torch.cat(rows).argsort()]
    return Scores(
        nothing if logp is None else logp, nothing if entropy is None else entropy, placed(values)
    ), after


def _following(values: Tensor | None, ends: Tensor | None, record: Tokens) -> Tensor | None:
    """V after each decision: that of the next decision, and after the last one that of the whole row."""
    if values is None or ends is None:
        return None
    mask = record.mask
    following = torch.cat([values[:, 1:], values[:, :1]], dim=1)
    after = mask.flip(1).cumsum(dim=1).flip(1)
    return torch.where(after == 1, ends[:, None], following) * mask
