"""Building TensorFlow's graph: conversion of values, creation of operations, scopes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from anode.frontends.tensorflow.core import (
    Graph,
    Operation,
    Tensor,
    get_default_graph,
    get_default_session,
    reset_default_graph,
)
from anode.frontends.tensorflow.dtypes import DType, as_dtype, string
from anode.frontends.tensorflow.opdef import REQUIRED, Arg, OpDef, export, find
from anode.frontends.tensorflow.tensor_shape import TensorShape

Conversion = Callable[..., Any]
_conversions: list[tuple[int, Any, Conversion]] = []


def register_tensor_conversion_function(
    base_type: Any, conversion_func: Conversion, priority: int = 100
) -> None:
    """`conversion_func(value, dtype, name, as_ref)` makes tensors of values of `base_type`."""
    _conversions.append((priority, base_type, conversion_func))
    _conversions.sort(key=lambda entry: entry[0])


export("register_tensor_conversion_function")(register_tensor_conversion_function)


@export("convert_to_tensor", "python.framework.ops.convert_to_tensor")
def convert_to_tensor(
    value: Any,
    dtype: Any = None,
    name: str | None = None,
    preferred_dtype: Any = None,
    dtype_hint: Any = None,
    as_ref: bool = False,
) -> Tensor:
    """`value` as a tensor of the default graph: itself, what its class registered, or a Const."""
    wanted = None if dtype is None else as_dtype(dtype).base_dtype
    preferred_dtype = dtype_hint if preferred_dtype is None else preferred_dtype
    if isinstance(value, Tensor):
        return _checked(value, wanted)
    for _, base, conversion in _conversions:
        if isinstance(value, base):
            found = conversion(value, dtype=wanted, name=name, as_ref=as_ref)
            if found is not NotImplemented:
                return found if as_ref else _checked(found, wanted)
    if wanted is None and preferred_dtype is not None:
        try:
            return convert_to_tensor(value, preferred_dtype, name)
        except (TypeError, ValueError):
            pass
    if isinstance(value, (list, tuple)) and _holds_tensors(value):
        return _packed(value, wanted, name)
    return constant(value, wanted, name=name or "Const")


def _checked(tensor: Tensor, dtype: DType | None) -> Tensor:
    if dtype is not None and tensor.dtype.base_dtype != dtype:
        raise ValueError(
            f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype "
            f"{tensor.dtype.name}: {str(tensor)!r}"
        )
    return tensor


def is_tensor_like(value: Any) -> bool:
    """Whether conversion of `value` uses a tensor that exists: of a Tensor, a Variable."""
    return isinstance(value, Tensor) or any(isinstance(value, base) for _, base, _ in _conversions)


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(_holds_tensors(item) for item in value)
    return is_tensor_like(value) and not isinstance(value, (TensorShape,))


def _packed(value: Any, dtype: DType | None, name: str | None) -> Tensor:
    dtype = dtype or _common_dtype(value)
    items = [convert_to_tensor(item, dtype) for item in value]
    packed = apply("Pack", items, axis=0, name=name or "packed")
    assert isinstance(packed, Tensor)
    return packed


def _common_dtype(values: Any) -> DType | None:
    """The type of the first tensor among values, lists looked through."""
    for value in values:
        if isinstance(value, (list, tuple)):
            found = _common_dtype(value)
            if found is not None:
                return found
        elif is_tensor_like(value) and hasattr(value, "dtype"):
            return as_dtype(value.dtype).base_dtype
    return None


def convert_n_to_tensor(values: Any, dtype: Any = None, name: str | None = None) -> list[Tensor]:
    return [convert_to_tensor(value, dtype, name) for value in values]


def as_array(value: Any, dtype: DType | None = None) -> np.ndarray:
    """What a Const or a feed holds: Python floats are float32, ints int32 if they fit."""
    if dtype is not None and dtype == string:
        return _strings(np.asarray(value, object))
    if hasattr(value, "as_proto") and hasattr(value, "as_list"):  # a TensorShape
        value = value.as_list()
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    if array.dtype.kind in "USO":
        array = np.asarray(value, object)
        if array.size and not all(isinstance(item, (str, bytes)) for item in array.flat):
            return _numbers(value, array, dtype)
        return _strings(array)
    if dtype is None:
        return _default_type(value, array)
    return _cast(value, array, dtype)


def _numbers(value: Any, array: np.ndarray, dtype: DType | None) -> np.ndarray:
    """An object array that holds numbers, of dims (Dimension) for instance."""
    try:
        numbers = np.array([getattr(item, "value", item) for item in array.flat])
    except ValueError:
        numbers = np.empty(0, object)
    if numbers.dtype.kind == "O" or numbers.size != array.size:
        raise TypeError(f"Failed to convert object of type {type(value)} to Tensor: {value!r}")
    return as_array(numbers.reshape(array.shape).tolist(), dtype)


def _strings(array: np.ndarray) -> np.ndarray:
    encoded = [item.encode() if isinstance(item, str) else item for item in array.flat]
    for item in encoded:
        if not isinstance(item, bytes):
            raise TypeError(
                f"Expected string, got {item!r} of type '{type(item).__name__}' instead."
            )
    result = np.empty(array.shape, object)
    result.reshape(-1)[:] = encoded
    return result


def _default_type(value: Any, array: np.ndarray) -> np.ndarray:
    if isinstance(value, (np.ndarray, np.generic)):
        return array
    if array.dtype == np.float64 and not _typed(value):
        return array.astype(np.float32)
    if array.dtype == np.int64 and not _typed(value):
        narrow = array.astype(np.int32)
        return narrow if np.array_equal(narrow, array) else array
    return array


def _typed(value: Any) -> bool:
    """Whether a list is of NumPy values, which keep their type."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (np.ndarray, np.generic))


