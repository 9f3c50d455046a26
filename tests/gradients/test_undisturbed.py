"""The caller's model is as it was afterwards, also after an exception; and what a pass refuses."""

from __future__ import annotations

import contextlib
import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import knas


class Restless(nn.Module):
    """Changes whatever a forward pass can change, and fails on demand."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5)
        self.head, self.frozen = nn.Linear(4, 2), nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("count", torch.zeros(()))
        self.fails, self.calls = fails, 0
        self.norm.eval()

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        x = F.dropout(self.drop(F.relu(self.norm(self.conv(x)))), 0.3, training=True)
        if self.fails:
            raise ArithmeticError("planted")
        return self.head(x.mean((2, 3))) * self.frozen


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"estimator": "full"}, {"batch_norm": "batch"}, {"micro_batch": 2}], ids=str
)
def test_everything_is_put_back(options: dict[str, object], training: bool, fails: bool) -> None:
    model = Restless(fails)
    model.conv.train(training)
    handle = model.conv.register_forward_hook(lambda *_: None)
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    hooks = [
        (dict(m._forward_hooks), dict(m._forward_pre_hooks), dict(m._backward_hooks)) for m in model.modules()
    ]
    random, numpy_random = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    with pytest.raises(ArithmeticError, match="planted") if fails else contextlib.nullcontext():
        knas.score(model, torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)), **options)
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    assert hooks == [
        (dict(m._forward_hooks), dict(m._forward_pre_hooks), dict(m._backward_hooks)) for m in model.modules()
    ]
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None and not parameter._backward_hooks for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert np.array_equal(np.random.get_state()[1], numpy_random)  # noqa: NPY002
    handle.remove()


def test_grad_modes_of_the_caller() -> None:
    """Scores are the same within no_grad and inference_mode, and gradients stay where they were."""
    model, x = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2)), torch.randn(3, 3, 6, 6)
    want = knas.score(model, x).value
    with torch.no_grad():
        assert knas.score(model, x).value == want
    with torch.inference_mode():
        assert knas.score(model, x.clone()).value == want
    model(x).sum().backward()
    grads = [parameter.grad.clone() for parameter in model.parameters()]
    assert knas.score(model, x, estimator="full").value > 0
    assert all(
        torch.equal(parameter.grad, grad) for parameter, grad in zip(model.parameters(), grads, strict=True)
    )


def test_dropout_draws_from_the_seed() -> None:
    model, x = Restless(), torch.randn(4, 3, 6, 6)
    assert knas.score(model, x, seed=1).value == knas.score(model, x, seed=1).value
    assert knas.score(model, x, seed=1).value != knas.score(model, x, seed=2).value


def test_skipped_parameters_are_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.teacher, self.branch = (
                nn.Linear(3, 2),
                nn.Linear(3, 2),
                nn.Parameter(torch.ones(3)),
            )
            self.fixed = nn.Parameter(torch.ones(2), requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                target = self.teacher(x)
            if len(x) < 2:
                raise ArithmeticError("a single sample")
            x = x / self.branch if x.abs().max().item() > 0 else x
            return self.head(x) + target * self.fixed

    score = knas.score(Odd(), torch.randn(4, 3))
    reasons = dict(score.skipped)
    assert set(reasons) == {"branch", "fixed", "teacher.weight", "teacher.bias"}
    assert "requires_grad is False" in reasons["fixed"]
    assert "no per-sample rule covers its use in div" in reasons["branch"]
    assert "one sample alone: a single sample" in reasons["branch"]
    assert "gradients switched off" in reasons["teacher.weight"]
    assert [layer.name for layer in score.layers] == ["head"]
    assert dict(knas.gram(Odd(), torch.randn(4, 3)).skipped).keys() == reasons.keys()


def test_batch_statistics_couple_samples() -> None:
    """With BatchNorm statistics of the batch nothing can be taken in parts."""
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.PReLU(), nn.Linear(4, 2))
    x = torch.randn(6, 3)
    with pytest.raises(knas.KnasError, match="couples all samples"):
        knas.score(model, x, batch_norm="batch", micro_batch=2)
    assert "coupled" in dict(knas.score(model, x, batch_norm="batch").skipped)["2.weight"]


class Hungry(nn.Module):
    """Runs out of memory when given more than a few samples."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.layer, self.most = nn.Linear(3, 2), most

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] > self.most:
            raise torch.OutOfMemoryError("planted")
        return self.layer(x)


@pytest.mark.parametrize("estimator", ["sampled", "full", "split"])
def test_out_of_memory_halves_the_micro_batch(estimator: str) -> None:
    model, x = Hungry(3), torch.randn(10, 3)
    with pytest.warns(UserWarning, match="out of memory") as caught:
        value = knas.score(model, x, estimator=estimator).value
    said = [
        f"out of memory with {had} samples at once; going on with {has}" for had, has in ((10, 5), (5, 3))
    ]
    assert [str(warning.message) for warning in caught] == said
    model.most = 10
    assert value == pytest.approx(knas.score(model, x, estimator=estimator).value, rel=1e-6)


def test_out_of_memory_with_one_sample() -> None:
    with (
        pytest.warns(UserWarning, match="out of memory"),
        pytest.raises(knas.KnasError, match="single") as caught,
    ):
        knas.score(Hungry(0), torch.randn(4, 3))
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


def test_micro_batch_from_the_memory_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch too large for the budget is split, before anything fails, and gives the same score."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 2),
    )
    x = torch.randn(16, 3, 8, 8)
    want, gram = knas.score(model, x).value, knas.gram(model, x)
    sizes: list[int] = []
    model[0].register_forward_hook(lambda _, arguments, output: sizes.append(len(arguments[0])))
    everything = 16 * (3 * 8 * 36 + 8 + 2) * 4
    monkeypatch.setattr("knas.gradients.passes.activation_budget", lambda device: everything / 4)
    assert knas.score(model, x).value == pytest.approx(want, rel=1e-5)
    # All 16 stop at the first layer; then a probe for BatchNorm, the calibration, 8 that stop at the second, and 4.
    assert sizes == [1, 16, 8, 4, 4, 4, 4]
    torch.testing.assert_close(knas.gram(model, x).matrix, gram.matrix, rtol=1e-4, atol=1e-4 * gram.trace)
