"""Policy and critic for control: separate multilayer perceptrons, computed as one batched network."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from plaudit.batches import Episodes, Scores
from plaudit.batches.rows import take
from plaudit.declared import Count, Finite
from plaudit.errors import PlauditError
from plaudit.models.distributions import (
    Bernoulli,
    Categorical,
    Distribution,
    Gaussian,
    MultiCategorical,
    StateDependentGaussian,
)
from plaudit.models.exploration import Exploration, GaussianNoise, StateDependent
from plaudit.models.moments import RunningMoments
from plaudit.models.stacked_mlp import Activation, StackedMLP, orthogonal
from plaudit.models.transitions import Transitions


@dataclass(frozen=True)
class PolicyConfig:
    """The networks of a control policy."""

    hidden: tuple[Count, ...] = (64, 64)
    """Sizes of the hidden layers, of the policy and of the critic alike."""
    activation: Activation = "tanh"
    """Activation of the hidden layers."""
    log_std: Finite = 0.0
    """Initial log standard deviation of continuous actions, in units of half the action range."""
    exploration: Exploration = GaussianNoise()
    """How continuous actions are varied: afresh at every step, or smoothly, by noise that depends on the state."""
    normalise_observations: bool = False
    """Standardise observations by their running mean and variance, clipped to +-10."""
    critic: bool = True
    """Learn state values too."""


@dataclass(frozen=True)
class Spaces:
    """What a policy must fit: plain numbers, so that models know no environment library."""

    observation: Count
    """Length of the flattened observation."""
    action: Count
    """Length of the action as a reward sees it: how many discrete actions there are, also of all choices of a
    multi_discrete one together, switches of a multi_binary one, or dimensions of a continuous one."""
    kind: Literal["discrete", "continuous", "multi_discrete", "multi_binary"]
    """Kind of action."""
    choices: tuple[Count, ...] = ()
    """Of a multi_discrete action: how many there are of each choice."""


class ActorCritic(nn.Module):
    """A memoryless policy for any kind of action, with an optional critic.

    Orthogonal initialisation of gain sqrt(2), policy head .01, value head 1; the log standard deviation does not
    depend on the state unless the exploration says so. Observation statistics are buffers: they travel with the
    weights, and change only by `observe`, so that every score of one rollout uses the same ones.
    """

    memoryless = True

    def __init__(self, spaces: Spaces, config: PolicyConfig, generator: torch.Generator):
        super().__init__()
        self.spaces, self.config = spaces, config
        members = 2 if config.critic else 1
        self.body = StackedMLP(members, spaces.observation, config.hidden, config.activation, generator)
        width = config.hidden[-1] if config.hidden else spaces.observation
        self.policy_weight = orthogonal(1, width, spaces.action, 0.01, generator)
        self.policy_bias = nn.Parameter(torch.zeros(spaces.action))
        if config.critic:
            self.value_weight = orthogonal(1, width, 1, 1.0, generator)
            self.value_bias = nn.Parameter(torch.zeros(1))
        if spaces.kind == "continuous":
            smooth = isinstance(config.exploration, StateDependent)
            shape = (width, spaces.action) if smooth else (spaces.action,)
            self.log_std = nn.Parameter(torch.full(shape, config.log_std))
        elif config.exploration != GaussianNoise():
            raise PlauditError(
                f"policy.exploration: only continuous actions have noise, these are {spaces.kind}; leave it out"
            )
        if config.normalise_observations:
            self.moments = RunningMoments(spaces.observation)

    def observe(self, observations: Float[Tensor, "N F"]) -> None:
        """Add training observations to the running statistics."""
        if self.config.normalise_observations:
            self.moments.update(observations)

    def distribution(self, observations: Float[Tensor, "N F"]) -> Distribution:
        """The distribution over actions in each state; computes the policy alone."""
        hidden = self.body.member(0, self._inputs(observations))
        return self._distribution(torch.addmm(self.policy_bias, hidden, self.policy_weight[0]), hidden)

    def scores(self, record: Transitions, rows: "Tensor | slice | None" = None) -> Scores:
        """Log-probability, entropy and value of the recorded decisions [B, T], differentiable."""
        if rows is not None:
            record = take(record, rows)
        shape = record.observations.shape[:2]
        hidden = self.body(self._inputs(record.observations).expand(2 if self.config.critic else 1, -1, -1))
        logits = torch.addmm(self.policy_bias, hidden[0], self.policy_weight[0])
        actions = record.actions.reshape(-1, *record.actions.shape[2:])
        distribution = self._distribution(logits, hidden[0])
        if record.legal is not None:
            distribution = distribution.among(record.legal.flatten(end_dim=1))
        logp, entropy = distribution.scores(actions)
        values = None
        if self.config.critic:
            values = torch.addmm(self.value_bias, hidden[1], self.value_weight[0]).reshape(shape)
        return Scores(logp.reshape(shape), entropy.reshape(shape), values)

    def values(self, observations: Float[Tensor, "*B F"]) -> Float[Tensor, "*B"]:
        """V(s), by the critic alone."""
        hidden = self.body.member(1, self._inputs(observations))
        return torch.addmm(self.value_bias, hidden, self.value_weight[0]).reshape(observations.shape[:-1])

    def values_of(self, record: Transitions, last: Bool[Tensor, "B T"]) -> tuple[Tensor, Tensor]:
        """V(s_t) and V(true successor), both [B, T]; a successor is looked up where it is the next column's state."""
        values = self.values(record.observations)
        following = torch.cat([values[:, 1:], values[:, :1]], dim=1)
        ends = last.clone()
        ends[:, -1] = True
        following[ends] = self.values(record.successors[ends])
        return values, following

    @torch.no_grad()
    def refresh(self, episodes: Episodes, record: Transitions) -> Episodes:
        """The same episodes with the values of the critic as it is now; without a critic, unchanged."""
        if not self.config.critic:
            return episodes
        values, following = self.values_of(record, episodes.last)
        return replace(episodes, values=values, next_values=following)

    def trainable(self) -> dict[str, Tensor]:
        """What learning changes, by name: weights and the statistics of observations."""
        return dict(self.state_dict())

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Put back what `trainable` gave."""
        self.load_state_dict(tensors)

    def population(self, vectors: Float[Tensor, "M D"]) -> "Population":
        """As many policies of this shape, each with parameters of its own."""
        return Population(self, vectors)

    def forward(self, observations: Float[Tensor, "N F"]) -> Float[Tensor, "N A"]:
        """Logits, or means of continuous actions, of the policy alone."""
        hidden = self.body.member(0, self._inputs(observations))
        return torch.addmm(self.policy_bias, hidden, self.policy_weight[0])

    def _inputs(self, observations: Tensor) -> Float[Tensor, "N F"]:
        x = observations.reshape(-1, self.spaces.observation)
        return self.moments.standardise(x) if self.config.normalise_observations else x

    def _distribution(self, outputs: Float[Tensor, "N A"], hidden: Float[Tensor, "N H"]) -> Distribution:
        exploration = self.config.exploration
        if isinstance(exploration, StateDependent):
            features = hidden if exploration.learn_features else hidden.detach()
            return StateDependentGaussian(outputs, features, self.log_std)
        if self.spaces.kind == "continuous":
            return Gaussian(outputs, self.log_std)
        return _choice(outputs, self.spaces)


def _choice(logits: Float[Tensor, "N A"], spaces: Spaces) -> Categorical | MultiCategorical | Bernoulli:
    """The distribution of an action that is one of finitely many."""
    if spaces.kind == "multi_discrete":
        return MultiCategorical(logits, spaces.choices)
    return Bernoulli(logits) if spaces.kind == "multi_binary" else Categorical(logits)


class Population:
    """Policies of one shape that act side by side, rows shared out evenly, each by its likeliest action."""

    def __init__(self, policy: ActorCritic, vectors: Float[Tensor, "M D"]):
        self.policy, self.members = policy, len(vectors)
        self.parameters: dict[str, Tensor] = {}
        start = 0
        for name, p in policy.named_parameters():
            if p.requires_grad:
                self.parameters[name] = vectors[:, start : start + p.numel()].unflatten(1, p.shape)
                start += p.numel()

    def observe(self, observations: Float[Tensor, "N F"]) -> None:
        """Add training observations to the running statistics, which all share."""
        self.policy.observe(observations)

    def distribution(self, observations: Float[Tensor, "N F"]) -> "Certain":
        """The likeliest action of whoever each row belongs to."""
        rows = observations.unflatten(0, (self.members, -1))
        outputs = torch.func.vmap(self._outputs)(self.parameters, rows).flatten(end_dim=1)
        spaces = self.policy.spaces
        if spaces.kind == "continuous":
            return Certain(Gaussian(outputs, outputs.new_zeros(spaces.action)))
        return Certain(_choice(outputs, spaces))

    def _outputs(self, parameters: dict[str, Tensor], observations: Tensor) -> Tensor:
        return torch.func.functional_call(self.policy, parameters, (observations,))


@dataclass(frozen=True)
class Certain:
    """A distribution with one outcome: the likeliest one of another."""

    likeliest: Distribution

    def among(self, legal: Bool[Tensor, "N A"]) -> "Certain":
        """The likeliest of what is legal."""
        return Certain(self.likeliest.among(legal))

    def sample(self, generator: torch.Generator) -> Tensor:
        """That outcome."""
        return self.likeliest.mode()

    def mode(self) -> Tensor:
        """That outcome."""
        return self.likeliest.mode()
