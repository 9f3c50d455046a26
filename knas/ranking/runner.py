"""One ranking from its settings to its table, in its folder."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knas.ranking.plan import Plan
from knas.ranking.settings import RankSettings
from knas.ranking.table import RankedRow, Ranking, order
from knas.ranking.workers import Answer, Job, Workers
from knas.runs.config import COMMAND
from knas.runs.folder import RunFolder
from knas.runs.record import Record, ScoreRow
from knas.search.evaluator import measure_scores, refuse_no_scores
from knas.search.events import PhaseStarted, RankingOpened, Scored, Watcher, ignore
from knas.search.machine import find_device
from knas.search.settings import DATA, ENCODER
from knas.spaces.base import Architecture, SearchSpace

if TYPE_CHECKING:
    import torch

TOLD_BY_PROXIES = (COMMAND, "proxy", "proxy_options", "further_proxies")
"""Settings that a table need not tell, since it tells the options of each proxy."""

IN_FOLDERS = {"dataset", "model"}
"""Settings that may be folders of this machine, which say nothing on another."""


def run_ranking(
    settings: RankSettings,
    chosen: Mapping[Architecture, Architecture],
    run: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    workers: int | None = None,
    threads: int | None = None,
    watcher: Watcher | None = None,
    controls: Sequence[str] = (),
) -> Ranking:
    """Carry out or resume a ranking; see `knas.ranking.rank`.

    What can be refused is refused before anything is written.

    Args:
        settings: resolved settings.
        chosen: the architectures, each with the one that stands for its class.
        run: the run's folder, or None for the one that the settings name.
        device: where to compute.
        workers: processes.
        threads: of each of them.
        watcher: told every event.
        controls: proxies that score along, with their default options; no setting of the run.
    """
    from knas import proxies
    from knas.search.scorer import Scorer, content, draw_batch, load_data

    space = settings.create_space()
    options = {**settings.proxies, **{name: {} for name in controls if name not in settings.proxies}}
    for name, values in options.items():
        proxies.create(name, **values)
    where = find_device(device)
    plan = Plan(settings.dataset, where, workers, threads)
    folder = RunFolder(run if run is not None else settings.run_name())
    folder.check(settings.to_dict(), (DATA, ENCODER))
    dataset = load_data(settings)
    batch = draw_batch(dataset, settings)
    Scorer(space, settings, batch, find_device("cpu"))
    classes = list(dict.fromkeys(chosen.values()))
    config = {**settings.to_dict(), **content(dataset, space, settings)}
    with folder.opened(config) as record:
        found = _recorded(record, settings.proxy, tuple(options), classes)
        todo = {one: missing for one in classes if (missing := tuple(options.keys() - found[one].keys()))}
        plan = plan.settled(len(todo))
        source = _Source(space, Job.of(settings, options, batch, str(where), plan.threads), plan.workers or 1)
        recorded = len(classes) - len(todo)
        told = RankingOpened(
            str(folder.path), config, len(chosen), len(classes), recorded, plan.text(), dataset.notes
        )
        watcher = watcher or ignore
        watcher(told)
        seconds = _score(todo, found, source, record, settings.proxy, watcher)
    refuse_no_scores(
        [row for rows in found.values() for name, row in rows.items() if name in settings.proxies]
    )
    rows = [_row(space, one, found[stands], str(stands), tuple(options)) for one, stands in chosen.items()]
    return Ranking(
        space=settings.space,
        dataset=settings.dataset,
        proxies=tuple(options),
        rows=order(rows, settings.proxy),
        run=str(folder.path),
        measured=len(todo),
        seconds=seconds,
        about=_about(config, options),
    )


def _about(config: Mapping[str, Any], options: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the scores are of: the settings, with the names alone of folders."""
    from knas import __version__

    told = {name: value for name, value in config.items() if name not in TOLD_BY_PROXIES}
    for name in IN_FOLDERS & told.keys():
        told[name] = Path(told[name]).name if Path(told[name]).exists() else told[name]
    return {**told, "proxies": dict(options), "knas": __version__}


def _recorded(
    record: Record, first: str, names: Sequence[str], classes: Sequence[Architecture]
) -> dict[Architecture, Answer]:
    """What is on record of each class, by proxy."""
    found: dict[Architecture, Answer] = {one: {} for one in classes}
    for name in names:
        rows = record.scores_of("" if name == first else name)
        for one in classes:
            if (row := rows.get(str(one))) is not None:
                found[one][name] = row
    return found


def _score(
    todo: Mapping[Architecture, tuple[str, ...]],
    found: dict[Architecture, Answer],
    source: _Source,
    record: Record,
    first: str,
    watcher: Watcher,
) -> float:
    """Add to `found` what is still to do; each row is on the disk before anyone hears of it."""
    watcher(PhaseStarted("score", len(found)))
    for architecture, rows in found.items():
        if architecture not in todo:
            watcher(Scored(_told(rows, first), replayed=True))
    start = time.perf_counter()
    with closing(source.answers(todo)) as answers:
        for architecture, rows in answers:
            record.add_scores(
                str(architecture), {"" if name == first else name: row for name, row in rows.items()}
            )
            found[architecture] |= rows
            watcher(Scored(_told(found[architecture], first), replayed=False))
    return time.perf_counter() - start


def _told(rows: Answer, first: str) -> ScoreRow:
    """What watchers hear of an architecture: the score that orders, and the seconds of all."""
    return replace(rows[first], seconds=sum(row.seconds for row in rows.values()))


@dataclass(frozen=True)
class _Source:
    """Where scores come from: this process, or several others."""

    space: SearchSpace
    job: Job
    workers: int

    def answers(
        self, todo: Mapping[Architecture, tuple[str, ...]]
    ) -> Generator[tuple[Architecture, Answer], None, None]:
        """Score architectures, each by the proxies named, in the order in which they are done."""
        if not todo:
            return
        if self.workers == 1:
            with _threads(self.job.threads):
                scorer = self.job.scorer()
                for architecture, names in todo.items():
                    yield architecture, measure_scores(scorer, architecture, self.job.proxies(names))
            return
        with Workers(self.job, self.workers) as workers:
            for index, rows in workers.score([(self.space.index(one), names) for one, names in todo.items()]):
                yield self.space.architecture(index), rows


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Give torch so many threads within the block; None leaves them as they are."""
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count or before)
        yield
    finally:
        torch.set_num_threads(before)


def _row(
    space: SearchSpace, architecture: Architecture, scored: Answer, canonical: str, proxies: Sequence[str]
) -> RankedRow:
    reasons = {name: scored[name].reason for name in proxies}
    return RankedRow(
        index=space.index(architecture),
        architecture=str(architecture),
        canonical=canonical,
        scores={name: scored[name].value for name in proxies},
        reasons={name: reason for name, reason in reasons.items() if reason is not None},
        seconds=sum(scored[name].seconds for name in proxies),
    )
