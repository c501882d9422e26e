"""Variables kept in parts along one dim, which read as one and are saved as one."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.variable_scope import (
    VariableStore,
    get_variable,
    variable_scope,
)
from anode.frontends.tensorflow.api.variables import SaveSliceInfo
from anode.frontends.tensorflow.dtypes import as_dtype, float32
from anode.frontends.tensorflow.graph import (
    apply,
    name_scope,
    register_tensor_conversion_function,
)
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

PartitionInfo = namedtuple("PartitionInfo", ["full_shape", "var_offset"])
Partitioner = Callable[..., Any]


@export("python.ops.variables.PartitionedVariable")
class PartitionedVariable:
    """The parts of a variable: iterable, and a tensor where one is asked for."""

    def __init__(self, name: str, shape: list[int], variables: list[Any], partitions: list[int]):
        self._name, self._shape = name, TensorShape(shape)
        self._variable_list, self._partitions = variables, partitions

    @property
    def name(self) -> str:
        return self._name

    @property
    def dtype(self) -> Any:
        return self._variable_list[0].dtype

    @property
    def shape(self) -> TensorShape:
        return self._shape

    def get_shape(self) -> TensorShape:
        return self._shape

    @property
    def graph(self) -> Any:
        return self._variable_list[0].graph

    def __iter__(self) -> Iterator[Any]:
        return iter(self._variable_list)

    def __len__(self) -> int:
        return len(self._variable_list)

    def _get_variable_list(self) -> list[Any]:
        return self._variable_list

    def _get_partitions(self) -> list[int]:
        return self._partitions

    def as_tensor(self) -> Any:
        """The parts joined."""
        (axis,) = [i for i, n in enumerate(self._partitions) if n > 1] or [0]
        parts = [v.value() for v in self._variable_list]
        with name_scope(f"{self._name}/ConcatPartitions/"):
            joined = parts[0] if len(parts) == 1 else apply("ConcatV2", parts, axis, name="concat")
        with name_scope(None):
            return apply("Identity", joined, name=self._name)


def _tensor(
    value: PartitionedVariable, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Any:
    return NotImplemented if as_ref else value.as_tensor()


register_tensor_conversion_function(PartitionedVariable, _tensor)


def get_partitioned(
    store: VariableStore,
    name: str,
    shape: Any,
    partitioner: Any,
    dtype: Any = float32,
    initializer: Any = None,
    reuse: Any = None,
    **rest: Any,
) -> PartitionedVariable:
    """The parts of a variable, made or found by name; ValueError where that is not possible."""
    found = store._partitioned_vars.get(name)
    if found is not None:
        if reuse is False or reuse is None:
            raise ValueError(
                f"Partitioned variable with name {name} already exists. Did you mean to set "
                "reuse=True or reuse=tf.AUTO_REUSE in VarScope?"
            )
        return found
    if reuse is True:
        raise ValueError(
            f"PartitionedVariable {name} does not exist, or was not created with "
            "tf.get_variable(). Did you mean to set reuse=False or reuse=tf.AUTO_REUSE in VarScope?"
        )
    if not callable(partitioner):
        raise ValueError(f"Partitioner must be callable, but received: {partitioner}")
    whole = TensorShape(initializer.shape if hasattr(initializer, "shape") else shape)
    if not whole.is_fully_defined():
        raise ValueError(f"Shape of a new partitioned variable ({name}) must be fully defined")
    sizes, partitions = whole.as_list(), list(partitioner(shape=whole, dtype=as_dtype(dtype)))
    if len(partitions) != len(sizes) or sum(n > 1 for n in partitions) > 1:
        raise ValueError(f"Partitioner returned {partitions}: one dim of {sizes} may be cut only")
    axis = int(np.argmax(partitions))
    offset, parts = [0] * len(sizes), []
    for i in range(partitions[axis]):
        own = list(sizes)
        own[axis] = sizes[axis] // partitions[axis] + (i < sizes[axis] % partitions[axis])
        start = _part_of(initializer, list(offset), own)
        part = store.single(
            f"{name}/part_{i}",
            None if start is not initializer else own,
            dtype=dtype,
            initializer=start,
            reuse=reuse,
            partition_info=PartitionInfo(sizes, list(offset)),
            **rest,
        )
        part._set_save_slice_info(SaveSliceInfo(name, sizes, list(offset), own))
        parts.append(part)
        offset[axis] += own[axis]
    made = PartitionedVariable(name, sizes, parts, partitions)
    store._partitioned_vars[name] = made
    return made


def _part_of(initializer: Any, offset: list[int], sizes: list[int]) -> Any:
    """What a part begins with: its share of a given value, or the initialiser of the whole."""
    if initializer is None or callable(initializer):
        return initializer
    return apply("Slice", initializer, offset, sizes)


@export("fixed_size_partitioner", "python.ops.partitioned_variables.fixed_size_partitioner")
def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Partitioner:
    """A partitioner into a number of parts along a dim."""

    def partition(shape: TensorShape, **_: Any) -> list[int]:
        sizes = shape.as_list()
        return [min(num_shards, n) if i == axis else 1 for i, n in enumerate(sizes)]

    return partition


@export("variable_axis_size_partitioner")
def variable_axis_size_partitioner(
    max_shard_bytes: int,
    axis: int = 0,
    bytes_per_string_element: int = 16,
    max_shards: int | None = None,
) -> Partitioner:
    """A partitioner into parts of at most `max_shard_bytes` along a dim."""
    if max_shard_bytes < 1 or bytes_per_string_element < 1:
        raise ValueError("max_shard_bytes and bytes_per_string_element must be positive")

    def partition(shape: TensorShape, dtype: Any) -> list[int]:
        sizes = shape.as_list()
        element = bytes_per_string_element if as_dtype(dtype).name == "string" else dtype.size
        row = element * math.prod(n for i, n in enumerate(sizes) if i != axis)
        shards = math.ceil(sizes[axis] / max(1, max_shard_bytes // row))
        shards = min(max(1, shards), sizes[axis], max_shards or shards)
        return [shards if i == axis else 1 for i in range(len(sizes))]

    return partition


@export("min_max_variable_partitioner")
def min_max_variable_partitioner(
    max_partitions: int = 1,
    axis: int = 0,
    min_slice_size: int = 256 << 10,
    bytes_per_string_element: int = 16,
) -> Partitioner:
    """A partitioner into at most `max_partitions` parts of at least `min_slice_size` bytes."""

    def partition(shape: TensorShape, dtype: Any) -> list[int]:
        sizes = shape.as_list()
        element = bytes_per_string_element if as_dtype(dtype).name == "string" else dtype.size
        fitting = max(1, math.ceil(element * math.prod(sizes) / min_slice_size))
        shards = min(fitting, max_partitions, max(1, sizes[axis]))
        return [shards if i == axis else 1 for i in range(len(sizes))]

    return partition


@export("create_partitioned_variables")
def create_partitioned_variables(
    shape: Any,
    slicing: list[int],
    initializer: Any,
    dtype: Any = float32,
    trainable: bool = True,
    collections: Any = None,
    name: str | None = None,
    reuse: Any = None,
) -> list[Any]:
    """The parts of a new variable, `slicing[d]` of them along dim d."""
    with variable_scope(name, "PartitionedVariable", reuse=reuse):
        found = get_variable(
            "part" if name is None else name,
            shape,
            dtype,
            initializer,
            trainable=trainable,
            collections=collections,
            partitioner=lambda **_: slicing,
        )
    return list(found)
