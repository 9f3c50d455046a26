"""The outcome of a search, as an object and as `result.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from knas.errors import RunError
from knas.runs.atomic import write_atomically

FORMAT = 1


class _Named:
    """Fields under the same names as in `result.json`, as attributes or as keys."""

    def __getitem__(self, name: str) -> Any:
        if name not in {field.name for field in fields(self)}:  # type: ignore[arg-type]
            raise KeyError(name)
        return getattr(self, name)


@dataclass(frozen=True)
class Candidate(_Named):
    """One of those that were chosen for training.

    `score` is None where the algorithm scores nothing; accuracy in per cent, None where training failed for `reason`.
    """

    architecture: str
    score: float | None
    validation_accuracy: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Best(_Named):
    """The architecture with the highest validation accuracy; all in per cent.

    F1 is None where it is not measured: of images, and of sentences of more than two classes.
    """

    architecture: str
    validation_accuracy: float
    test_accuracy: float | None
    validation_f1: float | None = None
    test_f1: float | None = None


@dataclass(frozen=True)
class Control(_Named):
    """The control "random k, same training": k of the sampled architectures at random instead of by score.

    `mean_test_accuracy` is over those whose training did not fail; `best` is chosen by validation accuracy.
    """

    architectures: tuple[str, ...]
    mean_test_accuracy: float | None
    best: Best | None


@dataclass(frozen=True)
class SearchResult(_Named):
    """What a search found and what it cost; mirrors `result.json`.

    Attributes:
        space: name of the search space.
        dataset: name, Hub id or folder as it was given.
        proxy: what scored the networks.
        algorithm: what chose them.
        scored: architectures with a score.
        failed: architectures whose score failed; they are never ranked.
        top_k: the architectures that were trained, by descending score (in the order of training without scores).
        best: the one of `top_k` with the highest validation accuracy.
        seconds: spent on scoring ("score"), training super-networks ("supernet"), the top k ("train"), the control
            ("control"), and the plain model ("plain"; nothing where it was among the others).
        versions: of knas, torch, Python and, where it was used, CUDA.
        control: the control beside the winner, where it was asked for.
        plain: the plain pretrained model with the same training, where it was asked for and didn't fail.
        benchmark: where nothing was trained, the table: its `file`, `sha256` and `dataset`, what the `seconds` are, and
            under `found` the accuracies that it tells of the found architecture by data set and number of epochs.
        run: the run's folder (not in the file, which lies in it).
    """

    space: str
    dataset: str
    proxy: str
    algorithm: str
    scored: int
    failed: int
    top_k: tuple[Candidate, ...]
    best: Best
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    control: Control | None = None
    plain: Best | None = None
    benchmark: Mapping[str, Any] | None = None
    run: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The content of `result.json`; `control`, `plain`, `benchmark` and F1 are left out where there are none."""
        content = asdict(self)
        del content["run"]
        _drop_none(content, "control", "plain", "benchmark")
        for candidate in content["top_k"]:
            _drop_none(candidate, "reason")
        control = content.get("control")
        for best in (content["best"], content.get("plain"), control and control["best"]):
            if best:
                _drop_none(best, "validation_f1", "test_f1")
        return {"format": FORMAT, **content}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], run: str = "") -> SearchResult:
        """The result that `to_dict` describes."""
        values = {key: value for key, value in content.items() if key != "format"}
        values["top_k"] = tuple(Candidate(**candidate) for candidate in values["top_k"])
        values["best"] = Best(**values["best"])
        if (plain := values.get("plain")) is not None:
            values["plain"] = Best(**plain)
        if (control := values.get("control")) is not None:
            best = control["best"] and Best(**control["best"])
            values["control"] = Control(tuple(control["architectures"]), control["mean_test_accuracy"], best)
        return cls(**values, run=run)


def _drop_none(content: dict[str, Any], *names: str) -> None:
    for name in names:
        if content[name] is None:
            del content[name]


def write_result(path: Path, result: SearchResult) -> None:
    """Write `result.json` in one step."""
    write_atomically(path, (json.dumps(result.to_dict(), indent=2) + "\n").encode())


def read_result(path: Path) -> SearchResult:
    """Read `result.json`.

    Raises:
        RunError: the file is unreadable, holds something else, or comes from a newer knas.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["format"]
        if not version > FORMAT:
            return SearchResult.from_dict(content, run=str(path.parent))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} is not a result of knas ({error!r}); remove it and start the command again"
        ) from error
    raise RunError(
        f"{path} is of format {version} and this knas reads up to {FORMAT}: "
        "upgrade knas or give another --run"
    )
