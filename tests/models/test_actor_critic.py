"""The control policy: torch's distributions, separate networks, nothing global, no update by looking."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from plaudit.batches import Episodes
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic, PolicyConfig, Spaces
from plaudit.models.exploration import GaussianNoise, StateDependent
from plaudit.models.transitions import Transitions

KINDS = [Spaces(4, 3, "discrete"), Spaces(4, 2, "continuous")]
SMOOTH = PolicyConfig(hidden=(5,), log_std=-1.0, exploration=StateDependent())


def policy(spaces: Spaces, config: PolicyConfig = PolicyConfig(), seed: int = 0) -> ActorCritic:
    return ActorCritic(spaces, config, torch.Generator().manual_seed(seed))


def record(spaces: Spaces, rows: int = 3, columns: int = 5, seed: int = 0) -> Transitions:
    """A walk: the successor of a step is the observation of the next one, except where an episode ends."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, columns + 1, spaces.observation, generator=generator)
    successors = states[:, 1:].clone()
    successors[:, 1] += 5.0  # the true end of an episode at column 1; column 2 starts another
    if spaces.kind == "discrete":
        actions = torch.randint(spaces.action, (rows, columns), generator=generator)
        executed = torch.nn.functional.one_hot(actions, spaces.action).float()
    else:
        actions = torch.randn(rows, columns, spaces.action, generator=generator)
        executed = actions.clamp(-1, 1)
    return Transitions(states[:, :-1], actions, executed, successors, torch.zeros(rows, columns))


def separate(network: ActorCritic, member: int, x: Tensor) -> Tensor:
    """The last hidden layer of one member by plain matrix products, one row at a time."""
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        hidden = row
        for weight, bias in zip(network.body.weights, network.body.biases, strict=True):
            hidden = torch.tanh(hidden @ weight[member] + bias[member, 0])
        rows.append(hidden)
    return torch.stack(rows)


@pytest.mark.parametrize("spaces", KINDS)
def test_scores_are_those_of_torch_distributions_and_a_separate_critic(spaces: Spaces) -> None:
    network, seen = policy(spaces, PolicyConfig(log_std=-0.5)), record(spaces)
    with torch.no_grad():
        network.policy_weight *= 100  # away from the nearly uniform start
    scores = network.scores(seen)
    outputs = separate(network, 0, seen.observations) @ network.policy_weight[0] + network.policy_bias
    if spaces.kind == "discrete":
        oracle: torch.distributions.Distribution = torch.distributions.Categorical(logits=outputs)
        actions = seen.actions.reshape(-1)
    else:
        normal = torch.distributions.Normal(outputs, network.log_std.exp())
        oracle, actions = torch.distributions.Independent(normal, 1), seen.actions.reshape(-1, 2)
    assert torch.allclose(scores.logp.reshape(-1), oracle.log_prob(actions), atol=1e-5)
    assert torch.allclose(scores.entropy.reshape(-1), oracle.entropy(), atol=1e-5)
    values = separate(network, 1, seen.observations) @ network.value_weight[0] + network.value_bias
    assert scores.values is not None and scores.values.shape == (3, 5)
    assert torch.allclose(scores.values.reshape(-1), values.squeeze(-1), atol=1e-5)
    assert torch.allclose(network.values(seen.observations), scores.values, atol=1e-6)


@pytest.mark.parametrize("spaces", KINDS)
def test_some_rows_score_as_they_do_among_all(spaces: Spaces) -> None:
    network, seen = policy(spaces), record(spaces)
    everything, rows = network.scores(seen), torch.tensor([2, 0])
    some = network.scores(seen, rows)
    assert torch.allclose(some.logp, everything.logp[rows], atol=1e-6)
    assert some.values is not None and everything.values is not None
    assert torch.allclose(some.values, everything.values[rows], atol=1e-6)


@pytest.mark.parametrize("spaces", KINDS)
def test_policy_and_critic_share_no_gradient(spaces: Spaces) -> None:
    network, seen = policy(spaces), record(spaces)

    def gradient(of: Tensor) -> dict[str, Tensor]:
        network.zero_grad()
        of.sum().backward()
        return {
            n: torch.zeros_like(p) if p.grad is None else p.grad.clone()
            for n, p in network.named_parameters()
        }

    scores = network.scores(seen)
    assert scores.values is not None
    of_critic = gradient(scores.values)
    of_policy = gradient(network.scores(seen).logp)
    for name in of_policy:
        if name.startswith("body"):
            assert of_policy[name][0].abs().max() > 0 and of_policy[name][1].abs().max() == 0
            assert of_critic[name][1].abs().max() > 0 and of_critic[name][0].abs().max() == 0
        else:
            touched = of_critic if name.startswith("value") else of_policy
            other = of_policy if name.startswith("value") else of_critic
            assert touched[name].abs().max() > 0 and other[name].abs().max() == 0, name


