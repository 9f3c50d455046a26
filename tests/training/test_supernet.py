from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import knas
from knas import data
from knas.data import ImageDataset
from knas.errors import DivergedError, RunError, UsageError
from knas.spaces.nas_bench_201.supernet import SuperCell
from knas.spaces.supernet import Supernet
from knas.training import supernet as training
from knas.training.checkpoint import load_checkpoint, save_checkpoint
from knas.training.supernet import SupernetResult, halves, train_supernet
from knas.training.supernet_recipe import SupernetRecipe

SPACE = knas.spaces.create("nas-bench-201")
WAYS = [("uniform", 1), ("softmax", 1), ("softmax", 2), ("gumbel", 1)]


def network(seed: int = 0) -> nn.Module:
    return SPACE.build_supernet(
        Supernet(SPACE.choices()), seed=seed, channels=2, cells_per_stage=1, batch_statistics=True
    )


def recipe(relaxation: str = "softmax", order: int = 1, **options: Any) -> SupernetRecipe:
    small = {"epochs": 4, "candidates": 2, "batch_size": 32, "cells": 5, "choice_batch": 40}
    return SupernetRecipe(relaxation, order=order, **{**small, **options})


def trained(
    digits: ImageDataset, how: SupernetRecipe, model: nn.Module | None = None, **options: Any
) -> SupernetResult:
    return train_supernet(model or network(), digits, [5] * 6, how, **options)


def plain(result: SupernetResult) -> Any:
    return result.found, [{**record, "seconds": 0.0} for record in result.history]


class Killed(BaseException):
    """Stands for `kill -9`."""


@pytest.mark.parametrize(("relaxation", "order"), WAYS)
def test_resumes_to_the_bit(digits: ImageDataset, tmp_path: Path, relaxation: str, order: int) -> None:
    how, whole = recipe(relaxation, order), network()
    expected = trained(digits, how, whole, seed=3)

    def kill(record: Any) -> None:
        if record["epoch"] == 2:
            raise Killed

    path = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        trained(digits, how, seed=3, checkpoint=path, on_epoch=kill)
    resumed, told = network(), []
    result = trained(digits, how, resumed, seed=3, checkpoint=path, on_epoch=told.append)
    assert [record["epoch"] for record in told] == [3, 4]
    assert plain(result) == plain(expected)
    assert len(result.found) == 2
    state = resumed.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in whole.state_dict().items())


@pytest.mark.parametrize(("relaxation", "order"), WAYS)
def test_depends_on_the_seed_and_on_nothing_global(digits: ImageDataset, relaxation: str, order: int) -> None:
    how = recipe(relaxation, order, epochs=1, candidates=1)
    torch.manual_seed(1)
    first = plain(trained(digits, how, seed=3))
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert plain(trained(digits, how, seed=3)) == first
    assert torch.equal(torch.random.get_rng_state(), before)
    assert plain(trained(digits, how, seed=4)) != first


def test_checkpoint_of_another_training_is_refused(digits: ImageDataset, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    trained(digits, recipe(epochs=2), checkpoint=path)
    with pytest.raises(RunError, match=r"another recipe \(tau_max=10.0, not 5.0\)"):
        trained(digits, recipe(epochs=2, tau_max=5.0), checkpoint=path)
    with pytest.raises(RunError, match="another initial"):
        trained(digits, recipe(epochs=2), network(1), checkpoint=path)


def test_the_halves_are_disjoint_and_balanced(digits: ImageDataset) -> None:
    first, second = halves(digits, 0)
    assert not set(first.tolist()) & set(second.tolist())
    assert len(first) + len(second) == len(digits.train_labels)
    counts = [torch.bincount(digits.train_labels[half], minlength=10) for half in (first, second)]
    assert (counts[0] - counts[1]).abs().max() <= 1


def test_too_few_images() -> None:
    few = data.load("digits", max_train_samples=10)
    with pytest.raises(UsageError, match=r"two halves of the training images.*10 are too few"):
        halves(few, 0)


def test_weights_learn_on_one_half_and_the_architecture_on_the_other(
    digits: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = training._Run(network(), digits, [5] * 6, recipe("gumbel"), 0, 0, True, torch.device("cpu"))
    batch, asked = run.data.batch, list[set[int]]()

    def noted(indices: torch.Tensor, *rest: Any) -> Any:
        asked.append(set(indices.tolist()))
        return batch(indices, *rest)

    monkeypatch.setattr(run.data, "batch", noted)
    with run.prepared():
        before = run.parameters.detach().clone()
        run.epoch(0)
    first, second = (set(half.tolist()) for half in halves(digits, 0))
    assert set.union(*asked[::2]) == first, "each once in an epoch"
    assert set.union(*asked[1::2]) <= second
    assert not torch.equal(run.parameters, before)


def test_uniform_paths_move_no_architecture_parameters(digits: ImageDataset) -> None:
    run = training._Run(network(), digits, [5] * 6, recipe("uniform"), 0, 0, True, torch.device("cpu"))
    before = run.parameters.detach().clone()
    with run.prepared():
        run.epoch(0)
    assert torch.equal(run.parameters, before)


def test_it_learns(digits: ImageDataset) -> None:
    model = SPACE.build_supernet(
        Supernet(SPACE.choices()), channels=8, cells_per_stage=1, batch_statistics=True
    )
    how = recipe(epochs=12, candidates=1, batch_size=16, learning_rate=0.1)
    history = trained(digits, how, model, augment=False).history
    assert history[-1]["train_loss"] < 0.7 * history[0]["train_loss"]
    assert history[-1]["validation_accuracy"] > 40


def test_learning_rate_falls_along_the_cosine(digits: ImageDataset) -> None:
    rates = [record["learning_rate"] for record in trained(digits, recipe()).history]
    assert rates[0] == pytest.approx(0.025)
    assert rates[2] == pytest.approx(0.013)
    assert rates == sorted(rates, reverse=True)


def test_divergence_is_one_line(digits: ImageDataset) -> None:
    dead = dataclasses.replace(digits, mean=torch.full((3,), float("nan")))
    with pytest.raises(
        DivergedError, match="super-network: a loss or parameter is not finite in epoch 1 of 4"
    ):
        trained(dead, recipe())


def test_divergence_counts_the_seconds_of_all_sittings(
    digits: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(_: Any) -> None:
        raise Killed

    path = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        trained(digits, recipe(), checkpoint=path, on_epoch=kill)
    saved = load_checkpoint(path, torch.device("cpu"))
    saved["history"][0]["seconds"] = 1000.0
    save_checkpoint(path, saved)
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", lambda logits, _: logits.sum() * float("nan"))
    with pytest.raises(DivergedError, match="not finite in epoch 2 of 4") as caught:
        trained(digits, recipe(), checkpoint=path)
    assert 1000 < caught.value.seconds < 2000


def test_edges_with_different_numbers_of_operations_are_refused(digits: ImageDataset) -> None:
    with pytest.raises(UsageError, match="as many operations for each decision"):
        train_supernet(network(), digits, [5, 4], recipe())


def test_batch_norm_of_cells_has_no_parameters_and_no_statistics() -> None:
    model = network()
    cells = [layer for cell in model.cells if isinstance(cell, SuperCell) for layer in cell.modules()]
    norms = [layer for layer in cells if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 3 * 6 * 2
    assert all(norm.weight is None and norm.running_mean is None for norm in norms)
    others = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d) and layer not in norms]
    assert others
    assert all(norm.affine and norm.track_running_stats for norm in others)
