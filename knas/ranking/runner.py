"""One ranking from its settings to its table, in its folder."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from knas.ranking.plan import Plan
from knas.ranking.settings import RankSettings
from knas.ranking.table import RankedRow, Ranking, order
from knas.ranking.workers import Job, Workers
from knas.runs.folder import RunFolder
from knas.runs.record import Record, ScoreRow
from knas.search.evaluator import measure_score, refuse_no_scores
from knas.search.events import PhaseStarted, RankingOpened, Scored, Watcher, ignore
from knas.search.machine import find_device
from knas.search.settings import DATA, ENCODER
from knas.spaces.base import Architecture, SearchSpace

if TYPE_CHECKING:
    import torch


def run_ranking(
    settings: RankSettings,
    chosen: Mapping[Architecture, Architecture],
    run: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    workers: int | None = None,
    threads: int | None = None,
    watcher: Watcher | None = None,
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
    """
    from knas import proxies
    from knas.search.scorer import Scorer, content, draw_batch, load_data

    space = settings.create_space()
    proxies.create(settings.proxy, **settings.proxy_options)
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
        found = {one: row for one in classes if (row := record.score(str(one))) is not None}
        todo = [one for one in classes if one not in found]
        plan = plan.settled(len(todo))
        source = _Source(space, Job.of(settings, batch, str(where), plan.threads), plan.workers or 1)
        told = RankingOpened(
            str(folder.path), config, len(chosen), len(classes), len(found), plan.text(), dataset.notes
        )
        watcher = watcher or ignore
        watcher(told)
        seconds = _score(classes, todo, found, source, record, watcher)
    refuse_no_scores(list(found.values()))
    rows = [_row(space, one, found[stands], str(stands), settings.proxy) for one, stands in chosen.items()]
    return Ranking(
        space=settings.space,
        dataset=settings.dataset,
        proxies=(settings.proxy,),
        rows=order(rows, settings.proxy),
        run=str(folder.path),
        measured=len(todo),
        seconds=seconds,
    )


def _score(
    classes: Sequence[Architecture],
    todo: Sequence[Architecture],
    found: dict[Architecture, ScoreRow],
    source: _Source,
    record: Record,
    watcher: Watcher,
) -> float:
    """Add to `found` what is still to do; each row is on the disk before anyone hears of it."""
    watcher(PhaseStarted("score", len(classes)))
    for row in found.values():
        watcher(Scored(row, replayed=True))
    start = time.perf_counter()
    with closing(source.rows(todo)) as rows:
        for architecture, row in rows:
            record.add_score(str(architecture), row)
            found[architecture] = row
            watcher(Scored(row, replayed=False))
    return time.perf_counter() - start


@dataclass(frozen=True)
class _Source:
    """Where scores come from: this process, or several others."""

    space: SearchSpace
    job: Job
    workers: int

    def rows(
        self, architectures: Sequence[Architecture]
    ) -> Generator[tuple[Architecture, ScoreRow], None, None]:
        """Score architectures, in the order in which they are done."""
        if not architectures:
            return
        if self.workers == 1:
            with _threads(self.job.threads):
                scorer = self.job.scorer()
                for architecture in architectures:
                    yield architecture, measure_score(scorer, architecture)
            return
        with Workers(self.job, self.workers) as workers:
            for index, row in workers.score([self.space.index(one) for one in architectures]):
                yield self.space.architecture(index), row


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
    space: SearchSpace, architecture: Architecture, scored: ScoreRow, canonical: str, proxy: str
) -> RankedRow:
    return RankedRow(
        index=space.index(architecture),
        architecture=str(architecture),
        canonical=canonical,
        scores={proxy: scored.value},
        reason=scored.reason,
        seconds=scored.seconds,
    )
