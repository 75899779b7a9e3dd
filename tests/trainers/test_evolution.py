"""The evolution learner: one generation is ask, behave, tell; the budget is exact; it resumes and it climbs."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from plaudit.algorithms.evolution import es
from plaudit.batches import Rewards
from plaudit.errors import Diverged, PlauditError
from plaudit.trainers.evolution import Config, Evolution, Search
from plaudit.trainers.learner import Learner, RewardSource, Rollouts
from plaudit.trainers.on_policy import Algorithm

TARGET = torch.tensor([1.0, -2.0, 0.5])


class Point(nn.Module):
    """A policy that is its parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.where = nn.Parameter(torch.zeros(3))

    def population(self, vectors: Tensor) -> Tensor:
        return vectors

    def trainable(self) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in self.named_parameters()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        with torch.no_grad():
            self.where.copy_(tensors["where"])


@dataclass
class Tried:
    """Where each perturbation went; `episodes` rows of each, one decision a row."""

    places: Tensor
    mask: Tensor
    metrics: dict[str, float] = field(default_factory=lambda: {"rollout/given": 2.0})


class Places:
    """Behaviour of a population: every member goes to its own parameters, `episodes` times."""

    def __init__(self, members: int, episodes: int = 1):
        self.members, self.size = members * episodes, members * episodes
        self.episodes_each = episodes
        self.limits: list[int] = []

    def collect(self, policy: Tensor, limit: int) -> Tried:
        self.limits.append(limit)
        places = policy.repeat_interleave(self.episodes_each, dim=0)
        return Tried(places, torch.arange(len(places))[:, None] < limit)

    def cost(self, behaviour: Tried) -> int:
        return int(behaviour.mask.sum())

    def episodes(self, *arguments: Any) -> Any:
        raise AssertionError("evolution needs no log-probabilities")

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


class Near:
    """Pays for being near the target; notes its progress."""

    def __init__(self, fault: float = 0.0) -> None:
        self.fault, self.progress = fault, []

    def observe(self, behaviour: Tried, progress: float) -> dict[str, Any]:
        self.progress.append(progress)
        return {"reward/seen": float(len(self.progress))}

    def rewards(self, behaviour: Tried) -> Rewards:
        return Rewards(-((behaviour.places - TARGET) ** 2).sum(dim=1) + self.fault)

    def state_dict(self) -> dict[str, Any]:
        return {"progress": list(self.progress)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.progress = list(state["progress"])


def learner(
    budget: int, pairs: int = 8, episodes: int = 1, source: Near | None = None, **config: Any
) -> Evolution:
    settings = Config(**{"learning_rate": 0.1, "episodes": episodes} | config)
    algorithm = Algorithm(es, es.Config(pairs=pairs, sigma=0.2), "es")
    search = Search(Point(), algorithm, settings, torch.Generator().manual_seed(0))
    return Evolution(search, Places(2 * pairs, episodes), source or Near(), budget)


def test_the_parts_are_what_they_promise() -> None:
    assert (
        isinstance(learner(1), Learner)
        and isinstance(Places(2), Rollouts)
        and isinstance(Near(), RewardSource)
    )


@pytest.mark.parametrize("episodes", [1, 3])
def test_one_generation_by_hand(episodes: int) -> None:
    """Adam's first step is the rate times the sign of the direction that `tell` gives, but for eps."""
    one = learner(16 * episodes * 4, episodes=episodes)
    tried = es.ask(torch.zeros(3), es.Config(pairs=8, sigma=0.2), torch.Generator().manual_seed(0))
    fitness = -((tried - TARGET) ** 2).sum(dim=1)
    direction = es.tell(torch.zeros(3), tried, fitness, es.Config(pairs=8, sigma=0.2))
    metrics = one.step()
    expected = 0.1 * direction / (direction.abs() + 1e-5)
    torch.testing.assert_close(one.policy.where.detach(), expected, rtol=1e-4, atol=1e-5)
    assert metrics["evolution/fitness_mean"] == pytest.approx(float(fitness.mean()))
    assert metrics["evolution/fitness_max"] == pytest.approx(float(fitness.max()))
    assert metrics["evolution/fitness_std"] == pytest.approx(float(fitness.std(correction=0)), rel=1e-5)
    assert metrics["policy/grad_norm"] == pytest.approx(float(direction.norm()), rel=1e-5)
    assert (
        metrics["rollout/given"] == 2
        and metrics["reward/seen"] == 1
        and metrics["policy/learning_rate"] == 0.1
    )
    assert one.progress == 0.25 and one.updates == 1


def test_the_budget_is_exact_and_what_it_cuts_is_not_learned_from() -> None:
    one, where = learner(40), []
    rates = []
    while not one.done:
        rates.append(one.step().get("policy/learning_rate"))
        where.append(one.policy.where.detach().clone())
    assert one.spent == 40 and one.updates == 3 and one.rollouts.limits == [40, 24, 8]
    assert rates[:2] == pytest.approx([0.1, 0.1 * (1 - 16 / 40)]) and rates[2] is None
    assert torch.equal(where[1], where[2])  # eight of sixteen would be no fair comparison
    # 1 where no other whole generation follows
    assert one.rewards.progress == [0.0, 1.0, 1.0]


def test_it_climbs() -> None:
    one = learner(16 * 150, learning_rate=0.2)
    while not one.done:
        one.step()
    assert (one.policy.where.detach() - TARGET).norm() < 0.1


def test_a_run_cut_in_two_is_the_run_in_one_piece() -> None:
    straight = learner(16 * 6)
    rows = [straight.step() for _ in range(6)]
    cut = learner(16 * 6)
    assert [cut.step() for _ in range(2)] == rows[:2]
    saved = cut.state_dict()
    cut.step()
    resumed = learner(16 * 6)
    resumed.step()
    resumed.load_state_dict(saved)
    assert [resumed.step() for _ in range(4)] == rows[2:]
    assert torch.equal(resumed.policy.where, straight.policy.where) and resumed.done


def test_what_is_not_finite_is_told() -> None:
    with pytest.raises(PlauditError, match="es: a fitness is not finite; mend the reward"):
        learner(64, source=Near(float("nan"))).step()
    one = learner(64, learning_rate=1e300)
    with pytest.raises(Diverged, match="the weights are"):
        one.step()


def test_a_generation_nobody_knows_the_worth_of_moves_nothing() -> None:
    class Untaught(Near):
        def rewards(self, behaviour: Tried) -> Rewards:
            return replace(super().rewards(behaviour), taught=False)

    one = learner(64, source=Untaught())
    one.step()
    assert one.policy.where.tolist() == [0.0] * 3 and one.updates == 1 and one.spent == 16
