"""MGM's estimators against their formulas, and its bad input."""

from __future__ import annotations

import pytest
import torch
from gradients import brute_force
from proxies.conformance import ProxyConformance, network, samples
from torch import Tensor, nn

import knas
from knas.errors import NotFiniteError, UsageError
from knas.gradients import Gradients, Settings, make_batch, random_entries

N = 8


class TestSampled(ProxyConformance):
    name = "mgm"


class TestFull(ProxyConformance):
    name, options = "mgm", {"estimator": "full"}


class TestSplit(ProxyConformance):
    name, options = "mgm", {"estimator": "split", "of": "loss"}


class TestReleased(ProxyConformance):
    name, options = "mgm", {"estimator": "released", "batches": 4}

    def test_layers_name_modules(self) -> None:
        assert [layer.name for layer in self.score(network()).layers] == ["0", "3", "5"]


@pytest.fixture
def vectors() -> dict[str, Tensor]:
    """Per-sample gradients of the conformance network in float64."""
    model, images = network().double(), samples()[0].double()
    return brute_force.gradients(brute_force.calibrated(model, images), images)


def score(**options: object) -> knas.Score:
    images, classes = samples()
    return knas.score(network().double(), images.double(), classes, **options)


def entries(sample: int, seed: int) -> dict[str, Tensor]:
    batch = make_batch(samples()[0].double(), None, torch.device("cpu"))
    draw = random_entries(sample, seed)
    return {
        layer.name: draw(layer) for layer in Gradients(network().double(), batch, Settings()).layers.layers
    }


@pytest.mark.parametrize("micro_batch", [None, 3])
def test_sampled_is_equation_16(vectors: dict[str, Tensor], micro_batch: int | None) -> None:
    drawn = entries(50, seed=4)
    want = {
        name: (rows[:, drawn[name]] @ rows[:, drawn[name]].T).mean().item() for name, rows in vectors.items()
    }
    got = score(seed=4, micro_batch=micro_batch)
    assert {layer.name: layer.value for layer in got.layers} == pytest.approx(want, rel=1e-10)
    assert got.value == pytest.approx(sum(want.values()) / len(want), rel=1e-10)


def test_full_is_equation_15(vectors: dict[str, Tensor]) -> None:
    rows = torch.cat(list(vectors.values()), 1)
    want = (rows @ rows.T).mean().item()
    assert score(estimator="full").value == pytest.approx(want, rel=1e-10)


def test_all_parameters_sampled_is_full(vectors: dict[str, Tensor]) -> None:
    """sample=None takes all parameters: Eq. 15 exactly; a huge sample gives Eq. 16's average of the same layers."""
    full, layers = score(estimator="full"), len(vectors)
    assert score(sample=None).value == full.value
    assert score(sample=10**9).value * layers == pytest.approx(full.value, rel=1e-10)
    images = samples()[0].double()
    whole, sampled = (
        knas.gram(network().double(), images),
        knas.gram(network().double(), images, sample=10**9),
    )
    torch.testing.assert_close(sampled.matrix, whole.matrix, rtol=1e-10, atol=1e-12)
    assert sampled.mean == pytest.approx(full.value, rel=1e-9)


