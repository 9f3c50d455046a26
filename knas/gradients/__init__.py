"""Per-sample gradients of any `torch.nn.Module`, captured in one forward and one backward pass."""

from knas.gradients.arguments import one_of
from knas.gradients.batch import Batch, Inputs, make_batch
from knas.gradients.batch_norm import POLICIES
from knas.gradients.layers import Layer, Layers, Slot, layers_of, no_parameters
from knas.gradients.objective import OBJECTIVES
from knas.gradients.passes import Gradients
from knas.gradients.relus import watch_relus
from knas.gradients.sampling import Sampler, all_entries, leading_entries, random_entries
from knas.gradients.settings import Settings, Skipped

__all__ = [
    "OBJECTIVES",
    "POLICIES",
    "Batch",
    "Gradients",
    "Inputs",
    "Layer",
    "Layers",
    "Sampler",
    "Settings",
    "Skipped",
    "Slot",
    "all_entries",
    "layers_of",
    "leading_entries",
    "make_batch",
    "no_parameters",
    "one_of",
    "random_entries",
    "watch_relus",
]
