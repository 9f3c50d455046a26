"""Data sets of images and of sentences by name, Hub id or folder, whole on the device, in batches made there."""

from __future__ import annotations

from knas.data.augmentation import Augmentation
from knas.data.dataset import ImageDataset, balanced_subset, proportional_subset, split, stratified_split
from knas.data.device import DeviceData
from knas.data.protocol import Batches, Dataset
from knas.data.registry import load, names
from knas.data.score_batch import score_batch
from knas.data.sentences import load_text
from knas.data.text import TextDataset

__all__ = [
    "Augmentation",
    "Batches",
    "Dataset",
    "DeviceData",
    "ImageDataset",
    "TextDataset",
    "balanced_subset",
    "load",
    "load_text",
    "names",
    "proportional_subset",
    "score_batch",
    "split",
    "stratified_split",
]
