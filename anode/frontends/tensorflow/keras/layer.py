"""tf.keras.layers.Layer: a layer that remembers what it was applied to, so that models can be."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from anode.frontends.tensorflow.api import layers_base, nest
from anode.frontends.tensorflow.api.layers_base import unique_layer_name
from anode.frontends.tensorflow.core import Tensor, get_default_graph
from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, create, name_scope
from anode.frontends.tensorflow.graph import placeholder as make_placeholder
from anode.frontends.tensorflow.keras import options, state
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape


class KerasHistory(NamedTuple):
    """Which call of which layer made a tensor."""

    layer: Any
    node_index: int
    tensor_index: int


@dataclass(eq=False)
class Node:
    """One call of a layer: its tensors and arguments."""

    layer: Any
    inputs: Any
    outputs: Any
    kwargs: dict[str, Any] = field(default_factory=dict)

    @property
    def input_tensors(self) -> list[Any]:
        return [t for t in nest.flatten(self.inputs) if isinstance(t, Tensor)]

    @property
    def output_tensors(self) -> list[Any]:
        return list(nest.flatten(self.outputs))

    @property
    def inbound_layers(self) -> list[Any]:
        return [t._keras_history.layer for t in self.input_tensors]

    @property
    def input_shapes(self) -> Any:
        return nest.map_structure(shape_of, self.inputs)

    @property
    def output_shapes(self) -> Any:
        return nest.map_structure(shape_of, self.outputs)


def shape_of(tensor: Any) -> tuple[Any, ...] | None:
    """The static shape as a tuple, None for an unknown rank."""
    shape = tensor.shape
    return None if shape.rank is None else tuple(shape.as_list())


def history(tensor: Any) -> KerasHistory | None:
    found: KerasHistory | None = getattr(tensor, "_keras_history", None)
    return found


def single(values: Sequence[Any]) -> Any:
    """The one item of a list, or the list."""
    return values[0] if len(values) == 1 else list(values)


@functools.cache
def _parameters(function: Any) -> tuple[frozenset[str], bool]:
    found = inspect.signature(function).parameters
    return frozenset(found), any(p.kind is p.VAR_KEYWORD for p in found.values())


@export("keras.layers.Layer", "python.keras.engine.base_layer.Layer")
class Layer(layers_base.Layer):
    """A function of tensors with weights, which are resource variables named under the layer.

    Calls on tensors of `Input` are noted, so that `Model(inputs, outputs)` finds them again. Masks
    travel with tensors as `_keras_mask`.
    """

    def _start(self, trainable: bool, dtype: Any, activity_regularizer: Any) -> None:
        super()._start(trainable, dtype, activity_regularizer)
        self._inbound_nodes: list[Node] = []
        self._metrics: list[Any] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if "_inbound_nodes" not in self.__dict__ and isinstance(value, layers_base.Layer):
            raise RuntimeError(
                "It looks like you are subclassing `Model` and you forgot to call "
                "`super(YourClass, self).__init__()`. Always start with this line."
            )
        super().__setattr__(name, value)

    def _accepts(self, argument: str) -> bool:
        return argument in _parameters(type(self).call)[0]

    # weights

    def add_weight(self, name: str | None = None, shape: Any = None, *args: Any, **kw: Any) -> Any:
        """A new weight; initialiser, regularizer and constraint may be names."""
        bound = _WEIGHT.bind(self, name, shape, *args, **kw).arguments
        bound.pop("self")
        bound.update(bound.pop("kwargs", {}))
        for key in ("initializer", "regularizer", "constraint"):
            bound[key] = getattr(options, key)(bound.get(key))
        bound.setdefault("dtype", self._dtype or state.floatx())
        if bound.get("synchronization") is not None and bound.get("trainable") is None:
            bound["trainable"] = True
        return super().add_weight(**bound)

    def _make_variable(
        self,
        name: str | None,
        shape: tuple[Any, ...],
        dtype: Any,
        *,
        initializer: Any,
        regularizer: Any,
        trainable: bool,
        **more: Any,
    ) -> Any:
        from anode.frontends.tensorflow.api import variables
        from anode.frontends.tensorflow.api.layers_options import default_initializer

        make = initializer or default_initializer(dtype)
        variable = variables.Variable(
            initial_value=lambda: make(shape, dtype=dtype),
            name=name or "Variable",
            trainable=trainable,
            dtype=dtype,
            constraint=more["constraint"],
            use_resource=True,
        )
        state.track_variable(variable)
        if regularizer is not None:
            self._regularize(name or "Variable", variable, regularizer)
        return variable

    def get_weights(self) -> list[np.ndarray]:
        weights = self.weights
        return list(state.get_session().run(weights)) if weights else []

    def set_weights(self, weights: Sequence[Any]) -> None:
        mine = self.weights
        if len(mine) != len(weights):
            raise ValueError(
                f'You called `set_weights(weights)` on layer "{self.name}" with a  weight list of '
                f"length {len(weights)}, but the layer was expecting {len(mine)} weights. Provided "
                f"weights: {str(weights)[:50]}..."
            )
        pairs = [(w, np.asarray(value)) for w, value in zip(mine, weights, strict=True)]
        for variable, value in pairs:
            if tuple(variable.shape.as_list()) != value.shape:
                raise ValueError(
                    f"Layer weight shape {variable.shape} not compatible with provided weight "
                    f"shape {value.shape}"
                )
        load(pairs)

    def add_metric(
        self, value: Any, aggregation: str | None = None, name: str | None = None
    ) -> None:
        """Note a tensor to be reported by training, averaged over batches."""
        if aggregation not in (None, "mean"):
            raise ValueError("add_metric: aggregation must be None or 'mean'")
        value._metric_name = name or value.op.name
        value._metric_mean = aggregation == "mean"
        self._metrics.append(value)

    # calls

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = nest.map_structure(_as_tensor, inputs)
        tensors = [t for t in nest.flatten(inputs) if isinstance(t, Tensor)]
        known = make_history(tensors)
        given = dict(kwargs)
        mask = self._mask_of(inputs, kwargs)
        with self._training(args, kwargs), name_scope(self._name_scope()):
            self._build_once(inputs)
            outputs = self.call(inputs, *args, **kwargs)
            if outputs is None:
                raise ValueError(
                    "A layer's `call` method should return a Tensor or a list of Tensors, not None "
                    f"(layer: {self.name})."
                )
            outputs = _distinct_outputs(tensors, outputs)
            self._regularize_activity(inputs, outputs)
            self._set_masks(inputs, outputs, mask)
        if known:
            given.update(zip(self._call_names(), args, strict=False))
            self._note(inputs, outputs, given)
        return outputs

    def _call_names(self) -> list[str]:
        return list(inspect.signature(self.call).parameters)[1:]

    def _mask_of(self, inputs: Any, kwargs: dict[str, Any]) -> Any:
        masks = nest.map_structure(lambda t: getattr(t, "_keras_mask", None), inputs)
        present = any(m is not None for m in nest.flatten(masks))
        if present and self._accepts("mask") and kwargs.get("mask") is None:
            kwargs["mask"] = masks
        return kwargs.get("mask") if not present else masks

    @contextmanager
    def _training(self, args: Sequence[Any], kwargs: dict[str, Any]) -> Iterator[None]:
        """The `training` of a call holds for the layers called inside it."""
        held = get_default_graph().__dict__
        before = held.get("_keras_training")
        if self._accepts("training"):
            names = self._call_names()
            position = names.index("training") if "training" in names else len(args)
            if kwargs.get("training") is None and position >= len(args) and before is not None:
                kwargs["training"] = before
            given = args[position] if position < len(args) else kwargs.get("training")
            held["_keras_training"] = before if given is None else given
        try:
            yield
        finally:
            held["_keras_training"] = before

    def _set_masks(self, inputs: Any, outputs: Any, mask: Any) -> None:
        flat = nest.flatten(outputs)
        if all(getattr(t, "_keras_mask", None) is not None for t in flat):
            return
        masks = self.compute_mask(inputs, mask)
        found = nest.flatten(masks) if masks is not None else [None] * len(flat)
        for tensor, item in zip(flat, found, strict=False):
            if isinstance(tensor, Tensor):
                tensor._keras_mask = item  # type: ignore[attr-defined]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if not self.supports_masking:
            if any(m is not None for m in nest.flatten(mask)):
                raise TypeError(
                    f"Layer {self.name} does not support masking, but was passed an input_mask: "
                    f"{mask}"
                )
            return None
        return mask

    def _note(self, inputs: Any, outputs: Any, kwargs: dict[str, Any]) -> None:
        self._inbound_nodes.append(Node(self, inputs, outputs, kwargs))
        for i, tensor in enumerate(nest.flatten(outputs)):
            tensor._keras_history = KerasHistory(self, len(self._inbound_nodes) - 1, i)

    # what is known of its calls

    @property
    def inbound_nodes(self) -> list[Node]:
        return self._inbound_nodes

    def _node(self, index: int) -> Node:
        if not self._inbound_nodes:
            raise RuntimeError("The layer has never been called and thus has no defined node.")
        if not -len(self._inbound_nodes) <= index < len(self._inbound_nodes):
            raise ValueError(
                f"Asked to get node {index}, but the layer has only {len(self._inbound_nodes)} "
                "inbound nodes."
            )
        return self._inbound_nodes[index]

    def get_input_at(self, node_index: int) -> Any:
        return single(self._node(node_index).input_tensors)

    def get_output_at(self, node_index: int) -> Any:
        return single(self._node(node_index).output_tensors)

    def get_input_shape_at(self, node_index: int) -> Any:
        return single([shape_of(t) for t in self._node(node_index).input_tensors])

    def get_output_shape_at(self, node_index: int) -> Any:
        return single([shape_of(t) for t in self._node(node_index).output_tensors])

    def _only(self, what: str) -> Node:
        if not self._inbound_nodes:
            raise AttributeError(
                f"Layer {self.name} is not connected, no input to return."
                if what == "input"
                else f"Layer {self.name} has no inbound nodes."
            )
        if len(self._inbound_nodes) > 1 and "shape" not in what:
            raise AttributeError(
                f'Layer {self.name} has multiple inbound nodes, hence the notion of "layer {what}" '
                f"is ill-defined. Use `get_{what}_at(node_index)` instead."
            )
        return self._inbound_nodes[0]

    @property
    def input(self) -> Any:
        return single(self._only("input").input_tensors)

    @property
    def output(self) -> Any:
        return single(self._only("output").output_tensors)

    @property
    def input_shape(self) -> Any:
        return single([shape_of(t) for t in self._only("input shape").input_tensors])

    @property
    def output_shape(self) -> Any:
        return single([shape_of(t) for t in self._only("output shape").output_tensors])

    @property
    def input_mask(self) -> Any:
        return single([getattr(t, "_keras_mask", None) for t in self._only("input").input_tensors])

    @property
    def output_mask(self) -> Any:
        return single(
            [getattr(t, "_keras_mask", None) for t in self._only("output").output_tensors]
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output, by a trial call on placeholders if nothing else is known."""
        from anode.frontends.tensorflow.core import Graph

        if type(self).call is Layer.call:
            return input_shape
        one = not isinstance(input_shape, list)
        shapes = [input_shape] if one else input_shape
        with Graph().as_default():
            dtype = self._dtype or state.floatx()
            inputs = [make_placeholder(dtype, TensorShape(s).as_list()) for s in shapes]
            outputs = self(inputs[0] if one else inputs)
        return nest.map_structure(lambda t: t.shape, outputs)

    def count_params(self) -> int:
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on {self.name}, but the layer isn't built. You "
                "can build it manually via: `"
                f"{self.name}.build(batch_input_shape)`."
            )
        return sum(int(np.prod(w.shape.as_list())) for w in self.weights)

    def get_config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        if hasattr(self, "_batch_input_shape"):
            config["batch_input_shape"] = self._batch_input_shape
        config["dtype"] = self.dtype
        return config


