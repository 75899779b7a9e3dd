"""Random episodes for tests: rows of several episodes, gaps inside them, rubbish where the mask is false."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from plaudit.batches import Episodes
from plaudit.maths.kl import Kl

FLOATS = ("logp", "rewards", "values", "next_values", "ref_logp")


def random_episodes(seed: int, rows: int = 3, columns: int = 7, present: float = 0.7) -> Episodes:
    """float64 episodes; at least two decisions; masked positions hold ordinary numbers and ends."""
    rng = np.random.default_rng(seed)

    def normal(scale: float = 1.0) -> Tensor:
        return torch.from_numpy(rng.normal(scale=scale, size=(rows, columns)))

    mask = torch.from_numpy(rng.random((rows, columns)) < present)
    mask[0, :2] = True
    last = torch.from_numpy(rng.random((rows, columns)) < 0.25)
    last[:, -1] = True
    terminated = last & torch.from_numpy(rng.random((rows, columns)) < 0.5)
    return Episodes(
        logp=normal(0.5) - 1,
        rewards=normal(),
        terminated=terminated,
        last=last,
        mask=mask,
        values=normal(),
        next_values=normal(),
        ref_logp=normal(0.5) - 1,
    )


def rubbish(x: Tensor, mask: Tensor, seed: int) -> Tensor:
    """x with NaN, infinities and huge numbers where the mask is false."""
    rng = np.random.default_rng(seed)
    junk = rng.choice([np.nan, np.inf, -np.inf, 1e30, -999.0, 0.0], size=tuple(x.shape))
    return torch.where(mask, x, torch.from_numpy(junk).to(x.dtype))


def refilled(e: Episodes, seed: int) -> Episodes:
    """The same episodes with other rubbish at every masked position, ends included."""
    rng = np.random.default_rng(seed)
    given = {name: getattr(e, name) for name in FLOATS}
    changed = {
        name: rubbish(x, e.mask, seed + i) for i, (name, x) in enumerate(given.items()) if x is not None
    }
    for name in ("terminated", "last"):
        flags = torch.from_numpy(rng.random(tuple(e.mask.shape)) < 0.5)
        changed[name] = torch.where(e.mask, getattr(e, name), flags)
    return replace(e, **changed)


def episode_indices(e: Episodes) -> list[tuple[int, list[int]]]:
    """(row, columns) of every episode, decisions only; an episode ends at `last` or with its row."""
    found = []
    for b in range(e.mask.shape[0]):
        columns: list[int] = []
        for t in range(e.mask.shape[1]):
            if not e.mask[b, t]:
                continue
            columns.append(t)
            if e.last[b, t]:
                found.append((b, columns))
                columns = []
        if columns:
            found.append((b, columns))
    return found


def slow_returns(episodes: Episodes, price: Kl) -> list[float]:
    """What each row is worth, discounted, minus the price of k1 where it is charged in the reward: loops alone."""
    assert episodes.ref_logp is not None
    found = []
    for b in range(len(episodes.mask)):
        total, k = 0.0, 0
        for t in range(episodes.mask.shape[1]):
            if episodes.mask[b, t]:
                reward = float(episodes.rewards[b, t])
                if price.where == "reward":
                    reward -= price.coef * float(episodes.logp[b, t] - episodes.ref_logp[b, t])
                total, k = total + episodes.discount**k * reward, k + 1
        found.append(total)
    return found
