"""Recurrent layers: a cell over the steps of a sequence (batch, steps, features), as one loop.

Masked steps (of lengths that the data give, of `LookupTable` and `Masking`) keep the state and give
0, in both directions, so that a padded row gives what it gives alone.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.axes import Axis, sized
from anode.frontends.layers.cells import (
    LOGISTIC,
    TANH,
    Cell,
    GRUCell,
    LSTMCell,
    RecurrentCell,
    checked,
)
from anode.frontends.layers.layers import GLOROT, Layer, Transform, features
from anode.frontends.layers.optimizers import slot
from anode.frontends.layers.scope import State
from anode.ir.dtypes import DType, f32
from anode.ir.node import Node, read
from anode.ops import recurrent


class Loop(Layer):
    """Common to recurrent layers: each cell of theirs over the steps, from its first state.

    With `reset_cells`, each minibatch starts from zeros. Without, a training step starts where the
    last one of that size ended, so that a text cut into parallel streams goes on; gradients do not
    cross minibatches, and inference always starts from zeros.
    """

    reset_cells: bool

    def _over_time(
        self, cell: Cell, x: Node, mask: Node | None, reverse: bool
    ) -> tuple[Node, State]:
        """The outputs (steps, batch, …) of a cell over `x`, time-major, and its last state."""
        cell.mask = mask
        x = cell.project(x)
        start = self._first(cell, int(x.shape[1]), x.dtype if x.dtype.is_float else f32)
        y, last = recurrent.recurrent(cell.step, x, start, mask=mask, reverse=reverse)
        if not self.reset_cells:
            self._carry(cell, last)
        return y, last

    def _first(self, cell: Cell, batch: int, dtype: DType) -> State:
        given = self._scope.first_states
        zeros = tuple([ops.zeros((batch, size), dtype) for size in cell.sizes])
        if given is not None:
            return self._given(given, zeros)
        if self.reset_cells or not self.training:
            return zeros
        return tuple([read(self._carried(cell, i, zero)) for i, zero in enumerate(zeros)])

    def _given(self, given: list[State], wanted: State) -> State:
        """The next of the states that an encoder has left, or a step before."""
        if not given:
            raise ShapeError("the decoder has more recurrent layers than the encoder")
        found = [x.tensor for x in given[0]]
        if found != [x.tensor for x in wanted]:
            raise ShapeError(
                f"the encoder's states {found} do not fit the decoder's {[x.type for x in wanted]}"
            )
        return given.pop(0)

    def _carry(self, cell: Cell, last: State) -> None:
        for i, value in enumerate(last):
            self.update(read(self._carried(cell, i, value)), value)

    def _carried(self, cell: Cell, i: int, like: Node) -> Any:
        """The variable of a state, which belongs to training, as an optimiser's do."""
        return slot(f"{cell._path}.state_{i}[{like.shape[0]}]", like.tensor)

    def _steps_first(self, x: Node) -> tuple[Node, Node | None]:
        """A sequence and its mask, time-major."""
        if len(x.shape) < 3:
            raise ShapeError(f"a recurrent layer takes (batch, steps, features), not {x.type}")
        mask = self._scope.sequences.get(x)
        return ops.moveaxis(x, 1, 0), None if mask is None else ops.transpose(mask)

    def _batch_first(self, y: Node, mask: Node | None) -> Node:
        """The layer's output, noted as a sequence."""
        y = ops.moveaxis(y, 0, 1)
        self._scope.sequences[y] = None if mask is None else ops.transpose(mask)
        return y


class Recurrent(Loop):
    """A cell over the steps, forward or in `reverse`; a number is the width of a simple one.

    Recurrent(128) gives h = tanh(x · weight + bias + h' · inner). Stacks are lists of layers.
    """

    def __init__(
        self,
        cell: Cell | int | Axis,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        *,
        bias: Any = 0.0,
        reset_cells: bool = True,
        reverse: bool = False,
        name: str | None = None,
    ) -> None:
        if isinstance(cell, int | Axis):
            cell, self.axis = sized(cell, "Recurrent")
            cell = RecurrentCell(cell, init, init_inner, activation, bias=bias)
        self.cell, self.reset_cells, self.reverse = checked(cell), reset_cells, reverse
        self.name = name

    def build(self, x: Node) -> Node:
        x, mask = self._steps_first(x)
        self.cell._scope, self.cell._path = self._scope, self._path
        y, last = self._over_time(self.cell, x, mask, self.reverse)
        self._scope.last_states.append(last)
        return self._batch_first(y, mask)


class LSTM(Recurrent):
    """Long short-term memory: see LSTMCell."""

    def __init__(
        self,
        output_size: int | Axis,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        gate_activation: Transform = LOGISTIC,
        *,
        bias: Any = 0.0,
        reset_cells: bool = True,
        reverse: bool = False,
        name: str | None = None,
    ) -> None:
        size, axis = sized(output_size, "LSTM")
        cell = LSTMCell(size, init, init_inner, activation, gate_activation, bias=bias)
        super().__init__(cell, reset_cells=reset_cells, reverse=reverse, name=name)
        self.axis = axis


class GRU(Recurrent):
    """Gated recurrent units: see GRUCell."""

    def __init__(
        self,
        output_size: int | Axis,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        gate_activation: Transform = LOGISTIC,
        *,
        bias: Any = 0.0,
        reset_after: bool = False,
        reset_cells: bool = True,
        reverse: bool = False,
        name: str | None = None,
    ) -> None:
        size, axis = sized(output_size, "GRU")
        cell = GRUCell(
            *(size, init, init_inner, activation, gate_activation),
            bias=bias,
            reset_after=reset_after,
        )
        super().__init__(cell, reset_cells=reset_cells, reverse=reverse, name=name)
        self.axis = axis