def _cast(value: Any, array: np.ndarray, dtype: DType) -> np.ndarray:
    """`array` as `dtype`; what would lose its meaning raises TypeError as TensorFlow does."""
    target = dtype.as_numpy_dtype
    if array.dtype == target:
        return array
    kind = array.dtype.kind
    if isinstance(value, np.ndarray) and value.size:
        return array.astype(target)
    integral, boolean = dtype.is_integer, dtype.is_bool
    wrong = (kind == "f" and integral) or (boolean and kind != "b" and array.size > 0)
    wrong = wrong or (kind == "b" and not boolean) or (kind == "c" and not dtype.is_complex)
    if wrong and array.size and not isinstance(value, np.generic):
        first = array.reshape(-1)[0].item()
        raise TypeError(
            f"Expected {dtype.name}, got {first!r} of type '{type(first).__name__}' instead."
        )
    return array.astype(target)


@export("constant", "python.framework.constant_op.constant")
def constant(
    value: Any,
    dtype: Any = None,
    shape: Any = None,
    name: str | None = "Const",
    verify_shape: bool = False,
) -> Tensor:
    """A tensor with a fixed value; with `shape` the last element fills what `value` leaves."""
    wanted = None if dtype is None else as_dtype(dtype).base_dtype
    if is_tensor_like(value) and not isinstance(value, (np.ndarray,)):
        raise TypeError(f"List of Tensors when single Tensor expected: {value!r}")
    if value is None:
        raise ValueError("None values not supported.")
    array = as_array(value, wanted)
    if shape is not None:
        array = _filled(array, [int(d) for d in TensorShape(shape).as_list()], verify_shape)
    return const(array, "Const" if name is None else name)


def _filled(array: np.ndarray, shape: list[int], verify: bool) -> np.ndarray:
    size = int(np.prod(shape))
    if verify and list(array.shape) != shape:
        raise TypeError(f"Expected Tensor's shape: {tuple(shape)}, got {tuple(array.shape)}.")
    if not size:
        return np.empty(shape, array.dtype)
    if array.size > size:
        raise ValueError(
            f"Too many elements provided. Needed at most {size}, but received {array.size}"
        )
    flat = array.reshape(-1)
    if array.size == size:
        return flat.reshape(shape)
    result = np.empty(size, array.dtype)
    result[: array.size] = flat
    result[array.size :] = flat[-1]
    return result.reshape(shape)


def const(array: np.ndarray, name: str = "Const") -> Tensor:
    """The Const operation of an array of a type TensorFlow has."""
    array = np.asarray(array)
    dtype = string if array.dtype == object else as_dtype(array.dtype)
    array = array.copy() if array.flags.writeable else array
    op = create(find("Const"), [], {"value": array, "dtype": dtype}, name, [dtype])
    op.outputs[0]._shape = TensorShape(array.shape)
    return op.outputs[0]


