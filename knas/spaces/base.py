"""What a search space is: architectures that can be drawn, named, numbered, compared and built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from knas.errors import UsageError
from knas.spaces.checks import integer_in_range

if TYPE_CHECKING:
    from knas.spaces.supernet import Supernet


class Architecture(ABC):
    """One member of a search space: immutable, hashable, and written as one line of text.

    Subclasses are frozen dataclasses. `str(architecture)` is its only text form, and the space's
    `parse` reads exactly that form back.
    """

    @abstractmethod
    def __str__(self) -> str:
        """Return the text form."""


class SearchSpace(ABC):
    """A finite, numbered set of architectures and the networks that they stand for.

    A space is a sequence: `len(space)`, `space.architecture(i)` and iteration agree on one fixed order.
    Subclasses set `name` and `kind` and write the abstract methods; drawing and iteration follow from them.
    """

    name: str
    """The name under which `knas.spaces.create` makes the space."""

    kind: type[Architecture]
    """The class of the space's architectures."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of architectures."""

    @abstractmethod
    def architecture(self, index: int) -> Architecture:
        """Return the architecture with a number in 0 … len(space) − 1.

        Raises:
            UsageError: if `index` is no integer in that range.
        """

    @abstractmethod
    def index(self, architecture: Architecture) -> int:
        """Return the architecture's number, the inverse of `architecture`."""

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """Read an architecture's text form, the inverse of `str`.

        Raises:
            UsageError: if the text is malformed or names an unknown operation.
        """

    @abstractmethod
    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the one architecture that stands for all those isomorphic to this one."""

    @abstractmethod
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """Return the decisions that make an architecture, each as the names of its options."""

    @abstractmethod
    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return which option each of the decisions in `choices` took."""

    @abstractmethod
    def decode(self, codes: Sequence[int]) -> Architecture:
        """Return the architecture of given decisions, the inverse of `encode`.

        Raises:
            UsageError: if there are too few or too many decisions, or one has no such option.
        """

    @abstractmethod
    def build(
        self, architecture: Architecture, num_classes: int = 10, seed: int = 0, *args: Any, **options: Any
    ) -> nn.Module:
        """Build the network, initialized from `seed` alone; it maps a batch to logits [n, num_classes].

        Neither reads nor advances any global random state.
        """

    def builder(
        self,
        num_classes: int = 10,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        **options: Any,
    ) -> Callable[[Architecture], nn.Module]:
        """Return what makes many networks in a row, each to be looked at and dropped.

        Each has the outputs, gradients, and layers of the one that `build` makes. A space may share layers among
        them, and leave out what changes no output: they must not be trained, nor used once the next is made.

        Args:
            num_classes: outputs of the classifier.
            seed: what the weights are drawn from, as in `build`.
            device: where the networks lie.
            dtype: of their weights.
            options: further arguments of `build`.
        """
        return lambda architecture: self.build(architecture, num_classes, seed, **options).to(device, dtype)

    @abstractmethod
    def parameters(
        self, architecture: Architecture, num_classes: int = 10, *args: Any, **options: Any
    ) -> int:
        """Return the number of trainable parameters of the built network, without building it."""

    def build_supernet(
        self, supernet: Supernet, num_classes: int = 10, seed: int = 0, *args: Any, **options: Any
    ) -> nn.Module:
        """Build a network in which each decision is all of its remaining options at once, weighted and added up.

        It is initialized from `seed` alone, and layers that two super-networks share start with the same weights.

        Raises:
            UsageError: the space has no such networks.
        """
        raise UsageError(
            f"space: {self.name!r} has no super-networks; use an algorithm that scores architectures"
        )

    def sample(self, generator: np.random.Generator) -> Architecture:
        """Draw an architecture, each with the same probability.

        Raises:
            UsageError: if `generator` is no `numpy.random.Generator`.
        """
        if not isinstance(generator, np.random.Generator):
            raise UsageError(
                "generator must be a numpy.random.Generator such as numpy.random.default_rng(0), "
                f"got {type(generator).__name__}"
            )
        return self.architecture(int(generator.integers(len(self))))

    def __iter__(self) -> Iterator[Architecture]:
        """Yield every architecture in the order of its number."""
        return (self.architecture(index) for index in range(len(self)))

    def _checked_index(self, index: int) -> int:
        return integer_in_range("index", index, 0, len(self) - 1)

    def _foreign_error(self, architecture: object) -> UsageError:
        return UsageError(
            f"architecture must be a {self.kind.__name__} of the space {self.name!r}, "
            f"got {type(architecture).__name__}; read text with space.parse(text)"
        )
