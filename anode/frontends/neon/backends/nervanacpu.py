"""neon's backends by name: all of them compute with anode on the processor."""

from __future__ import annotations

from anode.frontends.neon.backends.backend import Backend
from anode.frontends.neon.backends.tensor import Tensor as CPUTensor

__all__ = ["CPUTensor", "NervanaCPU"]


class NervanaCPU(Backend):
    """The backend "cpu"."""

    backend_name = "cpu"