@pytest.mark.parametrize("spaces", KINDS)
def test_the_start_is_nearly_uniform_and_finite_with_the_usual_gains(spaces: Spaces) -> None:
    network, seen = policy(spaces, PolicyConfig(log_std=-0.7)), record(spaces)
    scores = network.scores(seen)
    assert scores.values is not None and torch.isfinite(scores.values).all()
    assert torch.isfinite(scores.logp).all()
    head = network.policy_weight[0].detach()
    assert torch.allclose(head.T @ head, 1e-4 * torch.eye(spaces.action), atol=1e-8)
    value = network.value_weight[0].detach()
    assert torch.allclose(value.T @ value, torch.eye(1), atol=1e-5)
    assert network.policy_bias.abs().max() == 0 and network.value_bias.abs().max() == 0
    if spaces.kind == "discrete":
        assert torch.allclose(scores.entropy, torch.tensor(3.0).log().expand(3, 5), atol=1e-3)
    else:
        assert network.log_std.tolist() == pytest.approx([-0.7, -0.7])
        extreme = network.distribution(100 * seen.observations[0])
        assert torch.equal(extreme.log_std, network.log_std)  # type: ignore[union-attr]


def test_actions_are_drawn_as_often_as_the_policy_says() -> None:
    network = policy(KINDS[0])
    with torch.no_grad():
        network.policy_bias.copy_(torch.tensor([0.0, 1.0, -1.0]))
    state = torch.ones(1, 4)
    drawn = network.distribution(state.expand(50_000, 4)).sample(torch.Generator().manual_seed(0))
    each = Transitions(
        state.expand(3, 1, 4),
        torch.arange(3).unsqueeze(1),
        torch.zeros(3, 1, 3),
        state.expand(3, 1, 4),
        torch.zeros(3, 1),
    )
    probabilities = network.scores(each).logp.exp().detach().squeeze(1)
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-5)
    assert torch.allclose(drawn.bincount(minlength=3) / 50_000, probabilities, atol=0.01)


@pytest.mark.parametrize("spaces", KINDS)
def test_constructors_never_touch_the_global_generator(spaces: Spaces) -> None:
    before = torch.get_rng_state()
    one = policy(spaces, PolicyConfig(normalise_observations=True), seed=5)
    one.distribution(torch.zeros(2, 4)).sample(torch.Generator().manual_seed(0))
    one.scores(record(spaces))
    assert torch.equal(torch.get_rng_state(), before)
    two = policy(spaces, PolicyConfig(normalise_observations=True), seed=5)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


