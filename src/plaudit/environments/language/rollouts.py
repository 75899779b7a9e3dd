"""Collect behaviour of a language model: answer prompts, then turn the answers into episodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from plaudit.batches import Episodes, Rewards, Rollout
from plaudit.declared import Count
from plaudit.environments.language.config import Bootstrap, Cap, Penalty, Score
from plaudit.environments.language.prompts import Answers, Prompt, PromptQueue
from plaudit.errors import Diverged, PlauditError
from plaudit.maths import kl, masked
from plaudit.models.language import tokens
from plaudit.models.language.generation import Sampling
from plaudit.models.language.policy import LanguagePolicy, WithoutAdapters
from plaudit.models.language.tokens import Tokens
from plaudit.models.language.vocabulary import Vocabulary


@dataclass(frozen=True)
class Completions:
    """What was said, before anything is paid for it."""

    record: Tokens
    answers: Answers
    ended: Bool[Tensor, "B"]
    """The answer ends with a stop token; otherwise the length cap cut it."""
    group: Int[Tensor, "B"]
    """Rows with the same prompt have the same number."""

    @property
    def mask(self) -> Bool[Tensor, "B T"]:
        """Where there is a decision."""
        return self.record.mask


@dataclass(frozen=True)
class GenerationConfig:
    """How answers are asked for."""

    vocabulary: Vocabulary
    stops: frozenset[int]
    """Tokens that end an answer."""
    sampling: Sampling = Sampling()
    cap: Cap = Score()
    """What the length cap means."""
    num_generations: Count = 1
    """Completions of each prompt."""

    def __post_init__(self) -> None:
        """Raise PlauditError where nothing would be answered."""
        if self.num_generations < 1:
            raise PlauditError(
                f"num_generations: {self.num_generations} completions of a prompt are too few; give 1 or more"
            )


@runtime_checkable
class TextGenerator(Protocol):
    """What completes prompts: a policy, several of them, or one without its adapters."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        ...

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        stops: frozenset[int],
        sampling: Sampling,
        generator: torch.Generator,
    ) -> list[tuple[int, ...]]:
        """A completion of every prompt."""
        ...


