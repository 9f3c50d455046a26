"""What proxies look at: observations, the passes that show them, and running each pass once for all that need it."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from torch import nn

from knas.errors import KnasError
from knas.gradients import Batch
from knas.gradients.memory import is_out_of_memory

Result = TypeVar("Result")

#: What a pass found for each observation; an error where there is nothing to see.
Found = dict["Observation[Any]", "object | KnasError"]


class Pass(ABC):
    """One way to run a model over a batch; equal passes are run once. Subclasses are frozen dataclasses."""

    @abstractmethod
    def run(self, model: nn.Module, batch: Batch, wanted: Sequence[Observation[Any]], seed: int) -> Found:
        """Runs it for the observations that are made in it.

        Returns:
            What each has found; a pass may leave out those that it carries for another.

        Raises:
            KnasError: None of them can be made.
        """

    def carries(self, other: Pass) -> bool:
        """Whether this pass shows all that another one would, at no extra pass."""
        return False


class Observation(ABC, Generic[Result]):
    """Something that a pass shows; equal observations are made once. Subclasses are frozen dataclasses.

    Attributes:
        made_in: The pass that shows it.
    """

    made_in: Pass


@dataclass(frozen=True)
class Findings:
    """What passes have found.

    Attributes:
        found: The result of each observation, or the error that stands for it.
        seconds: Wall-clock time of the passes that ran for each: its own, or the one that carried it.
    """

    found: Mapping[Observation[Any], object | KnasError]
    seconds: Mapping[Observation[Any], Mapping[Pass, float]]

    def __getitem__(self, observation: Observation[Result]) -> Result:
        """What an observation has found.

        Raises:
            KnasError: There was nothing to see, and why.
        """
        result = self.found[observation]
        if isinstance(result, KnasError):
            raise result
        return cast(Result, result)

    def seconds_of(self, observations: Iterable[Observation[Any]]) -> float:
        """Wall-clock time of the passes that ran for observations, each pass once."""
        return sum({run: spent for one in observations for run, spent in self.seconds[one].items()}.values())


def observe(
    model: nn.Module, batch: Batch, observations: Iterable[Observation[Any]], *, seed: int = 0
) -> Findings:
    """Makes observations, each pass that they need once; the model is left as it was.

    Args:
        model: Any module.
        batch: n samples on its device.
        observations: What to look at.
        seed: For all that is random in a pass.

    Returns:
        The findings. Those that failed hold their error; they take no others with them.
    """
    found: Found = {}
    seconds: dict[Observation[Any], dict[Pass, float]] = {}
    planned = _planned(observations)
    for plan in planned:
        _run(plan, planned[plan], model, batch, seed, found, seconds)
    left = [one for wanted in planned.values() for one in wanted if one not in found]
    for plan, wanted in _by_pass(left).items():  # carried by a pass that failed or had to be cut in parts
        _run(plan, wanted, model, batch, seed, found, seconds)
    return Findings(found, seconds)


def _by_pass(observations: Iterable[Observation[Any]]) -> dict[Pass, list[Observation[Any]]]:
    plans: dict[Pass, list[Observation[Any]]] = {}
    for observation in dict.fromkeys(observations):
        plans.setdefault(observation.made_in, []).append(observation)
    return plans


def _planned(observations: Iterable[Observation[Any]]) -> dict[Pass, list[Observation[Any]]]:
    """The observations of each pass that has to run; what one can carry needs no pass of its own."""
    plans = _by_pass(observations)
    for plan in list(plans):
        host = next((other for other in plans if other != plan and other.carries(plan)), None)
        if host is not None:
            plans[host] += plans.pop(plan)
    return plans


def _run(
    plan: Pass,
    wanted: Sequence[Observation[Any]],
    model: nn.Module,
    batch: Batch,
    seed: int,
    found: Found,
    seconds: dict[Observation[Any], dict[Pass, float]],
) -> None:
    started = time.perf_counter()
    try:
        results = plan.run(model, batch, wanted, seed)
    except (KnasError, RuntimeError, MemoryError) as error:
        failure = error if isinstance(error, KnasError) else _too_large(error, batch)
        results = {one: failure for one in wanted if one.made_in == plan}
    found.update(results)
    spent = time.perf_counter() - started
    for one in wanted:
        seconds.setdefault(one, {})[plan] = spent


def _too_large(error: Exception, batch: Batch) -> KnasError:
    """What stands for running out of memory; any other error of the model's own code is raised again."""
    if not is_out_of_memory(error):
        raise error
    return KnasError(f"inputs: a pass over {batch.n} samples does not fit the memory; use fewer of them")
