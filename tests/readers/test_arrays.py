"""Arrays people have: read as they are, refused with the file, array and place where they cannot be used."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plaudit.errors import PlauditError
from plaudit.readers.arrays import Segment, read_comparisons, read_demonstrations, read_pairs, recorded

STEPS = {
    "obs": np.arange(12.0).reshape(6, 2),
    "actions": np.array([0, 1, 0, 1, 1, 0]),
    "episode_starts": np.array([1, 0, 1, 0, 0, 1], bool),
}
PAIRS = {
    "obs_1": np.arange(24.0).reshape(3, 4, 2),
    "obs_2": -np.arange(24.0).reshape(3, 4, 2),
    "action_1": np.zeros((3, 4, 1)),
    "action_2": np.ones((3, 4, 1)),
    "label": np.array([0, 1, 0.5]),
}


def saved(tmp_path: Path, arrays: dict[str, Any], **changes: Any) -> Path:
    path = tmp_path / "data.npz"
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    return path


def test_demonstrations(tmp_path: Path) -> None:
    steps = read_demonstrations(saved(tmp_path, STEPS))
    assert steps.observations.tolist() == STEPS["obs"].tolist() and steps.actions.tolist() == [
        0,
        1,
        0,
        1,
        1,
        0,
    ]
    for count, length in ((1, 2), (2, 5), (3, 6), (9, 6)):
        part = steps.first_episodes(count)
        assert len(part.observations) == len(part.actions) == len(part.starts) == length
    for count in (0, -1):
        with pytest.raises(PlauditError, match="episodes"):
            steps.first_episodes(count)


def test_without_starts_it_is_one_episode(tmp_path: Path) -> None:
    steps = read_demonstrations(saved(tmp_path, STEPS, episode_starts=None))
    assert steps.starts.tolist() == [True, False, False, False, False, False]
    assert len(steps.first_episodes(1).actions) == 6


def test_pairs_and_what_their_labels_mean(tmp_path: Path) -> None:
    pairs = read_pairs(saved(tmp_path, PAIRS))
    assert pairs.preference.tolist() == [1.0, 0.0, 0.5]  # 0: the first is better
    assert pairs.observations[0][0, 0].tolist() == [0, 1] and pairs.actions[1].min() == 1


def bad(array: np.ndarray, value: float, *place: int) -> np.ndarray:
    array = array.astype(float)
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"obs": None}, "no array `obs` (found: actions, episode_starts)"),
        ({"actions": None, "action": STEPS["actions"]}, "no array `actions`"),
        ({"actions": STEPS["actions"][:5]}, "actions has 5 rows but obs has 6"),
        ({"episode_starts": np.array([True])}, "episode_starts has 1 rows"),
        ({"episode_starts": np.array(["yes"] * 6)}, "`episode_starts` holds <U3"),
        ({"obs": bad(STEPS["obs"], np.nan, 3, 1)}, "`obs`[3, 1] is nan"),
        ({"actions": bad(STEPS["actions"], np.inf, 2)}, "`actions`[2] is inf"),
        ({"obs": np.array(["a"] * 6)}, "`obs` holds <U1, not numbers"),
        ({"obs": np.float64(3)}, "`obs` is a single number"),
        (
            {"obs": np.zeros((0, 2)), "actions": np.zeros(0), "episode_starts": np.zeros(0, bool)},
            "not a single step",
        ),
        ({"obs": np.array([{}] * 6, object)}, "not a readable .npz of plain arrays"),
    ],
)
def test_bad_demonstrations(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    path = saved(tmp_path, STEPS, **changes)
    with pytest.raises(PlauditError) as caught:
        read_demonstrations(path)
    assert str(path) in str(caught.value) and sentence in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"label": None}, "no array `label`"),
        ({"label": np.array([0, 1, 0.7])}, "label[2] is 0.7; a label is 0 (first), 1 (second) or .5 (equal)"),
        ({"label": np.array([0, 1, -1])}, "label[2] is -1"),
        ({"label": np.array([0, 1, np.nan])}, "`label`[2] is nan"),
        ({"label": np.array([0, 1])}, "do not fit"),
        ({"label": np.array([[0], [1], [1]])}, "do not fit"),
        ({"label": np.float64(1)}, "`label` is a single number"),
        ({"obs_2": PAIRS["obs_2"][:, :3]}, "the two sides differ"),
        ({"action_2": PAIRS["action_2"][:2]}, "the two sides differ"),
        ({"action_1": PAIRS["action_1"][:, :2], "action_2": PAIRS["action_2"][:, :2]}, "do not fit"),
        ({"action_1": np.zeros(3), "action_2": np.zeros(3)}, "do not fit"),
        ({"obs_1": np.zeros((3, 4)), "obs_2": np.zeros((3, 4))}, "do not fit"),
        ({"obs_1": bad(PAIRS["obs_1"], np.inf, 1, 2, 0)}, "`obs_1`[1, 2, 0] is inf"),
        ({"action_2": bad(PAIRS["action_2"], np.nan, 0, 3, 0)}, "`action_2`[0, 3, 0] is nan"),
    ],
)
def test_bad_pairs(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    path = saved(tmp_path, PAIRS, **changes)
    with pytest.raises(PlauditError) as caught:
        read_pairs(path)
    assert str(path) in str(caught.value) and sentence in str(caught.value)


class Bomb:
    """Unpickling this writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    exploded = tmp_path / "exploded"
    inside = tmp_path / "inside.npz"
    np.savez(inside, obs=np.array([Bomb(exploded)], object), actions=np.zeros(1))
    whole = tmp_path / "whole.npz"
    whole.write_bytes(pickle.dumps(Bomb(exploded)))
    for path in (inside, whole):
        for read in (read_demonstrations, read_pairs):
            with pytest.raises(PlauditError, match=r"not a readable \.npz of plain arrays"):
                read(path)
    assert not exploded.exists()


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(PlauditError, match="no such file"):
        read_pairs(path)
    with pytest.raises(PlauditError, match="not a readable"):
        read_pairs(tmp_path)
    good = saved(tmp_path, PAIRS).read_bytes()
    np.save(tmp_path / "one.npy", np.zeros(3))
    for content in (
        b"",
        b"PK\x03\x04",
        b"hello",
        good[: len(good) // 2],
        (tmp_path / "one.npy").read_bytes(),
    ):
        path.write_bytes(content)
        with pytest.raises(PlauditError, match=r"not a readable \.npz"):
            read_pairs(path)
    np.savez_compressed(path, **PAIRS)
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)  # inside the first compressed member
    path.write_bytes(data)
    with pytest.raises(PlauditError, match=r"not a readable \.npz"):
        read_pairs(path)


