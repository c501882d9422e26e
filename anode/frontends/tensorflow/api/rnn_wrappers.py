"""Cells around a cell: dropout, residuals, devices, embeddings and projections."""

from __future__ import annotations

import hashlib
from typing import Any

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.layers_options import activation as as_activation
from anode.frontends.tensorflow.api.layers_options import initializer as as_initializer
from anode.frontends.tensorflow.api.rnn_cells import (
    LSTMStateTuple,
    RNNCell,
    cell_export,
    map_sizes,
)
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, device, name_scope
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape


class _Wrapper(RNNCell):
    """A cell that adds no scope of its own to the one it holds."""

    def __init__(self, cell: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not (hasattr(cell, "state_size") and callable(cell)):
            raise TypeError(f"The argument 'cell' ({cell}) is not an RNNCell")
        self._cell = cell

    @property
    def cell(self) -> Any:
        return self._cell

    @property
    def wrapped_cell(self) -> Any:
        return self._cell

    @property
    def state_size(self) -> Any:
        return self._cell.state_size

    @property
    def output_size(self) -> Any:
        return self._cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        with name_scope(f"{type(self).__name__}ZeroState", values=[batch_size]):
            return self._cell.zero_state(batch_size, dtype)

    def __call__(self, inputs: Any, state: Any = None, scope: Any = None, **kwargs: Any) -> Any:
        return self._step(inputs, state, scope)

    def _step(self, inputs: Any, state: Any, scope: Any) -> Any:
        return self._cell(inputs, state, scope=scope)


def _drops(keep: Any) -> bool:
    return not isinstance(keep, float) or keep < 1


def _dropped_state(state: Any) -> Any:
    """Which parts of a state dropout applies to: not the memory of an LSTM."""
    if isinstance(state, LSTMStateTuple):
        return LSTMStateTuple(c=False, h=True)
    return not hasattr(state, "composite_parts")


@cell_export("DropoutWrapper")
class DropoutWrapper(_Wrapper):
    """Dropout on the inputs, outputs and states of a cell.

    With `variational_recurrent` every step of a run drops the same elements (Gal 2015).
    """

    def __init__(
        self,
        cell: Any,
        input_keep_prob: Any = 1.0,
        output_keep_prob: Any = 1.0,
        state_keep_prob: Any = 1.0,
        variational_recurrent: bool = False,
        input_size: Any = None,
        dtype: Any = None,
        seed: int | None = None,
        dropout_state_filter_visitor: Any = None,
    ) -> None:
        super().__init__(cell, dtype=dtype)
        self._keep = {
            "input": self._probability(input_keep_prob, "input_keep_prob"),
            "state": self._probability(state_keep_prob, "state_keep_prob"),
            "output": self._probability(output_keep_prob, "output_keep_prob"),
        }
        self._seed, self._variational = seed, variational_recurrent
        self._filter = dropout_state_filter_visitor or _dropped_state
        self._noise: dict[str, Any] = {}
        if variational_recurrent:
            self._make_noise(input_size, dtype)

    @staticmethod
    def _probability(keep: Any, name: str) -> Any:
        if isinstance(keep, (int, float)):
            if not 0.0 <= keep <= 1.0:
                raise ValueError(f"Parameter {name} must be between 0 and 1: {keep}")
            return float(keep)
        return keep

    def _salted(self, prefix: str, index: int) -> int | None:
        if self._seed is None:
            return None
        text = f"{self._seed}{prefix}_{index}".encode()
        return int(hashlib.md5(text).hexdigest()[:8], 16) & 0x7FFFFFFF

    def _make_noise(self, input_size: Any, dtype: Any) -> None:
        if dtype is None:
            raise ValueError("When variational_recurrent=True, dtype must be provided")
        if _drops(self._keep["input"]) and input_size is None:
            raise ValueError(
                "When variational_recurrent=True and input_keep_prob < 1.0 or is unknown, "
                "input_size must be provided"
            )
        sizes = {"input": input_size, "state": self.state_size, "output": self.output_size}
        for kind, size in sizes.items():
            if size is not None and _drops(self._keep[kind]):
                self._noise[kind] = self._noise_like(kind, size, dtype)

    def _noise_like(self, kind: str, size: Any, dtype: Any) -> Any:
        from anode.frontends.tensorflow.api.layers_options import public

        count = iter(range(1 << 16))

        def one(part: Any) -> Any:
            dims = [part] if isinstance(part, int) else TensorShape(part).as_list()
            seed = self._salted(f"{kind}_noise", next(count))
            return public("random_uniform")([1, *dims], seed=seed, dtype=dtype)

        return map_sizes(one, size)

    def _dropout(self, kind: str, values: Any, keep: Any, among: Any = None) -> Any:
        from anode.frontends.tensorflow.api import nn

        if not _drops(keep):
            return values
        wanted = among if among is not None else nest.map_structure(lambda _: True, values)
        noise = self._noise.get(kind)
        noises = nest.flatten(values) if noise is None else nest.flatten(noise)
        found = []
        parts = nest.flatten_up_to(wanted, values)
        flags = nest.flatten(wanted)
        for i, (part, flag) in enumerate(zip(parts, flags, strict=True)):
            if not flag:
                found.append(part)
            elif noise is None:
                found.append(nn.dropout(part, keep_prob=keep, seed=self._salted(kind, i)))
            else:
                found.append(part / keep * apply("Floor", noises[i] + keep))
        return nest.pack_sequence_as(values, found)

    def _step(self, inputs: Any, state: Any, scope: Any) -> Any:
        inputs = self._dropout("input", inputs, self._keep["input"])
        output, new = self._cell(inputs, state, scope=scope)
        if _drops(self._keep["state"]):
            among = nest.get_traverse_shallow_structure(self._filter, new)
            flags = [
                f
                for f, sub in zip(nest.flatten(among), _subtrees(among, new), strict=True)
                for _ in nest.flatten(sub)
            ]
            full = nest.pack_sequence_as(new, flags)
            new = self._dropout("state", new, self._keep["state"], full)
        return self._dropout("output", output, self._keep["output"]), new


def _subtrees(shallow: Any, tree: Any) -> list[Any]:
    return nest.flatten_up_to(shallow, tree, check_types=False)


@cell_export("ResidualWrapper")
class ResidualWrapper(_Wrapper):
    """The inputs added to the outputs of a cell, or `residual_fn(inputs, outputs)`."""

    def __init__(self, cell: Any, residual_fn: Any = None, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self._residual_fn = residual_fn

    def _step(self, inputs: Any, state: Any, scope: Any) -> Any:
        outputs, new = self._cell(inputs, state, scope=scope)
        if self._residual_fn is not None:
            return self._residual_fn(inputs, outputs), new
        nest.assert_same_structure(inputs, outputs)
        return nest.map_structure(lambda x, y: x + y, inputs, outputs), new


@cell_export("HighwayWrapper")
class HighwayWrapper(_Wrapper):
    """A gated mix of the inputs and the outputs of a cell. Source: Srivastava et al. 2015."""

    def __init__(
        self,
        cell: Any,
        couple_carry_transform_gates: bool = True,
        carry_bias_init: float = 1.0,
    ) -> None:
        super().__init__(cell)
        self._couple, self._bias = couple_carry_transform_gates, carry_bias_init

    def _gate(self, x: Any, kind: str, bias: float) -> Any:
        size = x.shape.as_list()[-1]
        weight = vs.get_variable(f"{kind}_w", [size, size], dtype=x.dtype.base_dtype)
        made = _constant(bias)
        offset = vs.get_variable(f"{kind}_b", [size], dtype=x.dtype.base_dtype, initializer=made)
        return apply("Sigmoid", apply("BiasAdd", apply("MatMul", x, weight), offset))

    def _highway(self, x: Any, out: Any) -> Any:
        with vs.variable_scope("highway"):
            carry = self._gate(x, "carry", self._bias)
            if self._couple:
                return x * carry + out * (1 - carry)
            return x * carry + out * self._gate(x, "transform", -self._bias)

    def _step(self, inputs: Any, state: Any, scope: Any) -> Any:
        outputs, new = self._cell(inputs, state, scope=scope)
        nest.assert_same_structure(inputs, outputs)
        return nest.map_structure(self._highway, inputs, outputs), new


@cell_export("DeviceWrapper")
class DeviceWrapper(_Wrapper):
    """A cell whose operations are made on a device."""

    def __init__(self, cell: Any, device: Any, **kwargs: Any) -> None:
        super().__init__(cell, **kwargs)
        self._device = device

    def _step(self, inputs: Any, state: Any, scope: Any) -> Any:
        with device(self._device):
            return self._cell(inputs, state, scope=scope)


def _constant(value: float) -> Any:
    from anode.frontends.tensorflow.api.initializers import Constant

    return Constant(value)


class _Linear:
    """[args] W + b, with variables `kernel` and `bias` of the scope open when it is made."""

    def __init__(
        self,
        args: Any,
        output_size: int,
        build_bias: bool,
        bias_initializer: Any = None,
        kernel_initializer: Any = None,
    ) -> None:
        self._sequence = nest.is_sequence(args)
        args = list(args) if self._sequence else [args]
        rows = sum(int(convert_to_tensor(x).shape.with_rank(2).as_list()[1]) for x in args)
        dtype = args[0].dtype.base_dtype
        with vs.variable_scope(vs.get_variable_scope()):
            self._weights = vs.get_variable(
                "kernel", [rows, output_size], dtype=dtype, initializer=kernel_initializer
            )
            self._biases = None
            if build_bias:
                made = bias_initializer or as_initializer("zeros")
                self._biases = vs.get_variable("bias", [output_size], dtype=dtype, initializer=made)

    def __call__(self, args: Any) -> Any:
        args = list(args) if nest.is_sequence(args) else [args]
        joined = args[0] if len(args) == 1 else apply("ConcatV2", args, 1)
        product = apply("MatMul", joined, self._weights)
        return product if self._biases is None else apply("BiasAdd", product, self._biases)


for _module in ("rnn_cell", "rnn_cell_impl"):
    export(f"python.ops.{_module}._Linear")(_Linear)
export("contrib.rnn.python.ops.core_rnn_cell._Linear")(_Linear)


@export(
    "python.ops.rnn_cell._linear",
    "python.ops.rnn_cell_impl._linear",
    "contrib.rnn.python.ops.core_rnn_cell._linear",
)
def _linear(
    args: Any,
    output_size: int,
    bias: bool,
    bias_initializer: Any = None,
    kernel_initializer: Any = None,
    bias_start: float = 0.0,
    scope: Any = None,
) -> Any:
    """[args] W + b with variables `kernel` and `bias`, under `scope` if given."""
    if isinstance(bias_initializer, (int, float)):
        bias_start, bias_initializer = bias_initializer, None
    made = bias_initializer or _constant(bias_start)
    with vs.variable_scope(scope or vs.get_variable_scope()):
        return _Linear(args, output_size, bias, made, kernel_initializer)(args)


@cell_export("EmbeddingWrapper")
class EmbeddingWrapper(RNNCell):
    """A cell over ids: rows of the variable `embedding` are its inputs."""

    def __init__(
        self,
        cell: Any,
        embedding_classes: int,
        embedding_size: int,
        initializer: Any = None,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        self._cell = cell
        if embedding_classes <= 0 or embedding_size <= 0:
            raise ValueError(
                "Both embedding_classes and embedding_size must be > 0: "
                f"{embedding_classes}, {embedding_size}."
            )
        self._shape = [embedding_classes, embedding_size]
        self._initializer = initializer

    @property
    def state_size(self) -> Any:
        return self._cell.state_size

    @property
    def output_size(self) -> Any:
        return self._cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        with name_scope(f"{type(self).__name__}ZeroState", values=[batch_size]):
            return self._cell.zero_state(batch_size, dtype)

    def _build_once(self, inputs: Any) -> None:
        self._dtype = self._dtype or "float32"
        super()._build_once(inputs)

    def call(self, inputs: Any, state: Any) -> Any:
        from anode.frontends.tensorflow.api.initializers import RandomUniform

        made = self._initializer or vs.get_variable_scope().initializer
        made = made or RandomUniform(-(3.0**0.5), 3.0**0.5)
        states = [part for part in nest.flatten(state) if isinstance(part, Tensor)]
        dtype = states[0].dtype.base_dtype if states else float32
        table = vs.get_variable("embedding", self._shape, initializer=made, dtype=dtype)
        rows = apply("GatherV2", table, apply("Reshape", inputs, [-1]), 0)
        return self._cell(rows, state)


class _Projection(RNNCell):
    def __init__(self, cell: Any, activation: Any, reuse: Any) -> None:
        super().__init__(_reuse=reuse)
        self._cell, self._activation = cell, as_activation(activation)
        self._linear: Any = None

    @property
    def state_size(self) -> Any:
        return self._cell.state_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        with name_scope(f"{type(self).__name__}ZeroState", values=[batch_size]):
            return self._cell.zero_state(batch_size, dtype)

    def _projected(self, x: Any, size: int) -> Any:
        if self._linear is None:
            self._linear = _Linear(x, size, True)
        found = self._linear(x)
        return found if self._activation is None else self._activation(found)


@cell_export("InputProjectionWrapper")
class InputProjectionWrapper(_Projection):
    """A cell whose inputs pass through a dense layer of `num_proj` units."""

    def __init__(
        self,
        cell: Any,
        num_proj: int,
        activation: Any = None,
        input_size: Any = None,
        reuse: Any = None,
    ) -> None:
        super().__init__(cell, activation, reuse)
        self._num_proj = num_proj

    @property
    def output_size(self) -> Any:
        return self._cell.output_size

    def call(self, inputs: Any, state: Any) -> Any:
        return self._cell(self._projected(inputs, self._num_proj), state)


@cell_export("OutputProjectionWrapper")
class OutputProjectionWrapper(_Projection):
    """A cell whose outputs pass through a dense layer of `output_size` units."""

    def __init__(
        self, cell: Any, output_size: int, activation: Any = None, reuse: Any = None
    ) -> None:
        super().__init__(cell, activation, reuse)
        self._output_size = output_size

    @property
    def output_size(self) -> Any:
        return self._output_size

    def call(self, inputs: Any, state: Any) -> Any:
        output, new = self._cell(inputs, state)
        return self._projected(output, self._output_size), new


def normalized(x: Any, gamma: Any, beta: Any, epsilon: float = 1e-12) -> Any:
    """Rows of x with mean 0 and variance 1, scaled and shifted (layer normalisation)."""
    from anode.frontends.tensorflow.api import nn

    mean, variance = nn.moments(x, [1], keep_dims=True)
    return nn.batch_normalization(x, mean, variance, beta, gamma, epsilon)


@cell_export("LayerNormBasicLSTMCell")
class LayerNormBasicLSTMCell(RNNCell):
    """An LSTM with layer normalisation and dropout of the candidate.

    Source: Ba et al. 2016, arXiv 1607.06450; Semeniuta et al. 2016, arXiv 1603.05118.
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        input_size: Any = None,
        activation: Any = "tanh",
        layer_norm: bool = True,
        norm_gain: float = 1.0,
        norm_shift: float = 0.0,
        dropout_keep_prob: Any = 1.0,
        dropout_prob_seed: int | None = None,
        reuse: Any = None,
    ) -> None:
        super().__init__(_reuse=reuse)
        self._num_units, self._forget_bias = num_units, forget_bias
        self._activation, self._layer_norm = as_activation(activation), layer_norm
        self._gain, self._shift = norm_gain, norm_shift
        self._keep, self._seed = dropout_keep_prob, dropout_prob_seed

    @property
    def state_size(self) -> Any:
        return LSTMStateTuple(self._num_units, self._num_units)

    @property
    def output_size(self) -> Any:
        return self._num_units

    def _norm(self, x: Any, scope: str) -> Any:
        if not self._layer_norm:
            return x
        size, dtype = [x.shape.as_list()[-1]], x.dtype.base_dtype
        with vs.variable_scope(scope):
            gamma = vs.get_variable("gamma", size, dtype, initializer=_constant(self._gain))
            beta = vs.get_variable("beta", size, dtype, initializer=_constant(self._shift))
        return normalized(x, gamma, beta)

    def _gates(self, args: Any) -> Any:
        units, dtype = 4 * self._num_units, args.dtype.base_dtype
        kernel = vs.get_variable("kernel", [args.shape.as_list()[-1], units], dtype=dtype)
        out = apply("MatMul", args, kernel)
        if not self._layer_norm:
            bias = vs.get_variable("bias", [units], dtype, initializer=as_initializer("zeros"))
            out = apply("BiasAdd", out, bias)
        return out

    def call(self, inputs: Any, state: Any) -> Any:
        from anode.frontends.tensorflow.api import nn

        c, h = state
        gates = self._gates(apply("ConcatV2", [inputs, h], 1))
        names = ("input", "transform", "forget", "output")
        parts = apply("Split", 1, gates, num_split=4)
        i, j, f, o = (self._norm(x, name) for x, name in zip(parts, names, strict=True))
        g = self._activation(j)  # type: ignore[misc]
        if _drops(self._keep):
            g = nn.dropout(g, keep_prob=self._keep, seed=self._seed)
        new_c = c * apply("Sigmoid", f + self._forget_bias) + apply("Sigmoid", i) * g
        new_c = self._norm(new_c, "state")
        new_h = self._activation(new_c) * apply("Sigmoid", o)  # type: ignore[misc]
        return new_h, LSTMStateTuple(new_c, new_h)


@cell_export("_like_rnncell", "like_rnncell")
def _like_rnncell(cell: Any) -> bool:
    """Whether an object has what a cell has."""
    names = ("output_size", "state_size", "zero_state")
    return all(hasattr(cell, name) for name in names) and callable(cell)


@cell_export("assert_like_rnncell")
def assert_like_rnncell(cell_name: str, cell: Any) -> None:
    """Raise TypeError unless an object has what a cell has."""
    if not _like_rnncell(cell):
        raise TypeError(f"The argument {cell_name!r} ({cell}) is not an RNNCell")
