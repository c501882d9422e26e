"""Dense, activations, dropout, reshaping, Lambda, masking, embedding, batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import layers_core
from anode.frontends.tensorflow.api.layers_base import InputSpec
from anode.frontends.tensorflow.api.layers_norm import BatchNormCore
from anode.frontends.tensorflow.graph import get_default_graph, name_scope
from anode.frontends.tensorflow.keras import options, state
from anode.frontends.tensorflow.keras.layer import Layer
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape


def layer_export(*names: str) -> Any:
    return export(*(f"keras.layers.{name}" for name in names))


def options_of(layer: Any, *names: str) -> dict[str, Any]:
    """Attributes of a layer as its configuration holds them."""
    found: dict[str, Any] = {}
    for name in names:
        value = getattr(layer, name)
        if name.endswith("activation"):
            found[name] = options.serialize_activation(value)
        elif name.endswith("_initializer"):
            found[name] = options.serialize_initializer(value)
        elif name.endswith(("_regularizer", "_constraint")):
            found[name] = state.serialize_keras_object(value)
        else:
            found[name] = value
    return found


class Configured(Layer):
    """A layer whose options are Keras's: names of activations, initialisers and so on.

    `config` names the attributes that make the layer again.
    """

    config: tuple[str, ...] = ()

    def _keras_options(self, given: dict[str, Any]) -> dict[str, Any]:
        """Arguments with names resolved to functions and objects."""
        found = dict(given)
        for name, value in given.items():
            kind = name.rpartition("_")[2]
            if kind in ("initializer", "regularizer", "constraint"):
                found[name] = getattr(options, kind)(value)
            elif kind == "activation":
                found[name] = options.activation(value)
        return found

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **options_of(self, *self.config)}


WEIGHTED = (
    "activation",
    "use_bias",
    "kernel_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "bias_regularizer",
    "activity_regularizer",
    "kernel_constraint",
    "bias_constraint",
)


@layer_export("Dense")
class Dense(layers_core.DenseCore, Configured):
    """activation(inputs @ kernel + bias) over the last axis."""

    config = ("units", *WEIGHTED)

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        given = {k: v for k, v in locals().items() if k in WEIGHTED}
        super().__init__(units, **self._keras_options(given), **kwargs)


@layer_export("Activation")
class Activation(Configured):
    """A function of each element."""

    config = ("activation",)

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = options.activation(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def phase_cond(training: Any, yes: Any, no: Any) -> Any:
    """One of two results by `training`, or by the learning phase if it is None.

    TensorFlow's conditionals put more operations into the graph than ours; they are counted, so
    that the seeds of later operations are the same.
    """
    if training is None:
        training = state.learning_phase()
    known = layers_core.static_bool(training)
    if known is not None:
        return yes() if known else no()
    graph = get_default_graph()

    def counted() -> Any:
        graph._unmade += 5
        return yes()

    found = layers_core.smart_cond(training, counted, no)
    graph._unmade += 1
    return found


@layer_export("Dropout")
class Dropout(layers_core.DropoutCore, Configured):
    """Zeros at random while training, the rest scaled up."""

    config: tuple[str, ...] = ("rate", "noise_shape", "seed")

    def __init__(
        self, rate: Any, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, noise_shape, seed, **kwargs)

    def call(self, inputs: Any, training: Any = None) -> Any:
        def dropped() -> Any:
            noise = self._noise(inputs)
            return tf.nn.dropout(inputs, noise_shape=noise, seed=self.seed, rate=self.rate)

        return phase_cond(training, dropped, lambda: tf.identity(inputs))


class _SpatialDropout(Dropout):
    """Whole channels set to zero at random while training."""

    rank = 1
    config = ("rate",)

    def __init__(self, rate: Any, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        self.data_format = data_format or state.image_data_format()
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def _noise(self, inputs: Any) -> Any:
        sizes = tf.shape(inputs)
        if self.data_format == "channels_first" and self.rank > 1:
            return (sizes[0], sizes[1], *([1] * self.rank))
        return (sizes[0], *([1] * self.rank), sizes[self.rank + 1])


def _ranked(base: Any, name: str, rank: int, *aliases: str, **more: Any) -> Any:
    """A class for one number of spatial axes, under its names."""
    made = type(name, (base,), {"rank": rank, "__doc__": base.__doc__, **more})
    made.__module__, made.__qualname__ = base.__module__, name
    for alias in (name, *aliases):
        layer_export(alias)(made)
    return made


SpatialDropout1D, SpatialDropout2D, SpatialDropout3D = (
    _ranked(_SpatialDropout, f"SpatialDropout{rank}D", rank) for rank in (1, 2, 3)
)


@layer_export("Flatten")
class Flatten(layers_core.FlattenCore, Configured):
    """[batch, ...] as [batch, product of the rest]."""

    config = ("data_format",)

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(data_format or state.image_data_format(), **kwargs)

    def call(self, inputs: Any) -> Any:
        rank = inputs.shape.rank
        if self.data_format == "channels_first" and rank is not None and rank > 2:
            inputs = tf.transpose(inputs, [0, *range(2, rank), 1])
        batch = inputs.shape.as_list()[0] if rank is not None else None
        found = tf.reshape(inputs, (tf.shape(inputs)[0] if batch is None else batch, -1))
        if rank is not None:
            found.set_shape(self.compute_output_shape(inputs.shape))
        return found


@layer_export("Reshape")
class Reshape(Configured):
    """Other sizes for all axes but the batch's; one may be -1."""

    config = ("target_shape",)

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)

    def call(self, inputs: Any) -> Any:
        found = tf.reshape(inputs, (tf.shape(inputs)[0], *self.target_shape))
        found.set_shape(self.compute_output_shape(inputs.shape))
        return found

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        target = list(self.target_shape)
        if None in dims[1:]:
            return TensorShape([dims[0], *(None if d == -1 else d for d in target)])
        total = int(np.prod(dims[1:]))
        known = int(np.prod([d for d in target if d != -1]))
        if -1 in target:
            if target.count(-1) > 1:
                raise ValueError("Can only specify one unknown dimension.")
            if not known or total % known:
                raise ValueError("total size of new array must be unchanged")
            target[target.index(-1)] = total // known
        elif known != total:
            raise ValueError("total size of new array must be unchanged")
        return TensorShape([dims[0], *target])


