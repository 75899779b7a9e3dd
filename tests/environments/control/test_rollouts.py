"""Rollouts of control: the same episodes however the environments reset, exact budgets, true successors."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from torch import Tensor

from plaudit.algorithms.on_policy import ppo
from plaudit.batches import Rollout
from plaudit.environments.control.rollouts import ControlRollouts, RewardScale, environment_reward, mixed
from plaudit.environments.control.make import Control, make
from plaudit.environments.control.vector_env import Source
from plaudit.environments.control.wrappers import Replayable
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.models.transitions import Transitions
from plaudit.environments.control.evaluation import true_returns
from plaudit.trainers import on_policy
from tests.environments.control.counting import Counting, oracle, policy

ROWS = 3
KINDS = {"sync": SyncVectorEnv, "async": AsyncVectorEnv}


def network(control: Control, **settings: Any) -> ActorCritic:
    settings = {"hidden": (5,)} | settings
    return ActorCritic(control.spaces, PolicyConfig(**settings), torch.Generator().manual_seed(2))


class Chosen:
    """Actions that depend on the observation alone, so that dead steps and other environments change nothing."""

    def __init__(self, observations: Tensor):
        self.observations = observations

    def sample(self, generator: torch.Generator) -> Tensor:
        return torch.from_numpy(policy(self.observations.numpy()))


class Determined(ActorCritic):
    """Scores as any policy, but acts by `counting.policy`."""

    def distribution(self, observations: Tensor) -> Any:
        return Chosen(observations)


def counting(kind: str, mode: AutoresetMode, steps: int, **kwargs: Any) -> Control:
    vector = KINDS[kind]([lambda: Replayable(Counting(**kwargs))] * ROWS, autoreset_mode=mode)
    return ControlRollouts(Source(vector, "Counting"), steps, 11)


def determined(control: Control) -> Determined:
    return Determined(control.spaces, PolicyConfig(hidden=(4,)), torch.Generator().manual_seed(5))


def rollouts(control: Control, count: int, limit: int | None = None) -> Iterator[tuple[Any, Rollout]]:
    model = determined(control)
    for _ in range(count):
        walk, metrics = control.walk(model, limit)
        yield walk, control.judge(walk, model, model, environment_reward, metrics)


def decisions(control: Control, count: int) -> list[list[tuple[Any, ...]]]:
    """Of every environment, one after another, without what is masked."""
    rows: list[list[tuple[Any, ...]]] = [[] for _ in range(ROWS)]
    for walk, rollout in rollouts(control, count):
        e, r = rollout.episodes, rollout.record
        for row in range(ROWS):
            for t in torch.nonzero(e.mask[row]).flatten().tolist():
                numbers = (e.rewards, e.terminated, walk.ended, e.logp, e.ref_logp, e.values, e.next_values)
                rows[row].append(
                    (
                        r.observations[row, t].tolist(),
                        int(r.actions[row, t]),
                        r.successors[row, t].tolist(),
                        r.executed[row, t].tolist(),
                        *(x[row, t].item() for x in numbers),
                    )
                )
        assert torch.equal(e.mask, walk.mask) and not (e.terminated & ~e.last).any()
    return rows


@pytest.mark.parametrize(
    ("kind", "mode"), [*(("sync", mode) for mode in AutoresetMode), ("async", AutoresetMode.SAME_STEP)]
)
def test_the_same_episodes_as_a_plain_loop(kind: str, mode: AutoresetMode) -> None:
    control = counting(kind, mode, 7)
    model = determined(control)
    found = decisions(control, 8)
    control.source.close()
    for row, ours in enumerate(found):
        assert len(ours) > 30
        for mine, theirs in zip(ours, oracle(11 + row, len(ours)), strict=True):
            before, action, reward, after, terminated, truncated = theirs
            one_hot = [float(i == action) for i in range(3)]
            state, following = torch.from_numpy(before)[None], torch.from_numpy(after)[None]
            with torch.no_grad():
                logp = ActorCritic.distribution(model, state).logits.log_softmax(-1)[0, action].item()
                value, next_value = model.values(state).item(), model.values(following).item()
            assert mine[:4] == (before.tolist(), action, after.tolist(), one_hot)
            assert mine[4:7] == (reward, terminated, terminated or truncated)
            assert mine[7] == mine[8] == pytest.approx(logp, abs=1e-5)
            assert mine[9] == pytest.approx(value, abs=1e-4)
            assert mine[10] == pytest.approx(next_value, abs=1e-4)


@pytest.mark.parametrize("mode", AutoresetMode)
def test_ends_cuts_and_dead_steps(mode: AutoresetMode) -> None:
    control = counting("sync", mode, 9)
    ends = dead = 0
    for walk, rollout in rollouts(control, 10):
        e = rollout.episodes
        for row in range(ROWS):
            alive = torch.nonzero(e.mask[row]).flatten().tolist()
            # the last decision of a row is always an end of what the formulas see, whether cut or over
            expected = {t for t in alive if walk.ended[row, t]} | {alive[-1]}
            assert set(torch.nonzero(e.last[row]).flatten().tolist()) == expected
            for t in range(9):
                was_over = t > 0 and bool(walk.ended[row, t - 1])
                if mode is AutoresetMode.NEXT_STEP and t > 0:
                    assert bool(e.mask[row, t]) != was_over
        assert (e.rewards[~e.mask] == 0).all() and not (e.terminated & ~e.mask).any()
        assert not (e.last & ~e.mask).any()
        ends, dead = ends + int(walk.ended.sum()), dead + int((~e.mask).sum())
        late = int((walk.ended & (torch.arange(9) == 8)).sum())  # their dead step comes in the next rollout
    assert dead == (ends - late if mode is AutoresetMode.NEXT_STEP else 0)


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("budget", [1, 2, 3, 20, 83, 100])
def test_a_budget_is_met_exactly(mode: AutoresetMode, budget: int) -> None:
    control, model = counting("sync", mode, 8), None
    model = determined(control)
    seen, sizes = 0, []
    while seen < budget:
        walk, _ = control.walk(model, budget - seen)
        assert walk.mask.any() and walk.mask.shape[1] <= 8
        sizes.append(int(walk.mask.sum()))
        seen += sizes[-1]
    assert seen == budget == sum(sizes)


def test_sixty_parts_of_five_thousand_are_five_thousand() -> None:
    control = ControlRollouts(make(Control("CartPole-v1", 8)), 16, 1)
    model = network(control)
    learner = on_policy.Learner(ppo, ppo.Config(), on_policy.Config(epochs=1, minibatch_size=64))
    state = on_policy.start(model, learner.config, torch.Generator().manual_seed(0))

    def collect(limit: int) -> Rollout:
        return control.collect(model, None, environment_reward, limit)

    marks = [round(5000 * (i + 1) / 60) for i in range(60)]
    for mark in marks:
        for now in on_policy.train(state, collect, learner, mark):
            assert now.decisions <= mark
        assert state.decisions == mark
    assert state.decisions == 5000 and state.updates == 60


def test_a_rollout_goes_on_where_the_one_before_was_cut() -> None:
    control = counting("sync", AutoresetMode.SAME_STEP, 4)
    model = determined(control)
    cut = 0
    before, _ = control.walk(model)
    for _ in range(12):
        after, _ = control.walk(model)
        for row in range(ROWS):
            if not before.ended[row, -1]:
                assert torch.equal(after.record.observations[row, 0], before.record.successors[row, -1])
                cut += 1
            else:
                assert after.record.observations[row, 0, 0] == 0
        before = after
    assert cut > 10


@pytest.mark.parametrize("mode", AutoresetMode)
def test_returns_and_lengths_are_of_whole_episodes(mode: AutoresetMode) -> None:
    control, found = counting("sync", mode, 4), []
    for _, rollout in rollouts(control, 20):
        m = rollout.metrics
        if "rollout/episodes" in m:
            found.append((m["rollout/ep_rew_mean"], m["rollout/ep_len_mean"], m["rollout/episodes"]))
    rewards, lengths, count = 0.0, 0.0, 0.0
    for row in range(ROWS):
        total = length = 0.0
        played = decisions_of(mode, row)
        for _, _, reward, _, terminated, truncated in played:
            total, length = total + reward, length + 1
            if terminated or truncated:
                rewards, lengths, count = rewards + total, lengths + length, count + 1
                total = length = 0.0
    assert sum(n for *_, n in found) == count
    assert sum(r * n for r, _, n in found) == pytest.approx(rewards)
    assert sum(le * n for _, le, n in found) == pytest.approx(lengths)


def decisions_of(mode: AutoresetMode, row: int) -> list[tuple[Any, ...]]:
    """What 80 vector steps are by a plain loop: next-step autoreset loses one for every end."""
    played = oracle(11 + row, 80)
    if mode is not AutoresetMode.NEXT_STEP:
        return played
    taken, steps = [], 0
    for one in played:
        if steps >= 80:
            break
        taken.append(one)
        steps += 1 + int(one[4] or one[5])
    return taken


def test_a_rollout_of_dead_steps_alone_is_gone_past() -> None:
    """All environments end at once, and the rollout is one step long: there must be something to learn from."""
    control = counting("sync", AutoresetMode.NEXT_STEP, 1, longest=1)
    model, seen = determined(control), 0
    for _ in range(4):
        walk, metrics = control.walk(model, 100)
        rollout = control.judge(walk, model, None, environment_reward, metrics)
        assert walk.mask.any()
        assert np.isfinite(rollout.metrics["rollout/reward_mean"])
        seen += int(walk.mask.sum())
    assert seen == 4 * ROWS


def sampled_logp(control: Control, model: ActorCritic) -> tuple[Any, dict[str, float], Tensor]:
    """A walk, and the log-probability of every action at the moment it was drawn."""
    noted: list[Tensor] = []
    distribution = ActorCritic.distribution

    def listen(observations: Tensor) -> Any:
        found = distribution(model, observations)

        class Heard:
            def sample(self, generator: torch.Generator) -> Tensor:
                actions = found.sample(generator)
                noted.append(found.scores(actions)[0])
                return actions

        return Heard()

    model.distribution = listen  # type: ignore[method-assign]
    walk, metrics = control.walk(model)
    del model.distribution
    return walk, metrics, torch.stack(noted, dim=1)


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_the_first_ratio_is_one_also_with_normalised_observations(id: str) -> None:
    control = ControlRollouts(make(Control(id, 4)), 60, 1, RewardScale(4, 0.99))
    model = network(control, normalise_observations=True)
    learner = on_policy.Learner(
        ppo, ppo.Config(), on_policy.Config(epochs=2, minibatch_size=100, learning_rate=1e-2)
    )
    state = on_policy.start(model, learner.config, torch.Generator().manual_seed(0))
    moments = []
    for _ in range(3):
        walk, metrics, drawn = sampled_logp(control, model)
        rollout = control.judge(walk, model, None, environment_reward, metrics)
        assert (rollout.episodes.logp - drawn).abs().max() < 1e-5
        assert ((model.scores(rollout.record).logp - rollout.episodes.logp).exp() - 1).abs().max() <= 1e-5
        moments.append(model.moments.count.item())
        on_policy.update(state, rollout, learner, max(0.0, 1 - state.decisions / 10_000))
    assert moments == [0, 240, 480]  # each observation once, in the rollout after its own


def test_evaluation_changes_no_statistics() -> None:
    control = ControlRollouts(make(Control("Pendulum-v1", 4)), 30, 1)
    model = network(control, normalise_observations=True)
    control.walk(model)
    control.walk(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    one = true_returns(model, Control("Pendulum-v1"), 3, 5, greedy=False)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert np.array_equal(one, true_returns(model, Control("Pendulum-v1"), 3, 5, greedy=False))


class Recorder(gymnasium.Env):
    """Notes what it is given; bounds are lopsided, one dimension has none."""

    taken: list[np.ndarray]

    def __init__(self) -> None:
        self.observation_space = Box(-np.inf, np.inf, (2, 2), np.float64)
        self.action_space = Box(np.array([-1, -np.inf], np.float32), np.array([3, np.inf], np.float32))
        self.taken = []

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        return np.zeros((2, 2)), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.taken.append(np.array(action))
        return self.np_random.normal(size=(2, 2)), 0.0, False, False, {}


def test_unclipped_actions_are_stored_and_clipped_ones_executed() -> None:
    made = [Recorder(), Recorder()]
    control = ControlRollouts(
        Source(SyncVectorEnv([lambda: made[0], lambda: made[1]], autoreset_mode=AutoresetMode.SAME_STEP)),
        50,
        3,
    )
    model = network(control, log_std=0.5)
    rollout = control.collect(model, None, environment_reward)
    actions, given = rollout.record.actions, rollout.record.executed
    taken = torch.from_numpy(np.stack([one.taken for one in made]))
    assert torch.equal(given, taken)
    assert (actions[..., 0].abs() > 1).float().mean() > 0.2 and (actions[..., 1].abs() > 1).any()
    by_hand = torch.stack([1 + 2 * actions[..., 0].clamp(-1, 1), actions[..., 1]], dim=-1)
    torch.testing.assert_close(given, by_hand)
    with torch.no_grad():
        mean = model.distribution(rollout.record.observations.flatten(end_dim=1)).mean.reshape(actions.shape)
    normal = torch.distributions.Normal(mean, torch.full_like(mean, 0.5).exp())
    torch.testing.assert_close(rollout.episodes.logp, normal.log_prob(actions).sum(-1))


@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_learned_reward_sees_the_true_successor_at_an_end(mode: AutoresetMode) -> None:
    control = counting("sync", mode, 12)
    model, ends = determined(control), 0

    def reward(record: Transitions) -> Tensor:
        return record.successors[..., 0] * 100 + record.successors[..., 1]

    for _ in range(3):
        walk, metrics = control.walk(model)
        rewards = control.judge(walk, model, None, reward, metrics).episodes.rewards
        steps, length = walk.record.observations[..., 0], walk.record.observations[..., 1]
        expected = torch.where(walk.mask, (steps + 1) * 100 + length, 0.0)
        assert torch.equal(rewards, expected)
        assert (walk.record.successors[walk.ended][:, 0] == length[walk.ended]).all()
        ends += int(walk.ended.sum())
    assert ends > 5


def slow_scale(parts: list[tuple[Tensor, Tensor, Tensor]], discount: float, limit: float) -> list[Tensor]:
    """Row by row and step by step, all returns kept in a list."""
    running, seen, scaled = None, [], []
    for rewards, ended, mask in parts:
        running = [0.0] * len(rewards) if running is None else running
        for row in range(len(rewards)):
            for t in range(rewards.shape[1]):
                if mask[row, t]:
                    running[row] = running[row] * discount + float(rewards[row, t])
                    seen.append(running[row])
                if ended[row, t]:
                    running[row] = 0.0
        mean = sum(seen) / len(seen)
        variance = sum((x - mean) ** 2 for x in seen) / len(seen)
        scaled.append((rewards.double() / (variance + 1e-8) ** 0.5).clamp(-limit, limit))
    return scaled


def test_reward_scale_against_a_slow_one() -> None:
    generator = torch.Generator().manual_seed(4)
    parts = []
    for _ in range(4):
        rewards = torch.randn(3, 20, generator=generator) * 5 + 1
        mask = torch.rand(3, 20, generator=generator) < 0.8
        ended = (torch.rand(3, 20, generator=generator) < 0.1) & mask
        parts.append((torch.where(mask, rewards, 0.0), ended, mask))
    scale, expected = RewardScale(3, 0.9, 1.5), slow_scale(parts, 0.9, 1.5)
    for i, (part, wanted) in enumerate(zip(parts, expected, strict=True)):
        torch.testing.assert_close(scale(*part).double(), wanted, rtol=1e-5, atol=1e-6)
        if i == 1:  # a saved scale goes on in the same way
            saved = scale.state_dict()
            scale = RewardScale(3, 0.9, 1.5)
            scale.load_state_dict(saved)
    assert max(float(part.abs().max()) for part in expected) == 1.5
    scale.reset()
    first = slow_scale(parts[:1], 0.9, 1.5)[0]
    torch.testing.assert_close(scale(*parts[0]).double(), first, rtol=1e-5, atol=1e-6)


def test_reward_scale_by_hand() -> None:
    # returns 1, 1.5, then anew 2: variance of (1, 1.5, 2) = 1/6
    rewards = torch.tensor([[1.0, 1.0, 99.0, 2.0]])
    ended, mask = torch.tensor([[False, True, False, False]]), torch.tensor([[True, True, False, True]])
    scaled = RewardScale(1, 0.5)(torch.where(mask, rewards, 0.0), ended, mask)
    torch.testing.assert_close(scaled, torch.tensor([[1.0, 1.0, 0.0, 2.0]]) * 6**0.5)


def test_an_end_beyond_the_budget_restarts_the_return() -> None:
    """The budget drops the decision that ended an episode: its successor belongs to a new one all the same."""
    control = counting("sync", AutoresetMode.SAME_STEP, 1, longest=1)
    control.reward_scale = RewardScale(ROWS, 0.9)
    model = determined(control)
    walk, metrics = control.walk(model, 1)
    assert walk.mask.tolist() == [[True], [False], [False]]
    assert walk.ended.tolist() == [[True], [True], [True]] and walk.last.tolist() == walk.mask.tolist()
    control.reward_scale.running += 5
    rollout = control.judge(walk, model, None, environment_reward, metrics)
    assert control.reward_scale.running.tolist() == [0, 0, 0]
    assert not (rollout.episodes.terminated & ~rollout.episodes.mask).any()


def test_mixing_rewards() -> None:
    record = Transitions(*(torch.ones(2, 3, 1),) * 4, torch.full((2, 3), 4.0))
    learned = lambda r: r.observations[..., 0] * 10  # noqa: E731
    assert torch.equal(mixed({"environment": 1.0}, None)(record), torch.full((2, 3), 4.0))
    assert torch.equal(mixed({"environment": 0.5, "learned": 2.0}, learned)(record), torch.full((2, 3), 22.0))
    assert torch.equal(mixed({}, learned)(record), torch.zeros(2, 3))
    for weights, sentence in (
        ({"learned": 1.0}, "no reward model"),
        ({"enviroment": 1.0}, "unknown name 'enviroment'"),
    ):
        with pytest.raises(PlauditError, match=sentence):
            mixed(weights, None)


def test_no_critic_no_values() -> None:
    control = ControlRollouts(make(Control("CartPole-v1", 2)), 5, 1)
    rollout = control.collect(network(control, critic=False), None, environment_reward)
    assert rollout.episodes.values is rollout.episodes.next_values is rollout.episodes.ref_logp is None


def test_a_saved_control_refuses_another_environment() -> None:
    control = ControlRollouts(make(Control("CartPole-v1", 2)), 5, 1)
    control.walk(network(control))
    saved = control.state_dict()
    for other in (Control("CartPole-v1", 3), Control("Pendulum-v1", 2)):
        with pytest.raises(PlauditError, match="cannot be restored"):
            ControlRollouts(make(other), 5, 1).load_state_dict(saved)
    fresh = ControlRollouts(
        make(Control("CartPole-v1", 2, "sync", resume="statistical")), 5, 1, RewardScale(2, 0.9)
    )
    fresh.collect(network(fresh), None, environment_reward)
    assert (
        fresh.returns.tolist() == [5, 5]
        and fresh.reward_scale is not None
        and fresh.reward_scale.running.min() > 1
    )
    fresh.load_state_dict(fresh.state_dict())
    assert fresh.returns.tolist() == fresh.lengths.tolist() == fresh.reward_scale.running.tolist() == [0, 0]
    assert fresh.reward_scale.moments.count == 10
    again = ControlRollouts(make(Control("CartPole-v1", 2)), 5, 99)
    again.load_state_dict(saved)
    one, other = (c.collect(network(c), None, environment_reward) for c in (control, again))
    assert torch.equal(one.record.observations, other.record.observations)
    assert torch.equal(one.episodes.logp, other.episodes.logp)
