"""A whole data set on one device, served in normalized batches."""

from __future__ import annotations

import torch
from torch import Tensor

from knas.data.augmentation import Augmentation
from knas.data.dataset import ImageDataset, check_seed
from knas.errors import UsageError


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


def score_batch(
    dataset: ImageDataset,
    n: int,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Draw training images to score networks on, without augmentation.

    The draw is plain: every image is as likely as any other. With one seed, a larger batch starts with the
    images of a smaller one.

    Args:
        dataset: The data set.
        n: How many images, from 2 to as many as there are.
        seed: Fixes the draw.
        device: Where the batch goes.
        dtype: Of the inputs.

    Returns:
        Normalized inputs [n, C, H, W], contiguous, and targets, int64 [n].

    Raises:
        UsageError: If `n` is below 2 or more than there are training images.
    """
    available = len(dataset.train_labels)
    if isinstance(n, bool) or not isinstance(n, int) or not 2 <= n <= available:
        raise UsageError(f"n: wanted from 2 to the {available} training images of {dataset.name}, got {n!r}")
    generator = torch.Generator().manual_seed(check_seed(seed))
    chosen = torch.randperm(available, generator=generator)[:n]
    data = DeviceData(
        dataset.train_images[chosen], dataset.train_labels[chosen], mean=dataset.mean, std=dataset.std
    )
    inputs, targets = data.batch(torch.arange(n))
    return inputs.to(device, dtype, memory_format=torch.contiguous_format), targets.to(device)
