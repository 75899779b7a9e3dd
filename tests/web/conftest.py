"""One folder, open as a server has it open."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from plaudit.storage import Artifacts
from plaudit.web.folder import Folder
from plaudit.web.state import AppState
from tests.web.asking import Site, Someone, make_folder


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
def site(folder: Path) -> Iterator[Site]:
    """The folder, open."""
    state = AppState.open(Folder(folder))
    state.start()
    yield Site(state)
    state.close()


@pytest.fixture
def root(site: Site) -> Someone:
    """The admin."""
    return site.let_in("Root", "admin")


@pytest.fixture
def ann(site: Site, root: Someone) -> Someone:
    """An annotator."""
    return site.let_in("Ann")


@pytest.fixture
def bob(site: Site, root: Someone) -> Someone:
    """Another annotator."""
    return site.let_in("Bob")
