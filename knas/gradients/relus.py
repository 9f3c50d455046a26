"""Watches every ReLU of a forward pass: which units are on for which sample.

Functions are intercepted, not modules, as in `knas.gradients.capture`: a ReLU counts whether a module or functional
code calls it, and nothing is left behind on the caller's model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from knas import native
from knas.errors import KnasError, NotFiniteError, UsageError
from knas.gradients.batch import Batch
from knas.gradients.watch import Watcher, unwatched, watch

RELUS: frozenset[Any] = frozenset(
    {
        F.relu,
        F.relu_,
        F.relu6,
        F.leaky_relu,
        F.leaky_relu_,
        F.prelu,
        F.rrelu,
        F.rrelu_,
        torch.relu,
        torch.relu_,
        torch.prelu,
        torch.Tensor.relu,
        torch.Tensor.relu_,
        torch.Tensor.prelu,
    }
)
"""The functions that are linear on either side of zero; all of them are called ReLU below."""

#: Takes the code of one ReLU: bool [n, units], whether each unit's input is positive.
CodeReceiver = Callable[[Tensor], None]


class ReLUs(TorchFunctionMode, Watcher):
    """Hands on the code of every ReLU that is called within it, and counts them.

    Args:
        receive: Takes each code, in the order of the calls.
    """

    def __init__(self, receive: CodeReceiver) -> None:
        super().__init__()
        self.receive, self.n = receive, 0
        self.calls = 0

    @override
    def watching(self, model: nn.Module, n: int) -> ReLUs:
        self.n = n  # samples, along the first axis of every ReLU's input
        return self

    @override
    def finish(self) -> None:
        if self.calls == 0:
            raise UsageError(
                "model: no ReLU ran in its forward pass, so there are no activation patterns to compare; "
                "use a proxy of gradients, such as 'mgm'"
            )

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Looks at the input of a ReLU before it runs, since it may overwrite it."""
        if func in RELUS and self.error is None:
            try:
                with unwatched():
                    self._look(args[0] if args else (kwargs or {})["input"])
            except KnasError as error:
                self.error = error
        return func(*args, **(kwargs or {}))

    def _look(self, values: Tensor) -> None:
        if values.dim() == 0 or values.shape[0] % self.n:  # [n k, ...] are n samples of k windows each
            raise UsageError(
                f"model: a ReLU whose input has the {self.n} samples first expected, got {list(values.shape)}; "
                "use proxy='mgm' for a model that puts another axis first"
            )
        if not native.all_finite([values]):
            raise NotFiniteError(
                f"activations: NaN or Inf before ReLU {self.calls + 1}; the network or its initialization is unstable"
            )
        self.calls += 1
        self.receive((values > 0).reshape(self.n, -1))


def watch_relus(
    model: nn.Module, batch: Batch, receive: CodeReceiver, *, batch_norm: str = "calibrated", seed: int = 0
) -> int:
    """Runs one forward pass without gradients, leaves the model as it was, and hands on the code of every ReLU.

    Args:
        model: Any module.
        batch: n samples on its device.
        receive: Takes the code of each ReLU, bool [n, units], in the order of the calls.
        batch_norm: What BatchNorm normalizes by; see `knas.gradients.watch.watch`.
        seed: For what the model draws in its forward pass.

    Returns:
        How many ReLUs there were, at least 1.

    Raises:
        UsageError: There was none, or its input does not have the samples first.
        NotFiniteError: NaN or Inf in the input of a ReLU or in the output.
    """
    relus = ReLUs(receive)
    watch(model, batch, [relus], batch_norm=batch_norm, seed=seed)
    if relus.error is not None:
        raise relus.error
    return relus.calls
