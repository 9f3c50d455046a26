from __future__ import annotations

import csv
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from spaces.conformance import SearchSpaceConformance

from knas.errors import UsageError
from knas.spaces import NASBench201

TEXT = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|avg_pool_3x3~1|none~2|"


class TestConformance(SearchSpaceConformance):
    name = "nas-bench-201"
    build_options = {"channels": 4, "cells_per_stage": 1}  # noqa: RUF012
    malformed = (
        (TEXT.replace("nor_conv_3x3", "nor_conv_5x5"), "none, skip_connect, nor_conv_1x1, nor_conv_3x3"),
        (TEXT.replace("nor_conv_3x3", "nor_conv_3x"), "did you mean 'nor_conv_3x3'?"),
        (TEXT.replace("skip_connect~1", "skip_connect~0"), "input 1 of node 2 is 'skip_connect~0'"),
        (TEXT.replace("skip_connect~1", "skip_connect"), "instead of 'op~1'"),
        (TEXT.replace("none~2", "none~2~2"), "input 2 of node 3"),
        (TEXT[1:], "node 1, 'nor_conv_3x3~0|', does not begin and end with '|'"),
        (TEXT[:-1], "node 3"),
        (TEXT.replace("|+|", "+"), "does not begin and end"),
        (TEXT.replace("|none~2", ""), "node 3 has 2 inputs instead of 3"),
        (TEXT + "+|none~0|", "there are 4 nodes instead of 3"),
        ("|none~0|", "there are 1 nodes instead of 3"),
        ("", "in '' there are"),
        ("+" * 100_000, "there are 100001 nodes"),
        (f" {TEXT}", "node 1"),
        (f"{TEXT}\n", "node 3"),
        (None, "must be a string |op~0|+|op~0|op~1|+|op~0|op~1|op~2|, got NoneType"),
        (TEXT.encode(), "got bytes"),
    )

    def inputs(self, n: int) -> torch.Tensor:
        return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def space() -> NASBench201:
    return NASBench201()


@pytest.fixture(scope="module")
def table(shared_data: Path) -> list[dict[str, str]]:
    with open(shared_data / "nas-bench-201" / "accuracies.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_known_numbers_without_the_table(space: NASBench201) -> None:
    """The first three are the anchors that the benchmark's own generator asserts; the checksum is of all."""
    known = {
        0: "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
        9: "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|",
        123: "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|",
    }
    assert {index: str(space.architecture(index)) for index in known} == known
    numbers = np.array([space.index(architecture) for architecture in space], dtype="<u2")
    assert len(space) == 15_625
    assert np.array_equal(numbers, np.arange(15_625))
    text = "\n".join(map(str, space))
    assert zlib.crc32(text.encode()) == 0xBE66ADF1


def test_every_row_of_the_table_round_trips(space: NASBench201, table: list[dict[str, str]]) -> None:
    assert len(table) == len(space)
    for row, architecture in zip(table, space, strict=True):
        assert str(architecture) == row["arch"]
        assert space.parse(row["arch"]) == architecture
        assert space.index(architecture) == int(row["index"])


def test_isomorphism_classes(space: NASBench201) -> None:
    assert len({space.canonical(architecture) for architecture in space}) == 6_466


def test_isomorphism_classes_are_the_tables(space: NASBench201, table: list[dict[str, str]]) -> None:
    ours = [space.index(space.canonical(architecture)) for architecture in space]
    assert ours == [int(row["isomorphism_class"]) for row in table]


@pytest.mark.parametrize(
    ("dataset", "num_classes"), [("cifar10", 10), ("cifar100", 100), ("imagenet16-120", 120)]
)
def test_parameters_are_the_tables(
    space: NASBench201, table: list[dict[str, str]], dataset: str, num_classes: int
) -> None:
    for row, architecture in zip(table, space, strict=True):
        millions = space.parameters(architecture, num_classes) / 1e6
        assert f"{millions:.6f}" == f"{float(row[f'{dataset}_params_m']):.6f}"


def test_parameters_of_full_size_networks(space: NASBench201) -> None:
    generator = np.random.default_rng(1)
    for _ in range(5):
        architecture = space.sample(generator)
        built = space.build(architecture, num_classes=100, in_channels=1)
        count = sum(p.numel() for p in built.parameters())
        assert space.parameters(architecture, 100, in_channels=1) == count


@given(st.integers(0, len(TEXT)), st.integers(0, 14), st.text("|+~0123 nocv_\n\x00é", max_size=6))
def test_damaged_text_is_refused_or_means_what_it_says(start: int, cut: int, inserted: str) -> None:
    text = TEXT[:start] + inserted + TEXT[start + cut :]
    try:
        architecture = NASBench201().parse(text)
    except UsageError as error:
        assert "\n" not in str(error)  # noqa: PT017 (most damaged texts are refused, not all)
    else:
        assert str(architecture) == text
