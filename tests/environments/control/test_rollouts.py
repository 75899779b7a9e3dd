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
from plaudit.batches import Rewards, Rollout
from plaudit.environments.control.make import Control, make
from plaudit.environments.control.rollouts import ControlRollouts, Starts, Trajectories, true_returns
from plaudit.environments.control.vector_env import Source
from plaudit.environments.control.wrappers import Replayable
from plaudit.errors import PlauditError
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.rewards.control import environment_reward, paid
from plaudit.rewards.weighted import Fixed, Scaled
from plaudit.trainers import on_policy
from plaudit.trainers.on_policy import Algorithm, OnPolicy, Updater
from tests.environments.control.counting import Counting, oracle, policy

ROWS = 3
KINDS = {"sync": SyncVectorEnv, "async": AsyncVectorEnv}


def episodes(control: ControlRollouts, model: ActorCritic, reward: Any = environment_reward) -> Rollout:
    """A rollout of the model, paid for."""
    walk = control.collect(model)
    return control.episodes(walk, model, None, reward(walk))


def network(control: ControlRollouts, **settings: Any) -> ActorCritic:
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


def counting(kind: str, mode: AutoresetMode, steps: int, **kwargs: Any) -> ControlRollouts:
    vector = KINDS[kind]([lambda: Replayable(Counting(**kwargs))] * ROWS, autoreset_mode=mode)
    return ControlRollouts(Source(vector, "Counting"), steps, 11)


def determined(control: ControlRollouts) -> Determined:
    return Determined(control.spaces, PolicyConfig(hidden=(4,)), torch.Generator().manual_seed(5))


def rollouts(control: ControlRollouts, count: int, limit: int | None = None) -> Iterator[tuple[Any, Rollout]]:
    model = determined(control)
    for _ in range(count):
        walk = control.collect(model, limit)
        yield walk, control.episodes(walk, model, model, environment_reward(walk))


def decisions(control: ControlRollouts, count: int) -> list[list[tuple[Any, ...]]]:
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
        walk = control.collect(model, budget - seen)
        assert walk.mask.any() and walk.mask.shape[1] <= 8
        sizes.append(int(walk.mask.sum()))
        seen += sizes[-1]
    assert seen == budget == sum(sizes)


def test_sixty_parts_of_five_thousand_are_five_thousand() -> None:
    control = ControlRollouts(make(Control("CartPole-v1", 8)), 16, 1)
    model = network(control)
    updater = Updater(
        model, Algorithm(ppo, ppo.Config()), on_policy.Config(epochs=1, minibatch_size=64), torch.Generator()
    )
    learner = OnPolicy(updater, control, Fixed(environment_reward), 0)
    for mark in [round(5000 * (i + 1) / 60) for i in range(60)]:
        learner.budget = mark
        while not learner.done:
            learner.step()
            assert learner.spent <= mark
        assert learner.spent == updater.decisions == mark
    assert updater.decisions == 5000 and updater.updates == 60


def test_a_rollout_goes_on_where_the_one_before_was_cut() -> None:
    control = counting("sync", AutoresetMode.SAME_STEP, 4)
    model = determined(control)
    cut = 0
    before = control.collect(model)
    for _ in range(12):
        after = control.collect(model)
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
        walk = control.collect(model, 100)
        rollout = control.episodes(walk, model, None, environment_reward(walk))
        assert walk.mask.any() and torch.isfinite(rollout.episodes.rewards).all()
        seen += int(walk.mask.sum())
    assert seen == 4 * ROWS


def sampled_logp(control: ControlRollouts, model: ActorCritic) -> tuple[Any, Tensor]:
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
    walk = control.collect(model)
    del model.distribution
    return walk, torch.stack(noted, dim=1)


@pytest.mark.parametrize("id", ["CartPole-v1", "Pendulum-v1"])
def test_the_first_ratio_is_one_also_with_normalised_observations(id: str) -> None:
    control = ControlRollouts(make(Control(id, 4)), 60, 1)
    model, source = network(control, normalise_observations=True), Scaled(Fixed(environment_reward), 4, 0.99)
    config = on_policy.Config(epochs=2, minibatch_size=100, learning_rate=1e-2)
    updater = Updater(model, Algorithm(ppo, ppo.Config()), config, torch.Generator().manual_seed(0))
    moments = []
    for update in range(3):
        walk, drawn = sampled_logp(control, model)
        source.observe(walk, 0.0)
        rollout = control.episodes(walk, model, None, source.rewards(walk))
        assert (rollout.episodes.logp - drawn).abs().max() < 1e-5
        assert ((model.scores(rollout.record).logp - rollout.episodes.logp).exp() - 1).abs().max() <= 1e-5
        moments.append(model.moments.count.item())
        updater.update(rollout, 1 - 240 * update / 10_000)
    assert moments == [0, 240, 480]  # each observation once, in the rollout after its own


