"""tf.contrib.seq2seq's attention: mechanisms that score a memory, and the cell that uses them."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import layers, nest
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.initializers import Constant, Ones, Zeros
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.api.rnn_cells import RNNCell, zeros_for
from anode.frontends.tensorflow.api.rnn_wrappers import assert_like_rnncell
from anode.frontends.tensorflow.api.seq2seq import seq2seq_export
from anode.frontends.tensorflow.api.tensor_array import TensorArray
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.tensor_shape import TensorShape


@seq2seq_export
class AttentionMechanism:
    """What gives weights over a memory for a query."""

    @property
    def alignments_size(self) -> Any:
        raise NotImplementedError

    @property
    def state_size(self) -> Any:
        raise NotImplementedError


class _Attention(AttentionMechanism):
    """A mechanism over memory [batch, length, depth] with rows of `memory_sequence_length`."""

    def __init__(
        self,
        query_layer: Any,
        memory: Any,
        probability_fn: Callable[[Any], Any] | None,
        memory_sequence_length: Any,
        memory_layer: Any,
        score_mask_value: float | None,
        custom_key_value_fn: Any = None,
    ) -> None:
        self._query_layer, self._memory_layer = query_layer, memory_layer
        self._probability_fn = probability_fn or public("nn.softmax")
        self._mask_value = float("-inf") if score_mask_value is None else score_mask_value
        self._lengths = memory_sequence_length
        with name_scope(None, "BaseAttentionMechanismInit", nest.flatten(memory)):
            memory = convert_to_tensor(memory)
            if None in memory.shape.as_list()[2:]:
                raise ValueError(
                    f"Expected memory {memory.name} to have fully defined inner dims, but saw "
                    f"shape: {memory.shape}"
                )
            length = apply("Shape", memory)[1]
            self._mask = None
            if memory_sequence_length is not None:
                self._mask = public("sequence_mask")(memory_sequence_length, length)
                kept = apply("Cast", self._mask, DstT=memory.dtype.base_dtype)
                shape, memory = memory.shape, memory * apply("ExpandDims", kept, 2)
                memory.set_shape(shape)
            self._values = memory
            self._keys = memory_layer(memory) if memory_layer is not None else memory
            if custom_key_value_fn is not None:
                self._keys, self._values = custom_key_value_fn(self._keys, self._values)
            self._batch_size = memory.shape.as_list()[0] or apply("Shape", self._keys)[0]
            self._size = self._keys.shape.as_list()[1] or apply("Shape", self._keys)[1]

    @property
    def memory_layer(self) -> Any:
        return self._memory_layer

    @property
    def query_layer(self) -> Any:
        return self._query_layer

    @property
    def values(self) -> Any:
        return self._values

    @property
    def keys(self) -> Any:
        return self._keys

    @property
    def batch_size(self) -> Any:
        return self._batch_size

    @property
    def alignments_size(self) -> Any:
        return self._size

    @property
    def state_size(self) -> Any:
        return self._size

    def initial_alignments(self, batch_size: Any, dtype: Any) -> Any:
        """Zeros [batch, length]."""
        if isinstance(self._size, int):
            return zeros_for(self._size, batch_size, dtype)
        shape = apply("Pack", [batch_size, self._size], axis=0)
        zeros = apply("Fill", shape, convert_to_tensor(0, dtype))
        zeros.set_shape([batch_size if isinstance(batch_size, int) else None, None])
        return zeros

    def initial_state(self, batch_size: Any, dtype: Any) -> Any:
        return self.initial_alignments(batch_size, dtype)

    def _probabilities(self, score: Any) -> Any:
        if self._mask is not None:
            lowest = apply("OnesLike", score) * self._mask_value
            shape, score = score.shape, apply("Select", self._mask, score, lowest)
            score.set_shape(shape)
        return self._probability_fn(score)


@seq2seq_export
class LuongAttention(_Attention):
    """score = query . keys, with a learned factor if `scale`. Source: Luong et al. 2015."""

    def __init__(
        self,
        num_units: int,
        memory: Any,
        memory_sequence_length: Any = None,
        scale: bool = False,
        probability_fn: Any = None,
        score_mask_value: float | None = None,
        dtype: Any = None,
        custom_key_value_fn: Any = None,
        name: str = "LuongAttention",
    ) -> None:
        layer = layers.Dense(num_units, name="memory_layer", use_bias=False, dtype=dtype)
        super().__init__(
            None,
            memory,
            probability_fn,
            memory_sequence_length,
            layer,
            score_mask_value,
            custom_key_value_fn,
        )
        self._num_units, self._scale, self._name = num_units, scale, name

    def __call__(self, query: Any, state: Any) -> tuple[Any, Any]:
        with vs.variable_scope(None, "luong_attention", [query]):
            depth = query.shape.as_list()[-1]
            units = self._keys.shape.as_list()[-1]
            if depth != units:
                raise ValueError(
                    "Incompatible or unknown inner dimensions between query and keys.  Query "
                    f"({query}) has units: {depth}.  Keys ({self._keys}) have units: {units}.  "
                    "Perhaps you need to set num_units to the keys' dimension?"
                )
            wide = apply("ExpandDims", query, 1)
            score = apply("BatchMatMulV2", wide, self._keys, adj_y=True)
            score = apply("Squeeze", score, squeeze_dims=[1])
            if self._scale:
                made = Ones()
                dtype = query.dtype.base_dtype
                score = vs.get_variable("attention_g", (), dtype, initializer=made) * score
            alignments = self._probabilities(score)
        return alignments, alignments


@seq2seq_export
class BahdanauAttention(_Attention):
    """score = v . tanh(query W + keys). Source: Bahdanau et al. 2015; normalised: Salimans 2016."""

    def __init__(
        self,
        num_units: int,
        memory: Any,
        memory_sequence_length: Any = None,
        normalize: bool = False,
        probability_fn: Any = None,
        score_mask_value: float | None = None,
        dtype: Any = None,
        custom_key_value_fn: Any = None,
        name: str = "BahdanauAttention",
    ) -> None:
        query = layers.Dense(num_units, name="query_layer", use_bias=False, dtype=dtype)
        layer = layers.Dense(num_units, name="memory_layer", use_bias=False, dtype=dtype)
        super().__init__(
            query,
            memory,
            probability_fn,
            memory_sequence_length,
            layer,
            score_mask_value,
            custom_key_value_fn,
        )
        self._num_units, self._normalize, self._name = num_units, normalize, name

    def __call__(self, query: Any, state: Any) -> tuple[Any, Any]:
        with vs.variable_scope(None, "bahdanau_attention", [query]):
            units, dtype = self._num_units, query.dtype.base_dtype
            asked = apply("ExpandDims", self.query_layer(query), 1)
            v = vs.get_variable("attention_v", [units], dtype=dtype)
            total = self._keys + asked
            if self._normalize:
                made = Constant((1.0 / units) ** 0.5)
                g = vs.get_variable("attention_g", (), dtype, initializer=made)
                b = vs.get_variable("attention_b", [units], dtype, initializer=Zeros())
                length = apply("Sum", apply("Square", v), [0], keep_dims=False)
                v, total = g * v * apply("Rsqrt", length), total + b
            score = apply("Sum", v * apply("Tanh", total), [2], keep_dims=False)
            alignments = self._probabilities(score)
        return alignments, alignments


_State = namedtuple(
    "_State",
    ("cell_state", "attention", "time", "alignments", "alignment_history", "attention_state"),
)


@seq2seq_export
class AttentionWrapperState(_State):
    """The state of an AttentionWrapper."""

    __slots__ = ()

    def clone(self, **kwargs: Any) -> AttentionWrapperState:
        """The state with some parts replaced by ones of the same structure."""
        for key, value in kwargs.items():
            nest.assert_same_structure(getattr(self, key), value)
        return self._replace(**kwargs)


@seq2seq_export
def hardmax(logits: Any, name: str | None = None) -> Any:
    """One-hot rows of the largest element."""
    with name_scope(name, "Hardmax", [logits]):
        logits = convert_to_tensor(logits)
        depth = logits.shape.as_list()[-1] or apply("Shape", logits)[-1]
        dtype = logits.dtype.base_dtype
        one, zero = convert_to_tensor(1, dtype), convert_to_tensor(0, dtype)
        return apply("OneHot", apply("ArgMax", logits, -1), depth, one, zero)


def _attended(mechanism: Any, cell_output: Any, state: Any, layer: Any) -> tuple[Any, Any, Any]:
    """(attention, alignments, next state of the mechanism)."""
    alignments, new = mechanism(cell_output, state=state)
    context = apply("BatchMatMulV2", apply("ExpandDims", alignments, 1), mechanism.values)
    context = apply("Squeeze", context, squeeze_dims=[1])
    context.set_shape([None, mechanism.values.shape.as_list()[-1]])
    if layer is None:
        return context, alignments, new
    return layer(apply("ConcatV2", [cell_output, context], 1)), alignments, new


def _beside(inputs: Any, attention: Any) -> Any:
    return apply("ConcatV2", [inputs, attention], -1)


@seq2seq_export
class AttentionWrapper(RNNCell):
    """A cell that attends to memories: its inputs are joined by what it attended to before."""

    def __init__(
        self,
        cell: Any,
        attention_mechanism: Any,
        attention_layer_size: Any = None,
        alignment_history: bool = False,
        cell_input_fn: Callable[[Any, Any], Any] | None = None,
        output_attention: bool = True,
        initial_cell_state: Any = None,
        name: str | None = None,
        attention_layer: Any = None,
        attention_fn: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        assert_like_rnncell("cell", cell)
        self._is_multi = isinstance(attention_mechanism, (list, tuple))
        self._mechanisms = list(attention_mechanism) if self._is_multi else [attention_mechanism]
        for mechanism in self._mechanisms:
            if not isinstance(mechanism, AttentionMechanism):
                raise TypeError(
                    "attention_mechanism must be an AttentionMechanism or list of multiple "
                    f"AttentionMechanism instances, saw type: {type(mechanism).__name__}"
                )
        if attention_layer_size is not None and attention_layer is not None:
            raise ValueError("Only one of attention_layer_size and attention_layer should be set")
        self._attention_layers = self._layers_of(attention_layer_size, attention_layer, dtype)
        self._attention_size = sum(
            self._size_of(layer, mechanism)
            for layer, mechanism in zip(self._attention_layers, self._mechanisms, strict=True)
        )
        self._cell = cell
        self._cell_input_fn = cell_input_fn or _beside
        self._attention_fn = attention_fn or _attended
        self._output_attention, self._history = output_attention, alignment_history
        self._initial_cell_state = None
        if initial_cell_state is not None:
            self._initial_cell_state = nest.map_structure(
                lambda s: apply("Identity", s, name="check_initial_cell_state"), initial_cell_state
            )

    def _layers_of(self, sizes: Any, given: Any, dtype: Any) -> list[Any]:
        count = len(self._mechanisms)
        if sizes is not None:
            listed = list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]
            if len(listed) != count:
                raise ValueError(
                    "If provided, attention_layer_size must contain exactly one integer per "
                    f"attention_mechanism, saw: {len(listed)} vs {count}"
                )
            return [
                layers.Dense(size, name="attention_layer", use_bias=False, dtype=dtype)
                for size in listed
            ]
        if given is not None:
            return list(given) if isinstance(given, (list, tuple)) else [given]
        return [None] * count

    @staticmethod
    def _size_of(layer: Any, mechanism: Any) -> int:
        if layer is None:
            return int(mechanism.values.shape.as_list()[-1])
        return int(layer.units)

    def _one_or_all(self, values: Sequence[Any]) -> Any:
        return tuple(values) if self._is_multi else next(iter(values))

    @property
    def output_size(self) -> Any:
        return self._attention_size if self._output_attention else self._cell.output_size

    @property
    def state_size(self) -> AttentionWrapperState:
        sizes = [m.alignments_size for m in self._mechanisms]
        return AttentionWrapperState(
            cell_state=self._cell.state_size,
            time=TensorShape([]),
            attention=self._attention_size,
            alignments=self._one_or_all(sizes),
            attention_state=self._one_or_all([m.state_size for m in self._mechanisms]),
            alignment_history=self._one_or_all([size if self._history else () for size in sizes]),
        )

    def zero_state(self, batch_size: Any, dtype: Any) -> AttentionWrapperState:
        with name_scope(f"{type(self).__name__}ZeroState", values=[batch_size]):
            cell_state = self._initial_cell_state
            if cell_state is None:
                cell_state = self._cell.zero_state(batch_size, dtype)
            first = [m.initial_alignments(batch_size, dtype) for m in self._mechanisms]
            histories = [
                TensorArray(dtype, size=0, dynamic_size=True, element_shape=a.shape)
                if self._history
                else ()
                for a in first
            ]
            return AttentionWrapperState(
                cell_state=cell_state,
                time=apply("Fill", convert_to_tensor([], "int32"), 0),
                attention=zeros_for(self._attention_size, batch_size, dtype),
                alignments=self._one_or_all(first),
                attention_state=self._one_or_all(
                    [m.initial_state(batch_size, dtype) for m in self._mechanisms]
                ),
                alignment_history=self._one_or_all(histories),
            )

    def call(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        if not isinstance(state, AttentionWrapperState):
            raise TypeError(
                "Expected state to be instance of AttentionWrapperState. Received type "
                f"{type(state)} instead."
            )
        joined = self._cell_input_fn(inputs, state.attention)
        output, cell_state = self._cell(joined, state.cell_state)
        before = state.attention_state if self._is_multi else [state.attention_state]
        histories = state.alignment_history if self._is_multi else [state.alignment_history]
        found = [
            self._attention_fn(mechanism, output, old, layer)
            for mechanism, old, layer in zip(
                self._mechanisms, before, self._attention_layers, strict=True
            )
        ]
        attentions, alignments, states = zip(*found, strict=True)
        written = [
            history.write(state.time, alignment) if self._history else ()
            for history, alignment in zip(histories, alignments, strict=True)
        ]
        attention = (
            attentions[0] if len(attentions) == 1 else apply("ConcatV2", list(attentions), 1)
        )
        new = AttentionWrapperState(
            cell_state=cell_state,
            attention=attention,
            time=state.time + 1,
            alignments=self._one_or_all(alignments),
            attention_state=self._one_or_all(states),
            alignment_history=self._one_or_all(written),
        )
        return (attention if self._output_attention else output), new
