"""Which setting of `mgm` puts cells in the order that the KNAS paper tells: all of them on the same cells.

    python -m bench.estimators --dataset uoft-cs/cifar100 --benchmark accuracies.csv --runs runs/estimators

Ranks the same sample by every estimator, objective and BatchNorm mode, each in a run's folder of its own, and prints
Spearman's and Kendall's coefficients with a table's columns, and the p-value of the first, as Markdown. It goes on
where it was stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from knas import benchmarks, ranking
from knas.benchmarks import Benchmark
from knas.errors import KnasError
from knas.gradients import OBJECTIVES, POLICIES
from knas.proxies.mgm import ESTIMATORS
from knas.ranking.correlation import Agreement, Scores, Target, compare, targets
from knas.report.agreement import TITLES, probability, signed
from knas.report.paper_figures import PAPER_DATASET

BATCHED_IMAGES = 200
"""Images per score for unit="batch": 50 mini-batches of 4, where the released code takes 50 of 256."""


class Setting(NamedTuple):
    """Options of mgm, and how many images they score."""

    estimator: str
    of: str
    batch_norm: str
    unit: str
    images: int

    @property
    def options(self) -> dict[str, Any]:
        return {name: value for name, value in self._asdict().items() if name != "images"}

    @property
    def name(self) -> str:
        return "-".join(self[:4])


def settings(images: int, *, batched: bool) -> Iterator[Setting]:
    """Every estimator with per-sample gradients; with `batched`, the released one with those of mini-batches."""
    for estimator, of, batch_norm in product(ESTIMATORS, OBJECTIVES, POLICIES):
        yield Setting(estimator, of, batch_norm, "sample", images)
    for of, batch_norm in product(OBJECTIVES, POLICIES) if batched else ():
        yield Setting("released", of, batch_norm, "batch", BATCHED_IMAGES)


def columns(table: Benchmark) -> list[Target]:
    """The final accuracies on each data set of a table, and what stands for the losses on the paper's."""
    found = [targets(table, name)[-1] for name in table.datasets]
    return [*found, *(targets(table, PAPER_DATASET)[:-1] if PAPER_DATASET in table.datasets else ())]


def agreements(
    setting: Setting, compared: Sequence[Target], arguments: argparse.Namespace
) -> list[Agreement]:
    """How a setting agrees with columns of a table."""
    ranked = ranking.rank(
        arguments.samples,
        dataset=arguments.dataset,
        proxy="mgm",
        proxy_options=setting.options,
        score_samples=setting.images,
        seed=arguments.seed,
        run=arguments.runs / setting.name,
        workers=arguments.workers,
        threads=1,
    )
    scores = Scores.of(ranked)
    return [compare(scores, target) for target in compared]


def line(setting: Setting, found: list[Agreement]) -> str:
    """A row of the table."""
    cells = [
        f"{signed(one.coefficients['spearman'].value)}, {signed(one.coefficients['kendall'].value)} "
        f"({probability(one.coefficients['spearman'].p)})"
        for one in found
    ]
    left_out = str(found[0].left_out)
    return f"| {' | '.join([*setting[:4], str(setting.images), *cells, left_out])} |"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.estimators", description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", required=True, help="whose images are scored")
    parser.add_argument("--benchmark", type=Path, required=True, help="the table of accuracies")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--samples", type=int, default=200, help="cells")
    parser.add_argument("--images", type=int, default=32, help="per score, with per-sample gradients")
    parser.add_argument(
        "--batched", action="store_true", help="the released estimator with mini-batches as well"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    given = parse(arguments)
    try:
        table = benchmarks.load(given.benchmark)
        compared = columns(table)
        names = [f"{TITLES[one.dataset]}, {one.name}" for one in compared]
        header = ["estimator", "of", "BatchNorm", "unit", "images", *names, "left out"]
        print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}")
        for setting in settings(given.images, batched=given.batched):
            print(line(setting, agreements(setting, compared, given)), flush=True)
    except KnasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
