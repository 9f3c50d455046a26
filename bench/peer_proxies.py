"""Whether knas's proxies put cells of NAS-Bench-201 in the order that published values of the same proxies do.

    python -m bench.peer_proxies --dataset uoft-cs/cifar10 --peers peer_proxies.csv.gz --scores scores.csv

Draws cells that have published values, builds each as the benchmark does (16 channels, 5 cells per stage, edges as
built), scores it by all proxies at once, and prints Spearman's coefficient with each column as Markdown. Scores are
written cell by cell; a second call goes on where the first one stopped, and `--share 0/2` and `--share 1/2` divide the
cells between two processes with files of their own, which `--report` reads together.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import math
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

import knas
from knas import data
from knas.proxies import Proxy, create

#: Published columns, less the data set's name, and whose values they are to agree with.
PEERS = {
    "suitezero_{}_params": "params",
    "suitezero_{}_flops": "flops",
    "suitezero_{}_grad_norm": "grad-norm",
    "suitezero_{}_snip": "snip",
    "suitezero_{}_grasp": "grasp",
    "suitezero_{}_fisher": "fisher",
    "suitezero_{}_synflow": "synflow",
    "suitezero_{}_jacov": "jacob-cov",
    "suitezero_{}_nwot": "naswot",
    "suitezero_{}_zen": "zen",
    "freerea_{}_synflow": "synflow",
    "freerea_{}_naswot": "naswot",
}

PROXIES: dict[str, Proxy] = {
    **{name: create(name) for name in dict.fromkeys(PEERS.values())},
    "jacob-cov, batch": create("jacob-cov", batch_norm="batch"),
    "zen, batch": create("zen", variances="batch"),
}

Row = dict[str, float | None]


def read_peers(path: Path) -> dict[int, dict[str, float]]:
    """Published values of each cell, without blanks and infinities."""
    with gzip.open(path, "rt") as file:
        rows = {int(row.pop("index")): row for row in csv.DictReader(file)}
    return {
        index: {name: float(value) for name, value in row.items() if value and math.isfinite(float(value))}
        for index, row in rows.items()
    }


def draw(peers: Mapping[int, Mapping[str, float]], column: str, cells: int, seed: int) -> list[int]:
    """Numbers of random cells that have a value in a column."""
    known = sorted(index for index, row in peers.items() if column in row)
    return [int(index) for index in np.random.default_rng(seed).permutation(known)[:cells]]


def score_cells(indices: Iterable[int], arguments: argparse.Namespace) -> None:
    """Scores cells that the file does not have yet."""
    space = knas.spaces.create("nas-bench-201")
    images, classes = data.score_batch(data.load(arguments.dataset), arguments.images, seed=arguments.seed)
    done = read_scores([arguments.scores]) if arguments.scores.exists() else {}
    with arguments.scores.open("a", newline="") as file:
        writer = csv.writer(file)
        if not done:
            writer.writerow(["index", *PROXIES])
        for index in indices:
            if index not in done:
                build = {"seed": arguments.seed, "initialization": arguments.initialization}
                network = space.build(space.architecture(index), int(classes.max()) + 1, **build)
                wanted = {name: proxy for name, proxy in PROXIES.items() if name not in arguments.without}
                found = knas.scores(network, images, classes, proxies=wanted, seed=arguments.seed)
                writer.writerow([index, *(found[name].value if name in found else "" for name in PROXIES)])
                file.flush()


def read_scores(paths: Iterable[Path]) -> dict[int, Row]:
    """Scores of each cell by name; None for no score."""
    scores: dict[int, Row] = {}
    for path in paths:
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                index = int(row.pop("index"))
                scores[index] = {name: float(value) if value else None for name, value in row.items()}
    return scores


def report(
    peers: Mapping[int, Mapping[str, float]], scores: Mapping[int, Row], dataset: str
) -> Iterable[str]:
    """A table of the coefficients."""
    yield "| proxy | published column | Spearman's ρ | cells |"
    yield "|---|---|---|---|"
    for column, proxy in PEERS.items():
        column = column.format(dataset)
        for name in (name for name in PROXIES if name.split(",")[0] == proxy):
            both = [
                (row[name], peers[index][column])
                for index, row in scores.items()
                if row.get(name) is not None and column in peers[index]
            ]
            if len(both) > 2:
                rho = spearmanr(*zip(*both, strict=True)).statistic
                yield f"| `{name}` | {column} | {rho:.3f} | {len(both)} |"


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peer_proxies", description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", default="uoft-cs/cifar10", help="whose images are looked at")
    parser.add_argument("--columns", default="cifar10", help="the data set's name in the published columns")
    parser.add_argument("--peers", type=Path, required=True, help="the table of published values")
    parser.add_argument("--scores", type=Path, required=True, help="where the scores are written")
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument(
        "--initialization", default="default", help="PyTorch's own, as the published code has it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", default="0/1", help="K/N: every Nth cell from the Kth on")
    parser.add_argument(
        "--without", nargs="*", default=[], help="proxies to leave out, such as the slow grasp"
    )
    parser.add_argument("--report", type=Path, nargs="*", help="only report these files of scores")
    return parser.parse_args(arguments)


def main() -> None:
    """Scores what is left, and reports."""
    arguments = parse(sys.argv[1:])
    peers = read_peers(arguments.peers)
    if not arguments.report:
        first, step = map(int, arguments.share.split("/"))
        column = f"suitezero_{arguments.columns}_synflow"
        score_cells(draw(peers, column, arguments.cells, arguments.seed)[first::step], arguments)
    print("\n".join(report(peers, read_scores(arguments.report or [arguments.scores]), arguments.columns)))


if __name__ == "__main__":
    main()
