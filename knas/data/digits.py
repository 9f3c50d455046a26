"""The embedded default: scikit-learn's handwritten digits, which need no download."""

from __future__ import annotations

import numpy
import torch
from torch import Tensor

from knas.data.source import Source, Split


def open_digits() -> Source:
    """The 1,797 grey images of 8x8 pixels that come with scikit-learn (UCI's test part of optdigits).

    Their 17 grey levels are spread over 0 .. 255 and repeated over three channels. They stay 8x8: the two
    reductions of a NAS-Bench-201 network leave 2x2 pixels, it learns them well, and a training step costs an
    eighth of one at 32x32. A digit mirrored is another shape, so `flip` is false.

    Returns:
        The source, which has no test part of its own.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    grey = torch.from_numpy(numpy.rint(digits.images * (255 / 16)).astype(numpy.uint8))  # [N, 8, 8]

    def images(indices: Tensor, size: int | None) -> Tensor:
        chosen = grey[indices][:, None]  # [n, 1, 8, 8]
        if size is not None:
            chosen = torch.nn.functional.interpolate(chosen, (size, size), mode="bilinear", antialias=True)
        return chosen.expand(-1, 3, -1, -1).contiguous()

    labels = torch.from_numpy(digits.target.astype(numpy.int64))
    return Source("digits", Split(labels, images), None, tuple("0123456789"), flip=False)