class Bidirectional(Loop):
    """A cell over the steps from both ends, each end with its own variables.

    The output has the features of the forward direction, then those of the backward one. With
    `split_inputs` the forward cell takes the first half of the features, the other the second.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        reset_cells: bool = True,
        split_inputs: bool = False,
        name: str | None = None,
    ) -> None:
        self.cells = checked(cell), copy(cell)
        self.reset_cells, self.split_inputs, self.name = reset_cells, split_inputs, name

    def build(self, x: Node) -> Node:
        x, mask = self._steps_first(x)
        if self.split_inputs and features(x) % 2:
            raise ShapeError(f"split_inputs: {features(x)} features have no halves")
        if self._scope.first_states is not None:
            raise ShapeError("a decoder reads forward only")
        inputs = recurrent.gates(x, 2) if self.split_inputs else (x, x)
        found = []
        for cell, end, given in zip(self.cells, ("forward", "backward"), inputs, strict=True):
            cell._scope, cell._path = self._scope, f"{self._path}.{end}"
            found.append(self._over_time(cell, given, mask, end == "backward"))
        (ahead, last), (back, first) = found
        states = [ops.concatenate(a, b, axis=1) for a, b in zip(last, first, strict=True)]
        self._scope.last_states.append(tuple(states))
        return self._batch_first(ops.concatenate(ahead, back, axis=len(ahead.shape) - 1), mask)


class BiRNN(Bidirectional):
    """The simple cell from both ends: (batch, steps, 2 · output_size)."""

    def __init__(
        self,
        output_size: int,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        *,
        bias: Any = 0.0,
        reset_cells: bool = True,
        split_inputs: bool = False,
        name: str | None = None,
    ) -> None:
        cell = RecurrentCell(output_size, init, init_inner, activation, bias=bias)
        super().__init__(cell, reset_cells=reset_cells, split_inputs=split_inputs, name=name)


class BiBNRNN(Bidirectional):
    """BiRNN whose input products are normalised over the batch and all steps, as in Deep Speech 2.

    Source: Amodei et al. 2015.
    """

    def __init__(
        self,
        output_size: int,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        *,
        reset_cells: bool = True,
        split_inputs: bool = False,
        name: str | None = None,
    ) -> None:
        cell = RecurrentCell(output_size, init, init_inner, activation, batch_norm=True)
        super().__init__(cell, reset_cells=reset_cells, split_inputs=split_inputs, name=name)


class BiLSTM(Bidirectional):
    """LSTM from both ends: (batch, steps, 2 · output_size)."""

    def __init__(
        self,
        output_size: int,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        gate_activation: Transform = LOGISTIC,
        *,
        bias: Any = 0.0,
        reset_cells: bool = True,
        split_inputs: bool = False,
        name: str | None = None,
    ) -> None:
        cell = LSTMCell(output_size, init, init_inner, activation, gate_activation, bias=bias)
        super().__init__(cell, reset_cells=reset_cells, split_inputs=split_inputs, name=name)


class BiGRU(Bidirectional):
    """GRU from both ends: (batch, steps, 2 · output_size)."""

    def __init__(
        self,
        output_size: int,
        init: Any = GLOROT,
        init_inner: Any = None,
        activation: Transform = TANH,
        gate_activation: Transform = LOGISTIC,
        *,
        bias: Any = 0.0,
        reset_after: bool = False,
        reset_cells: bool = True,
        split_inputs: bool = False,
        name: str | None = None,
    ) -> None:
        cell = GRUCell(
            *(output_size, init, init_inner, activation, gate_activation),
            bias=bias,
            reset_after=reset_after,
        )
        super().__init__(cell, reset_cells=reset_cells, split_inputs=split_inputs, name=name)


class BiSum(Layer):
    """The sum of both directions: the first half of the features plus the second."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def build(self, x: Node) -> Node:
        if features(x) % 2:
            raise ShapeError(f"{features(x)} features have no halves to add")
        forward, backward = recurrent.gates(x, 2)
        return forward + backward


def DeepBiRNN(
    output_size: int,
    init: Any = GLOROT,
    init_inner: Any = None,
    activation: Transform = TANH,
    *,
    depth: int = 1,
    batch_norm: bool = False,
    bi_sum: bool = False,
    reset_cells: bool = True,
) -> list[Layer]:
    """`depth` BiRNNs, or BiBNRNNs with `batch_norm`, one after the other.

    Each direction goes on with its own outputs, or with `bi_sum` both with their sum.
    """
    layers: list[Layer] = []
    for i in range(_positive(depth)):
        kind: type[BiRNN | BiBNRNN] = BiBNRNN if batch_norm else BiRNN
        weights = (output_size, init, init_inner, activation)
        split = i > 0 and not bi_sum
        layers.append(kind(*weights, reset_cells=reset_cells, split_inputs=split))
        if bi_sum:
            layers.append(BiSum())
    return layers


def DeepBiLSTM(
    output_size: int,
    init: Any = GLOROT,
    init_inner: Any = None,
    activation: Transform = TANH,
    gate_activation: Transform = LOGISTIC,
    *,
    depth: int = 1,
    reset_cells: bool = True,
) -> list[Layer]:
    """`depth` BiLSTMs one after the other; each direction goes on with its own outputs."""
    weights = (output_size, init, init_inner, activation, gate_activation)
    return [
        BiLSTM(*weights, reset_cells=reset_cells, split_inputs=i > 0)
        for i in range(_positive(depth))
    ]


def _positive(depth: int) -> int:
    if depth < 1:
        raise ShapeError(f"depth={depth}: at least one layer")
    return depth
