"""Table 2 of the KNAS paper: the winner of a search over an encoder's structures beside the plain encoder.

    python -m bench.table_2 --model roberta-large --data nyu-mll/glue --runs runs/table-2

Searches MRPC and RTE under several seeds, each in a run's folder of its own, with the plain model trained in the same
way, and prints means and standard deviations over the seeds as Markdown. It goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from knas.errors import KnasError
from knas.report.console import progress
from knas.runs.result import Best, SearchResult
from knas.search import search

TASKS = ("mrpc", "rte")
PAPER = {"mrpc": (92.08, 93.32, "0.4K"), "rte": (83.51, 83.75, "2K")}
"""By task: the accuracies of the plain model and of KNAS, and the seconds of the search."""


def parser() -> argparse.ArgumentParser:
    """The command line; what isn't given is the search's own default."""
    found = argparse.ArgumentParser(prog="python -m bench.table_2", description=__doc__)
    found.add_argument("--model", required=True, help="Hub id or folder of the encoder")
    found.add_argument("--data", default="nyu-mll/glue", help="Hub id or folder that holds mrpc and rte")
    found.add_argument("--runs", required=True, help="folder of the runs")
    found.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    found.add_argument("--seeds", type=int, default=5)
    found.add_argument("--proxy", default="mgm", help="what scores; the paper's unless given")
    for name, kind in (
        ("top-k", int),
        ("epochs", int),
        ("max-train-samples", int),
        ("max-length", int),
        ("score-samples", int),
        ("learning-rate", float),
        ("connection", str),
        ("device", str),
    ):
        found.add_argument(f"--{name}", type=kind)
    return found


def results(task: str, arguments: argparse.Namespace) -> Iterator[SearchResult]:
    """The search of each seed."""
    ours = ("data", "runs", "tasks", "seeds")
    given: dict[str, Any] = {
        name: value for name, value in vars(arguments).items() if name not in ours and value is not None
    }
    for seed in range(arguments.seeds):
        run = f"{arguments.runs}/{task}-{seed}"
        with progress() as watcher:
            yield search(
                "text",
                f"{arguments.data}/{task}",
                seed=seed,
                run=run,
                plain=True,
                progress=watcher,
                **given,
            )


def spread(values: Sequence[float | None]) -> str:
    """Mean and standard deviation over the seeds; a dash where a value is missing."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return "–"
    return f"{statistics.fmean(known):.2f} ± {statistics.stdev(known) if len(known) > 1 else 0:.2f}"


def rows(task: str, found: Sequence[SearchResult]) -> list[str]:
    """The rows of a task: the paper's and ours."""
    plain, winner, seconds = PAPER[task]
    name = task.upper()
    best = [one.best for one in found]
    scoring = statistics.fmean(one.seconds["score"] for one in found)
    training = statistics.fmean(one.seconds["train"] for one in found)
    return [
        f"| {name} | RoBERTa-large, paper | {plain} | | | |",
        f"| {name} | KNAS, paper | {winner} | | | {seconds} s |",
        f"| {name} | plain model | {_cells([one.plain for one in found])} | |",
        f"| {name} | KNAS, top {len(found[0].top_k)} | {_cells(best)} | {scoring:.0f} s + {training:.0f} s |",
    ]


def _cells(found: Sequence[Best | None]) -> str:
    """Accuracy and F1 on the test part, and accuracy on the sentences that the winner is chosen by."""
    names = ("test_accuracy", "test_f1", "validation_accuracy")
    return " | ".join(spread([getattr(one, name, None) for one in found]) for name in names)


def main(given: Sequence[str] | None = None) -> int:
    """Print the table, and which structures won."""
    arguments = parser().parse_args(given)
    try:
        found = {task: list(results(task, arguments)) for task in arguments.tasks}
    except KnasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("| task | model | accuracy | F1 | accuracy, chosen by | scoring + training |")
    print("|---|---|---|---|---|---|")
    for task, runs in found.items():
        print(*rows(task, runs), sep="\n")
    for task, runs in found.items():
        print(f"\n{task}: the winners are {', '.join(one.best.architecture for one in runs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
