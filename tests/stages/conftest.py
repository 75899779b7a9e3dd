"""What the tests of stages share: one thread, and a tiny model that was pretrained once."""

from tests.text_world import one_thread, world

__all__ = ["one_thread", "world"]
