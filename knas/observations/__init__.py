"""What proxies look at, and the passes that show it: each pass runs once for all proxies that need it."""

from knas.observations.base import Findings, Observation, Pass, observe
from knas.observations.capture import (
    CapturePass,
    Depth,
    EffectiveRanks,
    InputJacobian,
    LayerGrams,
    PerLayer,
    ReachedLayers,
    SampledGrams,
    SampledStatistics,
)
from knas.observations.chain import ChainGains, ChainPass, ChainSpectra
from knas.observations.codes import HammingKernel, ReLUCodes
from knas.observations.features import FeatureSpectra, Spectra
from knas.observations.forward import ForwardPass
from knas.observations.linearized import LinearizedPass, SynapticFlow
from knas.observations.operations import Operations
from knas.observations.perturbed import Perturbations, PerturbedPass
from knas.observations.training import ChannelSaliency, HessianProducts, TrainingPass, WeightGradients

__all__ = [
    "CapturePass",
    "ChainGains",
    "ChainPass",
    "ChainSpectra",
    "ChannelSaliency",
    "Depth",
    "EffectiveRanks",
    "FeatureSpectra",
    "Findings",
    "ForwardPass",
    "HammingKernel",
    "HessianProducts",
    "InputJacobian",
    "LayerGrams",
    "LinearizedPass",
    "Observation",
    "Operations",
    "Pass",
    "PerLayer",
    "Perturbations",
    "PerturbedPass",
    "ReLUCodes",
    "ReachedLayers",
    "SampledGrams",
    "SampledStatistics",
    "Spectra",
    "SynapticFlow",
    "TrainingPass",
    "WeightGradients",
    "observe",
]
