"""Attention with its samples first against PyTorch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import knas
from knas.gradients import attention

N, POSITIONS, CHANNELS, HEADS = 4, 6, 8, 2


def masks() -> dict[str, dict[str, Tensor]]:
    torch.manual_seed(1)
    upper = torch.ones(POSITIONS, POSITIONS, dtype=torch.bool).triu(1)
    each = torch.randn(N * HEADS, POSITIONS, POSITIONS, dtype=torch.float64)
    padding = torch.arange(POSITIONS).expand(N, -1) > torch.tensor([[5], [3], [4], [2]])
    return {
        "none": {},
        "causal": {"attn_mask": upper},
        "of each head": {"attn_mask": each},
        "padding": {"key_padding_mask": padding},
        "both": {"attn_mask": upper, "key_padding_mask": padding},
    }


@pytest.mark.parametrize("weights", [True, False, "each"])
@pytest.mark.parametrize("name", masks())
@pytest.mark.parametrize("batch_first", [True, False])
def test_equals_the_original(
    monkeypatch: pytest.MonkeyPatch, name: str, weights: bool | str, batch_first: bool
) -> None:
    torch.manual_seed(0)
    layer = nn.MultiheadAttention(CHANNELS, HEADS, batch_first=batch_first).double()
    nn.init.normal_(layer.in_proj_bias)
    inputs = torch.randn(N, POSITIONS, CHANNELS, dtype=torch.float64)
    inputs = inputs if batch_first else inputs.transpose(0, 1)
    options: dict[str, Any] = {
        **masks()[name],
        "need_weights": bool(weights),
        "average_attn_weights": weights != "each",
    }
    want = layer(inputs, inputs, inputs, **options)
    monkeypatch.setattr(nn.functional, "multi_head_attention_forward", attention.attention)
    found = layer(inputs, inputs, inputs, **options)
    torch.testing.assert_close(found, want, rtol=1e-12, atol=1e-12)


class Attending(nn.Module):
    """One attention to the inputs themselves, or to their reversed positions."""

    def __init__(self, *, reversed_keys: bool, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.head = (
            nn.MultiheadAttention(CHANNELS, HEADS, batch_first=True, **options),
            nn.Linear(CHANNELS, 3),
        )
        self.reversed_keys = reversed_keys

    def forward(self, inputs: Tensor) -> Tensor:
        keys = inputs.flip(1) if self.reversed_keys else inputs
        outputs, _ = self.layer(inputs, keys, keys)
        return self.head(outputs.mean(1))


@pytest.mark.parametrize(
    "options", [{}, {"add_bias_kv": True}, {"add_zero_attn": True}, {"reversed_keys": True}, {"bias": False}]
)
def test_gradients_of_all_kinds_are_those_of_single_samples(options: dict[str, Any]) -> None:
    model = Attending(**{"reversed_keys": False, **options}).double()
    inputs = torch.randn(N, POSITIONS, CHANNELS, dtype=torch.float64)
    found = knas.gram(model, inputs)
    rows = []
    for one in inputs:
        gradients = torch.autograd.grad(model(one[None]).sum(), list(model.parameters()))
        rows.append(torch.cat([gradient.flatten() for gradient in gradients]))
    stacked = torch.stack(rows)
    torch.testing.assert_close(found.matrix, stacked @ stacked.T, rtol=1e-10, atol=1e-10)
    assert not found.skipped


def test_takes_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Self-attention is left to no other way than the rules of its projections."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("differentiated once more")

    monkeypatch.setattr("knas.gradients.passes.gradients_without_rules", refuse)
    inputs = torch.randn(N, POSITIONS, CHANNELS)
    assert not knas.score(Attending(reversed_keys=False), inputs, proxy="knas").skipped