def apply(type: str, /, *inputs: Any, name: str | None = None, **attrs: Any) -> Any:
    """The operation `type` on values: its output, a tuple of several, or the operation itself."""
    definition = find(type)
    types = {key: _types(value) for key, value in attrs.items() if key in definition.type_attrs}
    attrs.update(types)
    unknown = set(attrs) - set(definition.attrs) - definition.type_attrs - definition.counts
    if unknown:
        raise TypeError(f"{type} has no attribute {', '.join(sorted(unknown))}")
    if len(inputs) != len(definition.inputs):
        raise TypeError(f"{type} takes {len(definition.inputs)} inputs, got {len(inputs)}")
    with ExitStack() as stack:
        if name is None or not name.endswith("/"):
            scope = _conversion_scope(definition, inputs, name)
            if scope is not None:
                name = stack.enter_context(get_default_graph().name_scope(scope))
        operands = _operands(definition, inputs, attrs)
    for key, default in definition.attrs.items():
        attrs.setdefault(key, default)
        if attrs[key] is REQUIRED:
            raise TypeError(f"{type} needs the attribute {key}")
    dtypes = [dtype for arg in definition.outputs for dtype in _output_dtypes(arg, attrs)]
    op = create(definition, operands, attrs, name or type, dtypes)
    outputs = op.outputs
    single = len(definition.outputs) == 1 and _single(definition.outputs[0])
    if not definition.outputs:
        return op
    return outputs[0] if single else tuple(outputs)


def _types(value: Any) -> Any:
    return [as_dtype(v) for v in value] if isinstance(value, (list, tuple)) else as_dtype(value)


def _single(arg: Arg) -> bool:
    return arg.count is None and not arg.several


def _conversion_scope(definition: OpDef, inputs: Sequence[Any], name: str | None) -> str | None:
    """Constants made of operands are named inside the operation's own name, as TensorFlow does."""
    for arg, value in zip(definition.inputs, inputs, strict=True):
        values = [value] if _single(arg) else value
        if any(not is_tensor_like(item) for item in values):
            return name or definition.type
    return None


def _operands(definition: OpDef, inputs: Sequence[Any], attrs: dict[str, Any]) -> list[Tensor]:
    """The inputs as tensors; type attributes and counts that they settle go into `attrs`."""
    operands: list[Tensor] = []
    for arg, value in zip(definition.inputs, inputs, strict=True):
        if arg.ref:
            operands.append(_reference(definition, arg, value, attrs))
        elif arg.several:
            tensors = [convert_to_tensor(item) for item in value]
            _settle(attrs, arg, [tensor.dtype.base_dtype for tensor in tensors])
            operands += tensors
        elif arg.count is not None:
            if not isinstance(value, (list, tuple)):
                raise TypeError(
                    f"Expected list for '{arg.name}' argument to '{definition.type}' Op, not "
                    f"{value}."
                )
            attrs[arg.count] = len(value)
            operands += [_operand(definition, arg, item, attrs, inputs, value) for item in value]
        else:
            operands.append(_operand(definition, arg, value, attrs, inputs, [value]))
    return operands


def _settle(attrs: dict[str, Any], arg: Arg, types: list[DType]) -> None:
    if isinstance(arg.type, str):
        attrs[arg.type] = types


def _operand(
    definition: OpDef,
    arg: Arg,
    value: Any,
    attrs: dict[str, Any],
    inputs: Sequence[Any],
    among: Sequence[Any],
) -> Tensor:
    wanted = arg.type if isinstance(arg.type, DType) else attrs.get(arg.type)
    preferred = None
    if wanted is None:
        preferred = _same_type(definition, arg, inputs) or _common_dtype(among)
    name = arg.name or None
    try:
        tensor = convert_to_tensor(
            value, None if is_tensor_like(value) else wanted or preferred, name
        )
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{error} (argument '{arg.name}' of the op '{definition.type}')"
        ) from None
    found = tensor.dtype.base_dtype
    if wanted is not None and found != wanted:
        raise TypeError(_mismatch(definition, arg, found, wanted))
    if isinstance(arg.type, str):
        attrs[arg.type] = found
    return tensor


def _mismatch(definition: OpDef, arg: Arg, found: DType, wanted: DType) -> str:
    others = [a for a in definition.inputs if a.type == arg.type and a is not arg]
    of = f" of argument '{others[0].name}'" if others and isinstance(arg.type, str) else ""
    verb = "does not match type" if of else "does not match expected type of"
    return (
        f"Input '{arg.name}' of '{definition.type}' Op has type {found.name} that {verb} "
        f"{wanted.name}{of}."
    )


