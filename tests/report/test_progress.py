from __future__ import annotations

import dataclasses
import io

import pytest
from rich.console import Console

from knas.ranking.settings import RankSettings
from knas.report.live import LiveProgress, PlainProgress
from knas.report.opening import told_once
from knas.report.tally import Tally, duration
from knas.runs import ScoreRow, SupernetRow, TrialRow
from knas.search.events import (
    EpochEnded,
    Event,
    PhaseStarted,
    RankingOpened,
    RunOpened,
    RunRecalled,
    Scored,
    SupernetTrained,
    Trained,
    TrialStarted,
)
from knas.search.settings import SearchSettings

TRIAL = TrialRow("a", 2, "top-k", 91.234, 90.0, 0.1, None, 3.0)
OPENED = RunOpened("runs/x", SearchSettings().resolved().to_dict(), 3, 0, "cpu", ("a fifth was held out",))


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def score(value: float | None, *, replayed: bool = False) -> Scored:
    return Scored(ScoreRow("a", value, None if value is not None else "no gradient", 0.5), replayed)


def events(recorded: int = 0) -> list[Event]:
    scores: list[Event] = [score(float(number), replayed=number < recorded) for number in range(50)]
    trial: list[Event] = [PhaseStarted("top-k", 1), TrialStarted("a", 2)]
    epochs: list[Event] = [EpochEnded("a", {"epoch": n, "validation_accuracy": 45.0 * n}) for n in (1, 2)]
    return [OPENED, PhaseStarted("score", 50), *scores, *trial, *epochs, Trained(TRIAL, False)]


def shown(kind: type[LiveProgress] | type[PlainProgress], told: list[Event], *, terminal: bool) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=terminal, color_system=None)
    with kind(console) as progress:
        for event in told:
            progress(event)
    return stream.getvalue()


def test_rate_and_remaining_time_count_only_what_was_measured() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.add(PhaseStarted("score", 100))
    for number in range(40):
        tally.add(score(float(number), replayed=True))
    assert tally.rate is None
    assert tally.remaining is None
    for number in range(10):
        clock.now += 0.5
        tally.add(score(float(number)))
    assert tally.rate == 2.0
    assert tally.remaining == 25.0
    assert tally.text() == "50/100  2.00/s  best 39"


def test_epochs_count_as_fractions_of_a_trial() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.add(PhaseStarted("top-k", 2))
    tally.add(TrialStarted("a", 4))
    clock.now += 10
    tally.add(EpochEnded("a", {"epoch": 1, "validation_accuracy": 50.0}))
    assert tally.progress == 0.25
    assert tally.remaining == 70.0
    assert tally.text() == "0/2  epoch 1/4  now 50.00 %"
    tally.add(Trained(TRIAL, False))
    assert tally.progress == 1
    assert "best 91.23 %" in tally.text()


def shared(accuracy: float = 30.0) -> list[Event]:
    history = tuple({"epoch": n, "validation_accuracy": accuracy * n / 2} for n in (1, 2))
    row = SupernetRow("[1]", ("a",), None, 8.0, history)
    epochs = [EpochEnded("super-network", values) for values in history]
    return [
        PhaseStarted("supernet", 1),
        TrialStarted("super-network", 2),
        *epochs,
        SupernetTrained(row, False),
    ]


@pytest.mark.parametrize("kind", [LiveProgress, PlainProgress])
def test_a_super_network_is_shown_by_its_epochs(kind: type[LiveProgress] | type[PlainProgress]) -> None:
    text = shown(kind, shared(), terminal=kind is LiveProgress)
    assert "sharing" in text
    assert "1/1  best 30.00 %" in text
    if kind is PlainProgress:
        assert "sharing 0/1  epoch 1/2  now 15.00 %" in text


def test_the_opening_says_what_super_networks_are_trained_on() -> None:
    settings = {**SearchSettings(algorithm="darts").resolved().to_dict(), "batch_size": 64}
    told = {"supernets": "trained on digits, 7 images for the weights and 7 for the architecture"}
    real = told_once(RunOpened("runs/x", {**settings, **told}, 0, 0, "cpu"))
    assert f"super-networks: {told['supernets']}" in real
    table = {
        **settings,
        **told,
        "benchmark": "t.csv",
        "benchmark_dataset": "cifar10",
        "seconds_are": "its own",
    }
    lines = told_once(RunOpened("runs/x", table, 0, 0, "cpu"))
    assert any(line.endswith("that training is real, and its seconds are measured") for line in lines)


