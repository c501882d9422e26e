"""Initial values of variables: objects called with a shape that make tensors.

The names of operations inside are TensorFlow's: `W/Initializer/random_uniform/min`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from anode.frontends.tensorflow.dtypes import DType, as_dtype, float32
from anode.frontends.tensorflow.graph import apply, constant, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

INIT_OPS = "python.ops.init_ops."
SMALL = 1000  # elements up to which TensorFlow writes zeros and ones as one constant


def _sizes(shape: Any) -> list[int]:
    """A shape as a list of ints, from a list, a TensorShape or one number."""
    if isinstance(shape, (int, np.integer)):
        return [int(shape)]
    dims = shape.as_list() if isinstance(shape, TensorShape) else shape
    return [int(getattr(d, "value", d)) for d in dims]


def _is_tensor(shape: Any) -> bool:
    from anode.frontends.tensorflow.graph import Tensor

    return isinstance(shape, Tensor)


@export("initializers.Initializer", "keras.initializers.Initializer", INIT_OPS + "Initializer")
class Initializer:
    """The base of initialisers, to derive from: a call with a shape gives a tensor."""

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**config)


class _Typed(Initializer):
    """An initialiser with a type of its own, which a call may override."""

    def __init__(self, dtype: Any = float32) -> None:
        self.dtype = as_dtype(dtype)

    def _dtype(self, dtype: Any) -> DType:
        return self.dtype if dtype is None else as_dtype(dtype).base_dtype

    def get_config(self) -> dict[str, Any]:
        fields = {key: value for key, value in vars(self).items() if not key.startswith("_")}
        return {**fields, "dtype": self.dtype.name}


def _floating(dtype: Any) -> DType:
    found = as_dtype(dtype)
    if not found.is_floating:
        raise ValueError(f"Expected floating point type, got {found}.")
    return found


class _Random(_Typed):
    """An initialiser that draws floats."""

    def __init__(self, dtype: Any = float32) -> None:
        super().__init__(_floating(dtype))

    def get_config(self) -> dict[str, Any]:
        return super().get_config()


_assert_float_dtype = export(INIT_OPS + "_assert_float_dtype")(_floating)


def filled(shape: Any, value: Any, dtype: DType, name: str) -> Any:
    """A tensor full of `value`; a small one is a constant, as in tf.zeros."""
    if not _is_tensor(shape):
        sizes = _sizes(shape)
        if math.prod(sizes) < SMALL:
            return constant(value, dtype, shape=sizes, name=name)
        with name_scope(name) as scope:
            dims = constant(sizes, "int32", shape=[len(sizes)], name="shape_as_tensor")
            return apply("Fill", dims, constant(value, dtype), name=scope)
    return apply("Fill", shape, constant(value, dtype), name=name)


@export("zeros_initializer", "initializers.zeros", "keras.initializers.Zeros")
@export("keras.initializers.zeros", INIT_OPS + "Zeros", INIT_OPS + "zeros_initializer")
class Zeros(_Typed):
    """Zeros; False, or empty strings."""

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        dtype = self._dtype(dtype)
        zero = {"bool": False, "string": ""}.get(dtype.name, 0)
        return filled(shape, zero, dtype, "zeros")


@export("ones_initializer", "initializers.ones", "keras.initializers.Ones")
@export("keras.initializers.ones", INIT_OPS + "Ones", INIT_OPS + "ones_initializer")
class Ones(_Typed):
    """Ones."""

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        dtype = self._dtype(dtype)
        return filled(shape, True if dtype.is_bool else 1, dtype, "ones")


@export("constant_initializer", "initializers.constant", "keras.initializers.Constant")
@export("keras.initializers.constant", INIT_OPS + "Constant", INIT_OPS + "constant_initializer")
class Constant(_Typed):
    """A number everywhere, or the elements of a list or array in order."""

    def __init__(self, value: Any = 0, dtype: Any = float32, verify_shape: bool = False) -> None:
        if not (np.isscalar(value) or isinstance(value, (list, tuple, np.ndarray))):
            raise TypeError(
                f"Invalid type for initial value: {type(value)}. Expected Python scalar, list or "
                "tuple of values, or numpy.ndarray."
            )
        super().__init__(dtype)
        self.value, self._verify_shape = value, verify_shape

    def __call__(
        self,
        shape: Any,
        dtype: Any = None,
        partition_info: Any = None,
        verify_shape: bool | None = None,
    ) -> Any:
        verify = self._verify_shape if verify_shape is None else verify_shape
        return constant(self.value, self._dtype(dtype), _sizes(shape), verify_shape=bool(verify))


def _draw(kind: str, shape: Any, dtype: DType, seed: int | None, low: Any, high: Any) -> Any:
    """`kind` of random numbers by the function of the public API that names it."""
    from anode.frontends.tensorflow.api import random_ops

    draw: Callable[..., Any] = getattr(random_ops, kind)
    dims = shape if _is_tensor(shape) else _sizes(shape)
    return draw(dims, low, high, dtype, seed=seed)


@export("random_uniform_initializer", "initializers.random_uniform")
@export(INIT_OPS + "RandomUniform", INIT_OPS + "random_uniform_initializer")
class RandomUniform(_Typed):
    """Uniform between two bounds."""

    def __init__(
        self, minval: Any = 0, maxval: Any = None, seed: int | None = None, dtype: Any = float32
    ) -> None:
        super().__init__(dtype)
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        dtype = self._dtype(dtype)
        high = 1 if self.maxval is None and dtype.is_floating else self.maxval
        return _draw("random_uniform", shape, dtype, self.seed, self.minval, high)


class _Moments(_Random):
    """Random numbers with a mean and a standard deviation."""

    kind = ""

    def __init__(
        self, mean: Any = 0.0, stddev: Any = 1.0, seed: int | None = None, dtype: Any = float32
    ) -> None:
        super().__init__(dtype)
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        return _draw(self.kind, shape, self._dtype(dtype), self.seed, self.mean, self.stddev)


@export("random_normal_initializer", "initializers.random_normal")
@export(INIT_OPS + "RandomNormal", INIT_OPS + "random_normal_initializer")
class RandomNormal(_Moments):
    """Normal."""

    kind = "random_normal"


@export("truncated_normal_initializer", "initializers.truncated_normal")
@export(INIT_OPS + "TruncatedNormal", INIT_OPS + "truncated_normal_initializer")
class TruncatedNormal(_Moments):
    """Normal, what lies beyond two standard deviations drawn again."""

    kind = "truncated_normal"


@export("uniform_unit_scaling_initializer", "initializers.uniform_unit_scaling")
@export(INIT_OPS + "UniformUnitScaling", INIT_OPS + "uniform_unit_scaling_initializer")
class UniformUnitScaling(_Random):
    """Uniform in ±factor √(3 / fan in), which keeps the scale of a layer's input."""

    def __init__(self, factor: float = 1.0, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(dtype)
        self.factor, self.seed = factor, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        sizes = _full(shape, partition_info)
        bound = math.sqrt(3 / max(1.0, math.prod(sizes[:-1]))) * self.factor
        return _draw("random_uniform", shape, self._dtype(dtype), self.seed, -bound, bound)


def _full(shape: Any, partition_info: Any) -> list[int]:
    """The shape of the whole variable that a partition belongs to."""
    return _sizes(shape if partition_info is None else partition_info.full_shape)


def _fans(shape: list[int]) -> tuple[float, float]:
    """The numbers of inputs and outputs of a unit: filters are sizes, in, out."""
    if len(shape) < 2:
        return (float(shape[0]),) * 2 if shape else (1.0, 1.0)
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


@export("variance_scaling_initializer", "initializers.variance_scaling")
@export("keras.initializers.VarianceScaling", INIT_OPS + "VarianceScaling")
@export(INIT_OPS + "variance_scaling_initializer")
class VarianceScaling(_Random):
    """Random numbers of variance scale / n, n being the fan in, the fan out or their mean."""

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        dtype: Any = float32,
    ) -> None:
        if scale <= 0.0:
            raise ValueError("`scale` must be positive float.")
        if mode not in {"fan_in", "fan_out", "fan_avg"}:
            raise ValueError("Invalid `mode` argument:", mode)
        distribution = distribution.lower()
        if distribution not in {"normal", "uniform", "truncated_normal", "untruncated_normal"}:
            raise ValueError("Invalid `distribution` argument:", distribution)
        super().__init__(dtype)
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        dtype = self._dtype(dtype)
        inputs, outputs = _fans(_full(shape, partition_info))
        count = {"fan_in": inputs, "fan_out": outputs}.get(self.mode, (inputs + outputs) / 2)
        variance = self.scale / max(1.0, count)
        if self.distribution == "uniform":
            bound = math.sqrt(3 * variance)
            return _draw("random_uniform", shape, dtype, self.seed, -bound, bound)
        if self.distribution == "untruncated_normal":
            return _draw("random_normal", shape, dtype, self.seed, 0.0, math.sqrt(variance))
        # 0.8796… is the standard deviation of a normal truncated at ±2
        stddev = math.sqrt(variance) / 0.87962566103423978
        return _draw("truncated_normal", shape, dtype, self.seed, 0.0, stddev)


