"""Initialisers: how a variable gets its first value, drawn from a random key or set by the host."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from anode import ops
from anode.errors import ShapeError
from anode.ir.graph import Graph, trace
from anode.ir.node import Node, constant
from anode.ir.types import TensorType, tensor
from anode.ops.precision import as_dtype

Shape = tuple[int, ...]
KEY = tensor("u32", 4)  # the type of a random key


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
            return as_dtype(self.sample(key, type.static, fans), type.dtype)

        return trace(sample, KEY)


@dataclass(frozen=True)
class Constant(Initializer):
    """The same number everywhere."""

    val: float = 0.0

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        return ops.full(shape, float(self.val))

    def graph(self, type: TensorType, fans: Fans) -> Graph:
        """The same without tracing: there is one for every slot of an optimiser."""
        value = ops.full(type.static, float(self.val))
        return Graph.make((KEY,), [as_dtype(value, type.dtype)])


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


@dataclass(frozen=True)
class Gates(Initializer):
    """A block of columns for each gate of a recurrent layer, each drawn by its own initialiser."""

    blocks: tuple[Initializer, ...]

    def sample(self, key: Node, shape: Shape, fans: Fans) -> Node:
        part = (*shape[:-1], shape[-1] // len(self.blocks))
        drawn = [
            block.sample(ops.fold(key, constant(i)), part, fans)
            for i, block in enumerate(self.blocks)
        ]
        return ops.concatenate(*drawn, axis=len(shape) - 1)


@dataclass(frozen=True)
class HostGates(Initializer):
    """Gates whose values come from the host."""

    blocks: tuple[Initializer, ...]

    def value(self, shape: Shape, random: np.random.Generator) -> np.ndarray:
        part = (*shape[:-1], shape[-1] // len(self.blocks))
        values = [_on_host(block, part, random) for block in self.blocks]
        return np.concatenate(values, axis=-1)


def _on_host(block: Initializer, shape: Shape, random: np.random.Generator) -> np.ndarray:
    if isinstance(block, Constant):
        return np.full(shape, block.val)
    found = block.value(shape, random)
    if found is None:
        raise ShapeError(
            f"{block} draws in the graph, other gates on the host; use Array or Orthonormal for all"
        )
    return found


def per_gate(init: Any, count: int, whole: Shape) -> Initializer:
    """An initialiser of `count` gates: one for all of them, or one for each.

    An array that has the shape of the `whole` weight is taken as it is.
    """
    if isinstance(init, Array | np.ndarray):
        array = init.vals if isinstance(init, Array) else init
        if np.shape(array) == whole:
            return initializer(init)
    given = init if isinstance(init, (tuple, list)) else [init] * count
    if len(given) != count:
        raise ShapeError(f"{len(given)} initialisers for {count} gates; give one, or one for each")
    blocks = tuple(map(initializer, given))
    host = any(type(block).value is not Initializer.value for block in blocks)
    return HostGates(blocks) if host else Gates(blocks)


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
