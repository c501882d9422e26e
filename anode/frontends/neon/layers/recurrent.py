"""neon's recurrent layers, over (features, steps · batch), the steps of one batch after another.

A weight W is one array (inputs + outputs + 1, gates · outputs), of whose memory the rows for
the inputs are read as W_input (gates · outputs, inputs), those for the state as W_recur, and the
last as b. Values and errors are neon's, for its weights and losses to come out.
"""

from __future__ import annotations

from typing import Any

from anode import ops
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.base import (  # noqa: F401 (scripts import two from here)
    Layer,
    ParameterLayer,
    interpret_in_shape,
)
from anode.frontends.neon.layers.bidirectional import (
    BiBNRNN,
    BiLSTM,
    BiRNN,
    BiSum,
    DeepBiLSTM,
    DeepBiRNN,
)
from anode.frontends.neon.layers.recurrence import (
    GRUPass,
    LSTMPass,
    Pass,
    SimplePass,
    features_first,
    fed,
    over_steps,
    steps_first,
)
from anode.frontends.neon.layers.stateful import (
    Stateful,
    bias_error,
    features_and_steps,
    get_steps,
    input_error,
    last_step,
    stacked,
)
from anode.frontends.neon.tracing import perform
from anode.ir.node import Node

__all__ = [
    "GRU",
    "LSTM",
    "BiBNRNN",
    "BiLSTM",
    "BiRNN",
    "BiSum",
    "DeepBiLSTM",
    "DeepBiRNN",
    "Recurrent",
    "RecurrentLast",
    "RecurrentMean",
    "RecurrentOutput",
    "RecurrentSum",
    "get_steps",
]


