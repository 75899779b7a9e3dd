"""What processes of their own do in the tests of seeds: they find it by its name."""

import os
import signal
import time
from pathlib import Path

from plaudit.errors import PlauditError
from plaudit.stages.seeds import Seed, Watch


def work(seed: Seed, tell: Watch) -> str:
    """Three rows, then what the config says: well, refused, killed, broken or endless."""
    (seed.path.parent / f"{seed.path.name}.begun").write_text(str(os.getpid()), encoding="utf-8")
    for number in range(3):
        tell({"timesteps": number})
    how = seed.config["how"]
    if how == "refused":
        raise PlauditError("the wheel came off; mend it")
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "broken":
        raise SystemExit(3)
    while how == "endless":
        tell({"timesteps": 3})
        time.sleep(0.01)
    if how == "together":  # only where another runs meanwhile
        _wait_for(seed.path.parent / str(seed.config["other"]))
    return f"{seed.name} is done"


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 120
    while not path.exists():
        if time.monotonic() > deadline:
            raise PlauditError(f"{path} never came; run both at once")
        time.sleep(0.01)
