"""Recurrent layers and cells; time is one loop of the graph, not a copy of the step for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.axis import shadow_axes_map
from anode.frontends.ngraph.frontends.neon.base import Layer, weight
from anode.frontends.ngraph.frontends.neon.dense import Affine, Linear
from anode.frontends.ngraph.frontends.neon.graph import SubGraph
from anode.frontends.ngraph.frontends.neon.normalization import BatchNorm
from anode.frontends.ngraph.op_graph.loop import Loop

Ops = list[Any]


def get_steps(x: Any, time_axis: Any, backward: bool = False) -> list[Any]:
    """The slices of a tensor, or of a dict of tensors, along the axis of time."""
    order = range(time_axis.length)
    steps = reversed(order) if backward else order
    if isinstance(x, dict):
        return [{k: ng.slice_along_axis(v, time_axis, i) for k, v in x.items()} for i in steps]
    return [ng.slice_along_axis(x, time_axis, i) for i in steps]


class Recurrent(Layer):
    """h = activation(W_input·x + W_recur·h + b), over the recurrent axis of the input.

    `init_inner` initializes W_recur (default: as W_input). With `batch_norm` the products of the
    input are normalized. With reset_cells=False the last state is kept in a variable, and is the
    first of the next call. `backward` runs from the last step to the first. The result has the
    axes (hidden, REC, N), or without `return_sequence` those of the last state.
    """

    def __init__(
        self,
        nout: int,
        init: Any,
        init_inner: Any = None,
        activation: Callable[[Any], Any] | None = None,
        batch_norm: bool = False,
        reset_cells: bool = True,
        return_sequence: bool = True,
        backward: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.nout = nout
        self.activation: Callable[[Any], Any] = activation  # type: ignore[assignment]
        self.init = init
        self.init_inner = init if init_inner is None else init_inner
        self.reset_cells = reset_cells
        self.return_sequence = return_sequence
        self.backward = backward
        self.batch_norm: Any = BatchNorm() if batch_norm is True else None
        self.W_input: Any = None
        self.W_recur: Any = None
        self.b: Any = None
        self.h_init: Any = None

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, init_state: Any = None, **kwargs: Any) -> Any:
        states = [] if init_state is None else [init_state]
        self._prepare(in_obj, states)
        (self.h_init,) = self._initial_states(in_obj, states, ["h_init"])
        product = ng.dot(self.W_input, in_obj)
        if self.batch_norm is not None:
            product = self.batch_norm(product)
        return self._run(product, [self.h_init])[0]

    def _prepare(self, in_obj: Any, states: Ops) -> None:
        """Read the axes of an input; at the first call, make the weights."""
        self.recurrent_axis = in_obj.axes.recurrent_axis()
        if not self.initialized:
            self.in_feature_axes = in_obj.axes.sample_axes() - self.recurrent_axis
            self.out_feature_axes = self._hidden_axes(states)
            hidden = ng.make_axes(list(shadow_axes_map(self.out_feature_axes)))
            self.w_in_axes = hidden + self.in_feature_axes
            self.w_re_axes = hidden + self.out_feature_axes
            self._make_weights()
        self.out_axes = self.out_feature_axes + in_obj.axes.batch_axis()

    def _hidden_axes(self, states: Ops) -> Any:
        """Those of the initial state, or a new one: of the input's name where that has one axis."""
        if states:
            axes = states[0].axes
            hidden = axes.sample_axes() - axes.recurrent_axis()
            if sum(hidden.full_lengths) != self.nout:
                count = sum(hidden.full_lengths)
                raise ValueError(f"the initial state has {count} features, nout is {self.nout}")
            return hidden
        axis = ng.make_axis(self.nout)
        if len(self.in_feature_axes) == 1:
            axis.named(self.in_feature_axes[0].name)
        return ng.make_axes([axis])

    def _make_weights(self) -> None:
        self.W_input = weight(self.w_in_axes, self.init, "W_in")
        self.W_recur = weight(self.w_re_axes, self.init_inner, "W_re")
        self.b = weight(self.out_feature_axes, 0, "bias", "bias")

    def _initial_states(self, in_obj: Any, states: Ops, names: Sequence[str]) -> Ops:
        """What is given, else zeros, or the variables that keep the last states."""
        if states:
            return states
        kept = [getattr(self, name) for name in names]
        if not self.reset_cells and None not in kept:
            return kept
        make = _zeros if self.reset_cells else _kept_state
        return [make(self.out_axes).named(name) for name in names]

    def _step(self, product: Any, states: Ops) -> Ops:
        (h,) = states
        recurrent = ng.cast_role(ng.dot(self.W_recur, h), self.out_axes)
        return [self.activation(recurrent + ng.cast_role(product, self.out_axes) + self.b)]

    def _run(self, products: Any, initial: Ops, count: int = 1) -> Ops:
        """The first `count` states, of all steps or of the last; keeps the last if not reset."""
        loop = Loop(self.recurrent_axis, self.backward)
        casts = [ng.cast_role(state, self.out_axes) for state in initial]
        loop.run(self._step, products, casts)
        wanted = [self._wanted(loop, i) for i in range(count)]
        if self.reset_cells is True:
            return wanted
        kept = ng.doall([ng.assign(s, self._kept(loop, i)) for i, s in enumerate(initial)])
        return [ng.sequential([kept, state]) for state in wanted]

    def _kept(self, loop: Loop, index: int) -> Any:
        """The state that the next call starts from.

        As in neon, a backward layer that returns the sequence keeps the state at the sequence's
        end, which is that after its first step.
        """
        if not (self.backward and self.return_sequence is True):
            return loop.last(index)
        every = loop.stacked(index, 0)
        return ng.slice_along_axis(every, loop.axis, loop.axis.length - 1)

    def _wanted(self, loop: Loop, index: int) -> Any:
        if self.return_sequence is not True:
            return loop.last(index)
        return loop.stacked(index, len(self.out_feature_axes))