class Recurrent(Stateful):
    """h = activation(W_input · x + W_recur · h' + b)."""

    def __init__(
        self,
        output_size: int,
        init: Any,
        init_inner: Any = None,
        activation: Any = None,
        reset_cells: bool = False,
        name: str | None = None,
    ) -> None:
        if activation is None:
            raise AssertionError(f"missing activation function for {type(self).__name__}")
        super().__init__(output_size, init, init_inner, activation, reset_cells, name)
        self.W_recur: Any = None
        self.b: Any = None
        self.dW_recur: Any = None

    def __str__(self) -> str:
        return (
            f"{self.classnm} Layer '{self.name}': {self.nin} inputs, {self.nout} outputs, "
            f"{self.nsteps} steps"
        )

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.out_shape = (self.nout, self.nsteps)
        self.gate_shape = (self.nout * self.ngates, self.nsteps)
        return self

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        super().allocate(shared_outputs, accumulate_updates)
        self.h = get_steps(self.outputs, self.out_shape)
        self.final_state_buffer = self.be.iobuf(self.nout)
        self.final_hidden_error = self.be.iobuf(self.nout)
        self.init_state: Tensor | None = None
        self.saved = self._buffers()
        self.gate_errors = self.be.iobuf(self.gate_shape)

    def _buffers(self) -> list[Tensor]:
        """Tensors for what `bprop` needs besides the outputs, in the order of the pass's values."""
        return []

    @property
    def out_deltas_buffer(self) -> Any:
        """The error of the input."""
        return self.deltas

    def init_params(self, shape: tuple[int, int]) -> None:
        nout, nin = shape
        rows = self.ngates * nout
        new = self._make_weight((nout + nin + 1, rows))
        for name, weight in (("", self.W), ("d", self.dW)):
            setattr(self, f"{name}W_input", weight[:nin].reshape((rows, nin)))
            setattr(self, f"{name}W_recur", weight[nin:-1].reshape((rows, nout)))
            setattr(self, f"{name}b", weight[-1:].reshape((rows, 1)))
        if new:
            self._fill(self.W_input, self.init)
            self._fill(self.W_recur, self.init if self.init_inner is None else self.init_inner)
            self.b.fill(0.0)

    def _pass(self) -> Pass:
        return SimplePass(self.W_recur.node(), self.activation, None, self.W)

    def fprop(self, inputs: Any, inference: bool = False, init_state: Tensor | None = None) -> Any:
        if init_state is not None and init_state.shape != self.final_state_buffer.shape:
            raise ValueError(
                "init_state shape mismatch.  Expected: "
                f"{self.final_state_buffer.shape}, found: {init_state.shape}."
            )
        self.x = inputs.reshape(self.nin, self.nsteps * self.be.bsz)
        self.init_state = init_state
        perform(self._forward, self.be.programs)
        return self.outputs

    def _forward(self) -> None:
        start = self._carried(*[last_step(x, self.nsteps) for x in self._states()])
        if self.init_state is not None:
            start = (ops.transpose(self.init_state.node()), *start[1:])
        x = steps_first(self.x.node(), self.nsteps)
        values = self._pass().forward(fed(x, self.W_input.node(), self.b.node()), start)
        for buffer, value in zip((self.outputs, *self.saved), values, strict=True):
            buffer.write(features_first(value))
        self.final_state_buffer.write(ops.transpose(values[0][self.nsteps - 1]))

    def _states(self) -> list[Tensor]:
        return [self.outputs]

    def bprop(self, deltas: Tensor, alpha: float = 1.0, beta: float = 0.0) -> Any:
        perform(lambda: self._backward(deltas, alpha, beta), self.be.programs)
        return self.deltas

    def _backward(self, deltas: Tensor, alpha: float, beta: float) -> None:
        error, *values = [
            steps_first(t.node(), self.nsteps) for t in (deltas, self.outputs, *self.saved)
        ]
        first = None if self.init_state is None else ops.transpose(self.init_state.node())
        errors, recur, hidden = self._pass().backward(error, tuple(values), first)
        self.gate_errors.write(features_first(errors))
        x = steps_first(self.x.node(), self.nsteps)
        parts = [over_steps(errors, x), recur, bias_error(errors)]
        self.dW.write(stacked(parts, self.W.shape))
        self._put(self.deltas, lambda: input_error(errors, self.W_input, self.deltas), alpha, beta)
        self.final_hidden_error.write(ops.transpose(hidden))

    def final_state(self) -> Tensor:
        """The last output, from which a decoder starts."""
        return self.final_state_buffer

    def get_final_hidden_error(self) -> Tensor:
        """The error of the first state, which is that of an encoder's last output."""
        return self.final_hidden_error


class LSTM(Recurrent):
    """Long short-term memory, gates i, f, o, g: c = f·c' + i·g, h = o · activation(c)."""

    ngates = 4

    def __init__(
        self,
        output_size: int,
        init: Any,
        init_inner: Any = None,
        activation: Any = None,
        gate_activation: Any = None,
        reset_cells: bool = False,
        name: str | None = None,
    ) -> None:
        if gate_activation is None:
            raise AssertionError("LSTM layer requires gate_activation to be specified")
        super().__init__(output_size, init, init_inner, activation, reset_cells, name)
        self.gate_activation = gate_activation

    def _buffers(self) -> list[Tensor]:
        self.c_buffer, self.c_act_buffer = (self.be.iobuf(self.out_shape) for _ in range(2))
        self.ifog_buffer = self.be.iobuf(self.gate_shape)
        self.c = get_steps(self.c_buffer, self.out_shape)
        return [self.c_buffer, self.c_act_buffer, self.ifog_buffer]

    @property
    def ifog_delta_buffer(self) -> Tensor:
        """The errors of the gates."""
        return self.gate_errors

    def _states(self) -> list[Tensor]:
        return [self.outputs, self.c_buffer]

    def _pass(self) -> Pass:
        return LSTMPass(self.W_recur.node(), self.activation, self.gate_activation, self.W)


