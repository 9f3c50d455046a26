"""What a ranking is asked for, less which architectures: their scores don't depend on each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    `further_proxies` are those that score beside `proxy`, which orders, with their options.
    """

    score_samples: int = 32
    precision: str = "float32"
    further_proxies: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def proxies(self) -> dict[str, Mapping[str, Any]]:
        """All that score, with their options, the one that orders first."""
        return {self.proxy: self.proxy_options, **self.further_proxies}

    def resolved(self) -> Self:
        """The same with the defaults filled in, checked.

        Raises:
            UsageError: a number is out of range, or the precision unknown; the text names the option.
        """
        one_of(option("precision"), self.precision, PRECISIONS)
        return super().resolved()

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for `config.yaml`; with one proxy as older runs have it."""
        values = {COMMAND: "rank", **super().to_dict()}
        if not self.further_proxies:
            del values["further_proxies"]
        return values

    def run_name(self) -> Path:
        """The folder that these settings get where none is named: the same settings, the same folder."""
        proxies = "-and-".join([self.proxy, *([str(more)] if (more := len(self.further_proxies)) else [])])
        name = f"rank-{plain_name(self.dataset)}-{proxies}-n{self.score_samples}-s{self.seed}"
        return Path("runs") / f"{name}{self.digest(('score_samples', 'seed', 'proxy'))}"
