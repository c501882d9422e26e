"""The backend "mkl": the same as "cpu", for anode calls oneDNN where that is faster."""

from __future__ import annotations

from anode.frontends.neon.backends.nervanacpu import NervanaCPU
from anode.frontends.neon.backends.tensor import Tensor as MKLTensor

__all__ = ["MKLTensor", "NervanaMKL"]


class NervanaMKL(NervanaCPU):
    """The backend "mkl"."""

    backend_name = "mkl"
