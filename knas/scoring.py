"""The two calls most users need: the score of a network, and its Gram matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from knas import native, proxies
from knas.errors import NotFiniteError, UsageError
from knas.gradients import Gradients, Inputs, Settings, Skipped, make_batch, random_entries
from knas.gradients.gram import Gram
from knas.proxies.base import Score, on_device
from knas.proxies.checks import refuse_non_finite_weights


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
    chosen = proxies.create(proxy, **options)
    model, where = on_device(model, device)
    return chosen.score(model, make_batch(inputs, targets, where), seed=seed)


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
