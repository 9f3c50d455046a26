from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks import official_file

from knas.benchmarks import Benchmark, Entry, official
from knas.errors import UsageError

INDICES = (3, 7, 4242)


@pytest.fixture(scope="module", params=["as in 2020", "zipped"])
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    path = tmp_path_factory.mktemp("official") / "NAS-Bench-201.pth"
    official_file.save(path, official_file.content(INDICES), zipped=request.param == "zipped")
    return official.read(path)


def seconds(epochs: int) -> float:
    return epochs * official_file.TRAIN_SECONDS + official_file.VALIDATION_SECONDS


def test_the_numbers_are_those_of_the_last_epoch(table: Benchmark) -> None:
    for epochs, seed in ((12, 777), (200, 888)):
        assert table.query(4242, "cifar100", epochs, seed) == Entry(
            official_file.accuracy(4242, epochs, "cifar100", "x-valid", seed),
            official_file.accuracy(4242, epochs, "cifar100", "x-test", seed),
            official_file.loss(4242, epochs, "cifar100", seed),
            seconds(epochs),
        )
    assert table.query(3, "imagenet16-120", 12).test_accuracy == official_file.accuracy(
        3, 12, "ImageNet16-120", "x-test", 777
    )


def test_cifar10_is_put_together_from_two_trainings(table: Benchmark) -> None:
    assert table.query(7, "cifar10", 12, 777) == Entry(
        official_file.accuracy(7, 12, "cifar10-valid", "x-valid", 777),
        official_file.accuracy(7, 12, "cifar10", "ori-test", 777),
        official_file.loss(7, 12, "cifar10-valid", 777),
        seconds(12),
    )
    assert table.query(7, "cifar10", 12, 111).test_accuracy is None
    mean = np.mean([official_file.accuracy(7, 12, "cifar10-valid", "x-valid", seed) for seed in (111, 777)])
    assert table.query(7, "cifar10", 12).validation_accuracy == pytest.approx(mean)


def test_what_there_is_and_is_not(table: Benchmark) -> None:
    assert table.architectures == len(INDICES)
    assert table.seeds("cifar10", 12) == (111, 777)
    assert table.budgets("cifar10", "validation_accuracy") == (12, 200)
    for ask, text in (
        (lambda: table.query(8, "cifar10", 12), "lacks architecture 8 after 12 epochs on cifar10"),
        (lambda: table.query(7, "cifar10", 12, 999), "with seed 999; it holds seeds 111, 777"),
        (lambda: table.accuracies("cifar10", 12, "test"), "of 15,622 of 15,625 architectures"),
    ):
        with pytest.raises(UsageError, match=text):
            ask()


def test_it_means_what_the_package_says(tmp_path: Path) -> None:
    from nas_201_api import NASBench201API

    content = official_file.content((5,))
    api = NASBench201API(content, verbose=False)
    mine = official.read(official_file.save(tmp_path / "a.pth", content))
    for dataset, name in (
        ("cifar10", "cifar10-valid"),
        ("cifar100", "cifar100"),
        ("imagenet16-120", "ImageNet16-120"),
    ):
        info = api.get_more_info(5, name, hp="12", is_random=777)
        entry = mine.query(5, dataset, 12, 777)
        assert entry.validation_accuracy == info["valid-accuracy"]
        assert entry.seconds == info["train-all-time"] + info["valid-per-time"]
        assert entry.train_loss == info["train-loss"]
        assert dataset == "cifar10" or entry.test_accuracy == info["test-accuracy"]
    assert mine.query(5, "cifar10", 200).test_accuracy == pytest.approx(
        api.get_more_info(5, "cifar10", hp="200", is_random=False)["test-accuracy"]
    )


def test_no_more_than_one_architecture_is_held(tmp_path: Path) -> None:
    import tracemalloc

    path = official_file.save(tmp_path / "a.pth", official_file.content(tuple(range(12))))
    held: list[int] = []

    def note(count: int) -> None:
        held.append(tracemalloc.get_traced_memory()[0])

    tracemalloc.start()
    official.read(path, note)
    tracemalloc.stop()
    assert held[-1] - held[3] < 200_000, "eight more architectures, of which each takes megabytes whole"


def edited(edit: Callable[[dict[str, Any]], Any]) -> Any:
    content = official_file.content((5,))
    return edit(content) or content


def trial(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = content["arch2infos"][5]["less"]["all_results"]["cifar100", 777]
    return found


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch harmed",)


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda content: content.update(extra=Harmful()), r"wants the class posix\.system"),
        (
            lambda content: content.update(extra=official_file.results(5, 12)),
            "wants the class nas_201_api.*ArchRes",
        ),
        (lambda content: content.update(extra=Path("a")), "wants the class pathlib"),
        (lambda content: content.pop("meta_archs") and None, "does not hold NAS-Bench-201"),
        (lambda content: content.pop("arch2infos") and None, "does not hold NAS-Bench-201"),
        (lambda content: content["arch2infos"][5].pop("full") and None, "does not hold NAS-Bench-201"),
        (lambda content: content.update(arch2infos={}), "holds no architecture"),
        (lambda content: [1, 2], "does not hold NAS-Bench-201"),
        (
            lambda content: content["arch2infos"].update({6: official_file.content((5,))["arch2infos"][5]}),
            "holds architecture 5 twice",
        ),
        (lambda content: content["arch2infos"][5]["less"].update(arch_str="|none~0|"), "architecture text"),
        (lambda content: trial(content)["eval_acc1es"].update({"x-valid@11": float("nan")}), "can't be nan"),
        (lambda content: trial(content)["eval_acc1es"].update({"x-valid@11": 101.0}), "can't be 101.0"),
        (lambda content: trial(content)["train_losses"].pop(11) and None, "damaged or not the official file"),
    ],
)
def test_faults_are_one_line(
    edit: Callable[[dict[str, Any]], Any], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = official_file.save(tmp_path / "a.pth", edited(edit))
    with pytest.raises(UsageError, match=text) as caught:
        official.read(path)
    assert "a.pth" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "harmed").exists()


def test_weights_are_not_read_but_do_not_hinder(tmp_path: Path) -> None:
    content = official_file.content((5,))
    trial(content)["net_state_dict"] = OrderedDict(weight=torch.zeros(3))
    for zipped in (True, False):
        path = official_file.save(tmp_path / "a.pth", content, zipped=zipped)
        assert official.read(path).architectures == 1


def test_files_that_are_no_such_pickle(tmp_path: Path) -> None:
    whole = official_file.save(tmp_path / "whole.pth", official_file.content((5,))).read_bytes()
    zipped = official_file.save(tmp_path / "zipped.pth", {}, zipped=True).read_bytes()
    for content, text in (
        (b"", "damaged"),
        (b"rubbish", "damaged"),
        (whole[: len(whole) // 2], "damaged"),
        (zipped[: len(zipped) // 2], "damaged"),
        (pickle.dumps(1) * 4, "not written by torch.save"),
        (b"PK\x05\x06" + bytes(18), "not written by torch.save"),
    ):
        (tmp_path / "a.pth").write_bytes(content)
        with pytest.raises(UsageError, match=text):
            official.read(tmp_path / "a.pth")
    with pytest.raises(UsageError, match="there is no file"):
        official.read(tmp_path / "none.pth")
