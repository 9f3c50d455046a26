from __future__ import annotations

import dataclasses

import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from knas import data
from knas.data.dataset import pixel_statistics
from knas.errors import UsageError

LABELS = st.lists(st.integers(0, 4), min_size=6, max_size=60).map(torch.tensor)


@given(labels=LABELS, share=st.floats(0.05, 0.95), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_balanced_subset_is_as_balanced_as_the_labels_allow(
    labels: torch.Tensor, share: float, seed: int
) -> None:
    count = max(1, int(share * len(labels)))
    chosen = data.balanced_subset(labels, count, seed=seed)
    assert len(chosen) == count == len(chosen.unique())
    available = labels.bincount(minlength=5)
    taken = labels[chosen].bincount(minlength=5)
    spare = taken < available  # these classes could have given more
    if spare.any():
        assert taken.max() - taken[spare].min() <= 1
    assert torch.equal(chosen, data.balanced_subset(labels, count, seed=seed))


@given(labels=LABELS, share=st.floats(0.0, 1.0), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_proportional_subset_has_every_class_with_its_share(
    labels: torch.Tensor, share: float, seed: int
) -> None:
    sizes = labels.bincount()
    count = max(int((sizes > 0).sum()), int(share * len(labels)))
    chosen = data.proportional_subset(labels, count, seed=seed)
    assert len(chosen) == count == len(chosen.unique())
    taken = labels[chosen].bincount(minlength=len(sizes))
    assert (taken[sizes > 0] >= 1).all()
    assert ((taken - sizes * count / len(labels)).abs() <= len(sizes)).all()
    assert torch.equal(chosen, data.proportional_subset(labels, count, seed=seed))


def test_proportional_subset_of_an_uneven_pair_of_classes() -> None:
    labels = (torch.arange(3000) % 10 < 3).long()  # 7 to 3
    assert labels[data.proportional_subset(labels, 100, seed=0)].bincount().tolist() == [70, 30]
    assert not torch.equal(*(data.proportional_subset(labels, 50, seed=seed) for seed in (0, 1)))


@given(labels=LABELS, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_stratified_split_has_every_class_on_both_sides(
    labels: torch.Tensor, fraction: float, seed: int
) -> None:
    sides = data.stratified_split(labels, fraction=fraction, seed=seed)
    assert torch.equal(torch.cat(sides).sort().values, torch.arange(len(labels)))
    for value, count in enumerate(labels.bincount()):
        second = int((labels[sides[1]] == value).sum())
        if count >= 2:
            assert 1 <= second <= count - 1
            assert abs(second - fraction * count) <= 1
        else:
            assert second == 0
    again = data.stratified_split(labels, fraction=fraction, seed=seed)
    assert all(torch.equal(side, other) for side, other in zip(sides, again, strict=True))


def test_another_seed_gives_another_draw() -> None:
    labels = torch.arange(100) % 10
    assert not torch.equal(data.balanced_subset(labels, 50, seed=0), data.balanced_subset(labels, 50, seed=1))
    first, second = (data.stratified_split(labels, fraction=0.2, seed=seed)[1] for seed in (0, 1))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, float("nan")])
def test_a_fraction_outside_0_and_1_is_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="fraction"):
        data.split(data.load("digits"), fraction=fraction)


def test_a_split_of_single_samples_is_refused() -> None:
    with pytest.raises(UsageError, match="two samples"):
        data.stratified_split(torch.arange(5), fraction=0.5, seed=0)


@pytest.mark.parametrize("seed", [-1, 0.5, "0", True])
def test_a_seed_that_is_no_natural_number_is_refused(seed: object) -> None:
    with pytest.raises(UsageError, match="seed"):
        data.load("digits", seed=seed)  # type: ignore[arg-type]


def test_pixel_statistics_are_those_of_the_pixels() -> None:
    images = torch.from_numpy(numpy.random.default_rng(0).integers(0, 256, (50, 3, 4, 5), dtype=numpy.uint8))
    pixels = images.double().div(255).transpose(0, 1).reshape(3, -1)
    mean, std = pixel_statistics(images)
    torch.testing.assert_close(mean, pixels.mean(1).float())
    torch.testing.assert_close(std, pixels.std(1, correction=0).float())


def test_a_constant_channel_normalizes_to_finite_values() -> None:
    mean, std = pixel_statistics(torch.full((4, 3, 2, 2), 7, dtype=torch.uint8))
    assert (1 / std).isfinite().all()
    torch.testing.assert_close(mean, torch.full((3,), 7 / 255))


def test_the_fingerprint_follows_every_pixel_and_label() -> None:
    dataset = data.load("digits")
    assert dataset.fingerprint == data.load("digits").fingerprint
    images = dataset.test_images.clone()
    images[-1, -1, -1, -1] ^= 1
    labels = dataset.train_labels.roll(1)
    changed = [{"test_images": images}, {"train_labels": labels}, {"flip": True}]
    digests = {dataclasses.replace(dataset, **change).fingerprint for change in changed}
    assert len(digests | {dataset.fingerprint}) == 4
