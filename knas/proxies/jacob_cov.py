"""How differently an untrained network responds to changes of different inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from knas.errors import KnasError
from knas.gradients import POLICIES, one_of
from knas.observations import CapturePass, Findings, InputJacobian
from knas.proxies.base import Observing, Score

_SHIFT = 1e-5  # k of the published code


@dataclass(frozen=True)
class JacobCov(Observing):
    """-sum_k (log(v_k + 1e-5) + 1 / (v_k + 1e-5)) over the eigenvalues v of the correlations of the samples' Jacobians.

    Row i of the Jacobian is the gradient of sample i's summed output for its own input, and C their matrix of
    correlation coefficients; it is largest where rows are uncorrelated, C = 1 (Mellor et al., version 1 of arXiv
    2006.04647; `jacob_cov` of Abdelfattah et al., arXiv 2101.08134, with 64 images).

    It departs from the code in BatchNorm: by default its statistics are those of the batch but constant, so that a
    sample's row is its own; `batch_norm="batch"` lets gradients flow through them, as in the code's training mode.
    Eigenvalues are those of a symmetric matrix, in float64. A sample whose Jacobian is constant has no correlations,
    and the network no score; the code says NaN.

    Args:
        batch_norm: "calibrated", "batch" or "initial"; see `knas.proxies.MGM`.
    """

    name: ClassVar[str] = "jacob-cov"

    batch_norm: str = "calibrated"

    def __post_init__(self) -> None:
        """Checks the option."""
        one_of("batch_norm", self.batch_norm, POLICIES)

    @property
    def _jacobian(self) -> InputJacobian:
        return InputJacobian(CapturePass("output", self.batch_norm))

    def observations(self) -> tuple[InputJacobian]:
        """The gradients of the inputs."""
        return (self._jacobian,)

    def read(self, model: nn.Module, findings: Findings) -> Score:
        """The score of their correlations; it has no shares of layers."""
        values = torch.linalg.eigvalsh(correlations(findings[self._jacobian])).clamp(min=0) + _SHIFT
        return Score(-float((values.log() + 1 / values).sum()), self.name)


def correlations(rows: Tensor) -> Tensor:
    """Correlation coefficients [n, n] of rows [n, p], in float64.

    Raises:
        KnasError: A row is constant.
    """
    centered = rows.double() - rows.double().mean(1, keepdim=True)
    norms = centered.norm(dim=1, keepdim=True)
    if not bool((norms > 0).all()):
        sample = int((norms[:, 0] == 0).int().argmax())
        raise KnasError(f"jacob-cov: the output does not depend on the input of sample {sample}")
    unit = centered / norms
    product: Tensor = unit @ unit.T
    return product
