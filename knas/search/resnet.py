"""The row of tables that was not searched for: the residual block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from knas.errors import UsageError
from knas.search.base import Outcome, SearchAlgorithm, Selected, choose
from knas.search.evaluator import Evaluator
from knas.spaces.base import Architecture

CELLS = {
    "nas-bench-201": "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|",
}
"""By space: two 3 x 3 convolutions in a row, beside a skip connection."""


@dataclass(frozen=True)
class ResNet(SearchAlgorithm):
    """No search: the cell that is a residual block, trained once.

    It is `ResNet_CODE` of the code released with NAS-Bench-201 (github.com/D-X-Y/AutoDL-Projects,
    `xautodl/models/cell_searchs/genotypes.py`), number 11,472 of the benchmark. NAS-Bench-201 and the KNAS paper print
    93.97, 70.86 and 43.63 for ResNet; the table of version 1.1 has 93.91, 70.89 and 44.23 for this cell.
    """

    name: ClassVar[str] = "resnet"
    scores: ClassVar[bool] = False

    def check(self, evaluator: Evaluator) -> None:
        """Refuse a space without such a cell."""
        self._architecture(evaluator)

    def search(self, evaluator: Evaluator) -> Outcome:
        """Train the cell."""
        found = self._architecture(evaluator)
        evaluator.begin("top-k", 1)
        selected = (Selected(found, None, evaluator.train(found, role="top-k")),)
        return Outcome(scored=0, failed=0, selected=selected, best=choose(selected), found=found)

    def _architecture(self, evaluator: Evaluator) -> Architecture:
        text = CELLS.get(evaluator.space.name)
        if text is None:
            raise UsageError(
                f"space: {evaluator.space.name!r} has no residual block; known for {', '.join(CELLS)}"
            )
        return evaluator.space.parse(text)