_WEIGHT = inspect.signature(layers_base.Layer.add_weight)


def load(pairs: Sequence[tuple[Any, Any]]) -> None:
    """Give values to variables without an operation of the graph for each."""
    if not pairs:
        return
    session = state.get_session()
    for variable, value in pairs:
        session.set_variable(variable.op, value)


def _as_tensor(value: Any) -> Any:
    if isinstance(value, (np.ndarray, float, int)):
        return convert_to_tensor(value)
    return value.value() if hasattr(value, "initializer") and hasattr(value, "value") else value


def _distinct_outputs(tensors: Sequence[Any], outputs: Any) -> Any:
    """Outputs that are not inputs: a layer that passes one on gives a copy."""
    own = {id(t) for t in tensors}

    def copy(tensor: Any) -> Any:
        if not isinstance(tensor, Tensor):
            return tensor
        return apply("Identity", tensor) if id(tensor) in own else tensor

    return nest.map_structure(copy, outputs)


# inputs


@export("keras.layers.InputLayer", "python.keras.engine.input_layer.InputLayer")
class InputLayer(Layer):
    """Where a model's data come in: a placeholder, or a tensor that is given."""

    def __init__(
        self,
        input_shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        input_tensor: Any = None,
        sparse: bool = False,
        name: str | None = None,
        ragged: bool = False,
        **kwargs: Any,
    ) -> None:
        if ragged:
            raise NotImplementedError("InputLayer: ragged inputs are not implemented by anode")
        batch_shape = kwargs.pop("batch_input_shape", None)
        if kwargs:
            raise ValueError("Unrecognized keyword arguments:", kwargs.keys())
        if batch_shape is not None and input_shape is not None:
            raise ValueError(
                "Only provide the input_shape OR batch_input_shape argument to InputLayer, not "
                "both at the same time."
            )
        if batch_shape is not None:
            batch_size, input_shape = batch_shape[0], tuple(batch_shape[1:])
        if not name:
            name = unique_layer_name("input")
        if dtype is None:
            dtype = state.floatx() if input_tensor is None else input_tensor.dtype.base_dtype
        super().__init__(dtype=dtype, name=name)
        self.built, self.sparse, self.batch_size = True, sparse, batch_size
        self.supports_masking = True
        self.is_placeholder = input_tensor is None
        if input_tensor is None:
            if isinstance(input_shape, TensorShape):
                input_shape = tuple(input_shape.as_list())
            elif isinstance(input_shape, int):
                input_shape = (input_shape,)
            whole = None if input_shape is None else (batch_size, *input_shape)
            self._batch_input_shape: Any = whole
            input_tensor = self._placeholder(sparse)
        else:
            self._batch_input_shape = shape_of(input_tensor)
        self._note([], [input_tensor], {})
        self._inbound_nodes[0].inputs = [input_tensor]

    @property
    def output_shape(self) -> Any:
        return [shape_of(t) for t in self._inbound_nodes[0].output_tensors]

    def _placeholder(self, sparse: bool) -> Any:
        if sparse:
            from anode.frontends.tensorflow.modules import tensorflow as tf

            return tf.sparse_placeholder(self.dtype, self._batch_input_shape, name=self.name)
        shape = self._batch_input_shape
        return make_placeholder(as_dtype(self.dtype), shape, name=self.name)

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_input_shape": self._batch_input_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "name": self.name,
        }


