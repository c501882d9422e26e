"""tf.cond, tf.case and tf.while_loop over nested structures, TensorArrays and sparse tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.control import cond_op, while_op
from anode.frontends.tensorflow.core import Operation, Tensor
from anode.frontends.tensorflow.dtypes import bool as bool_
from anode.frontends.tensorflow.graph import (
    apply,
    control_dependencies,
    convert_to_tensor,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, op
from anode.frontends.tensorflow.tensor_shape import TensorShape
from anode.ir.node import Node


def _leaves(structure: Any) -> list[Any]:
    return nest.flatten(structure, expand_composites=True)


def _values(structure: Any) -> Any:
    """A structure whose leaves are tensors, operations or composites of tensors."""

    def value(leaf: Any) -> Any:
        if isinstance(leaf, Operation) or nest.is_composite(leaf) or leaf is None:
            return leaf
        return convert_to_tensor(leaf)

    return nest.map_structure(value, structure)


def _first_of_one(result: Any) -> Any:
    """The element of a list or tuple of one, as tf.cond and tf.while_loop return it."""
    single = isinstance(result, (list, tuple)) and not hasattr(result, "_fields")
    return result[0] if single and len(result) == 1 else result


def _branch_functions(true_fn: Any, false_fn: Any, fn1: Any, fn2: Any) -> tuple[Any, Any]:
    if fn1 is not None and true_fn is not None:
        raise TypeError("cond(): true_fn and fn1 may not be set simultaneously.")
    if fn2 is not None and false_fn is not None:
        raise TypeError("cond(): false_fn and fn2 may not be set simultaneously.")
    functions = (fn1 if true_fn is None else true_fn, fn2 if false_fn is None else false_fn)
    for name, function in zip(("true_fn", "false_fn"), functions, strict=True):
        if function is None:
            raise TypeError(f"cond(): {name} argument required")
        if not callable(function):
            raise TypeError(f"{name} must be callable.")
    return functions


@export("cond", "python.ops.control_flow_ops.cond")
def cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    strict: bool = False,
    name: str | None = None,
    fn1: Callable[[], Any] | None = None,
    fn2: Callable[[], Any] | None = None,
) -> Any:
    """The result of `true_fn` or `false_fn`, chosen by a bool scalar in the run.

    Both return the same nested structure; a list of one is unpacked unless `strict`. Raises
    TypeError for a Python bool, ValueError where structures or types differ.
    """
    functions = _branch_functions(true_fn, false_fn, fn1, fn2)
    if isinstance(pred, bool):
        raise TypeError("pred must not be a Python bool")
    results: list[Any] = []

    def branch(function: Callable[[], Any], argument: str) -> Callable[[], list[Any]]:
        def run() -> list[Any]:
            result = function()
            if result is None:
                raise ValueError(f"{argument} must have a return value.")
            results.append(_values(result))
            return [_none_as_done(leaf) for leaf in _leaves(results[-1])]

        return run

    with name_scope(name, "cond", [pred]) as scope:
        pred = convert_to_tensor(pred, bool_, name="pred")
        try:
            flat = cond_op(
                pred, branch(functions[0], "true_fn"), branch(functions[1], "false_fn"), scope
            )
        except TypeError as error:
            if len(results) == 2:
                _check_branches(*results)
            raise error
    _check_branches(*results)
    packed = _packed_again(results[0], flat)
    return packed if strict else _first_of_one(packed)


def _none_as_done(leaf: Any) -> Any:
    return apply("NoOp") if leaf is None else leaf


def _packed_again(structure: Any, flat: Sequence[Tensor]) -> Any:
    """The tensors in the structure that a body returned."""
    values = [
        None if leaf is None else tensor
        for leaf, tensor in zip(_leaves(structure), flat, strict=True)
    ]
    return nest.pack_sequence_as(structure, values, expand_composites=True)


def _check_branches(yes: Any, no: Any) -> None:
    try:
        nest.assert_same_structure(yes, no, expand_composites=True)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Incompatible return types of true_fn and false_fn: {error}") from None
    for a, b in zip(_leaves(yes), _leaves(no), strict=True):
        if isinstance(a, Tensor) and isinstance(b, Tensor):
            types = a.dtype.base_dtype, b.dtype.base_dtype
            if types[0] != types[1]:
                raise ValueError(
                    "Outputs of true_fn and false_fn must have the same type: "
                    f"{types[0].name}, {types[1].name}"
                )


def _pairs(pred_fn_pairs: Any) -> list[tuple[Any, Callable[[], Any]]]:
    if isinstance(pred_fn_pairs, Mapping):
        return sorted(pred_fn_pairs.items(), key=lambda pair: pair[0].name)
    if not isinstance(pred_fn_pairs, (list, tuple)):
        raise TypeError("fns must be a list, tuple, or dict")
    for pair in pred_fn_pairs:
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise TypeError("Each entry in pred_fn_pairs must be a 2-tuple")
        if not callable(pair[1]):
            raise TypeError(f"fn for pred {pair[0]} must be callable.")
    return list(pred_fn_pairs)


@export("case", "python.ops.control_flow_ops.case")
def case(
    pred_fn_pairs: Any,
    default: Callable[[], Any] | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """The result of the first function whose predicate holds, of `default` if none does.

    With `exclusive` the run fails where several hold; without `default` where none does.
    """
    pairs = _pairs(pred_fn_pairs)
    if not pairs:
        if default is None:
            raise ValueError("case: no functions were given")
        return default()
    with name_scope(name, "case"):
        checks = _case_checks([pred for pred, _ in pairs], default is not None, exclusive)
        last: Callable[[], Any] = pairs.pop()[1] if default is None else default
        with control_dependencies(checks):
            return _chain(pairs, last, strict)


def _chain(pairs: Sequence[tuple[Any, Any]], last: Callable[[], Any], strict: bool) -> Any:
    if not pairs:
        result = _values(last())
        return result if strict else _first_of_one(result)
    (pred, function), rest = pairs[0], pairs[1:]
    return cond(pred, function, lambda: _chain(rest, last, strict), strict, name="cond")


def _case_checks(preds: Sequence[Any], has_default: bool, exclusive: bool) -> list[Any]:
    """Assertions that as many predicates hold as may."""
    if has_default and not exclusive:
        return []
    counts = apply("Cast", apply("Pack", list(preds), axis=0), DstT="int32")
    held = apply("Sum", counts, [0], keep_dims=False)
    checks = []
    if exclusive:
        message = "Input error: exclusive=True: more than 1 conditions evaluated as True"
        checks.append(apply("Assert", apply("LessEqual", held, 1), [message]))
    if not has_default:
        message = "None of conditions evaluated as True"
        checks.append(apply("Assert", apply("GreaterEqual", held, 1), [message]))
    return checks


def _shape_of(leaf: Any, invariant: Any) -> Any:
    if invariant is None:
        return leaf.shape
    return invariant.get_shape() if hasattr(invariant, "get_shape") else TensorShape(invariant)


def _invariants(loop_vars: Any, shape_invariants: Any) -> list[Any]:
    """A shape for each tensor of the loop variables; a TensorArray's is free."""
    given = (
        [None] * len(nest.flatten(loop_vars))
        if shape_invariants is None
        else nest.flatten_up_to(loop_vars, shape_invariants, check_types=False)
    )
    shapes: list[Any] = []
    for leaf, invariant in zip(nest.flatten(loop_vars), given, strict=True):
        if hasattr(leaf, "loop_shapes"):
            shapes += leaf.loop_shapes()
        elif nest.is_composite(leaf):
            shapes += [TensorShape([None] * (p.shape.rank or 0)) for p in leaf.composite_parts()]
        else:
            shapes.append(_shape_of(leaf, invariant))
    return shapes