def test_the_opening_names_the_encoder_and_how_it_is_trained() -> None:
    settings = SearchSettings(space="text", dataset="glue/rte", max_train_samples=400, warmup=0.0).resolved()
    told = {"batch_size": 4, "samples_are": "pairs of sentences"}
    lines = told_once(RunOpened("runs/x", {**settings.to_dict(), **told}, 0, 0, "cpu"))
    assert lines[0].startswith(
        "text on glue/rte: 30 architectures scored by knas (64 samples), the top 5 trained"
    )
    assert lines[1] == (
        "networks: roberta-large, pretrained weights, connected by concatenation; training: batches of 4, "
        "learning rate 2e-05 after 0% warm-up, weight decay 0.1, 400 pairs of sentences"
    )


def test_a_resumed_trial_counts_from_its_epoch() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.add(PhaseStarted("top-k", 1))
    tally.add(TrialStarted("a", 4))
    clock.now += 10
    tally.add(EpochEnded("a", {"epoch": 3, "validation_accuracy": 50.0}))
    assert tally.progress == 0.75
    assert tally.remaining == 10.0


def test_a_limit_of_seconds_is_told_where_the_number_is_not_known() -> None:
    tally = Tally()
    tally.add(PhaseStarted("search", 0, seconds=12.0))
    for _ in range(3):
        tally.add(Trained(TRIAL, False))
    assert tally.part == 0.75
    assert tally.remaining is None
    assert tally.text() == "3  9.0 s of 12.0 s  best 91.23 %"
    limited: list[Event] = [PhaseStarted("search", 0, 60.0), *[Trained(TRIAL, False)] * 20]
    assert len(shown(PlainProgress, limited, terminal=False).splitlines()) == 10


def test_failures_are_counted_and_never_best() -> None:
    tally = Tally()
    tally.add(PhaseStarted("score", 2))
    tally.add(score(None))
    tally.add(score(-3.0))
    assert tally.best == -3.0
    assert "1 failed" in tally.text()


def test_plain_lines_have_no_control_codes_and_are_few() -> None:
    text = shown(PlainProgress, events(), terminal=False)
    lines = text.splitlines()
    assert "\x1b" not in text
    assert "\r" not in text
    assert sum(line.startswith("scoring") for line in lines) == 10
    assert sum(line.startswith("training") for line in lines) == 2
    assert any("50/50" in line for line in lines)
    assert "note: a fifth was held out" in lines


def test_the_recorded_part_is_one_line() -> None:
    lines = shown(PlainProgress, events(recorded=50), terminal=False).splitlines()
    assert sum(line.startswith("scoring") for line in lines) == 1
    assert any(
        line.startswith("run runs/x on cpu, resumed: 3 scores and 0 trials on record") for line in lines
    )


def test_live_display_ends_with_the_last_state() -> None:
    text = shown(LiveProgress, events(), terminal=True)
    assert "50/50" in text
    assert "best 91.23 %" in text


def test_the_job_of_an_algorithm_that_scores_nothing() -> None:
    settings = {
        **OPENED.settings,
        "algorithm": "random",
        "samples": None,
        "algorithm_options": {"seconds": 60},
    }
    text = shown(PlainProgress, [dataclasses.replace(OPENED, settings=settings)], terminal=False)
    assert "nas-bench-201 on digits: random, seconds 60, 15 epochs per trial, seed 0\n" in text


def test_finished_run_is_announced() -> None:
    assert shown(PlainProgress, [RunRecalled("runs/x")], terminal=False).startswith("runs/x is finished")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (8.31, "8.3 s"), (245.2, "4 min 05 s"), (7805.0, "2 h 10 min"), (59.99, "1 min 00 s")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_ranking_tells_how_many_classes_it_scores() -> None:
    settings = RankSettings(proxy="mgm", proxy_options={"estimator": "full"}).resolved().to_dict()
    opened = RankingOpened(
        "runs/x", settings, 15_625, 6_466, 12, "cpu with 2 workers of 1 thread", ("a note",)
    )
    assert told_once(opened) == [
        "nas-bench-201 on digits: 15,625 architectures in 6,466 isomorphism classes, "
        "scored by mgm (32 images, estimator full), seed 0",
        "networks: 16 channels, 5 cells per stage",
        "run runs/x on cpu with 2 workers of 1 thread, resumed: 12 scores on record",
        "note: a note",
    ]
    several = dataclasses.replace(
        opened, settings={**settings, "further_proxies": {"naswot": {}, "params": {}}}
    )
    assert told_once(several)[0].endswith("scored by mgm (32 images, estimator full), naswot, params, seed 0")