@layer_export("Permute")
class Permute(Configured):
    """Axes in another order, counted from 1."""

    config = ("dims",)

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(dims) != list(range(1, len(self.dims) + 1)):
            raise ValueError(
                f"Invalid permutation `dims` for Permute Layer: {dims}. The set of indices in "
                "`dims` must be consecutive and start from 1."
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return tf.transpose(inputs, perm=(0, *self.dims))

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        sizes = TensorShape(input_shape).as_list()
        return TensorShape([sizes[0], *(sizes[d] for d in self.dims)])


@layer_export("RepeatVector")
class RepeatVector(Configured):
    """[batch, features] as [batch, n, features]."""

    config = ("n",)

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return tf.tile(tf.expand_dims(inputs, 1), [1, self.n, 1])

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        batch, size = TensorShape(input_shape).as_list()
        return TensorShape([batch, self.n, size])


@layer_export("Lambda")
class Lambda(Layer):
    """A function of tensors as a layer."""

    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function, self.arguments = function, arguments or {}
        self._given_shape, self.mask = output_shape, mask
        self.supports_masking = mask is not None

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        import inspect

        arguments = dict(self.arguments)
        try:
            names = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            names = {}  # type: ignore[assignment]
        if "mask" in names:
            arguments["mask"] = mask
        if "training" in names:
            arguments["training"] = training
        return self.function(inputs, **arguments)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._given_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._given_shape):
            return TensorShape(self._given_shape(input_shape))
        return TensorShape([TensorShape(input_shape).as_list()[0], *self._given_shape])

    def get_config(self) -> dict[str, Any]:
        from anode.frontends.tensorflow.keras.configuration import function_config

        made = function_config(self.function)
        return {**super().get_config(), **made, "arguments": self.arguments}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from anode.frontends.tensorflow.keras.configuration import function_from_config

        return cls(**function_from_config(dict(config), custom_objects))


