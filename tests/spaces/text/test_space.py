from __future__ import annotations

from typing import ClassVar

import pytest
import tiny_encoders
from spaces.conformance import SearchSpaceConformance
from torch import Tensor

DEPTH = 7


@pytest.fixture(scope="module", params=["roberta", "bert", "distilbert", "mpnet"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_encoders.save(tmp_path_factory.mktemp("model"), request.param, DEPTH)


class TestTextSpace(SearchSpaceConformance):
    name = "text"
    misspelled = ("pretraind", "pretrained")
    malformed: ClassVar[tuple[tuple[object, str], ...]] = (
        ("", "there is no ':'"),
        ("highway", "there is no ':'"),
        ("highway:", "'' is no number of layers from 2 to 11"),
        ("highway:1", "'1' is no number"),
        ("highway:04", "'04' is no number"),
        ("highway:12", "'12' is no number"),
        ("highway:8", f"has {DEPTH} layers in all"),
        ("lookahead:4", "did you mean 'look-ahead'?"),
        (" highway:4", "' highway'"),
        ("highway:" + "9" * 10_000, "…"),
        (4, "a int is no text"),
        (None, "a NoneType is no text"),
    )

    @pytest.fixture
    def space_options(self, folder: str) -> dict[str, object]:
        return {"model": folder}

    def inputs(self, n: int) -> dict[str, Tensor]:
        return tiny_encoders.sentences("roberta", list(range(3, n + 3)))
