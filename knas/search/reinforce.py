"""REINFORCE: a controller learns which option of each decision pays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from knas.errors import UsageError
from knas.search.base import generator
from knas.search.evaluator import Evaluator
from knas.search.timed import Proposal, Proposals, TimedSearch
from knas.spaces.checks import positive_number

SPREAD = 1e-3
"""Standard deviation of the first logits."""

Logits = list[NDArray[np.float64]]


@dataclass(frozen=True)
class Reinforce(TimedSearch):
    """RL, Williams' REINFORCE (Machine Learning 8, 1992), as in NAS-Bench-201 (arXiv 2001.00326).

    The controller has a logit for every option of every decision. It draws each decision from the softmax of its logits
    and takes a step of Adam on −(R − b) Σ log p, where R is the validation accuracy in per cent and b its
    exponential moving average, this reward included. Defaults are those of the script released for NAS-Bench-201
    (`REINFORCE.sh 0.001`, EMA momentum 0.9); the one for NATS-Bench (arXiv 2009.00437) has a learning rate of 0.01.

    Attributes:
        learning_rate: of Adam.
        momentum: of the moving average.
    """

    name: ClassVar[str] = "reinforce"

    learning_rate: float = 0.001
    momentum: float = 0.9

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        super().__post_init__()
        positive_number("learning_rate", self.learning_rate)
        if not positive_number("momentum", self.momentum) < 1:
            raise UsageError(f"momentum must be below 1, got {self.momentum!r}")

    def proposals(self, evaluator: Evaluator) -> Proposals:
        """Draw, learn."""
        rng = generator(evaluator.seed, 0)
        logits = [SPREAD * rng.standard_normal(len(names)) for names in evaluator.space.choices()]
        step = Adam(self.learning_rate)
        average, weight = 0.0, 0.0
        while True:
            chances = [softmax(values) for values in logits]
            codes = [int(rng.choice(len(chance), p=chance)) for chance in chances]
            row = yield Proposal(evaluator.space.decode(codes))
            reward = row.validation_accuracy or 0.0
            average = self.momentum * average + (1 - self.momentum) * reward
            weight = self.momentum * weight + (1 - self.momentum)
            # d log softmax(z)[k] / dz = onehot(k) - softmax(z)
            advantage = reward - average / weight
            logits = step(
                logits,
                [
                    -advantage * (np.eye(len(chance))[code] - chance)
                    for chance, code in zip(chances, codes, strict=True)
                ],
            )


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chances [n] in proportion to the exponentials of logits [n]."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), dtype=np.float64)


class Adam:
    """Steps of Adam (arXiv 1412.6980, Algorithm 1) with its published moments 0.9 and 0.999, and epsilon 1e-8."""

    def __init__(self, learning_rate: float) -> None:
        """Start with no moments."""
        self._rate = learning_rate
        self._steps = 0
        self._first: Logits = []
        self._second: Logits = []

    def __call__(self, values: Logits, gradients: Logits) -> Logits:
        """Return the values after one step down their gradients."""
        self._steps += 1
        if not self._first:
            self._first = self._second = [np.zeros_like(value) for value in values]
        self._first = [0.9 * old + 0.1 * new for old, new in zip(self._first, gradients, strict=True)]
        self._second = [
            0.999 * old + 0.001 * new**2 for old, new in zip(self._second, gradients, strict=True)
        ]
        corrected = [moment / (1 - 0.9**self._steps) for moment in self._first]
        scales = [np.sqrt(moment / (1 - 0.999**self._steps)) + 1e-8 for moment in self._second]
        return [
            value - self._rate * moment / scale
            for value, moment, scale in zip(values, corrected, scales, strict=True)
        ]
