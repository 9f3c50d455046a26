from __future__ import annotations

import math

import pytest
import torch

from knas.errors import UsageError
from knas.training import Recipe, cosine_learning_rate
from knas.training.precision import resolve_precision


def test_the_defaults_are_the_benchmarks() -> None:
    recipe = Recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate) == (20, 256, 0.1)
    assert (recipe.momentum, recipe.nesterov, recipe.weight_decay) == (0.9, True, 5e-4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 1.5),
        ("epochs", True),
        ("batch_size", 1),
        ("learning_rate", 0),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "0.1"),
        ("momentum", 1),
        ("weight_decay", -1e-9),
        ("label_smoothing", 1.0),
        ("crop_padding", -1),
        ("precision", "double"),
        ("augment", 1),
        ("record_gram", None),
    ],
)
def test_a_bad_value_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"recipe: {name} wants .*, got {value!r}"):
        Recipe(**{name: value})  # type: ignore[arg-type]


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(UsageError, match="nesterov"):
        Recipe(momentum=0)
    assert Recipe(momentum=0, nesterov=False).momentum == 0


def test_the_learning_rate_is_that_of_torch() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7)
    for epoch in range(7):
        assert cosine_learning_rate(0.1, epoch, 7) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert cosine_learning_rate(0.1, 7, 7) == pytest.approx(0)


@pytest.mark.parametrize("capability", ["amx_bf16", "avx512_bf16"])
def test_precision_is_settled_by_the_device(monkeypatch: pytest.MonkeyPatch, capability: str) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True}, raising=False)
    assert resolve_precision("auto", cpu) == ("bfloat16" if capability == "amx_bf16" else "float32")
    assert resolve_precision("float32", cpu) == "float32"
    with pytest.raises(UsageError, match="float16"):
        resolve_precision("float16", cpu)


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), "float16"), ((8, 0), "bfloat16"), ((12, 0), "bfloat16")]
)
def test_precision_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert resolve_precision("auto", torch.device("cuda")) == expected
