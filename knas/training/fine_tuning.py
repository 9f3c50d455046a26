"""Fine-tuning a pretrained encoder: the recipe that RoBERTa was released with."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch

from knas.data import Dataset
from knas.training.fields import COMMON, Rule, between, check


@dataclass(frozen=True)
class FineTuning:
    """AdamW with a learning rate that rises and falls along lines, as RoBERTa was fine-tuned on GLUE.

    The defaults are those of fairseq's released recipe (`examples/roberta/README.glue.md`), except for the batch size
    and learning rate, which are the KNAS paper's for RTE (arXiv 2111.13293, section 8.1; 3e-5 for MRPC). The paper
    leaves the rest at the defaults of the code that it used; those of the Trainer of transformers are `epochs=3,
    warmup=0, weight_decay=0, beta2=0.999, epsilon=1e-8`, and it clips gradients to a norm of 1; here none are clipped.

    Attributes:
        epochs: Passes over the training sentences.
        batch_size: Sentences per step, at most; an epoch is cut into as few batches as that allows, whose sizes differ
            by one at most.
        learning_rate: At its highest (see `linear_learning_rate`).
        warmup: Share of all steps in which it rises.
        weight_decay: On weights of two dimensions and more; none on biases and normalizations, as the Trainer of
            transformers has it.
        beta1: Of the running mean of the gradient.
        beta2: Of the running mean of its square.
        epsilon: What the root of that is kept above.
        label_smoothing: Share of a target that is spread over all classes.
        precision: Of the network's arithmetic, as in `Recipe`.
        record_gram: Whether to record the mean and the coherence of the Gram matrix of the loss gradients after each
            epoch.
    """

    epochs: int = 10
    batch_size: int = 4
    learning_rate: float = 2e-5
    warmup: float = 0.06
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.98
    epsilon: float = 1e-6
    label_smoothing: float = 0.0
    precision: str = "auto"
    record_gram: bool = False

    def __post_init__(self) -> None:
        check(self, RULES)

    def optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """What moves those parameters of a model that require a gradient."""
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        groups = [
            {"params": [one for one in parameters if one.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [one for one in parameters if one.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=self.learning_rate,
            betas=(self.beta1, self.beta2),
            eps=self.epsilon,
            fused=True,  # a sixth of the time on a CPU, for the 23 million parameters of a 6-layer encoder
        )

    def learning_rate_at(self, epoch: int, step: int, steps: int) -> float:
        """The learning rate of a step. All are counted from 0; an epoch has `steps` of them."""
        done, total = epoch * steps + step, self.epochs * steps
        return linear_learning_rate(self.learning_rate, done, total, self.warmup)

    def augmentation(self, dataset: Dataset) -> None:
        """Nothing is done to sentences."""


RULES: tuple[Rule, ...] = (
    *COMMON,
    *(
        (name, "a number from 0 up to but not 1", lambda value: between(value, 0, 1))
        for name in ("warmup", "beta1", "beta2")
    ),
    ("epsilon", "a finite number above 0", lambda value: between(value, 5e-324, math.inf)),
)
assert {name for name, _, _ in RULES} == {field.name for field in fields(FineTuning)}


def linear_learning_rate(learning_rate: float, step: int, steps: int, warmup: float) -> float:
    r"""The learning rate of a step, :math:`\eta (t + 1) / W` for :math:`t < W`, then :math:`\eta (T - t) / (T - W)`.

    Args:
        learning_rate: :math:`\eta`, reached in the last step of the warm-up.
        step: :math:`t`, counted from 0.
        steps: :math:`T`, how many there are; the rate would be 0 at step :math:`T`.
        warmup: Share of the steps that the rate rises in: :math:`W` is this times :math:`T`, rounded.

    Returns:
        The learning rate.
    """
    rising = round(warmup * steps)
    factor = (step + 1) / rising if step < rising else (steps - step) / (steps - rising)
    return learning_rate * factor
