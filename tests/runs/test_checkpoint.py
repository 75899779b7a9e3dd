"""Checkpoints: what goes in comes out, bit for bit; what is half written never counts."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plaudit.errors import PlauditError
from plaudit.runs.checkpoint import load_tree, save_tree
from plaudit.runs.folder import RunFolder
from plaudit.seeds import seed_of

ARRAYS = hnp.arrays(
    st.sampled_from([np.bool_, np.uint8, np.int8, np.int32, np.int64, np.float32, np.float64, np.float16]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**130), 2**130),
    st.floats(),
    st.text(),
    ARRAYS,
    ARRAYS.map(torch.from_numpy),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    """Equal in kind, type, shape and every bit; tuples come back as lists."""
    if isinstance(one, torch.Tensor):
        return (
            isinstance(other, torch.Tensor) and one.dtype == other.dtype and same(one.numpy(), other.numpy())
        )
    if isinstance(one, np.ndarray):
        alike = isinstance(other, np.ndarray) and (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return (
            isinstance(other, dict) and list(one) == list(other) and all(same(one[k], other[k]) for k in one)
        )
    if isinstance(one, list | tuple):
        return isinstance(other, list) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))


def test_any_tree_comes_back(tmp_path: Path) -> None:
    @given(TREES)
    @settings(max_examples=60, deadline=None, derandomize=True)
    def comes_back(tree: Any) -> None:
        save_tree(tmp_path / "1", {"tree": tree})
        assert same({"tree": tree}, load_tree(tmp_path / "1"))

    comes_back()


def test_what_a_run_keeps_by_hand(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    torch.rand(7, generator=generator)
    bits = np.random.PCG64(5)
    flat = torch.arange(6.0)
    tree = {
        "torch": generator.get_state(),
        "numpy": bits.state,
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "mask": np.array([True, False]),
        "view": flat[2:4],
        "strided": torch.arange(6).reshape(2, 3).T,
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "number": np.float32(0.1),
        "nothing": None,
        "plain": ("a", 1, [2.5, True]),
    }
    save_tree(tmp_path / "1", tree)
    back = load_tree(tmp_path / "1")
    assert back["torch"].dtype == torch.uint8 and torch.equal(back["torch"], generator.get_state())
    assert back["numpy"] == bits.state and back["numpy"]["state"]["state"] > 2**64
    assert back["scalar"].shape == () and back["scalar"].dtype == torch.float64 and back["scalar"] == 2.5
    assert back["mask"].dtype == np.bool_ and back["mask"].tolist() == [True, False]
    assert back["view"].tolist() == [2.0, 3.0] and back["strided"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert back["number"] == float(np.float32(0.1)) and back["plain"] == ["a", 1, [2.5, True]]
    again = torch.Generator()
    again.set_state(back["torch"])
    assert torch.equal(torch.rand(5, generator=again), torch.rand(5, generator=generator))
    back["view"] += 1
    assert flat.tolist() == [0, 1, 2, 3, 4, 5]


def test_what_cannot_be_saved_says_where(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="/a/1: a set cannot be saved"):
        save_tree(tmp_path / "1", {"a": [1, {2}]})


def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", {"x": 1}, "optimise", 0)


def test_the_newest_two_are_kept_and_the_newest_is_read(tmp_path: Path) -> None:
    run = folder(tmp_path)
    assert run.load_checkpoint() is None
    for number in (9, 10, 100, 101):
        run.save_checkpoint(number, {"number": number, "x": torch.ones(3)})
    assert sorted(p.name for p in run.checkpoints.iterdir()) == ["00000100", "00000101"]
    assert run.load_checkpoint()["number"] == 101
    run.save_checkpoint(101, {"number": "again", "x": torch.ones(3)})
    assert run.load_checkpoint()["number"] == "again"


def test_a_half_written_one_never_counts(tmp_path: Path) -> None:
    run = folder(tmp_path)
    run.save_checkpoint(1, {"number": 1, "x": torch.ones(3)})
    shutil.copytree(run.checkpoints / "00000001", run.checkpoints / "00000002.partial")
    (run.checkpoints / "00000002.partial" / "tree.json").write_text('{"numb')
    assert run.load_checkpoint()["number"] == 1
    run.save_checkpoint(2, {"number": 2})
    assert run.load_checkpoint() == {"number": 2}
    assert sorted(p.name for p in run.checkpoints.iterdir()) == ["00000001", "00000002"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda c: _cut(c / "tensors.safetensors"), "damaged checkpoint"),
        (lambda c: _cut(c / "tree.json"), "damaged checkpoint"),
        (lambda c: (c / "tree.json").write_bytes(b"\xff\x00\x81"), "damaged checkpoint"),
        (lambda c: (c / "tree.json").unlink(), "tree.json is missing"),
        (lambda c: (c / "tensors.safetensors").unlink(), "tensors.safetensors is missing"),
        (lambda c: (c / "tensors.safetensors").write_bytes(bytes(200)), "damaged checkpoint"),
        (lambda c: (c / "tree.json").write_text('{"x": {"$tensor": "/y"}}'), "damaged checkpoint"),
    ],
)
def test_damage_is_one_sentence_with_the_way_out(tmp_path: Path, damage: Any, sentence: str) -> None:
    run = folder(tmp_path)
    for number in (1, 2):
        run.save_checkpoint(number, {"number": number, "x": torch.ones(100)})
    damage(run.checkpoints / "00000002")
    with pytest.raises(PlauditError, match=sentence) as caught:
        run.load_checkpoint()
    text = str(caught.value)
    assert str(run.checkpoints / "00000002") in text and "\n" not in text and "delete this folder" in text
    shutil.rmtree(run.checkpoints / "00000002")
    assert run.load_checkpoint()["number"] == 1


def test_metrics_are_cut_back(tmp_path: Path) -> None:
    run = folder(tmp_path)
    run.cut_metrics(0)
    assert run.metrics.read_text() == ""
    rows = [{"update": i, "decisions": 8 * i, "名": "é", "x": None, "list": [0.1, 1e-9]} for i in range(1, 6)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    run.metrics.write_text(text + '{"update": 6, "deci', encoding="utf-8")  # a kill in mid-line
    assert list(run.rows()) == rows
    run.cut_metrics(3)
    assert list(run.rows()) == rows[:3]
    assert run.metrics.read_text(encoding="utf-8") == "".join(text.splitlines(keepends=True)[:3])


@pytest.mark.parametrize("line", ["nonsense", "\0\0\0\0", "[1]"])
def test_a_damaged_line_of_metrics_is_named(tmp_path: Path, line: str) -> None:
    run = folder(tmp_path)
    run.metrics.write_text('{"update": 1}\n' + line + '\n{"update": 3}\n')
    with pytest.raises(PlauditError, match="line 2"):
        run.cut_metrics(3)
    assert line in run.metrics.read_text()


def test_a_run_folder_is_never_overwritten(tmp_path: Path) -> None:
    run = folder(tmp_path)
    config = run.config.read_bytes()
    with pytest.raises(PlauditError, match="a run is here already"):
        RunFolder.create(run.path, {"x": 2}, "optimise", 0)
    assert run.config.read_bytes() == config


def test_not_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(PlauditError, match="not a run folder"):
        RunFolder.open(tmp_path)
    run = folder(tmp_path)
    for damage in ("{", "[]", ""):
        run.manifest.write_text(damage)
        with pytest.raises(PlauditError, match="damaged"):
            RunFolder.open(run.path).read_manifest()


def test_neighbouring_seeds_share_nothing() -> None:
    seeds = {
        seed_of(seed, *purpose)
        for seed in range(50)
        for purpose in (("a",), ("b",), ("person", 1), ("person", 11))
    }
    assert len(seeds) == 200 and max(seeds) < 2**48