def _check_invariants(given: Sequence[Any], new: Sequence[Any], shapes: Sequence[Any]) -> None:
    for before, after, shape in zip(given, new, shapes, strict=True):
        if not TensorShape(shape).is_compatible_with(after.shape):
            raise ValueError(
                f"The shape for {before.name} is not an invariant for the loop. It enters the loop "
                f"with shape {shape}, but has shape {after.shape} after one iteration. Provide "
                "shape invariants using either the `shape_invariants` argument of tf.while_loop or "
                "set_shape() on the loop variables."
            )


@export("while_loop", "python.ops.control_flow_ops.while_loop")
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
    maximum_iterations: Any = None,
    return_same_structure: bool = False,
) -> Any:
    """Repeat `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` holds; their last values.

    `parallel_iterations` and `swap_memory` are about how TensorFlow runs a loop, not what it gives.
    """
    if not callable(cond) or not callable(body):
        raise TypeError(f"{'body' if callable(cond) else 'cond'} must be callable.")
    if parallel_iterations < 1:
        raise TypeError("parallel_iterations must be a positive integer.")
    if not loop_vars and loop_vars != 0:
        raise ValueError("No loop variables provided")
    if not nest.is_sequence(loop_vars):
        loop_vars = [loop_vars]
    with name_scope(name, "while") as scope:
        start = _values(loop_vars)
        flat, last = _looped(cond, body, start, shape_invariants, maximum_iterations, scope)
    if not back_prop:
        flat = [apply("StopGradient", tensor) for tensor in flat]
    packed = nest.pack_sequence_as(last, flat, expand_composites=True)
    packed = nest.pack_sequence_as(loop_vars, nest.flatten(packed))
    return packed if return_same_structure else _first_of_one(packed)


