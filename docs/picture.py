"""Draw the README's picture from a run: the true return as people answer, and behaviour before and after.

plaudit run examples/pendulum_preferences.yaml --out runs/picture
python docs/picture.py runs/picture
"""

import argparse
from pathlib import Path

import gymnasium
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from plaudit.environments.control.config import Control
from plaudit.environments.control.wrappers import to_environment
from plaudit.models.actor_critic import ActorCritic
from plaudit.runs import saved
from plaudit.runs.config import load
from plaudit.runs.folder import RunFolder

SHOWN = (0, 12, 24, 36, 48, 60, 199)
"""Steps of the episode of which a frame is shown."""
CROP = slice(90, 410)
"""The part of Pendulum's frame in which something happens."""
INK, FAINT, BLUE, ORANGE = "#24292f", "#8c959f", "#0969da", "#bc4c00"


@torch.no_grad()
def episode(policy: ActorCritic, env: gymnasium.Env, seed: int, draw: bool) -> tuple[list[np.ndarray], float]:
    """One episode with the likeliest actions: frames at the steps SHOWN where asked for, and its true return."""
    observation, _ = env.reset(seed=seed)
    pictures, total = [], 0.0
    for step in range(max(SHOWN) + 1):
        if draw and step in SHOWN:
            pictures.append(np.asarray(env.render())[CROP, CROP])
        state = torch.from_numpy(np.asarray(observation, dtype=np.float32)).reshape(1, -1)
        action = to_environment(policy.distribution(state).mode().numpy(), env.action_space)[0]
        observation, reward, *_ = env.step(action)
        total += float(reward)
    return pictures, total


def typical(policy: ActorCritic, env: gymnasium.Env) -> int:
    """Of the first seeds whose episode begins hanging down, the one with the median return: no lucky one."""
    hanging = [seed for seed in range(100) if env.reset(seed=seed)[0][0] < -0.7]
    returns = [episode(policy, env, seed, draw=False)[1] for seed in hanging]
    return hanging[int(np.argsort(returns)[len(returns) // 2])]


def curves(run: RunFolder, returns: Axes, labels: Axes) -> int:
    """The true return and the answers so far over environment steps; returns the number of answers."""
    rows = list(run.rows())
    steps = np.array([row["timesteps"] for row in rows]) / 1000
    asked = [row.get("feedback/labels", 0) for row in rows]
    seen = [(step, row["rollout/ep_rew_mean"]) for step, row in zip(steps, rows, strict=True)
            if "rollout/ep_rew_mean" in row]  # fmt: skip
    returns.plot(*zip(*seen, strict=True), color=BLUE, linewidth=1.8)
    returns.set_ylabel("true return\n(hidden from the learner)", color=BLUE)
    returns.tick_params(labelbottom=False)
    labels.fill_between(steps, asked, step="post", color=ORANGE, alpha=0.25, linewidth=0)
    labels.step(steps, asked, where="post", color=ORANGE, linewidth=1.4)
    labels.set_ylabel("answers", color=ORANGE)
    labels.set_xlabel("environment steps (thousands)")
    labels.set_ylim(0, 1.25 * max(asked))
    for axes in (returns, labels):
        axes.set_xlim(0, steps[-1])
        axes.grid(color=FAINT, alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
    return int(asked[-1])


def film(figure: SubFigure, pictures: list[np.ndarray], title: str) -> None:
    """One row of frames with its title."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    for place, picture, step in zip(figure.subplots(1, len(SHOWN)), pictures, SHOWN, strict=True):
        place.imshow(picture)
        place.set(xticks=[], yticks=[])
        place.spines[:].set_color(FAINT)
        place.set_xlabel(f"step {step}", fontsize=8, color=FAINT, labelpad=3)


def draw(path: Path, out: Path) -> None:
    """The whole picture."""
    run = RunFolder.open(path)
    made_in = load(run.config).environment
    assert isinstance(made_in, Control)
    environment = made_in.id
    figure = plt.figure(figsize=(12.4, 3.8), layout="constrained", facecolor="white")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 1.75), wspace=0.02)
    answers = curves(run, *left.subplots(2, 1, height_ratios=(2.2, 1), sharex=True))
    left.suptitle(f"{environment}, from comparisons alone", fontsize=10, color=INK, x=0.03, ha="left")
    env = gymnasium.make(environment, render_mode="rgb_array")
    before, after = (saved.load_policy(path / name, environment) for name in ("policy-start", "policy"))
    seed = typical(after, env)
    above, below = right.subfigures(2, 1)
    for row, policy, when in (
        (above, before, "before the first answer"),
        (below, after, f"after {answers} answers"),
    ):
        pictures, total = episode(policy, env, seed, draw=True)
        film(row, pictures, f"{when} (true return of this episode: {total:.0f})")
    env.close()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)
    print(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="a finished run folder")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images" / "pendulum.png")
    given = parser.parse_args()
    draw(given.run, given.out)
