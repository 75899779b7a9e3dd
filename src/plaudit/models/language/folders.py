"""What a folder must hold to be a model that can be read whole, and without running what somebody put into it."""

import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
from safetensors import SafetensorError, safe_open

from plaudit.errors import PlauditError

GIVE = "give the folder that save_pretrained wrote"
BESIDE = ("training_args", "optimizer", "scheduler", "scaler", "rng_state")
"""How files begin that a trainer leaves beside the weights."""


def fault(folder: Path) -> str | None:
    """What is wrong with a model's folder, with the way to mend it; none where nothing is."""
    if not folder.is_dir():
        return f"is a file; {GIVE}"
    if (folder / "adapter_config.json").exists():
        return (
            "holds adapters and not their model; merge them into it (merge_and_unload of peft), save that and give its "
            "folder"
        )
    if not (folder / "config.json").exists():
        return f"is not a model in the transformers layout (config.json is missing); {GIVE}"
    weights = sorted(folder.glob("*.safetensors"))
    pickled = sorted(
        file
        for end in ("bin", "pt", "pth")
        for file in folder.glob(f"*.{end}")
        if not file.name.startswith(BESIDE)
    )
    if not weights and pickled:
        return (
            f"its weights are pickled ({pickled[0].name}), and reading a pickle can run anything; if you trust it, "
            f"convert it once: {conversion(folder)}"
        )
    if not weights:
        return f"there are no weights in it (model.safetensors is missing); {GIVE}"
    return _absent(folder) or next(filter(None, map(_damage, weights)), None)


def conversion(folder: Path) -> str:
    """A command that writes the pickled weights of a model as safetensors beside them."""
    program = (
        f"import transformers as t; p = {str(folder)!r}; "
        "names = t.AutoConfig.from_pretrained(p).architectures or ['AutoModelForCausalLM']; "
        "getattr(t, names[0]).from_pretrained(p, use_safetensors=False).save_pretrained(p)"
    )
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(program)}"


def _absent(folder: Path) -> str | None:
    """Where the weights are in several files: is one of them missing?"""
    for index in folder.glob("*.safetensors.index.json"):
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError):
            return f"{index.name} is damaged; copy or fetch it again"
        missing = sorted(name for name in names if not (folder / name).exists())
        if missing:
            return (
                f"{missing[0]} is missing ({len(missing)} of {len(names)} files of weights); copy or fetch it"
            )
    return None


def _damage(file: Path) -> str | None:
    try:
        with safe_open(file, "pt"):
            return None
    except (SafetensorError, OSError) as error:
        return f"{file.name} is damaged ({' '.join(str(error).split())[:100]}); copy or fetch it again"


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