class GRU(Recurrent):
    """Gated recurrent units, gates r, z and the candidate: h = (1 − z)·h' + z·candidate."""

    ngates = 3

    def __init__(
        self,
        output_size: int,
        init: Any,
        init_inner: Any = None,
        activation: Any = None,
        gate_activation: Any = None,
        reset_cells: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(output_size, init, init_inner, activation, reset_cells, name)
        self.gate_activation = gate_activation

    def _buffers(self) -> list[Tensor]:
        self.rzhcan_buffer = self.be.iobuf(self.gate_shape)
        self.rh_prev_buffer = self.be.iobuf(self.out_shape)
        return [self.rzhcan_buffer, self.rh_prev_buffer]

    @property
    def rzhcan_delta_buffer(self) -> Tensor:
        """The errors of the gates."""
        return self.gate_errors

    def _pass(self) -> Pass:
        return GRUPass(self.W_recur.node(), self.activation, self.gate_activation, self.W)

    def init_params(self, shape: tuple[int, int]) -> None:
        super().init_params(shape)
        split = 2 * shape[0]
        self.Wrz_recur, self.Whcan_recur = self.W_recur[:split], self.W_recur[split:]
        self.b_rz, self.b_hcan = self.b[:split], self.b[split:]
        self.dWrz_recur, self.dWhcan_recur = self.dW_recur[:split], self.dW_recur[split:]


class RecurrentOutput(Layer):
    """One value of all steps: (features, steps) to (features, 1)."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name or self.classnm)
        self.owns_output = self.owns_delta = True

    def __str__(self) -> str:
        return (
            f"RecurrentOutput choice {self.name} : ({self.nin}, {self.nsteps}) inputs, "
            f"{self.nin} outputs"
        )

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.nin, self.nsteps = features_and_steps(self.in_shape)
        self.out_shape = (self.nin, 1)
        return self

    def set_deltas(self, delta_buffers: Any) -> None:
        super().set_deltas(delta_buffers)
        self.deltas_buffer = self.deltas

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.x = inputs

        def forward() -> None:
            self.outputs.write(
                ops.transpose(self._collected(steps_first(inputs.node(), self.nsteps)))
            )

        perform(forward, self.be.programs)
        return self.outputs

    def bprop(self, error: Tensor, alpha: float = 1.0, beta: float = 0.0) -> Any:
        if self.deltas is not None:
            perform(lambda: self._backward(error, alpha, beta), self.be.programs)
        return self.deltas

    def _backward(self, error: Tensor, alpha: float, beta: float) -> None:
        spread = self._spread(ops.transpose(error.node()) * float(alpha))
        found = ops.reshape(features_first(spread), shape=tuple(self.deltas.shape))
        self.deltas.write(found if beta == 0 else found + self.deltas.node() * float(beta))

    def _collected(self, x: Node) -> Node:
        """From (steps, batch, features) to (batch, features)."""
        raise NotImplementedError

    def _spread(self, error: Node) -> Node:
        """The error of each step."""
        raise NotImplementedError


class RecurrentSum(RecurrentOutput):
    """The sum over the steps."""

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.sumscale = 1.0
        return self

    def _collected(self, x: Node) -> Node:
        return ops.sum(x, axis=0) * self.sumscale

    def _spread(self, error: Node) -> Node:
        shape = (self.nsteps, *error.tensor.static)
        return ops.broadcast_to(error * self.sumscale, shape)


class RecurrentMean(RecurrentSum):
    """The mean over the steps."""

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.sumscale = 1.0 / self.nsteps
        return self


class RecurrentLast(RecurrentOutput):
    """The last step."""

    def _collected(self, x: Node) -> Node:
        return x[self.nsteps - 1]

    def _spread(self, error: Node) -> Node:
        before = ops.zeros((self.nsteps - 1, *error.shape), error.dtype)
        last = ops.expand_dims(error, 0)
        return last if self.nsteps == 1 else ops.concatenate(before, last, axis=0)


for _name in __all__:
    globals()[_name].__module__ = __name__  # files name classes by it
