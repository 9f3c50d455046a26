"""The rows of a comparison: the systems of the paper's Table 1, `knas-build`, and the controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

TABLES = {"mgm": "KNAS", "knas": "the composite score", "naswot": "NASWOT"}
"""Proxies whose tables of scores fill rows, and whose; any other proxy's fill those of KNAS."""

SAMPLES = 100
"""Architectures that are drawn and scored, in the paper's Section 6.3."""


@dataclass(frozen=True)
class System:
    """One row.

    Attributes:
        name: what JSON and records know it by.
        title: what the table prints.
        algorithm: of `knas.search`; None for a fixed cell.
        options: of the algorithm.
        scores: what it takes its scores from: one of `TABLES`, "parameters", "none" for equal scores, or None where
            it asks for none.
        runs: whether only runs with real networks can tell what it finds.
    """

    name: str
    title: str
    algorithm: str | None
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    scores: str | None = None
    runs: bool = False


def _knas(name: str, title: str, k: int, scores: str) -> System:
    return System(name, title, "knas", {"samples": SAMPLES, "top_k": k}, scores)


def _random(k: int) -> System:
    """KNAS without a score: it draws only k, the first k that KNAS draws under the same seed, and trains all."""
    options = {"samples": k, "top_k": k}
    return System(f"random-{k}", f"random {k}, same training", "knas", options, "none")


SYSTEMS = (
    System("resnet", "ResNet", None),
    System("random", "RS", "random"),
    System("reinforce", "RL", "reinforce"),
    System("regularized-evolution", "REA", "regularized-evolution"),
    System("bohb", "BOHB", "bohb"),
    System("rsps", "RSPS", "rsps", runs=True),
    System("gdas", "GDAS", "gdas", runs=True),
    System("darts", "DARTS", "darts", runs=True),
    System("naswot", "NASWOT", "naswot", {"samples": SAMPLES}, "naswot"),
    System("te-nas", "TE-NAS", "te-nas", runs=True),
    _knas("knas-20", "KNAS (k = 20)", 20, "mgm"),
    _knas("knas-40", "KNAS (k = 40)", 40, "mgm"),
    _knas("composite-20", "composite score (k = 20)", 20, "knas"),
    _knas("composite-40", "composite score (k = 40)", 40, "knas"),
    System("knas-build", "knas-build", "knas-build", runs=True),
    _random(20),
    _random(40),
    _knas("parameters-20", "most parameters (k = 20)", 20, "parameters"),
    _knas("parameters-40", "most parameters (k = 40)", 40, "parameters"),
)
"""In the order of the table."""

CONTROLS: Mapping[str, tuple[str, ...]] = {
    f"{name}-{k}": (f"random-{k}", f"parameters-{k}") for name in ("knas", "composite") for k in (20, 40)
}
"""What each row that trains the best by a score has to beat."""
