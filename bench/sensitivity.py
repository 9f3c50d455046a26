"""How the order that a proxy gives depends on the settings of its scores, and what each setting costs.

    python -m bench.sensitivity --benchmark accuracies.csv --other uoft-cs/cifar100 --runs runs/sensitivity

Draws cells of NAS-Bench-201 and scores them under each setting in a run's folder of its own (it goes on where it was
stopped), then measures what scores cost: the same few cells under all settings in turn, processor time, the best of
several rounds. Prints Markdown: Spearman's and Kendall's coefficients with the test accuracy, means over the data sets
of the table, Spearman's with the order under the first setting, and the cost in proportion to it.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, spearmanr

from knas import benchmarks, ranking, spaces
from knas.errors import KnasError
from knas.proxies import create
from knas.ranking.proxies import with_options
from knas.ranking.settings import RankSettings
from knas.ranking.table import Ranking
from knas.report.console import progress
from knas.search.scorer import Scorer, draw_batch, load_data

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "n = 32, seed 0, 16 channels, 5 cells per stage": {},
    "n = 8": {"score_samples": 8},
    "n = 16": {"score_samples": 16},
    "n = 64": {"score_samples": 64},
    "seed 1": {"seed": 1},
    "seed 2": {"seed": 2},
    "initialization kaiming-fan-out": {"initialization": "kaiming-fan-out"},
    "initialization default": {"initialization": "default"},
    "BatchNorm batch": {"batch_norm": "batch"},
    "BatchNorm initial": {"batch_norm": "initial"},
    "gradient of the loss": {"of": "loss"},
    "50 sampled gradients per layer": {"sample": 50},
    "200 sampled gradients per layer": {"sample": 200},
    "1000 sampled gradients per layer": {"sample": 1000},
    "8 channels": {"channels": 8},
    "4 channels": {"channels": 4},
    "3 cells per stage": {"cells_per_stage": 3},
    "1 cell per stage": {"cells_per_stage": 1},
    "n = 16, 200 sampled": {"score_samples": 16, "sample": 200},
    "n = 8, 200 sampled": {"score_samples": 8, "sample": 200},
    "n = 16, 4 channels": {"score_samples": 16, "channels": 4},
    "n = 16, 8 channels, 200 sampled": {"score_samples": 16, "channels": 8, "sample": 200},
    "n = 8, 8 channels, 200 sampled": {"score_samples": 8, "channels": 8, "sample": 200},
    "n = 8, 4 channels, 200 sampled": {"score_samples": 8, "channels": 4, "sample": 200},
    "n = 16, 8 channels, 3 cells per stage, 200 sampled": {
        "score_samples": 16,
        "channels": 8,
        "cells_per_stage": 3,
        "sample": 200,
    },
    "images of the other data set": {"other": True},
    "bfloat16": {"precision": "bfloat16"},
}
"""What differs from the defaults of `knas.ranking.rank`; a proxy gets those of its options that are among it."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(prog="python -m bench.sensitivity", description=__doc__.split("\n")[0])
    found.add_argument("--benchmark", required=True, help="table of accuracies")
    found.add_argument("--dataset", default="uoft-cs/cifar10", help="whose images are looked at")
    found.add_argument("--other", help="a second data set; without it that setting is left out")
    found.add_argument("--runs", type=Path, required=True, help="folder of the runs")
    found.add_argument(
        "--proxy", nargs="+", default=["knas"], help="what scores; the first one's cost is measured"
    )
    found.add_argument("--cells", type=int, default=500)
    found.add_argument("--draw", type=int, default=0, help="seed that draws the cells")
    found.add_argument("--workers", type=int, help="processes; as many as pay unless given")
    found.add_argument("--timed", type=int, default=8, help="cells whose cost is measured; 0 for no costs")
    found.add_argument("--rounds", type=int, default=3)
    return found