def test_evaluation_changes_no_statistics() -> None:
    control = ControlRollouts(make(Control("Pendulum-v1", 4)), 30, 1)
    model = network(control, normalise_observations=True)
    control.collect(model)
    control.collect(model)
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
    rollout = episodes(control, model)
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

    def reward(walk: Trajectories) -> Rewards:
        successors = walk.record.successors
        return paid(successors[..., 0] * 100 + successors[..., 1], walk.mask)

    for _ in range(3):
        walk = control.collect(model)
        rewards = control.episodes(walk, model, None, reward(walk)).episodes.rewards
        steps, length = walk.record.observations[..., 0], walk.record.observations[..., 1]
        expected = torch.where(walk.mask, (steps + 1) * 100 + length, 0.0)
        assert torch.equal(rewards, expected)
        assert (walk.record.successors[walk.ended][:, 0] == length[walk.ended]).all()
        ends += int(walk.ended.sum())
    assert ends > 5


def test_an_end_beyond_the_budget_restarts_the_return() -> None:
    """The budget drops the decision that ended an episode: its successor belongs to a new one all the same."""
    control = counting("sync", AutoresetMode.SAME_STEP, 1, longest=1)
    source = Scaled(Fixed(environment_reward), ROWS, 0.9)
    model = determined(control)
    walk = control.collect(model, 1)
    assert walk.mask.tolist() == [[True], [False], [False]]
    assert walk.ended.tolist() == [[True], [True], [True]] and walk.last.tolist() == walk.mask.tolist()
    source.running += 5
    source.observe(walk, 0.0)
    assert source.running.tolist() == [0, 0, 0]
    rollout = control.episodes(walk, model, None, source.rewards(walk))
    assert not (rollout.episodes.terminated & ~rollout.episodes.mask).any()


def test_no_critic_no_values() -> None:
    control = ControlRollouts(make(Control("CartPole-v1", 2)), 5, 1)
    rollout = episodes(control, network(control, critic=False))
    assert rollout.episodes.values is rollout.episodes.next_values is rollout.episodes.ref_logp is None


def test_a_saved_control_refuses_another_environment() -> None:
    control = ControlRollouts(make(Control("CartPole-v1", 2)), 5, 1)
    control.collect(network(control))
    saved = control.state_dict()
    for other in (Control("CartPole-v1", 3), Control("Pendulum-v1", 2)):
        with pytest.raises(PlauditError, match="cannot be restored"):
            ControlRollouts(make(other), 5, 1).load_state_dict(saved)
    fresh = ControlRollouts(make(Control("CartPole-v1", 2, vectorization="sync", resume="statistical")), 5, 1)
    fresh.collect(network(fresh))
    assert fresh.returns.tolist() == [5, 5]
    fresh.load_state_dict(fresh.state_dict())
    assert fresh.returns.tolist() == fresh.lengths.tolist() == [0, 0]  # nothing is under way
    again = ControlRollouts(make(Control("CartPole-v1", 2)), 5, 99)
    again.load_state_dict(saved)
    one, other = (episodes(c, network(c)) for c in (control, again))
    assert torch.equal(one.record.observations, other.record.observations)
    assert torch.equal(one.episodes.logp, other.episodes.logp)


# ------------------------------------------------------------------------------------------- by whole episodes


