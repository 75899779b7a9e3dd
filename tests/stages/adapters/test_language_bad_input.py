"""What can go wrong with a language run: one clear sentence each time, and nothing is lost."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from plaudit.errors import PlauditError
from plaudit.models.language.policy import LanguagePolicy
from plaudit.models.language.reward_model import TextReward
from plaudit.runs import config as configs
from plaudit.runs.folder import RunFolder
from plaudit.stages import optimise
from plaudit.stages.adapters.language import LanguageTask
from plaudit.trainers.steps import AdamOptimiser
from tests.processes import contents, differences, metrics
from tests.text_world import World, quiet, write_rows


def refused(config: Any, path: Path) -> str:
    """The one sentence with which a run ends; its folder says the same."""
    with pytest.raises(PlauditError) as caught:
        optimise.start(config, path, quiet)
    manifest = RunFolder(path).read_manifest()
    assert manifest["status"] == "failed" and manifest["error"] == str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without_people(world: World, **changes: Any) -> Any:
    functions = {"texts": f"{world.functions}:texts"}
    reward = {"reward": {"weights": {"texts": 1.0}, "functions": functions}, "feedback": {"labels": 0}}
    return world.config(**reward | changes)


# ---- files ---------------------------------------------------------------------------------------------------------


def test_a_prompt_that_is_too_long(world: World, tmp_path: Path) -> None:
    rows = [{"prompt": f"say {i}:"} for i in range(30)]
    rows[6]["prompt"] = "and on " * 30
    file = write_rows(tmp_path / "prompts.jsonl", rows)
    said = refused(without_people(world, environment={"prompts": str(file)}), tmp_path / "r")
    assert f"{file}, line 7: the prompt has " in said and "but 26 fit the context beside the answer" in said
    for way_out in ("shorten it", "lower environment.max_new_tokens", "`leave out`", "`cut`"):
        assert way_out in said
    left_out = LanguageTask(
        without_people(world, environment={"prompts": str(file), "too_long": "leave out"}),
        RunFolder.create(tmp_path / "left out", {}, "optimise", 0),
    )
    assert left_out.notes == {"1 prompts were left out: they do not fit the context"}
    assert len(left_out.models.prompts.train) + len(left_out.models.prompts.held_out) == 29


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"prompts.jsonl: .*(empty|not a single row)"),
        (b'{"prompt": "a"}\n{"prompt": "\xff"}\n', r"prompts.jsonl.*UTF-8"),
        (b'{"prompt": "a"}\n{"promt": "b"}\n', r"prompts.jsonl, line 2: not a prompt"),
        (b'{"prompt": "a"}\n{"prompt": 3}\n', r"prompts.jsonl, line 2"),
        (b'{"prompt": "a"}\n', r"leaves 0 prompts to learn from and 1 to evaluate on; give more prompts"),
    ],
)
def test_files_of_prompts(content: bytes, message: str, world: World, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_bytes(content)
    said = refused(without_people(world, environment={"prompts": str(file)}), tmp_path / "r")
    assert re.search(message, said), said


def test_no_such_file(world: World, tmp_path: Path) -> None:
    assert "nowhere.jsonl" in refused(
        without_people(world, environment={"prompts": "nowhere.jsonl"}), tmp_path / "r"
    )


def changed(world: World, to: Path, change: Callable[[Path], Any]) -> Path:
    """A copy of the model with something wrong."""
    shutil.copytree(world.lm, to)
    change(to)
    return to


def without_end(folder: Path) -> None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).exists():
            known = json.loads((folder / name).read_text())
            known.pop("eos_token", None)
            (folder / name).write_text(json.dumps(known))


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def cut_off(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_end, "its tokenizer has no end token, so no answer could end; set eos_token"),
        (pickled, "its weights are pickled (pytorch_model.bin)"),
        (cut_off, "model.safetensors is damaged"),
        (lambda folder: (folder / "config.json").unlink(), "config.json is missing"),
    ],
)
def test_models(change: Callable[[Path], Any], message: str, world: World, tmp_path: Path) -> None:
    start = changed(world, tmp_path / "lm", change)
    said = refused(without_people(world, start=str(start)), tmp_path / "r")
    assert said.startswith(str(start)) and message in said


@pytest.mark.slow
def test_a_reward_that_was_never_trained(world: World, tmp_path: Path) -> None:
    """A plain language model would be given a score at random: where nobody teaches it, that is no reward."""
    for weights in ({"learned": 1.0}, {"learned": 0.0, "texts": 1.0}):
        reward = {
            "weights": weights,
            "functions": {"texts": f"{world.functions}:texts"},
            "start": str(world.lm),
        }
        if weights["learned"]:
            del reward["functions"]
        said = refused(world.config(reward=reward, feedback={"labels": 0}), tmp_path / "r")
        assert said.startswith(f"{world.lm}: has no trained score") and said.endswith("with `plaudit reward`")
    taught = optimise.start(
        world.config(reward={"start": str(world.lm)}, updates=1), tmp_path / "taught", quiet
    )
    start = {"start": str(taught.path / "reward")}
    assert (
        LanguageTask(
            world.config(reward=start, feedback={"labels": 0}),
            RunFolder.create(tmp_path / "n", {}, "optimise", 0),
        ).models.reward
        is not None
    )


def test_a_failed_beginning_leaves_the_name_free(world: World, tmp_path: Path) -> None:
    refused(without_people(world, start=str(tmp_path / "nothing")), tmp_path / "r")
    assert (
        optimise.start(without_people(world, updates=1), tmp_path / "r", quiet).read_manifest()["status"]
        == "finished"
    )


# ---- what a run was made of ------------------------------------------------------------------------------------------


def interrupted(config: Any, path: Path, after: int) -> None:
    def stop(row: dict[str, Any]) -> None:
        if row["update"] == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        optimise.start(config, path, stop)


@pytest.mark.parametrize(
    ("what", "after"),
    [("start", 1), ("start", 3), ("environment.prompts", 1), ("reward.start", 3), ("reference", 1)],
)
@pytest.mark.slow
def test_what_has_changed_since_the_run_began(what: str, after: int, world: World, tmp_path: Path) -> None:
    """Also before there was a checkpoint: the questions that are asked are those of the first model."""
    lm, prompts = tmp_path / "lm", tmp_path / "prompts.jsonl"
    shutil.copytree(world.lm, lm), shutil.copy(world.prompts, prompts)
    changes = {
        "start": {"start": str(lm)},
        "environment.prompts": {"environment": {"prompts": str(prompts)}},
        "reward.start": {"reward": {"start": str(lm)}},
        "reference": {"reference": str(lm)},
    }
    path = tmp_path / "run"
    config = world.config(**changes[what])
    interrupted(config, path, after)
    file = prompts if what == "environment.prompts" else lm / "model.safetensors"
    before = file.read_bytes()
    if file == prompts:
        file.write_text(prompts.read_text().replace("say ka:", "say kä:"))
    else:
        weights = load_file(file)
        weights["transformer.h.0.mlp.c_fc.bias"][0] += 1e-3
        save_file(weights, file, {"format": "pt"})
    with pytest.raises(PlauditError) as caught:
        optimise.resume(path, quiet)
    where = prompts if file == prompts else lm
    assert str(caught.value) == (
        f"{what}: {where} is no longer what this run began with; put it back as it was, or begin a new run"
    )
    file.write_bytes(before)
    if (what, after) == ("start", 3):
        optimise.resume(path, quiet)
        optimise.start(config, tmp_path / "whole", quiet)
        assert metrics(path) == metrics(tmp_path / "whole")


# ---- rewards that fail -----------------------------------------------------------------------------------------------

GOOD = "def mine(texts):\n    return [text.count('a') / 2 for text in texts]\n"
FAULTS = {
    "raises": (
        "def mine(texts):\n    raise KeyError('gone')\n",
        r"reward 'mine': it raised KeyError in line 2 of mine.py: 'gone'; the run can be resumed after mending it",
    ),
    "hangs": (
        "import time\ndef mine(texts):\n    time.sleep(60)\n",
        r"reward 'mine': it took longer than 0.3 seconds .*; raise its `time_limit`",
    ),
    "NaN": (
        "def mine(texts):\n    return [float('nan')] * len(texts)\n",
        r"reward 'mine': answer 0 .* got nan, which is no finite float32 number",
    ),
    "too few": (
        "def mine(texts):\n    return [0.0]\n",
        r"reward 'mine': it gave 1 scores, wanted 8; return one for each answer",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.slow
def test_a_reward_that_fails_is_mended(fault: str, world: World, tmp_path: Path) -> None:
    """In the third update; mended, the run comes to what it would have been."""
    file, path, log = tmp_path / "mine.py", tmp_path / "run", []
    file.write_text(GOOD)
    reward = {
        "weights": {"learned": 1.0, "mine": 0.5}, "functions": {"mine": f"{file}:mine"}, "time_limit": 0.3,
        "fit": {"first_steps": 2, "steps": 1, "minibatch_size": 4},
    }  # fmt: skip
    config = world.config(reward=reward, checkpoint_every=1)
    bad, message = FAULTS[fault]
    file.write_text(f"{GOOD}\ngood, count = mine, iter(range(99))\n{bad}\nbroken = mine\n".replace(
        "broken = mine", "broken = mine\ndef mine(texts):\n    return (broken if next(count) == 4 else good)(texts)"
    ))  # fmt: skip
    message = re.sub(r"in line \d+", r"in line \\d+", message)
    with pytest.raises(PlauditError, match=message):
        optimise.start(config, path, log.append)
    assert 1 <= len(log) < 4
    manifest = RunFolder(path).read_manifest()
    assert manifest["status"] == "failed" and re.search(message, manifest["error"])
    if fault not in ("raises", "hangs"):
        return
    file.write_text(GOOD)
    optimise.resume(path, quiet)
    optimise.start(config, tmp_path / "whole", quiet)
    assert differences(contents(tmp_path / "whole"), contents(path)) == []


# ---- memory and divergence -------------------------------------------------------------------------------------------


def runs_out(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, call: int) -> None:
    do, count = getattr(owner, name), iter(range(1, 10**9))

    def counted(*args: Any, **words: Any) -> Any:
        if next(count) == call:
            raise torch.OutOfMemoryError(
                "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total ..."
            )
        return do(*args, **words)

    monkeypatch.setattr(owner, name, counted)


@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (LanguagePolicy, "__init__", 2), (LanguagePolicy, "generate", 4), (LanguagePolicy, "scores", 6),
        (TextReward, "forward", 5), (AdamOptimiser, "step", 6),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_not_enough_memory(
    owner: Any, name: str, call: int, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_out(monkeypatch, owner, name, call)
    said = refused(world.config(), tmp_path / "r")
    assert said == (
        "there is not enough memory (20.00 MiB more were wanted); lower policy.rows, trainer.microbatch_size, environment.batch_size or "
        "environment.max_new_tokens; or set policy.gradient_checkpointing"
    )


@pytest.mark.slow
def test_divergence_never_gets_into_a_checkpoint(world: World, tmp_path: Path) -> None:
    path = tmp_path / "run"
    steady = without_people(
        world, checkpoint_every=1, trainer={"schedule": "constant", "max_grad_norm": None}
    )
    interrupted(steady, path, 3)
    wild = yaml.safe_load((path / "config.yaml").read_text())
    wild["trainer"]["learning_rate"] = 1e37
    (path / "config.yaml").write_text(yaml.safe_dump(wild))
    with pytest.raises(PlauditError, match="learning has diverged: .*lower trainer.learning_rate"):
        optimise.resume(path, quiet)
    assert [p.name for p in sorted((path / "checkpoints").iterdir())] == ["00000001", "00000002"]
    wild["trainer"]["learning_rate"] = steady.trainer.learning_rate
    (path / "config.yaml").write_text(yaml.safe_dump(wild))
    optimise.resume(path, quiet)
    optimise.start(steady, tmp_path / "whole", quiet)
    assert metrics(path) == metrics(tmp_path / "whole")


def test_a_model_that_always_says_the_same(world: World, tmp_path: Path) -> None:
    """Nothing can be asked about it in the first round; later rounds wait for another policy."""
    config = world.config(policy={"shaping": {"temperature": 0.001}}, environment={"max_new_tokens": 1})
    said = refused(config, tmp_path / "r")
    assert said == "the model always says the same, so there is nothing to compare; raise the temperature"


@pytest.mark.slow
def test_a_config_of_a_run_that_no_longer_makes_sense(world: World, tmp_path: Path) -> None:
    path = tmp_path / "run"
    interrupted(without_people(world), path, 3)
    known = configs.load(path / "config.yaml")
    assert replace(known, start=str(world.lm)) == known
    text = (path / "config.yaml").read_text()
    (path / "config.yaml").write_text(text.replace("updates: 4", "updats: 4"))
    with pytest.raises(PlauditError, match=r"config.yaml: updats: unknown field; did you mean 'updates'"):
        optimise.resume(path, quiet)
    (path / "config.yaml").write_text(text.replace("critic: shared", "critic: separate"))
    with pytest.raises(PlauditError, match="put the config back as it was"):
        optimise.resume(path, quiet)
    (path / "config.yaml").write_text(text)
    optimise.resume(path, quiet)
