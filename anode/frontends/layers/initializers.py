"""Initialisers: how a variable gets its first value, drawn from a random key or set by the host."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from anode import ops
from anode.errors import ShapeError
from anode.ir.graph import Graph, trace
from anode.ir.node import Node
from anode.ir.types import TensorType, tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Fans:
    """How many inputs reach one output of a weight (`into`), and how many outputs one input."""

    into: int
    out: int

    @staticmethod
    def of(shape: Shape) -> Fans:
        """Of a weight whose first dim is the inputs and whose last is the outputs."""
        return Fans(math.prod(shape[:-1]), shape[-1]) if shape else Fans(1, 1)


class Initializer:
    """An initial value. A subclass has `sample`, in ops, or `value`, computed on the host."""

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        """An f32 node of `shape`, drawn with stream 0 of the random key u32[4]."""
        raise NotImplementedError

    def value(self, shape: Shape, random: np.random.Generator) -> np.ndarray | None:
        """The value where it comes from the host, else None."""
        return None

    def graph(self, type: TensorType, fans: Fans) -> Graph:
        """The closed graph from the random key to the value."""

        def sample(key: Node) -> Node:
            return ops.convert(self.sample(key, type.static, fans), dtype=type.dtype)

        return trace(sample, tensor("u32", 4))


@dataclass(frozen=True)
class Constant(Initializer):
    """The same number everywhere."""

    val: float = 0.0

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        return ops.full(shape, float(self.val))


@dataclass(frozen=True, eq=False)
class Array(Initializer):
    """A given array, which must have the shape of the variable."""

    vals: Any

    def value(self, shape: Shape, random: np.random.Generator) -> np.ndarray:
        array = np.asarray(self.vals)
        if array.shape != shape:
            raise ShapeError(f"an initial array of shape {array.shape} for a variable of {shape}")
        return array


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform in [low, high)."""

    low: float = 0.0
    high: float = 1.0

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        return _uniform(key, shape, self.low, self.high)


@dataclass(frozen=True)
class Gaussian(Initializer):
    """Normal with mean `loc` and standard deviation `scale`."""

    loc: float = 0.0
    scale: float = 1.0

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        return ops.normal(key, stream=0, shape=shape) * float(self.scale) + float(self.loc)


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform within ±√(6 / (fan in + fan out)). Source: Glorot and Bengio 2010."""

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        bound = math.sqrt(6 / (fans.into + fans.out))
        return _uniform(key, shape, -bound, bound)


@dataclass(frozen=True)
class Xavier(Initializer):
    """Uniform within ±√(3 / fan in)."""

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        bound = math.sqrt(3 / fans.into)
        return _uniform(key, shape, -bound, bound)


@dataclass(frozen=True)
class Kaiming(Initializer):
    """Normal with standard deviation √(2 / fan in). Source: He et al. 2015."""

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        scale = math.sqrt(2 / fans.into)
        return ops.normal(key, stream=0, shape=shape) * scale


@dataclass(frozen=True)
class IdentityInit(Initializer):
    """One where the last two indices are equal, else zero."""

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        if len(shape) < 2:
            raise ShapeError(f"IdentityInit needs at least two dims, not the shape {shape}")
        row = ops.iota(shape=shape, dtype="i32", axis=len(shape) - 2)
        column = ops.iota(shape=shape, dtype="i32", axis=len(shape) - 1)
        return ops.convert(ops.equal(row, column), dtype="f32")


@dataclass(frozen=True)
class Orthonormal(Initializer):
    """`scale` times a random matrix with orthonormal rows or columns. Source: Saxe et al. 2014."""

    scale: float = 1.1

    def value(self, shape: Shape, random: np.random.Generator) -> np.ndarray:
        flat = (shape[0], math.prod(shape[1:]))
        left, _, right = np.linalg.svd(random.standard_normal(flat), full_matrices=False)
        chosen = left if left.shape == flat else right
        return (self.scale * chosen.reshape(shape)).astype(np.float32)


def initializer(init: Any) -> Initializer:
    """`init` as an initialiser: a number is a Constant, a NumPy array an Array."""
    if isinstance(init, Initializer):
        return init
    if isinstance(init, (int, float)):
        return Constant(init)
    if isinstance(init, np.ndarray):
        return Array(init)
    raise ShapeError(f"{init!r} is no initialiser; give an Initializer, a number or an array")


def _uniform(key: Node, shape: Shape, low: float, high: float) -> Node:
    return ops.uniform(key, stream=0, shape=shape) * float(high - low) + float(low)