@layer_export("ActivityRegularization")
class ActivityRegularization(Configured):
    """A loss on what passes through."""

    config = ("l1", "l2")

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=options.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1, self.l2 = l1, l2

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@layer_export("Masking")
class Masking(Configured):
    """Time steps that are `mask_value` in all features are masked."""

    config = ("mask_value",)

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.mask_value = mask_value

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return tf.reduce_any(tf.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        kept = tf.reduce_any(tf.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        return inputs * tf.cast(kept, inputs.dtype.base_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@layer_export("Embedding")
class Embedding(Configured):
    """Vectors for whole numbers, which are trained."""

    config = (
        "input_dim",
        "output_dim",
        "embeddings_initializer",
        "embeddings_regularizer",
        "activity_regularizer",
        "embeddings_constraint",
        "mask_zero",
        "input_length",
    )

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        activity_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: Any = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" not in kwargs and "batch_input_shape" not in kwargs:
            kwargs["input_shape"] = (input_length,)
            if isinstance(input_length, (list, tuple)):
                kwargs["input_shape"] = tuple(input_length)
        kwargs["dtype"] = kwargs.get("dtype") or state.floatx()
        super().__init__(activity_regularizer=options.regularizer(activity_regularizer), **kwargs)
        self.input_dim, self.output_dim = input_dim, output_dim
        self.embeddings_initializer = options.initializer(embeddings_initializer)
        self.embeddings_regularizer = options.regularizer(embeddings_regularizer)
        self.embeddings_constraint = options.constraint(embeddings_constraint)
        self.mask_zero = self.supports_masking = mask_zero
        self.input_length = input_length

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_weight(
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            name="embeddings",
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )
        self.built = True

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return tf.not_equal(inputs, 0) if self.mask_zero else None

    def call(self, inputs: Any) -> Any:
        if inputs.dtype.base_dtype.name not in ("int32", "int64"):
            inputs = tf.cast(inputs, "int32")
        return tf.nn.embedding_lookup(self.embeddings, inputs)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        return TensorShape([*TensorShape(input_shape).as_list(), self.output_dim])


@layer_export("BatchNormalization")
class BatchNormalization(BatchNormCore, Configured):
    """Normalisation by the moments of the batch, by moving ones when not training."""

    config = (
        "axis",
        "momentum",
        "epsilon",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "moving_mean_initializer",
        "moving_variance_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
    )

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        names = self.config[3:]
        given = dict(zip(names, args, strict=False)) | kwargs
        super().__init__(axis, momentum, epsilon, **self._keras_options(given))

    def call(self, inputs: Any, training: Any = None) -> Any:
        training = state.learning_phase() if training is None else training
        graph = get_default_graph()
        start = graph._last_id
        self._phase = training
        outputs = super().call(inputs, training=training)
        if layers_core.static_bool(training) is None:
            graph._number_from(start, 46 if self.fused else 66)  # those of TensorFlow's graph
        return outputs

    def _follow(self, variable: Any, value: Any, inputs: Any) -> None:
        """Outside of training the moving averages stay as they are."""
        with name_scope("AssignMovingAvg") as scope:
            momentum: Any = self.momentum
            if layers_core.static_bool(self._phase) is None:
                momentum = tf.where(self._phase, tf.constant(momentum), tf.constant(1.0))
            delta = (variable - value) * (1.0 - momentum)
            self.add_update(variable.assign_sub(delta, name=scope), inputs=inputs)


@layer_export("LayerNormalization")
class LayerNormalization(Configured):
    """Normalisation of each sample by its own moments over `axis`. Source: Ba et al. 2016."""

    config = (
        "axis",
        "epsilon",
        "center",
        "scale",
        "beta_initializer",
        "gamma_initializer",
        "beta_regularizer",
        "gamma_regularizer",
        "beta_constraint",
        "gamma_constraint",
    )

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        trainable: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = {k: v for k, v in locals().items() if k in self.config}
        super().__init__(name=name, trainable=trainable, **kwargs)
        self.__dict__.update(self._keras_options(given))
        self.supports_masking = True

    axis: Any
    epsilon: float
    center: bool
    scale: bool

    def build(self, input_shape: Any) -> None:
        dims = TensorShape(input_shape).as_list()
        axes = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        self.axis = [a % len(dims) for a in axes]
        shape = tuple(dims[a] for a in self.axis)
        self.gamma = self.beta = None
        for name, wanted in (("gamma", self.scale), ("beta", self.center)):
            if wanted:
                made = self.add_weight(
                    name,
                    shape,
                    initializer=getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                )
                setattr(self, name, made)
        self.built = True

    def call(self, inputs: Any) -> Any:
        mean, variance = tf.nn.moments(inputs, self.axis, keep_dims=True)
        rank = inputs.shape.rank
        sizes = [d if i in self.axis else 1 for i, d in enumerate(inputs.shape.as_list())]

        def beside(value: Any) -> Any:
            plain = value is None or self.axis == [rank - 1]
            return value if plain else tf.reshape(value, sizes)

        return tf.nn.batch_normalization(
            inputs, mean, variance, beside(self.beta), beside(self.gamma), self.epsilon
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
