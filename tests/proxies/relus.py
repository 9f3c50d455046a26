"""What the tests of proxies of activation patterns share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FUNCTIONAL: dict[str, Callable[[Tensor], Tensor]] = {
    "F.relu": F.relu,
    "F.relu in place": lambda x: F.relu(x, inplace=True),
    "torch.relu_": torch.relu_,
    "Tensor.relu": lambda x: x.relu(),
    "F.leaky_relu": lambda x: F.leaky_relu(x, 0.0),
    "F.threshold's cousin, PReLU": lambda x: F.prelu(x, torch.zeros(1)),
    "a module": nn.ReLU(inplace=True),
}
"""The same function, called in different ways."""


class Functional(nn.Module):
    """A network whose ReLU is a function; its weights are always the same."""

    def __init__(self, relu: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm(self.conv(x)))
        return self.head(x.mean((2, 3)))
