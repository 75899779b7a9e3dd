from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from plaudit.errors import PlauditError
from plaudit.models.language import folders


class Hub:
    """What the hub's client is asked, and what it answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, known: Path | None, there: Path | Exception):
        self.known, self.there, self.asked = known, there, []
        monkeypatch.setattr(huggingface_hub, "snapshot_download", self.download)
        monkeypatch.setattr(
            huggingface_hub.HfApi, "model_info", lambda _, place, timeout: self.info(place, timeout)
        )

    def download(self, place: str, local_files_only: bool = False, **which: Any) -> str:
        self.asked.append("disk" if local_files_only else which)
        if local_files_only and self.known is None:
            raise FileNotFoundError("no snapshot")
        return str(self.known if local_files_only else self.there)

    def info(self, place: str, timeout: float) -> None:
        self.asked.append(timeout)
        if isinstance(self.there, Exception):
            raise self.there


def test_what_was_fetched_before_is_not_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = Hub(monkeypatch, tmp_path, ConnectionError("no network"))
    assert folders.fetched("some/model", lambda _: True) == tmp_path
    assert fake.asked == ["disk"]


def test_what_was_fetched_in_part_is_fetched_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = Hub(monkeypatch, tmp_path / "part", tmp_path / "whole")
    assert folders.fetched("some/model", lambda folder: folder.name == "whole") == tmp_path / "whole"
    assert fake.asked[:2] == ["disk", 10]


def test_no_pickle_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = Hub(monkeypatch, None, tmp_path)
    assert folders.fetched("model", lambda _: True) == tmp_path
    wanted = fake.asked[-1]["allow_patterns"]
    files = ["config.json", "model.safetensors", "merges.txt", "tokenizer.model", "chat_template.jinja"]
    assert all(any(Path(file).match(pattern) for pattern in wanted) for file in files)
    assert not any(
        Path(f).match(p) for f in ("pytorch_model.bin", "model.pt", "a.pkl", "m.py") for p in wanted
    )


def test_a_hub_that_cannot_be_reached_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Hub(monkeypatch, None, ConnectionError("[Errno -2] Name or service not known. Try again"))
    with pytest.raises(PlauditError) as error:
        folders.fetched("some/model", lambda _: True)
    assert str(error.value) == (
        "some/model: there is no such folder, and no such model can be fetched from the hub ([Errno -2] Name or service "
        "not known); give a folder that save_pretrained wrote, or fetch the model where there is a network"
    )
    assert fake.asked == ["disk", 10]


@pytest.mark.parametrize("place", ["/no/where", "./model", "../m", "~/m", "a b", "x/y/z", "models/", ""])
def test_what_can_only_be_a_folder_is_not_asked_for(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    fake = Hub(monkeypatch, None, ConnectionError("no network"))
    with pytest.raises(PlauditError, match="there is no such folder; give one that save_pretrained wrote"):
        folders.fetched(place, lambda _: True)
    assert not fake.asked
