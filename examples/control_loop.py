"""Learning from human preferences, the whole loop on one page (Christiano et al. 2017, arXiv:1706.03741).

A pendulum learns to swing up from 200 answers to "which of these two clips is better?". The environment's own
reward is never given to the learner: only the simulated person below looks at it, in order to answer.

    python examples/control_loop.py --seed 0
"""

import argparse

import torch
from torch import Tensor

from plaudit.algorithms.on_policy import ppo
from plaudit.batches import Comparisons
from plaudit.environments.control.rollouts import ControlRollouts, RewardScale, Trajectories
from plaudit.environments.control.make import Control, make
from plaudit.likelihoods import bradley_terry
from plaudit.models.actor_critic import ActorCritic, PolicyConfig
from plaudit.models.reward_ensemble import RewardConfig, RewardEnsemble
from plaudit.queries import random, segments
from plaudit.trainers import on_policy
from plaudit.rewards.learned import fit as reward_fit
from plaudit.trainers.steps import AdamOptimiser

STEPS, ROLLOUT, ENVS, LABELS, CLIP = 192_000, 100, 32, 200, 100

PPO = ppo.Config(discount=0.97, entropy_coef=0.01)
DESCENT = on_policy.Config(learning_rate=1e-3, epochs=10, minibatch_size=320)
LIKELIHOOD = reward_fit.Likelihood(bradley_terry, bradley_terry.Config(scale=0.1))
FIT = reward_fit.Config(subsample=0.125)


def prefers_first(first: Tensor, second: Tensor) -> Tensor:
    """The person: knows what was paid in the clips of every pair [P, CLIP], and likes the larger sum."""
    return (first.sum(dim=1) > second.sum(dim=1)).float()


class Teacher:
    """What people have said so far, and the reward model that learns from it."""

    def __init__(self, model: RewardEnsemble, generator: torch.Generator):
        self.model, self.generator = model, generator
        self.optimiser = AdamOptimiser(model.parameters(), weight_decay=FIT.weight_decay)
        self.first, self.second, self.answers = [], [], []

    def ask(self, walk: Trajectories, count: int) -> None:
        """Cut random pairs of clips out of fresh behaviour and show them to the person."""
        windows = segments.windows(walk.mask, walk.last, CLIP)  # (row, first step) of every possible clip
        pairs = random.pairs(len(windows), count, self.generator, segments.apart(windows, CLIP))
        rows, starts = windows[pairs].unbind(dim=-1)
        columns = starts[..., None] + torch.arange(CLIP)
        paid = walk.record.environment_rewards[rows[..., None], columns]  # [pairs, 2, CLIP]
        clips = self.model.features(walk.record)[rows[..., None], columns]  # [pairs, 2, CLIP, features]
        self.first.append(clips[:, 0])
        self.second.append(clips[:, 1])
        self.answers.append(prefers_first(paid[:, 0], paid[:, 1]))

    def learn(self) -> dict[str, float]:
        """Fit the reward model to all answers: P(first preferred) = sigma(scale * difference of sums)."""
        first, second = torch.cat(self.first), torch.cat(self.second)
        if len(self.answers) == 1:
            self.model.scale_inputs(torch.cat([first, second]).flatten(end_dim=-2))
        whole = torch.ones(first.shape[:2], dtype=torch.bool)  # every clip has all its steps
        pairs = reward_fit.Pairs(first, second, whole, whole, Comparisons(torch.cat(self.answers)))
        steps = FIT.first_steps if len(self.answers) == 1 else FIT.steps
        returns = reward_fit.drawn_returns(self.model, CLIP, FIT.drawn)
        return reward_fit.fit(returns, self.optimiser, pairs, LIKELIHOOD, (FIT, steps), self.generator)


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
    scale = RewardScale(ENVS, PPO.discount)
    world = ControlRollouts(pendulums, ROLLOUT, seed, scale)
    policy = ActorCritic(world.spaces, PolicyConfig(), generator)
    reward = RewardEnsemble(world.spaces, RewardConfig(), generator)
    teacher = Teacher(reward, generator)
    learner = on_policy.Learner(ppo, PPO, DESCENT)
    state = on_policy.start(policy, DESCENT, generator)
    updates = -(-steps // (ROLLOUT * ENVS))
    recent: list[float] = []

    while state.decisions < steps:
        walk, seen = world.walk(policy, steps - state.decisions)  # 1. behave
        if count := questions(state.updates, updates, labels):
            teacher.ask(walk, count)  # 2. ask people about it
            seen |= teacher.learn()  # 3. learn what they want
            scale.reset()  # the reward has changed, so has its size
        reward.standardise(walk.record, walk.mask)
        rollout = world.judge(walk, policy, None, reward.reward, seen)  # 4. judge the behaviour by it
        on_policy.update(
            state, rollout, learner, max(0.0, 1 - state.decisions / steps)
        )  # 5. do more of what they want
        report(state, sum(map(len, teacher.answers)))
        recent = [*recent[-9:], state.metrics.get("rollout/ep_rew_mean", float("nan"))]
    pendulums.close()
    true_return = torch.tensor(recent).nanmean().item()
    print(f"mean true return of the last episodes: {true_return:.0f} (at random -1200, done well -150)")
    return true_return


def report(state: on_policy.State, labels: int) -> None:
    """One line for every tenth update."""
    if state.updates % 10 == 0:
        true = state.metrics.get(
            "rollout/ep_rew_mean", float("nan")
        )  # for us to watch, nobody learns from it
        print(f"{state.decisions:7,} steps  {labels:3} labels  true return {true:6.0f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps in all")
    parser.add_argument("--labels", type=int, default=LABELS, help="comparisons the person answers")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything")
    given = parser.parse_args()
    main(given.steps, given.labels, given.seed)
