"""One folder, open as a server has it open."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from plaudit.storage import Artifacts
from plaudit.web.folder import Folder
from plaudit.web.served import Served
from tests.web.asking import Door, Someone, make_folder


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: tables take a while."""
    return make_folder(tmp_path_factory.mktemp("web") / "run")


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    """Five comparisons of texts."""
    return shutil.copytree(template, tmp_path / "run")


@pytest.fixture
def artifacts(folder: Path) -> Artifacts:
    """Where texts and pictures of the folder lie."""
    return Artifacts(folder / "artifacts")


@pytest.fixture
def door(folder: Path) -> Iterator[Door]:
    """The folder, open."""
    served = Served.open(Folder(folder))
    served.start()
    yield Door(served)
    served.close()


@pytest.fixture
def root(door: Door) -> Someone:
    """The admin."""
    return door.let_in("Root", "admin")


@pytest.fixture
def ann(door: Door, root: Someone) -> Someone:
    """An annotator."""
    return door.let_in("Ann")


@pytest.fixture
def bob(door: Door, root: Someone) -> Someone:
    """Another annotator."""
    return door.let_in("Bob")