@export("keras.Input", "keras.layers.Input")
def Input(
    shape: Any = None,
    batch_size: int | None = None,
    name: str | None = None,
    dtype: Any = None,
    sparse: bool = False,
    tensor: Any = None,
    ragged: bool = False,
    **kwargs: Any,
) -> Any:
    """A tensor that a model is fed at: a placeholder of `(batch_size, *shape)`."""
    batch_shape = kwargs.pop("batch_shape", None)
    if kwargs:
        raise ValueError("Unrecognized keyword arguments:", kwargs.keys())
    if shape is not None and batch_shape is not None:
        raise ValueError(
            "Only provide the `shape` OR `batch_shape` argument to Input, not both at the same "
            "time."
        )
    if batch_shape is None and shape is None and tensor is None:
        raise ValueError(
            "Please provide to Input either a `shape` or a `tensor` argument. Note that `shape` "
            "does not include the batch dimension."
        )
    where: dict[str, Any] = (
        {"batch_input_shape": tuple(batch_shape)}
        if batch_shape
        else {"batch_size": batch_size, "input_shape": shape}
    )
    layer = InputLayer(
        name=name, dtype=dtype, sparse=sparse, ragged=ragged, input_tensor=tensor, **where
    )
    return single(layer._inbound_nodes[0].output_tensors)


