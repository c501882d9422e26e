"""neon's recurrent layers that read from both ends: the forward rows, then the backward ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anode import ops
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.base import Layer
from anode.frontends.neon.layers.recurrence import (
    LSTMPass,
    Pass,
    SimplePass,
    WrappingPass,
    features_first,
    fed,
    over_steps,
    steps_first,
)
from anode.frontends.neon.layers.stateful import (
    Nodes,
    Stateful,
    bias_error,
    features_and_steps,
    get_steps,
    last_step,
    stacked,
)
from anode.frontends.neon.tracing import perform
from anode.ir.node import Node


class BiRNN(Stateful):
    """Simple recurrences from both ends: the forward rows, then the backward ones."""

    def __init__(
        self,
        output_size: int,
        init: Any,
        init_inner: Any = None,
        activation: Any = None,
        reset_cells: bool = False,
        split_inputs: bool = False,
        name: str | None = None,
        parallelism: str = "Data",
    ) -> None:
        super().__init__(output_size, init, init_inner, activation, reset_cells, name, parallelism)
        self.split_inputs = split_inputs
        self.W_input_f: Any = None
        self.W_input_b: Any = None
        self.W_recur_f: Any = None
        self.W_recur_b: Any = None
        self.b_f: Any = None
        self.b_b: Any = None

    def __str__(self) -> str:
        inputs = f"({self.nin // 2} inputs) * 2" if self.split_inputs else f"{self.nin} inputs"
        return (
            f"{self.classnm} Layer '{self.name}': {inputs}, ({self.nout} outputs) * 2, "
            f"{self.nsteps} steps"
        )

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        if self.split_inputs and self.nin % 2:
            raise ValueError("# inputs units is odd and split_inputs is True ")
        self.out_shape = (2 * self.nout, self.nsteps)
        self.gate_shape = (2 * self.nout * self.ngates, self.nsteps)
        self.o_shape = (self.nout, self.nsteps)
        self.g_shape = (self.nout * self.ngates, self.nsteps)
        self.i_shape = (self.nin // 2 if self.split_inputs else self.nin, self.nsteps)
        return self

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        super().allocate(shared_outputs, accumulate_updates)
        self.h_buffer = self.outputs
        self.h_buffer_f, self.h_buffer_b = self.outputs[: self.nout], self.outputs[self.nout :]
        self.h_f = get_steps(self.h_buffer_f, self.o_shape)
        self.h_b = get_steps(self.h_buffer_b, self.o_shape)
        self.saved = self._buffers()

    def _buffers(self) -> list[Tensor]:
        """Tensors, both directions' rows in each, for what `bprop` needs besides the outputs."""
        return []

    def init_params(self, shape: tuple[int, int]) -> None:
        nout, nin = self.nout, self.i_shape[0]
        self.g_nout = rows = self.ngates * nout
        new = self._make_weight((2 * (nin + nout + 1), rows))
        sizes = (("W_input", nin), ("W_recur", nout), ("b", 1))
        for before, weight in (("", self.W), ("d", self.dW)):
            start = 0
            for name, size in sizes:
                for end in "fb":
                    part = weight[start : start + size].reshape((rows, size))
                    setattr(self, f"{before}{name}_{end}", part)
                    start += size
        self.W_input = self.W_input_f
        if new:
            inner = self.init if self.init_inner is None else self.init_inner
            for weight, init in (
                (self.W_input_f, self.init),
                (self.W_input_b, self.init),
                (self.W_recur_f, inner),
                (self.W_recur_b, inner),
            ):
                self._fill(weight, init)
            self.W[-2:].fill(0.0)

    def _passes(self) -> Iterator[Pass]:
        for weight, reverse in ((self.W_recur_f, False), (self.W_recur_b, True)):
            yield self._pass(weight.node(), reverse)

    def _pass(self, recur: Node, reverse: bool) -> Pass:
        return SimplePass(recur, self.activation, None, self.W, reverse)

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.x = inputs.reshape(self.nin, self.nsteps * self.be.bsz)
        self.carries = inputs is not self.x  # as neon: inputs of this shape begin from zeros
        perform(lambda: self._forward(inference), self.be.programs)
        return self.outputs

    def _inputs(self) -> tuple[Node, Node]:
        """What each direction takes, (steps, batch, inputs)."""
        x = steps_first(self.x.node(), self.nsteps)
        if not self.split_inputs:
            return x, x
        half = self.nin // 2
        return x[:, :, :half], x[:, :, half:]

    def _fed(self, inference: bool) -> list[Node]:
        """The products with the inputs, and the biases, of each direction."""
        weights = ((self.W_input_f, self.b_f), (self.W_input_b, self.b_b))
        return [
            fed(x, weight.node(), bias.node())
            for x, (weight, bias) in zip(self._inputs(), weights, strict=True)
        ]

    def _forward(self, inference: bool) -> None:
        starts = self._starts()
        found = [
            one.forward(x, start)
            for one, x, start in zip(self._passes(), self._fed(inference), starts, strict=True)
        ]
        buffers = (self.outputs, *self.saved)
        for buffer, ahead, back in zip(buffers, *found, strict=True):
            both = ops.concatenate(features_first(ahead), features_first(back), axis=0)
            buffer.write(both)

    def _starts(self) -> list[Nodes]:
        """The first states of each direction: where the last minibatch ended, or zeros."""
        ends = [
            (last_step(self.h_buffer_f, self.nsteps),),
            (last_step(self.h_buffer_b, self.nsteps, True),),
        ]
        if self.carries:
            return [self._carried(*end) for end in ends]
        return [tuple([ops.zeros_like(make()) for make in end]) for end in ends]

    def _halves(self, x: Tensor) -> tuple[Node, Node]:
        """The rows of each direction, (steps, batch, …)."""
        both = steps_first(x.node(), self.nsteps)
        half = int(both.shape[2]) // 2
        return both[:, :, :half], both[:, :, half:]

    def bprop(self, error: Tensor, alpha: float = 1.0, beta: float = 0.0) -> Any:
        perform(lambda: self._backward(error, alpha, beta), self.be.programs)
        return self.deltas

    def _backward(self, error: Tensor, alpha: float, beta: float) -> None:
        values = zip(*map(self._halves, (self.outputs, *self.saved)), strict=True)
        each = zip(self._passes(), self._halves(error), values, strict=True)
        found = [one.backward(part, mine, None)[:2] for one, part, mine in each]
        errors, recurs = self._after((found[0][0], found[1][0])), [recur for _, recur in found]
        inputs = [over_steps(e, x) for e, x in zip(errors, self._inputs(), strict=True)]
        parts = [*inputs, *recurs, *map(bias_error, errors)]
        self.dW.write(stacked(parts, self.W.shape))
        self._put(self.deltas, lambda: self._inputs_error(errors), alpha, beta)

    def _after(self, errors: tuple[Node, Node]) -> tuple[Node, Node]:
        """The errors of the products with the inputs, from those inside of the loops."""
        return errors

    def _inputs_error(self, errors: tuple[Node, Node]) -> Node:
        weights = self.W_input_f.node(), self.W_input_b.node()
        ahead, back = (e @ w for e, w in zip(errors, weights, strict=True))
        both = ops.concatenate(ahead, back, axis=2) if self.split_inputs else ahead + back
        return ops.reshape(features_first(both), shape=tuple(self.deltas.shape))


