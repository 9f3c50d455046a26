"""What every proxy is and gives."""

from __future__ import annotations

import copy
import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import torch
from torch import Tensor, nn

from knas.errors import UsageError
from knas.gradients import Batch, Skipped


@dataclass(frozen=True)
class LayerScore:
    """One layer's share of a score: its name, its module's class, its number of parameters, and the value."""

    name: str
    kind: str
    parameters: int
    value: float


@dataclass(frozen=True)
class Score:
    """What a proxy says of a network.

    Attributes:
        value: Higher is better.
        proxy: The proxy's name.
        layers: The layers' shares, in the model's order.
        skipped: Parameters that the value does not cover, with reasons.
        seconds: Wall-clock time that it took.
    """

    value: float
    proxy: str
    layers: tuple[LayerScore, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    seconds: float = 0.0


class Proxy(ABC):
    """A training-free score of one network. Subclasses are frozen dataclasses whose fields are their options."""

    name: ClassVar[str]

    @classmethod
    def options(cls) -> tuple[str, ...]:
        """Names of the options."""
        return tuple(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]

    @property
    def needs_targets(self) -> bool:
        """Whether `score` needs targets."""
        return False

    @abstractmethod
    def score(self, model: nn.Module, batch: Batch, *, seed: int = 0) -> Score:
        """Scores a network on a batch that lies on its device; the network is left as it was.

        Args:
            model: An untrained network.
            batch: n samples.
            seed: For everything random in the score.

        Raises:
            KnasError: There is no score, and why.
        """


def on_device(model: nn.Module, device: torch.device | str | None) -> tuple[nn.Module, torch.device]:
    """The model on a device (a copy where it lies elsewhere), and that device; None means where it is.

    Raises:
        UsageError: `model` is no module, or the device is unknown or not there.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"model: a torch.nn.Module expected, got {type(model).__name__}")
    model = getattr(model, "_orig_mod", model)  # what torch.compile wraps
    where: Tensor | None = next(chain(model.parameters(), model.buffers()), None)
    here = torch.device("cpu") if where is None else where.device
    try:
        wanted = here if device is None else torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"device: 'cpu', 'cuda' or 'cuda:N' expected, got {device!r}") from error
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            f"device: {str(wanted)!r} asked for, but torch {torch.__version__} sees no GPU; use device='cpu'"
        )
    same = wanted.type == here.type and wanted.index in (None, here.index)
    return (model, here) if same else (copy.deepcopy(model).to(wanted), wanted)
