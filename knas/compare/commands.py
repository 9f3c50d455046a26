"""How to fill the rows of a comparison that have no numbers yet."""

from __future__ import annotations

import shlex

from knas.compare.systems import System
from knas.search.base import names

IMAGES = "uoft-cs/cifar10"
"""Images for scores and super-networks, unless the user takes others."""


def filling(system: System, benchmark: str) -> str:
    """The command that fills a row, and the option that then hands its result on.

    Args:
        system: the row.
        benchmark: the table, as the user named it.
    """
    if system.algorithm not in names():
        return f"this version has no algorithm {system.algorithm}"
    if system.scores is not None:
        output = f"{system.scores}.parquet"
        named = f"--proxy {system.scores} --output {output}"
        return f"knas-search rank --all --dataset {IMAGES} {named}, then --scores {output}"
    if not system.runs:
        return f"pip install 'knas[{system.algorithm}]'"
    run = f"runs/{system.name}-0"
    return (
        f"knas-search --algorithm {system.algorithm} --benchmark {shlex.quote(benchmark)} --dataset {IMAGES} "
        f"--seed 0 --run {run}, then --runs {run}"
    )
