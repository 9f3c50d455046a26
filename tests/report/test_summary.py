from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from knas.ranking import RankedRow, Ranking
from knas.report.summary import print_ranking, print_result, print_scores
from knas.runs import Best, Candidate, Control, ScoreRow, SearchResult

RESULT = SearchResult(
    space="nas-bench-201",
    dataset="digits",
    proxy="mgm",
    algorithm="knas",
    scored=18,
    failed=2,
    top_k=(
        Candidate("|skip_connect~0|", 2.0, 90.5),
        Candidate("|none~0|", 1.0, None, "[loss] is nan"),
        *(Candidate(f"|{number}|", -number, 50.0) for number in range(12)),
    ),
    best=Best("|skip_connect~0|", 90.5, 89.0),
    seconds={"score": 10.0, "train": 200.0},
    versions={},
    run="runs/x",
)


def shown(result: SearchResult) -> str:
    stream = io.StringIO()
    print_result(Console(file=stream, width=120, color_system=None), result)
    return stream.getvalue()


def test_winner_and_cost() -> None:
    text = shown(RESULT)
    assert "validation 90.50 %, test 89.00 %" in text
    assert "scoring 10.0 s (20 networks, 2 of them failed, 2.00 per second), training 3 min 20 s" in text
    assert "(4 more in runs/x/result.json)" in text
    assert "control" not in text


def test_f1_and_the_plain_model() -> None:
    best, plain = Best("highway:4", 90.5, 89.0, 91.25, 88.5), Best("highway:2", 80.0, 81.0, 82.0, 83.0)
    seconds = {"score": 10.0, "train": 200.0, "plain": 50.0}
    result = dataclasses.replace(RESULT, best=best, plain=plain, seconds=seconds)
    text = shown(result)
    assert "validation 90.50 % (F1 91.25 %), test 89.00 % (F1 88.50 %)" in text
    assert (
        "plain    the pretrained model as it is, same training: validation 80.00 % (F1 82.00 %), test 81.00 %"
        in text
    )
    assert "(14 networks), plain model 50.0 s" in text
    assert SearchResult.from_dict(result.to_dict(), result.run) == result
    assert "same training: it failed" in shown(dataclasses.replace(result, plain=None))
    assert "test_f1" not in RESULT.to_dict()["best"], "as older knas reads it"


def test_without_scores_there_is_no_column_of_them() -> None:
    trained = tuple(dataclasses.replace(one, score=None) for one in RESULT.top_k)
    text = shown(
        dataclasses.replace(RESULT, scored=0, failed=0, top_k=trained, seconds={"score": 0.0, "train": 60.0})
    )
    assert "score" not in text
    assert "cost     training 1 min 00 s (14 networks)" in text


def test_seconds_of_super_networks() -> None:
    seconds = {"score": 0.0, "supernet": 30.0, "train": 60.0}
    result = dataclasses.replace(RESULT, scored=0, failed=0, seconds=seconds)
    assert "cost     super-networks 30.0 s, training 1 min 00 s (14 networks)" in shown(result)
    table = {"file": "t", "dataset": "cifar10", "seconds": {"train": "simulated"}, "found": {"cifar10": {}}}
    assert "super-networks 30.0 s measured, training" in shown(dataclasses.replace(result, benchmark=table))


def test_brackets_are_text() -> None:
    assert "[loss] is nan" in shown(RESULT)


def test_control_beside_the_winner() -> None:
    control = Control(("a", "b", "c"), 70.0, Best("a", 81.0, 80.0))
    seconds = {**RESULT.seconds, "control": 90.0}
    text = shown(dataclasses.replace(RESULT, control=control, seconds=seconds))
    assert "random 3, same training: the best by validation has test 80.00 %, their mean is 70.00 %" in text
    assert "control 1 min 30 s" in text
    failed = dataclasses.replace(RESULT, control=Control(("a",), None, None), seconds=seconds)
    assert "all trainings failed" in shown(failed)


def test_scores_by_value_then_failures() -> None:
    stream = io.StringIO()
    rows = [
        (3, ScoreRow("c", None, "no gradient [0]", 0.1)),
        (1, ScoreRow("a", 1.0, None, 0.1)),
        (2, ScoreRow("b", 2.0, None, 0.1)),
    ]
    print_scores(Console(file=stream, width=100, color_system=None), rows, "mgm")
    text = stream.getvalue()
    assert text.index(" b ") < text.index(" a ") < text.index(" c ")
    assert "failed: no gradient [0]" in text


def test_ranking_shows_the_best_class_once_and_counts_failures() -> None:
    scores = [(7, "a", 3.0), (9, "a", 3.0), (4, "b", 1.0)]
    rows = [RankedRow(index, f"|{index}|", kind, {"mgm": value}, {}, 0.1) for index, kind, value in scores]
    failed = RankedRow(5, "|5|", "c", {"mgm": None}, {"mgm": "gradients: NaN"}, 0.1)
    ranking = Ranking("nas-bench-201", "digits", ("mgm",), (*rows, failed), "runs/x", 3, 2.0)
    stream = io.StringIO()
    print_ranking(Console(file=stream, width=100, color_system=None), ranking, 5)
    text = stream.getvalue()
    assert "|7|" in text
    assert "|9|" not in text
    assert "|5|" not in text
    assert "ranked   4 architectures in 3 isomorphism classes; 1 class failed\n" in text
    assert "cost     2.0 s for 3 networks (1.50 per second)\n" in text