def _same_type(definition: OpDef, arg: Arg, inputs: Sequence[Any]) -> DType | None:
    """The type of a tensor among the inputs that must have the type of `arg`."""
    for other, value in zip(definition.inputs, inputs, strict=True):
        if other.type == arg.type and isinstance(other.type, str):
            found = _common_dtype([value])
            if found is not None:
                return found
    return None


def _reference(definition: OpDef, arg: Arg, value: Any, attrs: dict[str, Any]) -> Tensor:
    tensor = value if isinstance(value, Tensor) else convert_to_tensor(value, as_ref=True)
    if not tensor.dtype._is_ref_dtype:
        raise TypeError(f"{definition.type}: '{arg.name}' must be a variable, not {tensor!r}")
    if isinstance(arg.type, str):
        attrs[arg.type] = tensor.dtype.base_dtype
    return tensor


def _output_dtypes(arg: Arg, attrs: Mapping[str, Any]) -> list[DType]:
    if arg.several:
        return [as_dtype(dtype) for dtype in attrs[str(arg.type)]]
    if isinstance(arg.type, str) and arg.type not in attrs:
        raise TypeError(f"the type attribute {arg.type} is not given")
    dtype = as_dtype(attrs[arg.type]) if isinstance(arg.type, str) else arg.type
    if arg.ref:
        dtype = dtype._as_ref
    return [dtype] * (1 if arg.count is None else attrs[arg.count])


def create(
    definition: OpDef,
    inputs: Sequence[Tensor],
    attrs: dict[str, Any],
    name: str,
    dtypes: Sequence[DType],
    control_inputs: Sequence[Operation] = (),
    graph: Graph | None = None,
) -> Operation:
    """A new operation in the graph of its inputs, which must be the default one."""
    from anode.frontends.tensorflow.infer import set_shapes

    graph = graph or get_default_graph()
    inputs = [t if t.graph is graph else _captured(graph, t) for t in inputs]
    with graph._lock:
        control = dict.fromkeys([*control_inputs, *graph._control])
        full = graph._operation_name(name)
        if graph._overrides.get(definition.type):
            attrs["_gradient_op_type"] = graph._overrides[definition.type]
        op = Operation(graph, definition, full, inputs, attrs, list(control), dtypes)
        set_shapes(op)
        graph._add(op)
    return op


def _captured(graph: Graph, tensor: Tensor) -> Tensor:
    """A tensor of another graph: a function's graph takes it as an input, any other must not."""
    capture = getattr(graph, "_capture", None)
    if capture is None:
        raise ValueError(f"{tensor!r} must be from the same graph as the default graph.")
    found = capture(tensor)
    assert isinstance(found, Tensor)
    return found


# scopes


@contextmanager
def name_scope(
    name: str | None, default_name: str | None = None, values: Any = None
) -> Iterator[str]:
    """Prefix the names of operations made inside; gives the scope with a slash at its end."""
    chosen = default_name if name is None else name
    if chosen is None and values is not None:
        raise ValueError("At least one of name (None) and default_name (None) must be provided.")
    with ExitStack() as stack:
        graph = _graph_of(values)
        default = get_default_graph()
        captures = hasattr(default, "_capture")
        if graph is not None and graph is not default and not captures:
            stack.enter_context(graph.as_default())
        yield stack.enter_context(get_default_graph().name_scope(chosen))


export("name_scope", "python.framework.ops.name_scope")(name_scope)


@export("op_scope", "python.framework.ops.op_scope")
@contextmanager
def op_scope(values: Any, name: str | None, default_name: str | None = None) -> Iterator[str]:
    with name_scope(name, default_name, values) as scope:
        yield scope


def _graph_of(values: Any) -> Graph | None:
    for value in values or ():
        if isinstance(value, Tensor):
            return value.graph
        graph = getattr(value, "graph", None)
        if isinstance(graph, Graph):
            return graph
    return None


@export("control_dependencies", "python.framework.ops.control_dependencies")
def control_dependencies(control_inputs: Any) -> Any:
    return get_default_graph().control_dependencies(control_inputs)


@export("device", "python.framework.ops.device")
def device(device_name_or_function: Any) -> Any:
    return get_default_graph().device(device_name_or_function)


