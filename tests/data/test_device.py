from __future__ import annotations

import pytest
import torch

from knas import data
from knas.errors import UsageError

GENERATOR = torch.Generator


def random_images(n: int = 40, size: int = 8) -> torch.Tensor:
    """uint8 [n, size, size, 3], every pixel above 0, so that a border shows."""
    return torch.randint(1, 256, (n, size, size, 3), dtype=torch.uint8, generator=GENERATOR().manual_seed(0))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("padding", [0, 1, 4])
def test_every_augmented_image_is_a_shifted_and_perhaps_mirrored_one(
    padding: int, flip: bool, device: torch.device
) -> None:
    images = random_images()
    augmentation = data.Augmentation(padding, flip)
    augmented = augmentation(images.to(device), GENERATOR().manual_seed(1)).cpu()
    seen = set()
    for image, result in zip(images, augmented, strict=True):
        padded = torch.nn.functional.pad(image, (0, 0, *[padding] * 4))
        candidates = {
            (y, x, mirrored): crop.flip(1) if mirrored else crop
            for y in range(2 * padding + 1)
            for x in range(2 * padding + 1)
            for crop in [padded[y : y + 8, x : x + 8]]
            for mirrored in (False, True)
        }
        matches = [key for key, crop in candidates.items() if torch.equal(crop, result)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert {mirrored for _, _, mirrored in seen} == ({False, True} if flip else {False})
    assert len({(y, x) for y, x, _ in seen}) >= min(20, (2 * padding + 1) ** 2)


def test_augmentation_follows_its_generator_and_no_global_one() -> None:
    images, augmentation = random_images(), data.Augmentation()
    state = torch.random.get_rng_state()
    results = [augmentation(images, GENERATOR().manual_seed(seed)) for seed in (3, 3, 4)]
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
    assert torch.equal(state, torch.random.get_rng_state())


def test_batches_are_normalized_as_torchvision_would(device: torch.device) -> None:
    dataset = data.load("digits", max_train_samples=100)
    device_data = data.DeviceData(
        dataset.train_images, dataset.train_labels, mean=dataset.mean, std=dataset.std, device=device
    )
    chosen = torch.tensor([5, 0, 99])
    inputs, targets = device_data.batch(chosen)
    assert inputs.device.type == device.type
    mean, std = dataset.mean[:, None, None], dataset.std[:, None, None]
    expected = (dataset.train_images[chosen].float() / 255 - mean) / std
    torch.testing.assert_close(inputs.cpu(), expected, rtol=1e-5, atol=1e-5)
    assert torch.equal(targets.cpu(), dataset.train_labels[chosen])
    assert len(device_data) == 100
    everything, _ = device_data.batch(torch.arange(100))
    torch.testing.assert_close(everything.cpu().mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)


def test_an_augmented_batch_wants_a_generator() -> None:
    device_data = data.DeviceData(
        random_images().permute(0, 3, 1, 2),
        torch.zeros(40, dtype=torch.int64),
        mean=torch.zeros(3),
        std=torch.ones(3),
    )
    with pytest.raises(UsageError, match="generator"):
        device_data.batch(torch.arange(2), data.Augmentation())


def test_score_batch_is_fixed_by_its_seed_and_grows_with_n() -> None:
    dataset = data.load("digits")
    inputs, targets = data.score_batch(dataset, 32, seed=7)
    assert inputs.shape == (32, 3, 8, 8)
    assert inputs.is_contiguous()
    larger, _ = data.score_batch(dataset, 64, seed=7)
    assert torch.equal(larger[:32], inputs)
    other, _ = data.score_batch(dataset, 32, seed=8)
    assert not torch.equal(other, inputs)
    doubles, same = data.score_batch(dataset, 32, seed=7, dtype=torch.float64)
    assert doubles.dtype == torch.float64
    assert torch.equal(same, targets)


@pytest.mark.parametrize("n", [1, 0, -3, 1439, 2.0, True])
def test_score_batch_refuses_too_few_and_too_many(n: object) -> None:
    with pytest.raises(UsageError, match="n: wanted from 2 to the 1438"):
        data.score_batch(data.load("digits"), n)  # type: ignore[arg-type]
