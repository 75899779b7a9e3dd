"""Runs of the on-policy trainer: schedules, the budget, the KL controller, resuming, the right answer."""

import statistics
from dataclasses import replace

import pytest
import torch
from table_policy import Drawn, Paid, Seen, Settings, Steps, Table, begin, updater_of

from plaudit.algorithms.on_policy import ppo, reinforce
from plaudit.batches import Episodes, Rewards, Rollout
from plaudit.errors import Diverged
from plaudit.maths.advantage import GAE, MonteCarlo
from plaudit.maths.kl import Kl
from plaudit.trainers.on_policy import Algorithm, Config, OnPolicy, Updater


def rate_of(remaining: float, config: Config) -> tuple[float, bool]:
    """The step size of an update with so much of the budget left, and whether the policy moved."""
    state, _, given = begin(config)
    before = state.policy.logits.detach().clone()
    state.update(given, remaining)
    return state.metrics["policy/learning_rate"], not torch.equal(before, state.policy.logits)


def test_the_step_size_is_full_at_first_and_exactly_zero_at_the_end() -> None:
    linear, constant = Config(learning_rate=0.5), Config(learning_rate=0.5, schedule="constant")
    assert rate_of(1.0, linear) == (0.5, True)
    assert rate_of(0.75, linear) == (0.375, True)
    assert rate_of(0.0, linear) == (0.0, False)
    assert rate_of(0.01, constant) == (0.5, True)


def test_the_schedule_counts_what_was_spent_before_the_update() -> None:
    """The first update has the full step size, a run of one update too; each later one what was left before it."""
    config = Config(learning_rate=0.5, epochs=1)
    for budget in (10, 100):
        updater, _, _ = begin(config)
        learner, spent, rates, shown = OnPolicy(updater, Drawn(), Paid(), budget), [0], [], []
        while not learner.done:
            shown.append(learner.progress)
            rates.append(learner.step()["policy/learning_rate"])
            spent.append(learner.spent)
        assert rates == pytest.approx([0.5 * (1 - before / budget) for before in spent[:-1]])
        assert shown == [before / budget for before in spent[:-1]]
        assert rates[0] == 0.5 and rates[-1] > 0


def test_annealed_settings_fall_with_the_budget() -> None:
    for share in (1.0, 0.25, 0.0):
        state, notes, given = begin(Config(anneal=("clip", "kl.coef")))
        state.update(given, share)
        settings = notes.minibatches[0][2]
        assert settings.clip == pytest.approx(0.4 * share)
        assert settings.kl.coef == pytest.approx(0.2 * share)
        assert settings.entropy_coef == 0.1


@pytest.mark.parametrize("budget", [1, 24, 100, 101])
def test_the_budget_is_spent_exactly(budget: int) -> None:
    updater, _, _ = begin(Config(epochs=1))
    rollouts, source, seen = Drawn(), Paid(), []
    learner = OnPolicy(updater, rollouts, source, budget)
    while not learner.done:
        learner.step()
        seen.append(learner.spent)
    assert seen[-1] == updater.decisions == budget and seen == sorted(set(seen))
    assert rollouts.limits == [budget - d for d in [0, *seen[:-1]]]
    assert learner.updates == len(seen) and learner.progress == 1
    # the last whole rollout is the last chance to ask: from there on progress is 1
    expected = [
        1.0 if budget - after < Drawn.size else before / budget
        for before, after in zip([0, *seen[:-1]], seen, strict=True)
    ]
    assert source.observed == expected


def test_a_rollout_that_takes_more_than_was_left_is_a_mistake() -> None:
    class Greedy(Drawn):
        def cost(self, behaviour: Seen) -> int:
            return 1000

    with pytest.raises(ValueError, match="took 1000 of the budget where 1 to 30 were left"):
        OnPolicy(begin(Config())[0], Greedy(), Paid(), 30).step()


def test_the_price_of_kl_follows_its_target() -> None:
    # log pi - log ref = .4 at each of n decisions; target .1: too far, so the price grows by .2 n / 1000
    config = Config(epochs=1)
    state, notes, given = begin(config, Settings(kl=Kl(0.2, target=0.1, horizon=1000)))
    given = replace(given, episodes=replace(given.episodes, ref_logp=given.episodes.logp - 0.4))
    n = int(given.episodes.mask.sum())
    state.update(given, 1.0)
    assert state.kl_coef == pytest.approx(0.2 * (1 + 0.2 * n / 1000))
    assert state.metrics["objective/kl"] == pytest.approx(0.4, abs=1e-6)
    assert state.metrics["objective/kl_coef"] == state.kl_coef
    state.update(given, 1.0)
    assert notes.minibatches[0][2].kl.coef == 0.2
    assert notes.minibatches[-1][2].kl.coef == pytest.approx(0.2 * (1 + 0.2 * n / 1000))
    assert state.kl_coef == pytest.approx(0.2 * (1 + 0.2 * n / 1000) ** 2)
    again, _, _ = begin(config, Settings(kl=Kl(0.2, target=0.1, horizon=1000)))
    again.load_state_dict(state.state_dict())
    assert again.kl_coef == state.kl_coef  # the controller goes on with the rest
    fixed, _, _ = begin(config)
    fixed.update(given, 1.0)
    assert fixed.kl_coef is None


