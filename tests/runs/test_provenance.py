"""What a run was made of: hashes that see every change and nothing else."""

from pathlib import Path
from typing import Any

import pytest
import torch

from plaudit.environments.language.prompts import Prompt
from plaudit.errors import PlauditError
from plaudit.models.language import loading
from plaudit.runs import provenance
from plaudit.runs.folder import RunFolder
from tests.text_world import World


def test_weights(world: World, tmp_path: Path) -> None:
    lm, spoken = loading.load(str(world.lm))
    before = provenance.of_weights(lm)
    loading.save(tmp_path / "copy", lm, spoken)
    assert provenance.of_weights(loading.load(str(tmp_path / "copy"))[0]) == before and len(before) == 64
    with torch.no_grad():
        lm.transformer.wte.weight[3, 1] += 1e-6
    changed = provenance.of_weights(lm)
    assert changed != before
    with torch.no_grad():
        lm.transformer.wte.weight[3] = lm.transformer.wte.weight[3].flip(0)
    assert len({provenance.of_weights(lm), changed, before}) == 3


def test_prompts() -> None:
    def prompt(*tokens: int, **columns: Any) -> Prompt:
        return Prompt(tokens, "text", columns)

    one = provenance.of_prompts([prompt(1, 2), prompt(3)], [prompt(4)])
    assert one == provenance.of_prompts([prompt(1, 2), prompt(3)], [prompt(4)])
    others = [
        provenance.of_prompts([prompt(3), prompt(1, 2)], [prompt(4)]),
        provenance.of_prompts([prompt(1, 2)], [prompt(3), prompt(4)]),
        provenance.of_prompts([prompt(1, 2, label="x"), prompt(3)], [prompt(4)]),
        provenance.of_prompts([prompt(1), prompt(2, 3)], [prompt(4)]),
    ]
    assert len({one, *others}) == 5


def test_keeping(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "r", {}, "optimise", 0)
    provenance.keep(folder, {"start": ("lm", "abc"), "environment.prompts": ("p.jsonl", "def")})
    assert folder.read_manifest()["made_of"] == {"start": "abc", "environment.prompts": "def"}
    provenance.keep(folder, {"start": ("elsewhere/lm", "abc"), "environment.prompts": ("p.jsonl", "def")})
    with pytest.raises(PlauditError) as caught:
        provenance.keep(folder, {"start": ("lm", "abc"), "environment.prompts": ("p.jsonl", "xyz")})
    assert str(caught.value) == (
        "environment.prompts: p.jsonl is no longer what this run began with; put it back as it was, or begin a new run"
    )
    assert folder.read_manifest()["made_of"] == {"start": "abc", "environment.prompts": "def"}


def test_names_of_the_version_before_are_the_same_fields(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", {}, "optimise", 0)
    folder.write_manifest({"made_of": {"start": "abc", "language.prompts": "def"}})
    provenance.keep(folder, {"start": ("lm", "abc"), "environment.prompts": ("p.jsonl", "def")})
    with pytest.raises(
        PlauditError, match="environment.prompts: p.jsonl is no longer what this run began with"
    ):
        provenance.keep(folder, {"environment.prompts": ("p.jsonl", "xyz")})
