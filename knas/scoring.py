"""The calls most users need: the score of a network, its scores by several proxies, and its Gram matrix."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from knas import native
from knas.errors import KnasError, NotFiniteError, UsageError
from knas.gradients import Gradients, Inputs, Settings, Skipped, make_batch, random_entries
from knas.gradients.checks import refuse_non_finite_weights
from knas.gradients.gram import Gram
from knas.observations import observe
from knas.proxies import create
from knas.proxies.base import Observing, Proxy, Score, on_device


def score(
    model: nn.Module,
    inputs: Inputs,
    targets: Tensor | None = None,
    *,
    proxy: str = "mgm",
    seed: int = 0,
    device: torch.device | str | None = None,
    **options: Any,
) -> Score:
    """Scores an untrained network without training it; the network is left as it was.

    Example:
        >>> import torch, knas
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> score = knas.score(network, torch.ones(8, 1, 8, 8), estimator="full")
        >>> round(score.value)  # 10 outputs with gradient 1 for each of 64 weights and a bias
        650

    Args:
        model: Any module whose output has the samples first.
        inputs: n >= 2 samples: a tensor [n, ...], or a tuple or mapping of such (positional or keyword arguments).
        targets: Classes [n] or real values, for proxies that look at the loss.
        proxy: One of `knas.proxies.names()`.
        seed: For everything random in the score, such as which parameters are sampled.
        device: Where to compute, such as "cuda"; None means where the model is.
        **options: The proxy's options; for "mgm" see `knas.proxies.MGM`.

    Returns:
        The score; higher is better.

    Raises:
        UsageError: An argument cannot be used.
        NotFiniteError: NaN or Inf in inputs, weights or gradients.
    """
    chosen = create(proxy, **options)
    model, where = on_device(model, device)
    return chosen.score(model, make_batch(inputs, targets, where), seed=seed)


@dataclass(frozen=True)
class Scores(Mapping[str, Score]):
    """What several proxies say of a network: the scores there are, by name, and why there is none of the others.

    Attributes:
        scores: The scores.
        failures: The errors of the proxies without a score.
        seconds: Wall-clock time of all of them together.
    """

    scores: Mapping[str, Score]
    failures: Mapping[str, KnasError]
    seconds: float

    def __getitem__(self, name: str) -> Score:
        """The score by a name.

        Raises:
            KnasError: That proxy gave none, and why.
        """
        if name in self.failures:
            raise self.failures[name]
        return self.scores[name]

    def __iter__(self) -> Iterator[str]:
        """The names of the scores that there are."""
        return iter(self.scores)

    def __len__(self) -> int:
        """How many scores there are."""
        return len(self.scores)


def scores(
    model: nn.Module,
    inputs: Inputs,
    targets: Tensor | None = None,
    *,
    proxies: Sequence[str | Proxy] | Mapping[str, Proxy],
    seed: int = 0,
    device: torch.device | str | None = None,
) -> Scores:
    """Scores an untrained network by several proxies, which share the passes that they look at.

    All that is read off one forward and one backward pass costs these two passes once. A proxy that fails does not
    take the others with it.

    Example:
        >>> import torch, knas
        >>> network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
        >>> found = knas.scores(network, torch.ones(8, 1, 8, 8), proxies=("params", "layers", "naswot"))
        >>> {name: score.value for name, score in found.items()}
        {'params': 650.0, 'layers': 1.0}
        >>> print(found.failures["naswot"])  # doctest: +ELLIPSIS
        model: no ReLU ran in its forward pass, ...

    Args:
        model: Any module whose output has the samples first.
        inputs: n >= 2 samples, as for `score`.
        targets: Classes [n] or real values, for proxies that look at the loss.
        proxies: Names, or proxies that `knas.proxies.create` made with options; a mapping gives them other names.
        seed: For everything random in the scores.
        device: Where to compute; None means where the model is.

    Returns:
        The scores by name, and the errors of the proxies without one. A score's `seconds` are those of its own passes,
        shared or not; `Scores.seconds` are those of all.

    Raises:
        UsageError: An argument cannot be used.
        NotFiniteError: NaN or Inf in inputs.
    """
    started = time.perf_counter()
    chosen = _named(proxies)
    model, where = on_device(model, device)
    batch = make_batch(inputs, targets, where)
    shared = {name: one for name, one in chosen.items() if isinstance(one, Observing) and not one.own_passes}
    wanted = [observation for one in shared.values() for observation in one.observations()]
    findings = observe(model, batch, wanted, seed=seed)
    found: dict[str, Score] = {}
    failures: dict[str, KnasError] = {}
    for name, one in chosen.items():
        try:
            alone = name not in shared
            found[name] = (
                one.score(model, batch, seed=seed) if alone else shared[name].judged(model, findings)
            )
        except KnasError as error:
            failures[name] = error
    return Scores(found, failures, time.perf_counter() - started)


def _named(wanted: Sequence[str | Proxy] | Mapping[str, Proxy]) -> dict[str, Proxy]:
    if isinstance(wanted, Mapping):
        return dict(wanted)
    if isinstance(wanted, str) or not wanted:
        raise UsageError(f"proxies: names or proxies in a sequence, or a mapping, expected, got {wanted!r}")
    named: dict[str, Proxy] = {}
    for one in wanted:
        proxy = one if isinstance(one, Proxy) else create(one)
        if proxy.name in named:
            raise UsageError(f"proxies: {proxy.name!r} is there twice; pass a mapping that gives each a name")
        named[proxy.name] = proxy
    return named


def gram(
    model: nn.Module,
    inputs: Inputs,
    targets: Tensor | None = None,
    *,
    of: str = "output",
    batch_norm: str = "calibrated",
    sample: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    micro_batch: int | None = None,
) -> Gram:
    """Gram matrix of the per-sample gradients of a network, and of each layer.

    Args:
        model: Any module whose output has the samples first.
        inputs: n >= 2 samples, as for `score`.
        targets: Classes [n] or real values; needed for of="loss".
        of: What is differentiated: "output" (Eq. 9, summed over its elements) or "loss".
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
        sample: Entries drawn per layer; None for all parameters.
        seed: For the drawing of entries.
        device: Where to compute; None means where the model is.
        micro_batch: Samples that are taken at once; None takes as many as fit the memory.

    Returns:
        Float64 matrices on the CPU.

    Raises:
        UsageError: An argument cannot be used.
        NotFiniteError: NaN or Inf in inputs, weights or gradients.
    """
    settings = Settings(of, batch_norm, seed, micro_batch)
    for name, number in (("sample", sample), ("micro_batch", micro_batch)):
        if number is not None and (not isinstance(number, int) or number < 1):
            raise UsageError(f"{name}: a positive integer or None expected, got {number!r}")
    model, where = on_device(model, device)
    batch = make_batch(inputs, targets, where)
    gradients = Gradients(model, batch, settings)
    refuse_non_finite_weights(gradients.layers)
    if sample is None:
        matrices = gradients.matrices()
    else:
        vectors = gradients.vectors(random_entries(sample, seed))
        matrices = {layer: native.gram_matrix(rows) for layer, rows in vectors.items()}
    layers = {layer.name: Gram(matrix.cpu()) for layer, matrix in matrices.items()}
    total = torch.stack([part.matrix for part in layers.values()]).sum(0)
    if not bool(torch.isfinite(total).all()):
        raise NotFiniteError(
            "gradients: NaN or Inf among them; the network or its initialization is unstable"
        )
    skipped = tuple(Skipped(*item) for item in gradients.skipped.items())
    return Gram(total, layers, skipped)