def _scaling(scale: float, mode: str, distribution: str) -> Any:
    """A class of variance scaling with all chosen but the seed and the type."""

    class Scaling(VarianceScaling):
        def __init__(self, seed: int | None = None, dtype: Any = float32) -> None:
            super().__init__(scale, mode, distribution, seed, dtype)

        def get_config(self) -> dict[str, Any]:
            return {"seed": self.seed, "dtype": self.dtype.name}

    return Scaling


def _named(cls: Any, name: str, *paths: str) -> Any:
    cls.__name__ = cls.__qualname__ = name
    return export(*paths)(cls)


def _family(prefix: str, *chosen: Any) -> Any:
    """`glorot_uniform` and its kin, under all their public names."""
    name = "".join(part.title() for part in prefix.split("_"))
    paths = [f"initializers.{prefix}", f"keras.initializers.{prefix}"]
    paths += [f"{INIT_OPS}{prefix}_initializer", INIT_OPS + name]
    if prefix.startswith("glorot"):
        paths.append(f"{prefix}_initializer")
    return _named(_scaling(*chosen), name, *paths)


GlorotUniform = _family("glorot_uniform", 1.0, "fan_avg", "uniform")
GlorotNormal = _family("glorot_normal", 1.0, "fan_avg", "truncated_normal")
HeUniform = _family("he_uniform", 2.0, "fan_in", "uniform")
HeNormal = _family("he_normal", 2.0, "fan_in", "truncated_normal")
LecunUniform = _family("lecun_uniform", 1.0, "fan_in", "uniform")
LecunNormal = _family("lecun_normal", 1.0, "fan_in", "truncated_normal")


