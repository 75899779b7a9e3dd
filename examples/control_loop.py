"""Learning from human preferences, the whole loop on one page (Christiano et al. 2017, arXiv:1706.03741).

A pendulum learns to swing up from 200 answers to "which of these two clips is better?". The environment's own
reward is never given to the learner: only the simulated person below looks at it, in order to answer.

    python examples/control_loop.py --seed 0
"""

import argparse
from typing import Any

import torch
from torch import Tensor

from plaudit.algorithms.on_policy import ppo
from plaudit.batches import Rewards
from plaudit.environments.control.config import Control
from plaudit.environments.control.make import make
from plaudit.environments.control.rollouts import ControlRollouts, Trajectories
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.queries import random, segments
from plaudit.rewards.control import SegmentReward, Window, cut, paid
from plaudit.rewards.learned import fit
from plaudit.rewards.learned.terms import Judgement, LikelihoodConfig
from plaudit.rewards.learned.trainer import LearnedConfig, RewardTrainer
from plaudit.rewards.weighted import Scaled
from plaudit.trainers import on_policy
from plaudit.trainers.on_policy import Algorithm, Updater

STEPS, ROLLOUT, ENVS, LABELS, CLIP = 192_000, 100, 32, 200, 100

PPO = Algorithm(ppo, ppo.Config(discount=0.97, entropy_coef=0.01), "ppo")
DESCENT = on_policy.Config(learning_rate=1e-3, epochs=10, minibatch_size=320)
# P(first preferred) = sigma(scale * difference of the summed rewards): Bradley-Terry
LEARNED = LearnedConfig(LikelihoodConfig(scale=0.1), fit.Config(subsample=0.125))


def prefers_first(first: Tensor, second: Tensor) -> float:
    """The person: knows what was paid in the steps of two clips, and likes the larger sum."""
    return float(first.sum() > second.sum())


class Person:
    """A `RewardSource`: asks about fresh behaviour, learns from all that was said so far, and pays by it."""

    def __init__(self, model: RewardEnsemble, updates: int, labels: int, generator: torch.Generator):
        self.model, self.updates, self.labels, self.generator = model, updates, labels, generator
        medium = SegmentReward(model, lambda clip: clip, LEARNED.fit.subsample)
        self.trainer = RewardTrainer(medium, LEARNED, generator)
        self.said: list[Judgement] = []
        self.update = 0

    def observe(self, behaviour: Trajectories, progress: float) -> dict[str, Any]:
        """Ask what is due; where something was, fit the reward model to all answers."""
        count = questions(self.update, self.updates, self.labels)
        self.update += 1
        metrics: dict[str, Any] = {}
        if count:
            self.ask(behaviour, count)
            metrics = self.trainer.fit(self.said) | {"feedback/refitted": True}
        self.model.standardise(
            behaviour.record, behaviour.mask
        )  # what comparisons leave open: zero and scale
        return metrics

    def ask(self, behaviour: Trajectories, count: int) -> None:
        """Cut random pairs of clips out of this behaviour and show them to the person."""
        windows = segments.windows(behaviour.mask, behaviour.last, CLIP)  # (row, first step) of every clip
        pairs = random.pairs(len(windows), count, self.generator, segments.apart(windows, CLIP))
        for pair in windows[pairs].tolist():
            first, second = (cut(behaviour.record, Window(row, start, CLIP)) for row, start in pair)
            answer = prefers_first(first.environment_rewards, second.environment_rewards)
            self.said.append(Judgement("comparison", (first, second), (answer,)))

    def rewards(self, behaviour: Trajectories) -> Rewards:
        """What the reward model pays for every step."""
        return paid(self.model.reward(behaviour.record), behaviour.mask)

    def state_dict(self) -> dict[str, Any]:
        """Nothing is saved here; a run does (`plaudit run`)."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to go on from."""


def questions(update: int, updates: int, labels: int) -> int:
    """How many to ask now: a quarter of the labels at the start, the others over the first half."""
    if update == 0:
        return labels // 4
    rest = labels - labels // 4
    before, now = (rest * min(2 * u, updates) // updates for u in (update - 2, update))
    return now - before if update % 2 == 0 else 0


def main(steps: int, labels: int, seed: int) -> float:
    """Run the loop; returns the mean true return of the last episodes, which the learner never saw."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    pendulums = make(Control("Pendulum-v1", envs=ENVS))
    world = ControlRollouts(pendulums, ROLLOUT, seed)
    policy = ActorCritic(world.spaces, PolicyConfig(), generator)
    model = RewardEnsemble(world.spaces, RewardConfig(), generator)
    person = Person(model, -(-steps // (ROLLOUT * ENVS)), labels, generator)
    rewards = Scaled(person, ENVS, PPO.settings.discount)  # in units of the spread of the return
    learner = Updater(policy, PPO, DESCENT, generator)
    recent: list[float] = []

    while (left := steps - learner.decisions) > 0:
        behaviour = world.collect(policy, left)  # 1. behave
        rewards.observe(behaviour, 1 - left / steps)  # 2. ask people about it, 3. learn what they want
        worth = rewards.rewards(behaviour)  # 4. judge the behaviour by it
        rollout = world.episodes(behaviour, policy, None, worth)
        learner.update(rollout, left / steps)  # 5. do more of what they want
        report(learner, len(person.said))
        recent = [*recent[-9:], learner.metrics.get("rollout/ep_rew_mean", float("nan"))]
    pendulums.close()
    true_return = torch.tensor(recent).nanmean().item()
    print(f"mean true return of the last episodes: {true_return:.0f} (at random -1200, done well -150)")
    return true_return


def report(learner: Updater, labels: int) -> None:
    """One line for every tenth update; the true return is for us to watch, nobody learns from it."""
    if learner.updates % 10 == 0:
        true = learner.metrics.get("rollout/ep_rew_mean", float("nan"))
        print(f"{learner.decisions:7,} steps  {labels:3} labels  true return {true:6.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps in all")
    parser.add_argument("--labels", type=int, default=LABELS, help="comparisons the person answers")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything")
    given = parser.parse_args()
    main(given.steps, given.labels, given.seed)
