"""Recurrent loops: a cell repeated over time, one native loop below every frontend.

Values are time-major: (steps, batch, features). A cell is one step, a function `(x, state) ->
(output, state)` of nodes, where a state is a tuple of nodes. The standard cells take `x` as
`project` gives it, for all steps at once before the loop, with a block of columns for each gate.
Weights are (inputs, outputs).
"""

from __future__ import annotations

from collections.abc import Callable

from anode.ir.dtypes import i32
from anode.ir.node import Node
from anode.ops.control import scan
from anode.ops.elementwise import less, logistic, select, tanh
from anode.ops.linalg import dot_general
from anode.ops.rules import mismatch
from anode.ops.shape import broadcast_in_dim, expand_dims, iota, slice, squeeze, zeros_like

Nodes = tuple[Node, ...]
State = Nodes
Step = Callable[[Node, State], tuple[Node, State]]
Activation = Callable[[Node], Node]


def recurrent(
    step: Step, x: Node, start: State, *, mask: Node | None = None, reverse: bool = False
) -> tuple[Node, State]:
    """The outputs (steps, batch, …) of a cell over `x`, time-major, and its last state.

    `start` is the state before the first step, or with `reverse`, which begins at the end, after
    the last. Where `mask` (bool[steps, batch]) is false the state stays as it is and the output is
    0: a padded row gives what it gives alone, in both directions.
    """
    if mask is not None and mask.shape != x.shape[:2]:
        raise mismatch("recurrent", "the mask is bool[steps, batch]", [mask.type, x.type])

    def masked(state: State, given: Nodes) -> tuple[State, Node]:
        output, new = step(given[0], state)
        if len(given) == 1:
            return new, output
        alive = given[1]
        kept = tuple([_rows(alive, a, b) for a, b in zip(new, state, strict=True)])
        return kept, _rows(alive, output, zeros_like(output))

    sequences = (x,) if mask is None else (x, mask)
    if x.shape[0] == 1:  # such as a decoder's, which has a loop of its own
        last, output = masked(start, tuple([squeeze(s, axis=0) for s in sequences]))
        return expand_dims(output, axis=0), last
    last, y = scan(masked, start, sequences, reverse=reverse)
    return y, last


def length_mask(lengths: Node, steps: int) -> Node:
    """bool[steps, batch]: whether each step lies within the row's length, an integer of [batch]."""
    shape = (steps, *lengths.shape)
    step = iota(shape=shape, dtype=i32, axis=0)
    return less(step, broadcast_in_dim(lengths, shape=shape, axes=(1,)))


def project(x: Node, weight: Node, bias: Node | None = None) -> Node:
    """x · weight + bias for all steps as one product; `x` is (steps, batch, inputs)."""
    y = dot_general(x, weight, contract=((len(x.shape) - 1,), (0,)))
    return y if bias is None else y + _columns(bias, y)


def simple_cell(weight: Node, activation: Activation = tanh) -> Step:
    """h = activation(x + h' · weight), a weight of (n, n)."""

    def step(x: Node, state: State) -> tuple[Node, State]:
        h = activation(x + state[0] @ weight)
        return h, (h,)

    return step


def lstm_cell(
    weight: Node,
    activation: Activation = tanh,
    gate_activation: Activation = logistic,
    forget_bias: float = 0.0,
) -> Step:
    """The long short-term memory of (h, c), a weight of (n, 4n) with the gates i, f, o, g.

    c = f·c' + i·g and h = o · activation(c); g has `activation`, the others `gate_activation`, f
    after adding `forget_bias`. Source: Hochreiter and Schmidhuber 1997, Gers et al. 2000.
    """

    def step(x: Node, state: State) -> tuple[Node, State]:
        h, c = state
        i, f, o, g = gates(x + h @ weight, 4)
        i, f, o = map(gate_activation, (i, f + forget_bias if forget_bias else f, o))
        c = f * c + i * activation(g)
        h = o * activation(c)
        return h, (h, c)

    return step


def gru_cell(
    weight: Node,
    activation: Activation = tanh,
    gate_activation: Activation = logistic,
    *,
    reset_after: bool = False,
    bias: Node | None = None,
) -> Step:
    """The gated recurrent unit, a weight of (n, 3n) with the gates r, z and the candidate.

    h = (1 − z)·h' + z·candidate. The reset gate multiplies h' before its product with the weight,
    or with `reset_after` the product, to which `bias` (n) is added first. Source: Cho et al. 2014;
    the second form is cuDNN's.
    """
    n = int(weight.shape[0])
    if bias is not None and not reset_after:
        raise mismatch("gru_cell", "a bias of the candidate is for reset_after", [bias.type])
    for_gates, for_candidate = columns(weight, 0, 2 * n), columns(weight, 2 * n, 3 * n)

    def candidate(x: Node, h: Node, r: Node) -> Node:
        if not reset_after:
            return activation(x + (r * h) @ for_candidate)
        product = h @ for_candidate
        return activation(x + r * (product if bias is None else product + _columns(bias, product)))

    def step(x: Node, state: State) -> tuple[Node, State]:
        (h,) = state
        r, z = map(gate_activation, gates(columns(x, 0, 2 * n) + h @ for_gates, 2))
        h = h + z * (candidate(columns(x, 2 * n, 3 * n), h, r) - h)
        return h, (h,)

    return step


def gates(x: Node, count: int) -> list[Node]:
    """`count` equal blocks of columns."""
    size = int(x.shape[-1]) // count
    return [columns(x, i * size, (i + 1) * size) for i in range(count)]


def columns(x: Node, start: int, limit: int) -> Node:
    """The elements from `start` to `limit` of the last dim."""
    before = x.tensor.static[:-1]
    zeros = (0,) * len(before)
    return slice(x, start=(*zeros, start), limit=(*before, limit), strides=(1,) * len(x.shape))


def _columns(bias: Node, like: Node) -> Node:
    """A vector as every row of something of the shape of `like`."""
    return broadcast_in_dim(bias, shape=like.shape, axes=(len(like.shape) - 1,))


def _rows(alive: Node, new: Node, old: Node) -> Node:
    return select(broadcast_in_dim(alive, shape=new.shape, axes=(0,)), new, old)