@pytest.mark.parametrize("spaces", KINDS)
def test_looking_never_updates_the_normaliser(spaces: Spaces) -> None:
    network, seen = policy(spaces, PolicyConfig(normalise_observations=True)), record(spaces)
    network.observe(seen.observations.reshape(-1, 4) * 3 + 1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.scores(seen)
    network.values(seen.observations)
    network.values_of(seen, ends(seen))
    network.distribution(seen.observations[0]).mode()
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_normalised_observations_are_those_numpy_would_standardise() -> None:
    plain, normal = policy(KINDS[0]), policy(KINDS[0], PolicyConfig(normalise_observations=True))
    data = 3 * torch.randn(200, 4, generator=torch.Generator().manual_seed(1)) + 7
    normal.observe(data)
    seen = record(KINDS[0])
    by_hand = (seen.observations - data.mean(0)) / data.std(0, unbiased=False)
    assert torch.allclose(
        normal.scores(seen).logp, plain.scores(replace(seen, observations=by_hand)).logp, atol=1e-5
    )


def ends(seen: Transitions) -> Tensor:
    last = torch.zeros(seen.observations.shape[:2], dtype=torch.bool)
    last[:, 1] = True
    last[:, -1] = True
    return last


@pytest.mark.parametrize("marked_end", [True, False])
def test_next_values_are_those_of_the_true_successor_before_any_reset(marked_end: bool) -> None:
    network, seen = policy(KINDS[0]), record(KINDS[0])
    last = ends(seen)
    if not marked_end:
        last[:, -1] = False  # the final column has no next column in any case
    values, following = network.values_of(seen, last)
    assert torch.allclose(values, network.values(seen.observations), atol=1e-6)
    assert torch.allclose(following, network.values(seen.successors), atol=1e-6)


def test_refresh_gives_the_values_of_the_critic_as_it_is_now() -> None:
    network, seen = policy(KINDS[0]), record(KINDS[0])
    last, x = ends(seen), torch.zeros(3, 5)
    stale = Episodes(x, x + 2, last, last, torch.ones_like(last), values=x - 9, next_values=x - 9)
    with torch.no_grad():
        network.value_bias += 3.0
    fresh = network.refresh(stale, seen)
    assert fresh.values is not None and fresh.next_values is not None and stale.values is not None
    assert torch.allclose(fresh.values, network.values(seen.observations), atol=1e-6)
    assert torch.allclose(fresh.next_values, network.values(seen.successors), atol=1e-6)
    assert not fresh.values.requires_grad and not fresh.next_values.requires_grad
    assert torch.equal(stale.values, x - 9) and torch.equal(fresh.rewards, stale.rewards)


def test_without_a_critic_there_are_no_values_and_no_critic_parameters() -> None:
    network = policy(KINDS[0], PolicyConfig(critic=False))
    assert network.scores(record(KINDS[0])).values is None
    assert all("value" not in name for name, _ in network.named_parameters())
    assert network.body.weights[0].shape[0] == 1


def test_a_policy_may_be_linear() -> None:
    network = policy(KINDS[0], PolicyConfig(hidden=()))
    scores = network.scores(record(KINDS[0]))
    assert torch.isfinite(scores.logp).all() and scores.values is not None


def test_weights_and_statistics_round_trip() -> None:
    config = PolicyConfig(normalise_observations=True)
    one, two = policy(KINDS[1], config, seed=1), policy(KINDS[1], config, seed=2)
    one.observe(torch.randn(50, 4, generator=torch.Generator().manual_seed(0)))
    two.load_state_dict(one.state_dict())
    assert torch.equal(one.scores(record(KINDS[1])).logp, two.scores(record(KINDS[1])).logp)


def test_state_dependent_scores_by_hand() -> None:
    network, seen = policy(KINDS[1], SMOOTH), record(KINDS[1])
    assert network.log_std.shape == (5, 2) and (network.log_std == -1).all()
    hidden = separate(network, 0, seen.observations)
    mean = hidden @ network.policy_weight[0] + network.policy_bias
    std = (hidden.square() @ network.log_std.exp().square() + 1e-6).sqrt()
    oracle = torch.distributions.Independent(torch.distributions.Normal(mean, std), 1)
    scores = network.scores(seen)
    assert torch.allclose(scores.logp.reshape(-1), oracle.log_prob(seen.actions.reshape(-1, 2)), atol=1e-3)
    assert torch.allclose(scores.entropy.reshape(-1), oracle.entropy(), atol=1e-4)


@pytest.mark.parametrize("learn", [False, True])
def test_the_size_of_the_noise_teaches_the_hidden_layers_only_where_asked(learn: bool) -> None:
    config = replace(SMOOTH, exploration=StateDependent(learn_features=learn))
    network, seen = policy(KINDS[1], config), record(KINDS[1])
    network.scores(seen).entropy.sum().backward()  # depends on the noise alone
    assert network.log_std.grad is not None and network.log_std.grad.abs().min() > 0
    taught = network.body.weights[0].grad
    assert bool(taught is not None and taught.abs().max() > 0) == learn


def test_smooth_exploration_changes_no_other_initial_weight() -> None:
    smooth, plain = policy(KINDS[1], SMOOTH), policy(KINDS[1], replace(SMOOTH, exploration=GaussianNoise()))
    assert list(smooth.state_dict()) == list(plain.state_dict())
    for name, tensor in plain.state_dict().items():
        assert name == "log_std" or torch.equal(tensor, smooth.state_dict()[name])


def test_only_continuous_actions_have_noise() -> None:
    with pytest.raises(PlauditError, match=r"policy\.exploration: only continuous.*discrete"):
        policy(KINDS[0], SMOOTH)


@pytest.mark.parametrize(
    "spaces", [Spaces(4, 5, "multi_discrete", (2, 3)), Spaces(4, 3, "multi_binary"), Spaces(4, 3, "discrete")]
)
def test_every_kind_of_choice_is_scored_as_it_is_acted_on(spaces: Spaces) -> None:
    network = policy(spaces)
    observations = torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(1))
    distribution = network.distribution(observations.flatten(end_dim=1))
    actions = distribution.sample(torch.Generator().manual_seed(2))
    wanted, _ = distribution.scores(actions)
    seen = Transitions(
        observations,
        actions.unflatten(0, (3, 5)),
        torch.zeros(3, 5, spaces.action),
        observations,
        torch.zeros(3, 5),
    )
    assert torch.allclose(network.scores(seen).logp.flatten(), wanted, atol=1e-6)
    everyone = network.population(torch.nn.utils.parameters_to_vector(network.parameters()).expand(3, -1))
    assert torch.equal(everyone.distribution(observations.flatten(end_dim=1)).mode(), distribution.mode())


def test_recorded_masks_are_scored_with() -> None:
    spaces = Spaces(4, 3, "discrete")
    network, seen = policy(spaces), record(spaces)
    legal = torch.rand(3, 5, 3, generator=torch.Generator().manual_seed(0)) < 0.5
    legal.scatter_(2, seen.actions.unsqueeze(-1), True)
    scores = network.scores(replace(seen, legal=legal))
    logits = network(seen.observations.flatten(end_dim=1)).masked_fill(~legal.flatten(end_dim=1), -1e9)
    oracle = torch.distributions.Categorical(logits=logits)
    assert torch.allclose(scores.logp.flatten(), oracle.log_prob(seen.actions.flatten()), atol=1e-5)
    one = network.scores(replace(seen, legal=legal), torch.tensor([2]))
    assert torch.allclose(one.logp, scores.logp[2:], atol=1e-6)
    vectors = torch.nn.utils.parameters_to_vector(network.parameters()).expand(3, -1)
    everyone = network.population(vectors).distribution(seen.observations.flatten(end_dim=1))
    assert torch.equal(everyone.among(legal.flatten(end_dim=1)).mode(), logits.argmax(dim=-1))