@export("orthogonal_initializer", "initializers.orthogonal", "keras.initializers.Orthogonal")
@export("keras.initializers.orthogonal", INIT_OPS + "Orthogonal")
@export(INIT_OPS + "orthogonal_initializer")
class Orthogonal(_Random):
    """A matrix with orthonormal rows or columns, of all dims but the last taken together.

    Source: Saxe et al., "Exact solutions to the nonlinear dynamics of learning", 2013.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None, dtype: Any = float32) -> None:
        super().__init__(dtype)
        self.gain, self.seed = gain, seed

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        sizes = _sizes(shape)
        if len(sizes) < 2:
            raise ValueError("The tensor to initialize must be at least two-dimensional")
        rows, columns = math.prod(sizes[:-1]), sizes[-1]
        flat = [max(columns, rows), min(columns, rows)]
        drawn = _draw("random_normal", flat, self._dtype(dtype), self.seed, 0.0, 1.0)
        q, r = apply("Qr", drawn, full_matrices=False)
        q = apply("Mul", q, apply("Sign", apply("DiagPart", r)), name="mul")
        if rows < columns:
            q = apply("Transpose", q, [1, 0], name="transpose")
        return apply("Mul", self.gain, apply("Reshape", q, sizes), name="mul")


@export("initializers.identity", "keras.initializers.Identity", "keras.initializers.identity")
@export(INIT_OPS + "Identity", INIT_OPS + "identity_initializer")
class Identity(_Typed):
    """The identity matrix, times a gain."""

    def __init__(self, gain: float = 1.0, dtype: Any = float32) -> None:
        super().__init__(_floating(dtype))
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Any:
        sizes = _full(shape, partition_info)
        if len(sizes) != 2:
            raise ValueError("Identity matrix initializer can only be used for 2D matrices.")
        dtype = self._dtype(dtype)
        eye = convert_to_tensor(np.eye(*sizes, dtype=dtype.as_numpy_dtype), name="eye")
        return eye if self.gain == 1.0 else apply("Mul", self.gain, eye, name="mul")


class _KerasMoments(_Moments):
    """Keras's defaults: a small standard deviation."""

    def __init__(
        self, mean: Any = 0.0, stddev: Any = 0.05, seed: int | None = None, dtype: Any = float32
    ) -> None:
        super().__init__(mean, stddev, seed, dtype)


@export("keras.initializers.RandomNormal", "keras.initializers.random_normal")
@export("keras.initializers.normal")
class KerasRandomNormal(_KerasMoments, RandomNormal):
    """Normal, of standard deviation 0.05."""


@export("keras.initializers.TruncatedNormal", "keras.initializers.truncated_normal")
class KerasTruncatedNormal(_KerasMoments, TruncatedNormal):
    """Truncated normal, of standard deviation 0.05."""


@export("keras.initializers.RandomUniform", "keras.initializers.random_uniform")
@export("keras.initializers.uniform")
class KerasRandomUniform(RandomUniform):
    """Uniform in ±0.05."""

    def __init__(
        self,
        minval: Any = -0.05,
        maxval: Any = 0.05,
        seed: int | None = None,
        dtype: Any = float32,
    ) -> None:
        super().__init__(minval, maxval, seed, dtype)
