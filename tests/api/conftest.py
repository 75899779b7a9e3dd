"""What the faces are tried on: the four programs, a small language model with feedback, Pendulum with feedback."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.text_world import World, make_world


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the four programs beside the checkout."""
    place = Path(__file__).parents[3] / "shared" / "programs"
    if not place.is_dir():
        pytest.skip(f"there is no {place}")
    return place


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A model of two small layers that has learned to answer."""
    return make_world(tmp_path_factory.mktemp("world"))


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pendulum_rows(count: int, steps: int = 20, seed: int = 0) -> list[dict]:
    """Comparisons of made-up segments: upright and slow is better (cos, sin, speed; a torque)."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        sides, worth = [], []
        for _ in range(2):
            angle = generator.uniform(-np.pi, np.pi) + np.cumsum(generator.normal(0, 0.05, steps))
            observations = np.stack([np.cos(angle), np.sin(angle), generator.normal(0, 1, steps)], axis=1)
            actions = generator.uniform(-2, 2, (steps, 1))
            sides.append({"observations": observations.tolist(), "actions": actions.tolist()})
            worth.append(float(np.cos(angle).sum()))
        answer = "first" if worth[0] > worth[1] else "second"
        rows.append({"kind": "comparison", "answer": answer, "first": sides[0], "second": sides[1]})
    return rows


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Comparisons of Pendulum segments as they are exported."""
    return write(tmp_path_factory.mktemp("feedback") / "pendulum.jsonl", pendulum_rows(60))
