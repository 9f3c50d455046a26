"""What a search is asked for: one value per option, with defaults that suit the data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from knas.errors import UsageError
from knas.search.base import find, option_names
from knas.search.text_settings import IMAGES_ONLY, SCORING, TEXT, TEXT_ONLY, fine_tuning_defaults
from knas.spaces.checks import positive_number

if TYPE_CHECKING:
    from knas.spaces.base import SearchSpace

PAPER: Mapping[str, Any] = {
    "samples": 100,
    "top_k": 20,
    "epochs": 20,
    "channels": 16,
    "cells_per_stage": 5,
    "initialization": "kaiming",
}
"""The paper's budget and the benchmark's skeleton."""

SMALL: Mapping[str, Mapping[str, Any]] = {
    "digits": {
        "samples": 100,
        "top_k": 5,
        "epochs": 15,
        "channels": 16,
        "cells_per_stage": 1,
        "batch_size": 64,
    }
}
"""Data sets whose defaults are smaller, so that the plain command ends within minutes on two cores."""

SMALL_THREADS: Mapping[str, int] = {"digits": 1}
"""CPU threads that `knas-search` uses unless told otherwise: with 8 x 8 images a second one waits more than it works,
and where other programs run beside, a training took 10 to 80 times as long with two threads as with one."""

OF_ALGORITHMS = ("samples", "top_k", "control")
"""Settings of their own that are options of some algorithms."""

NEWER = ("algorithm_options", "benchmark", "benchmark_dataset", "score_seconds", *TEXT_ONLY)
"""Settings that older runs don't have on disk."""

TABLE_EPOCHS = 12
"""Epochs of each training on a benchmark: what NAS-Bench-201 (arXiv 2001.00326) searches with."""

FREE = ("control", "plain")
"""Settings that may change when a run is resumed: no recorded number depends on them."""

DATA, TABLE, ENCODER = "data_sha256", "benchmark_sha256", "encoder_sha256"
"""Under these names the settings on disk tell which data, table and encoder the run is about, wherever they lay."""

LEAST: Mapping[str, int] = {
    "samples": 1,
    "top_k": 1,
    "epochs": 1,
    "seed": 0,
    "score_samples": 2,
    "max_train_samples": 2,
    "batch_size": 2,
    "channels": 1,
    "cells_per_stage": 1,
    "max_length": 1,
}

OPEN = ("max_train_samples", "batch_size", "max_length", "channels", "cells_per_stage", *OF_ALGORITHMS)
"""Numbers that may stay None."""


