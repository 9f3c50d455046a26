"""Proxies of Gram matrices against gradients taken one sample at a time."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from gradients.brute_force import calibrated, gradients
from proxies.conformance import ProxyConformance, network, samples

import knas


class TestGramNorm(ProxyConformance):
    name = "gram-norm"


class TestGramNormOfLoss(ProxyConformance):
    name, options = "gram-norm", {"of": "loss", "micro_batch": 3}


class TestCoherence(ProxyConformance):
    name = "coherence"


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


def test_a_layer_without_gradient_counts_as_zero() -> None:
    model = torch.nn.Sequential(network(), torch.nn.Linear(5, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    with torch.no_grad():
        model[1].bias.fill_(-1e6)  # no ReLU is ever on
    for name in ("gram-norm", "coherence", "gram-entropy"):
        shares = {layer.name: layer.value for layer in knas.score(model, samples()[0], proxy=name).layers}
        assert shares["0.0"] == shares["1"] == 0
        assert (shares["3"] > 1e-9) == (name != "gram-entropy"), "the bias alone: all gradients are parallel"


def test_equal_samples_are_singular() -> None:
    images = samples()[0][:1].expand(4, -1, -1, -1)
    score = knas.score(network(), images, proxy="min-eigenvalue")
    assert score.value == 0
    assert knas.score(network(), images, proxy="coherence").value == pytest.approx(
        len(score.layers), rel=1e-5
    )
