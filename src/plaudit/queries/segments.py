"""Where segments may be cut from a rollout: windows of consecutive decisions inside one episode.

Every possible start counts, the last one too: `np.random.choice(len_traj - size_segment)` in B-Pref (Lee et
al. 2021, arXiv:2111.03026, `reward_model.py`) never draws it and fails where the segment is the whole
episode.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from plaudit.errors import PlauditError
from plaudit.queries.random import Allowed


def windows(mask: Bool[Tensor, "B T"], last: Bool[Tensor, "B T"], length: int) -> Int[Tensor, "W 2"]:
    """(row, first step) of every window of `length` decisions that lies inside one episode, in reading order.

    An episode may end at the window's last step only; a step that is not a decision is never inside. Raises
    `PlauditError` where there is no such window.
    """
    if length < 1:
        raise PlauditError(f"segment: a segment has at least 1 step, not {length}; raise this field")
    runs = run_lengths(mask, last)
    rows, ends = torch.nonzero(runs >= length, as_tuple=True)
    if len(rows) == 0:
        longest = int(runs.max()) if runs.numel() else 0
        raise PlauditError(
            f"segment: no {length} consecutive steps of one episode in this rollout, "
            f"the longest run has {longest}; choose a shorter segment or a longer rollout"
        )
    return torch.stack([rows, ends - length + 1], dim=1)


SHORTEST = 5
"""What is cut short shows this part of a segment's length, at least, unless its whole episode is shorter."""


def cut_short(
    mask: Bool[Tensor, "B T"], last: Bool[Tensor, "B T"], terminated: Bool[Tensor, "B T"], length: int
) -> Int[Tensor, "W 3"]:
    """(row, first step, steps) of every window that a termination cuts shorter than `length` decisions.

    Nothing comes after a termination: such a window is the same span of time as a whole one, of which the rest is
    empty. What the end of the rollout or a time limit cuts is none of it: there something would have followed.
    """
    runs = run_lengths(mask, last)
    rows, ends = torch.nonzero(terminated & mask, as_tuple=True)
    steps, episode = torch.arange(1, length, device=mask.device), runs[rows, ends]
    least = episode.clamp(max=-(-length // SHORTEST))
    which, place = torch.nonzero((steps >= least[:, None]) & (steps <= episode[:, None]), as_tuple=True)
    return torch.stack([rows[which], ends[which] - steps[place] + 1, steps[place]], dim=1)


def run_lengths(mask: Bool[Tensor, "B T"], last: Bool[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """How many consecutive decisions of one episode end with this step, itself included; 0 off the mask."""
    before = torch.nn.functional.pad(mask & ~last, (1, 0))[:, :-1]  # the step before belongs to the same run
    steps = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    opened = torch.where(before, 0, steps)
    if mask.shape[1]:  # cummax refuses an empty dimension
        opened = opened.cummax(dim=1).values
    return torch.where(mask, steps - opened + 1, 0)


def apart(places: Int[Tensor, "W 2"], length: int | Int[Tensor, "W"]) -> Allowed:
    """A test for pairs of these windows, all of one length or each of its own: true where the two share no step."""
    ends = places[:, 1] + length

    def allowed(pairs: Int[Tensor, "P 2"]) -> Bool[Tensor, "P"]:
        one, other = pairs.unbind(dim=1)
        rows, starts = places.unbind(dim=1)
        return (rows[one] != rows[other]) | (ends[one] <= starts[other]) | (ends[other] <= starts[one])

    return allowed
