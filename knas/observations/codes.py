"""Which ReLUs are on for which samples, as their Hamming kernel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from knas.gradients.relus import ReLUs
from knas.observations.forward import CALIBRATED, ForwardObservation, ForwardPass

_EXACT = 1 << 24  # float32 adds ones exactly up to here


class HammingKernel:
    """K[i, j] = number of units that are on for both samples or for neither, over all codes added so far."""

    def __init__(self, n: int) -> None:
        """Starts with no units.

        Args:
            n: Number of samples.
        """
        self.matrix = torch.zeros(n, n, dtype=torch.float64)
        self.units = 0

    def add(self, code: Tensor) -> None:
        """Adds the units of a code, bool [n, units]."""
        self.matrix, self.units = self.matrix.to(code.device), self.units + code.shape[1]
        for part in code.split(_EXACT, 1):
            on = part.float()
            both = (on @ on.T).double()  # units that are on for both
            own = both.diagonal()
            self.matrix += part.shape[1] + 2 * both - own - own[:, None]


class KernelOfReLUs(ReLUs):
    """Adds up the Hamming kernel of the ReLUs of a pass."""

    kernel: HammingKernel

    def __init__(self) -> None:
        super().__init__(self._add)

    def _add(self, code: Tensor) -> None:
        if self.calls == 1:
            self.kernel = HammingKernel(len(code))
        self.kernel.add(code)


@dataclass(frozen=True)
class ReLUCodes(ForwardObservation[HammingKernel]):
    """The Hamming kernel of the codes of all ReLUs that run."""

    made_in: ForwardPass = CALIBRATED

    def watcher(self) -> KernelOfReLUs:
        """Watches ReLUs."""
        return KernelOfReLUs()

    def read(self, watcher: KernelOfReLUs) -> HammingKernel:
        """The kernel, on the CPU."""
        watcher.kernel.matrix = watcher.kernel.matrix.cpu()
        return watcher.kernel
