"""Cells: one step of a recurrent layer, the user's own or one of the standard ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anode.errors import ShapeError
from anode.frontends.layers.activations import Logistic, Tanh
from anode.frontends.layers.initializers import Fans, per_gate
from anode.frontends.layers.layers import GLOROT, BatchNorm, Layer, Transform, check_float
from anode.frontends.layers.scope import State
from anode.ir.node import Node
from anode.ops import recurrent

TANH, LOGISTIC = Tanh(), Logistic()


class Cell(Layer):
    """One step of a recurrent layer. A new one has `sizes` and `step`; `Recurrent` is the loop.

    `sizes` are the widths of its states, each (batch, width) and zero at first. Variables come from
    `self.variable`, as in any layer.
    """

    sizes: tuple[int, ...]
    mask: Node | None = None  # bool[steps, batch] of what `project` takes

    def project(self, x: Node) -> Node:
        """What the steps take, from the inputs of all steps, (steps, batch, …), before the loop.

        Products in `step` that need no state are taken out of the loop without this.
        """
        return x

    def step(self, x: Node, state: State) -> tuple[Node, State]:
        """The output and the next state, from a step's input (batch, …) and the last state."""
        raise NotImplementedError


class FunctionCell(Cell):
    """A function `(x, *states) -> (output, *states)` as a cell without variables."""

    def __init__(self, function: Callable[..., Any], sizes: Sequence[int]) -> None:
        self.function, self.sizes = function, tuple(sizes)

    def step(self, x: Node, state: State) -> tuple[Node, State]:
        output, *new = self.function(x, *state)
        return output, tuple(new)


class RecurrentCell(Cell):
    """h = activation(x · weight + bias + h' · inner); base of the cells with gates.

    `init` and `init_inner`, by default the same, are of `weight` (inputs, gates · n) and `inner`
    (n, gates · n), `bias` of `bias` (gates · n). Each is one initialiser, which fills every gate by
    itself, or a tuple with one for each gate. `batch_norm`, in place of the bias, normalises the
    input products over the batch and all steps that count. Source: Laurent et al. 2015.
    """

    gates = 1

    def __init__(
        self,
        output_size: int,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        *,
        bias: Any = 0.0,
        batch_norm: bool = False,
    ) -> None:
        self.output_size, self.sizes, self.activation = output_size, (output_size,), activation
        self.init, self.bias, self.batch_norm = init, bias, batch_norm
        self.init_inner = init if init_inner is None else init_inner

    def project(self, x: Node) -> Node:
        check_float(x)
        weight = self.weight("weight", (int(x.shape[-1]), self.gates), self.init, x)
        if self.batch_norm:
            norm = BatchNorm()
            norm.mask = self.mask
            return self.apply(norm, recurrent.project(x, weight), "norm")
        return recurrent.project(x, weight, self.weight("bias", (self.gates,), self.bias, x))

    def step(self, x: Node, state: State) -> tuple[Node, State]:
        inner = self.weight("inner", (self.output_size, self.gates), self.init_inner, x)
        return self.standard(inner)(x, state)

    def standard(self, inner: Node) -> recurrent.Step:
        """The standard cell over projected inputs with the weight of the state."""
        return recurrent.simple_cell(inner, self.activation)

    def weight(self, name: str, shape: tuple[int, ...], init: Any, like: Node) -> Node:
        """The variable of (…, gates · n), given (…, gates)."""
        *before, gates = shape
        whole = (*before, gates * self.output_size)
        fans = Fans(before[0], self.output_size) if before else None
        init = per_gate(init, gates, whole)
        return self.variable(name, whole, init, dtype=like.dtype, fans=fans)


class LSTMCell(RecurrentCell):
    """The long short-term memory, gates i, f, o, g: see `anode.ops.recurrent.lstm_cell`.

    `bias=(0.0, 1.0, 0.0, 0.0)` lets it remember at first.
    """

    gates = 4

    def __init__(
        self,
        output_size: int,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        gate_activation: Transform = LOGISTIC,
        *,
        bias: Any = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__(
            output_size, init, init_inner, activation, bias=bias, batch_norm=batch_norm
        )
        self.sizes, self.gate_activation = (output_size, output_size), gate_activation

    def standard(self, inner: Node) -> recurrent.Step:
        return recurrent.lstm_cell(inner, self.activation, self.gate_activation)


class GRUCell(RecurrentCell):
    """The gated recurrent unit, gates r, z, candidate: see `anode.ops.recurrent.gru_cell`.

    With `reset_after` the candidate's product with the state has a bias of its own, `inner_bias`.
    """

    gates = 3

    def __init__(
        self,
        output_size: int,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        gate_activation: Transform = LOGISTIC,
        *,
        bias: Any = 0.0,
        batch_norm: bool = False,
        reset_after: bool = False,
    ) -> None:
        super().__init__(
            output_size, init, init_inner, activation, bias=bias, batch_norm=batch_norm
        )
        self.gate_activation, self.reset_after = gate_activation, reset_after

    def standard(self, inner: Node) -> recurrent.Step:
        bias = self.weight("inner_bias", (1,), 0.0, inner) if self.reset_after else None
        return recurrent.gru_cell(
            inner, self.activation, self.gate_activation, reset_after=self.reset_after, bias=bias
        )


def checked(cell: Cell) -> Cell:
    """`cell`, which must be one."""
    if not isinstance(cell, Cell):
        raise ShapeError(f"{cell!r} is no cell; give a Cell, such as LSTMCell(128)")
    return cell
