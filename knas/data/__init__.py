"""Image data sets by name, Hub id or folder, whole on the device, in batches augmented there."""

from __future__ import annotations

from knas.data.augmentation import Augmentation
from knas.data.dataset import ImageDataset, balanced_subset, split, stratified_split
from knas.data.device import DeviceData, score_batch
from knas.data.registry import load, names

__all__ = [
    "Augmentation",
    "DeviceData",
    "ImageDataset",
    "balanced_subset",
    "load",
    "names",
    "score_batch",
    "split",
    "stratified_split",
]