def test_a_run_cut_in_two_is_the_run_in_one_piece_bit_for_bit() -> None:
    config = Config(epochs=3, minibatch_size=5, learning_rate=0.05)
    settings = ppo.Config(advantage=GAE(0.9), entropy_coef=0.01)

    def fresh(seed: int) -> OnPolicy:
        return OnPolicy(updater_of(ppo, settings, config), Drawn(seed), Paid(), 1000)

    straight = fresh(5)
    rows = [straight.step() for _ in range(6)]
    cut = fresh(5)
    assert [cut.step() for _ in range(2)] == rows[:2]
    saved = cut.state_dict()
    cut.step()  # what was saved does not go on with the run
    resumed = fresh(99)
    resumed.step()
    resumed.load_state_dict(saved)
    assert [resumed.step() for _ in range(4)] == rows[2:]
    assert torch.equal(resumed.policy.logits, straight.policy.logits)
    assert torch.equal(resumed.policy.value, straight.policy.value)
    assert resumed.spent == straight.spent and resumed.rewards.observed == straight.rewards.observed


def test_weights_that_are_no_numbers_never_reach_a_checkpoint() -> None:
    updater, _, _ = begin(Config(learning_rate=1e300, epochs=3))
    with pytest.raises(Diverged, match="the weights are"):
        OnPolicy(updater, Drawn(), Paid(), 100).step()


def test_explained_variance_is_of_the_critic_that_collected() -> None:
    """Also where the values are refreshed before later epochs: the report is about what the rollout was judged by."""
    found = {}
    for refresh in ("once", "each epoch"):
        config = Config(epochs=4, refresh_values=refresh, minibatch_size=1000, learning_rate=0.3)
        given = begin(config)[2]
        state = updater_of(ppo, ppo.Config(discount=1.0, advantage=GAE(1.0)), config)
        # the critic said something of each decision when they were collected, and is another one since
        rewards, everywhere = given.episodes.rewards, torch.ones_like(given.episodes.mask)
        values = rewards * 0.5 + given.record.states
        e = replace(given.episodes, values=values, next_values=values.roll(-1, 1), mask=everywhere)
        state.update(replace(given, episodes=e), 1.0)
        target, residual = [], []
        for b in range(e.mask.shape[0]):
            for t in range(e.mask.shape[1]):
                # lambda and discount 1: the target is what follows in the episode of two steps
                gain = float(rewards[b, t]) + (float(rewards[b, t + 1]) if t % 2 == 0 else 0.0)
                target.append(gain)
                residual.append(gain - float(values[b, t]))
        expected = 1 - statistics.variance(residual) / statistics.variance(target)
        assert state.metrics["val/explained_variance"] == pytest.approx(expected, abs=1e-5)
        found[refresh] = state.metrics["val/explained_variance"]
    assert found["once"] == found["each epoch"]


REWARDS = torch.tensor([1.0, 0.0, 0.5, -1.0])
REFERENCE = torch.tensor([0.1, 0.4, 0.3, 0.2])


@pytest.mark.parametrize("price", [0.3, 1.0])
@pytest.mark.parametrize("algorithm", ["ppo", "reinforce"])
@pytest.mark.slow
def test_on_a_bandit_with_a_kl_price_the_best_policy_is_reached(price: float, algorithm: str) -> None:
    """The maximum of E[r] - price KL(pi || ref) is pi* = ref exp(r / price) / Z."""
    best = REFERENCE * (REWARDS / price).exp()
    best = best / best.sum()
    policy = Table(1, 4, critic=False)
    with torch.no_grad():
        policy.logits.copy_(REFERENCE.log())
    world, n, updates = torch.Generator().manual_seed(1), 256, 120

    def collect() -> Rollout:
        actions = torch.multinomial(
            policy.logits.detach().softmax(-1)[0], n, replacement=True, generator=world
        )
        record = Steps(
            torch.zeros(n, 1, dtype=torch.long), actions.unsqueeze(1), torch.arange(n).unsqueeze(1)
        )
        yes = torch.ones(n, 1, dtype=torch.bool)
        with torch.no_grad():
            logp = policy.scores(record).logp
        reference = REFERENCE.log()[record.actions]
        return Rollout(Episodes(logp, REWARDS[record.actions], yes, yes, yes, ref_logp=reference), record)

    if algorithm == "ppo":
        settings = ppo.Config(discount=1.0, advantage=MonteCarlo(), kl=Kl(price))
        config, module = Config(learning_rate=0.1, epochs=4, minibatch_size=n), ppo
    else:
        settings = reinforce.Config(discount=1.0, weight=reinforce.ReturnToGo(), kl=Kl(price))
        config, module = Config(learning_rate=0.1, epochs=1, minibatch_size=n), reinforce
    updater = Updater(policy, Algorithm(module, settings), config, torch.Generator().manual_seed(2))
    for update in range(updates):
        updater.update(collect(), 1 - update / updates)
    found = policy.logits.detach().softmax(-1)[0]
    assert 0.5 * (found - best).abs().sum() <= 0.02
    assert 0.5 * (REFERENCE - best).abs().sum() > 0.1  # it was somewhere else before


class Untaught(Paid):
    """Nobody knows what the first two rollouts are worth."""

    def rewards(self, behaviour: Seen) -> Rewards:
        return replace(super().rewards(behaviour), taught=len(self.observed) > 2)


def test_a_policy_learns_nothing_of_what_nobody_knows_the_worth_of() -> None:
    updater, _, _ = begin(Config(epochs=1))
    learner = OnPolicy(updater, Drawn(), Untaught(), 100)
    start = {name: value.clone() for name, value in updater.policy.trainable().items()}
    for i in range(1, 4):
        row = learner.step()
        moved = any(not torch.equal(value, start[name]) for name, value in updater.policy.trainable().items())
        assert moved == (i > 2) and (row.get("policy/rested") == 1.0) == (i <= 2)
        assert learner.updates == i and learner.spent == updater.decisions and row["reward/observed"] == i
