"""What is cut out of rollouts for the page, by hand."""

from types import SimpleNamespace

import torch

from plaudit.environments.control.rollouts import Trajectories
from plaudit.models.transitions import Transitions
from plaudit.report import rollouts


def made_trajectories() -> Trajectories:
    """Two rows of ten steps; the first has an episode that ends at step 3, the second is one piece with a gap."""
    rewards = torch.arange(20.0).reshape(2, 10)
    zeros = torch.zeros(2, 10, 1)
    ended, mask = torch.zeros(2, 10, dtype=torch.bool), torch.ones(2, 10, dtype=torch.bool)
    ended[0, 3] = True
    mask[1, 9] = False
    last = ended.clone()
    last[0, 9] = last[1, 8] = True
    return Trajectories(Transitions(zeros, zeros, zeros, zeros, rewards), ended, ended, last, mask)


def test_pieces_share_no_step_and_cross_no_end() -> None:
    trajectories = made_trajectories()
    assert rollouts._segments(trajectories, 3) == [
        (0, 0, 3),
        (0, 4, 7),
        (0, 7, 10),
        (1, 0, 3),
        (1, 3, 6),
        (1, 6, 9),
    ]
    assert rollouts._segments(trajectories, 4) == [(0, 0, 4), (0, 4, 8), (1, 0, 4), (1, 4, 8)]
    assert rollouts._episodes(trajectories) == [(0, 0, 4)]


def test_pieces_are_summed_by_both_rewards() -> None:
    trajectories = made_trajectories()
    model = SimpleNamespace(reward=lambda record: -2 * record.environment_rewards)
    found = rollouts._returns_by_both(trajectories, model, [(0, 0, 3), (1, 6, 10)])  # pyright: ignore
    assert found.true.tolist() == [0 + 1 + 2, 16 + 17 + 18]  # the last step is no decision
    assert found.learned.tolist() == [-6, -102]
