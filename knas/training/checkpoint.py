"""Checkpoints that are whole or not there, and that know what they belong to."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from knas.errors import RunError

FORMAT = "knas-training-1"


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint so that a kill at any moment leaves either the old one or the new one, whole.

    The state goes to a file beside `path`, down to the disk, and takes its name in one step.

    Args:
        path: The checkpoint; its folder is made if need be.
        state: Tensors, numbers, strings, and lists and dictionaries of them.

    Raises:
        RunError: If the file can't be written.
    """
    content = {"format": FORMAT, "digest": state_digest(state), "state": dict(state)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(path, content)
    except (OSError, RuntimeError) as error:  # torch.save makes a RuntimeError of a full disk
        raise RunError(f"checkpoint: {path} can't be written ({str(error).splitlines()[0]})") from error


def _write_whole(path: Path, content: dict[str, Any]) -> None:
    written = path.with_name(path.name + ".part")
    with written.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(written, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a checkpoint; nothing in the file is executed.

    Args:
        path: The checkpoint.
        device: Where its tensors go.

    Returns:
        The state that was saved.

    Raises:
        RunError: If the file can't be read, is corrupt, or wasn't written here.
    """
    cause: Exception | None = None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        whole = content["format"] == FORMAT and content["digest"] == state_digest(content["state"])
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        pickle.UnpicklingError,
    ) as error:
        whole, cause = False, error
    if not whole:
        raise RunError(
            f"checkpoint: {path} is corrupt, or no checkpoint of knas; delete it to train from the start"
        ) from cause
    state: dict[str, Any] = _to(content["state"], device)
    return state


def _to(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _to(item, device) for key, item in value.items()}
    return [_to(item, device) for item in value] if isinstance(value, list) else value


def check_identity(path: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that belongs to another training.

    Args:
        path: The checkpoint.
        found: What it was made with: a value, or a dictionary of them, under each name.
        wanted: What is asked for, likewise.

    Raises:
        RunError: If they differ; the text names what differs.
    """
    for name, value in wanted.items():
        other = found.get(name)
        if other == value:
            continue
        difference = f"another {name}"
        if isinstance(value, dict) and isinstance(other, dict):
            keys = [key for key in value if other.get(key) != value[key]]
            difference += f" ({', '.join(f'{key}={other.get(key)!r}, not {value[key]!r}' for key in keys)})"
        elif isinstance(value, (int, float)):
            difference += f" ({other!r}, not {value!r})"
        raise RunError(
            f"checkpoint: {path} was made with {difference}; delete it, or give this training another path"
        )


def state_digest(state: Any) -> str:
    """A digest of nested dictionaries and lists of tensors and plain values."""
    digest = hashlib.sha256()
    _digest(digest, state)
    return digest.hexdigest()


def _digest(digest: Any, value: Any) -> None:
    if isinstance(value, Tensor):
        digest.update(repr((tuple(value.shape), value.dtype)).encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            digest.update(repr(key).encode())
            _digest(digest, item)
    elif isinstance(value, (list, tuple)):
        digest.update(str(len(value)).encode())
        for item in value:
            _digest(digest, item)
    else:
        digest.update(repr(value).encode())


def model_structure(model: torch.nn.Module) -> str:
    """A digest of a model's modules and of the shapes and types of its state, but not of its weights."""
    modules = re.sub(r" at 0x[0-9a-f]+", "", repr(model))  # the address of a function differs from run to run
    shapes = [(name, tuple(value.shape), str(value.dtype)) for name, value in model.state_dict().items()]
    return state_digest([modules, shapes])
