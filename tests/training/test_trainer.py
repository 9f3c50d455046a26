from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from knas import data, training
from knas.errors import DivergedError, KnasError, RunError, UsageError
from knas.training import checkpoint as checkpoints
from knas.training import trainer

Network = Callable[..., torch.nn.Module]
RECIPE = training.Recipe(epochs=4, batch_size=64)


def untimed(result: training.TrainingResult) -> training.TrainingResult:
    """A result without the seconds, which no two trainings share."""
    history = [{key: record[key] for key in record if key != "seconds"} for record in result.history]
    return dataclasses.replace(result, history=history, seconds=0.0)


def same_weights(model: torch.nn.Module, other: torch.nn.Module) -> bool:
    pairs = zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, yours) for mine, yours in pairs)


def test_a_network_learns_and_says_how_it_went(network: Network, device: torch.device) -> None:
    dataset = data.load("digits")
    model = network(dropout=0)
    records: list[dict[str, float]] = []
    recipe = training.Recipe(epochs=6, batch_size=64)
    result = training.train(model, dataset, recipe, device=device, on_epoch=records.append, test=True)
    assert result.validation_accuracy > 80
    assert result.test_accuracy is not None
    assert result.test_accuracy > 80
    assert result.history == records
    assert [record["epoch"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[-1]["train_loss"] < records[0]["train_loss"] / 2
    assert result.epochs == 6
    assert result.seconds == sum(record["seconds"] for record in records)
    assert records[3]["learning_rate"] == training.cosine_learning_rate(0.1, 3, 6)
    evaluated = training.evaluate(
        model,
        dataset.test_images,
        dataset.test_labels,
        mean=dataset.mean,
        std=dataset.std,
        precision=result.precision,
    )
    assert evaluated == pytest.approx(result.test_accuracy, abs=0.6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_bits(
    network: Network, digits: data.ImageDataset, precision: str
) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=2, precision=precision)
    models = [network() for _ in range(3)]
    results = [
        untimed(training.train(model, digits, recipe, seed=seed))
        for model, seed in zip(models, (5, 5, 6), strict=True)
    ]
    assert results[0] == results[1]
    assert same_weights(models[0], models[1])
    assert not same_weights(models[0], models[2])


def test_nothing_else_is_touched(network: Network, digits: data.ImageDataset) -> None:
    model = network()
    model[1].eval()
    model[3].weight.requires_grad_(False)
    frozen = model[3].weight.clone()
    modes = [module.training for module in model.modules()]
    state = torch.random.get_rng_state()
    settings = torch.backends.cudnn.deterministic, torch.are_deterministic_algorithms_enabled()
    training.train(model, digits, dataclasses.replace(RECIPE, epochs=1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(model[3].weight, frozen)
    assert settings == (
        torch.backends.cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
    )
    assert all(weight.grad is None for weight in model.parameters())
    assert all(weight.is_contiguous() for weight in model.parameters())
    assert torch.is_grad_enabled()


class Stop(Exception):
    pass


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("after", [1, 3, 4])
def test_resuming_gives_the_same_bits(
    network: Network, digits: data.ImageDataset, tmp_path: Path, after: int, precision: str
) -> None:
    recipe = dataclasses.replace(RECIPE, precision=precision)
    whole, cut = network(), network()
    expected = untimed(training.train(whole, digits, recipe, test=True))

    def stop(record: dict[str, float]) -> None:
        if record["epoch"] == after:
            raise Stop

    path = tmp_path / "a.checkpoint"
    with pytest.raises(Stop):
        training.train(cut, digits, recipe, checkpoint=path, on_epoch=stop)
    assert same_weights(cut, network())  # handed back as it came
    records: list[dict[str, float]] = []
    resumed = training.train(cut, digits, recipe, checkpoint=path, on_epoch=records.append, test=True)
    assert untimed(resumed) == expected
    assert len(records) == 4 - after
    assert same_weights(whole, cut)
    again = network()
    assert training.train(again, digits, recipe, checkpoint=path, test=True) == resumed
    assert same_weights(whole, again)
    assert untimed(training.train(cut, digits, recipe, checkpoint=path)).test_accuracy is None


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    network: Network, digits: data.ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.checkpoint"
    whole, cut = network(), network()
    expected = untimed(training.train(whole, digits, RECIPE))
    calls = 0

    def fail(*_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        os.rename(*_)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoints.os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        training.train(cut, digits, RECIPE, checkpoint=path)
    monkeypatch.undo()
    part = tmp_path / "a.checkpoint.part"
    part.write_bytes(part.read_bytes()[:1000])  # as if the disk had taken no more
    records: list[dict[str, float]] = []
    result = training.train(network(), digits, RECIPE, checkpoint=path, on_epoch=records.append)
    assert untimed(result) == expected
    assert len(records) == 2


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import torch
from knas import data, training
from conftest import make_network

torch.set_num_threads({threads})
def kill(record):
    if record["epoch"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
digits = data.load("digits", max_train_samples=200, max_test_samples=51)
recipe = training.Recipe(epochs=4, batch_size=64)
training.train(make_network(), digits, recipe, checkpoint={path!r}, on_epoch=kill)
"""


def test_a_killed_process_is_taken_up_by_another(
    network: Network, digits: data.ImageDataset, tmp_path: Path
) -> None:
    path = tmp_path / "a.checkpoint"
    code = KILLED.format(tests=str(Path(__file__).parent), threads=torch.get_num_threads(), path=str(path))
    killed = subprocess.run([sys.executable, "-c", code], check=False, cwd=tmp_path)
    assert killed.returncode == -signal.SIGKILL
    whole, resumed = network(), network()
    expected = untimed(training.train(whole, digits, RECIPE))
    assert untimed(training.train(resumed, digits, RECIPE, checkpoint=path)) == expected
    assert same_weights(whole, resumed)


def test_a_foreign_checkpoint_is_refused(network: Network, digits: data.ImageDataset, tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    recipe = dataclasses.replace(RECIPE, epochs=1)
    training.train(network(), digits, recipe, checkpoint=path)
    before = path.read_bytes()
    mirrored = dataclasses.replace(digits, flip=True)
    other_layer = network()
    other_layer[2] = torch.nn.GELU()  # no weights: only the modules differ
    with pytest.raises(RunError, match=r"another recipe \(epochs=1, not 4\)"):
        training.train(network(), digits, RECIPE, checkpoint=path)
    with pytest.raises(RunError, match=r"another seed \(0, not 1\)"):
        training.train(network(), digits, recipe, checkpoint=path, seed=1)
    with pytest.raises(RunError, match=r"another validation_fraction \(0.2, not 0.5\)"):
        training.train(network(), digits, recipe, checkpoint=path, validation_fraction=0.5)
    with pytest.raises(RunError, match="another dataset"):
        training.train(network(), mirrored, recipe, checkpoint=path)
    with pytest.raises(RunError, match="another model"):
        training.train(other_layer, digits, recipe, checkpoint=path)
    with pytest.raises(RunError, match="another initial weights"):
        training.train(network(seed=1), digits, recipe, checkpoint=path)
    assert path.read_bytes() == before


def test_a_corrupt_checkpoint_is_refused(network: Network, digits: data.ImageDataset, tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    path.write_bytes(b"nonsense")
    with pytest.raises(RunError, match=r"a\.checkpoint is corrupt"):
        training.train(network(), digits, RECIPE, checkpoint=path)


def test_a_loss_that_is_not_finite_stops_the_training(
    network: Network, digits: data.ImageDataset, tmp_path: Path
) -> None:
    model, path = network(), tmp_path / "a.checkpoint"
    with torch.no_grad():
        model[9].bias[0] = float("nan")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(DivergedError, match="the loss is nan in epoch 1 of 4, step 1"):
        training.train(model, digits, RECIPE, checkpoint=path)
    assert not path.exists()
    torch.testing.assert_close(dict(model.state_dict()), before, equal_nan=True, rtol=0, atol=0)


def test_divergence_counts_the_seconds_of_all_sittings(
    network: Network, digits: data.ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.checkpoint"

    def stop(_: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        training.train(network(), digits, RECIPE, checkpoint=path, on_epoch=stop)
    saved = checkpoints.load_checkpoint(path, torch.device("cpu"))
    saved["history"][0]["seconds"] = 1000.0
    checkpoints.save_checkpoint(path, saved)
    nan = float("nan")
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", lambda logits, *_, **__: nan * logits.sum())
    with pytest.raises(DivergedError, match="the loss is nan in epoch 2 of 4, step 1") as caught:
        training.train(network(), digits, RECIPE, checkpoint=path)
    assert 1000 < caught.value.seconds < 2000


def test_a_weight_that_is_not_finite_stops_the_training(
    network: Network, digits: data.ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = network()
    model.register_parameter("unused", torch.nn.Parameter(torch.tensor([float("inf")])))
    with pytest.raises(DivergedError, match="unused holds NaN or Inf after epoch 1 of 4"):
        training.train(model, digits, RECIPE)


def test_running_out_of_memory_names_the_batch_size(
    network: Network, digits: data.ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(trainer._Run, "_step", fail)
    model = network()
    with pytest.raises(KnasError, match="batch_size=64 is more than the memory of cpu can hold"):
        training.train(model, digits, RECIPE)
    assert same_weights(model, network())


def test_bad_arguments_are_named(network: Network, digits: data.ImageDataset) -> None:
    with pytest.raises(UsageError, match="no parameter that requires a gradient"):
        training.train(network().requires_grad_(False), digits, RECIPE)
    with pytest.raises(UsageError, match=r"model: wanted logits of shape \[54, 10\], it gives \[54, 9\]"):
        training.train(network(classes=9), digits, RECIPE)
    with pytest.raises(UsageError, match="fraction"):
        training.train(network(), digits, RECIPE, validation_fraction=0)
    with pytest.raises(UsageError, match="device: 'nowhere' can't be used"):
        training.train(network(), digits, RECIPE, device="nowhere")
    with pytest.raises(UsageError, match="seed"):
        training.train(network(), digits, RECIPE, seed=-1)


def test_batches_differ_by_one_image_at_most(
    network: Network, digits: data.ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    seen: list[torch.Tensor] = []
    cut = data.DeviceData.batch

    def spy(self: data.DeviceData, indices: torch.Tensor, *arguments: object) -> object:
        if arguments:
            sizes.append(len(indices))
            seen.append(indices)
        return cut(self, indices, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(data.DeviceData, "batch", spy)
    training.train(network(), digits, training.Recipe(epochs=1, batch_size=50))
    train_indices, _ = data.split(digits)
    assert sizes == [40] * 4
    assert torch.equal(torch.cat(seen).sort().values, train_indices)


def test_a_training_set_below_a_batch_is_one_batch_and_said(
    network: Network, digits: data.ImageDataset
) -> None:
    result = training.train(network(), digits, training.Recipe(epochs=1))
    assert result.notes == ("batch_size=256: there are 160 images to train on, all in one batch",)


def test_padding_follows_the_image_size(digits: data.ImageDataset) -> None:
    def padding(size: int, wanted: int | None = None) -> int | None:
        images = torch.zeros(20, 3, size, size, dtype=torch.uint8)
        dataset = dataclasses.replace(
            digits, train_images=images, train_labels=torch.arange(20) % 10, flip=True
        )
        augmentation = training.Recipe(crop_padding=wanted).augmentation(dataset)
        assert augmentation is not None
        assert augmentation.flip
        return augmentation.padding

    assert [padding(size) for size in (8, 16, 32)] == [1, 2, 4]
    assert padding(32, wanted=0) == 0


def test_recording_the_gram_changes_nothing_else(network: Network, digits: data.ImageDataset) -> None:
    recipe = dataclasses.replace(RECIPE, epochs=2)
    plain, recorded = network(), network()
    without = untimed(training.train(plain, digits, recipe))
    result = untimed(training.train(recorded, digits, dataclasses.replace(recipe, record_gram=True)))
    assert same_weights(plain, recorded)
    for record, other in zip(result.history, without.history, strict=True):
        mean, coherence = record.pop("gram_mean"), record.pop("coherence")
        assert mean > 0
        assert 0 < coherence <= 1
        assert record == other
