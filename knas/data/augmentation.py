"""Random crops and mirror images of a whole batch, on the device where the batch lies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """A random crop out of the zero-padded image, and a mirror image half of the time, for each sample alone.

    The whole batch is one gather of rows and columns. All draws come from the generator that is given, on the
    CPU, so the same seed gives the same batch on every device, and no global random state is touched.

    Attributes:
        padding: Black pixels added on every side before the crop (4 at 32 pixels, 2 at 16, as NAS-Bench-201).
        flip: Whether to mirror left and right.
    """

    padding: int = 4
    flip: bool = True

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Augment a batch.

        Args:
            images: uint8 [n, H, W, C], the channels last in memory: a pixel is then one short copy.
            generator: A CPU generator that all draws come from.

        Returns:
            A new tensor like `images`.
        """
        n, height, width, _ = images.shape
        shift = torch.randint(2 * self.padding + 1, (2, n, 1), generator=generator)
        columns = torch.arange(width).expand(n, width)
        if self.flip:
            mirrored = torch.rand(n, 1, generator=generator) < 0.5
            columns = torch.where(mirrored, width - 1 - columns, columns)
        rows = (torch.arange(height) + shift[0]).to(images.device)  # [n, H], in padded coordinates
        columns = (columns + shift[1]).to(images.device)  # [n, W]
        border = (0, 0, *[self.padding] * 4)
        padded = torch.nn.functional.pad(images, border)  # [n, H + 2 padding, W + 2 padding, C]
        samples = torch.arange(n, device=images.device)
        return padded[samples[:, None, None], rows[:, :, None], columns[:, None, :]]