@dataclass(frozen=True)
class ScoreSettings:
    """All that the score of an architecture depends on.

    A field that is None at first takes its default in `resolved`; `max_train_samples` stays None (all of them), and so
    do `max_length` (what the encoder takes), `text_columns` (those that are found), and what the space has no use for.
    """

    space: str = "nas-bench-201"
    dataset: str = "digits"
    seed: int = 0
    proxy: str = "knas"
    proxy_options: Mapping[str, Any] = field(default_factory=dict)
    score_samples: int = 64
    max_train_samples: int | None = None
    channels: int | None = None
    cells_per_stage: int | None = None
    initialization: str | None = None
    model: str | None = None
    connection: str | None = None
    max_length: int | None = None
    text_columns: tuple[str, ...] | None = None

    @property
    def text(self) -> bool:
        """Whether networks read sentences."""
        return self.space == TEXT

    def create_space(self) -> SearchSpace:
        """The search space, around the encoder where it has one."""
        from knas import spaces

        return spaces.create(self.space, **self.space_options())

    def space_options(self) -> dict[str, Any]:
        """What `knas.spaces.create` takes beside the name."""
        return {"model": self.model} if self.text else {}

    def build_options(self) -> dict[str, Any]:
        """What every network and super-network of the run is built with, besides its classes and its seed."""
        own = ("connection",) if self.text else ("channels", "cells_per_stage")
        return {name: getattr(self, name) for name in (*own, "initialization")}

    def defaults(self) -> dict[str, Any]:
        """Values for the fields that are None."""
        if self.text:
            return dict(SCORING)
        return {name: PAPER[name] for name in ("channels", "cells_per_stage", "initialization")}

    def resolved(self) -> Self:
        """The same with the defaults filled in, checked.

        Raises:
            UsageError: a number is out of range; the text names the option.
        """
        for name in IMAGES_ONLY if self.text else TEXT_ONLY:
            if _given(getattr(self, name, None)):
                raise UsageError(f"space {self.space!r} has no {option(name)}; leave it out")
        missing = {name: value for name, value in self.defaults().items() if getattr(self, name) is None}
        filled = replace(self, dataset=str(self.dataset), proxy_options=dict(self.proxy_options), **missing)
        for name, least in LEAST.items():
            value = getattr(filled, name, least)
            if value is None and name in OPEN:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise UsageError(f"{option(name)} must be a whole number of at least {least}, not {value!r}")
        return filled

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain values, for `config.yaml`; without newer ones where nobody asks for them."""
        values = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }
        return {name: value for name, value in values.items() if _given(value) or name not in NEWER}

    def digest(self, told: Collection[str]) -> str:
        """Six digits that tell these settings from others, or nothing where those not `told` are the defaults."""
        plain = type(self)(space=self.space, dataset=Path(self.dataset).name).resolved()
        rest = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in told}
        rest = {name: value for name, value in rest.items() if _given(value) or name not in TEXT_ONLY}
        if rest == {name: getattr(plain, name) for name in rest}:
            return ""
        text = json.dumps(rest, sort_keys=True, default=str)
        return "-" + hashlib.sha256(text.encode()).hexdigest()[:6]


@dataclass(frozen=True)
class SearchSettings(ScoreSettings):
    """All that the numbers of a search depend on, and whether it runs a control.

    A field that is None at first, and in `PAPER` or `SMALL`, takes its default from there (see `resolved`). Two stay
    None: `max_train_samples` (all of them) and `batch_size` (see `default_batch_size`).
    """

    algorithm: str = "knas"
    algorithm_options: Mapping[str, Any] = field(default_factory=dict)
    samples: int | None = None
    top_k: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    warmup: float | None = None
    weight_decay: float | None = None
    augment: bool = True
    control: bool = False
    plain: bool = False
    benchmark: str | None = None
    benchmark_dataset: str | None = None
    score_seconds: float | None = None

    def defaults(self) -> dict[str, Any]:
        """The paper's, or smaller ones that suit the data set; none for what the algorithm has no use for."""
        on_table = {"epochs": TABLE_EPOCHS, "benchmark_dataset": "cifar10"}
        found = {**PAPER, **(SMALL.get(self.dataset, {}) if self.benchmark is None else on_table)}
        if self.text:
            found = fine_tuning_defaults(self.dataset)
        if (
            self.samples is not None
        ):  # --samples 3 alone asks for fewer trials, not for an error about --top-k
            found["top_k"] = max(1, min(found["top_k"], self.samples))
        return {name: value for name, value in found.items() if name not in self._foreign()}

    def resolved(self) -> Self:
        """The same with the defaults filled in, checked.

        Raises:
            UsageError: a number is out of range, or an option is not one of the algorithm; the text names the option.
        """
        for name in self._foreign():
            if _given(getattr(self, name)):
                raise UsageError(f"algorithm {self.algorithm!r} has no {option(name)}; leave it out")
        for name in OF_ALGORITHMS:
            if name in self.algorithm_options:
                raise UsageError(f"{name} is an option of its own: give {option(name)}, no algorithm option")
        self._check_proxy()
        self._check_benchmark()
        return replace(super().resolved(), algorithm_options=dict(self.algorithm_options))

    def _check_proxy(self) -> None:
        algorithm = find(self.algorithm)
        if algorithm.scores and not algorithm.own_proxies:
            return
        why = "has proxies of its own" if algorithm.scores else "scores nothing"
        if self.proxy != algorithm.proxy:
            raise UsageError(f"algorithm {self.algorithm!r} {why}; leave out {option('proxy')} {self.proxy}")
        if self.proxy_options:
            raise UsageError(
                f"algorithm {self.algorithm!r} {why}; leave out the proxy's options ({', '.join(self.proxy_options)})"
            )

    def _check_benchmark(self) -> None:
        if self.benchmark is None:
            for name in ("benchmark_dataset", "score_seconds"):
                if getattr(self, name) is not None:
                    raise UsageError(
                        f"{option(name)} says something of a benchmark: give --benchmark FILE too"
                    )
        elif self.score_seconds is not None:
            positive_number(option("score_seconds"), self.score_seconds)

    def _foreign(self) -> list[str]:
        """Those settings that are options of some algorithms, but not of this one."""
        known = option_names(self.algorithm)
        return [name for name in OF_ALGORITHMS if name not in known]

    def run_name(self) -> Path:
        """The folder that these settings get where none is named: the same settings, the same folder.

        The name tells the main settings; six digits of a digest follow where others are not the defaults.
        """
        told = ["algorithm", "samples", "top_k", "epochs", "seed", "proxy", *FREE]
        parts = [plain_name(self.benchmark_dataset or self.dataset), *(["table"] if self.benchmark else [])]
        parts += [] if self.algorithm == "knas" else [self.algorithm]
        parts += [self.proxy] if find(self.algorithm).scores else []
        numbers = {"n": self.samples, "k": self.top_k, "e": self.epochs, "s": self.seed}
        parts += [f"{letter}{value}" for letter, value in numbers.items() if value is not None]
        return Path("runs") / f"{'-'.join(parts)}{self.digest(told)}"


def plain_name(dataset: str) -> str:
    """The last part of a data set's name, as a part of a folder's name."""
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in Path(dataset).name) or "data"


def default_batch_size(images: int) -> int:
    """The benchmark's 256, or for fewer images the power of two that makes about 50 steps per epoch.

    With 2,000 images of CIFAR-10 two epochs of 7 steps end at chance, since neither the weights nor the running
    statistics of BatchNorm have moved far; two of 50 steps end at 25 %.

    Args:
        images: to train on.
    """
    return max(16, min(256, 1 << max(images // 50, 1).bit_length() - 1))


def option(name: str) -> str:
    """A setting's name as Python and the command line know it."""
    return f"{name} (--{name.replace('_', '-')})"


def _given(value: object) -> bool:
    """Whether a setting that is None, False or empty by default says something; 0 does."""
    return value is not None and value is not False and value != {}
