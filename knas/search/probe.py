"""How an algorithm looks at a super-network: which proxy, which weights, which sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from knas.spaces.supernet import Supernet


@dataclass(frozen=True)
class Probe:
    """One way of scoring super-networks; its text is the part of a recorded question that is not the super-network.

    Attributes:
        seed: what the weights are drawn from.
        proxy: its name; None for the run's own proxy, with the run's options.
        proxy_options: of a named proxy.
        build: arguments of `SearchSpace.build_supernet` that differ from the run's.
    """

    seed: int
    proxy: str | None = None
    proxy_options: Mapping[str, Any] = field(default_factory=dict)
    build: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return one line that tells this probe from every other."""
        return json.dumps([self.seed, self.proxy, self.proxy_options, self.build], sort_keys=True)


@runtime_checkable
class Prober(Protocol):
    """A backend that has networks, so that it can score super-networks too."""

    def probe(self, supernet: Supernet, probe: Probe) -> float:
        """The proxy's value of an untrained super-network; `KnasError` where there is none."""
        ...
