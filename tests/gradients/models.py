"""Small networks that use their parameters in every way that the capture must handle."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Shared(nn.Module):
    """One layer used twice in a forward pass, on inputs of different sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, bias=True), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(F.relu(self.conv(self.stem(x)))).mean((2, 3)))


class Unused(nn.Module):
    """A module that runs but whose output goes nowhere, and one that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.lost, self.never = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Linear(2, 2)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        self.lost(x)
        return self.head(x.mean((2, 3)))


class Overwritten(nn.Module):
    """In-place operations that change an input after the layer has read it; without `in_place`, the same function."""

    def __init__(self) -> None:
        super().__init__()
        self.in_place = True
        self.first, self.second, self.third = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        if not self.in_place:
            x = self.first(x)
            return self.head(F.relu(self.second(x) + self.third(x * 2 - 0.5)).mean((2, 3)))
        x = self.first(x)
        y = self.second(x)
        x.mul_(2).sub_(0.5)
        z = self.third(x)
        x.zero_()
        return self.head(F.relu(y + z, inplace=True).mean((2, 3)))


class Functional(nn.Module):
    """Parameters without modules: a functional convolution, a tied weight, and one that no rule covers."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))
        self.square = nn.Parameter(torch.randn(4, 4))
        self.scale = nn.Parameter(torch.randn(4))
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, padding="same").mean((2, 3))
        x = torch.tanh(F.linear(x, self.square)) * self.scale
        return self.head(F.linear(x, self.square))


class Text(nn.Module):
    """Embeddings, layer norms and attention by hand, with a padding mask; the output layer shares the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.norm = nn.Embedding(11, 6, padding_idx=0), nn.LayerNorm(6)
        self.query, self.value = nn.Linear(6, 6), nn.Linear(6, 6, bias=False)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        x = self.norm(self.embed(input_ids))
        weights = self.query(x) @ x.transpose(1, 2) + (attention_mask[:, None, :] - 1) * 1e4
        x = weights.softmax(2) @ self.value(x)
        return {"hidden": x, "logits": F.linear(x[:, 0], self.embed.weight)}


class Attention(nn.Module):
    """PyTorch's own attention, which hides its projections from modes."""

    def __init__(self, batch_first: bool = True) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
        self.axis, self.head = int(batch_first), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.axis else x.transpose(0, 1)
        return self.head(self.layer(x).mean(self.axis))


class Positions(nn.Module):
    """Embeddings of positions that all samples share, added to theirs, once halved; control flow that sees the data."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.shared, self.halved = nn.Embedding(11, 6), nn.Embedding(9, 6), nn.Embedding(9, 6)
        self.bias, self.lost, self.head = nn.Embedding(9, 6), nn.Embedding(9, 6), nn.Linear(6, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        places = torch.arange(input_ids.shape[1])
        self.lost(places[None])
        x = self.embed(input_ids)
        x += self.shared(places[None])
        x = self.halved(places[None]) / 2 + x + self.bias(places)
        x = x.tanh()
        if attention_mask.min() < 1:
            x = x * attention_mask[:, :, None]
        return {"logits": self.head(x).sum(1)}


class TwoInputs(nn.Module):
    """Two inputs and a tuple of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return self.a(x) * self.b(y), x


class OwnParameters(nn.Module):
    """Parameters without a module: a token and positions, as a vision transformer has them, and scales and shifts."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.other = nn.Parameter(torch.randn(1, 1, 4)), nn.Parameter(torch.randn(4))
        self.positions, self.scale = nn.Parameter(torch.randn(1, 7, 4)), nn.Parameter(torch.randn(4))
        self.shift, self.gate = nn.Parameter(torch.randn(7, 1)), nn.Parameter(torch.randn(()))
        self.rows, self.table = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.randn(6, 4))
        self.embed, self.head, self.late = nn.Linear(3, 4), nn.Linear(4, 2), nn.Parameter(torch.randn(4))

    def forward(self, x: Tensor) -> Tensor:
        n = len(x)
        x = torch.cat([self.token.expand(n, -1, -1), self.other.repeat(n, 1, 1), self.embed(x)], 1)
        x = (x + self.positions).tanh()
        y = torch.mul(self.scale * x, self.gate)
        x = self.shift + y
        y.zero_()
        table = torch.tanh(self.table + self.rows.expand(6, 4)) + self.late  # six rows, which are no samples
        return self.head((x.sin() @ table.mT).exp().mean(2, keepdim=True) * x)


@dataclass(frozen=True)
class Case:
    """A network, and its inputs for n samples."""

    make: Callable[[], nn.Module]
    inputs: Callable[[int], object]


def images(*shape: int) -> Callable[[int], Tensor]:
    return lambda n: torch.randn(n, *shape)


def tokens(n: int) -> dict[str, Tensor]:
    ids = torch.randint(1, 11, (n, 5))
    mask = torch.ones(n, 5)
    mask[::2, 3:] = 0
    return {"input_ids": ids * mask.long(), "attention_mask": mask}


def block(*layers: nn.Module, features: int) -> Callable[[], nn.Module]:
    return lambda: copy.deepcopy(nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3)))


CASES = {
    "linear": Case(lambda: nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3, bias=False)), images(6)),
    "positions": Case(lambda: nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), images(7, 6)),
    "conv1d": Case(block(nn.Conv1d(2, 4, 3, stride=2, dilation=2), nn.ReLU(), features=16), images(2, 12)),
    "conv2d": Case(
        block(
            nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), groups=2),
            nn.ReLU(),
            nn.Conv2d(6, 2, 2, padding="same"),
            features=80,
        ),
        images(4, 7, 8),
    ),
    "conv3d": Case(block(nn.Conv3d(2, 3, 2, bias=False), nn.Tanh(), features=54), images(2, 4, 4, 3)),
    "circular": Case(
        block(nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), features=48), images(2, 4, 4)
    ),
    "batch norm": Case(
        block(
            nn.Conv2d(3, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.Conv2d(4, 4, 3),
            nn.BatchNorm2d(4),
            features=16,
        ),
        images(3, 6, 6),
    ),
    "batch norm 1d": Case(block(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), features=6), images(4)),
    "other norms": Case(
        block(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(), nn.LayerNorm((4, 4)), features=64),
        images(3, 6, 6),
    ),
    "shared": Case(Shared, images(3, 9, 9)),
    "unused": Case(Unused, images(3, 6, 6)),
    "overwritten": Case(Overwritten, images(3, 6, 6)),
    "functional": Case(Functional, images(3, 6, 6)),
    "text": Case(Text, tokens),
    "positions of text": Case(Positions, tokens),
    "attention": Case(Attention, images(5, 8)),
    "as long as the batch": Case(Attention, images(6, 8)),
    "sequence first, as long": Case(lambda: Attention(batch_first=False), images(6, 8)),
    "sequence first": Case(lambda: Attention(batch_first=False), images(5, 8)),
    "two inputs": Case(TwoInputs, lambda n: (torch.randn(n, 4), torch.randn(n, 2))),
    "own parameters": Case(OwnParameters, images(5, 3)),
    "prelu": Case(block(nn.Linear(4, 6), nn.PReLU(6), nn.ConstantPad1d(1, 0.5), features=8), images(4)),
    "transposed": Case(block(nn.ConvTranspose2d(2, 3, 2), nn.ReLU(), features=75), images(2, 4, 4)),
}
