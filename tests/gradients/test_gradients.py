"""Captured per-sample gradients against one backward pass per sample, in float64."""

from __future__ import annotations

import gc

import pytest
import torch
from gradients import brute_force
from gradients.models import CASES
from torch import Tensor, nn

import knas
from knas.gradients import Gradients, Settings, all_entries, make_batch, random_entries
from knas.gradients.capture import Capture

N = 6
LINEAR_MAPS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)

pytestmark = pytest.mark.filterwarnings(
    "ignore:Using padding=.same.:UserWarning"
)  # PyTorch's own, for even kernels


def setup(name: str) -> tuple[nn.Module, object]:
    torch.manual_seed(0)
    case = CASES[name]
    inputs = case.inputs(N)
    double = {True: lambda t: t.double(), False: lambda t: t}
    convert = lambda t: double[t.is_floating_point()](t)  # noqa: E731
    if isinstance(inputs, dict):
        inputs = {key: convert(value) for key, value in inputs.items()}
    else:
        inputs = tuple(map(convert, inputs)) if isinstance(inputs, tuple) else convert(inputs)
    return case.make().double(), inputs


def captured(model: nn.Module, inputs: object, **settings: object) -> dict[str, Tensor]:
    batch = make_batch(inputs, None, torch.device("cpu"))
    found = Gradients(model, batch, Settings(**settings)).vectors(all_entries)
    return {layer.name: rows for layer, rows in found.items()}


@pytest.mark.parametrize("micro_batch", [None, 4, 1])
@pytest.mark.parametrize("name", CASES)
def test_every_entry(name: str, micro_batch: int | None) -> None:
    model, inputs = setup(name)
    want = brute_force.gradients(brute_force.calibrated(model, inputs), inputs)
    got = captured(model, inputs, micro_batch=micro_batch)
    assert got.keys() == want.keys()
    for layer, rows in want.items():
        torch.testing.assert_close(
            got[layer], rows, rtol=1e-10, atol=1e-12, msg=lambda text, layer=layer: f"{layer}: {text}"
        )


@pytest.mark.parametrize("micro_batch", [None, 4])
@pytest.mark.parametrize("name", CASES)
def test_gram(name: str, micro_batch: int | None) -> None:
    """Full Gram matrices, their layers, and the shortcut for the mean (one backward pass)."""
    model, inputs = setup(name)
    rows = brute_force.gradients(brute_force.calibrated(model, inputs), inputs)
    gram = knas.gram(model, inputs, micro_batch=micro_batch)
    for layer, vectors in rows.items():
        torch.testing.assert_close(gram.layers[layer].matrix, vectors @ vectors.T, rtol=1e-10, atol=1e-12)
    want = torch.cat(list(rows.values()), 1)
    torch.testing.assert_close(gram.matrix, want @ want.T, rtol=1e-10, atol=1e-12)
    assert gram.mean == pytest.approx(want.mean(0).square().sum().item(), rel=1e-9)
    assert not gram.skipped
    if name == "overwritten":
        with pytest.raises(knas.KnasError, match="in-place operation overwrites"):
            knas.score(model, inputs, estimator="full")
        return
    full = knas.score(model, inputs, estimator="full", micro_batch=micro_batch)
    assert full.value == pytest.approx(want.mean(0).square().sum().item(), rel=1e-10)


@pytest.mark.parametrize("micro_batch", [None, 4])
@pytest.mark.parametrize("name", CASES)
def test_operations(name: str, micro_batch: int | None) -> None:
    """Those of convolutions and linear layers are PyTorch's count; others have 2 for each weight, or none."""
    model, inputs = setup(name)
    want = brute_force.operations(model, inputs, N)
    found = Gradients(model, make_batch(inputs, None, torch.device("cpu")), Settings(micro_batch=micro_batch))
    found.look(all_entries)
    seen = 0
    for layer in found.layers.layers:
        module = model.get_submodule(layer.name) if layer.name in dict(model.named_modules()) else model
        weights = sum(slot.size for slot in layer.slots if slot.is_weight)
        if type(module) in LINEAR_MAPS:
            assert found.operations_of(layer) == max(want.get(layer.name, 0), 2 * weights), layer.name
            seen += 1
        else:
            assert found.operations_of(layer) >= 2 * weights
    assert seen


