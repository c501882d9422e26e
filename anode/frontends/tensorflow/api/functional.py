"""tf.map_fn, tf.scan, tf.foldl and tf.foldr: one compiled loop over the leading axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.control import scan_op
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import as_dtype
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export

Function = Callable[..., Any]


def _tensors(values: Any) -> Any:
    return nest.map_structure(convert_to_tensor, values)


def _check(fn: Any, parallel_iterations: Any) -> None:
    if not callable(fn):
        raise TypeError("fn must be callable.")
    if parallel_iterations is not None and parallel_iterations < 1:
        raise TypeError("parallel_iterations must be a positive integer.")


def _stopped(structure: Any, back_prop: bool) -> Any:
    if back_prop:
        return structure
    return nest.map_structure(lambda t: apply("StopGradient", t), structure)


@export("map_fn", "python.ops.functional_ops.map_fn", "python.functional_ops.map_fn")
def map_fn(
    fn: Function,
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
) -> Any:
    """`fn` of every slice along the leading axis of `elems`, stacked.

    `dtype` gives the structure and types of what `fn` returns, where they differ from `elems`'.
    """
    _check(fn, parallel_iterations)
    with name_scope(name, "map", nest.flatten(elems)) as scope:
        elems = _tensors(elems)
        like = elems if dtype is None else dtype

        def step(_: list[Tensor], slices: list[Tensor]) -> tuple[list[Any], list[Any]]:
            result = fn(nest.pack_sequence_as(elems, slices))
            return [], _typed(result, like)

        _, mapped = scan_op(step, [], nest.flatten(elems), name=scope)
        return _stopped(nest.pack_sequence_as(like, mapped), back_prop)


def _typed(result: Any, like: Any) -> list[Any]:
    """The leaves of a result of `map_fn`; their types must be those of `like`."""
    nest.assert_same_structure(like, result, check_types=False)
    found = []
    for leaf, expected in zip(nest.flatten(result), nest.flatten(like), strict=True):
        wanted = as_dtype(getattr(expected, "dtype", expected)).base_dtype
        if not isinstance(leaf, Tensor):
            leaf = convert_to_tensor(leaf, None if hasattr(leaf, "dtype") else wanted)
        if leaf.dtype.base_dtype != wanted:
            raise TypeError(
                f"map_fn: fn returns {leaf.dtype.base_dtype.name}, but dtype says {wanted.name}"
            )
        found.append(leaf)
    return found


def _folding(
    fn: Function, elems: Any, initializer: Any, reverse: bool, each: bool, name: str
) -> tuple[Any, Any, Any]:
    """The first carry, the last, and (with `each`) the carries after every step."""
    elems = _tensors(elems)
    if initializer is None:
        at, rest = (-1, slice(None, -1)) if reverse else (0, slice(1, None))
        first = nest.map_structure(lambda t: t[at], elems)
        elems = nest.map_structure(lambda t: t[rest], elems)
    else:
        first = _tensors(initializer)

    def step(carry: list[Tensor], slices: list[Tensor]) -> tuple[list[Any], list[Any]]:
        result = fn(nest.pack_sequence_as(first, carry), nest.pack_sequence_as(elems, slices))
        nest.assert_same_structure(first, result, check_types=False)
        flat = [
            convert_to_tensor(new, None if hasattr(new, "dtype") else old.dtype.base_dtype)
            for new, old in zip(nest.flatten(result), carry, strict=True)
        ]
        return flat, flat if each else []

    last, steps = scan_op(step, nest.flatten(first), nest.flatten(elems), None, reverse, name)
    packed = nest.pack_sequence_as(first, steps) if each else None
    return first, nest.pack_sequence_as(first, last), packed


@export("scan", "python.ops.functional_ops.scan")
def scan(
    fn: Function,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """All carries of `carry = fn(carry, slice)` over the leading axis of `elems`, stacked.

    Without `initializer` the first slice is the first carry, and part of the result.
    """
    _check(fn, parallel_iterations)
    with name_scope(name, "scan", nest.flatten(elems)) as scope:
        first, _, steps = _folding(fn, elems, initializer, reverse, True, scope)
        if initializer is None:
            steps = nest.map_structure(lambda one, rest: _joined(one, rest, reverse), first, steps)
        return _stopped(steps, back_prop)


def _joined(first: Any, rest: Any, reverse: bool) -> Any:
    head = apply("ExpandDims", first, 0)
    return apply("ConcatV2", [rest, head] if reverse else [head, rest], 0, name="concat")


def _fold(
    fn: Function,
    elems: Any,
    initializer: Any,
    parallel_iterations: int,
    back_prop: bool,
    reverse: bool,
    scope: str,
) -> Any:
    _check(fn, parallel_iterations)
    _, last, _ = _folding(fn, elems, initializer, reverse, False, scope)
    return _stopped(last, back_prop)


@export("foldl", "python.ops.functional_ops.foldl")
def foldl(
    fn: Function,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last carry of `carry = fn(carry, slice)` from the first slice on."""
    with name_scope(name, "foldl", nest.flatten(elems)) as scope:
        return _fold(fn, elems, initializer, parallel_iterations, back_prop, False, scope)


@export("foldr", "python.ops.functional_ops.foldr")
def foldr(
    fn: Function,
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """The last carry of `carry = fn(carry, slice)` from the last slice on."""
    with name_scope(name, "foldr", nest.flatten(elems)) as scope:
        return _fold(fn, elems, initializer, parallel_iterations, back_prop, True, scope)