@export("colocate_with", "python.framework.ops.colocate_with")
def colocate_with(op: Any, ignore_existing: bool = False) -> Any:
    return get_default_graph().colocate_with(op, ignore_existing)


@export("container")
def container(container_name: str) -> Any:
    return get_default_graph().container(container_name)


@export("add_to_collection", "python.framework.ops.add_to_collection")
def add_to_collection(name: Any, value: Any) -> None:
    get_default_graph().add_to_collection(name, value)


@export("add_to_collections")
def add_to_collections(names: Any, value: Any) -> None:
    get_default_graph().add_to_collections(names, value)


@export("get_collection", "python.framework.ops.get_collection")
def get_collection(key: Any, scope: str | None = None) -> list[Any]:
    return get_default_graph().get_collection(key, scope)


@export("get_collection_ref", "python.framework.ops.get_collection_ref")
def get_collection_ref(key: Any) -> list[Any]:
    return get_default_graph().get_collection_ref(key)


# operations that everything else is built of


@export("placeholder")
def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor whose value is fed; None in `shape`, or as the shape, is any size (or rank)."""
    dtype, shape = as_dtype(dtype), TensorShape(shape)
    attrs = {"dtype": dtype, "shape": shape}
    op = create(find("Placeholder"), [], attrs, name or "Placeholder", [dtype])
    op.outputs[0]._shape = shape
    return op.outputs[0]


@export("placeholder_with_default")
def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Tensor:
    with name_scope(name, "PlaceholderWithDefault") as scope:
        value = convert_to_tensor(input, name="input")
    shape = TensorShape(shape)
    dtype = value.dtype.base_dtype
    op = create(
        find("PlaceholderWithDefault"), [value], {"dtype": dtype, "shape": shape}, scope, [dtype]
    )
    op.outputs[0]._shape = shape
    return op.outputs[0]


@export("no_op")
def no_op(name: str | None = None) -> Operation:
    op: Operation = apply("NoOp", name=name or "NoOp")
    return op


@export("group")
def group(*inputs: Any, **kwargs: Any) -> Operation:
    """An operation that is done when all inputs are."""
    name = kwargs.pop("name", None)
    if kwargs:
        raise ValueError(f"Unknown keyword arguments: {', '.join(kwargs)}")
    ops = _flat_ops(inputs)
    with name_scope(name, "group_deps", ops) as scope, control_dependencies(ops):
        return no_op(scope)


def _flat_ops(inputs: Any) -> list[Any]:
    found: list[Any] = []
    for item in inputs:
        if isinstance(item, (list, tuple)) and not hasattr(item, "_components"):
            found += _flat_ops(item)
        elif isinstance(item, dict):
            found += _flat_ops(item.values())
        elif not hasattr(item, "device") and not hasattr(item, "op"):
            raise TypeError(f"Expected tf.group() expected Tensor objects not None or {item!r}")
        else:
            found.append(item)
    return found


@export("tuple")
def tuple_(tensors: Any, name: str | None = None, control_inputs: Any = None) -> list[Any]:
    """Copies of tensors that are all computed before any of them is used."""
    with name_scope(name, "tuple", tensors):
        waits = [t.op if hasattr(t, "op") else t for t in tensors if t is not None]
        waits += [c.op if isinstance(c, Tensor) else c for c in control_inputs or []]
        if not waits:
            raise ValueError("Must have at least one Tensor")
        gate = group(*waits)
        with get_default_graph().control_dependencies([gate]):
            return [None if t is None else apply("Identity", convert_to_tensor(t)) for t in tensors]


def constant_value(tensor: Any) -> np.ndarray | None:
    """The value of a tensor if it follows from constants and static shapes, else None."""
    from anode.frontends.tensorflow.infer import known_value

    if not isinstance(tensor, Tensor):
        return np.asarray(tensor)
    return known_value(tensor)


def constant_value_as_shape(tensor: Tensor) -> TensorShape:
    """The shape that a vector of sizes says, None for each size that is not known."""
    from anode.frontends.tensorflow.infer import known_sizes

    sizes = known_sizes(tensor)
    return TensorShape(sizes)


export("get_static_value")(constant_value)

__all__ = [
    "Graph",
    "Operation",
    "Tensor",
    "apply",
    "constant",
    "convert_to_tensor",
    "get_default_graph",
    "get_default_session",
    "name_scope",
    "reset_default_graph",
]