@pytest.mark.parametrize("name", ["conv2d", "batch norm", "text", "functional"])
def test_loss(name: str) -> None:
    model, inputs = setup(name)
    targets = torch.arange(N) % 3
    want = brute_force.gradients(brute_force.calibrated(model, inputs), inputs, targets)
    rows = torch.cat(list(want.values()), 1)
    gram = knas.gram(model, inputs, targets, of="loss")
    torch.testing.assert_close(gram.matrix, rows @ rows.T, rtol=1e-10, atol=1e-12)
    assert knas.score(model, inputs, targets, of="loss", estimator="full").value == pytest.approx(gram.mean)


@pytest.mark.parametrize("policy", ["batch", "initial"])
def test_batch_norm_policies(policy: str) -> None:
    """The mean gradient is that of PyTorch's own training mode, or of untouched statistics in evaluation mode."""
    model, inputs = setup("batch norm")
    twin = CASES["batch norm"].make().double()
    twin.load_state_dict(model.state_dict())
    twin.train(policy == "batch")
    brute_force.objective(twin, inputs, None).backward()
    want = sum((parameter.grad / N).square().sum().item() for parameter in twin.parameters())
    assert knas.score(model, inputs, estimator="full", batch_norm=policy).value == pytest.approx(
        want, rel=1e-10
    )
    assert knas.gram(model, inputs, batch_norm=policy).mean == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("name", ["conv2d", "batch norm", "shared", "text"])
def test_sampled_entries_are_entries(name: str) -> None:
    """Sampling picks columns of the full vectors, each parameter equally often."""
    model, inputs = setup(name)
    full = captured(model, inputs)
    batch = make_batch(inputs, None, torch.device("cpu"))
    gradients = Gradients(model, batch, Settings())
    entries = {layer.name: random_entries(7, 3)(layer) for layer in gradients.layers.layers}
    sampler = lambda layer: entries[layer.name]  # noqa: E731
    for layer, rows in gradients.vectors(sampler).items():
        torch.testing.assert_close(rows, full[layer.name][:, entries[layer.name]], rtol=1e-10, atol=1e-13)


def test_sampling_is_uniform() -> None:
    layer = Gradients(
        nn.Conv2d(3, 4, 2), make_batch(torch.ones(2, 3, 4, 4), None, torch.device("cpu")), Settings()
    ).layers.layers[0]
    counts = torch.zeros(layer.size)
    draws = 4000
    for seed in range(draws):
        entries = random_entries(13, seed)(layer)
        assert len(set(entries.tolist())) == 13
        assert entries.tolist() == sorted(entries.tolist())
        counts[entries] += 1
    expected = 13 / layer.size
    assert ((counts / draws - expected).abs() < 5 * (expected / draws) ** 0.5).all()


@pytest.mark.parametrize("name", CASES)
def test_grouped_statistics(name: str) -> None:
    """All layers together after the backward pass: the same numbers as within it."""
    model, inputs = setup(name)
    batch, entries = make_batch(inputs, None, torch.device("cpu")), random_entries(20, 0)
    alone = Gradients(model, batch, Settings()).statistics(entries)
    together = Gradients(model, batch, Settings(grouped=True)).statistics(entries)
    assert [layer.name for layer in alone] == [layer.name for layer in together]
    for one, other in zip(alone.values(), together.values(), strict=True):
        assert torch.equal(one, other)


class Viewed(nn.Module):
    """Counts on contiguous planes: `view` fails where channels lie side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3), nn.Linear(4 * 16, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.linear(self.conv(inputs).view(len(inputs), -1))


@pytest.mark.parametrize("estimator", ["sampled", "full"])
def test_model_that_counts_on_the_order_in_memory(estimator: str) -> None:
    model = Viewed()
    flattened = nn.Sequential(model.conv, nn.Flatten(), model.linear)
    inputs = torch.randn(5, 3, 6, 6).to(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        model(inputs)  # else the test would show nothing
    want = knas.score(flattened, inputs.contiguous(), estimator=estimator, sample=10**6).value
    got = knas.score(model, inputs.contiguous(), estimator=estimator, sample=10**6).value
    assert got == pytest.approx(want, rel=1e-5)


def test_nothing_of_a_pass_outlives_it() -> None:
    """A graph that holds hooks which hold it would keep all activations, where no garbage collector sees them."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 3))
    for proxy in ("mgm", "depth", "knas"):
        knas.score(model, torch.randn(5, 4), proxy=proxy)
        gc.collect()
        assert not [one for one in gc.get_objects() if type(one) is Capture]
