"""One search from its settings to its result, in its folder."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knas.runs.folder import RunFolder
from knas.runs.record import Record, ScoreRow, TrialRow
from knas.runs.result import Best, Candidate, Control, SearchResult
from knas.search.base import Outcome, SearchAlgorithm, create, option_names
from knas.search.evaluator import Evaluator, measure_score
from knas.search.events import RunOpened, RunRecalled, Watcher, ignore
from knas.search.machine import find_device, versions
from knas.search.settings import DATA, ENCODER, FREE, TABLE, ScoreSettings, SearchSettings
from knas.search.sources import LookedUp, Source, TrainedNetworks

if TYPE_CHECKING:
    import torch

    from knas.spaces.base import Architecture, SearchSpace


def run_search(
    settings: SearchSettings,
    run: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    watcher: Watcher | None = None,
) -> SearchResult:
    """Carry out, resume, or just look up a search; see `knas.search.search`.

    What can be refused is refused before anything is written.

    Args:
        settings: resolved settings.
        run: the run's folder, or None for the one that the settings name.
        device: where to compute.
        watcher: told every event.
    """
    from knas import proxies

    space = settings.create_space()
    algorithm = _algorithm(settings)
    proxies.create(settings.proxy, **settings.proxy_options)
    where = find_device(device)
    watcher = watcher or ignore
    folder = RunFolder(run if run is not None else settings.run_name())
    result = folder.finished() if folder.check(settings.to_dict(), (*FREE, DATA, TABLE, ENCODER)) else None
    if result is not None and _complete(result, settings):
        watcher(RunRecalled(str(folder.path)))
        return result
    source: Source
    if settings.benchmark is None:
        source = TrainedNetworks(settings, space, folder, algorithm, where)
    else:
        source = LookedUp(settings, space, folder, algorithm, where)
    evaluator = functools.partial(_evaluator, space, source, settings)
    algorithm.check(evaluator(Record(":memory:"), ignore))
    config = {**settings.to_dict(), **source.content}
    with folder.opened(config, FREE) as record:
        folder.trials.mkdir(exist_ok=True)
        recorded = len(record.scores()) + len(record.probes()), len(record.trials())
        watcher(
            RunOpened(str(folder.path), {**config, **source.told}, *recorded, source.machine, source.notes)
        )
        answers = evaluator(record, watcher)
        outcome = algorithm.search(answers)
        plain = _train_plain(answers) if settings.plain else None
        source.keep(outcome, folder)
        result = _result(outcome, plain, settings, record, str(folder.path), source.benchmark(outcome))
        folder.finish(result)
    return result


def _complete(result: SearchResult, settings: SearchSettings) -> bool:
    """Whether a finished run has all that is asked for now."""
    return (result.control is not None or not settings.control) and (
        "plain" in result.seconds or not settings.plain
    )


def _train_plain(evaluator: Evaluator) -> TrialRow:
    """Train the pretrained model as it is, as the others were trained; it may have been one of them."""
    from knas.spaces.text import TextSpace

    assert isinstance(evaluator.space, TextSpace)  # the settings are resolved: no other space has `plain`
    plain = evaluator.space.plain()
    evaluator.begin("plain", 1)
    return replace(evaluator.train(plain, role="plain"), architecture=str(plain))


def _evaluator(
    space: SearchSpace, source: Source, settings: SearchSettings, record: Record, watcher: Watcher
) -> Evaluator:
    assert settings.epochs is not None  # the settings are resolved
    return Evaluator(
        space, source.backend, record, seed=settings.seed, epochs=settings.epochs, watcher=watcher
    )


def score_all(
    space: SearchSpace,
    architectures: Sequence[Architecture],
    settings: ScoreSettings,
    *,
    device: str | torch.device | None = None,
) -> list[ScoreRow]:
    """Score architectures as a search with these settings does, without a run folder.

    Args:
        space: their space.
        architectures: what to score.
        settings: resolved settings.
        device: where to compute.

    Returns:
        One row per architecture, in their order; a failure is a row with its reason.
    """
    from knas import proxies
    from knas.search.scorer import Scorer, draw_batch, load_data

    proxies.create(settings.proxy, **settings.proxy_options)
    where = find_device(device)
    scorer = Scorer(space, settings, draw_batch(load_data(settings), settings), where)
    return [measure_score(scorer, architecture) for architecture in architectures]


def _algorithm(settings: SearchSettings) -> SearchAlgorithm:
    """The algorithm with its options, and with those settings that are options of it."""
    shared = {"samples": settings.samples, "top_k": settings.top_k, "control": settings.control}
    known = option_names(settings.algorithm)
    options = {name: value for name, value in shared.items() if name in known}
    return create(settings.algorithm, **options, **settings.algorithm_options)


def _result(
    outcome: Outcome,
    plain: TrialRow | None,
    settings: SearchSettings,
    record: Record,
    run: str,
    benchmark: Mapping[str, Any] | None,
) -> SearchResult:
    trials = record.trials()
    control = outcome.control
    seconds = {
        "score": sum(row.seconds for row in (*record.scores(), *record.probes())),
        "train": sum(row.seconds for row in trials if row.role not in ("control", "plain")),
    }
    supernets = record.supernets()
    if supernets:
        seconds["supernet"] = sum(row.seconds for row in supernets)
    for role, asked in (("control", control), ("plain", plain)):
        if asked is not None:
            seconds[role] = sum(row.seconds for row in trials if row.role == role)
    return SearchResult(
        space=settings.space,
        dataset=settings.benchmark_dataset or settings.dataset,
        proxy=settings.proxy,
        algorithm=settings.algorithm,
        scored=outcome.scored,
        failed=outcome.failed,
        top_k=tuple(
            Candidate(
                str(one.architecture),
                None if one.score is None else one.score.value,
                one.trial.validation_accuracy,
                one.trial.reason,
            )
            for one in outcome.selected
        ),
        best=_best(outcome.best.trial),
        seconds=seconds,
        versions=versions(),
        control=_control(control) if control is not None else None,
        plain=None if plain is None or plain.validation_accuracy is None else _best(plain),
        benchmark=benchmark,
        run=run,
    )


def _best(trial: TrialRow) -> Best:
    assert trial.validation_accuracy is not None  # a failed trial is never chosen
    return Best(trial.architecture, trial.validation_accuracy, trial.test_accuracy, **trial.metrics)


def _control(trials: tuple[TrialRow, ...]) -> Control:
    trained = [row for row in trials if row.validation_accuracy is not None]
    tested = [row.test_accuracy for row in trained if row.test_accuracy is not None]
    best = max(trained, key=lambda row: row.validation_accuracy or 0.0, default=None)
    return Control(
        architectures=tuple(row.architecture for row in trials),
        mean_test_accuracy=sum(tested) / len(tested) if tested else None,
        best=_best(best) if best is not None else None,
    )
