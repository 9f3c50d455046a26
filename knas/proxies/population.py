"""Scores of a population of networks, put together by their ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from knas.errors import UsageError


def rank_sum(scores: Mapping[str, Sequence[float | None]]) -> npt.NDArray[np.float64]:
    """sum_p log(r_p / m) of each of m networks, r_p its rank by proxy p, 1 the worst (AZ-NAS, arXiv 2403.19232).

    Networks of the same value share the mean of their ranks. A network without a finite score by one of the proxies
    has NaN, and no part in the ranks of the others.

    Example:
        >>> rank_sum({"a": [1.0, 2.0, 3.0], "b": [5.0, 7.0, None]})
        array([-1.38629436,  0.        ,         nan])

    Args:
        scores: For each proxy the networks' values, all in one order; None for no score.

    Raises:
        UsageError: There is no proxy, or they have different numbers of networks.
    """
    sizes = {len(values) for values in scores.values()}
    if len(sizes) != 1:
        raise UsageError(
            f"scores: as many networks for each of one or more proxies expected, got {sorted(sizes)}"
        )
    from scipy.stats import rankdata

    table = np.array([[math.nan if value is None else value for value in row] for row in scores.values()])
    ranked = np.isfinite(table).all(0)
    total = np.full(table.shape[1], np.nan)
    if ranked.any():
        ranks = rankdata(table[:, ranked], axis=1)  # [proxies, networks]
        total[ranked] = np.log(ranks / ranked.sum()).sum(0)
    return total
