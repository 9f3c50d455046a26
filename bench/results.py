"""Results that were really measured: cut down from pytest-benchmark's JSON, kept as one file per device and date.

A kept file holds `device`, `date`, `machine` (models and versions, no names) and `measurements`, each with its
`question`, `group`, `way`, the seconds of one call (`min`, `median`, over `rounds`), its relative `error`, and facts
such as `n`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Measurement = dict[str, Any]


@dataclass
class Result:
    """What was measured on one device on one day."""

    device: str
    date: str
    machine: dict[str, Any]
    measurements: list[Measurement]

    @property
    def file_name(self) -> str:
        """`<device>-<date>.json`, in letters, digits, dots and dashes."""
        return re.sub(r"[^a-z0-9.]+", "-", f"{self.device} {self.date}".lower()) + ".json"


def compact(raw: dict[str, Any]) -> Result:
    """Takes what is kept from the JSON that `pytest bench --benchmark-json` wrote.

    Raises:
        ValueError: It is not such a file, or one of benches that say nothing of what they answer.
    """
    if "benchmarks" not in raw or "machine_info" not in raw:
        raise ValueError("not a file of `pytest bench --benchmark-json`: no benchmarks or machine_info in it")
    measurements = [_measurement(benchmark) for benchmark in raw["benchmarks"]]
    machine = raw["machine_info"]
    on_gpu = any(measurement.get("device") == "cuda" for measurement in measurements)
    device = machine["gpu"] if on_gpu else f"{machine['cpu']}, {machine['cores']} cores"
    return Result(device, raw["datetime"][:10], machine, measurements)


def _measurement(benchmark: dict[str, Any]) -> Measurement:
    facts = dict(benchmark["extra_info"])
    if "question" not in facts:
        raise ValueError(f"{benchmark['fullname']}: no question in its extra_info")
    group = benchmark["group"].removeprefix(f"{facts['question']}: ")
    calls, stats = facts.pop("calls", 1), benchmark["stats"]
    seconds = {key: stats[key] / calls for key in ("min", "median")}
    return {"group": group, **facts, **seconds, "rounds": stats["rounds"]}


def merge(first: Result, second: Result) -> Result:
    """Adds a later run of the same device and day; a group that was run again replaces the earlier one whole.

    Ratios are of one run, so no group mixes two.
    """
    again = {(m["question"], m["group"]) for m in second.measurements}
    kept = [m for m in first.measurements if (m["question"], m["group"]) not in again]
    return Result(second.device, second.date, second.machine, kept + second.measurements)


def keep(raw_files: Iterable[Path], folder: Path) -> list[Path]:
    """Writes pytest-benchmark's files into the folder of kept results, and returns which files were written."""
    written: dict[Path, None] = {}
    for raw in raw_files:
        result = compact(json.loads(raw.read_text()))
        path = folder / result.file_name
        if path.exists():
            result = merge(read(path), result)
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(_pretty(result))
        written[path] = None
    return list(written)


def read(path: Path) -> Result:
    """Reads a kept file."""
    return Result(**json.loads(path.read_text()))


def newest(folder: Path) -> list[Result]:
    """The last kept result of each device, in the order of devices."""
    found = sorted((read(path) for path in folder.glob("*.json")), key=lambda r: (r.device, r.date))
    return list({result.device: result for result in found}.values())


def _pretty(result: Result) -> str:
    """One line for each measurement, so that versions of a file can be compared."""
    head = {key: value for key, value in asdict(result).items() if key != "measurements"}
    lines = ",\n".join(f"  {json.dumps(_rounded(measurement))}" for measurement in result.measurements)
    return json.dumps(head, indent=1)[:-2] + f',\n "measurements": [\n{lines}\n ]\n}}\n'


def _rounded(measurement: Measurement) -> Measurement:
    """Four digits are more than the spread between rounds."""
    return {k: float(f"{v:.4g}") if isinstance(v, float) else v for k, v in measurement.items()}
