"""What every proxy is and gives."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from knas.errors import NotFiniteError, UsageError
from knas.gradients import Batch, Skipped
from knas.observations import Findings, Observation, PerLayer, observe


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


class Observing(Proxy):
    """A proxy that looks at what passes show, which several such proxies can share.

    A subclass says what it looks at and what it makes of it; see `knas.observations`.
    """

    @property
    def own_passes(self) -> bool:
        """Whether its options ask for passes of its own after all, so that only `score` can score."""
        return False

    @abstractmethod
    def observations(self) -> tuple[Observation[Any], ...]:
        """What it looks at."""

    @abstractmethod
    def read(self, model: nn.Module, findings: Findings) -> Score:
        """What it makes of what was found.

        Raises:
            KnasError: There is no score, and why.
        """

    def score(self, model: nn.Module, batch: Batch, *, seed: int = 0) -> Score:
        """Scores a network by the passes that its observations take."""
        return self.judged(model, observe(model, batch, self.observations(), seed=seed))

    def judged(self, model: nn.Module, findings: Findings) -> Score:
        """The score, with the time that its passes and its reading took.

        Raises:
            KnasError: There is none, or none that is finite.
        """
        started = time.perf_counter()
        score = self.read(model, findings)
        seconds = findings.seconds_of(self.observations()) + time.perf_counter() - started
        return finite(dataclasses.replace(score, seconds=seconds))


def finite(score: Score) -> Score:
    """The score itself.

    Raises:
        NotFiniteError: Its value is NaN or infinite.
    """
    if not math.isfinite(score.value):
        raise NotFiniteError(
            f"{score.proxy}: NaN or Inf ({score.value}); the network or its initialization is unstable"
        )
    return score


def layer_scores(per_layer: PerLayer, values: Iterable[float]) -> tuple[LayerScore, ...]:
    """The layers' shares of a score, one value for each layer."""
    rows = zip(per_layer.layers, per_layer.parameters, values, strict=True)
    return tuple(LayerScore(layer.name, layer.kind, parameters, value) for layer, parameters, value in rows)


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
