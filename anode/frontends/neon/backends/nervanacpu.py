"""neon's backends by name: all of them compute with anode on the processor."""

from __future__ import annotations

from anode.frontends.neon.backends.backend import Backend, OpCollection
from anode.frontends.neon.backends.optree import OpTreeNode
from anode.frontends.neon.backends.tensor import Tensor

__all__ = ["CPUTensor", "NervanaCPU", "OpCollection", "OpTreeNode", "Tensor"]

CPUTensor = Tensor


class NervanaCPU(Backend):
    """The backend "cpu"."""

    backend_name = "cpu"
