from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from knas import data
from knas.errors import UsageError
from knas.training import evaluate


def test_accuracy_counts_the_remainder_too(
    network: Callable[..., torch.nn.Module], digits: data.ImageDataset
) -> None:
    model = network().eval()
    inputs = (digits.test_images.float() / 255 - digits.mean[:, None, None]) / digits.std[:, None, None]
    expected = 100 * (model(inputs).argmax(1) == digits.test_labels).float().mean().item()
    for batch_size in (7, 51, 512):
        found = evaluate(
            model,
            digits.test_images,
            digits.test_labels,
            mean=digits.mean,
            std=digits.std,
            batch_size=batch_size,
        )
        assert found == pytest.approx(expected)


def test_modes_and_statistics_are_left_alone(
    network: Callable[..., torch.nn.Module], digits: data.ImageDataset
) -> None:
    model = network()
    model[1].eval()
    modes = [module.training for module in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluate(model, digits.test_images, digits.test_labels, mean=digits.mean, std=digits.std)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_no_images_are_refused(network: Callable[..., torch.nn.Module], digits: data.ImageDataset) -> None:
    with pytest.raises(UsageError, match="images"):
        evaluate(network(), digits.test_images[:0], digits.test_labels[:0], mean=digits.mean, std=digits.std)
