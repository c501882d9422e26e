"""Costs as what follows the last layer: the mean over the batch, and the error to send back."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.neon import NervanaObject
from anode.frontends.neon.layers.base import interpret_in_shape
from anode.frontends.neon.numbers import Numbers
from anode.frontends.neon.tracing import is_tracing


class GeneralizedCost(NervanaObject):
    """The mean of `costfunc` over the batch and the steps."""

    def __init__(self, costfunc: Any, name: str | None = None) -> None:
        super().__init__(name)
        self.costfunc = costfunc
        self.outputs: Any = None
        self.deltas: Any = None
        self.cost_buffer = self.be.empty((1, 1))

    @property
    def cost(self) -> np.ndarray:
        """The cost of the last minibatch, (1, 1)."""
        return Numbers.of(self.cost_buffer.get())

    @cost.setter
    def cost(self, value: Any) -> None:
        self.cost_buffer[:] = value

    def initialize(self, in_obj: Any) -> None:
        """Make the tensors for the output of a layer."""
        self.prev_layer = in_obj
        self.parallelism = getattr(in_obj, "parallelism", "Unknown")
        self.costfunc.parallelism = self.parallelism
        _, self.nstep = interpret_in_shape(in_obj.out_shape)
        self.outputs = self.be.iobuf((1, self.nstep))
        self.deltas = self.be.iobuf(in_obj.out_shape)

    def get_cost(self, inputs: Any, targets: Any) -> Any:
        """The cost of the output `inputs`, (1, 1): an array, while tracing a tensor."""
        return self._mean(self.costfunc(inputs, targets))

    def _mean(self, costs: Any, weight: Any = None) -> Any:
        self.outputs[:] = costs
        mean = self.be.mean(self.outputs, axis=1)
        self.cost_buffer[:] = mean if weight is None else mean * weight
        return self.cost_buffer if is_tracing() else self.cost

    def get_errors(self, inputs: Any, targets: Any) -> Any:
        """The error of the output `inputs`."""
        self.deltas[:] = self.costfunc.bprop(inputs, targets)
        return self.deltas


class GeneralizedGANCost(GeneralizedCost):
    """The cost of a generator's or a discriminator's output."""

    def get_cost(self, inputs: Any, targets: Any, cost_type: str | None = None) -> Any:
        return self._mean(self.costfunc(inputs, targets, cost_type))


class GeneralizedCostMask(GeneralizedCost):
    """The cost where a mask lets it count; targets are (targets, mask)."""

    def __init__(self, costfunc: Any, weights: Any = 1.0, name: str | None = None) -> None:
        super().__init__(costfunc, name)
        self.weights = weights

    def get_cost(self, inputs: Any, targets_mask: Any) -> Any:
        targets, mask = targets_mask
        return self._mean(self.costfunc(inputs * mask, targets * mask), self.weights)

    def get_errors(self, inputs: Any, targets_mask: Any) -> Any:
        targets, mask = targets_mask
        self.deltas[:] = self.costfunc.bprop(inputs, targets) * mask * self.weights
        return self.deltas
