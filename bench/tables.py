"""The report's tables, from kept results alone: what was not measured is not in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.results import Measurement, Result

FROZEN, TRAINING_MODE, STEP = "frozen pass, evaluation mode", "frozen pass, training mode", "training step"
CHANNELS_LAST = "frozen pass, channels last"
FLOORS = (FROZEN, CHANNELS_LAST, TRAINING_MODE, STEP)
OTHERS = ("backward passes", "torch.func", "unfold + bmm", "Opacus", "BackPACK")


@dataclass(frozen=True)
class View:
    """The measurements of one result on its CPU or its GPU."""

    result: Result
    device: str

    @property
    def title(self) -> str:
        """The name of what was measured on."""
        machine = self.result.machine
        return str(machine["gpu"]) if self.device == "cuda" else f"{machine['cpu']}, {machine['cores']} cores"

    @property
    def versions(self) -> str:
        """Versions and date in one line."""
        machine = self.result.machine
        cuda = f", CUDA {machine['cuda']}" if self.device == "cuda" else f", {machine['threads']} threads"
        return (
            f"{self.result.date}, torch {machine['torch']}{cuda}, Python {machine['python']}, "
            f"{machine['system']}, knas {machine['knas']}, float32"
        )

    def of(self, question: str, **facts: object) -> list[Measurement]:
        """The measurements for a question that have these facts."""
        return [
            m
            for m in self.result.measurements
            if m["question"] == question
            and m.get("device") == self.device
            and all(m.get(key) == value for key, value in facts.items())
        ]

    def seconds(self, question: str, way: str, **facts: object) -> float | None:
        """The best time of a way; None where it was not measured."""
        found = self.of(question, way=way, **facts)
        return float(found[0]["min"]) if found else None

    def ratio(self, question: str, way: str, over: str, **facts: object) -> float | None:
        """How many times as long as `over` a way takes; None where one of them was not measured."""
        above, below = self.seconds(question, way, **facts), self.seconds(question, over, **facts)
        return above / below if above is not None and below is not None else None

    def rate(self, way: str, of: str) -> float | None:
        """A measured ceiling, in bytes or operations per second."""
        found = self.of("ceilings", way=way)
        return float(found[0][of] / found[0]["min"]) if found else None

    def ceiling_seconds(self, measurement: Measurement) -> float | None:
        """The least time in which the ceilings let the bytes and operations of a measurement be done."""
        ways = (("copy", "bytes"), ("read", "bytes"), ("sgemm", "flops"))
        best: dict[str, float] = {}
        for way, key in ways:
            best[key] = max(best.get(key, 0.0), self.rate(way, key) or 0.0)
        times = [measurement[key] / rate for key, rate in best.items() if rate and key in measurement]
        return max(times) if times else None


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty without rows, and without the columns that are empty in every row."""
    cells = [list(row) for row in rows]
    if not cells:
        return ""
    used = [k for k in range(len(header)) if any(row[k] for row in cells)]
    lines = [[header[k] for k in used], ["---"] * len(used), *([row[k] for k in used] for row in cells)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def milliseconds(seconds: float | None) -> str:
    """Three digits; empty for None."""
    if seconds is None:
        return ""
    value = seconds * 1e3
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def times(ratio: float | None) -> str:
    """A ratio; empty for None."""
    return "" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}"


def percent(share: float | None) -> str:
    """A share of one; empty for None."""
    return "" if share is None else f"{100 * share:.0f} %"


def side_by_side(view: View, question: str) -> str:
    """One row for each network and n: knas in milliseconds and beside the floors, and the others beside knas."""
    extra = {m["way"]: None for m in view.of(question) if m["way"] not in (*FLOORS, *OTHERS, "knas")}
    header = ("network", "n", "knas, ms", *(f"of {floor}" for floor in FLOORS), *extra, *OTHERS)

    def row(network: str, n: int) -> Sequence[str]:
        at = {"network": network, "n": n}
        floors = [times(view.ratio(question, "knas", floor, **at)) for floor in FLOORS]
        others = [times(view.ratio(question, way, "knas", **at)) for way in (*extra, *OTHERS)]
        return network, str(n), milliseconds(view.seconds(question, "knas", **at)), *floors, *others

    keys = dict.fromkeys((m["network"], m["n"]) for m in view.of(question, way="knas"))
    return markdown(header, (row(*key) for key in keys))


