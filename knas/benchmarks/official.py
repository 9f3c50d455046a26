"""The official file of NAS-Bench-201, `NAS-Bench-201-v1_1-096897.pth`, read one architecture at a time.

The file is what `torch.save` made of a dictionary: `meta_archs` (texts), `arch2infos` (per index the results of the
12-epoch schedule under "less" and of the 200-epoch schedule under "full"), `evaluated_indexes`. The package
`nas-bench-201`, whose classes wrote it, reads all of it at once (about 28 GB of memory) and with `torch.load`, which
runs what the file tells it to. Here each architecture is reduced to its final numbers as soon as it was read, and
the reader (`knas.benchmarks.unpickler`) knows no class but a few stand-ins. The package's classes still say what the
numbers of one architecture mean.

What becomes of the official names:

- cifar10: validation accuracy, training loss and seconds of `cifar10-valid` (trained on half of the training images,
  the split `x-valid`), test accuracy of `cifar10` (trained on all of them, `ori-test`) with the same seed;
- cifar100 and imagenet16-120: all of one training, with the splits `x-valid` and `x-test`.

Seconds are those of the training and of one evaluation on the validation images, as the baselines of NAS-Bench-201
count them (`train-all-time` + `valid-per-time` in their released code).
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from knas.benchmarks.benchmark import DATASETS, FIELDS, Benchmark, Entry, Numbers, Trainings
from knas.benchmarks.unpickler import FORGOTTEN, Unpickler
from knas.errors import UsageError
from knas.spaces import SearchSpace, create

MAGIC = 0x1950A86A20F9469CFC6C
"""What `torch.save` wrote first before torch 1.6; since then it writes ZIP archives."""

SCHEDULES = ("less", "full")
PREFIXES = 3
"""Pickles before the one with the content in the older format: the magic number, a version, the byte order."""

Key = tuple[str, int, int]
"""Data set, number of epochs, seed."""

DONE = object()
"""Takes the place of an architecture whose numbers were taken."""


def read(path: Path, progress: Callable[[int], None] = lambda count: None) -> Benchmark:
    """Read the official file.

    Args:
        path: the file.
        progress: told how many architectures were read, after each.

    Raises:
        UsageError: the file is damaged, of another kind, wants a class that is not allowed, or holds impossible values.
    """
    table = _Table(path, progress)
    with _opened(path) as file, _naming_what_is_wrong(path):
        content = Unpickler(file, path, table.take).load()
    infos = content.get("arch2infos") if isinstance(content, dict) else None
    if (
        not isinstance(infos, dict)
        or "meta_archs" not in content
        or any(one is not DONE for one in infos.values())
    ):
        raise UsageError(
            f"{path} does not hold NAS-Bench-201: it needs meta_archs, and less and full in arch2infos"
        )
    if not table.architectures:
        raise UsageError(f"{path} holds no architecture")
    return Benchmark(table.trainings(), source=path.name, fingerprint=_sha256(path))


class _Table:
    """The numbers taken so far."""

    def __init__(self, path: Path, progress: Callable[[int], None]) -> None:
        self._path = path
        self._progress = progress
        self._space: SearchSpace = create("nas-bench-201")
        self._values: dict[Key, dict[str, Numbers]] = {}
        self.architectures: set[int] = set()
        self._results = _package()

    def take(self, content: dict[Any, Any]) -> object | None:
        """Take the numbers out of a finished dictionary if it is that of an architecture."""
        if not all(name in content for name in SCHEDULES):
            return None
        states = [content[name] for name in SCHEDULES]
        if not all(isinstance(state, dict) for state in states):
            return None
        index = self._space.index(self._space.parse(states[0].get("arch_str")))
        if index in self.architectures:
            raise UsageError(f"{self._path} holds architecture {index} twice")
        self.architectures.add(index)
        for state in states:
            self._add(index, self._results.create_from_state_dict(state))
        self._progress(len(self.architectures))
        return DONE

    def trainings(self) -> dict[tuple[str, int], Trainings]:
        """All numbers by data set and epochs."""
        found: dict[tuple[str, int], Trainings] = {}
        for dataset, epochs in sorted({key[:2] for key in self._values}):
            seeds = tuple(sorted(key[2] for key in self._values if key[:2] == (dataset, epochs)))
            rows = [self._values[dataset, epochs, seed] for seed in seeds]
            found[dataset, epochs] = Trainings(
                seeds, {field: np.stack([row[field] for row in rows]) for field in FIELDS}
            )
        return found

    def _add(self, index: int, results: Any) -> None:
        for key, entry in entries(results).items():
            if key not in self._values:
                self._values[key] = {field: np.full(len(self._space), np.nan) for field in FIELDS}
            for field in FIELDS:
                value = getattr(entry, field)
                if value is not None:
                    self._values[key][field][index] = self._checked(index, key, field, value)

    def _checked(self, index: int, key: Key, field: str, value: Any) -> float:
        most = 100.0 if field.endswith("accuracy") else math.inf
        if isinstance(value, (int, float)) and math.isfinite(value) and 0 <= value <= most:
            return float(value)
        dataset, epochs, seed = key
        shown = "shared with another architecture" if value is FORGOTTEN else repr(value)
        raise UsageError(
            f"{self._path}: {field} of architecture {index} on {dataset} after {epochs} epochs with seed {seed} "
            f"can't be {shown}"
        )


def entries(results: Any) -> dict[Key, Entry]:
    """The final numbers of one schedule of one architecture.

    Args:
        results: a `nas_201_api.ArchResults`.
    """
    found: dict[Key, Entry] = {}
    for dataset in DATASETS[1:]:
        name = {"imagenet16-120": "ImageNet16-120"}.get(dataset, dataset)
        for seed, result in _trials(results, name):
            accuracies = (_accuracy(result, "x-valid"), _accuracy(result, "x-test"))
            found[dataset, result.get_total_epoch(), seed] = Entry(*accuracies, *_loss_and_seconds(result))
    halves, wholes = dict(_trials(results, "cifar10-valid")), dict(_trials(results, "cifar10"))
    for seed in sorted(halves.keys() | wholes.keys()):
        half, whole = halves.get(seed), wholes.get(seed)
        # with no training on half of the images at all, those on all of them tell the loss and the cost
        costly = half if halves else whole
        epochs = results.get_total_epoch("cifar10-valid" if half is not None else "cifar10")
        found["cifar10", epochs, seed] = Entry(
            None if half is None else _accuracy(half, "x-valid"),
            None if whole is None else _accuracy(whole, "ori-test"),
            *((None, None) if costly is None else _loss_and_seconds(costly)),
        )
    return found


def _trials(results: Any, dataset: str) -> list[tuple[int, Any]]:
    return [(int(seed), results.query(dataset, seed)) for seed in results.dataset_seed.get(dataset, ())]


def _accuracy(result: Any, split: str) -> float | None:
    found: float | None = result.eval_acc1es.get(f"{split}@{result.get_total_epoch() - 1}")
    return found


def _loss_and_seconds(result: Any) -> tuple[float | None, float | None]:
    train = result.get_train()
    seconds = train["all_time"]
    if seconds is not None and "x-valid" in result.get_eval_set():
        times = [result.eval_times.get(f"x-valid@{epoch}") for epoch in range(result.get_total_epoch())]
        held = [time for time in times if time is not None]
        seconds += sum(held) / len(held) if held else 0.0
    return train["loss"], seconds


def _package() -> Any:
    try:
        from nas_201_api import ArchResults
    except ImportError as error:
        raise UsageError(
            "the official file is read with the package nas-bench-201: pip install nas-bench-201"
        ) from error
    return ArchResults


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """The file at the beginning of the pickle with its content."""
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(names) != 1:
                raise UsageError(f"{path} was not written by torch.save")
            with archive.open(names[0]) as member:
                yield io.BufferedReader(member, 1 << 20)  # type: ignore[type-var]
        return
    with path.open("rb", buffering=1 << 20) as file:
        with _naming_what_is_wrong(path):
            prefixes = [Unpickler(file, path, lambda content: None).load() for _ in range(PREFIXES)]
        if prefixes[0] != MAGIC:
            raise UsageError(f"{path} was not written by torch.save")
        yield file


@contextmanager
def _naming_what_is_wrong(path: Path) -> Iterator[None]:
    """Whatever a damaged pickle leads to, as one line."""
    wrong = (EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error)
    try:
        yield
    except UsageError as error:
        raise error if str(path) in str(error) else UsageError(f"{path}: {error}") from error
    except (pickle.UnpicklingError, zipfile.BadZipFile, *wrong) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path} is damaged or not the official file ({reason})") from error


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
