"""The tables at the end of a search and of a ranking, and that of scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from knas.ranking.table import Ranking
from knas.report.tables import add_row, new_table, say, score_text
from knas.report.tally import count, duration
from knas.runs.record import ScoreRow
from knas.runs.result import SearchResult

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 10
"""So many of the top k are shown; the rest is in result.json."""

SHOWN_PROXIES = 3
"""So many proxies of a ranking are shown; the rest is in its table."""


def print_result(console: Console, result: SearchResult) -> None:
    """Print the architectures that were trained, the winner, the control beside it, and what it cost."""
    scores = any(one.score is not None for one in result.top_k)
    table = new_table("#", "architecture", *(["score"] if scores else []), "validation")
    for position, one in enumerate(result.top_k[:SHOWN], start=1):
        accuracy = one.reason if one.validation_accuracy is None else f"{one.validation_accuracy:.2f} %"
        mark = "*" if one.architecture == result.best.architecture else ""
        score = [] if one.score is None else [score_text(one.score)]
        add_row(table, f"{position}{mark}", one.architecture, *score, accuracy or "")
    console.print(table)
    if len(result.top_k) > SHOWN:
        say(console, f"({len(result.top_k) - SHOWN} more in {result.run}/result.json)")
    for line in ("", *_lines(result)):
        say(console, line)


def print_scores(console: Console, rows: Sequence[tuple[int, ScoreRow]], proxy: str) -> None:
    """Print scores of single architectures, with their indices, by descending score; failures last."""
    table = new_table("index", "architecture", proxy, "seconds")
    for index, row in sorted(rows, key=lambda pair: (pair[1].value is None, -(pair[1].value or 0.0))):
        value = f"failed: {row.reason}" if row.value is None else score_text(row.value)
        add_row(table, str(index), row.architecture, value, f"{row.seconds:.2f}")
    console.print(table)


def print_ranking(console: Console, ranking: Ranking, top: int) -> None:
    """Print the best classes of a ranking, how many architectures it holds, and what it cost."""
    members = Counter(row.canonical for row in ranking.rows)
    if top:
        shown = ranking.proxies[:SHOWN_PROXIES]
        table = new_table("#", "index", "architecture", *shown, "isomorphic")
        for position, row in enumerate(ranking.best(top), start=1):
            values = (row.scores[proxy] for proxy in shown)
            texts = ["failed" if value is None else score_text(value) for value in values]
            add_row(
                table, str(position), str(row.index), row.architecture, *texts, str(members[row.canonical])
            )
        console.print(table)
        if len(ranking.proxies) > len(shown):
            say(console, f"(and by {', '.join(ranking.proxies[len(shown) :])})")
        say(console, "")
    say(
        console,
        f"ranked   {count(len(ranking.rows), 'architecture')} in {count(len(members), 'isomorphism class')}"
        f"{_failures(ranking)}",
    )
    if ranking.measured:
        rate = ranking.measured / max(ranking.seconds, 1e-9)
        say(
            console,
            f"cost     {duration(ranking.seconds)} for {count(ranking.measured, 'network')} ({rate:.2f} per second)",
        )
    if ranking.run is not None:
        say(console, f"run      {ranking.run}")


def _failures(ranking: Ranking) -> str:
    """How many classes have no score, by proxy where there are several."""
    several = len(ranking.proxies) > 1
    parts = [
        f"; {count(number, 'class')} failed{f' by {proxy}' if several else ''}"
        for proxy, number in ranking.failures.items()
    ]
    return "".join(parts)


def _lines(result: SearchResult) -> list[str]:
    best, seconds = result.best, result.seconds
    lines = [
        f"winner   {best.architecture}",
        f"         validation {_quality(best.validation_accuracy, best.validation_f1)}, "
        f"test {_quality(best.test_accuracy, best.test_f1)}",
    ]
    if result.control is not None:
        lines.append(_control_line(result))
    if "plain" in seconds:
        lines.append(_plain_line(result))
    if result.benchmark is not None:
        lines += _benchmark_lines(result.benchmark)
    names = {"control": "control", "plain": "plain model"}
    extra = "".join(f", {name} {duration(seconds[key])}" for key, name in names.items() if key in seconds)
    lines.append(
        f"cost     {_scoring(result)}{_sharing(result)}"
        f"training {duration(seconds['train'])} ({count(len(result.top_k), 'network')}){extra}"
    )
    return [*lines, f"run      {result.run}"]


def _benchmark_lines(benchmark: Mapping[str, Any]) -> list[str]:
    """What the table tells of the winner: all on the data set of the search, the last test accuracies elsewhere."""
    own = benchmark["dataset"]
    lines = [f"table    {benchmark['file']}, seconds of training {benchmark['seconds']['train']}"]
    for epochs, found in benchmark["found"][own].items():
        accuracies = (
            f"validation {_percent(found['validation_accuracy'])}, test {_percent(found['test_accuracy'])}"
        )
        lines.append(f"         {own} after {epochs} epochs: {accuracies}")
    for dataset, entries in benchmark["found"].items():
        if dataset != own:
            epochs = list(entries)[-1]
            lines.append(
                f"         {dataset} after {epochs} epochs: test {_percent(entries[epochs]['test_accuracy'])}"
            )
    return lines


def _scoring(result: SearchResult) -> str:
    scored, seconds = result.scored + result.failed, result.seconds["score"]
    if not scored:
        return ""
    rate = scored / seconds if seconds > 0 else 0.0
    failed = f", {result.failed} of them failed" if result.failed else ""
    return f"scoring {duration(seconds)} ({count(scored, 'network')}{failed}, {rate:.2f} per second), "


def _sharing(result: SearchResult) -> str:
    if "supernet" not in result.seconds:
        return ""
    measured = "" if result.benchmark is None else " measured"
    return f"super-networks {duration(result.seconds['supernet'])}{measured}, "


def _control_line(result: SearchResult) -> str:
    control = result.control
    assert control is not None
    if control.best is None:
        return "control  random k, same training: all trainings failed"
    return (
        f"control  random {len(control.architectures)}, same training: the best by validation has test "
        f"{_quality(control.best.test_accuracy, control.best.test_f1)}, "
        f"their mean is {_percent(control.mean_test_accuracy)}"
    )


def _plain_line(result: SearchResult) -> str:
    plain = result.plain
    if plain is None:
        return "plain    the pretrained model as it is, same training: it failed"
    return (
        "plain    the pretrained model as it is, same training: validation "
        f"{_quality(plain.validation_accuracy, plain.validation_f1)}, "
        f"test {_quality(plain.test_accuracy, plain.test_f1)}"
    )


def _quality(accuracy: float | None, f1: float | None) -> str:
    return _percent(accuracy) + ("" if f1 is None else f" (F1 {f1:.2f} %)")


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} %"
