from __future__ import annotations

import pytest
import torch

import knas
from knas.spaces import CellArchitecture, NASBench201

SPACE = NASBench201()
SIZES = {"channels": 4, "cells_per_stage": 1}
CELLS = {
    "no dead edge": "|nor_conv_3x3~0|+|skip_connect~0|nor_conv_1x1~1|+|avg_pool_3x3~0|nor_conv_3x3~1|skip_connect~2|",
    "node that nothing reads": "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|nor_conv_1x1~0|none~1|none~2|",
    "pooling from a zero node": "|none~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|none~0|skip_connect~1|nor_conv_1x1~2|",
    "convolution from a zero node": "|none~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|",
    "all convolutions dead": "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|avg_pool_3x3~0|none~1|none~2|",
    "nothing reaches the output": "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|none~0|none~1|none~2|",
    "all none": "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
}
OPTIONS = (
    {},
    {"batch_norm": "batch"},
    {"batch_norm": "initial", "of": "loss"},
    {"estimator": "full"},
    {"estimator": "split"},
    {"estimator": "released", "batches": 4},
)


def images() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(8, 3, 8, 8, generator=generator)
    return inputs, torch.arange(8)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("text", CELLS.values(), ids=CELLS)
def test_scores_are_those_of_the_whole_network(text: str, options: dict[str, str]) -> None:
    inputs, targets = images()
    architecture = SPACE.parse(text)
    whole = knas.score(SPACE.build(architecture, **SIZES), inputs, targets, **options)
    pruned = knas.score(SPACE.builder(**SIZES)(architecture), inputs, targets, **options)
    assert pruned.value == pytest.approx(whole.value, rel=1e-6)
    assert [(one.name, one.parameters) for one in pruned.layers] == [
        (one.name, one.parameters) for one in whole.layers
    ]
    for mine, theirs in zip(pruned.layers, whole.layers, strict=True):
        assert mine.value == pytest.approx(theirs.value, rel=1e-5, abs=1e-12 * abs(whole.value))


def test_dead_edges_are_not_run() -> None:
    architecture = SPACE.parse(CELLS["all convolutions dead"])
    network = SPACE.builder(**SIZES)(architecture)
    ran: list[str] = []
    for name, module in network.named_modules():
        if "edges" in name and not list(module.children()):
            module.register_forward_hook(lambda *_, name=name: ran.append(name))
    network(images()[0])
    assert len(ran) == 3  # the one live pooling of each of three cells


def test_networks_in_a_row_do_not_change_each_others_scores() -> None:
    inputs, _ = images()
    builder = SPACE.builder(**SIZES)
    cells = [SPACE.parse(text) for text in CELLS.values()]
    cells += [CellArchitecture(("nor_conv_3x3",) * 6)]
    forwards = [knas.score(builder(cell), inputs).value for cell in cells]
    backwards = [knas.score(builder(cell), inputs).value for cell in cells[::-1]]
    assert forwards == backwards[::-1]
