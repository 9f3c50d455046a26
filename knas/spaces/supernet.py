"""A super-network as data: for each decision of a space, the options that are left."""

from __future__ import annotations

import dataclasses

from knas.errors import UsageError
from knas.spaces.base import Architecture
from knas.spaces.checks import integer_in_range, one_of


@dataclasses.dataclass(frozen=True)
class Supernet(Architecture):
    """The network in which each decision is all of its remaining options at once.

    Attributes:
        options: for each decision of `SearchSpace.choices`, the names of one option or more, in the space's order.

    >>> whole = Supernet((("none", "conv"), ("none", "conv", "pool")))
    >>> str(whole.without(1, "conv"))
    'none,conv;none,pool'
    >>> whole.only(0, "conv").only(1, "pool").decided
    True
    """

    options: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        for decision, left in enumerate(self.options):
            if not left:
                raise UsageError(
                    f"options: at least one for each decision expected, none is left of decision {decision}"
                )

    def __str__(self) -> str:
        """Return the options, commas between those of one decision and semicolons between decisions."""
        return ";".join(",".join(left) for left in self.options)

    @property
    def decided(self) -> bool:
        """Whether one option is left everywhere."""
        return all(len(left) == 1 for left in self.options)

    @property
    def undecided(self) -> tuple[int, ...]:
        """Positions of the decisions with more than one option left."""
        return tuple(position for position, left in enumerate(self.options) if len(left) > 1)

    def without(self, decision: int, option: str) -> Supernet:
        """Return the super-network that lacks one option.

        Raises:
            UsageError: there is no such option, or it is the last one.
        """
        left = self._left(decision, option)
        return self._with(decision, tuple(other for other in left if other != option))

    def only(self, decision: int, option: str) -> Supernet:
        """Return the super-network in which a decision is made.

        Raises:
            UsageError: there is no such option.
        """
        self._left(decision, option)
        return self._with(decision, (option,))

    def _left(self, decision: int, option: str) -> tuple[str, ...]:
        left = self.options[integer_in_range("decision", decision, 0, len(self.options) - 1)]
        one_of(f"option of decision {decision}", option, left)
        return left

    def _with(self, decision: int, left: tuple[str, ...]) -> Supernet:
        return Supernet((*self.options[:decision], left, *self.options[decision + 1 :]))
