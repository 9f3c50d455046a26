"""The space of skip-connection structures of a pretrained encoder, behind the base class."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from knas.errors import UsageError
from knas.spaces.base import Architecture, SearchSpace
from knas.spaces.checks import clipped, integer_in_range, one_of
from knas.spaces.initialization import initialize
from knas.spaces.text.architecture import FEWEST, MOST, STRUCTURES, SkipStructure, Wiring
from knas.spaces.text.chain import CONNECTIONS, Chain, connections
from knas.spaces.text.network import FirstTokenHead, TextNetwork
from knas.spaces.text.pretrained import (
    draw_encoder,
    empty_encoder,
    layers_of,
    put_layers,
    read_configuration,
    read_encoder,
)

if TYPE_CHECKING:
    from transformers import PretrainedConfig

INITIALIZATIONS = ("pretrained", "xavier", "default")
"""Where the encoder's weights come from; those of connections and head are always Xavier's."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What `TextSpace.build` is asked for, checked."""

    num_classes: int
    seed: int
    connection: str = "concatenation"
    initialization: str = "pretrained"

    def __post_init__(self) -> None:
        """Check the values."""
        integer_in_range("num_classes", self.num_classes, 1)
        integer_in_range("seed", self.seed, 0)
        one_of("connection", self.connection, CONNECTIONS)
        one_of("initialization", self.initialization, INITIALIZATIONS)


