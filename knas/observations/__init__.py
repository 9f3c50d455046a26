"""What proxies look at, and the passes that show it: each pass runs once for all proxies that need it."""

from knas.observations.base import Findings, Observation, Pass, observe
from knas.observations.capture import (
    CapturePass,
    InputJacobian,
    LayerGrams,
    PerLayer,
    ReachedLayers,
    SampledStatistics,
)
from knas.observations.codes import HammingKernel, ReLUCodes
from knas.observations.features import FeatureSpectra, Spectra
from knas.observations.forward import ForwardPass
from knas.observations.operations import Operations

__all__ = [
    "CapturePass",
    "FeatureSpectra",
    "Findings",
    "ForwardPass",
    "HammingKernel",
    "InputJacobian",
    "LayerGrams",
    "Observation",
    "Operations",
    "Pass",
    "PerLayer",
    "ReLUCodes",
    "ReachedLayers",
    "SampledStatistics",
    "Spectra",
    "observe",
]