def _zeros(axes: Any) -> Any:
    return ng.constant(const=0, axes=axes)


def _kept_state(axes: Any) -> Any:
    return ng.variable(initial_value=0, axes=axes)


class LSTM(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), without peepholes.

    c = f·c + i·g, h = o·activation(c), with the gates i, f and o by `gate_activation` (default:
    activation) and g by `activation` of W_input·x + W_recur·h + b, each gate with weights of its
    own. `init_state` is a pair of the hidden and the cell state.
    """

    metadata = {"gates": ["i", "f", "o", "g"]}  # noqa: RUF012 - read by scripts

    def __init__(
        self,
        nout: int,
        init: Any,
        init_inner: Any = None,
        activation: Callable[[Any], Any] | None = None,
        gate_activation: Callable[[Any], Any] | None = None,
        batch_norm: bool = False,
        reset_cells: bool = True,
        return_sequence: bool = True,
        backward: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            nout,
            init,
            init_inner,
            activation,
            reset_cells=reset_cells,
            return_sequence=return_sequence,
            backward=backward,
            **kwargs,
        )
        gates = self.metadata["gates"]
        self.batch_norm = {k: BatchNorm() for k in gates} if batch_norm is True else None
        self.gate_activation = self.activation if gate_activation is None else gate_activation
        self.gate_axis = ng.make_axis(length=len(gates), name="gates__NG")
        self.c_init: Any = None

    def _make_weights(self) -> None:
        gates = self.metadata["gates"]
        self.W_input = {k: weight(self.w_in_axes, self.init, f"W_in_{k}") for k in gates}
        self.W_recur = {k: weight(self.w_re_axes, self.init_inner, f"W_re_{k}") for k in gates}
        self.b = {k: weight(self.out_feature_axes, 0, f"bias_{k}", "bias") for k in gates}

    @SubGraph.scope_op_creation
    def __call__(
        self,
        in_obj: Any,
        init_state: Any = None,
        return_cell_state: bool = False,
        **kwargs: Any,
    ) -> Any:
        states = [] if init_state is None else list(init_state)
        if states and (len(states) != 2 or states[0].axes != states[1].axes):
            raise ValueError("init_state of an LSTM is two tensors with the same axes")
        self._prepare(in_obj, states)
        self.h_init, self.c_init = self._initial_states(in_obj, states, ["h_init", "c_init"])
        # The gates' products are one: each gate is a slice along an axis of its own.
        product = ng.dot(self._stacked(self.W_input), in_obj)
        if self.batch_norm is not None:
            gates = {k: self.batch_norm[k](gate) for k, gate in self._gates(product).items()}
            product = self._stacked(gates)
        self._weights = self._stacked(self.W_recur), self._stacked(self.b)
        initial = [self.h_init, self.c_init]
        results = self._run(product, initial, 2 if return_cell_state else 1)
        return tuple(results) if return_cell_state else results[0]

    def _stacked(self, by_gate: dict[str, Any]) -> Any:
        return ng.stack([by_gate[k] for k in self.metadata["gates"]], self.gate_axis, pos=0)

    def _gates(self, x: Any) -> dict[str, Any]:
        gates = enumerate(self.metadata["gates"])
        return {k: ng.slice_along_axis(x, self.gate_axis, i) for i, k in gates}

    def _step(self, product: Any, states: Ops) -> Ops:
        h, c = states
        weights, biases = self._weights
        axes = ng.make_axes([self.gate_axis]) + self.out_axes
        recurrent = ng.cast_role(ng.dot(weights, h), axes)
        gates = self._gates(ng.cast_role(product, axes) + recurrent + biases)
        i, f, o = (self.gate_activation(gates[k]) for k in "ifo")
        c = f * c + i * self.activation(gates["g"])
        return [ng.cast_role(o * self.activation(c), self.out_axes), c]


class BiRNN(Layer):
    """Two Recurrent layers, the second backward; a pair of results, or their sum or both in one.

    The input and `init_state` may be pairs, of the two directions. ValueError where both `sum_out`
    and `concat_out` are asked for.
    """

    def __init__(
        self,
        nout: int,
        init: Any,
        init_inner: Any = None,
        activation: Callable[[Any], Any] | None = None,
        batch_norm: bool = False,
        reset_cells: bool = False,
        return_sequence: bool = True,
        sum_out: bool = False,
        concat_out: bool = False,
        **kwargs: Any,
    ) -> None:
        if sum_out and concat_out:
            raise ValueError("sum_out and concat_out cannot both be True")
        super().__init__(**kwargs)
        self.sum_out = sum_out
        self.concat_out = concat_out
        self.nout = nout
        self.fwd_rnn, self.bwd_rnn = (
            Recurrent(
                nout,
                init,
                init_inner,
                activation=activation,
                batch_norm=batch_norm,
                reset_cells=reset_cells,
                return_sequence=return_sequence,
                backward=backward,
            )
            for backward in (False, True)
        )

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, init_state: Any = None, **kwargs: Any) -> Any:
        inputs, states = _pair(in_obj, "in_obj"), _pair(init_state, "init_state")
        with ng.metadata(direction="fwd"):
            forward = self.fwd_rnn(inputs[0], states[0])
        with ng.metadata(direction="bwd"):
            backward = ng.cast_role(self.bwd_rnn(inputs[1], states[1]), forward.axes)
        if self.sum_out:
            return forward + backward
        if not self.concat_out:
            return forward, backward
        features = forward.axes.feature_axes()
        if len(features) != 1:
            raise ValueError(f"several hidden axes cannot be joined: {features}")
        return ng.concat_along_axis([forward, backward], features[0])


def _pair(value: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(value, Sequence):
        return value, value
    if len(value) != 2 or value[0].axes != value[1].axes:
        raise ValueError(f"{name} of a BiRNN is one tensor, or two with the same axes")
    return value[0], value[1]


def unroll(
    cell: Any,
    num_steps: int,
    inputs: Any,
    init_states: dict[str, Any] | None = None,
    reset_cells: bool = True,
    return_sequence: bool = True,
    reverse_mode: bool = False,
) -> Any:
    """The outputs of `cell` over `num_steps` steps of the input, or the last one.

    A cell is a function of an input and a dict of states that gives the output and the new dict.
    With reset_cells=False the last states are assigned to `init_states`.
    """
    axis = inputs.axes.recurrent_axis()
    batch = inputs.axes.batch_axis()
    axes = cell.feature_axes + batch
    if init_states is None:
        states = cell.initialize_states(batch)
    else:
        states = {name: ng.cast_role(state, axes) for name, state in init_states.items()}
    names = list(states)

    def step(x: Any, values: Ops) -> Ops:
        output, new = cell(x, dict(zip(names, values, strict=True)))
        return [output, *(new[name] for name in names)]

    loop = Loop(axis, reverse_mode, num_steps)
    loop.run(step, inputs, [None, *states.values()])
    output = loop.stacked(0, len(cell.feature_axes)) if return_sequence else loop.last(0)
    if reset_cells:
        return output
    if init_states is None:
        raise ValueError(
            "unroll with reset_cells=False needs init_states, which keep the last ones"
        )
    kept = [ng.assign(init_states[name], loop.last(i)) for i, name in enumerate(names, 1)]
    return ng.sequential([ng.doall(kept), output])


class BaseRNNCell(Layer):
    """A cell: called with an input and a dict of states, it gives an output and the new dict."""

    def __init__(self, cell_type: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell_type = cell_type

    def __call__(  # type: ignore[override]
        self, inputs: Any, states: Any, **kwargs: Any
    ) -> Any:
        raise NotImplementedError

    @property
    def state_info(self) -> list[dict[str, Any]]:
        """A dict with 'state_name' for each state."""
        raise NotImplementedError

    @property
    def feature_axes(self) -> Any:
        """The axes of a state but the batch's."""
        raise NotImplementedError

    @SubGraph.scope_op_creation
    def initialize_states(self, batch_axis: Any, reset_cells: bool = True) -> dict[str, Any]:
        """States of 0: constants, or variables where cells are not reset."""
        axes = self.feature_axes + batch_axis
        make = _zeros if reset_cells else _kept_state
        names = [info["state_name"] for info in self.state_info]
        return {name: make(axes).named(name) for name in names}