class LanguageRollouts:
    """Prompts that are answered, a batch at a time; the budget is counted in batches. Of a population every one of its
    `members` answers the same prompts as the others."""

    size = 1
    """What a rollout takes of the budget: an answer cannot be cut without changing what it means."""

    def __init__(
        self,
        prompts: PromptQueue,
        generation: GenerationConfig,
        batch: int,
        generator: torch.Generator,
        members: int = 1,
    ):
        if batch < 1:
            raise PlauditError(f"batch: {batch} completions are too few; give 1 or more")
        self.prompts, self.generation, self.batch, self.generator = prompts, generation, batch, generator
        self.members = members

    def cost(self, behaviour: Completions) -> int:
        """One of the budget, however long the completions."""
        return 1

    def collect(self, policy: TextGenerator, limit: int | None = None) -> Completions:
        """`batch` completions of the next prompts."""
        count = self.generation.num_generations
        places = self.prompts.take(-(-self.batch // (count * self.members)))
        rows = places.repeat_interleave(count).repeat(self.members)[: self.batch]
        asked = [self.prompts.prompts[i] for i in rows.tolist()]
        return generate(policy, asked, self.generation, self.generator)

    def episodes(
        self,
        behaviour: Completions,
        policy: LanguagePolicy,
        reference: LanguagePolicy | WithoutAdapters | None,
        rewards: Rewards,
    ) -> Rollout:
        """What the formulas see of them; see `episodes_of`."""
        return episodes_of(behaviour, policy, reference, rewards, self.generation.cap)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on exactly here."""
        return {"prompts": self.prompts.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self.prompts.load_state_dict(state["prompts"])
        self.generator.set_state(state["generator"])


@torch.no_grad()
def episodes_of(
    said: Completions,
    policy: LanguagePolicy,
    reference: LanguagePolicy | WithoutAdapters | None,
    rewards: Rewards,
    cap: Cap,
) -> Rollout:
    """Episodes of what was said: log-probabilities by the trainer's forward pass, values, rewards.

    PlauditError where the policy has diverged or the rewards do not fit the completions.
    """
    record, mask = said.record, said.mask
    scores, following = policy.score(record)
    ref_logp = None if reference is None else reference.scores(record).logp
    _refuse_divergence({"logp": scores.logp, "values": scores.values}, mask)
    if ref_logp is not None and not torch.isfinite(ref_logp[mask]).all():
        raise PlauditError(
            "reference: its log-probability of an answer is not finite; give the model that learning starts from"
        )
    paid = place(rewards, mask, said.ended, cap)
    last = mask & (mask.flip(1).cumsum(dim=1).flip(1) == 1)
    cut = isinstance(cap, Bootstrap) & ~said.ended.to(mask.device)
    episodes = Episodes(
        scores.logp, paid, last & ~cut[:, None], last, mask, scores.values, following, ref_logp, None,
        said.group.to(mask.device), 1.0,
    )  # fmt: skip
    metrics = _measured(said, rewards, episodes) | {
        "objective/entropy": float(masked.mean(scores.entropy, mask))
    }
    return Rollout(episodes, record, metrics)


def generate(
    policy: TextGenerator, asked: Sequence[Prompt], generation: GenerationConfig, generator: torch.Generator
) -> Completions:
    """One answer to each prompt, drawn from the policy."""
    prompts = [prompt.tokens for prompt in asked]
    said = policy.generate(prompts, generation.stops, generation.sampling, generator)
    ended = torch.tensor([answer[-1] in generation.stops for answer in said], dtype=torch.bool)
    numbers = {id(prompt): n for n, prompt in enumerate({id(p): p for p in asked}.values())}
    names = sorted({name for prompt in asked for name in prompt.columns})
    answers = Answers(
        prompts=tuple(prompt.text for prompt in asked),
        completions=tuple(
            generation.vocabulary.decode(answer[:-1] if stopped else answer)
            for answer, stopped in zip(said, ended.tolist(), strict=True)
        ),
        tokens=tuple(said),
        columns={name: [prompt.columns.get(name) for prompt in asked] for name in names},
        messages=tuple(p.messages for p in asked if p.messages is not None)
        if all(p.messages is not None for p in asked)
        else None,
    )
    record = tokens.answers(prompts, said, policy.device)
    group = torch.tensor([numbers[id(prompt)] for prompt in asked], dtype=torch.long)
    return Completions(record, answers, ended, group)


def place(
    rewards: Rewards, mask: Bool[Tensor, "B T"], ended: Bool[Tensor, "B"], cap: Cap
) -> Float[Tensor, "B T"]:
    """Rewards of decisions: a score once, at the last one; dense rewards where they belong; then the cap.

    0 outside the mask. PlauditError where there is not one finite number for each answer, or each decision.
    """
    lengths, device = mask.sum(dim=1), mask.device
    _refuse_misfits(rewards, mask)
    paid = torch.zeros(mask.shape, device=device)
    spoken = lengths.nonzero().squeeze(1)
    last = spoken, lengths[spoken] - 1
    if rewards.dense is None:
        paid[last] = rewards.scores.to(paid)[spoken]
    else:
        paid = torch.where(mask, rewards.dense.to(paid), 0.0)
    capped = ~ended.to(device)[spoken]
    if isinstance(cap, Penalty):
        paid[last] -= cap.amount * capped
    if isinstance(cap, Bootstrap):
        paid[last] *= ~capped
    return paid


def repetition(tokens: Sequence[int], n: int = 3) -> float:
    """Share of the n-grams of an answer that it has said before; 0 where it is shorter than n."""
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def _measured(behaviour: Completions, rewards: Rewards, episodes: Episodes) -> dict[str, float]:
    said = behaviour.answers.tokens
    metrics = {
        "objective/scores": float(rewards.scores.mean()),
        "objective/scores_std": float(rewards.scores.std()) if len(rewards.scores) > 1 else 0.0,
        "objective/reward": float(episodes.rewards.sum(dim=1).mean()),  # with what the cap did, without KL
        "rollout/answer_tokens": sum(map(len, said)) / len(said),
        "rollout/capped": float((~behaviour.ended).float().mean()),
        "rollout/repetition": sum(map(repetition, said)) / len(said),
    }
    if episodes.ref_logp is not None:
        per_token = torch.where(episodes.mask, kl.k1(episodes.logp, episodes.ref_logp), 0.0)
        metrics["objective/kl_per_answer"] = float(per_token.sum(dim=1).mean())  # k1, summed over an answer
    return metrics | rewards.metrics


def _refuse_divergence(found: dict[str, Tensor | None], mask: Bool[Tensor, "B T"]) -> None:
    """A NaN would pass for a choice or for `no estimate` further on."""
    for name, tensor in found.items():
        if tensor is not None and not torch.isfinite(tensor[mask]).all():
            raise Diverged(f"{name} is")


def _refuse_misfits(rewards: Rewards, mask: Bool[Tensor, "B T"]) -> None:
    """One score for fewer or more answers would be repeated, or lost, in silence."""
    if rewards.scores.shape != mask.shape[:1]:
        raise PlauditError(
            f"reward: scores of shape {list(rewards.scores.shape)}, wanted [{len(mask)}]; give one per answer"
        )
    if rewards.dense is not None and rewards.dense.shape != mask.shape:
        raise PlauditError("reward: its dense rows are not as long as the answers; give one number per token")
    paid = rewards.scores if rewards.dense is None else rewards.dense[mask.to(rewards.dense.device)]
    if not torch.isfinite(paid).all():
        raise PlauditError("reward: that of an answer is not finite; give finite numbers")
