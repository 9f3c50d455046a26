"""Embeddings: d f_i / d w[v, d] = sum over the positions t with index v of delta_i[t, d]."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from knas import native
from knas.gradients.arguments import arguments
from knas.gradients.rules.base import Call, Rule

_EMBEDDING = {
    "input": None,
    "weight": None,
    "padding_idx": None,
    "max_norm": None,
    "norm_type": 2.0,
    "scale_grad_by_freq": False,
    "sparse": False,
}
_ROWS = 256  # vocabulary rows whose gradients are held at once for a Gram matrix


class EmbeddingRule(Rule):
    """F.embedding on indices [n, ...]."""

    sequence_axes = True
    least_axes = 1

    @override
    def functions(self) -> tuple[Callable[..., Any], ...]:
        return (F.embedding,)

    @override
    def bind(self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Call:
        call = arguments(_EMBEDDING, args, kwargs)
        padding = call["padding_idx"]
        if padding is not None and padding < 0:
            padding += call["weight"].shape[0]
        return Call(
            call["input"], call["weight"], None, (padding, call["max_norm"], call["scale_grad_by_freq"])
        )

    @override
    def run(
        self, func: Callable[..., Any], call: Call, args: Sequence[Any], kwargs: Mapping[str, Any] | None
    ) -> Tensor:
        bound = arguments(_EMBEDDING, args, kwargs)
        if bound["max_norm"] is not None:  # it would rescale the caller's weight in place
            bound["weight"] = bound["weight"].clone()
        return func(**bound)  # type: ignore[no-any-return]

    @override
    def unusable(self, call: Call, n: int) -> str | None:
        if call.geometry[2]:
            return "scale_grad_by_freq divides a sample's gradient by the counts of the whole batch"
        return super().unusable(call, n)

    @override
    def sampled(self, call: Call, grad: Tensor, entries: Tensor) -> Tensor:
        indices, deltas = self._positions(call, grad)
        rows, columns = entries // deltas.shape[2], entries % deltas.shape[2]
        hits = indices[:, :, None] == rows  # [n, t, s]
        return (deltas[:, :, columns] * hits).sum(1, dtype=native.accumulate_type(deltas))

    @override
    def per_sample(self, call: Call, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        assert call.weight is not None
        return self._rows(call, grad, torch.arange(call.weight.shape[0], device=grad.device)).flatten(1), None

    @override
    def gram(self, call: Call, grad: Tensor) -> Tensor:
        # Rows that no sample uses are zero for all: only the others enter, a few at a time.
        used = torch.unique(call.input)
        chunks = [self._rows(call, grad, rows).flatten(1) for rows in used.split(_ROWS)]
        return torch.stack([native.gram_matrix(chunk) for chunk in chunks]).sum(0)

    def _positions(self, call: Call, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Indices [n, t], with -1 at padding, and deltas [n, t, d]."""
        n = grad.shape[0]
        indices, padding = call.input.reshape(n, -1), call.geometry[0]
        if padding is not None:
            indices = torch.where(indices == padding, -1, indices)
        return indices, grad.reshape(n, -1, grad.shape[-1])

    def _rows(self, call: Call, grad: Tensor, rows: Tensor) -> Tensor:
        """Per-sample gradients of some rows of the weight: [n, rows, d]."""
        indices, deltas = self._positions(call, grad)
        hits = (indices[:, None, :] == rows[:, None]).to(native.accumulate_type(deltas))  # [n, rows, t]
        return torch.bmm(hits, deltas.to(hits.dtype))