def by_episodes(mode: AutoresetMode, group: int, seed: int = 11, members: int = 1) -> ControlRollouts:
    vector = SyncVectorEnv([lambda: Replayable(Counting())] * 6, autoreset_mode=mode)
    return ControlRollouts(
        Source(vector, "Counting", horizon=6), 4, seed, "episodes", Starts(group, members), 0.9
    )


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("group", [1, 2, 3, 6])
def test_every_row_is_one_whole_episode_and_groups_begin_alike(mode: AutoresetMode, group: int) -> None:
    control = by_episodes(mode, group)
    model, seen = determined(control), set()
    for _ in range(5):
        walk = control.collect(model)
        rollout = control.episodes(walk, model, None, environment_reward(walk))
        e, states = rollout.episodes, walk.record.observations
        assert e.group is not None and e.group.tolist() == [row // group for row in range(6)]
        assert e.discount == 0.9 and walk.timesteps == control.cost(walk) == int(walk.mask.sum())
        for row in range(6):
            length, kind = int(states[row, 0, 1]), int(states[row, 0, 2])
            # one episode from its beginning to its end, nothing after it, no dead step
            assert walk.mask[row].tolist() == [t < length for t in range(walk.mask.shape[1])]
            assert states[row, :length, 0].tolist() == list(range(length))
            assert e.last[row].nonzero().flatten().tolist() == [length - 1]
            assert bool(e.terminated[row].any()) == (kind != 1)
            assert walk.record.successors[row, length - 1, 0] == length
            rewards = [10.0 * (t + 1) + int(walk.record.actions[row, t]) for t in range(length)]
            assert e.rewards[row, :length].tolist() == rewards
            leader = row - row % group
            assert torch.equal(states[row, 0], states[leader, 0])
        firsts = {tuple(states[row, 0].tolist()) for row in range(0, 6, group)}
        assert len(firsts) == 6 // group and not firsts & seen  # groups differ, and so do rollouts
        seen |= firsts
        metrics = rollout.metrics
        assert metrics["rollout/episodes"] == 6
        assert metrics["rollout/ep_len_mean"] == pytest.approx(float(walk.mask.sum()) / 6)
        assert metrics["rollout/ep_rew_mean"] == pytest.approx(float(e.rewards.sum()) / 6)


def test_whole_episodes_are_the_same_whatever_the_autoreset() -> None:
    found = []
    for mode in AutoresetMode:
        control = by_episodes(mode, 2)
        walks = [control.collect(determined(control)) for _ in range(3)]
        found.append(
            [(w.mask, w.record.observations[w.mask], w.record.actions[w.mask], w.last) for w in walks]
        )
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("budget", [1, 5, 17, 60, 61])
def test_a_budget_of_whole_episodes_is_met_exactly(mode: AutoresetMode, budget: int) -> None:
    """What is unfinished at the end took steps, and nobody learns from it."""
    control, spent = by_episodes(mode, 2), 0
    model = determined(control)
    while spent < budget:
        walk = control.collect(model, budget - spent)
        spent += control.cost(walk)
        assert control.cost(walk) > 0
        for row in range(6):
            length = int(walk.record.observations[row, 0, 1])
            assert int(walk.mask[row].sum()) in (0, length)  # all of it, or nothing
            assert bool(walk.last[row].any()) == bool(walk.mask[row].any())
        if spent < budget:
            assert walk.mask.any(dim=1).all() and walk.timesteps == int(walk.mask.sum())
    assert spent == budget


@pytest.mark.parametrize("group", [1, 6])
def test_what_is_cut_by_the_budget_is_compared_with_nothing(group: int) -> None:
    """A row without an end is in no group: as a return of 0 it would turn the baselines of the others."""
    mixed = 0
    for budget in range(1, 36):
        control = by_episodes(AutoresetMode.SAME_STEP, group)
        walk = control.collect(determined(control), budget)
        there = walk.mask.any(dim=1).tolist()
        assert walk.group is not None
        groups = walk.group.tolist()
        assert all(groups[row] == row // group for row in range(6) if there[row])
        alone = [groups[row] for row in range(6) if not there[row]]
        assert len(set(alone)) == len(alone) and not set(alone) & {row // group for row in range(6)}
        mixed += any(there) and not all(there)
    assert group == 6 or mixed > 3


def test_members_of_a_population_play_the_same_different_episodes() -> None:
    control = by_episodes(AutoresetMode.SAME_STEP, 1, members=2)
    starts = control.collect(determined(control)).record.observations[:, 0]
    assert torch.equal(starts[:3], starts[3:]) and len({tuple(row.tolist()) for row in starts[:3]}) == 3


def test_groups_that_do_not_fit_are_one_sentence() -> None:
    with pytest.raises(
        PlauditError, match="6 environments are no whole number of groups of 4; give a multiple of 4"
    ):
        by_episodes(AutoresetMode.SAME_STEP, 4)


def test_whole_episodes_go_on_after_a_resume() -> None:
    one = by_episodes(AutoresetMode.SAME_STEP, 3)
    model = determined(one)
    one.collect(model)
    saved = one.state_dict()
    expected = one.collect(model)
    other = by_episodes(AutoresetMode.SAME_STEP, 3, seed=99)
    other.load_state_dict(saved)
    assert torch.equal(other.collect(model).record.observations, expected.record.observations)
