"""Costs as what follows the last layer: the mean over the batch, and the error to send back."""

from __future__ import annotations

from functools import reduce
from operator import add
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


class Multicost(NervanaObject):
    """A cost for each output of a Tree, added up with `weights`.

    Targets are a list, None where an output has none, or one for all.
    """

    def __init__(
        self, costs: list[Any], weights: list[float] | None = None, name: str | None = None
    ) -> None:
        super().__init__(name)
        self.costs = costs
        self.weights = [1.0] * len(costs) if weights is None else weights
        self.deltas: Any = None
        self.inputs: Any = None
        self.costfunc = costs[0].costfunc

    def initialize(self, in_obj: Any) -> None:
        """Make the tensors of each cost for the output it is of."""
        ends = in_obj if isinstance(in_obj, list) else in_obj.get_terminal()
        if not isinstance(ends, list):
            raise RuntimeError("Multicost must be passed a container or list")
        for cost, end in zip(self.costs, ends, strict=False):
            cost.initialize(end)

    @property
    def cost(self) -> Any:
        """The first cost of the last minibatch."""
        return self.costs[0].cost

    @property
    def outputs(self) -> Any:
        """The first cost of each sample."""
        return self.costs[0].outputs

    def get_description(self, **kwargs: Any) -> dict[str, Any]:
        found = super().get_description(skip=["costs"])
        found["config"]["costs"] = [cost.get_description() for cost in self.costs]
        self._desc = found
        return found

    def _targets(self, targets: Any) -> Any:
        return targets if isinstance(targets, (tuple, list)) else [targets] * len(self.costs)

    def get_cost(self, inputs: Any, targets: Any) -> Any:
        """The weighted sum of the costs; of one output, its own."""
        if not isinstance(inputs, list):
            return self.costs[0].get_cost(inputs, targets)
        parts = zip(self.weights, self.costs, inputs, self._targets(targets), strict=False)
        return reduce(add, [w * c.get_cost(x, t) for w, c, x, t in parts if t is not None])

    def get_errors(self, inputs: Any, targets: Any) -> Any:
        """The errors of the outputs, a list."""
        parts = zip(self.costs, inputs, self._targets(targets), self.weights, strict=False)
        for cost, x, t, weight in parts:
            if t is None:
                continue
            cost.get_errors(x, t)
            for delta in cost.deltas if isinstance(cost.deltas, list) else [cost.deltas]:
                delta[:] = delta * weight
        self.deltas = [cost.deltas for cost in self.costs]
        return self.deltas
