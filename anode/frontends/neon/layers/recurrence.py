"""The loops of neon's recurrent layers: forward over the steps, and back with neon's errors.

Nodes here are (steps, batch, features), products of inputs are computed for all steps before a loop
and gradients of weights after it. Errors are multiplied by the transforms' `bprop` of their values,
as neon does. The state before the first step takes no part in gradients unless it is an encoder's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from anode import ops
from anode.frontends.neon.backends.lowering import fitted, lowered
from anode.frontends.neon.backends.optree import OpTreeNode
from anode.frontends.neon.backends.tensor import Tensor
from anode.ir.node import Node
from anode.ops.recurrent import columns, gates, project

Nodes = tuple[Node, ...]


def steps_first(x: Node, steps: int) -> Node:
    """(features, steps · batch) as (steps, batch, features)."""
    features, columns = x.tensor.static
    return ops.transpose(
        ops.reshape(x, shape=(features, steps, columns // steps)), permutation=(1, 2, 0)
    )


def features_first(x: Node) -> Node:
    """(steps, batch, features) as (features, steps · batch)."""
    steps, batch, features = x.tensor.static
    return ops.reshape(ops.transpose(x, permutation=(2, 0, 1)), shape=(features, steps * batch))


@dataclass(frozen=True)
class Pass:
    """One layer's loop in one direction; `recur` is (gates · n, n), states are (batch, n).

    A subclass has `step`, from the input's product and the states to what `values` lists, of which
    the first are the states, and `back`, from errors to those of the gates.
    """

    recur: Node
    activation: Any
    gate_activation: Any
    like: Tensor
    reverse: bool = False

    states = 1
    needs: ClassVar[tuple[int, ...]] = ()  # the values that `back` takes of the step before too

    def forward(self, fed: Node, start: Nodes) -> Nodes:
        """All values of `step`, each for all steps."""

        def step(state: Nodes, x: Node) -> tuple[Nodes, Nodes]:
            values = self.step(x, state)
            return values[: self.states], values

        return ops.scan(step, start, fed, reverse=self.reverse)[1]

    def backward(self, error: Node, values: Nodes, start: Node | None) -> tuple[Node, Node, Node]:
        """The errors of all gates, of `recur`, and of the first state."""
        before = tuple([self.shifted(values[i], None if i else start) for i in self.needs])
        count = len(values)

        def step(carry: Nodes, given: Nodes) -> tuple[Nodes, Node]:
            error, *rest = given
            return self.back(error, tuple(rest[:count]), tuple(rest[count:]), carry)

        zeros = ops.zeros(error.shape[1:], error.dtype)
        first = (zeros,) * self.states
        sequences = (error, *values, *before)
        carry, found = ops.scan(step, first, sequences, reverse=not self.reverse)
        return found, self.weight_error(found, values, self.shifted(values[0], start)), carry[0]

    def shifted(self, x: Node, start: Node | None) -> Node:
        """The value before each step: `start`, or zero, before the first."""
        first = ops.zeros(x.shape[1:], x.dtype) if start is None else start
        first = ops.expand_dims(first, 0)
        if x.shape[0] == 1:
            return first
        if self.reverse:
            return ops.concatenate(x[1:], first, axis=0)
        return ops.concatenate(first, x[:-1], axis=0)

    def weight_error(self, errors: Node, values: Nodes, before: Node) -> Node:
        """The gradient of `recur`."""
        return over_steps(errors, before)

    def step(self, x: Node, state: Nodes) -> Nodes:
        raise NotImplementedError

    def back(self, error: Node, values: Nodes, before: Nodes, carry: Nodes) -> tuple[Nodes, Node]:
        raise NotImplementedError

    def product(self, h: Node) -> Node:
        return h @ ops.transpose(self.recur)

    def of(self, transform: Any, x: Node) -> Node:
        """A transform of a node."""
        return self._fitted(transform(self._tree(x)), x)

    def slope(self, transform: Any, y: Node) -> Node:
        """What a transform's `bprop` gives for its value."""
        return self._fitted(transform.bprop(self._tree(y)), y)

    def _tree(self, x: Node) -> OpTreeNode:
        return OpTreeNode.made(lambda: x, x.tensor.static, self.like)

    def _fitted(self, value: Any, like: Node) -> Node:
        shape = like.tensor.static
        return fitted(lowered(value, shape), shape, like.dtype)


class SimplePass(Pass):
    """h = activation(x + recur · h')."""

    def step(self, x: Node, state: Nodes) -> Nodes:
        return (self.of(self.activation, x + self.product(state[0])),)

    def back(self, error: Node, values: Nodes, before: Nodes, carry: Nodes) -> tuple[Nodes, Node]:
        found = self.slope(self.activation, values[0]) * (error + carry[0])
        return (found @ self.recur,), found


