from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import tiny_text
import torch

from knas import data, spaces, training
from knas.errors import UsageError
from knas.training.evaluation import f1_score, measure

RECIPE = training.FineTuning(epochs=3, learning_rate=3e-3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_text.encoder_with_tokenizer(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def dataset(model: str, tmp_path_factory: pytest.TempPathFactory) -> data.TextDataset:
    return data.load_text(tiny_text.data_folder(tmp_path_factory.mktemp("text") / "mine", 60, 21), model)


def network(model: str, structure: str = "highway:3", **options: str) -> torch.nn.Module:
    space = spaces.create("text", model=model)
    return space.build(space.parse(structure), num_classes=2, seed=0, **options)


def untimed(result: training.TrainingResult) -> training.TrainingResult:
    history = [{key: record[key] for key in record if key != "seconds"} for record in result.history]
    return dataclasses.replace(result, history=history, seconds=0.0)


def test_the_learning_rate_rises_and_falls_along_lines() -> None:
    rates = [training.linear_learning_rate(1.0, step, 10, 0.2) for step in range(10)]
    assert rates == pytest.approx([0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    assert training.linear_learning_rate(1.0, 0, 4, 0.0) == 1.0
    recipe = training.FineTuning(epochs=2, warmup=0.5, learning_rate=4.0)
    assert [recipe.learning_rate_at(epoch, step, 2) for epoch in (0, 1) for step in (0, 1)] == [2, 4, 4, 2]


def test_biases_and_normalizations_do_not_decay(model: str) -> None:
    net = network(model)
    decays, others = training.FineTuning(weight_decay=0.3).optimizer(net).param_groups
    assert (decays["weight_decay"], others["weight_decay"]) == (0.3, 0)
    assert {parameter.ndim for parameter in others["params"]} == {1}
    assert len(decays["params"]) + len(others["params"]) == len(list(net.parameters()))


def test_an_encoder_learns_and_says_how_it_went(model: str, dataset: data.TextDataset) -> None:
    net = network(model, initialization="default")
    result = training.train(net, dataset, training.FineTuning(learning_rate=1e-2), test=True)
    assert result.test_accuracy is not None
    assert result.test_f1 is not None
    assert result.test_accuracy > 90
    assert result.history[-1]["validation_f1"] == result.validation_f1
    inputs, targets = dataset.on_device("test", "cpu").batch(torch.arange(21))
    with torch.no_grad():
        told = net.eval()(inputs).argmax(1)
    assert 100 * (told == targets).double().mean() == pytest.approx(result.test_accuracy)
    precision = targets[told == 1].double().mean()
    recall = told[targets == 1].double().mean()
    assert result.test_f1 == pytest.approx(float(200 * precision * recall / (precision + recall)))


@pytest.mark.parametrize("structure", ["highway:3", "densenet:2"])
def test_resuming_gives_the_same_bits(
    model: str, dataset: data.TextDataset, tmp_path: Path, structure: str
) -> None:
    class Stop(Exception):
        pass

    def stop(record: dict[str, float]) -> None:
        if record["epoch"] == 2:
            raise Stop

    whole, cut = network(model, structure), network(model, structure)
    expected = untimed(training.train(whole, dataset, RECIPE, test=True))
    path = tmp_path / "a.checkpoint"
    with pytest.raises(Stop):
        training.train(cut, dataset, RECIPE, checkpoint=path, on_epoch=stop)
    resumed = training.train(cut, dataset, RECIPE, checkpoint=path, test=True)
    assert untimed(resumed) == expected
    pairs = zip(whole.state_dict().values(), cut.state_dict().values(), strict=True)
    assert all(torch.equal(mine, yours) for mine, yours in pairs)
    again = training.train(network(model, structure), dataset, RECIPE, checkpoint=path, test=True)
    assert again == resumed  # F1 comes from the file as well


def test_sentences_are_fine_tuned_unless_told_otherwise(model: str, dataset: data.TextDataset) -> None:
    records: list[dict[str, float]] = []

    class Stop(Exception):
        pass

    def stop(record: dict[str, float]) -> None:
        records.append(record)
        raise Stop

    with pytest.raises(Stop):
        training.train(network(model), dataset, on_epoch=stop)
    steps = 12  # 48 sentences to train on, in batches of 4
    assert records[0]["learning_rate"] == training.FineTuning().learning_rate_at(0, steps - 1, steps)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("warmup", 1.0),
        ("weight_decay", -0.1),
        ("beta2", 1.0),
        ("epsilon", 0.0),
        ("precision", "double"),
        ("record_gram", 1),
    ],
)
def test_numbers_that_mean_nothing_are_refused(field: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"recipe: {field} wants .*, got {value!r}"):
        training.FineTuning(**{field: value})


def test_f1_of_nothing_is_zero(dataset: data.TextDataset) -> None:
    class Never(torch.nn.Module):
        def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
            return torch.tensor([1.0, 0.0]).expand(len(inputs["input_ids"]), 2)

    quality = measure(Never(), dataset.on_device("test", "cpu"), torch.arange(21), f1=True)
    assert quality.f1 == f1_score(0, 10) == f1_score(0, 0) == 0
    assert quality.accuracy == pytest.approx(100 * 11 / 21)
    assert f1_score(3, 5) == pytest.approx(75)  # 3 of both kinds, 1 missed, 1 too many
