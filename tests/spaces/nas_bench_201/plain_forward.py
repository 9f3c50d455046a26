"""The benchmark's forward pass in plain functions of a state dict: the obviously right twin."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

State = Mapping[str, Tensor]


def batch_norm(x: Tensor, state: State, at: str, training: bool) -> Tensor:
    mean, variance = state[f"{at}.running_mean"], state[f"{at}.running_var"]
    if training:
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
    mean, variance, weight, bias = (
        v[None, :, None, None] for v in (mean, variance, state[f"{at}.weight"], state[f"{at}.bias"])
    )
    return (x - mean) / (variance + 1e-5).sqrt() * weight + bias


def relu_conv_bn(x: Tensor, state: State, at: str, training: bool, stride: int = 1) -> Tensor:
    weight = state[f"{at}.convolution.weight"]
    y = F.conv2d(x.clamp(min=0), weight, stride=stride, padding=weight.shape[-1] // 2)
    return batch_norm(y, state, f"{at}.norm", training)


def average_pool(x: Tensor) -> Tensor:
    """Mean over the 3×3 neighbors that lie inside the image."""
    kernel = x.new_ones(x.shape[1], 1, 3, 3)
    inside = F.conv2d(x.new_ones(x.shape), kernel, padding=1, groups=x.shape[1])
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1]) / inside


def edge(x: Tensor, operation: str, state: State, at: str, training: bool) -> Tensor:
    if operation == "none":
        return x * 0
    if operation == "skip_connect":
        return x
    if operation == "avg_pool_3x3":
        return average_pool(x)
    return relu_conv_bn(x, state, at, training)


def cell(x: Tensor, text: str, state: State, at: str, training: bool) -> Tensor:
    nodes, number = [x], 0
    for node in text.split("+"):
        terms = []
        for given in node.strip("|").split("|"):
            operation, source = given.split("~")
            terms.append(edge(nodes[int(source)], operation, state, f"{at}.edges.{number}", training))
            number += 1
        nodes.append(sum(terms[1:], terms[0]))
    return nodes[-1]


def reduction(x: Tensor, state: State, at: str, training: bool) -> Tensor:
    y = relu_conv_bn(x, state, f"{at}.first", training, stride=2)
    y = relu_conv_bn(y, state, f"{at}.second", training)
    n, c, h, w = x.shape
    pooled = x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))
    return y + F.conv2d(pooled, state[f"{at}.shortcut.1.weight"])


def network(x: Tensor, text: str, state: State, cells_per_stage: int, training: bool) -> Tensor:
    x = batch_norm(F.conv2d(x, state["stem.0.weight"], padding=1), state, "stem.1", training)
    place = 0
    for stage in range(3):
        if stage > 0:
            x = reduction(x, state, f"cells.{place}", training)
            place += 1
        for _ in range(cells_per_stage):
            x = cell(x, text, state, f"cells.{place}", training)
            place += 1
    x = batch_norm(x, state, "last.0", training).clamp(min=0).mean((2, 3))
    return x @ state["classifier.weight"].T + state["classifier.bias"]
