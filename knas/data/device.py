"""Images on one device, served in normalized batches."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from knas.data.augmentation import Augmentation
from knas.errors import UsageError

EVALUATION_BATCH = 512


class DeviceData:
    """Images as uint8 on a device, once, and batches of them cut, augmented and normalized there.

    Args:
        images: uint8 [N, C, H, W].
        labels: int64 [N].
        mean: float32 [C], of pixels scaled to 0 .. 1.
        std: float32 [C], likewise.
        device: Where the images live and the batches are made.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, *, mean: Tensor, std: Tensor, device: torch.device | str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.images = images.permute(0, 2, 3, 1).contiguous().to(self.device)  # [N, H, W, C]
        self.labels = labels.to(self.device)
        self._scale = (1 / (255 * std)).to(self.device)
        self._shift = (-mean / std).to(self.device)

    def __len__(self) -> int:
        """The number of images."""
        return len(self.labels)

    def batch(
        self,
        indices: Tensor,
        augmentation: Augmentation | None = None,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Cut one batch.

        Args:
            indices: int64 [n].
            augmentation: What to do to the images before they are normalized.
            generator: A CPU generator, wanted with an augmentation.

        Returns:
            Normalized inputs, float32 [n, C, H, W], channels last in memory, and targets, int64 [n].
        """
        indices = indices.to(self.device)
        images = self.images[indices]  # [n, H, W, C]
        if augmentation is not None:
            if generator is None:
                raise UsageError("generator: an augmentation draws at random, and wants a torch.Generator")
            images = augmentation(images, generator)
        inputs = images.float().mul_(self._scale).add_(self._shift)
        return inputs.permute(0, 3, 1, 2), self.labels[indices]

    def evaluation_batches(self, indices: Tensor, size: int | None = None) -> Iterable[Tensor]:
        """The indices in parts of `size`, 512 unless given."""
        parts: tuple[Tensor, ...] = indices.split(size or EVALUATION_BATCH)
        return parts
