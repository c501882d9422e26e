"""Sparse tensors: the class and the functions of them."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from anode.frontends.tensorflow.dtypes import DType, int32, int64
from anode.frontends.tensorflow.graph import (
    Graph,
    Operation,
    Tensor,
    apply,
    constant,
    constant_value_as_shape,
    convert_to_tensor,
    get_default_session,
    name_scope,
    placeholder,
    placeholder_with_default,
)
from anode.frontends.tensorflow.opdef import export, renamed
from anode.frontends.tensorflow.tensor_shape import TensorShape

SparseTensorValue = namedtuple("SparseTensorValue", ["indices", "values", "dense_shape"])
export("SparseTensorValue", "compat.v1.SparseTensorValue")(SparseTensorValue)


@export("sparse.SparseTensor", "SparseTensor")
class SparseTensor:
    """Elements `values[i]` at `indices[i]` of a tensor of `dense_shape` that is zero elsewhere."""

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        with name_scope(None, "SparseTensor", [indices, values, dense_shape]):
            self._indices = convert_to_tensor(indices, int64, name="indices")
            self._values = convert_to_tensor(values, name="values")
            self._dense_shape = convert_to_tensor(dense_shape, int64, name="dense_shape")
        indices_shape = self._indices.shape.with_rank(2)
        dense = self._dense_shape.shape.with_rank(1)
        indices_shape[0:1].merge_with(self._values.shape.with_rank(1)[0:1])
        indices_shape[1:2].merge_with(dense[0:1])

    @classmethod
    def from_value(cls, sparse_tensor_value: Any) -> SparseTensor:
        return sparse_of(sparse_tensor_value)

    @property
    def indices(self) -> Tensor:
        return self._indices

    @property
    def values(self) -> Tensor:
        return self._values

    @property
    def dense_shape(self) -> Tensor:
        return self._dense_shape

    @property
    def dtype(self) -> DType:
        return self._values.dtype

    @property
    def op(self) -> Operation:
        return self._values.op

    @property
    def graph(self) -> Graph:
        return self._indices.graph

    @property
    def shape(self) -> TensorShape:
        return constant_value_as_shape(self._dense_shape)

    def get_shape(self) -> TensorShape:
        return self.shape

    def consumers(self) -> list[Operation]:
        return [op for part in self._components for op in part.consumers()]

    @property
    def _components(self) -> list[Tensor]:
        return [self._indices, self._values, self._dense_shape]

    def _from_components(self, parts: Any) -> Any:
        """Tensors become a SparseTensor, arrays what a session gives of one."""
        kind = SparseTensor if isinstance(parts[0], Tensor) else SparseTensorValue
        return kind(*parts)

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        session = session or get_default_session()
        if session is None:
            raise ValueError("Cannot evaluate a SparseTensor: no default session is registered")
        return session.run(self, feed_dict)

    def _with_values(self, values: Any) -> SparseTensor:
        return SparseTensor(self._indices, values, self._dense_shape)

    def _combined(self, type: str, other: Any, name: str) -> SparseTensor:
        operand = convert_to_tensor(other, self.dtype)
        return self._with_values(apply(type, *self._components, operand, name=name))

    def __mul__(self, other: Any) -> SparseTensor:
        return self._combined("SparseDenseCwiseMul", other, "mul")

    def __truediv__(self, other: Any) -> SparseTensor:
        return self._combined("SparseDenseCwiseDiv", other, "truediv")

    __div__ = __truediv__

    def __str__(self) -> str:
        return (
            f"SparseTensor(indices={self._indices}, values={self._values}, "
            f"dense_shape={self._dense_shape})"
        )

    __repr__ = __str__


def sparse_of(value: Any) -> SparseTensor:
    """A SparseTensor, made of a SparseTensorValue where it is one; TypeError for others."""
    if isinstance(value, SparseTensor):
        return value
    if not isinstance(value, SparseTensorValue):
        raise TypeError(f"Input must be a SparseTensor: {value!r}")
    return SparseTensor(*value)


@export("convert_to_tensor_or_sparse_tensor")
def convert_to_tensor_or_sparse_tensor(
    value: Any, dtype: Any = None, name: str | None = None
) -> Any:
    if isinstance(value, (SparseTensor, SparseTensorValue)):
        return sparse_of(value)
    return convert_to_tensor(value, dtype, name)


@export("sparse.placeholder", "sparse_placeholder")
def sparse_placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> SparseTensor:
    """A sparse tensor that is fed a SparseTensorValue, or its three arrays."""

    def named(part: str) -> str | None:
        return None if name is None else f"{name}/{part}"

    if shape is None:
        rank, sizes = None, placeholder(int64, [None], named("shape"))
    else:
        dims = list(TensorShape(shape).as_list()) if not isinstance(shape, Tensor) else None
        if dims is not None:
            shape = constant([-1 if n is None else n for n in dims], int64)
        rank, sizes = (
            shape.shape.as_list()[0],
            placeholder_with_default(shape, shape.shape, named("shape")),
        )
    values = placeholder(dtype, [None], named("values"))
    return SparseTensor(placeholder(int64, [None, rank], named("indices")), values, sizes)


# to and from dense tensors


@export("sparse_to_dense")
def sparse_to_dense(
    sparse_indices: Any,
    output_shape: Any,
    sparse_values: Any,
    default_value: Any = 0,
    validate_indices: bool = True,
    name: str | None = None,
) -> Any:
    """A dense tensor with the values at the indices and `default_value` elsewhere."""
    values = convert_to_tensor(sparse_values)
    if default_value == 0 and values.dtype.name == "string":
        default_value = ""
    indices = convert_to_tensor(sparse_indices)
    shape = convert_to_tensor(output_shape, indices.dtype.base_dtype)
    operands = (indices, shape, values, convert_to_tensor(default_value, values.dtype.base_dtype))
    return apply("SparseToDense", *operands, validate_indices=validate_indices, name=name)


@export("sparse.to_dense", "sparse_tensor_to_dense")
def sparse_tensor_to_dense(
    sp_input: Any,
    default_value: Any = None,
    validate_indices: bool = True,
    name: str | None = None,
) -> Any:
    sp = sparse_of(sp_input)
    return sparse_to_dense(
        sp.indices,
        sp.dense_shape,
        sp.values,
        0 if default_value is None else default_value,
        validate_indices,
        name,
    )


@export("sparse.from_dense", "contrib.layers.dense_to_sparse")
def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """The elements that are not zero."""
    with name_scope(name, "dense_to_sparse", [tensor]):
        dense = convert_to_tensor(tensor)
        zero = constant("" if dense.dtype.name == "string" else 0, dense.dtype.base_dtype)
        indices = apply("Where", apply("NotEqual", dense, zero))
        shape = apply("Shape", dense, out_type=int64)
        return SparseTensor(indices, apply("GatherNd", dense, indices), shape)


# arithmetic


@export("sparse.sparse_dense_matmul", "sparse.matmul", "sparse_tensor_dense_matmul")
def sparse_tensor_dense_matmul(
    sp_a: Any, b: Any, adjoint_a: bool = False, adjoint_b: bool = False, name: str | None = None
) -> Any:
    """A sparse matrix times a dense one."""
    with name_scope(name, "SparseTensorDenseMatMul", [b]):
        parts = sparse_of(sp_a)._components
        attrs: dict[str, Any] = {"adjoint_a": adjoint_a, "adjoint_b": adjoint_b}
        return apply("SparseTensorDenseMatMul", *parts, b, **attrs)


@export("sparse.add", "sparse_add")
@renamed(thresh="threshold")
def sparse_add(a: Any, b: Any, threshold: Any = None) -> Any:
    """The sum, dense if one of the two is; of two sparse ones without what is below `threshold`."""
    kinds = (SparseTensor, SparseTensorValue)
    if not isinstance(a, kinds) and not isinstance(b, kinds):
        raise TypeError("At least one input should be SparseTensor; do you mean to use tf.add()?")
    if isinstance(a, kinds) and isinstance(b, kinds):
        a, b = sparse_of(a), sparse_of(b)
        least = constant(0 if threshold is None else threshold, a.dtype.real_dtype)
        return SparseTensor(*apply("SparseAdd", *a._components, *b._components, least))
    if not isinstance(a, kinds):
        a, b = b, a
    return apply("SparseTensorDenseAdd", *sparse_of(a)._components, b)


@export("sparse.reduce_sum", "sparse_reduce_sum")
@renamed(reduction_axes="axis", keep_dims="keepdims")
def sparse_reduce_sum(sp_input: Any, axis: Any = None, keepdims: bool | None = None) -> Any:
    """The sums over axes, all by default, as a dense tensor."""
    sp = sparse_of(sp_input)
    if axis is None:
        rank = sp.dense_shape.shape.as_list()[0]
        if rank is None:
            raise ValueError("sparse_reduce_sum: give axis where the rank is not known")
        axis = np.arange(rank, dtype=np.int32)
    axes = constant(np.ravel(axis).tolist(), int32)
    return apply("SparseReduceSum", *sp._components, axes, keep_dims=bool(keepdims))


# order and shape


@export("sparse.reorder", "sparse_reorder")
def sparse_reorder(sp_input: Any, name: str | None = None) -> SparseTensor:
    """With the elements in row-major order."""
    sp = sparse_of(sp_input)
    indices, values = apply("SparseReorder", *sp._components, name=name)
    return SparseTensor(indices, values, sp.dense_shape)


@export("sparse.reshape", "sparse_reshape")
def sparse_reshape(sp_input: Any, shape: Any, name: str | None = None) -> SparseTensor:
    sp = sparse_of(sp_input)
    with name_scope(name, "SparseReshape", [sp]) as scope:
        wanted = convert_to_tensor(shape, int64)
        indices, found = apply("SparseReshape", sp.indices, sp.dense_shape, wanted, name=scope)
        return SparseTensor(indices, sp.values, found)


@export("sparse.transpose", "sparse_transpose")
def sparse_transpose(sp_input: Any, perm: Any = None, name: str | None = None) -> SparseTensor:
    """Dims in the order `perm`, reversed by default."""
    sp = sparse_of(sp_input)
    with name_scope(name, "SparseTranspose", [sp]):
        if perm is None:
            perm = list(range(int(sp.dense_shape.shape.as_list()[0])))[::-1]
        columns = apply("GatherV2", sp.indices, perm, 1)
        shape = apply("GatherV2", sp.dense_shape, perm, 0)
        return sparse_reorder(SparseTensor(columns, sp.values, shape))


@export("sparse.slice", "sparse_slice")
def sparse_slice(sp_input: Any, start: Any, size: Any, name: str | None = None) -> SparseTensor:
    sp = sparse_of(sp_input)
    begin, length = (convert_to_tensor(x, int64) for x in (start, size))
    return SparseTensor(*apply("SparseSlice", *sp._components, begin, length, name=name))


@export("sparse.retain", "sparse_retain")
def sparse_retain(sp_input: Any, to_retain: Any) -> SparseTensor:
    """Only the elements where the mask holds."""
    sp = sparse_of(sp_input)
    places = apply("Reshape", apply("Where", convert_to_tensor(to_retain)), [-1])
    indices, values = (apply("GatherV2", part, places, 0) for part in (sp.indices, sp.values))
    return SparseTensor(indices, values, sp.dense_shape)


@export("sparse.concat", "sparse_concat")
@renamed(concat_dim="axis", expand_nonconcat_dims="expand_nonconcat_dim")
def sparse_concat(
    axis: int, sp_inputs: Any, name: str | None = None, expand_nonconcat_dim: bool = False
) -> SparseTensor:
    """One after another along `axis`."""
    parts = [sparse_of(sp)._components for sp in sp_inputs]
    if len(parts) == 1:
        return sparse_of(sp_inputs[0])
    del expand_nonconcat_dim  # the kernel takes the larger size of every other dim
    columns = [list(column) for column in zip(*parts, strict=True)]
    return SparseTensor(*apply("SparseConcat", *columns, concat_dim=axis, name=name))


@export("sparse.split", "sparse_split")
@renamed(split_dim="axis")
def sparse_split(
    keyword_required: Any = None,
    sp_input: Any = None,
    num_split: int | None = None,
    axis: int | None = None,
    name: str | None = None,
) -> list[SparseTensor]:
    """Pieces along `axis`."""
    if keyword_required is not None or num_split is None or axis is None:
        raise ValueError("sparse_split: give sp_input, num_split and axis by name")
    sp = sparse_of(sp_input)
    where = constant(axis, int64)
    found = apply("SparseSplit", where, *sp._components, num_split=num_split, name=name)
    columns = [found[i * num_split : (i + 1) * num_split] for i in range(3)]
    return [SparseTensor(*parts) for parts in zip(*columns, strict=True)]


@export("sparse.fill_empty_rows", "sparse_fill_empty_rows")
def sparse_fill_empty_rows(
    sp_input: Any, default_value: Any, name: str | None = None
) -> tuple[SparseTensor, Any]:
    """Rows without elements get `default_value` in their first; also which rows those are."""
    sp = sparse_of(sp_input)
    fill = convert_to_tensor(default_value, sp.values.dtype.base_dtype)
    indices, values, empty, _ = apply("SparseFillEmptyRows", *sp._components, fill, name=name)
    return SparseTensor(indices, values, sp.dense_shape), empty


@export("edit_distance")
def edit_distance(
    hypothesis: Any, truth: Any, normalize: bool = True, name: str = "edit_distance"
) -> Any:
    """The Levenshtein distances of sequences, divided by the length of the true ones."""
    parts = [*sparse_of(hypothesis)._components, *sparse_of(truth)._components]
    return apply("EditDistance", *parts, normalize=normalize, name=name)
