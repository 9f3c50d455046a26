"""The count of activation patterns against patterns compared one by one."""

from __future__ import annotations

import pytest
import torch
from proxies.conformance import ProxyConformance, samples
from proxies.relus import Functional
from torch import nn

import knas
from knas.errors import UsageError
from knas.proxies.linear_regions import Regions, random_patches


class TestLinearRegions(ProxyConformance):
    name = "linear-regions"
    layered = False  # a count of patterns is no sum over layers


class TestLinearRegionsOfPatches(ProxyConformance):
    name, options = "linear-regions", {"patches": 20, "patch": 8}
    layered = False


def test_regions_are_distinct_patterns() -> None:
    generator = torch.Generator().manual_seed(0)
    codes = [torch.rand(50, units, generator=generator) > 0.6 for units in (1, 2, 3)]
    regions = Regions(50)
    assert regions.count == 1
    for code in codes:
        regions.add(code)
    assert regions.count == len({tuple(row) for row in torch.cat(codes, 1).tolist()})
    assert 1 < regions.count < 50


def test_two_units_make_at_most_three_regions_on_a_line() -> None:
    """Units with thresholds 0 and 1 on a line: below both, between, above both."""
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.copy_(torch.tensor([0.0, -1.0]))
    assert knas.score(model, torch.linspace(-1, 2, 31)[:, None], proxy="linear-regions").value == 3
    assert knas.score(model, torch.linspace(-1, -0.5, 31)[:, None], proxy="linear-regions").value == 1


def test_patches_are_cut_from_the_images() -> None:
    images = torch.arange(2 * 3 * 5 * 6).reshape(2, 3, 5, 6).float()
    patches = random_patches(images, 200, 3, seed=1)
    assert patches.shape == (200, 3, 3, 3)
    steps = patches - patches[:, :1, :1, :1]
    assert (steps == steps[0]).all(), "neighbors stay neighbors"
    assert len(patches[:, 0, 0, 0].unique()) == 2 * 3 * 4, "every place of every image"
    one = random_patches(images, 200, 3, seed=1, one_channel=True)
    assert one.shape == (200, 1, 3, 3)
    assert len({int(value) // 30 % 3 for value in one[:, 0, 0, 0]}) == 3
    assert torch.equal(patches, random_patches(images, 200, 3, seed=1))


def test_published_inputs() -> None:
    options = {"patches": 500, "patch": 3, "one_channel": True}
    space = knas.spaces.create("nas-bench-201")
    model = space.build(space.architecture(1), channels=1, cells_per_stage=1, in_channels=1)
    first, again = (
        knas.score(model, samples()[0], proxy="linear-regions", seed=3, **options) for _ in range(2)
    )
    assert first.value == again.value
    assert 8 < first.value <= 500


@pytest.mark.parametrize(
    ("options", "inputs", "message"),
    [
        ({"patches": 1}, (4, 3, 8, 8), "patches: an integer of at least 2"),
        ({"patch": 0}, (4, 3, 8, 8), "patch: an integer of at least 1"),
        ({"one_channel": 1}, (4, 3, 8, 8), "one_channel: true or false expected, got 1"),
        ({"patches": 9, "patch": 9}, (4, 3, 8, 8), "patch: at most the images' 8 x 8 pixels expected, got 9"),
        ({"patches": 9}, (4, 3), r"patches: only images, a tensor \[n, channels, height, width\]"),
        ({"batch_norm": "eval"}, (4, 3, 8, 8), "batch_norm: one of calibrated"),
    ],
)
def test_bad_options(options: dict[str, object], inputs: tuple[int, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        knas.score(Functional(torch.relu), torch.zeros(inputs), proxy="linear-regions", **options)