# operations between layers


class TensorFlowOpLayer(Layer):
    """An operation that a script applied to tensors of layers, as a layer of the model."""

    def __init__(self, op: Any, constants: dict[int, Any]) -> None:
        super().__init__(name="tf_op_layer_" + op.name, trainable=False)
        self._op_made, self._constant_inputs = op, constants
        self.built = True

    def call(self, inputs: Any) -> Any:
        op = self._op_made
        feed = iter(inputs if isinstance(inputs, (list, tuple)) else [inputs])
        operands = [
            self._constant_inputs[i] if i in self._constant_inputs else next(feed)
            for i in range(len(op.inputs))
        ]
        dtypes = [t.dtype for t in op.outputs]
        made = create(op._definition, operands, dict(op._attrs), op.type, dtypes)
        return single(made.outputs)

    def get_config(self) -> dict[str, Any]:
        raise NotImplementedError(
            f"{self.name}: an operation used as a layer has no configuration; use a Lambda layer"
        )


def make_history(tensors: Sequence[Any]) -> bool:
    """Whether all tensors come from layers; operations in between are made layers first."""
    if all(history(t) is not None for t in tensors):
        return bool(tensors)
    found: dict[Any, bool] = {}
    if not tensors or not all(_from_layers(t, found) for t in tensors):
        return False
    for tensor in tensors:
        _wrap(tensor, found)
    return True


def _from_layers(tensor: Any, found: dict[Any, bool]) -> bool:
    """Whether a tensor depends on the output of a layer that was noted."""
    stack = [tensor]
    while stack:
        last = stack[-1]
        if last in found:
            stack.pop()
        elif history(last) is not None:
            found[last] = True
        else:
            open_ = [t for t in last.op.inputs if t not in found]
            if open_:
                stack += open_
            else:
                found[last] = any(found[t] for t in last.op.inputs)
    return found[tensor]


def _wrap(tensor: Any, found: dict[Any, bool]) -> None:
    if history(tensor) is not None:
        return
    op = tensor.op
    constants = {i: t for i, t in enumerate(op.inputs) if not found[t]}
    inputs = [t for t in op.inputs if found[t]]
    for source in inputs:
        _wrap(source, found)
    layer = TensorFlowOpLayer(op, constants)
    layer._note(single(inputs), single(op.outputs), {})
