"""Cells of recurrent layers: one step from inputs and states to outputs and states."""

from __future__ import annotations

from typing import Any, ClassVar

from anode.frontends.tensorflow.keras import backend as K
from anode.frontends.tensorflow.keras import options, state
from anode.frontends.tensorflow.keras.core_layers import Configured, layer_export, phase_cond
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.tensor_shape import TensorShape

COMMON = (
    "use_bias",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
    "dropout",
    "recurrent_dropout",
)
DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(COMMON),
    "use_bias": True,
    "kernel_initializer": "glorot_uniform",
    "recurrent_initializer": "orthogonal",
    "bias_initializer": "zeros",
    "dropout": 0.0,
    "recurrent_dropout": 0.0,
}


class Cell(Configured):
    """What cells share: options, weights `kernel`, `recurrent_kernel`, `bias`, dropout masks.

    `gates` is how many blocks of `units` columns the weights have.
    """

    gates = 1
    order: tuple[str, ...] = ("units", "activation", *COMMON)
    defaults: ClassVar[dict[str, Any]] = {**DEFAULTS, "activation": "tanh"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = {**self.defaults, **dict(zip(self.order, args, strict=False))}
        given.update({k: kwargs.pop(k) for k in list(kwargs) if k in self.order})
        super().__init__(**kwargs)
        self.__dict__.update(self._keras_options(given))
        self.dropout = min(1.0, max(0.0, self.dropout))
        self.recurrent_dropout = min(1.0, max(0.0, self.recurrent_dropout))
        self._dropped: dict[str, Any] = {}

    config = property(lambda self: self.order)
    units: int
    dropout: float
    recurrent_dropout: float
    use_bias: bool
    activation: Any
    bias_initializer: Any

    @property
    def state_size(self) -> Any:
        return self.units

    @property
    def output_size(self) -> int:
        return self.units

    def build(self, input_shape: Any) -> None:
        size = TensorShape(input_shape).as_list()[-1]
        columns = self.units * self.gates
        self.kernel = self._weight("kernel", (size, columns), "kernel")
        self.recurrent_kernel = self._weight("recurrent_kernel", (self.units, columns), "recurrent")
        self.bias = self._weight("bias", self._bias_shape(), "bias") if self.use_bias else None
        self.built = True

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.units * self.gates,)

    def _weight(self, name: str, shape: Any, kind: str) -> Any:
        return self.add_weight(
            name,
            shape,
            initializer=getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
        )

    def prepare(self, inputs: Any, states: list[Any], training: Any) -> None:
        """Draw the dropout masks of a sequence: they are the same for all its steps."""
        self._dropped = {}
        for name, rate, like in (
            ("inputs", self.dropout, inputs),
            ("state", self.recurrent_dropout, states[0]),
        ):
            if rate > 0:
                ones = tf.ones_like(like)
                self._dropped[name] = [
                    phase_cond(
                        training,
                        lambda o=ones, r=rate: tf.nn.dropout(o, rate=r),
                        lambda o=ones: tf.identity(o),
                    )
                    for _ in range(self.gates)
                ]

    def _masked(self, name: str, value: Any, gate: int) -> Any:
        masks = self._dropped.get(name)
        return value if masks is None else value * masks[gate]

    def _product(self, name: str, value: Any, weights: Any) -> list[Any]:
        """value @ weights in blocks of gates; each block has a dropout mask of its own."""
        if name not in self._dropped:
            return list(tf.split(tf.matmul(value, weights), self.gates, axis=1))
        parts = tf.split(weights, self.gates, axis=1)
        return [tf.matmul(self._masked(name, value, i), part) for i, part in enumerate(parts)]

    def get_initial_state(
        self, inputs: Any = None, batch_size: Any = None, dtype: Any = None
    ) -> Any:
        batch = tf.shape(inputs)[0] if inputs is not None else batch_size
        dtype = dtype or (inputs.dtype if inputs is not None else state.floatx())
        sizes = self.state_size if isinstance(self.state_size, (list, tuple)) else [self.state_size]
        zeros = [tf.zeros([batch, size], dtype) for size in sizes]
        return zeros if isinstance(self.state_size, (list, tuple)) else zeros[0]


@layer_export("SimpleRNNCell")
class SimpleRNNCell(Cell):
    """activation(x W + h U + b)."""

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        (h,) = self._product("inputs", inputs, self.kernel)
        if self.bias is not None:
            h = K.bias_add(h, self.bias)
        (back,) = self._product("state", states[0], self.recurrent_kernel)
        output = self.activation(h + back)
        return output, [output]


