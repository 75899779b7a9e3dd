"""Distributions over actions: log-probability, entropy, sampling with a generator, and the mode."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import e, log, pi
from typing import NoReturn, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid


@runtime_checkable
class Distribution(Protocol):
    """Over actions, one for each state of a batch."""

    def scores(self, actions: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of the actions and entropy in nats, differentiable."""
        ...

    def sample(self, generator: torch.Generator) -> Tensor:
        """An action for each state."""
        ...

    def mode(self) -> Tensor:
        """The likeliest action of each state."""
        ...

    def among(self, legal: Tensor) -> "Distribution":
        """The same distribution, given that the action is legal."""
        ...


@dataclass(frozen=True)
class Categorical:
    """A distribution over A discrete actions; a logit of -inf is an action that cannot be."""

    logits: Float[Tensor, "*S A"]
    masked: bool = False
    """Some logits may be -inf."""

    def scores(self, actions: Int[Tensor, "*S"]) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S"]]:
        """Log-probability of the actions and entropy in nats."""
        logp = self.logits.log_softmax(dim=-1)
        # 0 log 0 is 0, with a gradient of 0
        known = logp.masked_fill(logp.isneginf(), 0.0) if self.masked else logp
        return logp.gather(-1, actions.unsqueeze(-1)).squeeze(-1), -(logp.exp() * known).sum(dim=-1)

    def sample(self, generator: torch.Generator) -> Int[Tensor, "*S"]:
        """Inverse of the cumulative distribution at a uniform number: several times faster than multinomial."""
        cumulative = self.logits.softmax(dim=-1).cumsum(dim=-1)
        uniform = torch.rand(cumulative.shape[:-1], generator=generator).unsqueeze(-1)
        if self.masked:  # the last possible action ends at 1 exactly, so that none behind it is drawn
            cumulative = cumulative / cumulative[..., -1:]
        return (uniform >= cumulative[..., :-1]).sum(dim=-1)

    def mode(self) -> Int[Tensor, "*S"]:
        """The likeliest action."""
        return self.logits.argmax(dim=-1)

    def among(self, legal: Bool[Tensor, "*S A"]) -> "Categorical":
        """The distribution given that the action is legal: nothing else has a probability, or a gradient."""
        return Categorical(self.logits.masked_fill(~legal, -torch.inf), masked=True)


@dataclass(frozen=True)
class MultiCategorical:
    """Independent choices, each among so many discrete actions; their logits lie side by side."""

    logits: Float[Tensor, "*S A"]
    choices: tuple[int, ...]
    masked: bool = False
    """Some logits may be -inf."""

    @property
    def parts(self) -> list[Categorical]:
        """The distribution of each choice."""
        return [Categorical(logits, self.masked) for logits in self.logits.split(self.choices, dim=-1)]

    def scores(self, actions: Int[Tensor, "*S K"]) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S"]]:
        """Log-probability of all choices together, and entropy in nats."""
        found = [part.scores(action) for part, action in zip(self.parts, actions.unbind(-1), strict=True)]
        logp, entropy = zip(*found, strict=True)
        return torch.stack(logp).sum(dim=0), torch.stack(entropy).sum(dim=0)

    def sample(self, generator: torch.Generator) -> Int[Tensor, "*S K"]:
        """Every choice by itself."""
        return torch.stack([part.sample(generator) for part in self.parts], dim=-1)

    def mode(self) -> Int[Tensor, "*S K"]:
        """The likeliest of every choice."""
        return torch.stack([part.mode() for part in self.parts], dim=-1)

    def among(self, legal: Bool[Tensor, "*S A"]) -> "MultiCategorical":
        """The distribution given that every choice is legal."""
        return MultiCategorical(self.logits.masked_fill(~legal, -torch.inf), self.choices, masked=True)


