"""A model's files from the Hugging Face hub: those fetched before, else fetched once, never a pickle."""

import re
from collections.abc import Callable
from pathlib import Path

import huggingface_hub

from plaudit.errors import PlauditError

WANTED = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
UNWANTED = ["*/*", "consolidated*"]
"""Other formats in subfolders, and a second copy of the weights."""
PATIENCE = 10
"""Seconds until a hub that says nothing counts as out of reach."""


def fetched(place: str, complete: Callable[[Path], bool]) -> Path:
    """The folder with the files of a hub's model; what is on the disk and `complete` is not looked for again.

    Raises PlauditError where the name cannot be one, or no such model can be fetched.
    """
    if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", place):
        raise PlauditError(f"{place}: there is no such folder; give one that save_pretrained wrote")
    try:
        known = Path(huggingface_hub.snapshot_download(place, local_files_only=True))
        if complete(known):
            return known
    except (OSError, ValueError):
        pass  # not fetched before
    try:
        # one question first: without a network the download itself would ask again and again for a minute
        huggingface_hub.HfApi().model_info(place, timeout=PATIENCE)
        return Path(huggingface_hub.snapshot_download(place, allow_patterns=WANTED, ignore_patterns=UNWANTED))
    except Exception as error:  # the client raises its own kinds and those of its HTTP library
        why = " ".join(str(error).split()).split(". ")[0][:200]
        raise PlauditError(
            f"{place}: there is no such folder, and no such model can be fetched from the hub ({why}); give a folder "
            "that save_pretrained wrote, or fetch the model where there is a network"
        ) from None
