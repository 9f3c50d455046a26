"""What is told beneath a comparison, from numbers made up for it."""

from __future__ import annotations

from knas.compare.comparison import Comparison, Entry
from knas.compare.notes import notes
from knas.compare.paper import NOTHING, TABLE_1
from knas.compare.systems import SYSTEMS

SIMULATED = "simulated: those of the table"
SETTINGS = {
    "epochs": 12,
    "budget": "100 trials",
    "final_epochs": {"cifar10": 200},
    "scores": {"mgm": {"file": "mgm.csv", "sha256": "", "failed": 0}},
    "score_seconds": None,
    "seeds": [0, 1],
}
ACCURACIES = {
    "resnet": (93.97,),
    "random": (93.0, 94.4),
    "bohb": (94.0, 94.2),
    "te-nas": (90.0,),
    "knas-20": (93.0, 93.4),
    "knas-40": (93.6, 93.8),
    "random-20": (93.0, 93.6),
    "random-40": (93.0, 93.2),
    "parameters-20": (93.0, 93.2),
    "parameters-40": (93.8, 94.0),
}
SECONDS = {"random": 1000.0, "bohb": 1000.0, "te-nas": 1.0, "knas-20": 200.0, "knas-40": 30.0}


def told() -> list[str]:
    entries = tuple(
        Entry(
            system,
            "cifar10",
            ACCURACIES.get(system.name, ()),
            (SECONDS[system.name],) if system.name in SECONDS else (),
            "score measured" if system.name == "te-nas" else SIMULATED,
            published=TABLE_1.get(system.name, {}).get("cifar10", NOTHING),
        )
        for system in SYSTEMS
    )
    return list(notes(Comparison(SETTINGS, {"cifar10": entries}, {})))


def starting(text: str) -> list[str]:
    return [note for note in told() if note.startswith(text)]


def test_rows_below_their_controls() -> None:
    below = [note for note in told() if "below the control" in note]
    assert below == [
        "KNAS (k = 20): below the control 'random 20, same training' by 0.10 on cifar10",
        "KNAS (k = 40): below the control 'most parameters (k = 40)' by 0.20 on cifar10",
    ]


def test_means_far_from_the_paper() -> None:
    assert starting("BOHB on cifar10: 94.10, 0.61 above the paper's 93.49, 4.3 standard deviations")
    assert not starting("RS on"), "0.07 is well within its standard deviation of 0.99"
    assert not starting("TE-NAS on"), "one run has no standard deviation"
    assert not starting("ResNet"), "the same number"


def test_speed_ups_far_from_the_paper() -> None:
    assert starting("KNAS (k = 20): as fast as random search times 5.00x on cifar10 (the paper: 50x)")
    assert not starting("KNAS (k = 40): as fast"), "33 is not far from 25"
    assert not starting("TE-NAS: as fast"), "seconds of two machines"
    assert starting("measured seconds are those of the machine that ran the networks")


def test_choices() -> None:
    assert starting("TE-NAS: of 1 finished run")
    assert starting("scores mgm: mgm.csv, the same for every data set, seconds as its table tells")
    assert any("over seeds 0 to 1" in note for note in told())
