"""What neon's recurrent layers have in common: weights in one array, a state that goes on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from anode import ops
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.base import ParameterLayer, interpret_in_shape
from anode.frontends.neon.layers.recurrence import features_first, steps_first
from anode.frontends.neon.tracing import Cell, host_input, recording
from anode.ir.node import Node

Nodes = tuple[Node, ...]


def get_steps(x: Any, shape: tuple[int, int]) -> list[Any]:
    """Views of the steps of (features, steps · batch), each (features, batch)."""
    if x is None:
        return [None] * shape[1]
    whole = x.reshape((*shape, -1))
    return [whole[:, step, :] for step in range(shape[1])]


class Stateful(ParameterLayer):
    """Common to layers whose state is that of the last minibatch, unless `reset_cells`.

    Another tensor of inputs, as of another data set, begins from zeros too.
    """

    ngates = 1
    nout: int

    def __init__(
        self,
        output_size: int,
        init: Any,
        init_inner: Any = None,
        activation: Any = None,
        reset_cells: bool = False,
        name: str | None = None,
        parallelism: str = "Unknown",
    ) -> None:
        super().__init__(init, name, parallelism)
        self.nout = self.output_size = self.h_nout = output_size
        self.activation, self.init_inner, self.reset_cells = activation, init_inner, reset_cells
        self.gate_activation: Any = None
        self.W_input: Any = None
        self.x: Any = None
        self._source: Any = self

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.nin, self.nsteps = self.i_shape = features_and_steps(self.in_shape)
        if self.weight_shape is None:
            self.weight_shape = (self.nout, self.nin)
        return self

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        super().allocate(shared_outputs, accumulate_updates)
        if self.W_input is None:
            self.init_params(self.weight_shape)

    def _make_weight(self, shape: tuple[int, int]) -> bool:
        """Make W and dW, or check the shape of a weight that was loaded; True for a new one."""
        new = self.W is None
        if new:
            self.W = self.be.empty(shape)
        elif self.W.shape != shape:
            raise ValueError(f"expected {self.W.shape} found {shape}")
        if self.dW is None:
            self.dW = self.be.zeros_like(self.W)
        return new

    def _fill(self, weight: Tensor, init: Any) -> None:
        """Give each gate its first values."""
        bounds = range(0, (self.ngates + 1) * self.nout, self.nout)
        for start, stop in pairwise(bounds):
            init.fill(weight[start:stop])

    def _continues(self, cell: Cell) -> Callable[[], np.float32]:
        """A host's function: 1 where the inputs are the tensor that the last ones were, else 0."""
        record = recording()

        def same() -> np.float32:
            now = record.now.get(cell, cell)
            found, self._source = now is self._source, now
            return np.float32(found)

        return same

    def _carried(self, *last: Callable[[], Node]) -> Nodes:
        """The states (batch, n) that the last minibatch left, or zeros."""
        if self.reset_cells:
            return tuple([ops.zeros_like(make()) for make in last])
        same = host_input(self._continues(self.x.cell), (), np.float32)
        return tuple([kept(make(), same) for make in last])

    def _put(
        self, out: Tensor | None, value: Callable[[], Node], alpha: float, beta: float
    ) -> None:
        """out = alpha · value + beta · out; the first layer has no error to give."""
        if out is None:
            return
        new = value() if alpha == 1 else value() * float(alpha)
        out.write(new if beta == 0 else new + out.node() * float(beta))


def kept(x: Node, same: Node) -> Node:
    return x * ops.broadcast_to(ops.convert(same, dtype=x.dtype), x.shape)


def features_and_steps(shape: Any) -> tuple[int, int]:
    """Also of local layers, (C, H, W): the last dim is the steps."""
    if isinstance(shape, (tuple, list)) and len(shape) > 2:
        return int(np.prod(shape[:-1])), int(shape[-1])
    features, steps = interpret_in_shape(shape)
    return int(features), int(steps)


def last_step(x: Tensor, steps: int, first: bool = False) -> Callable[[], Node]:
    """The last step of (features, steps · batch), or the first, as a node (batch, features)."""
    return lambda: steps_first(x.node(), steps)[0 if first else steps - 1]


def bias_error(errors: Node) -> Node:
    return ops.sum(errors, axis=(0, 1))


def stacked(parts: list[Node], shape: tuple[int, ...]) -> Node:
    """Gradients of the parts of a weight as one array, each read in memory as rows of it."""
    columns = shape[1]
    rows = [
        ops.reshape(x, shape=(int(np.prod(x.tensor.static)) // columns, columns)) for x in parts
    ]
    return ops.concatenate(*rows, axis=0)


def input_error(errors: Node, weight: Tensor, like: Tensor) -> Node:
    """The error of a layer's input, in the shape that the layer before gave it."""
    return ops.reshape(features_first(errors @ weight.node()), shape=tuple(like.shape))