def arguments_of(changes: Mapping[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """What `knas.ranking.rank` takes under a setting."""
    found: dict[str, Any] = {"dataset": given.dataset, "proxy": list(given.proxy), **changes}
    if found.pop("other", False):
        found["dataset"] = given.other
    own = {name: set(create(name).options()) for name in given.proxy}
    of_proxies = {
        name: found.pop(name) for name in list(found) if any(name in names for names in own.values())
    }
    options = {
        name: {option: value for option, value in of_proxies.items() if option in own[name]}
        for name in given.proxy
    }
    return {**found, "proxy_options": options}


def scored(cells: Sequence[int], given: argparse.Namespace) -> dict[str, Ranking]:
    """The ranking of the cells under each setting, in a folder of the setting's name."""
    found = {}
    for name, changes in settings(given).items():
        print(name, file=sys.stderr)
        with progress() as watcher:
            found[name] = ranking.rank(
                cells,
                **arguments_of(changes, given),
                run=given.runs / re.sub(r"\W+", "-", name).strip("-"),
                workers=given.workers,
                progress=watcher,
            )
    return found


def settings(given: argparse.Namespace) -> dict[str, Mapping[str, Any]]:
    """Those that can be run."""
    return {name: changes for name, changes in SETTINGS.items() if given.other or "other" not in changes}


def costs(cells: Sequence[int], given: argparse.Namespace) -> dict[str, float]:
    """Processor seconds per network under each setting, building included: the best round, with one thread."""
    torch.set_num_threads(1)
    space = spaces.create("nas-bench-201")
    scorers = {}
    for name, changes in settings(given).items():
        found = arguments_of(changes, given)
        options = with_options(found.pop("proxy"), found.pop("proxy_options"))
        first = next(iter(options))
        chosen = RankSettings(**found, proxy=first, proxy_options=options[first]).resolved()
        dtype = getattr(torch, chosen.precision)
        scorers[name] = Scorer(
            space, chosen, draw_batch(load_data(chosen), chosen), torch.device("cpu"), dtype
        )
    best = {name: float("inf") for name in scorers}
    for _ in range(given.rounds + 1):
        for name, scorer in scorers.items():
            start = time.process_time()
            for cell in cells:
                scorer.score(space.canonical(space.architecture(cell)))
            best[name] = min(best[name], (time.process_time() - start) / len(cells))
    return best


def values(found: Ranking, proxy: str) -> np.ndarray:
    """Scores in the order of the indices; NaN where there is none."""
    scores = {row.index: row.scores[proxy] for row in found.rows}
    return np.array([np.nan if (score := scores[index]) is None else score for index in sorted(scores)])


def report(
    found: Mapping[str, Ranking],
    seconds: Mapping[str, float],
    accuracies: Sequence[np.ndarray],
    proxies: Sequence[str],
) -> list[str]:
    """The tables."""
    lines = []
    base = next(iter(found))
    for proxy in proxies:
        costed = bool(seconds) and proxy == proxies[0]
        lines += [
            f"\n`{proxy}`\n",
            f"| setting | Spearman | Kendall | with the first | failed |{' cost |' * costed}",
        ]
        lines += [f"|---|---|---|---|---|{'---|' * costed}"]
        first = values(found[base], proxy)
        for name, order in found.items():
            scores = values(order, proxy)
            finite = np.isfinite(scores)
            both = finite & np.isfinite(first)
            spearman = statistics.fmean(
                spearmanr(scores[finite], one[finite]).statistic for one in accuracies
            )
            kendall = statistics.fmean(
                kendalltau(scores[finite], one[finite]).statistic for one in accuracies
            )
            same = spearmanr(scores[both], first[both]).statistic
            cost = f" {seconds[name] / seconds[base]:.2f} |" if costed else ""
            lines.append(
                f"| {name} | {spearman:+.3f} | {kendall:+.3f} | {same:.3f} | {(~finite).sum()} |{cost}"
            )
    return lines


def main(given: Sequence[str] | None = None) -> int:
    """Score what is left, measure, and print the tables."""
    arguments = parser().parse_args(given)
    try:
        table = benchmarks.load(arguments.benchmark)
        space = spaces.create("nas-bench-201")
        drawn = np.random.default_rng(arguments.draw).choice(len(space), arguments.cells, replace=False)
        cells = sorted(int(index) for index in drawn)
        found = scored(cells, arguments)
        seconds = (
            costs([int(index) for index in drawn[: arguments.timed]], arguments) if arguments.timed else {}
        )
    except KnasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    accuracies = [
        table.accuracies(dataset, table.budgets(dataset)[-1], "test")[cells] for dataset in table.datasets
    ]
    print("\n".join(report(found, seconds, accuracies, arguments.proxy)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
