"""PyTorch's `multi_head_attention_forward` for a torch function mode, which it hides its linear layers from.

Self-attention is computed with the samples on the first axis, [n, positions, channels], where the original has them on
the second, so that its projections are layers like any other; all else by the original's own code.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

_SIGNATURE = inspect.signature(F.multi_head_attention_forward)
_OTHERS = ("bias_k", "bias_v", "static_k", "static_v", "q_proj_weight", "k_proj_weight", "v_proj_weight")
"""Arguments that self-attention with one packed projection has no use for."""


def attention(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
    """What `torch.nn.functional.multi_head_attention_forward` returns, by calls that a mode sees."""
    bound = _SIGNATURE.bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    query, key, value = given["query"], given["key"], given["value"]
    if (
        query is not key
        or key is not value
        or query.dim() != 3
        or given["add_zero_attn"]
        or given["use_separate_proj_weight"]
        or any(given[name] is not None for name in _OTHERS)
    ):
        return _original(*args, **kwargs)  # type: ignore[no-any-return]
    return _self_attention(given)


def _self_attention(given: dict[str, Any]) -> tuple[Tensor, Tensor | None]:
    heads, dropout = given["num_heads"], given["dropout_p"] if given["training"] else 0.0
    inputs = given["query"].transpose(0, 1)
    n, positions, channels = inputs.shape
    packed = F.linear(inputs, given["in_proj_weight"], given["in_proj_bias"])
    query, key, value = (
        part.view(n, positions, heads, -1).transpose(1, 2) for part in packed.chunk(3, dim=2)
    )
    mask = _mask(given, query)
    weights = None
    if given["need_weights"]:
        products = query @ key.mT / math.sqrt(query.shape[3])
        weights = (products if mask is None else products + mask).softmax(-1)
        weights = F.dropout(weights, dropout) if dropout else weights
        mixed = weights @ value
    else:
        mixed = F.scaled_dot_product_attention(query, key, value, mask, dropout)
    outputs = F.linear(
        mixed.transpose(1, 2).reshape(n, positions, channels),
        given["out_proj_weight"],
        given["out_proj_bias"],
    )
    if weights is not None and given["average_attn_weights"]:
        weights = weights.mean(1)
    return outputs.transpose(0, 1), weights


def _mask(given: dict[str, Any], query: Tensor) -> Tensor | None:
    """Both masks as one to be added to the products of [n, heads, positions, positions]; None without any."""
    n, heads, positions, _ = query.shape
    own, padding = given["attn_mask"], given["key_padding_mask"]
    parts = []
    if own is not None:
        parts.append(own.view(n, heads, positions, positions) if own.dim() == 3 else own)
    if padding is not None:
        parts.append(padding.view(n, 1, 1, positions))
    added = [
        torch.zeros_like(one, dtype=query.dtype).masked_fill(one, -math.inf)
        if one.dtype == torch.bool
        else one
        for one in parts
    ]
    return cast(Tensor, sum(added)).to(query.dtype) if added else None


def _undispatched(function: FunctionType) -> Callable[..., Any]:
    """The function with the same code that does not ask a mode to take its place."""
    names = {**function.__globals__, "has_torch_function": lambda _: False}
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__)


_original = _undispatched(cast(FunctionType, F.multi_head_attention_forward))
