"""Per-sample gradient rules: one small file per kind of layer, found by the torch function that the layer calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from knas.gradients.rules.base import Call, Rule
from knas.gradients.rules.broadcast import CopyRule, ProductRule, SumRule
from knas.gradients.rules.convolution import ConvolutionRule
from knas.gradients.rules.embedding import EmbeddingRule
from knas.gradients.rules.linear import LinearRule
from knas.gradients.rules.normalization import BatchNormRule, GroupNormRule, LayerNormRule

#: The rule of each torch function that has one.
RULES: dict[Callable[..., Any], Rule] = {
    function: rule
    for rule in (
        ConvolutionRule(),
        LinearRule(),
        BatchNormRule(),
        LayerNormRule(),
        GroupNormRule(),
        EmbeddingRule(),
        SumRule(),
        ProductRule(),
        CopyRule(),
    )
    for function in rule.functions()
}

__all__ = ["RULES", "Call", "Rule"]