class TextSpace(SearchSpace):
    """Highway, look-ahead and DenseNet structures over the layers of an encoder (section 8 of the KNAS paper).

    Each structure comes with 2 … min(11, depth) layers per cell: 30 architectures for the 24 layers of RoBERTa-large.
    Configuration and weights are read when they are first needed, and once.

    Args:
        model: the encoder: a Hub id, or a folder with its config.json and weights.
    """

    name = "text"
    kind = SkipStructure

    def __init__(self, model: str = "roberta-large") -> None:
        if not isinstance(model, str) or not model:
            raise UsageError(f"model must be a Hub id or a folder, got {clipped(model)}")
        self.model = model
        self._kept: dict[tuple[str, int], nn.Module] = {}

    @property
    def depth(self) -> int:
        """The encoder's number of layers.

        Raises:
            UsageError: the model is no encoder, or has a single layer.
        """
        depth: int = self._config.num_hidden_layers
        if depth < FEWEST:
            raise UsageError(
                f"model: {clipped(self.model)} has {depth} layer; a cell takes at least {FEWEST}"
            )
        return depth

    def plain(self) -> SkipStructure:
        """Return the structure that is the encoder as it was pretrained: a chain of its layers."""
        return self.architecture(0)

    def __len__(self) -> int:
        """Return the number of structures times that of the numbers of layers per cell."""
        return len(STRUCTURES) * len(self._cells)

    def architecture(self, index: int) -> SkipStructure:
        """Return the highways first, then look-ahead, then DenseNet, each with increasing layers per cell."""
        structure, cell = divmod(self._checked_index(index), len(self._cells))
        return SkipStructure(STRUCTURES[structure], self._cells[cell])

    def index(self, architecture: Architecture) -> int:
        """Return a structure's number."""
        structure, cell = self.encode(architecture)
        return structure * len(self._cells) + cell

    def parse(self, text: str) -> SkipStructure:
        """Read a structure written as `highway:4`."""
        return self._own(SkipStructure.parse(text), "architecture text")

    def canonical(self, architecture: Architecture) -> SkipStructure:
        """Return the first structure whose layers take the same inputs.

        With 24 layers, 28 remain of 30: a highway and a look-ahead cell of 2 layers are the plain chain, and those
        of 3 layers are the same. Of 6 layers, DenseNet's cells of 3 and more make at most two cells, a chain too.
        """
        return self._classes[self._own(architecture).wiring(self.depth)]

    def choices(self) -> tuple[tuple[str, ...], ...]:
        """Return the structures, and the numbers of layers per cell."""
        return STRUCTURES, tuple(map(str, self._cells))

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """Return the positions of a structure and of its layers per cell."""
        own = self._own(architecture)
        return STRUCTURES.index(own.structure), self._cells.index(own.layers_per_cell)

    def decode(self, codes: Sequence[int]) -> SkipStructure:
        """Return the structure at these positions."""
        if len(codes) != 2:
            raise UsageError(f"codes must be a structure and layers per cell, got {clipped(codes)}")
        structure = integer_in_range("structure", codes[0], 0, len(STRUCTURES) - 1)
        cell = integer_in_range("layers per cell", codes[1], 0, len(self._cells) - 1)
        return SkipStructure(STRUCTURES[structure], self._cells[cell])

    def build(
        self,
        architecture: Architecture,
        num_classes: int = 2,
        seed: int = 0,
        connection: str = "concatenation",
        initialization: str = "pretrained",
    ) -> TextNetwork:
        """Build a classifier around the encoder, on the CPU, in float32 and training mode.

        Args:
            architecture: how the encoder's layers are connected.
            num_classes: outputs of the classifier.
            seed: what the weights of the head, of connections, and of a random encoder are drawn from.
            connection: what a layer does with several inputs: `"concatenation"`, `"addition"` or `"mean"`.
            initialization: `"pretrained"`, or a random encoder: `"xavier"`, or `"default"` as its family has it.

        Returns:
            A network from what the model's tokenizer gives, as a mapping or as keyword arguments, to logits
            [n, num_classes].

        Raises:
            UsageError: for a foreign architecture, an unknown option, or a model that can't be read.
        """
        own, options = self._own(architecture), Options(num_classes, seed, connection, initialization)
        encoder = copy.deepcopy(self._encoder(options))
        return self._connected(encoder, *layers_of(encoder, self.depth), own, options)

    def builder(
        self,
        num_classes: int = 2,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        **options: Any,
    ) -> Callable[[Architecture], nn.Module]:
        """Return what connects the layers of one encoder anew for each structure, and copies none of them.

        Args:
            num_classes: outputs of the classifier.
            seed: what random weights are drawn from, as in `build`.
            device: where the encoder lies.
            dtype: of the weights.
            options: further arguments of `build`.
        """
        chosen = Options(num_classes, seed, **options)
        encoder = copy.deepcopy(self._encoder(chosen)).to(device, dtype)
        path, layers = layers_of(encoder, self.depth)
        return lambda architecture: self._connected(
            encoder, path, layers, self._own(architecture), chosen
        ).to(device, dtype)

    def parameters(
        self,
        architecture: Architecture,
        num_classes: int = 2,
        connection: str = "concatenation",
        initialization: str = "pretrained",
    ) -> int:
        """Return the number of trainable parameters of the network that `build` makes, without reading its weights."""
        wiring = self._own(architecture).wiring(self.depth)
        options = Options(num_classes, 0, connection, initialization)
        return self._encoder_parameters + _size(self._joints(wiring, options)) + _size(self._head(options))

    def _connected(
        self, encoder: nn.Module, path: str, layers: nn.ModuleList, own: SkipStructure, options: Options
    ) -> TextNetwork:
        wiring = own.wiring(self.depth)
        joints, head = self._joints(wiring, options), self._head(options)
        for added in (joints, head):
            initialize(added, "xavier", options.seed)
        put_layers(encoder, path, nn.ModuleList([Chain(layers, wiring, joints)]))
        network = TextNetwork(encoder, head)
        network.train()
        return network

    def _joints(self, wiring: Wiring, options: Options) -> nn.ModuleDict:
        return connections(wiring, self._config.hidden_size, options.connection)

    def _head(self, options: Options) -> FirstTokenHead:
        names = ("classifier_dropout", "seq_classif_dropout", "hidden_dropout_prob")
        given = [value for name in names if isinstance(value := getattr(self._config, name, None), float)]
        return FirstTokenHead(self._config.hidden_size, options.num_classes, given[0] if given else 0.1)

    def _encoder(self, options: Options) -> nn.Module:
        """Return the encoder that networks get copies of; the last one is kept."""
        kind = options.initialization
        key = (kind, 0 if kind == "pretrained" else options.seed)
        if key not in self._kept:
            self._kept.clear()  # first: an encoder may take gigabytes
            if kind == "pretrained":
                self._kept[key] = read_encoder(self.model, self._config)
            else:
                encoder = draw_encoder(self.model, self._config, options.seed)
                self._kept[key] = initialize(encoder, kind, options.seed) if kind == "xavier" else encoder
        return self._kept[key]

    @functools.cached_property
    def _config(self) -> PretrainedConfig:
        return read_configuration(self.model)

    @functools.cached_property
    def _cells(self) -> tuple[int, ...]:
        return tuple(range(FEWEST, min(MOST, self.depth) + 1))

    @functools.cached_property
    def _classes(self) -> dict[Wiring, SkipStructure]:
        """The first structure of each wiring."""
        members = [self.architecture(index) for index in range(len(self))]
        return {structure.wiring(self.depth): structure for structure in reversed(members)}

    @functools.cached_property
    def _encoder_parameters(self) -> int:
        return _size(empty_encoder(self.model, self._config))

    def _own(self, architecture: Architecture, what: str = "architecture") -> SkipStructure:
        if not isinstance(architecture, SkipStructure):
            raise self._foreign_error(architecture)
        if architecture.layers_per_cell > self._cells[-1]:
            raise UsageError(
                f"{what}: {architecture} has cells of {architecture.layers_per_cell} layers, "
                f"but {clipped(self.model)} has {self.depth} layers in all"
            )
        return architecture


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
