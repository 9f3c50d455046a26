"""The winner on disk (`best/`): how to rebuild it, and its trained weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knas.errors import RunError, UsageError
from knas.runs.atomic import PARTIAL_SUFFIX, flush_folder, write_atomically

if TYPE_CHECKING:
    import torch

ARCHITECTURE = "architecture.json"
WEIGHTS = "weights.safetensors"


def write_weights(path: Path, model: torch.nn.Module) -> None:
    """Write a model's parameters and buffers in one step, in safetensors' format."""
    from safetensors.torch import save_model

    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    save_model(model, str(partial))
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(partial, path)
    flush_folder(path.parent)


def write_best(folder: Path, description: Mapping[str, Any], weights: Path) -> None:
    """Fill `best/`: the description that `load_best` reads, and the weights of the trained winner.

    Args:
        folder: `best/`.
        description: `space`, `architecture`, `index`, under `build` the keyword arguments of `SearchSpace.build`, and
            under `space_options` those of the space where it has some; anything else is for the reader.
        weights: the file that `write_weights` wrote; it is copied.
    """
    folder.mkdir(exist_ok=True)
    write_atomically(folder / WEIGHTS, weights.read_bytes())
    write_atomically(folder / ARCHITECTURE, (json.dumps(description, indent=2) + "\n").encode())


def load_best(folder: str | Path) -> torch.nn.Module:
    """Rebuild a run's winner with its trained weights, in evaluation mode.

    It takes images [n, C, H, W] scaled to 0..1 and normalized by the `mean` and `std` of `architecture.json`, or what
    the tokenizer of the encoder that is named there gives of sentences, and returns logits [n, num_classes].

    Args:
        folder: a run's folder, or its `best/`.

    Raises:
        UsageError: there is no winner in the folder.
        RunError: its files don't fit together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_model

    from knas import spaces

    folder = Path(folder)
    folder = folder if (folder / ARCHITECTURE).exists() else folder / "best"
    if not (folder / ARCHITECTURE).exists():
        raise UsageError(f"{folder} holds no {ARCHITECTURE}: give the folder of a finished run")
    try:
        description = json.loads((folder / ARCHITECTURE).read_text(encoding="utf-8"))
        space = spaces.create(description["space"], **description.get("space_options", {}))
        model: torch.nn.Module = space.build(space.parse(description["architecture"]), **description["build"])
        load_model(model, str(folder / WEIGHTS))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise RunError(f"the winner in {folder} can't be rebuilt ({error})") from error
    return model.eval()
