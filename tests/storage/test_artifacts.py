"""Bytes by their hash: whole, checked, and never outside the folder."""

import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plaudit.errors import PlauditError
from plaudit.storage import Artifacts

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""SHA-256 of `abc` (FIPS 180-2, appendix B.1)."""


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    """An empty folder, not made yet."""
    return Artifacts(tmp_path / "run" / "artifacts")


def _files(artifacts: Artifacts) -> list[Path]:
    return [path for path in artifacts.folder.rglob("*") if path.is_file()]


def test_what_is_put_comes_back_under_its_hash(artifacts: Artifacts) -> None:
    assert ABC not in artifacts
    assert artifacts.put(b"abc") == ABC
    assert ABC in artifacts
    assert artifacts.get(ABC) == b"abc"
    assert artifacts.get(artifacts.put(b"")) == b""


def test_putting_again_writes_nothing(artifacts: Artifacts) -> None:
    artifacts.put(b"abc")
    (file,) = _files(artifacts)
    before = file.stat()
    assert artifacts.put(b"abc") == ABC
    (after,) = [path.stat() for path in _files(artifacts)]
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_others_may_read_it_as_the_umask_says(artifacts: Artifacts) -> None:
    mask = os.umask(0o027)
    try:
        artifacts.put(b"abc")
    finally:
        os.umask(mask)
    assert _files(artifacts)[0].stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("damage", [b"abd", b"", b"abcd"])
def test_damage_is_noticed_and_mended_by_putting_again(artifacts: Artifacts, damage: bytes) -> None:
    artifacts.put(b"abc")
    _files(artifacts)[0].write_bytes(damage)
    with pytest.raises(PlauditError, match="damaged"):
        artifacts.get(ABC)
    artifacts.put(b"abc")
    assert artifacts.get(ABC) == b"abc"


def test_a_missing_one_is_named(artifacts: Artifacts) -> None:
    with pytest.raises(PlauditError, match=rf"{ABC}.*missing"):
        artifacts.get(ABC)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../../etc/passwd",
        "/etc/passwd",
        ABC[:-1],
        ABC + "0",
        ABC.upper(),
        ABC + "\n",
        "g" * 64,
        "٣" * 64,
        None,
        7,
    ],
)
def test_only_hashes_are_names(artifacts: Artifacts, name: str) -> None:
    artifacts.put(b"abc")
    with pytest.raises(PlauditError, match="64 characters"):
        artifacts.get(name)
    with pytest.raises(PlauditError, match="64 characters"):
        assert name in artifacts


def test_a_write_that_fails_leaves_nothing(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(source: object, target: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(PlauditError, match="Input/output error"):
        artifacts.put(b"abc")
    assert _files(artifacts) == []
    assert ABC not in artifacts


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PlauditError, match=r"file/artifacts.*cannot write"):
        Artifacts(tmp_path / "file" / "artifacts").put(b"abc")


def test_many_threads_may_put_the_same(artifacts: Artifacts) -> None:
    contents = [bytes([i]) * 1000 for i in range(10)]
    threads = [threading.Thread(target=lambda: [artifacts.put(c) for c in contents]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(path.name for path in _files(artifacts)) == sorted(
        hashlib.sha256(c).hexdigest() for c in contents
    )
    assert [artifacts.get(artifacts.put(c)) for c in contents] == contents


@given(st.binary(max_size=300))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    artifacts = Artifacts(tmp_path_factory.getbasetemp() / "any")
    name = artifacts.put(content)
    assert name == hashlib.sha256(content).hexdigest()
    assert artifacts.get(name) == content
