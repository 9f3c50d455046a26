"""What a ranking is asked for, less which architectures: their scores don't depend on each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from knas.runs.config import COMMAND
from knas.search.settings import ScoreSettings, plain_name


@dataclass(frozen=True)
class RankSettings(ScoreSettings):
    """All that the scores of a ranking depend on; networks have the paper's size whatever the data set."""

    score_samples: int = 32

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for `config.yaml`."""
        return {COMMAND: "rank", **super().to_dict()}

    def run_name(self) -> Path:
        """The folder that these settings get where none is named: the same settings, the same folder."""
        name = f"rank-{plain_name(self.dataset)}-{self.proxy}-n{self.score_samples}-s{self.seed}"
        return Path("runs") / f"{name}{self.digest(('score_samples', 'seed', 'proxy'))}"