def _looped(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    start: Any,
    shape_invariants: Any,
    maximum_iterations: Any,
    name: str,
) -> tuple[list[Tensor], Any]:
    """The loop on flat tensors, and the structure that the body gave, TensorArrays among it."""
    flat = _leaves(start)
    shapes = _invariants(start, shape_invariants)
    last: list[Any] = []

    def packed(tensors: Sequence[Tensor]) -> Any:
        return nest.pack_sequence_as(start, list(tensors), expand_composites=True)

    def test(*tensors: Tensor) -> Any:
        return convert_to_tensor(cond(*_arguments(packed(tensors))))

    def step(*tensors: Tensor) -> list[Tensor]:
        result = body(*_arguments(packed(tensors)))
        if not nest.is_sequence(result) or (len(start) == 1 and not _alike(result, start)):
            result = [result]
        result = _values(result)
        nest.assert_same_structure(list(start), list(result), check_types=False)
        last.append(nest.pack_sequence_as(start, nest.flatten(result)))
        new = _leaves(result)
        _check_invariants(flat, new, shapes)
        return new

    found = while_op(test, step, flat, shapes, maximum_iterations, name)
    return found, last[-1]


def _arguments(packed: Any) -> Any:
    return packed.values() if isinstance(packed, Mapping) else packed


def _alike(result: Any, start: Any) -> bool:
    try:
        nest.assert_same_structure(list(start), list(result), check_types=False)
    except (TypeError, ValueError):
        return False
    return True


@export("python.ops.control_flow_ops.with_dependencies", "contrib.framework.with_dependencies")
def with_dependencies(dependencies: Any, output_tensor: Any, name: str | None = None) -> Any:
    """`output_tensor`, after `dependencies` have run."""
    scope = name_scope(name, "control_dependency", [output_tensor])
    with scope as inner, control_dependencies(dependencies):
        return apply("Identity", output_tensor, name=inner)


# dataflow's own branches: both sides are computed, and `merge` keeps the one that is alive


@op("Switch", "data:T pred:bool -> T T", shape="same")
def _(data: Node, pred: Node) -> tuple[Node, Node]:
    return data, data


@export("python.ops.control_flow_ops.switch")
def switch(data: Any, pred: Any, dtype: Any = None, name: str | None = None) -> tuple[Any, Any]:
    """`data` twice: for what follows if `pred` is false, and if it is true; see `merge`."""
    false, true = apply("Switch", convert_to_tensor(data, dtype), pred, name=name)
    return false, true


def _alive(tensor: Tensor) -> Tensor | None:
    """Whether every switch that a tensor comes from leads to it; None without switches."""
    alive: Tensor | None = None
    seen: set[Tensor] = set()
    stack = [tensor]
    while stack:
        found = stack.pop()
        if found in seen:
            continue
        seen.add(found)
        stack += found.op.inputs
        if found.op.type == "Switch":
            pred = found.op.inputs[1]
            holds = pred if found.value_index == 1 else apply("LogicalNot", pred)
            alive = holds if alive is None else apply("LogicalAnd", alive, holds)
    return alive


@export("python.ops.control_flow_ops.merge")
def merge(inputs: Sequence[Any], name: str | None = None) -> tuple[Any, Any]:
    """The input that comes from the taken side of its switches, and its index.

    Unlike TensorFlow's, the other sides are computed too: they must have no effects.
    """
    with name_scope(name, "Merge", inputs):
        tensors = [convert_to_tensor(value) for value in inputs]
        output, index = tensors[-1], convert_to_tensor(len(tensors) - 1)
        for i, tensor in reversed(list(enumerate(tensors[:-1]))):
            alive = _alive(tensor)
            if alive is None:
                return tensor, convert_to_tensor(i)
            output = apply("SelectV2", alive, tensor, output)
            index = apply("SelectV2", alive, i, index)
    return output, index