@dataclass(frozen=True)
class Bernoulli:
    """Independent switches, each on (1) with the probability that is the sigmoid of its logit."""

    logits: Float[Tensor, "*S A"]

    def scores(self, actions: Int[Tensor, "*S A"]) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S"]]:
        """Log-probability of all switches together, and entropy in nats."""
        on, off = logsigmoid(self.logits), logsigmoid(-self.logits)
        logp = torch.where(actions.bool(), on, off).sum(dim=-1)
        return logp, -(on.exp() * on + off.exp() * off).sum(dim=-1)

    def sample(self, generator: torch.Generator) -> Int[Tensor, "*S A"]:
        """Every switch by itself."""
        return (torch.rand(self.logits.shape, generator=generator) < self.logits.sigmoid()).long()

    def mode(self) -> Int[Tensor, "*S A"]:
        """On where that is likelier."""
        return (self.logits > 0).long()

    def among(self, legal: Tensor) -> NoReturn:
        """Never asked: Gymnasium has masks for choices alone."""
        raise NotImplementedError("switches have no mask")


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions per action dimension; log-probabilities are summed over them."""

    mean: Float[Tensor, "*S A"]
    log_std: Float[Tensor, "A"]

    def scores(self, actions: Float[Tensor, "*S A"]) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S"]]:
        """Log-density of the actions as drawn (before any clipping) and entropy in nats."""
        z = (actions - self.mean) * torch.exp(-self.log_std)
        normaliser = self.log_std.sum() + 0.5 * log(2 * pi) * self.log_std.shape[0]
        logp = -0.5 * (z * z).sum(dim=-1) - normaliser
        entropy = self.log_std.sum() + 0.5 * log(2 * pi * e) * self.log_std.shape[0]
        return logp, entropy.expand(logp.shape)

    def sample(self, generator: torch.Generator) -> Float[Tensor, "*S A"]:
        """mean + std * standard normal noise."""
        return self.mean + self.log_std.exp() * torch.randn(self.mean.shape, generator=generator)

    def mode(self) -> Float[Tensor, "*S A"]:
        """The mean."""
        return self.mean

    def among(self, legal: Tensor) -> NoReturn:
        """Never asked: Gymnasium has masks for choices alone."""
        raise NotImplementedError("continuous actions have no mask")


FLOOR = 1e-6
"""Added to the variance of state-dependent noise, which may vanish where all features do."""


@dataclass(frozen=True)
class StateDependentGaussian:
    """mean + features @ W with W ~ N(0, std^2): normal, with a variance of its own in every state.

    Raffin et al. 2021, arXiv:2005.05719, section 3.
    """

    mean: Float[Tensor, "*S A"]
    features: Float[Tensor, "*S F"]
    log_std: Float[Tensor, "F A"]

    @property
    def variance(self) -> Float[Tensor, "*S A"]:
        """Of the action, over the weights of the noise."""
        return self.features.square() @ (2 * self.log_std).exp() + FLOOR

    def scores(self, actions: Float[Tensor, "*S A"]) -> tuple[Float[Tensor, "*S"], Float[Tensor, "*S"]]:
        """Log-density of the actions, whatever weights were drawn, and entropy in nats."""
        variance = self.variance
        spread = variance.log() + log(2 * pi)
        logp = -0.5 * ((actions - self.mean).square() / variance + spread).sum(dim=-1)
        return logp, 0.5 * (spread + 1).sum(dim=-1)

    def sample(self, generator: torch.Generator) -> Float[Tensor, "*S A"]:
        """With weights drawn anew for every state."""
        return self.perturbed(weights(self.log_std, self.mean.shape[:-1], generator))

    def perturbed(self, weights: Float[Tensor, "*S F A"]) -> Float[Tensor, "*S A"]:
        """With weights that were drawn before."""
        return self.mean + (self.features.unsqueeze(-2) @ weights).squeeze(-2)

    def mode(self) -> Float[Tensor, "*S A"]:
        """The mean."""
        return self.mean

    def among(self, legal: Tensor) -> NoReturn:
        """Never asked: Gymnasium has masks for choices alone."""
        raise NotImplementedError("continuous actions have no mask")


def weights(
    log_std: Float[Tensor, "F A"], rows: Sequence[int], generator: torch.Generator
) -> Float[Tensor, "*S F A"]:
    """Weights of state-dependent noise, independent for every row."""
    return log_std.exp() * torch.randn(*rows, *log_std.shape, generator=generator)
