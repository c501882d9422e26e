"""Functions that rearrange tensors: shapes, constants of a shape, joining, splitting, slicing."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.frontends.tensorflow.api.generated import define
from anode.frontends.tensorflow.core import OPERATORS
from anode.frontends.tensorflow.dtypes import as_dtype, float32, int32, int64, string
from anode.frontends.tensorflow.dtypes import bool as bool_
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    constant,
    constant_value,
    convert_to_tensor,
    is_tensor_like,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, export_values, renamed
from anode.frontends.tensorflow.tensor_shape import Dimension, TensorShape

newaxis = None
export_values(__name__, ["newaxis"])
SMALL = 1000  # elements: a tensor of fewer is a Const, a larger one a Fill

FUNCTIONS = {
    "IdentityN": "input | identity_n",
    "StopGradient": "input | stop_gradient",
    "PreventGradient": "input message='' | python.ops.gen_array_ops.prevent_gradient",
    "GuaranteeConst": "input | guarantee_const",
    "ShapeN": "input out_type=int32 | shape_n",
    "Reshape": "tensor shape | reshape manip.reshape",
    "Tile": "input multiples | tile manip.tile",
    "BroadcastTo": "input shape | broadcast_to",
    "Roll": "input shift axis | manip.roll roll",
    "SpaceToBatchND": "input block_shape paddings | space_to_batch_nd manip.space_to_batch_nd",
    "BatchToSpaceND": "input block_shape crops | batch_to_space_nd manip.batch_to_space_nd",
    "Bitcast": "input type | bitcast",
    "ReverseV2": "tensor axis | reverse reverse_v2 manip.reverse",
    "InvertPermutation": "x | math.invert_permutation invert_permutation",
    "ParallelConcat": "values | python.ops.gen_array_ops.parallel_concat",
}
globals().update(define(__name__, FUNCTIONS))
if TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """What the table defines."""


reshape: Any = globals()["reshape"]


@export("identity")
def identity(input: Any, name: str | None = None) -> Any:
    """A tensor with the same value; of an IndexedSlices or SparseTensor one of the same kind."""
    if hasattr(input, "_components"):
        return type(input)(*[apply("Identity", t, name=name) for t in input._components])
    return apply("Identity", input, name=name)


# shapes


def shape_internal(
    input: Any, name: str | None = None, optimize: bool = True, out_type: Any = int32
) -> Tensor:
    """The shape: a Const where it is known while the graph is built."""
    with name_scope(name, "Shape", [input]) as scope:
        if hasattr(input, "dense_shape"):
            return cast(input.dense_shape, out_type)
        tensor = convert_to_tensor(input)
        if optimize and tensor.shape.is_fully_defined():
            return constant(tensor.shape.as_list(), out_type, name=scope)
        found: Tensor = apply("Shape", tensor, out_type=out_type, name=scope)
        return found


@export("shape")
def shape(input: Any, name: str | None = None, out_type: Any = int32) -> Tensor:
    return shape_internal(input, name, out_type=out_type)


@export("size")
def size(input: Any, name: str | None = None, out_type: Any = int32) -> Tensor:
    """The number of elements."""
    with name_scope(name, "Size", [input]) as scope:
        if hasattr(input, "dense_shape"):
            found: Tensor = apply("Prod", cast(input.dense_shape, out_type), [0], name=scope)
            return found
        tensor = convert_to_tensor(input)
        if tensor.shape.is_fully_defined():
            count = int(np.prod(tensor.shape.as_list(), dtype=np.int64))
            return constant(count, out_type, name=scope)
        found = apply("Size", tensor, out_type=out_type, name=scope)
        return found


@export("rank")
def rank(input: Any, name: str | None = None) -> Tensor:
    with name_scope(name, "Rank", [input]) as scope:
        if hasattr(input, "dense_shape"):
            return size(input.dense_shape, scope)
        tensor = convert_to_tensor(input)
        if tensor.shape.ndims is not None:
            return constant(tensor.shape.ndims, int32, name=scope)
        found: Tensor = apply("Rank", tensor, name=scope)
        return found


@export("expand_dims")
@renamed(dim="axis")
def expand_dims(input: Any, axis: Any = None, name: str | None = None) -> Any:
    if axis is None:
        raise ValueError("Must specify an axis argument to tf.expand_dims()")
    return apply("ExpandDims", input, axis, name=name)


@export("squeeze")
@renamed(squeeze_dims="axis")
def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Any:
    """Without the dims of size 1, all or those of `axis`."""
    axes = () if axis is None else np.ravel(axis).tolist()
    return apply("Squeeze", input, squeeze_dims=[int(a) for a in axes], name=name)


@export("transpose")
def transpose(
    a: Any, perm: Any = None, name: str | None = "transpose", conjugate: bool = False
) -> Any:
    """Dims in the order `perm`, reversed by default."""
    type = "ConjugateTranspose" if conjugate else "Transpose"
    with name_scope(name, "transpose", [a]) as scope:
        a = convert_to_tensor(a, name="a")
        if perm is None and a.shape.ndims is not None:
            perm = np.arange(a.shape.ndims, dtype=np.int32)[::-1]
        elif perm is None:
            count = apply("Rank", a)
            perm = apply("Sub", apply("Sub", count, 1), apply("Range", 0, count, 1))
        return apply(type, a, perm, name=scope)


@export("linalg.transpose", "matrix_transpose", "linalg.matrix_transpose")
def matrix_transpose(a: Any, name: str | None = "matrix_transpose", conjugate: bool = False) -> Any:
    """The last two dims swapped."""
    with name_scope(name, "matrix_transpose", [a]):
        a = convert_to_tensor(a, name="a")
        rank = a.shape.ndims
        if rank is None:
            raise ValueError("matrix_transpose: the rank of the argument is not known")
        if rank < 2:
            raise ValueError(
                f"Argument 'a' should be a (batch) matrix, with rank >= 2. Found: {a.shape}"
            )
        return transpose(a, [*range(rank - 2), rank - 1, rank - 2], conjugate=conjugate)


@export("broadcast_static_shape")
def broadcast_static_shape(shape_x: Any, shape_y: Any) -> TensorShape:
    from anode.frontends.tensorflow.infer import broadcast_shapes

    return broadcast_shapes(TensorShape(shape_x), TensorShape(shape_y))


@export("broadcast_dynamic_shape")
def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Any:
    return apply("BroadcastArgs", shape_x, shape_y)


@export("ensure_shape")
def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Any:
    """`x`, whose shape must be `shape`."""
    return apply("EnsureShape", x, shape=TensorShape(shape), name=name)


# constants of a shape


def filled(value: Any, shape: Any, dtype: Any, scope: str) -> Tensor:
    """A Const, or a Fill where it is large or its shape is only known when it runs."""
    if not isinstance(shape, Tensor):
        try:
            sizes = TensorShape(shape).as_list()
        except (TypeError, ValueError):  # a list with tensors in it
            shape = convert_to_tensor(shape, int32)
        else:
            if np.prod(sizes, dtype=np.int64) < SMALL:
                return constant(value, dtype, sizes, name=scope)
            shape = constant(sizes, int32, name="shape_as_tensor")
    if shape.shape.ndims == 0:
        shape = reshape(shape, [-1])
    found: Tensor = apply("Fill", shape, constant(value, dtype), name=scope)
    return found


def _zero(dtype: Any) -> Any:
    return False if dtype == bool_ else "" if dtype == string else 0


@export("zeros")
def zeros(shape: Any, dtype: Any = float32, name: str | None = None) -> Tensor:
    dtype = as_dtype(dtype).base_dtype
    with name_scope(name, "zeros", [shape]) as scope:
        return filled(_zero(dtype), shape, dtype, scope)


@export("ones")
def ones(shape: Any, dtype: Any = float32, name: str | None = None) -> Tensor:
    dtype = as_dtype(dtype).base_dtype
    with name_scope(name, "ones", [shape]) as scope:
        return filled(dtype == bool_ or 1, shape, dtype, scope)


@export("fill")
def fill(dims: Any, value: Any, name: str | None = None) -> Tensor:
    found: Tensor = apply("Fill", dims, value, name=name)
    return found


@export("zeros_like")
def zeros_like(
    tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True
) -> Tensor:
    with name_scope(name, "zeros_like", [tensor]) as scope:
        tensor = convert_to_tensor(tensor, name="tensor")
        own = tensor.dtype.base_dtype
        wanted = own if dtype is None else as_dtype(dtype).base_dtype
        if optimize and tensor.shape.is_fully_defined():
            return zeros(tensor.shape, wanted, scope)
        if wanted != own:
            return zeros(shape_internal(tensor, optimize=optimize), wanted, scope)
        found: Tensor = apply("ZerosLike", tensor, name=scope)
        return found


@export("ones_like")
def ones_like(
    tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True
) -> Tensor:
    with name_scope(name, "ones_like", [tensor]) as scope:
        tensor = convert_to_tensor(tensor, name="tensor")
        like = shape_internal(tensor, optimize=optimize)
        result = ones(like, tensor.dtype if dtype is None else dtype, scope)
        result.set_shape(tensor.shape)
        return result


# joining and splitting


@export("concat", "concat_v2")
@renamed(concat_dim="axis")
def concat(values: Any, axis: Any, name: str = "concat") -> Any:
    """The tensors one after another along `axis`."""
    values = values if isinstance(values, (list, tuple)) else [values]
    if len(values) > 1:
        return apply("ConcatV2", list(values), axis, name=name)
    with name_scope(name):
        convert_to_tensor(axis, int32, name="concat_dim").shape.assert_has_rank(0)
        return identity(values[0], name)


@export("stack", "pack")
def stack(values: Any, axis: int = 0, name: str = "stack") -> Any:
    """Tensors of one shape side by side along a new dim."""
    if axis == 0:
        try:
            return convert_to_tensor(values, name=name)
        except (TypeError, ValueError):
            pass
    first = convert_to_tensor(values[0], name=name).shape
    if first.ndims is not None and not -first.ndims - 1 <= axis <= first.ndims:
        raise ValueError(f"axis = {axis} not in [{-first.ndims - 1}, {first.ndims + 1})")
    return apply("Pack", list(values), axis=int(axis), name=name)


@export("parallel_stack")
def parallel_stack(values: Any, name: str = "parallel_stack") -> Any:
    with name_scope(name) as scope:
        rows = [expand_dims(value, 0) for value in values]
        return apply("ParallelConcat", rows, name=scope)


@export("unstack", "unpack")
def unstack(value: Any, num: int | None = None, axis: int = 0, name: str = "unstack") -> list[Any]:
    """The slices along `axis`, whose size must be known or given as `num`."""
    value = convert_to_tensor(value)
    if num is None:
        rank = value.shape.ndims
        if rank is not None and not -rank <= axis < rank:
            raise ValueError(f"axis = {axis} not in [{-rank}, {rank})")
        num = None if rank is None else value.shape.as_list()[axis]
    if num is None:
        raise ValueError(f"Cannot infer num from shape {value.shape}")
    return list(apply("Unpack", value, num=int(num), axis=int(axis), name=name))


@export("split")
def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None, name: str = "split"
) -> list[Any]:
    """`value` cut along `axis` into equal pieces, or into pieces of given sizes."""
    sizes = convert_to_tensor(num_or_size_splits)
    if isinstance(num_or_size_splits, (int, np.integer, Dimension)):
        return list(apply("Split", axis, value, num_split=int(num_or_size_splits), name=name))
    if sizes.shape.ndims == 0:
        raise ValueError(
            "Rank-0 tensors are not supported as the num_or_size_splits argument to split. "
            f"Argument provided: {num_or_size_splits}"
        )
    if num is None:
        num = sizes.shape.as_list()[0] if sizes.shape.ndims else None
    if num is None:
        raise ValueError(f"Cannot infer num from shape {num_or_size_splits}")
    return list(apply("SplitV", value, sizes, axis, num_split=num, name=name))


# slicing


@export("slice")
def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Any:
    return apply("Slice", input_, begin, size, name=name)


@export("strided_slice")
def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Any:
    """Elements from `begin` to `end` by `strides`; bits of the masks change what an entry means."""
    masks = {
        "begin_mask": begin_mask,
        "end_mask": end_mask,
        "ellipsis_mask": ellipsis_mask,
        "new_axis_mask": new_axis_mask,
        "shrink_axis_mask": shrink_axis_mask,
    }
    strides = ones_like(begin) if strides is None else strides
    result = apply("StridedSlice", input_, begin, end, strides, name=name, **masks)
    if var is not None:

        def assign(value: Any, name: str | None = None) -> Any:
            ref = convert_to_tensor(var, as_ref=True)
            return apply("StridedSliceAssign", ref, begin, end, strides, value, name=name, **masks)

        result.assign = assign
    return result


_INDICES = (
    "Only integers, slices (`:`), ellipsis (`...`), tf.newaxis (`None`) and scalar "
    "tf.int32/tf.int64 tensors are valid indices, got {!r}"
)


class _Spec:
    """The operands and masks of a strided slice, collected from a Python index."""

    def __init__(self) -> None:
        self.begin: list[Any] = []
        self.end: list[Any] = []
        self.strides: list[Any] = []
        self.masks: dict[str, Any] = dict.fromkeys(
            ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
        )

    def add(self, part: Any) -> None:
        if isinstance(part, slice):
            step = 1 if part.step is None else part.step
            self._append(self._bound(part.start, "begin"), self._bound(part.stop, "end"), step)
        elif part is Ellipsis:
            self._append(0, 0, 1, "ellipsis_mask")
        elif part is None:
            self._append(0, 0, 1, "new_axis_mask")
        else:
            _check_index(part)
            self._append(part, part + 1, 1, "shrink_axis_mask")

    def _bound(self, bound: Any, which: str) -> Any:
        if bound is None or (not is_tensor_like(bound) and bound == sys.maxsize):
            self.masks[f"{which}_mask"] |= 1 << len(self.begin)
            return 0
        _check_index(bound)
        return bound

    def _append(self, begin: Any, end: Any, stride: Any, mask: str | None = None) -> None:
        if mask is not None:
            self.masks[mask] |= 1 << len(self.begin)
        self.begin.append(begin)
        self.end.append(end)
        self.strides.append(stride)


def _check_index(index: Any) -> None:
    integer = isinstance(index, (int, np.integer, Dimension)) and not isinstance(index, bool)
    if is_tensor_like(index) and not integer:
        integer = as_dtype(index.dtype).is_integer and index.shape.ndims in (None, 0)
    if not integer and not (isinstance(index, np.ndarray) and index.shape == ()):
        raise TypeError(_INDICES.format(index))


def getitem(tensor: Any, key: Any, var: Any = None) -> Any:
    """`tensor[key]`: integers, slices, `...`, None, scalar tensors, or a boolean mask."""
    if getattr(key, "dtype", None) is not None and key.dtype in (bool_, np.bool_):
        from anode.frontends.tensorflow.api.index_ops import boolean_mask

        return boolean_mask(tensor, key)
    spec = _Spec()
    for part in key if isinstance(key, (list, tuple)) else (key,):
        spec.add(part)
    with name_scope(None, "strided_slice", [tensor]) as scope:
        operands: list[Any] = [_packed(part) for part in (spec.begin, spec.end, spec.strides)]
        if any(operand.dtype == int64 for operand in operands):
            operands = [cast(operand, int64) for operand in operands]
        begin, end, strides = operands
        return strided_slice(tensor, begin, end, strides, var=var, name=scope, **spec.masks)


def _packed(values: Sequence[Any]) -> Tensor:
    found: Tensor = stack(values) if values else constant([], int32)
    return found


OPERATORS["__getitem__"] = getitem


def cast(x: Any, dtype: Any) -> Any:
    """`x` as another type; no operation where it has it."""
    tensor, wanted = convert_to_tensor(x), as_dtype(dtype)
    return tensor if tensor.dtype.base_dtype == wanted else apply("Cast", tensor, DstT=wanted)


# padding and blocks


@export("pad")
def pad(
    tensor: Any,
    paddings: Any,
    mode: str = "CONSTANT",
    name: str | None = None,
    constant_values: Any = 0,
) -> Any:
    """Each dim with elements before and after: a value, or its own mirrored."""
    mode = mode.upper()
    if mode in ("REFLECT", "SYMMETRIC"):
        return apply("MirrorPad", tensor, paddings, mode=mode, name=name)
    if mode != "CONSTANT":
        raise ValueError(f"Unknown padding mode: {mode}")
    if not is_tensor_like(constant_values) and np.all(constant_values == 0):
        return apply("Pad", tensor, paddings, name=name)
    return apply("PadV2", tensor, paddings, constant_values, name=name)


@export("space_to_batch")
def space_to_batch(
    input: Any,
    paddings: Any,
    block_size: int | None = None,
    name: str | None = None,
    block_shape: Any = None,
) -> Any:
    block = block_shape if block_size is None else [block_size, block_size]
    return apply("SpaceToBatchND", input, block, paddings, name=name or "SpaceToBatch")


@export("batch_to_space")
def batch_to_space(
    input: Any,
    crops: Any,
    block_size: int | None = None,
    name: str | None = None,
    block_shape: Any = None,
) -> Any:
    block = block_shape if block_size is None else [block_size, block_size]
    return apply("BatchToSpaceND", input, block, crops, name=name or "BatchToSpace")


@export("required_space_to_batch_paddings")
def required_space_to_batch_paddings(
    input_shape: Any, block_shape: Any, base_paddings: Any = None, name: str | None = None
) -> tuple[Any, Any]:
    """The paddings after which blocks fill the dims, and the crops that undo what they add."""
    sizes, block = constant_value(input_shape), constant_value(block_shape)
    base = np.zeros((len(block), 2)) if base_paddings is None else constant_value(base_paddings)  # type: ignore[arg-type]
    if sizes is None or block is None or base is None:
        raise ValueError("required_space_to_batch_paddings: the arguments must be constants")
    before, after = np.asarray(base, np.int64).T
    extra = -(sizes + before + after) % block
    pads = np.stack([before, after + extra], 1).astype(np.int32)
    crops = np.stack([np.zeros_like(extra), extra], 1).astype(np.int32)
    with name_scope(name, "required_space_to_batch_paddings"):
        return constant(pads, name="paddings"), constant(crops, name="crops")


def _depth(type: str) -> Any:
    def rearrange(
        input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC"
    ) -> Any:
        return apply(type, input, block_size=block_size, data_format=data_format, name=name)

    return rearrange


@export("space_to_depth", "nn.space_to_depth")
def space_to_depth(
    input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Any:
    """Blocks of pixels as channels."""
    return _depth("SpaceToDepth")(input, block_size, name, data_format)


@export("depth_to_space", "nn.depth_to_space")
def depth_to_space(
    input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Any:
    """Channels as blocks of pixels."""
    return _depth("DepthToSpace")(input, block_size, name, data_format)


@export("extract_image_patches", "image.extract_image_patches")
@renamed(sizes="ksizes")
def extract_image_patches(
    images: Any,
    ksizes: Any = None,
    strides: Any = None,
    rates: Any = None,
    padding: str | None = None,
    name: str | None = None,
) -> Any:
    """The patches of images, as channels."""
    attrs = {"ksizes": ksizes, "strides": strides, "rates": rates, "padding": padding}
    return apply("ExtractImagePatches", images, name=name, **attrs)
