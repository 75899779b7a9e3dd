"""Work in a process of its own that can be killed, and what a run folder holds in the end."""

import json
import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from plaudit.runs.checkpoint import load_tree
from plaudit.runs.folder import RunFolder
from plaudit.storage import open_store

SECONDS = 120.0


def in_child(work: Callable[[], Any], log: Path, meanwhile: Callable[[int], Any] | None = None) -> int:
    """The exit code of `work` in a forked process: 0, 1 after an exception, -9 after SIGKILL.

    What it prints goes into `log`. `meanwhile` runs here with its process id. Forking saves the imports, which take
    longer than the runs of these tests.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside idle threads
        child = os.fork()
    if child == 0:
        code = 1
        try:
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(handle, 1), os.dup2(handle, 2)
            sys.stdout = sys.stderr = os.fdopen(2, "w", buffering=1)  # not what pytest has put there
            signal.signal(signal.SIGINT, signal.default_int_handler)
            returned = work()
            code = returned if isinstance(returned, int) else 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    if meanwhile is not None:
        meanwhile(child)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"still running after {SECONDS} s: {log.read_text()}")


def kill_me(*_: Any) -> None:
    """kill -9 by the process itself: no handler runs, nothing is flushed."""
    os.kill(os.getpid(), signal.SIGKILL)


def metrics(path: Path) -> list[dict[str, Any]]:
    """The rows without time."""
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in row.items() if not name.startswith("time/")} for row in rows]


def contents(path: Path) -> dict[str, Any]:
    """Everything that a run leaves behind and that must not depend on how often it was killed."""
    run = RunFolder(path)
    newest = sorted(p for p in run.checkpoints.iterdir() if p.name.isdigit())[-1]
    found: dict[str, Any] = {
        "metrics": metrics(path),
        "checkpoint": newest.name,
        "tree": load_tree(newest),
        "policy": load_file(path / "policy" / "model.safetensors"),
        "result": run.read_manifest()["result"],
        "made of": run.read_manifest().get("made_of"),
    }
    for name in ("policy-start", "reward"):
        if (path / name).exists():
            found[name] = load_file(path / name / "model.safetensors")
    if (path / "samples.json").exists():
        found["samples"] = json.loads((path / "samples.json").read_text(encoding="utf-8"))
    found["watched"] = {place.name: load_tree(place) for place in sorted(path.glob("watched/*"))}
    if run.feedback.exists():
        store = open_store(run.feedback)
        view = store.view(2**60)
        found["answers"] = [
            (r.seq, r.client_uuid, r.query_id, r.annotator, r.feedback, r.shown_order) for r in view
        ]
        found["history"] = len(store.answers())
        found["questions"] = [(q.id, q.key, q.items, q.tick, q.wanted) for q in store.queries()]
        found["waiting"] = store.pending()
        store.close()
        found["artifacts"] = sorted(p.name for p in run.artifacts.rglob("*") if p.is_file())
    return found


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Where two trees differ, to the bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        missing = [f"{where}/{key}: only on one side" for key in one.keys() ^ other.keys()]
        return missing + [
            d
            for key in one.keys() & other.keys()
            for d in differences(one[key], other[key], f"{where}/{key}")
        ]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)} entries"]
        return [
            d
            for i, pair in enumerate(zip(one, other, strict=True))
            for d in differences(*pair, f"{where}[{i}]")
        ]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        same = one.dtype == other.dtype and differences(one.numpy(), other.numpy()) == []
    elif isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        same = (one.dtype, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes()
    else:
        same = type(one) is type(other) and one == other
    return [] if same else [f"{where}: {one} and {other}"]
