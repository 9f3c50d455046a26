"""Proxies of Gram matrices against gradients taken one sample at a time."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from gradients.brute_force import calibrated, gradients, operations
from proxies.conformance import ProxyConformance, network, samples

import knas
from knas.errors import UsageError


class TestGramNorm(ProxyConformance):
    name = "gram-norm"


class TestGramNormOfLoss(ProxyConformance):
    name, options = "gram-norm", {"of": "loss", "micro_batch": 3}


class TestCoherence(ProxyConformance):
    name = "coherence"


class TestStiffness(ProxyConformance):
    name = "stiffness"


class TestGramEntropy(ProxyConformance):
    name = "gram-entropy"


class TestMinEigenvalue(ProxyConformance):
    name = "min-eigenvalue"


def entropy(values: np.ndarray) -> float:
    shares = values[values > 1e-12 * values.sum()] / values.sum()
    return float(-(shares * np.log(shares)).sum())


WANTED = {
    "gram-norm": lambda grams: sum(np.log(1 + np.sqrt((gram**2).sum())) for gram in grams),
    "coherence": lambda grams: sum(gram.mean() / (np.trace(gram) / len(gram)) for gram in grams),
    "gram-entropy": lambda grams: sum(entropy(np.linalg.eigvalsh(gram)) for gram in grams),
    "min-eigenvalue": lambda grams: np.linalg.eigvalsh(sum(grams))[0],
}


@pytest.mark.parametrize("name", WANTED)
def test_is_the_formula(name: str) -> None:
    model, (images, _) = network().double(), samples()
    rows = gradients(calibrated(copy.deepcopy(model), images.double()), images.double())
    want = WANTED[name]([(row @ row.T).numpy() for row in rows.values()])
    assert knas.score(model, images.double(), proxy=name).value == pytest.approx(want, rel=1e-8)


def test_stiffness_is_of_the_mean_cosine_of_layers_with_weights() -> None:
    model, images = network().double(), samples()[0].double()
    rows = gradients(calibrated(copy.deepcopy(model), images), images)
    counts, want, logs = operations(model, images, len(images)), {}, {}
    for name, values in rows.items():
        unit = values / values.norm(dim=1, keepdim=True)
        cosines = (unit @ unit.T).numpy()
        mean = max(cosines[~np.eye(len(cosines), dtype=bool)].mean(), 0.0)
        logs[name] = math.log(1 + counts.get(name, 0.0))
        want[name] = logs[name] * np.arctanh(mean * np.sqrt(1 - mean**8))
    assert 0 < sum(one > 0 for one in logs.values()) < len(logs)
    want = {name: one / sum(logs.values()) for name, one in want.items()}
    for options in ({}, {"micro_batch": 3}):
        score = knas.score(model, images, proxy="stiffness", **options)
        assert {layer.name: layer.value for layer in score.layers} == pytest.approx(want, rel=1e-8)
        assert score.value == pytest.approx(sum(want.values()), rel=1e-8)


def test_layers_that_no_gradient_reaches_have_no_part_in_stiffness() -> None:
    class Dead(torch.nn.Module):
        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner, self.dead, self.unused = inner, torch.nn.Linear(5, 9), torch.nn.Linear(9, 9)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            outputs = self.inner(images)
            return outputs + 0.0 * self.dead(outputs).sum(1, keepdim=True)

    images, model = samples()[0], network()
    alone = knas.score(model, images, proxy="stiffness").value
    assert knas.score(Dead(model), images, proxy="stiffness").value == pytest.approx(alone, rel=1e-6)


def test_stiffness_of_opposite_and_of_missing_gradients() -> None:
    """Of three samples two pull the same way and one in none: one of the three pairs has cosine 1."""
    model = torch.nn.Linear(2, 1, bias=False)
    for factor, want in ((3.0, math.atanh(math.sqrt(1 - 3**-8) / 3)), (-3.0, 0.0)):
        inputs = torch.tensor([[1.0, 2.0], [factor, 2 * factor], [0.0, 0.0]])
        assert knas.score(model, inputs, proxy="stiffness").value == pytest.approx(want)


def test_a_layer_that_tells_no_sample_from_another_has_no_stiffness() -> None:
    images = samples()[0][:1].expand(4, -1, -1, -1)
    assert knas.score(network(), images, proxy="stiffness").value == pytest.approx(0, abs=1e-2)
    assert knas.score(network(), samples()[0], proxy="stiffness").value > 0.15


class TestSampledCoherence(ProxyConformance):
    name, options = "coherence", {"sample": 30}


@pytest.mark.parametrize("name", WANTED)
def test_sampling_all_entries_is_exact(name: str) -> None:
    model, images = network().double(), samples()[0].double()
    exact = knas.score(model, images, proxy=name).value
    assert knas.score(model, images, proxy=name, sample=10**6).value == pytest.approx(exact, rel=1e-9)


def test_sampled_entries_stand_for_all_of_their_layer() -> None:
    """The mean of the estimates over many draws is the Gram matrix itself."""
    model, images = network().double(), samples()[0].double()
    exact = knas.gram(model, images).trace
    grams = [knas.observations.SampledGrams(sample=40)]
    batch = knas.gradients.make_batch(images, None, torch.device("cpu"))
    draws = [
        float(knas.observations.observe(model, batch, grams, seed=seed)[grams[0]].whole.trace())
        for seed in range(200)
    ]
    spread = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws) - exact) < 4 * spread
    assert spread < 0.05 * exact


@pytest.mark.parametrize("sample", [0, -1, 2.5])
def test_a_number_of_entries_that_is_none_is_refused(sample: object) -> None:
    for name in ("gram-norm", "knas"):
        with pytest.raises(UsageError, match="sample"):
            knas.proxies.create(name, sample=sample)


def test_a_layer_without_gradient_counts_as_zero() -> None:
    model = torch.nn.Sequential(network(), torch.nn.Linear(5, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    with torch.no_grad():
        model[1].bias.fill_(-1e6)  # no ReLU is ever on
    for name in ("gram-norm", "coherence", "stiffness", "gram-entropy"):
        shares = {layer.name: layer.value for layer in knas.score(model, samples()[0], proxy=name).layers}
        assert shares["0.0"] == shares["1"] == 0
        parallel = name in ("gram-entropy", "stiffness")
        assert shares["3"] == pytest.approx(0, abs=1e-6) if parallel else shares["3"] > 1e-3, "the bias alone"


def test_equal_samples_are_singular() -> None:
    images = samples()[0][:1].expand(4, -1, -1, -1)
    score = knas.score(network(), images, proxy="min-eigenvalue")
    assert score.value == 0
    assert knas.score(network(), images, proxy="coherence").value == pytest.approx(
        len(score.layers), rel=1e-5
    )
