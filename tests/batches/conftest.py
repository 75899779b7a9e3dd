"""Lets these tests import the synthetic episodes of tests/batches."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
