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

from knas import native
from knas.errors import NotFiniteError, UsageError
from knas.gradients.batch import Batch
from knas.gradients.batch_norm import BatchNormStatistics
from knas.gradients.objective import output_tensor
from knas.gradients.undisturbed import undisturbed

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


class ReLUs(TorchFunctionMode):
    """Hands on the code of every ReLU that is called within it, and counts them.

    Args:
        n: Number of samples, along the first axis of every ReLU's input.
        receive: Takes each code.
    """

    def __init__(self, n: int, receive: CodeReceiver) -> None:
        super().__init__()
        self.n, self.receive = n, receive
        self.calls = 0

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Looks at the input of a ReLU before it runs, since it may overwrite it."""
        if func in RELUS:
            self._look(args[0] if args else (kwargs or {})["input"])
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
        batch_norm: What BatchNorm normalizes by: the statistics of the batch ("calibrated" and "batch" are the same
            here) or "initial".
        seed: For what the model draws in its forward pass.

    Returns:
        How many ReLUs there were, at least 1.

    Raises:
        UsageError: There was none, or its input does not have the samples first.
        NotFiniteError: NaN or Inf in the input of a ReLU or in the output.
    """
    relus = ReLUs(batch.n, receive)
    with undisturbed(model, seed, frozen=True), torch.no_grad(), BatchNormStatistics(batch_norm), relus:
        outputs = batch.call(model)
    if relus.calls == 0:
        raise UsageError(
            "model: no ReLU ran in its forward pass, so there are no activation patterns to compare; "
            "use a proxy of gradients, such as 'mgm'"
        )
    if not bool(torch.isfinite(output_tensor(outputs, batch.n)).all()):
        raise NotFiniteError("output: NaN or Inf; the network or its initialization is unstable")
    return relus.calls
