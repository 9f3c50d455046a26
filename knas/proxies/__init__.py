"""Training-free proxies: numbers of an untrained network that tell how well it will do."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from knas.errors import UsageError
from knas.proxies.az_nas import AZNAS, AZComplexity, AZExpressivity, AZProgressivity, AZTrainability
from knas.proxies.base import LayerScore, Proxy, Score
from knas.proxies.breadth import GradientBreadth
from knas.proxies.composite import Knas
from knas.proxies.features import FeatureEntropy
from knas.proxies.grams import Coherence, GradientBalance, GramEntropy, GramNorm, MinEigenvalue, Stiffness
from knas.proxies.jacob_cov import JacobCov
from knas.proxies.linear_regions import LinearRegions
from knas.proxies.mgm import MGM
from knas.proxies.naswot import NASWOT
from knas.proxies.ntk_condition import NTKCondition
from knas.proxies.population import rank_sum
from knas.proxies.ranks import FeatureRank, GradientRank
from knas.proxies.size import DepthCount, FLOPs, LayerCount, Params
from knas.proxies.synflow import SynFlow
from knas.proxies.weights import SNIP, Fisher, GradNorm, GraSP
from knas.proxies.zen import Zen
from knas.proxies.zico import ZiCo

_PROXIES: dict[str, type[Proxy]] = {
    kind.name: kind
    for kind in (
        MGM,
        NASWOT,
        NTKCondition,
        LinearRegions,
        Knas,
        FeatureRank,
        GradientRank,
        GradientBalance,
        GradientBreadth,
        GramNorm,
        Coherence,
        Stiffness,
        GramEntropy,
        MinEigenvalue,
        FeatureEntropy,
        GradNorm,
        SNIP,
        GraSP,
        Fisher,
        SynFlow,
        JacobCov,
        Zen,
        ZiCo,
        AZNAS,
        AZExpressivity,
        AZProgressivity,
        AZTrainability,
        AZComplexity,
        Params,
        FLOPs,
        DepthCount,
        LayerCount,
    )
}


def names() -> tuple[str, ...]:
    """The names that `create` knows."""
    return tuple(_PROXIES)


def create(name: str, **options: Any) -> Proxy:
    """Makes a proxy by name.

    Args:
        name: One of `names()`.
        **options: The proxy's options; see its class.

    Raises:
        UsageError: The name or an option is unknown, or an option's value does not fit.
    """
    if name not in _PROXIES:
        raise UsageError(f"proxy: one of {', '.join(_PROXIES)} expected, got {name!r}{_hint(name, names())}")
    kind = _PROXIES[name]
    unknown = [option for option in options if option not in kind.options()]
    if unknown:
        known = kind.options()
        raise UsageError(
            f"{unknown[0]}: not an option of proxy {name!r}, which has {', '.join(known) or 'none'}"
            f"{_hint(unknown[0], known) or _owners(unknown[0])}"
        )
    return kind(**options)


def _owners(option: str) -> str:
    owners = [name for name, kind in _PROXIES.items() if option in kind.options()]
    return f"; proxy {' or '.join(map(repr, owners))} has it" if owners else ""


def _hint(given: object, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(given), known, 1)
    return f"; did you mean {close[0]!r}?" if close else ""


__all__ = [
    "AZNAS",
    "MGM",
    "NASWOT",
    "SNIP",
    "AZComplexity",
    "AZExpressivity",
    "AZProgressivity",
    "AZTrainability",
    "Coherence",
    "DepthCount",
    "FLOPs",
    "FeatureEntropy",
    "FeatureRank",
    "Fisher",
    "GraSP",
    "GradNorm",
    "GradientBalance",
    "GradientBreadth",
    "GradientRank",
    "GramEntropy",
    "GramNorm",
    "JacobCov",
    "Knas",
    "LayerCount",
    "LayerScore",
    "LinearRegions",
    "MinEigenvalue",
    "NTKCondition",
    "Params",
    "Proxy",
    "Score",
    "Stiffness",
    "SynFlow",
    "Zen",
    "ZiCo",
    "create",
    "names",
    "rank_sum",
]
