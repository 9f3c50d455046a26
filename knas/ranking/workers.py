"""Several processes that score, and one that hands out architectures and takes the scores.

Small networks keep one core busy and a second one waiting, so that two processes of one thread each score more of
them than one process of two threads. A worker has the samples and the layers of all networks; an index goes to it with
the names of proxies, and a row for each of these comes back. It ends when its pipe does, so none survives the process
that started it, however that ended.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import TYPE_CHECKING, Any

from knas.errors import KnasError, UsageError
from knas.ranking.settings import RankSettings
from knas.runs.record import ScoreRow

if TYPE_CHECKING:
    from knas.proxies import Proxy
    from knas.search.scorer import ScoreBatch, Scorer

Question = tuple[int, tuple[str, ...]]
"""An architecture by its number in the space, and the names of the proxies that score it."""

Answer = dict[str, ScoreRow]
"""What these proxies say, by name."""

AHEAD = 2
"""Architectures that a worker holds: the one in hand, and one to go on with while its answer is recorded."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to score: the batch as NumPy arrays, which travel by value, and proxies with options."""

    settings: RankSettings
    options: Mapping[str, Mapping[str, Any]]
    inputs: Any
    targets: Any
    num_classes: int
    device: str
    threads: int | None

    @classmethod
    def of(
        cls,
        settings: RankSettings,
        options: Mapping[str, Mapping[str, Any]],
        batch: ScoreBatch,
        device: str,
        threads: int | None,
    ) -> Job:
        """The job of scoring on this batch."""
        inputs = _each(batch.inputs, lambda values: values.numpy())
        return cls(settings, options, inputs, batch.targets.numpy(), batch.num_classes, device, threads)

    def proxies(self, names: Sequence[str]) -> dict[str, Proxy]:
        """Proxies by name, with their options."""
        from knas import proxies

        return {name: proxies.create(name, **self.options[name]) for name in names}

    def scorer(self) -> Scorer:
        """What scores, in the process that asks for it."""
        import torch

        from knas.search.scorer import ScoreBatch, Scorer

        inputs = _each(self.inputs, lambda values: torch.from_numpy(values.copy()))
        batch = ScoreBatch(inputs, torch.from_numpy(self.targets.copy()), self.num_classes)
        space, dtype = self.settings.create_space(), getattr(torch, self.settings.precision)
        return Scorer(space, self.settings, batch, torch.device(self.device), dtype)


def _each(inputs: Any, change: Callable[[Any], Any]) -> Any:
    """Change a tensor or an array, or each of a mapping of them."""
    if isinstance(inputs, Mapping):
        return {name: change(values) for name, values in inputs.items()}
    return change(inputs)


class Workers:
    """Processes that score; used as a context, which ends them."""

    def __init__(self, job: Job, count: int) -> None:
        """Start the processes.

        Args:
            job: what each of them scores.
            count: how many.
        """
        context = multiprocessing.get_context("spawn")
        self._processes: dict[Connection, SpawnProcess] = {}
        with _interrupts_held_back():  # Ctrl-C is the parent's to handle
            for number in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=serve, args=(theirs, job), name=f"knas-worker-{number}", daemon=True
                )
                self._processes[ours] = process
                process.start()
                theirs.close()

    def __enter__(self) -> Workers:
        """Nothing more to prepare."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; what they have in hand is lost."""
        for connection, process in self._processes.items():
            connection.close()
            process.terminate()
        for process in self._processes.values():
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()

    def score(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        """Score architectures.

        Args:
            questions: which, and by what.

        Yields:
            Each number with its answer, in the order in which they are done.

        Raises:
            KnasError: a worker died, or ran out of memory.
        """
        todo = iter(questions)
        open_questions = dict.fromkeys(self._processes, 0)
        for _ in range(AHEAD):
            for connection in open_questions:
                self._ask(connection, todo, open_questions)
        while any(open_questions.values()):
            busy = [one for one, count in open_questions.items() if count]
            for connection in (one for one in wait(busy) if isinstance(one, Connection)):
                yield self._answer(connection)
                open_questions[connection] -= 1
                self._ask(connection, todo, open_questions)

    def _ask(
        self, connection: Connection, todo: Iterator[Question], open_questions: dict[Connection, int]
    ) -> None:
        question = next(todo, None)
        if question is None:
            return
        try:
            connection.send(question)
        except OSError:
            self._answer(connection)  # raises what ended the worker, if it could say
            raise self._death(connection) from None
        open_questions[connection] += 1

    def _answer(self, connection: Connection) -> tuple[int, Answer]:
        try:
            answer = connection.recv()
        except (EOFError, OSError):
            raise self._death(connection) from None
        if isinstance(answer, BaseException):
            raise answer
        index, rows = answer
        return index, rows

    def _death(self, connection: Connection) -> KnasError:
        process = self._processes[connection]
        process.join(5)
        code = process.exitcode
        how = "" if code is None else f" by signal {-code}" if code < 0 else f" with exit code {code}"
        hint = " (the system may have run out of memory)" if code == -signal.SIGKILL else ""
        return KnasError(
            f"a worker process died{how}{hint}; fewer --workers take less memory, "
            "and the same command goes on where it stopped"
        )


def serve(connection: Connection, job: Job) -> None:
    """Score what comes through a pipe until it ends: the whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # should some library let it through
    import torch

    from knas.search.evaluator import measure_scores

    with suppress(EOFError, ConnectionError):  # the parent is gone
        try:
            if job.threads is not None:
                torch.set_num_threads(job.threads)
            scorer, space = job.scorer(), job.settings.create_space()
            while True:
                index, names = connection.recv()
                rows = measure_scores(scorer, space.architecture(index), job.proxies(names))
                connection.send((index, rows))
        except (EOFError, ConnectionError):
            raise
        except Exception as error:
            connection.send(_plain(error))


def _plain(error: Exception) -> Exception:
    """The error as one that travels: its text, and whether it is about an argument."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UsageError):
        return UsageError(text)
    return KnasError(text if isinstance(error, KnasError) else f"a worker process failed: {text}")


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold Ctrl-C back within the block, and for good in the processes that are started in it.

    A process that is being started would answer it with a traceback.
    """
    resource_tracker.ensure_running()  # else the first process starts it, which ends by letting Ctrl-C through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