def test_segments_of_unequal_length_and_their_ends(tmp_path: Path) -> None:
    """There and back through both forms: how long each is, and whether its episode ended with it."""
    rng = np.random.default_rng(0)

    def segment(steps: int, terminated: bool) -> Segment:
        return Segment(
            rng.normal(size=(steps, 2)).astype(np.float32),
            rng.normal(size=(steps, 1)).astype(np.float32),
            terminated,
        )

    sides = [segment(4, False), segment(2, True)], [segment(1, True), segment(3, False)]
    pairs = recorded(sides, np.array([1.0, 0.5]))
    assert pairs.observations[0].shape == (2, 4, 2) and not pairs.observations[0][1, 2:].any()
    names = {
        "obs": pairs.observations,
        "action": pairs.actions,
        "steps": pairs.steps,
        "terminated": pairs.terminated,
    }
    arrays = {f"{name}_{i}": pair[i - 1] for name, pair in names.items() if pair is not None for i in (1, 2)}
    lines = tmp_path / "pairs.jsonl"
    rows = [
        {"kind": "comparison", "answer": answer}
        | {
            name: {"observations": one.observations.tolist(), "actions": one.actions.tolist()}
            | ({"terminated": True} if one.terminated else {})
            for name, one in (("first", first), ("second", second))
        }
        for first, second, answer in zip(*sides, ("first", "equal"), strict=True)
    ]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for again in (
        read_pairs(saved(tmp_path, arrays | {"label": np.array([0, 0.5])})),
        read_comparisons(lines),
    ):
        assert again.preference.tolist() == [1.0, 0.5]
        for which in (0, 1):
            for one, other in zip(again.segments(which), sides[which], strict=True):
                assert np.array_equal(one.observations, other.observations)
                assert np.array_equal(one.actions, other.actions) and one.terminated == other.terminated


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps_1": np.array([4, 4, 4])}, "no array `steps_2`"),
        ({"steps_1": np.array([4, 5, 4]), "steps_2": np.array([4, 4, 4])}, "steps_1[1] is 5"),
        ({"steps_1": np.array([4, 4, 4]), "steps_2": np.array([4, 0, 4])}, "steps_2[1] is 0"),
        ({"terminated_1": np.array([1, 0]), "terminated_2": np.array([1, 0, 0])}, "do not fit"),
    ],
)
def test_bad_lengths(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    path = saved(tmp_path, PAIRS, **changes)
    with pytest.raises(PlauditError) as caught:
        read_pairs(path)
    assert str(path) in str(caught.value) and sentence in str(caught.value)