@pytest.mark.parametrize("micro_batch", [None, 3])
def test_split_is_the_papers_algorithm(vectors: dict[str, Tensor], micro_batch: int | None) -> None:
    drawn = entries(50, seed=2)
    picked = torch.cat([rows[:, drawn[name]] for name, rows in vectors.items()], 1)  # [n, sampled parameters]
    dots = [torch.dot(column[: N // 2], column[N // 2 :]).item() for column in picked.T]
    got = score(estimator="split", seed=2, micro_batch=micro_batch)
    assert got.value == pytest.approx(sum(dots) / len(dots), rel=1e-10)


def test_split_of_all_parameters(vectors: dict[str, Tensor]) -> None:
    rows = torch.cat(list(vectors.values()), 1)
    want = (rows[: N // 2] * rows[N // 2 :]).sum().item() / rows.shape[1]
    assert score(estimator="split", sample=None).value == pytest.approx(want, rel=1e-10)


def test_released_is_the_authors_code() -> None:
    """Mini-batch losses in training mode, 50 coordinates of tensors with at least 50 elements, halves centered."""
    model, (images, classes) = network().double().train(), samples()
    series = []
    for part in range(4):
        rows = slice(2 * part, 2 * part + 2)
        loss = nn.functional.cross_entropy(model(images[rows].double()), classes[rows])
        tensors = [p for p in model.parameters() if p.numel() >= 50][:11]
        series.append(torch.cat([g.flatten()[:50] for g in torch.autograd.grad(loss, tensors)]))
    first, second = torch.stack(series[:2]), torch.stack(series[2:])
    want = ((first - first.mean(0)) * (second - second.mean(0))).sum().item() / 2500
    assert score(estimator="released", batches=4).value == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("estimator", ["sampled", "full", "split"])
def test_unit_batch(estimator: str, vectors: dict[str, Tensor]) -> None:
    """Gradients of mini-batches: with statistics that do not couple samples, means of the samples' own."""
    model, images = network().double(), samples()[0].double()
    twin = network().double().eval()
    rows = {
        name: part.unflatten(0, (4, 2)).mean(1) for name, part in brute_force.gradients(twin, images).items()
    }
    got = knas.score(
        model, images, estimator=estimator, unit="batch", batches=4, batch_norm="initial", sample=10**9
    )
    joined = torch.cat(list(rows.values()), 1)
    want = {
        "sampled": (joined @ joined.T).mean() / len(rows),
        "full": joined.mean(0).square().sum(),
        "split": (joined[:2] * joined[2:]).sum() / joined.shape[1],
    }
    assert got.value == pytest.approx(want[estimator].item(), rel=1e-9)


def test_bfloat16_model() -> None:
    images, _ = samples()
    want = knas.score(network(), images).value
    assert knas.score(network().bfloat16(), images.bfloat16()).value == pytest.approx(want, rel=0.1)


def test_autocast() -> None:
    images, _ = samples()
    want = knas.score(network(), images).value
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert knas.score(network(), images).value == pytest.approx(want, rel=0.1)


def test_gram_properties() -> None:
    gram = knas.gram(network(), samples()[0])
    assert gram.matrix.dtype == torch.float64
    assert gram.matrix.shape == (N, N)
    assert gram.min_eigenvalue <= gram.frobenius
    assert 0 < gram.coherence <= 1
    assert gram.mean == pytest.approx((gram.mean_off_diagonal * N * (N - 1) + gram.trace) / N**2)
    torch.testing.assert_close(sum(layer.matrix for layer in gram.layers.values()), gram.matrix)


BAD_OPTIONS = {
    "estimator": (
        {"estimator": "ful"},
        "estimator: one of sampled, full, split, released expected, got 'ful'",
    ),
    "of": ({"of": "input"}, "of: one of output, loss"),
    "batch_norm": ({"batch_norm": "eval"}, "batch_norm: one of calibrated, batch, initial"),
    "unit": ({"unit": "epoch"}, "unit: one of sample, batch"),
    "sample": ({"sample": 0}, "sample: an integer of at least 1 expected, got 0"),
    "micro_batch": ({"micro_batch": 2.5}, "micro_batch: an integer"),
    "batches": (
        {"unit": "batch"},
        "inputs: unit='batch' cuts them into batches = 50 mini-batches, got only 8",
    ),
    "unknown": ({"estimater": "full"}, "estimater: not an option of proxy 'mgm'.*did you mean 'estimator'"),
    "proxy": ({"proxy": "mgn"}, "proxy: one of mgm, naswot, .* expected, got 'mgn'; did you mean 'mgm'"),
    "device": ({"device": "gpu"}, "device: 'cpu', 'cuda' or 'cuda:N' expected, got 'gpu'"),
}


@pytest.mark.parametrize(("options", "message"), BAD_OPTIONS.values(), ids=BAD_OPTIONS)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        score(**options)


class Detached(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).detach()


BAD_ARGUMENTS = {
    "model": (lambda: knas.score(3, torch.ones(2, 3)), "model: a torch.nn.Module expected, got int"),
    "inputs": (
        lambda: knas.score(nn.Linear(3, 2), [1, 2]),
        "inputs: a tensor, or a tuple or mapping of tensors",
    ),
    "targets": (
        lambda: score(of="loss") and knas.score(network(), samples()[0], of="loss"),
        "targets: needed for of='loss'",
    ),
    "number of targets": (
        lambda: knas.score(network(), *samples(8)[:1], torch.ones(3).long(), of="loss"),
        "targets: a tensor with one entry",
    ),
    "class too large": (
        lambda: knas.score(network(), samples()[0], torch.full((8,), 5), of="loss"),
        r"classes 0 \.\. 4 expected, got 5",
    ),
    "no gradient path": (lambda: knas.score(Detached(), torch.ones(2, 3)), "no gradient path"),
    "no gradient path, full": (
        lambda: knas.score(Detached(), torch.ones(2, 3), estimator="full"),
        "no gradient path",
    ),
    "output": (
        lambda: knas.score(nn.Sequential(nn.Linear(3, 2), nn.Flatten(0)), torch.ones(2, 3)),
        "expected a floating point output",
    ),
    "gram": (lambda: knas.gram(network(), samples()[0], sample=0), "sample: a positive integer or None"),
}


@pytest.mark.parametrize(("call", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_bad_arguments(call, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_real_targets() -> None:
    """of='loss' with real targets is the quadratic loss of Eq. 5."""
    model, x, y = nn.Linear(3, 2).double(), torch.randn(5, 3).double(), torch.randn(5, 2).double()
    loss = 0.5 * (model(x) - y).square().sum() / 5
    want = sum(gradient.square().sum().item() for gradient in torch.autograd.grad(loss, model.parameters()))
    assert knas.score(model, x, y, of="loss", estimator="full").value == pytest.approx(want)
    assert knas.gram(model, x, y, of="loss").mean == pytest.approx(want)


def test_overflowing_gradients_name_the_layer() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    with torch.no_grad():
        model[1].weight.fill_(2e38)
    with pytest.raises(NotFiniteError, match="gradients: NaN or Inf in 0"):
        knas.score(model, torch.ones(4, 3))
