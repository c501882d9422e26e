"""Batch normalisation: what tf.layers and tf.keras share of it."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.layers_base import InputSpec, Layer
from anode.frontends.tensorflow.api.layers_core import regularizer, smart_cond, static_bool
from anode.frontends.tensorflow.api.layers_options import initializer
from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.graph import apply, name_scope
from anode.frontends.tensorflow.tensor_shape import TensorShape


class BatchNormCore(Layer):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, per index of `axis`.

    While training, mean and variance are the batch's, and the moving ones follow them by
    `momentum` in updates; else the moving ones are used. Source: Ioffe and Szegedy 2015.
    """

    _order = ("gamma", "beta")  # in which the weights are made

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        fused: bool | None = None,
        trainable: bool = True,
        virtual_batch_size: int | None = None,
        adjustment: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(trainable=trainable, name=name, **kwargs)
        absent = {
            "renorm": renorm,
            "renorm_clipping": renorm_clipping,
            "virtual_batch_size": virtual_batch_size,
            "adjustment": adjustment,
        }
        for option, value in absent.items():
            if value:
                raise NotImplementedError(
                    f"{option} of batch normalization is not implemented by anode"
                )
        self.axis = axis[:] if isinstance(axis, list) else axis
        self.momentum, self.epsilon = momentum, epsilon
        self.center, self.scale, self.fused = center, scale, fused
        self.renorm, self.renorm_momentum = renorm, renorm_momentum
        self.beta_initializer = initializer(beta_initializer)
        self.gamma_initializer = initializer(gamma_initializer)
        self.moving_mean_initializer = initializer(moving_mean_initializer)
        self.moving_variance_initializer = initializer(moving_variance_initializer)
        self.beta_regularizer = regularizer(beta_regularizer)
        self.gamma_regularizer = regularizer(gamma_regularizer)
        self.beta_constraint, self.gamma_constraint = beta_constraint, gamma_constraint
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = TensorShape(input_shape)
        if shape.rank is None:
            raise ValueError(f"Input has undefined rank: {shape}")
        self._settle_axes(shape.rank)
        dims = shape.as_list()
        sizes = {axis: dims[axis] for axis in self.axis}
        if None in sizes.values():
            raise ValueError(f"Input has undefined `axis` dimension. Input shape: {shape}")
        self.input_spec = InputSpec(ndim=shape.rank, axes=sizes)
        self._make_weights(self._weight_shape(dims))
        self.built = True

    def _settle_axes(self, rank: int) -> None:
        given = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        self.axis = [axis + rank if axis < 0 else axis for axis in given]
        for axis in self.axis:
            if not 0 <= axis < rank:
                raise ValueError(f"Invalid axis: {axis}")
        if len(set(self.axis)) != len(self.axis):
            raise ValueError(f"Duplicate axis: {self.axis}")
        possible = rank == 4 and self.axis in ([1], [3])
        if self.fused and not possible:
            raise ValueError(
                "Passing fused=True is only supported for rank-4 inputs on axis 1 or 3"
            )
        self.fused = possible if self.fused is None else self.fused
        self._format = "NCHW" if self.axis == [1] else "NHWC"

    def _weight_shape(self, dims: list[Any]) -> tuple[Any, ...]:
        if len(self.axis) == 1:
            return (dims[self.axis[0]],)
        return tuple(dim if i in self.axis else 1 for i, dim in enumerate(dims))

    def _make_weights(self, shape: tuple[Any, ...]) -> None:
        dtype = as_dtype(self.dtype or "float32")
        weight = "float32" if dtype.name in ("float16", "bfloat16") else dtype.name
        self.gamma = self.beta = None
        for name in self._order:
            if self.scale if name == "gamma" else self.center:
                made = self.add_weight(
                    name=name,
                    shape=shape,
                    dtype=weight,
                    initializer=getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                    trainable=True,
                )
                setattr(self, name, made)
        self.moving_mean = self.add_weight(
            name="moving_mean",
            shape=shape,
            dtype=weight,
            initializer=self.moving_mean_initializer,
            trainable=False,
        )
        self.moving_variance = self.add_weight(
            name="moving_variance",
            shape=shape,
            dtype=weight,
            initializer=self.moving_variance_initializer,
            trainable=False,
        )

    def call(self, inputs: Any, training: Any = False) -> Any:
        normalized = self._fused if self.fused else self._by_moments
        outputs, mean, variance = smart_cond(
            training, lambda: normalized(inputs, True), lambda: normalized(inputs, False)
        )
        outputs.set_shape(inputs.shape)
        if static_bool(training) is not False:
            self._follow(self.moving_mean, mean, inputs)
            self._follow(self.moving_variance, variance, inputs)
        return outputs

    def _follow(self, variable: Any, value: Any, inputs: Any) -> None:
        """variable -= (variable - value) * (1 - momentum), as an update."""
        with name_scope("AssignMovingAvg") as scope:
            delta = (variable - value) * (1 - self.momentum)
            self.add_update(variable.assign_sub(delta, name=scope), inputs=inputs)

    def _fused(self, inputs: Any, training: bool) -> tuple[Any, Any, Any]:
        """One op; the variance it gives has Bessel's correction, as TensorFlow's has."""
        shape = self.moving_mean.shape.as_list()
        ones, zeros = (lambda: apply("Fill", shape, 1.0)), (lambda: apply("Fill", shape, 0.0))
        moving = () if training else (self.moving_mean, self.moving_variance)
        outputs, mean, variance, *_ = apply(
            "FusedBatchNormV3",
            inputs,
            self.gamma if self.gamma is not None else ones(),
            self.beta if self.beta is not None else zeros(),
            *(moving or ([], [])),
            epsilon=self.epsilon,
            is_training=training,
            data_format=self._format,
        )
        if not training:
            mean, variance = (apply("Identity", v) for v in moving)
        return outputs, mean, variance

    def _by_moments(self, inputs: Any, training: bool) -> tuple[Any, Any, Any]:
        from anode.frontends.tensorflow.api import nn

        axes = [i for i in range(inputs.shape.rank) if i not in self.axis]
        if training:
            mean, variance = nn.moments(inputs, axes, keep_dims=len(self.axis) > 1)
        else:
            mean, variance = (
                apply("Identity", self.moving_mean),
                apply("Identity", self.moving_variance),
            )
        values = (mean, variance, self.beta, self.gamma)
        m, v, beta, gamma = (self._beside(value, inputs) for value in values)
        outputs = nn.batch_normalization(inputs, m, v, beta, gamma, self.epsilon)
        return outputs, mean, variance

    def _beside(self, value: Any, inputs: Any) -> Any:
        """A weight shaped to be broadcast against the inputs."""
        if value is None:
            return None
        rank = inputs.shape.rank
        if inputs.dtype.base_dtype != value.dtype.base_dtype:
            value = apply("Cast", value, DstT=inputs.dtype.base_dtype)
        if len(self.axis) > 1 or self.axis == [rank - 1]:
            return value
        shape = [1] * rank
        shape[self.axis[0]] = value.shape.as_list()[0]
        return apply("Reshape", value, shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return TensorShape(input_shape)
