"""What every test relies on: shapes checked while testing, one thread, no display, repeatable examples."""

import os
import sys
from pathlib import Path

# before torch, pygame and matplotlib are imported
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import pytest
import torch
from jaxtyping import install_import_hook

CHECKED = ("batches", "maths", "algorithms", "likelihoods", "queries", "models", "trainers")
"""Packages whose annotations, shapes included, are checked at every call while testing."""

early = sorted(name for name in sys.modules if name.startswith("plaudit."))
if early:
    raise RuntimeError(
        f"{early[0]} was imported before the shape checks were installed; import plaudit in tests only"
    )
install_import_hook([f"plaudit.{package}" for package in CHECKED], "beartype.beartype")

torch.set_num_threads(1)

# Examples take as long as the machine lets them; in CI the same ones every time.
hypothesis.settings.register_profile("desk", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of other people's data: $PLAUDIT_SHARED_DATA, or shared/data beside the checkout."""
    checkout = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("PLAUDIT_SHARED_DATA") or checkout.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(
            f"no data at {folder}: put the data sets there or name their folder in PLAUDIT_SHARED_DATA"
        )
    return folder
