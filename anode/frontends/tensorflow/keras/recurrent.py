"""Recurrent layers: a cell over time, by one native loop."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.api.layers_base import InputSpec
from anode.frontends.tensorflow.control import scan_op
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.graph import name_scope
from anode.frontends.tensorflow.keras import cells, state
from anode.frontends.tensorflow.keras.cells import GRUCell, LSTMCell, SimpleRNNCell, _listed
from anode.frontends.tensorflow.keras.core_layers import Configured, layer_export
from anode.frontends.tensorflow.keras.layer import load
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

RNN_OPTIONS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll")


def over_time(
    step: Any, inputs: Any, states: list[Any], mask: Any = None, reverse: bool = False
) -> tuple[Any, Any, list[Any]]:
    """Last output, all outputs [time, batch, ...] and last states of a step over [time, ...].

    Where the mask [time, batch] is False, states stay and the output before is repeated.
    """
    first = [tf.identity(s) for s in states]
    sequences = [inputs] if mask is None else [inputs, mask]
    if mask is not None:
        shape, _ = step(inputs[0], first)
        first = [tf.zeros_like(shape), *first]

    def body(carry: list[Tensor], xs: list[Tensor]) -> tuple[list[Any], list[Any]]:
        if mask is None:
            output, new = step(xs[0], list(carry))
            return _like(new, carry), [output]
        output, new = step(xs[0], list(carry[1:]))
        kept = [_rows(xs[1], yes, no) for yes, no in zip([output, *new], carry, strict=True)]
        return _like(kept, carry), [kept[0]]

    last, (outputs,) = scan_op(body, first, sequences, reverse=reverse, name="while")
    if mask is not None:
        last = last[1:]
    at = 0 if reverse else -1
    return outputs[at], outputs, list(last)


def _like(new: Any, carry: list[Tensor]) -> list[Any]:
    for tensor, before in zip(new, carry, strict=True):
        tensor.set_shape(before.shape)
    return list(new)


def _rows(mask: Any, yes: Any, no: Any) -> Any:
    for _ in range(yes.shape.rank - 1):
        mask = tf.expand_dims(mask, -1)
    return tf.where(tf.logical_and(mask, tf.ones_like(yes, dtype="bool")), yes, no)


@export("keras.backend.rnn")
def rnn(
    step_function: Any,
    inputs: Any,
    initial_states: Any,
    go_backwards: bool = False,
    mask: Any = None,
    constants: Any = None,
    unroll: bool = False,
    input_length: Any = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
) -> Any:
    """Last output, outputs and new states of a step function over time."""
    if zero_output_for_mask:
        raise NotImplementedError("K.rnn: zero_output_for_mask is not implemented by anode")
    if not time_major:
        inputs = tf.transpose(inputs, [1, 0, *range(2, inputs.shape.rank)])
        mask = None if mask is None else tf.transpose(mask, [1, 0])
    if go_backwards:
        inputs = tf.reverse(inputs, [0])
        mask = None if mask is None else tf.reverse(mask, [0])
    more = list(constants or ())

    def step(x: Any, states: list[Any]) -> Any:
        return step_function(x, [*states, *more])

    last, outputs, states = over_time(step, inputs, list(initial_states), mask)
    if not time_major:
        outputs = tf.transpose(outputs, [1, 0, *range(2, outputs.shape.rank)])
    return last, outputs, states


@layer_export("RNN")
class RNN(Configured):
    """A cell applied to each time step of [batch, time, ...]."""

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        time_major: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = cells.StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        if not hasattr(cell, "state_size"):
            raise ValueError("The RNN cell should have an attribute `state_size`")
        length, size = kwargs.pop("input_length", None), kwargs.pop("input_dim", None)
        if size is not None and "input_shape" not in kwargs:
            kwargs["input_shape"] = (length, size)
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.unroll, self.time_major = go_backwards, unroll, time_major
        self.stateful = stateful
        self.supports_masking = True
        self.input_spec = [InputSpec(ndim=3)] if isinstance(cell, cells.Cell) else None
        self._held_states: list[Any] = []

    @property
    def states(self) -> list[Any]:
        return self._held_states or [None] * len(_listed(self.cell.state_size))

    def __call__(self, inputs: Any, initial_state: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, (list, tuple)) and initial_state is None and len(inputs) > 1:
            inputs, initial_state = inputs[0], list(inputs[1:])
        if kwargs.pop("constants", None) is not None:
            raise UnsupportedOp("tf.keras: constants= of a recurrent layer is not implemented")
        if initial_state is None:
            return super().__call__(inputs, *args, **kwargs)
        given = _listed(initial_state)
        spec, self.input_spec = self.input_spec, None
        try:
            return super().__call__([inputs, *given], *args, **kwargs)
        finally:
            self.input_spec = spec

    def build(self, input_shape: Any) -> None:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        dims = TensorShape(shape).as_list()
        if not self.cell.built:
            one = TensorShape([dims[1 if self.time_major else 0], *dims[2:]])
            if isinstance(self.cell, cells.Cell):
                self.cell.build(one)
            else:
                with name_scope(self.cell.name):
                    self.cell.build(one)
            self.cell.built = True
        if self.stateful:
            self._make_states(dims[1 if self.time_major else 0])
        self.built = True

    def _make_states(self, batch: Any) -> None:
        if batch is None:
            raise ValueError(
                "If a RNN is stateful, it needs to know its batch size. Specify the batch size of "
                "your input tensors: \n- If using a Sequential model, specify the batch size by "
                "passing a `batch_input_shape` argument to your first layer.\n- If using the "
                "functional API, specify the batch size by passing a `batch_shape` argument to "
                "your Input layer."
            )
        from anode.frontends.tensorflow.keras.optimizers import variable

        self._held_states = [
            variable(0.0, "Variable", state.floatx(), [batch, *_listed(size)])
            for size in _listed(self.cell.state_size)
        ]

    def _held_variables(self) -> list[Any]:
        return []

    def reset_states(self, states: Any = None) -> None:
        """Zero the states, or set them."""
        if not self.stateful:
            raise AttributeError("Layer must be stateful.")
        values = [np.zeros(v.shape.as_list()) for v in self._held_states]
        values = values if states is None else [np.asarray(s) for s in _listed(states)]
        load(list(zip(self._held_states, values, strict=True)))

    def get_initial_state(self, inputs: Any) -> list[Any]:
        batch = tf.shape(inputs)[1 if self.time_major else 0]
        own = getattr(self.cell, "get_initial_state", None)
        if own is not None:
            return _listed(own(inputs=None, batch_size=batch, dtype=inputs.dtype))
        sizes = _listed(self.cell.state_size)
        return [tf.zeros([batch, *_listed(size)], inputs.dtype) for size in sizes]

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None
    ) -> Any:
        if isinstance(inputs, (list, tuple)):
            inputs, initial_state = inputs[0], list(inputs[1:])
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        start = initial_state or self._held_states or self.get_initial_state(inputs)
        start = [tf.identity(s) for s in start]
        for tensor, size in zip(start, _listed(self.cell.state_size), strict=True):
            dims = inputs.shape.as_list()
            tensor.set_shape([dims[1 if self.time_major else 0], *_listed(size)])
        x = inputs
        if not self.time_major:
            x = tf.transpose(inputs, [1, 0, *range(2, inputs.shape.rank)])
            mask = None if mask is None else tf.transpose(mask, [1, 0])
        if hasattr(self.cell, "prepare"):
            self.cell.prepare(x[0], start, training)
        more = {"training": training} if "training" in _arguments(self.cell.call) else {}

        def step(value: Any, states: list[Any]) -> Any:
            many = isinstance(self.cell.state_size, (list, tuple)) or isinstance(
                self.cell, cells.Cell
            )
            output, new = self.cell.call(value, states if many else states[:1], **more)
            return output, _listed(new)

        if self.go_backwards:
            x = tf.reverse(x, [0])
            mask = None if mask is None else tf.reverse(mask, [0])
        last, outputs, states = over_time(step, x, start, mask)
        if self.stateful:
            changed = [v.assign(s) for v, s in zip(self._held_states, states, strict=True)]
            self.add_update(changed, inputs=True)
        if self.return_sequences:
            found = outputs
            if not self.time_major:
                found = tf.transpose(outputs, [1, 0, *range(2, outputs.shape.rank)])
        else:
            found = last
        return [found, *states] if self.return_state else found

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        own = mask if self.return_sequences else None
        if not self.return_state:
            return own
        return [own] + [None] * len(_listed(self.cell.state_size))

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = input_shape[0] if isinstance(input_shape, list) else input_shape
        dims = TensorShape(shape).as_list()
        sizes = [_listed(s) for s in _listed(self.cell.state_size)]
        size = _listed(getattr(self.cell, "output_size", None) or sizes[0])
        output = TensorShape([*dims[:2], *size] if self.return_sequences else [dims[0], *size])
        if not self.return_state:
            return output
        return [output, *(TensorShape([dims[0], *s]) for s in sizes)]

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), **{k: getattr(self, k) for k in RNN_OPTIONS}}
        return {**config, "cell": state.serialize_keras_object(self.cell)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from anode.frontends.tensorflow.keras.configuration import deserialize_layer

        config = dict(config)
        return cls(deserialize_layer(config.pop("cell"), custom_objects), **config)


def _arguments(function: Any) -> Any:
    import inspect

    return inspect.signature(function).parameters


class _Recurrent(RNN):
    """A recurrent layer of one kind of cells, whose options are its own."""

    cell_class: Any = None
    more_defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        order = self.cell_class.order
        given = dict(zip(self._order(), args, strict=False)) | kwargs
        own = {**self.more_defaults, **{k: given.pop(k) for k in list(given) if k in order}}
        dtype = given.get("dtype")
        cell = self.cell_class(dtype=dtype, name=self._cell_name(), **own)
        given.setdefault("activity_regularizer", None)
        super().__init__(cell, **given)

    @classmethod
    def _order(cls) -> tuple[str, ...]:
        names = list(cls.cell_class.order)
        names.insert(names.index("kernel_constraint"), "activity_regularizer")
        return (*names, *RNN_OPTIONS)

    def _cell_name(self) -> str:
        """Cells inside of layers take no number from those that scripts make."""
        from anode.frontends.tensorflow.api.layers_base import to_snake_case

        return to_snake_case(self.cell_class.__name__)

    def __getattr__(self, name: str) -> Any:
        cell = self.__dict__.get("cell")
        if cell is not None and (
            name in cell.order or name in ("kernel", "recurrent_kernel", "bias")
        ):
            return getattr(cell, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def get_config(self) -> dict[str, Any]:
        from anode.frontends.tensorflow.keras.core_layers import options_of

        base = {k: v for k, v in RNN.get_config(self).items() if k != "cell"}
        return {**base, **options_of(self.cell, *self.cell.order)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        return cls(**config)


@layer_export("SimpleRNN")
class SimpleRNN(_Recurrent):
    """activation(x W + h U + b) over time."""

    cell_class = SimpleRNNCell


@layer_export("GRU")
class GRU(_Recurrent):
    """Gated recurrent units over time."""

    cell_class = GRUCell


@layer_export("LSTM")
class LSTM(_Recurrent):
    """Long short-term memory over time."""

    cell_class = LSTMCell


@layer_export("CuDNNLSTM")
class CuDNNLSTM(LSTM):
    """LSTM with sigmoid gates; anode runs it on any device."""

    more_defaults: ClassVar[dict[str, Any]] = {"recurrent_activation": "sigmoid"}


@layer_export("CuDNNGRU")
class CuDNNGRU(GRU):
    """GRU with sigmoid gates and the reset gate after the product; on any device."""

    more_defaults: ClassVar[dict[str, Any]] = {
        "recurrent_activation": "sigmoid",
        "reset_after": True,
    }
