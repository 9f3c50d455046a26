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
from knas.gradients.forms import near_one
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
    def shared(self, call: Call) -> bool:
        return call.input.dim() > 1 and call.input.shape[0] == 1 and not call.geometry[2]

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
        return gram_of_indices(*self._positions(call, grad))

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


def gram_of_indices(indices: Tensor, deltas: Tensor) -> Tensor:
    """Gram matrix, float64 [n, n], of per-sample gradients of an embedding from the equality of indices.

    <g_i, g_j> = sum over v of <h_i[v], h_j[v]>, where h_i[v] is the sum of deltas[i, t] over the positions t with index
    v. A row v that m_v of the samples use costs m_v^2 d multiply-adds, sum_v m_v^2 d in all, where the whole gradients
    would take n^2 d for each row that is used at all.

    Args:
        indices: [n, t]; negative ones are left out.
        deltas: [n, t, d].
    """
    n = indices.shape[0]
    samples = torch.arange(n, device=indices.device)[:, None].expand_as(indices)
    keys, order = (indices * n + samples).flatten().sort()  # negative ones first
    order = order[keys >= 0]
    rows, counts = torch.unique_consecutive(keys[keys >= 0], return_counts=True)
    values, scale = near_one(deltas.flatten(0, 1).to(native.accumulate_type(deltas)))
    sums = F.embedding_bag(
        order, values, counts.cumsum(0) - counts, mode="sum"
    )  # [rows, d]: h of each pair (v, i)
    matrix = sums.new_zeros(n * n, dtype=torch.float64)
    _, users = torch.unique_consecutive(rows // n, return_counts=True)
    first = users.cumsum(0) - users
    for m in users.unique().tolist():  # rows with m users each, together
        members = first[users == m][:, None] + torch.arange(m, device=rows.device)  # [rows, m]
        who = rows[members] % n
        products = torch.bmm(sums[members], sums[members].mT).double()  # [rows, m, m]
        matrix.index_add_(0, (who[:, :, None] * n + who[:, None, :]).flatten(), products.flatten())
    return matrix.view(n, n) * scale.square()