class WrappingPass(SimplePass):
    """The loop of neon's BiBNRNN, whose first step passes its error on to the last once more."""

    def backward(self, error: Node, values: Nodes, start: Node | None) -> tuple[Node, Node, Node]:
        found, _, hidden = super().backward(error, values, start)
        others = ops.zeros((int(error.shape[0]) - 1, *hidden.shape), hidden.dtype)
        wrapped = [others, ops.expand_dims(hidden, 0)]
        found = found + ops.concatenate(*(wrapped[::-1] if self.reverse else wrapped), axis=0)
        return found, self.weight_error(found, values, self.shifted(values[0], start)), hidden


class LSTMPass(Pass):
    """h, c, activation(c) and the gates i, f, o, g."""

    states = 2
    needs = (1,)

    def step(self, x: Node, state: Nodes) -> Nodes:
        h, c = state
        n = int(h.shape[1])
        fed = x + self.product(h)
        ifo = self.of(self.gate_activation, columns(fed, 0, 3 * n))
        g = self.of(self.activation, columns(fed, 3 * n, 4 * n))
        i, f, o = gates(ifo, 3)
        c = f * c + i * g
        c_act = self.of(self.activation, c)
        return o * c_act, c, c_act, ops.concatenate(ifo, g, axis=1)

    def back(self, error: Node, values: Nodes, before: Nodes, carry: Nodes) -> tuple[Nodes, Node]:
        _, _, c_act, ifog = values
        i, f, o, g = gates(ifog, 4)
        di, df, do = gates(
            self.slope(self.gate_activation, columns(ifog, 0, 3 * int(i.shape[1]))), 3
        )
        dg = self.slope(self.activation, g)
        error = error + carry[0]
        cell = carry[1] + self.slope(self.activation, c_act) * (o * error)
        found = ops.concatenate(
            di * cell * g, df * cell * before[0], do * error * c_act, dg * cell * i, axis=1
        )
        return (found @ self.recur, cell * f), found

    def weight_error(self, errors: Node, values: Nodes, before: Node) -> Node:
        return over_steps(errors, self.shifted(values[0], None))


class GRUPass(Pass):
    """h, the gates r, z and the candidate, and r · h'."""

    needs = (0,)

    def step(self, x: Node, state: Nodes) -> Nodes:
        (h,) = state
        n = int(h.shape[1])
        for_gates, for_candidate = self._halves(n)
        rz = columns(x, 0, 2 * n) + h @ ops.transpose(for_gates)
        r, z = gates(self.of(self.gate_activation, rz), 2)
        kept = r * h
        fed = kept @ ops.transpose(for_candidate) + columns(x, 2 * n, 3 * n)
        candidate = self.of(self.activation, fed)
        return (1.0 - z) * h + z * candidate, ops.concatenate(r, z, candidate, axis=1), kept

    def _halves(self, n: int) -> tuple[Node, Node]:
        return self.recur[: 2 * n], self.recur[2 * n :]

    def back(self, error: Node, values: Nodes, before: Nodes, carry: Nodes) -> tuple[Nodes, Node]:
        r, z, candidate = gates(values[1], 3)
        for_gates, for_candidate = self._halves(int(r.shape[1]))
        error, h = error + carry[0], before[0]
        of_candidate = self.slope(self.activation, candidate) * error * z
        of_z = self.slope(self.gate_activation, z) * error * (candidate - h)
        of_kept = of_candidate @ for_candidate
        of_r = self.slope(self.gate_activation, r) * of_kept * h
        rz = ops.concatenate(of_r, of_z, axis=1)
        return (
            (error * (1.0 - z) + rz @ for_gates + r * of_kept,),
            ops.concatenate(rz, of_candidate, axis=1),
        )

    def weight_error(self, errors: Node, values: Nodes, before: Node) -> Node:
        n = int(before.shape[2])
        r = columns(values[1], 0, n)
        rows = over_steps(columns(errors, 0, 2 * n), before)
        of_candidate = over_steps(columns(errors, 2 * n, 3 * n), r * before)
        return ops.concatenate(rows, of_candidate, axis=0)


def over_steps(x: Node, y: Node) -> Node:
    """xᵀ · y, summed over steps and batch."""
    return ops.dot_general(x, y, contract=((0, 1), (0, 1)))


def fed(x: Node, weight: Node, bias: Node | None) -> Node:
    """weight · x + bias for all steps; weight (gates · n, inputs), bias (gates · n, 1)."""
    flat = None if bias is None else ops.reshape(bias, shape=(int(bias.shape[0]),))
    return project(x, ops.transpose(weight), flat)