class RNNCell(BaseRNNCell):
    """h = activation(i2h(x) + h2h(h)), where i2h is an Affine layer and h2h a Linear one."""

    def __init__(
        self,
        nout: int,
        init: Any,
        init_h2h: Any = None,
        bias_init: Any = None,
        activation: Callable[[Any], Any] | None = None,
        batch_norm: bool = False,
        reset_cells: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.nout = nout
        self.init = init
        self.init_h2h = init if init_h2h is None else init_h2h
        self.bias_init = bias_init
        self.activation: Callable[[Any], Any] = activation  # type: ignore[assignment]
        self.batch_norm = batch_norm
        self.reset_cells = reset_cells
        self.h2h = Linear(nout=nout, init=self.init_h2h)
        self.i2h = Affine(
            axes=self.h2h.axes, weight_init=init, bias_init=bias_init, batch_norm=batch_norm
        )

    @property
    def state_info(self) -> list[dict[str, Any]]:
        return [{"state_name": "h"}]

    @property
    def feature_axes(self) -> Any:
        return self.h2h.axes.feature_axes()

    @SubGraph.scope_op_creation
    def __call__(self, inputs: Any, states: Any, reset_cells: bool = True, **kwargs: Any) -> Any:
        if states is None:
            states = self.initialize_states(inputs.axes.batch_axis(), reset_cells=reset_cells)
        product = ng.cast_role(self.i2h(inputs), states["h"].axes)
        states["h"] = self.activation(product + self.h2h(states["h"]))
        return states["h"], states
