"""Recurrent cells: a step from (inputs, state) to (output, new state), named as TensorFlow's."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.layers_base import InputSpec
from anode.frontends.tensorflow.api.layers_options import activation as as_activation
from anode.frontends.tensorflow.api.layers_options import initializer as as_initializer
from anode.frontends.tensorflow.api.layers_scope import Layer
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.graph import apply, constant_value, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import EXPORTS
from anode.frontends.tensorflow.tensor_shape import TensorShape

MODULES = (
    "nn.rnn_cell",
    "contrib.rnn",
    "contrib.rnn.rnn_cell",
    "contrib.rnn.core_rnn_cell",
    "contrib.rnn.python.ops.core_rnn_cell",
    "python.ops.rnn_cell",
    "python.ops.rnn_cell_impl",
)


def cell_export(*names: str) -> Callable[[Any], Any]:
    """Serve a class of cells under every module that has held the cells."""

    def note(thing: Any) -> Any:
        for name in names:
            for module in MODULES:
                EXPORTS[f"{module}.{name}"] = f"{thing.__module__}:{thing.__qualname__}"
        return thing

    return note


_StateTuple = namedtuple("_StateTuple", ("c", "h"))


@cell_export("LSTMStateTuple")
class LSTMStateTuple(_StateTuple):
    """The state of an LSTM: the cell `c` and the output `h`, both [batch, units]."""

    __slots__ = ()

    @property
    def dtype(self) -> Any:
        if self.c.dtype != self.h.dtype:
            raise TypeError(f"Inconsistent internal state: {self.c.dtype} vs {self.h.dtype}")
        return self.c.dtype


def zeros_for(size: Any, batch: Any, dtype: Any) -> Tensor:
    """Zeros [batch, *size] of one part of a state; `batch` is a number or a tensor."""
    dims = TensorShape(size).as_list() if not isinstance(size, int) else [size]
    known = batch if not isinstance(batch, Tensor) else constant_value(batch)
    shape: Any = [batch, *dims]
    if known is None:
        shape = apply("ConcatV2", [apply("ExpandDims", batch, 0), dims], 0)
    value = "" if as_dtype(dtype).name == "string" else 0
    zeros: Tensor = apply("Fill", shape, convert_to_tensor(value, dtype), name="zeros")
    zeros.set_shape([None if known is None else int(known), *dims])
    return zeros


@cell_export("RNNCell")
class RNNCell(Layer):
    """A step `output, new_state = cell(inputs, state)`; subclasses define `call` or `__call__`.

    `state_size` and `output_size` are numbers, shapes, or nested structures of them.
    """

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(trainable=trainable, name=name, dtype=dtype, **kwargs)

    def __getattr__(self, attribute: str) -> Any:
        """The state of a layer, for subclasses that do not call `__init__`."""
        if attribute in ("_scope", "built") and "_trainable" not in self.__dict__:
            Layer.__init__(self)
            return self.__dict__[attribute]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{attribute}'")

    def __call__(self, inputs: Any, state: Any = None, scope: Any = None, **kwargs: Any) -> Any:
        if scope is not None:
            with vs.variable_scope(scope, custom_getter=self._tracking) as opened:
                return super().__call__(inputs, state, scope=opened, **kwargs)
        with vs.variable_scope(vs.get_variable_scope(), custom_getter=self._tracking):
            return super().__call__(inputs, state, **kwargs)

    def _tracking(self, getter: Any, *args: Any, **kwargs: Any) -> Any:
        """Note variables that `call` takes from get_variable as weights of the cell."""
        variable = getter(*args, **kwargs)
        from anode.frontends.tensorflow.api.variables import root_graph

        trained = root_graph().get_collection("trainable_variables")
        self._track_weight(variable, any(variable is v for v in trained))
        return variable

    @property
    def state_size(self) -> Any:
        raise NotImplementedError("Abstract method")

    @property
    def output_size(self) -> Any:
        raise NotImplementedError("Abstract method")

    def build(self, _: Any) -> None:
        pass

    def get_initial_state(
        self, inputs: Any = None, batch_size: Any = None, dtype: Any = None
    ) -> Any:
        """The zero state, with the batch size and type of `inputs` if they are given."""
        if inputs is not None:
            inputs = convert_to_tensor(inputs)
            batch_size = inputs.shape.as_list()[0]
            batch_size = apply("Shape", inputs)[0] if batch_size is None else batch_size
            dtype = inputs.dtype.base_dtype
        if batch_size is None or dtype is None:
            raise ValueError(
                "batch_size and dtype cannot be None while constructing initial state: "
                f"batch_size={batch_size}, dtype={dtype}"
            )
        return self.zero_state(batch_size, dtype)

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        """Zeros for each part of the state: [batch_size, size]."""
        sizes = self.state_size
        with name_scope(f"{type(self).__name__}ZeroState", values=[batch_size]):
            if isinstance(sizes, TensorShape):
                return zeros_for(sizes, batch_size, dtype)
            return map_sizes(lambda size: zeros_for(size, batch_size, dtype), sizes)


def map_sizes(fn: Callable[[Any], Any], sizes: Any) -> Any:
    """`fn` of each size of a nested state size; TensorShapes are leaves."""
    return nest.map_structure(fn, sizes)


class LayerRNNCell(RNNCell):
    """A cell that makes its weights in `build`, as a layer does."""

    def __call__(self, inputs: Any, state: Any = None, scope: Any = None, **kwargs: Any) -> Any:
        return Layer.__call__(self, inputs, state, scope=scope, **kwargs)

    def _depth(self, input_shape: Any) -> int:
        depth = TensorShape(input_shape).as_list()[-1]
        if depth is None:
            raise ValueError(
                f"Expected inputs.shape[-1] to be known, saw shape: {TensorShape(input_shape)}"
            )
        return int(depth)


def _linear_step(pieces: Sequence[Any], kernel: Any, bias: Any) -> Any:
    product = apply("MatMul", apply("ConcatV2", list(pieces), 1, name="concat"), kernel)
    return product if bias is None else apply("BiasAdd", product, bias)


def _zeros() -> Any:
    return as_initializer("zeros")


@cell_export("BasicRNNCell")
class BasicRNNCell(LayerRNNCell):
    """h = tanh([x, h] W + b)."""

    def __init__(
        self,
        num_units: int,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self.input_spec = InputSpec(ndim=2)
        self._num_units = num_units
        self._activation = as_activation(activation or "tanh")

    @property
    def state_size(self) -> Any:
        return self._num_units

    @property
    def output_size(self) -> Any:
        return self._num_units

    def build(self, inputs_shape: Any) -> None:
        rows = self._depth(inputs_shape) + self._num_units
        self._kernel = self.add_weight("kernel", shape=[rows, self._num_units])
        self._bias = self.add_weight("bias", shape=[self._num_units], initializer=_zeros())
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        output = self._activation(_linear_step([inputs, state], self._kernel, self._bias))  # type: ignore[misc]
        return output, output


@cell_export("GRUCell")
class GRUCell(LayerRNNCell):
    """A gated recurrent unit. Source: Cho et al. 2014, arXiv 1406.1078."""

    def __init__(
        self,
        num_units: int,
        activation: Any = None,
        reuse: Any = None,
        kernel_initializer: Any = None,
        bias_initializer: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self.input_spec = InputSpec(ndim=2)
        self._num_units = num_units
        self._activation = as_activation(activation or "tanh")
        self._kernel_initializer = as_initializer(kernel_initializer)
        self._bias_initializer = as_initializer(bias_initializer)

    @property
    def state_size(self) -> Any:
        return self._num_units

    @property
    def output_size(self) -> Any:
        return self._num_units

    def build(self, inputs_shape: Any) -> None:
        units, rows = self._num_units, self._depth(inputs_shape) + self._num_units
        kernel = self._kernel_initializer
        ones, zeros = as_initializer("ones"), _zeros()
        self._gate_kernel = self.add_weight("gates/kernel", [rows, 2 * units], initializer=kernel)
        self._gate_bias = self.add_weight(
            "gates/bias", [2 * units], initializer=self._bias_initializer or ones
        )
        self._candidate_kernel = self.add_weight(
            "candidate/kernel", [rows, units], initializer=kernel
        )
        self._candidate_bias = self.add_weight(
            "candidate/bias", [units], initializer=self._bias_initializer or zeros
        )
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        state = convert_to_tensor(state)
        gates = apply("Sigmoid", _linear_step([inputs, state], self._gate_kernel, self._gate_bias))
        reset, update = apply("Split", 1, gates, num_split=2)
        candidate = self._activation(  # type: ignore[misc]
            _linear_step([inputs, reset * state], self._candidate_kernel, self._candidate_bias)
        )
        output = update * state + (1 - update) * candidate
        return output, output


@cell_export("BasicLSTMCell")
class BasicLSTMCell(LayerRNNCell):
    """A long short-term memory without extras. Source: Zaremba et al. 2014, arXiv 1409.2329.

    With `state_is_tuple` the state is an LSTMStateTuple, else c and h side by side.
    """

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("input_size", None)
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        self.input_spec = InputSpec(ndim=2)
        self._num_units, self._forget_bias = num_units, forget_bias
        self._state_is_tuple = state_is_tuple
        self._activation = as_activation(activation or "tanh")

    @property
    def state_size(self) -> Any:
        units = self._num_units
        return LSTMStateTuple(units, units) if self._state_is_tuple else 2 * units

    @property
    def output_size(self) -> Any:
        return self._num_units

    def build(self, inputs_shape: Any) -> None:
        units, rows = self._num_units, self._depth(inputs_shape) + self._num_units
        self._kernel = self.add_weight("kernel", shape=[rows, 4 * units])
        self._bias = self.add_weight("bias", shape=[4 * units], initializer=_zeros())
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        c, h = state if self._state_is_tuple else apply("Split", 1, state, num_split=2)
        gates = _linear_step([inputs, h], self._kernel, self._bias)
        i, j, f, o = apply("Split", 1, gates, num_split=4)
        act, sigmoid = self._activation, as_activation("sigmoid")
        new_c = c * sigmoid(f + self._forget_bias) + sigmoid(i) * act(j)  # type: ignore[misc]
        new_h = act(new_c) * sigmoid(o)  # type: ignore[misc]
        return new_h, _joined_state(new_c, new_h, self._state_is_tuple)


def _joined_state(c: Any, h: Any, state_is_tuple: bool) -> Any:
    return LSTMStateTuple(c, h) if state_is_tuple else apply("ConcatV2", [c, h], 1)


@cell_export("LSTMCell")
class LSTMCell(LayerRNNCell):
    """A long short-term memory with peepholes, clipping and a projection of the output.

    Source: Sak et al. 2014, arXiv 1402.1128.
    """

    def __init__(
        self,
        num_units: int,
        use_peepholes: bool = False,
        cell_clip: float | None = None,
        initializer: Any = None,
        num_proj: int | None = None,
        proj_clip: float | None = None,
        num_unit_shards: int | None = None,
        num_proj_shards: int | None = None,
        forget_bias: float = 1.0,
        state_is_tuple: bool = True,
        activation: Any = None,
        reuse: Any = None,
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("input_size", None)
        super().__init__(_reuse=reuse, name=name, dtype=dtype, **kwargs)
        for option, value in (("unit", num_unit_shards), ("proj", num_proj_shards)):
            if value not in (None, 1):
                raise NotImplementedError(
                    f"LSTMCell(num_{option}_shards={value}) is not implemented by anode"
                )
        self.input_spec = InputSpec(ndim=2)
        self._num_units, self._use_peepholes = num_units, use_peepholes
        self._cell_clip, self._proj_clip = cell_clip, proj_clip
        self._initializer = as_initializer(initializer)
        self._num_proj, self._forget_bias = num_proj, forget_bias
        self._state_is_tuple = state_is_tuple
        self._activation = as_activation(activation or "tanh")

    @property
    def state_size(self) -> Any:
        units, out = self._num_units, self.output_size
        return LSTMStateTuple(units, out) if self._state_is_tuple else units + out

    @property
    def output_size(self) -> Any:
        return self._num_proj or self._num_units

    def build(self, inputs_shape: Any) -> None:
        units, made = self._num_units, self._initializer
        rows = self._depth(inputs_shape) + self.output_size
        self._kernel = self.add_weight("kernel", [rows, 4 * units], initializer=made)
        self._bias = self.add_weight("bias", [4 * units], initializer=_zeros())
        if self._use_peepholes:
            self._w_f_diag = self.add_weight("w_f_diag", [units], initializer=made)
            self._w_i_diag = self.add_weight("w_i_diag", [units], initializer=made)
            self._w_o_diag = self.add_weight("w_o_diag", [units], initializer=made)
        if self._num_proj is not None:
            shape = [units, self._num_proj]
            self._proj_kernel = self.add_weight("projection/kernel", shape, initializer=made)
        self.built = True

    def _parts(self, state: Any) -> Any:
        if self._state_is_tuple:
            return state
        return apply("SplitV", state, [self._num_units, self.output_size], 1, num_split=2)

    def call(self, inputs: Any, state: Any) -> Any:
        c, h = self._parts(state)
        gates = _linear_step([inputs, h], self._kernel, self._bias)
        i, j, f, o = apply("Split", 1, gates, num_split=4)
        act, sigmoid = self._activation, as_activation("sigmoid")
        f = f + self._forget_bias
        if self._use_peepholes:
            i, f = i + self._w_i_diag * c, f + self._w_f_diag * c
        new_c = sigmoid(f) * c + sigmoid(i) * act(j)  # type: ignore[misc]
        new_c = _clipped(new_c, self._cell_clip)
        o = o + self._w_o_diag * new_c if self._use_peepholes else o
        new_h = sigmoid(o) * act(new_c)  # type: ignore[misc]
        if self._num_proj is not None:
            new_h = _clipped(apply("MatMul", new_h, self._proj_kernel), self._proj_clip)
        return new_h, _joined_state(new_c, new_h, self._state_is_tuple)


def _clipped(x: Any, limit: float | None) -> Any:
    return x if limit is None else apply("ClipByValue", x, -float(limit), float(limit))


@cell_export("LSTMBlockCell")
class LSTMBlockCell(LSTMCell):
    """`LSTMCell` under the arguments of the cell that TensorFlow runs as one kernel."""

    def __init__(
        self,
        num_units: int,
        forget_bias: float = 1.0,
        cell_clip: float | None = None,
        use_peephole: bool = False,
        dtype: Any = None,
        reuse: Any = None,
        name: str = "lstm_cell",
    ) -> None:
        super().__init__(
            num_units,
            use_peephole,
            cell_clip,
            forget_bias=forget_bias,
            reuse=reuse,
            name=name,
            dtype=dtype,
        )


@cell_export("GRUBlockCellV2")
class GRUBlockCellV2(GRUCell):
    """`GRUCell` under the arguments of the cell that TensorFlow runs as one kernel."""

    def __init__(
        self,
        num_units: int,
        cell_size: int | None = None,
        reuse: Any = None,
        name: str = "gru_cell",
    ) -> None:
        super().__init__(num_units or cell_size or 0, reuse=reuse, name=name)


@cell_export("MultiRNNCell")
class MultiRNNCell(RNNCell):
    """Cells one on top of the other: the output of each is the input of the next."""

    def __init__(self, cells: Sequence[Any], state_is_tuple: bool = True) -> None:
        super().__init__()
        if not cells:
            raise ValueError("Must specify at least one cell for MultiRNNCell.")
        if not nest.is_sequence(cells):
            raise TypeError(f"cells must be a list or tuple, but saw: {cells}.")
        if len({id(cell) for cell in cells}) < len(cells):
            import warnings

            warnings.warn(
                "At least two cells provided to MultiRNNCell are the same object and will share "
                "weights.",
                stacklevel=2,
            )
        self._cells, self._state_is_tuple = list(cells), state_is_tuple
        if not state_is_tuple and any(nest.is_sequence(cell.state_size) for cell in cells):
            raise ValueError(
                "Some cells return tuples of states, but the flag state_is_tuple is not set.  "
                f"State sizes are: {[cell.state_size for cell in cells]}"
            )

    @property
    def state_size(self) -> Any:
        sizes = tuple(cell.state_size for cell in self._cells)
        return sizes if self._state_is_tuple else sum(sizes)

    @property
    def output_size(self) -> Any:
        return self._cells[-1].output_size

    def zero_state(self, batch_size: Any, dtype: Any) -> Any:
        with name_scope(f"{type(self).__name__}ZeroState", values=[batch_size]):
            if self._state_is_tuple:
                return tuple(cell.zero_state(batch_size, dtype) for cell in self._cells)
            return super().zero_state(batch_size, dtype)

    def call(self, inputs: Any, state: Any) -> Any:
        if self._state_is_tuple and (not nest.is_sequence(state) or len(state) != len(self._cells)):
            raise ValueError(
                f"Expected state to be a tuple of length {len(self._cells)}, but received: {state}"
            )
        found, at = [], 0
        for i, cell in enumerate(self._cells):
            with vs.variable_scope(f"cell_{i}"):
                if self._state_is_tuple:
                    part = state[i]
                else:
                    part = apply("Slice", state, [0, at], [-1, cell.state_size])
                    at += cell.state_size
                inputs, new = cell(inputs, part)
                found.append(new)
        return inputs, tuple(found) if self._state_is_tuple else apply("ConcatV2", found, 1)
