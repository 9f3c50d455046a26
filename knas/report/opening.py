"""What is said once, when a run is opened or found finished."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from knas.report.tally import count
from knas.search.events import Event, RankingOpened, RunOpened, RunRecalled

MEASURED = "that training is real, and its seconds are measured"


def told_once(event: Event) -> list[str]:
    """The lines that an event deserves before any progress; none for most events."""
    if isinstance(event, RunRecalled):
        return [f"{event.run} is finished; this is its result"]
    if isinstance(event, RankingOpened):
        return _ranking(event)
    if not isinstance(event, RunOpened):
        return []
    lines = [_job(event.settings), *_networks(event.settings), f"run {event.run} on {event.machine}"]
    if event.scores or event.trials:
        recorded = f"{count(event.scores, 'score')} and {count(event.trials, 'trial')}"
        lines[-1] += f", resumed: {recorded} on record"
    return [*lines, *(f"note: {note}" for note in event.notes)]


def _ranking(event: RankingOpened) -> list[str]:
    settings = event.settings
    classes = count(event.classes, "isomorphism class")
    lines = [
        f"{settings['space']} on {settings['dataset']}: {count(event.architectures, 'architecture')} in {classes}, "
        f"scored by {_proxy(settings)}, seed {settings['seed']}",
        f"networks: {_built(settings)}",
        f"run {event.run} on {event.machine}",
    ]
    if event.scores:
        lines[-1] += f", resumed: {count(event.scores, 'score')} on record"
    return [*lines, *(f"note: {note}" for note in event.notes)]


def _proxy(settings: Mapping[str, Any]) -> str:
    options = "".join(f", {name} {value}" for name, value in settings["proxy_options"].items())
    samples = "samples" if settings.get("model") else "images"
    further = "".join(f", {name}" for name in settings.get("further_proxies", ()))
    return f"{settings['proxy']} ({settings['score_samples']} {samples}{options}){further}"


def _built(settings: Mapping[str, Any]) -> str:
    """What networks are built from."""
    if (model := settings.get("model")) is not None:
        weights = settings["initialization"]
        return f"{model}, {weights} weights, connected by {settings['connection']}"
    return f"{count(settings['channels'], 'channel')}, {count(settings['cells_per_stage'], 'cell')} per stage"


def _job(settings: Mapping[str, Any]) -> str:
    start = f"{settings['space']} on {settings.get('benchmark_dataset') or settings['dataset']}"
    options = "".join(f", {name} {value}" for name, value in settings.get("algorithm_options", {}).items())
    seed = f"seed {settings['seed']}"
    if settings["samples"] is None:
        return f"{start}: {settings['algorithm']}{options}, {count(settings['epochs'], 'epoch')} per trial, {seed}"
    kept = "the best" if settings["top_k"] is None else f"the top {settings['top_k']}"
    how = "" if settings["algorithm"] == "knas" else f"{settings['algorithm']}{options}, "
    return (
        f"{start}: {how}{settings['samples']} architectures scored by {_proxy(settings)}, "
        f"{kept} trained for {count(settings['epochs'], 'epoch')}, {seed}"
    )


def _networks(settings: Mapping[str, Any]) -> list[str]:
    subset = settings["max_train_samples"]
    sharing = [f"super-networks: {settings['supernets']}"] if "supernets" in settings else []
    if settings.get("benchmark"):
        lines = [f"trainings: looked up in {settings['benchmark']}; seconds are {settings['seconds_are']}"]
        if sharing:
            lines += [f"{sharing[0]}; {_built(settings)}; {MEASURED}"]
        if settings["samples"] is not None:
            lines.append(f"scores: real networks of {_built(settings)}, on images of {settings['dataset']}")
        return lines
    return [
        f"networks: {_built(settings)}; training: batches of {settings['batch_size']}, {_training(settings)}"
        + (f", {subset:,} {settings.get('samples_are', 'images')}" if subset else ""),
        *sharing,
    ]


def _training(settings: Mapping[str, Any]) -> str:
    if settings.get("learning_rate") is not None:
        rate, warmup, decay = (settings[name] for name in ("learning_rate", "warmup", "weight_decay"))
        return f"learning rate {rate:g} after {warmup:.0%} warm-up, weight decay {decay:g}"
    return f"{'with' if settings['augment'] else 'no'} augmentation"
