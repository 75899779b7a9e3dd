"""What a run was made from, by content: a run goes on only with the models and prompts it began with."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from plaudit.environments.language.prompts import Prompt
from plaudit.errors import PlauditError
from plaudit.runs.folder import RunFolder
from plaudit.runs.old_names import LANGUAGE_KEYS

FIELD = "made_of"
"""In the manifest."""


def of_weights(model: torch.nn.Module) -> str:
    """The SHA-256 of all weights with their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def of_prompts(*groups: Sequence[Prompt]) -> str:
    """The SHA-256 of prompts in their tokens, with whatever else their rows hold."""
    rows = [[(prompt.tokens, prompt.columns, prompt.messages) for prompt in group] for group in groups]
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()


def keep(folder: RunFolder, found: Mapping[str, tuple[str, str]]) -> None:
    """Write what a run is made of into its manifest, or compare it with what is there.

    By field of the config: its value and its hash. PlauditError where a hash is another one than at the beginning.
    """
    written: dict[str, Any] = folder.read_manifest().get(FIELD) or {}
    known = {LANGUAGE_KEYS.get(field, field): sha256 for field, sha256 in written.items()}
    for field, (value, sha256) in found.items():
        if known.get(field, sha256) != sha256:
            raise PlauditError(
                f"{field}: {value} is no longer what this run began with; put it back as it was, or begin a new run"
            )
    if not known:
        folder.write_manifest({FIELD: {field: sha256 for field, (_, sha256) in found.items()}})
