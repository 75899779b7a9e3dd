import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from plaudit.models.language import folders, loading, reward_model
from tests.models.language.tiny import lm, seeded, words


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model as it ought to be."""
    loading.save(tmp_path / "model", lm(), words())
    return tmp_path / "model"


def pickled(folder: Path, model: Any) -> None:
    """Weights as older programs wrote them."""
    torch.save(
        {name: tensor.clone() for name, tensor in model.state_dict().items()}, folder / "pytorch_model.bin"
    )
    (folder / "model.safetensors").unlink()


def test_nothing_is_wrong(folder: Path) -> None:
    assert folders.fault(folder) is None


def test_no_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert "config.json is missing" in str(folders.fault(folder))


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    assert "there are no weights in it (model.safetensors is missing)" in str(folders.fault(folder))


def test_what_a_trainer_leaves_is_not_taken_for_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    for name in ("training_args.bin", "optimizer.pt", "rng_state_0.pth"):
        (folder / name).write_bytes(b"")
    assert "there are no weights in it" in str(folders.fault(folder))


@pytest.mark.parametrize("content", [b"", b"hello world" * 30, None])
def test_damaged_weights(folder: Path, content: bytes | None) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100] if content is None else content)
    said = str(folders.fault(folder))
    assert said.startswith("model.safetensors is damaged (") and said.endswith("); copy or fetch it again")


def test_one_of_several_files_is_missing(folder: Path) -> None:
    with loading.quiet():
        lm().save_pretrained(folder, max_shard_size="10KB")
    (folder / "model.safetensors").unlink()
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2 and folders.fault(folder) is None
    shards[1].unlink()
    assert f"{shards[1].name} is missing (1 of {len(shards)} files of weights)" in str(folders.fault(folder))
    index = folder / "model.safetensors.index.json"
    for text in ("{", "[]", json.dumps({"weight_map": 3})):
        index.write_text(text)
        assert folders.fault(folder) == f"{index.name} is damaged; copy or fetch it again"


def test_adapters_without_their_model(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    assert "holds adapters and not their model; merge them into it" in str(folders.fault(folder))


def test_a_file_is_no_folder(folder: Path) -> None:
    assert str(folders.fault(folder / "config.json")).startswith("is a file")


@pytest.mark.slow
def test_pickled_weights_are_refused_with_a_command_that_converts_them(tmp_path: Path) -> None:
    folder, model = tmp_path / "a model's folder", lm()
    loading.save(folder, model, words())
    pickled(folder, model)
    said = str(folders.fault(folder))
    assert "its weights are pickled (pytorch_model.bin), and reading a pickle can run anything" in said
    command = said.partition("convert it once: ")[2]
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    assert folders.fault(folder) is None
    again, _ = loading.load(str(folder))
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor)


def test_a_pickled_reward_model_keeps_its_head(folder: Path) -> None:
    made = reward_model.begin(str(folder), seeded(1))
    reward_model.save(folder, made)
    pickled(folder, made.model)
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["GPT2ForSequenceClassification"]
    program = shlex.split(folders.conversion(folder))[2]
    with loading.quiet():
        exec(program)
    again, _ = loading.load(str(folder), "reward")
    assert torch.equal(again.score.weight, made.model.score.weight)
    assert isinstance(again, type(AutoModelForSequenceClassification.from_config(again.config)))
    assert not isinstance(again, type(AutoModelForCausalLM.from_config(again.config)))
