"""Dense, dropout and flatten: what tf.layers and tf.keras share of them."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.layers_base import InputSpec, Layer
from anode.frontends.tensorflow.api.layers_options import activation, chosen, initializer
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.graph import apply, constant_value, name_scope
from anode.frontends.tensorflow.tensor_shape import TensorShape


def regularizer(value: Any) -> Any:
    """A regularizer: a function of a weight, or None."""
    if value is None or callable(value):
        return value
    from anode.frontends.tensorflow.api.layers_options import public

    if isinstance(value, str) and value in ("l1", "l2", "l1_l2"):
        return public(f"keras.regularizers.{value}")()
    raise ValueError(f"Could not interpret regularizer identifier: {value!r}")


def static_bool(value: Any) -> bool | None:
    """A Python bool of a bool, a number or a constant tensor; None if a run decides."""
    if isinstance(value, Tensor):
        found = constant_value(value)
        return None if found is None else bool(found)
    if hasattr(value, "initializer"):
        return None
    return bool(value)


def last_dim(shape: Any, layer: str) -> int:
    """The size of the last axis, which a layer needs to make its weights."""
    dims = TensorShape(shape).as_list()
    if dims[-1] is None:
        raise ValueError(
            f"The last dimension of the inputs to `{layer}` should be defined. Found `None`."
        )
    return int(dims[-1])


class DenseCore(Layer):
    """activation(inputs @ kernel + bias) over the last axis."""

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" not in kwargs and kwargs.get("input_dim") is not None:
            kwargs["input_shape"] = (kwargs.pop("input_dim"),)
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._activity_regularizer = regularizer(activity_regularizer)
        self.units = int(units)
        self.activation = _activation(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializer(kernel_initializer)
        self.bias_initializer = initializer(bias_initializer)
        self.kernel_regularizer = regularizer(kernel_regularizer)
        self.bias_regularizer = regularizer(bias_regularizer)
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.supports_masking = True
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        dtype = as_dtype(self.dtype or "float32")
        if not (dtype.is_floating or dtype.is_complex):
            raise TypeError(
                f"Unable to build `Dense` layer with non-floating point dtype {dtype.name}"
            )
        size = last_dim(input_shape, "Dense")
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})
        self.kernel = self.add_weight(
            "kernel",
            shape=[size, self.units],
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            dtype=self.dtype,
            trainable=True,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                shape=[self.units],
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                dtype=self.dtype,
                trainable=True,
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        rank = inputs.shape.rank
        outputs = apply("MatMul", inputs, self.kernel) if rank == 2 else self._tensordot(inputs)
        if self.bias is not None:
            outputs = apply("BiasAdd", outputs, self.bias)
        return outputs if self.activation is None else self.activation(outputs)

    def _tensordot(self, inputs: Any) -> Any:
        """The product of every row along the last axis, whatever the rank."""
        with name_scope("Tensordot") as scope:
            sizes = apply("Shape", inputs)
            rows = apply("Reshape", inputs, [-1, self.kernel.shape.as_list()[0]])
            product = apply("MatMul", rows, self.kernel)
            target = apply("ConcatV2", [sizes[:-1], [self.units]], 0, name="concat")
            outputs = apply("Reshape", product, target, name=scope)
        dims = inputs.shape.as_list() if inputs.shape.rank is not None else None
        outputs.set_shape(dims and [*dims[:-1], self.units])
        return outputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).with_rank_at_least(2).as_list()
        last_dim(input_shape, "Dense")
        return TensorShape([*dims[:-1], self.units])


_activation = activation


def smart_cond(pred: Any, true_fn: Any, false_fn: Any) -> Any:
    """One of two functions' results: the choice is made now where `pred` is known now."""
    known = static_bool(pred)
    if known is not None:
        return true_fn() if known else false_fn()
    from anode.frontends.tensorflow.api.control_flow import cond

    return cond(pred, true_fn=true_fn, false_fn=false_fn)


class DropoutCore(Layer):
    """Zeros at random with probability `rate` while training, the rest scaled by 1 / (1 - rate)."""

    def __init__(
        self,
        rate: Any = 0.5,
        noise_shape: Any = None,
        seed: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed
        self.supports_masking = True

    def call(self, inputs: Any, training: Any = False) -> Any:
        from anode.frontends.tensorflow.api import nn

        def dropped() -> Any:
            return nn.dropout(
                inputs, noise_shape=self._noise(inputs), seed=self.seed, rate=self.rate
            )

        return smart_cond(training, dropped, lambda: apply("Identity", inputs))

    def _noise(self, inputs: Any) -> Any:
        if self.noise_shape is None or not isinstance(self.noise_shape, (list, tuple)):
            return self.noise_shape
        sizes = apply("Shape", inputs)
        return [sizes[i] if size is None else size for i, size in enumerate(self.noise_shape)]

    def compute_output_shape(self, input_shape: Any) -> Any:
        return TensorShape(input_shape)


class FlattenCore(Layer):
    """[batch, ...] as [batch, product of the rest]."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        known = ("channels_last", "channels_first")
        self.data_format = chosen(data_format or "channels_last", known, "data_format")
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        rank = inputs.shape.rank
        if self.data_format == "channels_first" and rank is not None and rank > 2:
            inputs = apply("Transpose", inputs, [0, *range(2, rank), 1], name="transpose")
        shape = self.compute_output_shape(inputs.shape)
        dims = shape.as_list()
        if dims[0] is None and dims[1] is None:
            rows = apply("Shape", inputs)[0]
            target = apply("Pack", [rows, -1], axis=0)
        else:
            target = [-1 if dim is None else dim for dim in dims]
        outputs = apply("Reshape", inputs, target)
        outputs.set_shape(dims)
        return outputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        shape = TensorShape(input_shape)
        if shape.rank is None:
            return TensorShape([None, None])
        dims = shape.as_list()
        return TensorShape([dims[0], TensorShape(dims[1:]).num_elements()])