class BiSum(Layer):
    """The sum of both directions."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.owns_output = self.owns_delta = True
        self.prev_layer = True

    def __str__(self) -> str:
        return "Sum layer to combine the forward and backward passes for BiRNN"

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.nin, self.nsteps = features_and_steps(self.in_shape)
        if self.nin % 2:
            raise AssertionError("The input feature dimension must be mulitple of 2")
        self.out_shape = (self.nin // 2, self.nsteps)
        return self

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        half = self.nin // 2
        self.outputs[:] = inputs[:half] + inputs[half:]
        return self.outputs

    def bprop(self, error: Tensor, alpha: float = 1.0, beta: float = 0.0) -> Any:
        half = self.nin // 2
        self.deltas[:half] = error
        self.deltas[half:] = error
        return self.deltas


class BiBNRNN(BiRNN):
    """BiRNN whose input products are normalised over batch and steps. Source: Amodei et al. 2015.

    As in neon, the first step of each direction passes its error on to the last one once more, the
    biases, which are added after normalising, get the errors of before it, and gamma and beta do
    not train: optimisers see other tensors than those that their gradients are in.
    """

    def __init__(
        self,
        output_size: int,
        init: Any,
        init_inner: Any = None,
        activation: Any = None,
        reset_cells: bool = False,
        split_inputs: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(output_size, init, init_inner, activation, reset_cells, split_inputs, name)
        self.rho, self.eps = 0.9, 1e-3
        self.beta: Any = None
        self.gamma: Any = None
        self.gmean: Any = None
        self.gvar: Any = None

    def _buffers(self) -> list[Tensor]:
        self.h_ff_buffer = self.be.iobuf(self.out_shape)
        return []

    def _pass(self, recur: Node, reverse: bool) -> Pass:
        return WrappingPass(recur, self.activation, None, self.W, reverse)

    def init_params(self, shape: tuple[int, int]) -> None:
        super().init_params(shape)
        be, size = self.be, (self.out_shape[0], 1)
        self.gmean = be.zeros(size) if self.gmean is None else self.gmean
        self.gvar = be.zeros(size) if self.gvar is None else self.gvar
        self.beta = be.zeros(size) if self.beta is None else self.beta
        self.gamma = be.ones(size) if self.gamma is None else self.gamma
        self.xmean, self.xvar = be.zeros(size), be.zeros(size)
        self.inf_params, self.params = [self.gmean, self.gvar], [self.beta, self.gamma]
        self.grad_params = [be.zeros_like(p) for p in self.params]
        self.grad_beta, self.grad_gamma = self.grad_params
        self.states_bn: list[list[Any]] = [[], []]
        pairs = zip(self.params, self.grad_params, self.states_bn, strict=True)
        self.plist = [
            ((self.W, self.dW), self.states),
            *[((weight, gradient), states) for weight, gradient, states in pairs],
        ]

    def set_deltas(self, delta_buffers: Any) -> None:
        super().set_deltas(delta_buffers)
        self.grad_gamma = self.be.zeros_like(self.gamma)
        self.grad_beta = self.be.zeros_like(self.beta)

    def get_params(self) -> Any:
        return self.plist

    def get_description(
        self, get_weights: bool = False, keep_states: bool = True, **kwargs: Any
    ) -> dict[str, Any]:
        found = super().get_description(get_weights, keep_states)
        if get_weights:
            for name in ("gmean", "gvar", "beta", "gamma"):
                found["params"][name] = getattr(self, name).get()
        return found

    def set_states(self, pdict: dict[str, Any]) -> None:
        super().set_states(pdict)
        if self.W_input is not None:
            self.plist[0] = ((self.W, self.dW), self.states)

    def _fed(self, inference: bool) -> list[Node]:
        weights = self.W_input_f.node(), self.W_input_b.node()
        products = [fed(x, w, None) for x, w in zip(self._inputs(), weights, strict=True)]
        both = ops.concatenate(*products, axis=2)
        y = self._normalised(both, inference)
        self.h_ff_buffer.write(features_first(y))
        biases = ops.concatenate(self.b_f.node(), self.b_b.node(), axis=0)
        y = y + _row(biases, y)
        return [y[:, :, : self.nout], y[:, :, self.nout :]]

    def _normalised(self, x: Node, inference: bool) -> Node:
        if inference:
            mean, variance = self.gmean.node(), self.gvar.node()
        else:
            column = (2 * self.nout, 1)
            mean = ops.reshape(ops.mean(x, axis=(0, 1)), shape=column)
            variance = ops.reshape(ops.var(x, axis=(0, 1)), shape=column)
            self.xmean.write(mean)
            self.xvar.write(variance)
            for kept, new in ((self.gmean, mean), (self.gvar, variance)):
                kept.write(kept.node() * self.rho + new * (1.0 - self.rho))
        centred = (x - _row(mean, x)) / _row(ops.sqrt(variance + self.eps), x)
        return centred * _row(self.gamma.node(), x) + _row(self.beta.node(), x)

    def _after(self, errors: tuple[Node, Node]) -> tuple[Node, Node]:
        y = steps_first(self.h_ff_buffer.node(), self.nsteps)
        found = self._unnormalised(ops.concatenate(*errors, axis=2), y)
        return found[:, :, : self.nout], found[:, :, self.nout :]

    def _unnormalised(self, error: Node, y: Node) -> Node:
        """The error of what was normalised, from that of the result `y`."""
        gamma = _row(self.gamma.node(), error)
        centred = (y - _row(self.beta.node(), y)) / gamma
        column = (2 * self.nout, 1)
        scale = ops.reshape(ops.sum(centred * error, axis=(0, 1)), shape=column)
        offset = ops.reshape(ops.sum(error, axis=(0, 1)), shape=column)
        self.grad_gamma.write(scale)
        self.grad_beta.write(offset)
        steps, batch, _ = error.tensor.static
        mean = (centred * _row(scale, y) + _row(offset, y)) / float(steps * batch)
        return gamma * (error - mean) / _row(ops.sqrt(self.xvar.node() + self.eps), y)

    def _fprop_bn(self, inputs: Tensor, inference: bool = False) -> Tensor:
        """Normalise a tensor in place."""

        def action() -> None:
            x = steps_first(inputs.node(), self.nsteps)
            inputs.write(features_first(self._normalised(x, inference)))

        perform(action, self.be.programs)
        return inputs

    def _bprop_bn(self, error: Tensor, input_post_bn: Tensor) -> Tensor:
        """Take an error back through the normalisation, in place."""

        def action() -> None:
            both = [steps_first(t.node(), self.nsteps) for t in (error, input_post_bn)]
            error.write(features_first(self._unnormalised(*both)))

        perform(action, self.be.programs)
        return error


def _row(column: Node, like: Node) -> Node:
    """A column of features for each step and row of the batch."""
    flat = ops.reshape(column, shape=(int(column.shape[0]),))
    return ops.broadcast_in_dim(flat, shape=like.shape, axes=(2,))


class BiLSTM(BiRNN):
    """LSTM from both ends. As in neon, outputs begin from zeros, memories where they ended."""

    ngates = 4

    def __init__(
        self,
        output_size: int,
        init: Any,
        init_inner: Any = None,
        activation: Any = None,
        gate_activation: Any = None,
        reset_cells: bool = False,
        split_inputs: bool = False,
        name: str | None = None,
    ) -> None:
        super().__init__(output_size, init, init_inner, activation, reset_cells, split_inputs, name)
        self.gate_activation = gate_activation

    def _buffers(self) -> list[Tensor]:
        self.c_buffer, self.c_act_buffer = (self.be.iobuf(self.out_shape) for _ in range(2))
        self.ifog_buffer = self.be.iobuf(self.gate_shape)
        return [self.c_buffer, self.c_act_buffer, self.ifog_buffer]

    def _pass(self, recur: Node, reverse: bool) -> Pass:
        return LSTMPass(recur, self.activation, self.gate_activation, self.W, reverse)

    def _starts(self) -> list[Nodes]:
        zeros = ops.zeros((self.be.bsz, self.nout), self.outputs.cell.type.dtype)
        if not self.carries:
            return [(zeros, zeros)] * 2
        half = self.nout
        ends = (
            last_step(self.c_buffer[:half], self.nsteps),
            last_step(self.c_buffer[half:], self.nsteps, True),
        )
        return [(zeros, *self._carried(end)) for end in ends]


class DeepBiRNN(list):
    """`depth` BiRNNs, or BiBNRNNs, one after the other, each with a BiSum after it or without."""

    def __init__(
        self,
        nout: int,
        init: Any,
        init_inner: Any = None,
        activation: Any = None,
        reset_cells: bool = False,
        depth: int = 1,
        batch_norm: bool = False,
        bi_sum: bool = False,
    ) -> None:
        super().__init__()
        if depth <= 0:
            raise ValueError("Depth is <= 0.")
        kind: type[BiRNN] = BiBNRNN if batch_norm else BiRNN
        for i in range(depth):
            split = i > 0 and not bi_sum
            weights = (nout, init, init_inner, activation, reset_cells)
            self.append(kind(*weights, split_inputs=split))
            if bi_sum:
                self.append(BiSum())


class DeepBiLSTM(list):
    """`depth` BiLSTMs one after the other."""

    def __init__(
        self,
        nout: int,
        init: Any,
        init_inner: Any = None,
        activation: Any = None,
        gate_activation: Any = None,
        reset_cells: bool = False,
        depth: int = 1,
    ) -> None:
        super().__init__()
        if depth <= 0:
            raise ValueError("Depth is <= 0.")
        weights = (nout, init, init_inner, activation, gate_activation, reset_cells)
        for i in range(depth):
            self.append(BiLSTM(*weights, split_inputs=i > 0))