@layer_export("GRUCell")
class GRUCell(Cell):
    """Gated recurrent unit. Source: Cho et al. 2014; `reset_after` is cuDNN's form."""

    gates = 3
    reset_after: bool
    recurrent_activation: Any
    order = (
        "units",
        "activation",
        "recurrent_activation",
        *COMMON,
        "implementation",
        "reset_after",
    )
    defaults: ClassVar[dict[str, Any]] = {
        **DEFAULTS,
        "activation": "tanh",
        "recurrent_activation": "hard_sigmoid",
        "implementation": 1,
        "reset_after": False,
    }

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _biases(self) -> tuple[Any, Any]:
        if self.bias is None:
            return None, None
        return tuple(tf.unstack(self.bias)) if self.reset_after else (self.bias, None)

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        h = states[0]
        bias, back_bias = self._biases()
        xz, xr, xh = self._product("inputs", inputs, self.kernel)
        if bias is not None:
            xz, xr, xh = (
                K.bias_add(x, b) for x, b in zip((xz, xr, xh), tf.split(bias, 3), strict=True)
            )
        if self.reset_after:
            hz, hr, hh = self._product("state", h, self.recurrent_kernel)
            if back_bias is not None:
                hz, hr, hh = (
                    K.bias_add(x, b)
                    for x, b in zip((hz, hr, hh), tf.split(back_bias, 3), strict=True)
                )
            z, r = self.recurrent_activation(xz + hz), self.recurrent_activation(xr + hr)
            new = self.activation(xh + r * hh)
        else:
            wz, wr, wh = tf.split(self.recurrent_kernel, 3, axis=1)
            z = self.recurrent_activation(xz + tf.matmul(self._masked("state", h, 0), wz))
            r = self.recurrent_activation(xr + tf.matmul(self._masked("state", h, 1), wr))
            new = self.activation(xh + tf.matmul(r * self._masked("state", h, 2), wh))
        output = z * h + (1 - z) * new
        return output, [output]


@layer_export("LSTMCell")
class LSTMCell(Cell):
    """Long short-term memory. Source: Hochreiter and Schmidhuber 1997."""

    gates = 4
    unit_forget_bias: bool
    recurrent_activation: Any
    order = (
        "units",
        "activation",
        "recurrent_activation",
        *COMMON[:4],
        "unit_forget_bias",
        *COMMON[4:],
        "implementation",
    )
    defaults: ClassVar[dict[str, Any]] = {
        **DEFAULTS,
        "activation": "tanh",
        "recurrent_activation": "hard_sigmoid",
        "unit_forget_bias": True,
        "implementation": 1,
    }

    @property
    def state_size(self) -> Any:
        return [self.units, self.units]

    def build(self, input_shape: Any) -> None:
        if self.unit_forget_bias and self.use_bias:
            given = self.bias_initializer

            def start(shape: Any, dtype: Any = None, **_: Any) -> Any:
                n = self.units
                ones = options.initializer("ones")((n,), dtype=dtype)
                parts = [given((n,), dtype=dtype), ones, given((n * 2,), dtype=dtype)]
                return tf.concat(parts, axis=-1)

            self.bias_initializer = start
            try:
                super().build(input_shape)
            finally:
                self.bias_initializer = given
        else:
            super().build(input_shape)

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        h, c = states
        blocks = self._product("inputs", inputs, self.kernel)
        if self.bias is not None:
            parts = tf.split(self.bias, 4)
            blocks = [K.bias_add(x, b) for x, b in zip(blocks, parts, strict=True)]
        back = self._product("state", h, self.recurrent_kernel)
        i, f, g, o = (x + y for x, y in zip(blocks, back, strict=True))
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]


@layer_export("StackedRNNCells")
class StackedRNNCells(Configured):
    """Cells one after the other as one cell."""

    def __init__(self, cells: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cells = list(cells)

    @property
    def state_size(self) -> Any:
        return [s for cell in self.cells for s in _listed(cell.state_size)]

    @property
    def output_size(self) -> Any:
        return getattr(self.cells[-1], "output_size", _listed(self.cells[-1].state_size)[0])

    def build(self, input_shape: Any) -> None:
        shape = TensorShape(input_shape).as_list()
        for cell in self.cells:
            if not cell.built:
                with tf.name_scope(cell.name):
                    cell.build(shape)
                cell.built = True
            size = getattr(cell, "output_size", None) or _listed(cell.state_size)[0]
            shape = [shape[0], size]
        self.built = True

    def prepare(self, inputs: Any, states: list[Any], training: Any) -> None:
        first = self.cells[0]
        if hasattr(first, "prepare"):
            first.prepare(inputs, states, training)

    def call(self, inputs: Any, states: Any, **kwargs: Any) -> Any:
        made: list[Any] = []
        at = 0
        for cell in self.cells:
            count = len(_listed(cell.state_size))
            inputs, new = cell.call(inputs, list(states[at : at + count]))
            made += list(new)
            at += count
        return inputs, made

    def get_config(self) -> dict[str, Any]:
        cells = [state.serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from anode.frontends.tensorflow.keras.configuration import deserialize_layer

        cells = [deserialize_layer(c, custom_objects) for c in config.pop("cells")]
        return cls(cells, **config)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
