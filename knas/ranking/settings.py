"""What a ranking is asked for, less which architectures: their scores don't depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typing_extensions import Self

from knas.runs.config import COMMAND
from knas.search.settings import ScoreSettings, option, plain_name
from knas.spaces.checks import one_of

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class RankSettings(ScoreSettings):
    """All that the scores of a ranking depend on; networks have the paper's size whatever the data set.

    `precision` is that of weights, images and activations; sums are accumulated in float32 in either case.
    """

    score_samples: int = 32
    precision: str = "float32"

    def resolved(self) -> Self:
        """The same with the defaults filled in, checked.

        Raises:
            UsageError: a number is out of range, or the precision unknown; the text names the option.
        """
        one_of(option("precision"), self.precision, PRECISIONS)
        return super().resolved()

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for `config.yaml`."""
        return {COMMAND: "rank", **super().to_dict()}

    def run_name(self) -> Path:
        """The folder that these settings get where none is named: the same settings, the same folder."""
        name = f"rank-{plain_name(self.dataset)}-{self.proxy}-n{self.score_samples}-s{self.seed}"
        return Path("runs") / f"{name}{self.digest(('score_samples', 'seed', 'proxy'))}"
