"""Classifiers of transformers: the same gradients as sample by sample, whatever they are padded and batched with."""

from __future__ import annotations

import pytest
import tiny_encoders
import torch
from gradients import brute_force
from torch import Tensor, nn

import knas
from knas.gradients import Gradients, Settings, all_entries, make_batch

LENGTHS = [7, 11, 4, 9, 3]
CASES = [(family, "eager") for family in tiny_encoders.FAMILIES]
CASES += [(family, "sdpa") for family in tiny_encoders.FAMILIES if family != "mpnet"]


def rows(model: nn.Module, inputs: dict[str, Tensor], **settings: object) -> dict[str, Tensor]:
    batch = make_batch(inputs, None, torch.device("cpu"))
    found = Gradients(model, batch, Settings(**settings)).vectors(all_entries)
    return {layer.name: vectors for layer, vectors in found.items()}


def assert_equal_rows(got: dict[str, Tensor], want: dict[str, Tensor]) -> None:
    assert got.keys() == want.keys()
    for layer, vectors in want.items():
        torch.testing.assert_close(
            got[layer], vectors, rtol=1e-10, atol=1e-12, msg=lambda text, layer=layer: f"{layer}: {text}"
        )


@pytest.mark.parametrize(("family", "attention"), CASES)
def test_every_entry(family: str, attention: str) -> None:
    model = tiny_encoders.classifier(family, attention=attention).double()
    inputs = tiny_encoders.sentences(family, LENGTHS)
    want = brute_force.gradients(model.eval(), inputs)
    assert_equal_rows(rows(model, inputs), want)
    assert_equal_rows(rows(model, inputs, micro_batch=4), want)
    whole = torch.cat(list(want.values()), 1)
    gram = knas.gram(model, inputs)
    torch.testing.assert_close(gram.matrix, whole @ whole.T, rtol=1e-10, atol=1e-12)
    assert not gram.skipped


def test_as_many_tokens_as_samples() -> None:
    """Both axes of the tokens have the same size, and the positions' too."""
    model, inputs = (
        tiny_encoders.classifier("bert").double(),
        tiny_encoders.sentences("bert", [5, 3, 4, 5, 2]),
    )
    assert inputs["input_ids"].shape == (5, 5)
    assert_equal_rows(rows(model, inputs), brute_force.gradients(model.eval(), inputs))


def test_loss() -> None:
    model = tiny_encoders.classifier("roberta", attention="sdpa").double()
    inputs, targets = tiny_encoders.sentences("roberta", LENGTHS), torch.arange(5) % 2
    want = brute_force.gradients(model.eval(), inputs, targets)
    whole = torch.cat(list(want.values()), 1)
    matrix = knas.gram(model, inputs, targets, of="loss").matrix
    torch.testing.assert_close(matrix, whole @ whole.T, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("family", "attention"), CASES[::2] + [("mpnet", "eager")])
def test_neither_padding_nor_batch_mates_matter(family: str, attention: str) -> None:
    """A sample's row is the same beside others, padded further, and alone with one other."""
    model = tiny_encoders.classifier(family, attention=attention).double()
    inputs = tiny_encoders.sentences(family, LENGTHS)
    padded = tiny_encoders.sentences(family, LENGTHS, width=tiny_encoders.LENGTH)
    want = rows(model, inputs)
    assert_equal_rows(rows(model, padded), want)
    few = {key: value[2:4, : max(LENGTHS[2:4])] for key, value in inputs.items()}
    assert_equal_rows(rows(model, few), {layer: vectors[2:4] for layer, vectors in want.items()})


@pytest.mark.parametrize("estimator", ["sampled", "full", "split"])
def test_scores_do_not_depend_on_padding(estimator: str) -> None:
    model = tiny_encoders.classifier("bert").double()
    values = [
        knas.score(model, tiny_encoders.sentences("bert", LENGTHS, width), estimator=estimator).value
        for width in (None, 15, tiny_encoders.LENGTH)
    ]
    assert values == pytest.approx([values[0]] * 3, rel=1e-10)
    assert values[0] != 0


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable. is deprecated:FutureWarning")
def test_gradient_checkpointing_changes_nothing() -> None:
    model, inputs = tiny_encoders.classifier("roberta").double(), tiny_encoders.sentences("roberta", LENGTHS)
    want = rows(model, inputs)
    model.gradient_checkpointing_enable()
    model.train()
    assert_equal_rows(rows(model, inputs), want)
    assert model.training
    assert all(layer.gradient_checkpointing for layer in model.base_model.encoder.layer)


def test_what_a_tokenizer_returns_is_a_mapping_of_inputs() -> None:
    model, inputs = tiny_encoders.classifier("bert"), tiny_encoders.sentences("bert", LENGTHS)
    encoding = tiny_encoders.transformers.BatchEncoding(inputs)
    assert knas.score(model, encoding).value == knas.score(model, inputs).value
