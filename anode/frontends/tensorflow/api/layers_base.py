"""What every layer is: weights made once, a call under its name, losses, updates, configuration.

`Layer` is shared by tf.layers, the rnn cells and tf.keras. How a variable is made and in which
scope a call names its operations are methods (`_make_variable`, `_name_scope`) that they override.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.core import Graph, Tensor, get_default_graph
from anode.frontends.tensorflow.dtypes import as_dtype, float32
from anode.frontends.tensorflow.graph import convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape


def to_snake_case(name: str) -> str:
    """`BasicLSTMCell` as `basic_lstm_cell`; a private class keeps its mark as `private`."""
    spaced = re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    snake = re.sub("([a-z])([A-Z])", r"\1_\2", spaced).lower()
    return f"private{snake}" if snake.startswith("_") else snake


def unique_layer_name(base: str, zero_based: bool = False, avoid: Sequence[str] = ()) -> str:
    """`base` with the next free number among the layers of the default graph."""
    counts: dict[str, int] = get_default_graph().__dict__.setdefault("_layer_names", {})
    while True:
        counts[base] = counts.get(base, 0) + 1
        number = counts[base] - 1 if zero_based else counts[base]
        name = f"{base}_{number}" if number else base
        if name not in avoid:
            return name


@export("layers.InputSpec", "keras.layers.InputSpec", "python.layers.base.InputSpec")
class InputSpec:
    """What a layer accepts: a dtype, a shape, a rank or its bounds, sizes of some axes."""

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
    ) -> None:
        self.dtype = None if dtype is None else as_dtype(dtype).name
        self.shape = shape
        self.ndim = ndim if shape is None else len(shape)
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}

    def __repr__(self) -> str:
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim")
        found = [f"{name}={getattr(self, name)}" for name in names if getattr(self, name)]
        return f"InputSpec({', '.join(found)}{f', axes={self.axes}' if self.axes else ''})"


def check_spec(layer: str, spec: InputSpec, tensor: Any, position: int = 0) -> None:
    """Raise ValueError where a tensor is not what a layer accepts; unknown sizes pass."""
    dims = tensor.shape.as_list() if tensor.shape.rank is not None else None
    start = f"Input {position} of layer {layer} is incompatible with the layer: "
    if dims is None:
        if spec.ndim is not None or spec.min_ndim is not None:
            raise ValueError(
                f"{start}its rank is undefined, but the layer requires a defined rank."
            )
        return
    rank = len(dims)
    if spec.ndim is not None and rank != spec.ndim:
        raise ValueError(
            f"{start}expected ndim={spec.ndim}, found ndim={rank}. Full shape received: {dims}"
        )
    if spec.max_ndim is not None and rank > spec.max_ndim:
        raise ValueError(f"{start}expected max_ndim={spec.max_ndim}, found ndim={rank}")
    if spec.min_ndim is not None and rank < spec.min_ndim:
        raise ValueError(
            f"{start}: expected min_ndim={spec.min_ndim}, found ndim={rank}. "
            f"Full shape received: {dims}"
        )
    for axis, size in spec.axes.items():
        if size is not None and dims[axis] not in (size, None):
            raise ValueError(
                f"{start}expected axis {axis} of input shape to have value {size} but received "
                f"input with shape {dims}"
            )
    for want, got in zip(spec.shape or (), dims, strict=False):
        if want is not None and got is not None and want != got:
            raise ValueError(f"{start}expected shape={tuple(spec.shape)}, found shape={dims}")


def _shapes(inputs: Any) -> Any:
    if isinstance(inputs, (list, tuple)) and all(hasattr(x, "shape") for x in inputs):
        shapes = [x.shape for x in inputs]
        return shapes[0] if len(shapes) == 1 else shapes
    if hasattr(inputs, "shape"):
        return inputs.shape
    return nest.map_structure(lambda x: x.shape, inputs)


def _is_variable(value: Any) -> bool:
    return hasattr(value, "initializer") and hasattr(value, "assign")


def _distinct(items: Sequence[Any]) -> list[Any]:
    return list({id(item): item for item in items}.values())


class Layer:
    """A function of tensors with weights: `build` makes them at the first call, `call` uses them.

    `add_weight` makes a weight, `add_loss` and `add_update` note what training adds up and runs.
    Weights of layers held as attributes count as this layer's.
    """

    def __init__(
        self, trainable: bool = True, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        activity_regularizer = kwargs.pop("activity_regularizer", None)
        kwargs.pop("autocast", None), kwargs.pop("dynamic", None)
        batch_size = kwargs.pop("batch_size", None)
        input_shape = kwargs.pop("batch_input_shape", None)
        sizes = kwargs.pop("input_shape", None)
        if kwargs.pop("input_dim", None) is not None and sizes is None:
            raise TypeError("input_dim is an argument of Dense and Embedding")
        weights = kwargs.pop("weights", None)
        if kwargs:
            raise TypeError(f"Keyword argument not understood: {', '.join(sorted(kwargs))}")
        if input_shape is None and sizes is not None:
            input_shape = (batch_size, *sizes)
        if input_shape is not None:
            self._batch_input_shape = tuple(input_shape)
        self._initial_weights = weights
        self._start(trainable, dtype, activity_regularizer)
        self._init_name(name)

    def _start(self, trainable: bool, dtype: Any, activity_regularizer: Any) -> None:
        self._trainable = trainable
        self._dtype = None if dtype is None else as_dtype(dtype).name
        self._activity_regularizer = activity_regularizer
        self.built = False
        self.stateful = False
        self.supports_masking = False
        self.input_spec: Any = None
        self._trainable_weights: list[Any] = []
        self._non_trainable_weights: list[Any] = []
        self._updates: list[Any] = []
        self._losses: list[Any] = []
        self._callable_losses: list[Callable[[], Any]] = []
        self._conditional: dict[int, bool] = {}
        self._calls: list[tuple[Any, Any]] = []

    # names

    def _init_name(self, name: str | None) -> None:
        base = to_snake_case(type(self).__name__)
        self._name = name or unique_layer_name(base, zero_based=True)

    def _name_scope(self) -> str:
        return self._name

    @property
    def name(self) -> str:
        return self._name

    @property
    def dtype(self) -> str | None:
        return self._dtype

    @property
    def activity_regularizer(self) -> Any:
        return self._activity_regularizer

    @activity_regularizer.setter
    def activity_regularizer(self, regularizer: Any) -> None:
        self._activity_regularizer = regularizer

    # what a subclass defines

    def build(self, input_shape: Any) -> None:
        """Make the weights; the shape is that of the first input."""
        self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The outputs of the layer."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for a shape of the input."""
        raise NotImplementedError(f"{type(self).__name__} does not define compute_output_shape")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask if self.supports_masking else None

    # weights

    def add_weight(
        self,
        name: str | None = None,
        shape: Any = None,
        dtype: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        trainable: bool | None = None,
        constraint: Any = None,
        partitioner: Any = None,
        use_resource: bool | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A new weight of the layer; its regularizer's loss is noted."""
        unknown = set(kwargs) - {"getter", "collections", "experimental_autocast"}
        if unknown:
            raise TypeError(f"Unknown keyword argument: {', '.join(sorted(unknown))}")
        trainable = True if trainable is None else trainable
        shape = () if shape is None else shape
        variable = self._make_variable(
            name,
            tuple(TensorShape(shape).as_list()),
            as_dtype(dtype or self._dtype or float32).base_dtype,
            initializer=initializer,
            regularizer=regularizer,
            trainable=trainable,
            constraint=constraint,
            partitioner=partitioner,
            use_resource=use_resource,
        )
        self._track_weight(variable, trainable)
        return variable

    def add_variable(self, *args: Any, **kwargs: Any) -> Any:
        """The older name of `add_weight`."""
        return self.add_weight(*args, **kwargs)

    def _make_variable(
        self,
        name: str | None,
        shape: tuple[Any, ...],
        dtype: Any,
        *,
        initializer: Any,
        regularizer: Any,
        trainable: bool,
        **options: Any,
    ) -> Any:
        """A variable named under the current name scope; tf.layers goes through variable scopes."""
        from anode.frontends.tensorflow.api import variables
        from anode.frontends.tensorflow.api.layers_options import default_initializer

        make = initializer or default_initializer(dtype)
        variable = variables.Variable(
            initial_value=lambda: make(shape, dtype=dtype),
            name=name or "variable",
            trainable=trainable,
            dtype=dtype,
            constraint=options["constraint"],
        )
        if regularizer is not None:
            self._regularize(name or "variable", variable, regularizer)
        return variable

    def _track_weight(self, variable: Any, trainable: bool) -> None:
        tracked = self._trainable_weights if trainable else self._non_trainable_weights
        if not any(variable is known for known in tracked):
            tracked.append(variable)

    def _regularize(self, name: str, variable: Any, regularizer: Any) -> None:
        def loss() -> Any:
            with name_scope(f"{name}/Regularizer"):
                return regularizer(variable)

        self.add_loss(loss)

    # losses and updates

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Note tensors, or functions that make them, to be added to what is minimised."""
        for loss in nest.flatten(losses):
            if callable(loss) and not isinstance(loss, Tensor):
                self._callable_losses.append(loss)
            elif loss is not None:
                loss = convert_to_tensor(loss)
                self._losses.append(loss)
                self._conditional[id(loss)] = inputs is not None

    def add_update(self, updates: Any, inputs: Any = None) -> None:
        """Note operations that a training step runs, such as moving averages."""
        for update in nest.flatten(updates):
            update = update() if callable(update) and not hasattr(update, "op") else update
            if update is not None:
                self._updates.append(update)
                self._conditional[id(update)] = inputs is not None

    @property
    def updates(self) -> list[Any]:
        if not self.trainable and not self.stateful:
            return []
        return [*self._updates, *(u for layer in self._sublayers() for u in layer.updates)]

    @property
    def losses(self) -> list[Any]:
        called = [loss() for loss in self._callable_losses]
        own = [*self._losses, *(loss for loss in called if loss is not None)]
        return [*own, *(loss for layer in self._sublayers() for loss in layer.losses)]

    def get_updates_for(self, inputs: Any) -> list[Any]:
        """The updates that depend on inputs, or (None) those that do not."""
        return [
            u for u in self.updates if self._conditional.get(id(u), False) is (inputs is not None)
        ]

    def get_losses_for(self, inputs: Any) -> list[Any]:
        """The losses that depend on inputs, or (None) those that do not."""
        wanted = inputs is not None
        return [x for x in self.losses if self._conditional.get(id(x), False) is wanted]

    def _regularize_activity(self, inputs: Any, outputs: Any) -> None:
        if self._activity_regularizer is None:
            return
        from anode.frontends.tensorflow.graph import apply

        with name_scope("ActivityRegularizer"):
            for output in nest.flatten(outputs):
                loss = self._activity_regularizer(output)
                batch = apply("Cast", apply("Shape", output)[0], DstT=loss.dtype.base_dtype)
                self.add_loss(loss / batch, inputs=inputs)

    # calls

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = nest.map_structure(_as_tensor, inputs)
        with name_scope(self._name_scope()):
            self._build_once(inputs)
            outputs = self.call(inputs, *args, **kwargs)
            if outputs is None:
                raise ValueError(
                    "A layer's `call` method should return a Tensor or a list of Tensors, not None "
                    f"(layer: {self.name})."
                )
            self._regularize_activity(inputs, outputs)
        self._calls.append((inputs, outputs))
        return outputs

    def apply(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """The same as calling the layer."""
        return self(inputs, *args, **kwargs)

    def _build_once(self, inputs: Any) -> None:
        tensors = [t for t in nest.flatten(inputs) if isinstance(t, Tensor)]
        for position, (spec, tensor) in enumerate(zip(self._specs(), tensors, strict=False)):
            check_spec(self.name, spec, tensor, position)
        if self.built:
            return
        if self._dtype is None and tensors:
            self._dtype = tensors[0].dtype.base_dtype.name
        self.build(_shapes(inputs))
        self.built = True
        if self._initial_weights is not None:
            self.set_weights(self._initial_weights)
            self._initial_weights = None
        for position, (spec, tensor) in enumerate(zip(self._specs(), tensors, strict=False)):
            check_spec(self.name, spec, tensor, position)

    def _specs(self) -> list[InputSpec]:
        specs = self.input_spec
        return list(specs) if isinstance(specs, (list, tuple)) else [specs] if specs else []

    def _accepts(self, argument: str) -> bool:
        """Whether `call` takes an argument of this name."""
        return argument in inspect.signature(self.call).parameters

    # what was made

    @property
    def trainable(self) -> bool:
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        for layer in self._sublayers():
            layer.trainable = value

    def _sublayers(self) -> list[Layer]:
        """The layers held as attributes, lists and dicts looked through, in order of assignment."""
        return _distinct(
            [
                layer
                for key, value in self.__dict__.items()
                if key not in ("_calls", "_trainable_weights", "_non_trainable_weights")
                for layer in _layers_in(value)
                if layer is not self
            ]
        )

    def _held_variables(self) -> list[Any]:
        """Variables that a subclass made itself and keeps as attributes."""
        held = (v for k, v in self.__dict__.items() if not k.startswith("_"))
        return [v for value in held for v in nest.flatten(value) if _is_variable(v)]

    @property
    def trainable_weights(self) -> list[Any]:
        if not self.trainable:
            return []
        held = [v for v in self._held_variables() if getattr(v, "trainable", True)]
        frozen = {id(v) for v in self._non_trainable_weights}
        own = [*self._trainable_weights, *(v for v in held if id(v) not in frozen)]
        return _distinct([*own, *(w for x in self._sublayers() for w in x.trainable_weights)])

    @property
    def non_trainable_weights(self) -> list[Any]:
        held = [v for v in self._held_variables() if not getattr(v, "trainable", True)]
        own = [*self._non_trainable_weights, *held]
        if not self.trainable:
            own = [*self._trainable_weights, *self._held_variables(), *own]
        return _distinct([*own, *(w for x in self._sublayers() for w in x.non_trainable_weights)])

    @property
    def weights(self) -> list[Any]:
        return _distinct([*self.trainable_weights, *self.non_trainable_weights])

    @property
    def variables(self) -> list[Any]:
        return self.weights

    @property
    def trainable_variables(self) -> list[Any]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Any]:
        return self.non_trainable_weights

    def get_weights(self) -> list[np.ndarray]:
        """The values of the weights, in the session of the default graph."""
        from anode.frontends.tensorflow.core import get_default_session

        session = get_default_session()
        if session is None:
            raise ValueError(f"get_weights of {self.name} needs a default session")
        return list(session.run(self.weights))

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Load values into the weights, in the session of the default graph."""
        mine = self.weights
        if len(mine) != len(weights):
            raise ValueError(
                f"layer {self.name} has {len(mine)} weights, {len(weights)} values were given"
            )
        for variable, value in zip(mine, weights, strict=True):
            variable.load(value)

    def count_params(self) -> int:
        """The number of scalars in all weights; raises ValueError before the layer is built."""
        if not self.built:
            raise ValueError(f"count_params of layer {self.name} before it was built")
        return sum(int(np.prod(weight.shape.as_list())) for weight in self.weights)

    def _only_call(self, what: str) -> tuple[Any, Any]:
        if not self._calls:
            raise AttributeError(f"Layer {self.name} is not connected: it was not called yet")
        if len(self._calls) > 1:
            raise AttributeError(
                f'The layer "{self.name}" has multiple inbound nodes: `layer.{what}` is ambiguous'
            )
        return self._calls[0]

    @property
    def input(self) -> Any:
        return self._only_call("input")[0]

    @property
    def output(self) -> Any:
        return self._only_call("output")[1]

    @property
    def input_shape(self) -> Any:
        return nest.map_structure(lambda t: tuple(t.shape.as_list()), self.input)

    @property
    def output_shape(self) -> Any:
        return nest.map_structure(lambda t: tuple(t.shape.as_list()), self.output)

    # configuration and copies

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this layer again."""
        config = {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}
        if hasattr(self, "_batch_input_shape"):
            config["batch_input_shape"] = self._batch_input_shape
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy that shares tensors, variables and scopes with this layer."""
        result = memo[id(self)] = type(self).__new__(type(self))
        for key, value in self.__dict__.items():
            result.__dict__[key] = _copied(value, memo)
        return result


def _as_tensor(value: Any) -> Any:
    return convert_to_tensor(value) if isinstance(value, (np.ndarray, float, int)) else value


def _layers_in(value: Any) -> Iterator[Layer]:
    if isinstance(value, Layer):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _layers_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _layers_in(item)


def _shared(value: Any) -> bool:
    """Whether copies of a layer hold this very object: it belongs to the graph."""
    if isinstance(value, (Tensor, Graph)) or _is_variable(value):
        return True
    return hasattr(value, "original_name_scope")


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    if _shared(value):
        return value
    if isinstance(value, (list, tuple)) and any(_shared(v) for v in nest.flatten(value)):
        return copy.copy(value)
    return copy.deepcopy(value, memo)
