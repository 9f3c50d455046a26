"""knas: training-free neural architecture search by gradient kernels."""

from knas.errors import KnasError

__version__ = "0.1.0"

__all__ = ["KnasError"]
