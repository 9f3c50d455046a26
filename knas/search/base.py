"""The base class of search algorithms, what they return, and their registry."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from knas.errors import KnasError, UsageError
from knas.runs.record import ScoreRow, TrialRow
from knas.search.evaluator import Evaluator
from knas.spaces.base import Architecture, SearchSpace

LISTABLE = 1 << 20
"""Spaces up to this size are drawn from by shuffling all indices; larger ones by repeated sampling."""

REPEATS = 10_000
"""So many draws in a row without a new isomorphism class mean that a large space is exhausted."""


@dataclass(frozen=True)
class Selected:
    """An architecture that an algorithm chose for training, with its trial, and its score where it has one."""

    architecture: Architecture
    score: ScoreRow | None
    trial: TrialRow


@dataclass(frozen=True)
class Outcome:
    """What an algorithm found.

    Attributes:
        scored: how many architectures have a score; 0 for algorithms that score nothing.
        failed: how many could not be scored; they are never ranked.
        selected: what was trained, by descending score; in the order of training where nothing is scored.
        best: the winner, one of `selected`.
        control: trials of as many architectures drawn at random, where asked for.
        found: what an algorithm found that chooses without comparing trials (a supernet's, a builder's cell); then
            `selected` holds it alone, with the one trial that it got.
    """

    scored: int
    failed: int
    selected: tuple[Selected, ...]
    best: Selected
    control: tuple[TrialRow, ...] | None = None
    found: Architecture | None = None


@dataclass(frozen=True)
class SearchAlgorithm(ABC):
    """A way to find a good architecture by asking an `Evaluator` for scores and trials.

    Attributes:
        name: what `create` and `--algorithm` know it by.
        scores: whether it asks for scores; without, no images are drawn for them, and no proxy is made.
        proxy: what scores unless another is asked for.
        own_proxies: whether it names all proxies itself, so that no other can be asked for.
        supernets: whether it trains super-networks: then there are images for them, also on a benchmark.

    A subclass is a frozen dataclass whose fields are its options, and depends on nothing but these, the
    evaluator's seed, and its answers: then an interrupted search resumes by running again on the same record.
    The conformance tests in `tests/search/conformance.py` hold every algorithm to that.
    """

    name: ClassVar[str]
    scores: ClassVar[bool] = True
    proxy: ClassVar[str] = "knas"
    own_proxies: ClassVar[bool] = False
    supernets: ClassVar[bool] = False

    def check(self, evaluator: Evaluator) -> None:  # noqa: B027 (most algorithms have nothing to refuse)
        """Refuse, before anything is written, what the evaluator can't answer or the budget does not allow.

        Raises:
            UsageError: there is something to refuse.
        """

    @abstractmethod
    def search(self, evaluator: Evaluator) -> Outcome:
        """Search the evaluator's space.

        Raises:
            KnasError: no architecture could be scored, or none trained.
        """


def generator(seed: int, *purpose: int) -> np.random.Generator:
    """A generator of its own for each purpose under one seed."""
    return np.random.default_rng(np.random.SeedSequence([seed, *purpose]))


def draw_classes(space: SearchSpace, count: int, rng: np.random.Generator) -> list[Architecture]:
    """Draw architectures of distinct isomorphism classes; all classes where there are no more than `count`.

    The next architecture is uniform over those whose class is new, so a class comes with a chance in
    proportion to its size, as when drawing with repetition and dropping repeats. A larger `count` extends the
    same list.

    Args:
        space: where to draw.
        count: how many.
        rng: the generator.

    Returns:
        At most `count` architectures in the order of drawing.
    """
    seen: set[str] = set()
    drawn: list[Architecture] = []
    for architecture in _draws(space, rng, seen):
        key = str(space.canonical(architecture))
        if key not in seen:
            seen.add(key)
            drawn.append(architecture)
            if len(drawn) == count:
                break
    return drawn


def _draws(space: SearchSpace, rng: np.random.Generator, seen: set[str]) -> Iterator[Architecture]:
    if len(space) <= LISTABLE:
        for index in rng.permutation(len(space)):
            yield space.architecture(int(index))
        return
    known, repeats = 0, 0
    while repeats < REPEATS:
        yield space.sample(rng)
        repeats = repeats + 1 if len(seen) == known else 0
        known = len(seen)


def choose(selected: Sequence[Selected]) -> Selected:
    """The one with the highest validation accuracy; among equals the first, which has the higher score.

    Raises:
        KnasError: all trainings failed.
    """
    trained = [one for one in selected if one.trial.validation_accuracy is not None]
    if not trained:
        raise KnasError(f"none of {len(selected)} networks could be trained: {selected[0].trial.reason}")
    return max(trained, key=lambda one: one.trial.validation_accuracy or 0.0)


def names() -> tuple[str, ...]:
    """The names of the search algorithms."""
    return tuple(sorted(_classes()))


def create(name: str, **options: Any) -> SearchAlgorithm:
    """Make a search algorithm by name.

    Args:
        name: one of `names()`.
        options: fields of the algorithm's class.

    Raises:
        UsageError: the name or an option is unknown, or an option's value is out of range.
    """
    known = option_names(name)
    for option in options:
        if option not in known:
            raise UsageError(unknown(f"option of algorithm {name}", option, known))
    return find(name)(**options)


def find(name: str) -> type[SearchAlgorithm]:
    """The class of a search algorithm.

    Raises:
        UsageError: the name is unknown.
    """
    classes = _classes()
    if name not in classes:
        raise UsageError(unknown("algorithm", name, names()))
    return classes[name]


def option_names(name: str) -> tuple[str, ...]:
    """The options of a search algorithm.

    Raises:
        UsageError: the name is unknown.
    """
    return tuple(field.name for field in fields(find(name)))


def unknown(what: str, given: str, known: Sequence[str]) -> str:
    """The text for a name that is not among the known ones, with the nearest of them."""
    near = difflib.get_close_matches(given, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {given!r}: {hint}known: {', '.join(known) or 'none'}"


def _classes() -> dict[str, type[SearchAlgorithm]]:
    from knas.search.bohb import Bohb
    from knas.search.darts import Darts
    from knas.search.gdas import Gdas
    from knas.search.knas import Knas
    from knas.search.knas_build import KnasBuild
    from knas.search.naswot import Naswot
    from knas.search.random_search import RandomSearch
    from knas.search.regularized_evolution import RegularizedEvolution
    from knas.search.reinforce import Reinforce
    from knas.search.resnet import ResNet
    from knas.search.rsps import Rsps
    from knas.search.te_nas import TENAS

    found: tuple[type[SearchAlgorithm], ...] = (
        Bohb,
        Darts,
        Gdas,
        Knas,
        KnasBuild,
        Naswot,
        RandomSearch,
        RegularizedEvolution,
        Reinforce,
        ResNet,
        Rsps,
        TENAS,
    )
    return {one.name: one for one in found}