def networks(view: View) -> str:
    """The sizes of the networks."""
    found = {m["network"]: m for m in view.of("sampled MGM") + view.of("full Gram")}
    rows = ((name, f"{m['parameters'] / 1e6:.2f} M", str(m["layers"])) for name, m in found.items())
    return markdown(("network", "parameters", "layers with parameters"), rows)


def ceilings(view: View) -> str:
    """The measured bandwidths and matrix product."""
    units = {"copy": ("bytes", "GB/s"), "read": ("bytes", "GB/s"), "sgemm": ("flops", "GFLOP/s")}
    rows = []
    for way, (key, unit) in units.items():
        rate = view.rate(way, key)
        if rate is not None:
            rows.append((view.of("ceilings", way=way)[0]["group"], f"{rate / 1e9:,.0f} {unit}"))
    return markdown(("ceiling", "measured"), rows)


def operators(view: View, question: str) -> str:
    """One row for each size: an operator's time, bandwidth and share of the ceiling, and the others beside it."""
    ways = dict.fromkeys(m["way"] for m in view.of(question) if m["way"] != "knas")
    header = ("operator and size", "knas, us", "GB/s", "GFLOP/s", "of the ceiling", *ways)

    def row(m: Measurement) -> Sequence[str]:
        least = view.ceiling_seconds(m)
        rates = [f"{m[key] / m['min'] / 1e9:,.1f}" if key in m else "" for key in ("bytes", "flops")]
        others = [times(view.ratio(question, way, "knas", group=m["group"])) for way in ways]
        share = percent(None if least is None else least / m["min"])
        return _size(m), f"{m['min'] * 1e6:,.0f}", *rates, share, *others

    return markdown(header, (row(m) for m in view.of(question, way="knas")))


def growth(view: View, axis: str) -> str:
    """How the ways' times grow along an axis: milliseconds, and for knas the ratio to the frozen pass."""
    question = f"growth with {axis}"
    ways = dict.fromkeys(m["way"] for m in view.of(question))
    header = (axis, "parameters", "layers", *(f"{way}, ms" for way in ways))

    def row(m: Measurement) -> Sequence[str]:
        values = [milliseconds(view.seconds(question, way, x=m["x"])) for way in ways]
        return str(m["x"]), f"{m['parameters'] / 1e6:.2f} M", str(m["layers"]), *values

    first = {m["x"]: m for m in reversed(view.of(question))}
    return markdown(header, (row(first[x]) for x in sorted(first)))


def memory(view: View) -> str:
    """Peak memory above what was held before, beside the frozen pass and the training step."""
    found = {m["way"]: m["peak_bytes"] for m in view.of("peak memory")}

    def row(way: str) -> Sequence[str]:
        beside = [times(found[way] / found[floor]) if floor in found else "" for floor in (FROZEN, STEP)]
        return way, f"{found[way] / 2**20:,.0f}", *beside

    return markdown(("way", "peak, MiB", f"of {FROZEN}", f"of {STEP}"), map(row, found))


def breakdown(view: View) -> str:
    """Where the time of a score goes."""
    rows = []
    for m in view.of("where the time goes"):
        total = sum(m["parts"].values())
        rows += [
            (m["group"], part, milliseconds(t), percent(t / total)) for part, t in m["parts"].items() if t
        ]
        if "launches" in m:
            rows.append((m["group"], f"launches: {m['launches']:,}", "", ""))
    return markdown(("score", "part", "ms", "share"), rows)


def whole_space(view: View) -> str:
    """The ranking of all of NAS-Bench-201."""
    rows = [
        (
            m["group"],
            str(m["n"]),
            f"{m['networks']:,}",
            f"{m['min']:,.0f}",
            f"{m['networks'] / m['min']:,.1f}",
        )
        for m in view.of("whole space")
    ]
    return markdown(("ranking", "n", "networks", "seconds", "networks per second"), rows)


def best_error(view: View) -> str:
    """The largest relative error of knas in float32 beside that of the backward passes, over all cases."""
    pairs: dict[str, list[float]] = {"knas": [], "backward passes": []}
    for m in view.of("sampled MGM") + view.of("full Gram"):
        pairs.get(m["way"], []).append(m["error"])
    return markdown(
        ("way", "largest relative error in float32"), ((w, f"{max(e):.1e}") for w, e in pairs.items() if e)
    )


def _size(m: dict[str, Any]) -> str:
    return str(m["group"]).rpartition(", ")[0]


TABLES: dict[str, Callable[..., str]] = {
    table.__name__: table
    for table in (
        side_by_side,
        networks,
        ceilings,
        operators,
        growth,
        memory,
        breakdown,
        whole_space,
        best_error,
    )
}
