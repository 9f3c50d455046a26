"""What is differentiated: the network's output (Eq. 9 of the KNAS paper) or its loss, one number per sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from knas.errors import UsageError
from knas.gradients.layers import Slot

OBJECTIVES = ("output", "loss")


def output_tensor(outputs: object, n: int) -> Tensor:
    """The floating point tensor [n, ...] in what a model returned: itself, "logits", or the first one that fits.

    Raises:
        UsageError: There is none.
    """
    for candidate in _candidates(outputs):
        if (
            isinstance(candidate, Tensor)
            and candidate.is_floating_point()
            and candidate.dim() > 0
            and candidate.shape[0] == n
        ):
            return candidate
    raise UsageError(
        f"model: expected a floating point output of shape [n = {n}, ...], got {_describe(outputs)}; "
        "wrap the model so that it returns its logits"
    )


def _candidates(outputs: object) -> Sequence[object]:
    if isinstance(outputs, Mapping):
        return [outputs["logits"]] if "logits" in outputs else list(outputs.values())
    if isinstance(getattr(outputs, "logits", None), Tensor):
        return [outputs.logits]  # type: ignore[attr-defined]
    return list(outputs) if isinstance(outputs, tuple | list) else [outputs]


def _describe(outputs: object) -> str:
    if isinstance(outputs, Tensor):
        return f"{str(outputs.dtype).removeprefix('torch.')} {list(outputs.shape)}"
    if isinstance(outputs, Mapping):
        return "{" + ", ".join(f"{key}: {_describe(value)}" for key, value in outputs.items()) + "}"
    if isinstance(outputs, tuple | list):
        return "(" + ", ".join(map(_describe, outputs)) + ")"
    return type(outputs).__name__


def total_objective(outputs: object, targets: Tensor | None, of: str, n: int) -> Tensor:
    """The sum over samples of f_i, a scalar whose gradient for layer outputs splits into the samples' own.

    of = "output": f_i = sum_c y_i[c], the "sum layer" of the paper. of = "loss": the cross entropy of class targets
    [n], or 1/2 ||y_i - y*_i||^2 (Eq. 5) of real targets shaped like the output.
    """
    output = output_tensor(outputs, n)
    output = output.float() if output.dtype in (torch.bfloat16, torch.float16) else output
    if of == "output":
        return output.sum()
    assert targets is not None
    if targets.is_floating_point():
        if targets.shape != output.shape:
            raise UsageError(
                f"targets: shape {list(output.shape)} like the output expected, got {list(targets.shape)}"
            )
        return 0.5 * (output - targets.to(output)).square().sum()
    if output.dim() != 2 or targets.shape != (n,):
        raise UsageError(
            f"targets: classes [{n}] and an output [{n}, classes] expected, "
            f"got {list(targets.shape)} and {list(output.shape)}"
        )
    if not torch._C._functorch.is_functorch_wrapped_tensor(
        targets
    ):  # within torch.func they were checked before
        low, high = int(targets.min()), int(targets.max())
        if low < 0 or high >= output.shape[1]:
            raise UsageError(f"targets: classes 0 .. {output.shape[1] - 1} expected, got {low} .. {high}")
    return F.cross_entropy(output, targets, reduction="sum")


def trained_gradients(
    objective: Tensor, slots: Sequence[Slot], *, twice: bool = False
) -> tuple[Tensor | None, ...]:
    """Gradient of each parameter by an ordinary backward pass; None where there is none.

    With `twice` they can be differentiated again.
    """
    parameters = [slot.parameter for slot in slots]
    try:
        return torch.autograd.grad(objective, parameters, allow_unused=True, create_graph=twice)
    except RuntimeError as error:
        if "modified by an inplace operation" not in str(error):
            raise
        raise UsageError(
            "model: an in-place operation overwrites what an ordinary backward pass needs; "
            "make it out of place, or use estimator='sampled'"
        ) from error


def no_gradient_path() -> UsageError:
    """The error of a model whose objective does not depend on any parameter."""
    return UsageError(
        "model: no gradient path from its output to any parameter; check that forward() uses the parameters "
        "and does not detach them"
    )
