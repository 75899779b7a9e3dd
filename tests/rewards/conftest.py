"""What the tests of rewards share: one thread, and a tiny model that was pretrained once."""

from collections.abc import Iterator

import pytest
import torch

from tests.text_world import World, make_world


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))
