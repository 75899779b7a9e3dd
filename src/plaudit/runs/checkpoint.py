"""Checkpoints: a tree of tensors, arrays and plain values as safetensors + JSON, written whole or not at all."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from plaudit.errors import PlauditError

TENSORS, TREE = "tensors.safetensors", "tree.json"


def save_tree(folder: Path, tree: object) -> None:
    """Write the tree into a new folder: first beside it, then renamed, so that a half-written one never counts."""
    tensors: dict[str, torch.Tensor] = {}
    plain = _separate(tree, "", tensors)
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        (partial / TENSORS).write_bytes(save(tensors))  # so that a full disk is an OSError
        (partial / TREE).write_text(json.dumps(plain), encoding="utf-8")
        for file in (partial / TENSORS, partial / TREE, partial):
            _sync(file)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)  # on a full disk it takes the room of what is needed
        raise
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    _sync(folder.parent)


def load_tree(folder: Path) -> Any:
    """Read a tree back: the same tensors, arrays and values."""
    try:
        tensors = load_file(folder / TENSORS)
        return _join(json.loads((folder / TREE).read_text(encoding="utf-8")), tensors)
    except FileNotFoundError:
        why = next(name for name in (TENSORS, TREE) if not (folder / name).exists()) + " is missing"
    except (SafetensorError, ValueError, KeyError) as error:  # ValueError: neither UTF-8 nor JSON
        why = " ".join(str(error).split())
    raise PlauditError(f"{folder}: damaged checkpoint ({why}); delete this folder to use the one before")


def _separate(node: object, path: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(node, torch.Tensor):
        tensors[path] = node.detach().cpu().contiguous().clone()
        return {"$tensor": path}
    if isinstance(node, np.ndarray):
        tensors[path] = torch.from_numpy(np.ascontiguousarray(node).reshape(node.shape).copy())
        return {"$array": path}
    if isinstance(node, np.generic):
        return node.item()
    if isinstance(node, dict):
        return {str(key): _separate(value, f"{path}/{key}", tensors) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_separate(value, f"{path}/{i}", tensors) for i, value in enumerate(node)]
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise TypeError(f"{path}: a {type(node).__name__} cannot be saved in a checkpoint")


def _join(node: object, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(node, dict):
        if set(node) == {"$tensor"}:
            return tensors[node["$tensor"]]
        if set(node) == {"$array"}:
            return tensors[node["$array"]].numpy()
        return {key: _join(value, tensors) for key, value in node.items()}
    if isinstance(node, list):
        return [_join(value, tensors) for value in node]
    return node


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
