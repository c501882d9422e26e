"""tf.contrib.graph_editor: copies of operations, with other inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anode.frontends.tensorflow.api.graph_editor import (
    EDIT,
    SubGraphView,
    _edit,
    get_backward_walk_ops,
    get_forward_walk_ops,
    make_list_of_t,
    make_view,
)
from anode.frontends.tensorflow.core import Graph, Operation, Tensor
from anode.frontends.tensorflow.graph import convert_to_tensor, create, placeholder
from anode.frontends.tensorflow.opdef import export


@_edit("transform", "TransformerInfo")
@dataclass(eq=False)
class TransformerInfo:
    """What became of the operations and tensors of a copy."""

    graph: Graph
    graph_: Graph
    scope: str
    scope_: str
    _transformed_ops: dict[Operation, Operation] = field(default_factory=dict)
    _transformed_ts: dict[Tensor, Tensor] = field(default_factory=dict)

    def new_name(self, name: str) -> str:
        """The name of a copy; ValueError for a name outside the scope that is copied."""
        if not name.startswith(self.scope):
            raise ValueError(f"{name} does not belong to source scope: {self.scope}.")
        return self.scope_ + name.removeprefix(self.scope)

    def transformed(self, original: Any, missing_fn: Any = None) -> Any:
        """The copy of an operation, a tensor, or of those in a list; None where there is none."""
        if isinstance(original, (list, tuple)):
            return [self.transformed(item, missing_fn) for item in original]
        known: Mapping[Any, Any] = {**self._transformed_ops, **self._transformed_ts}
        found = known.get(original)
        return missing_fn(original) if found is None and missing_fn is not None else found

    def original(self, transformed: Any, missing_fn: Any = None) -> Any:
        """What something is the copy of; None where it is none."""
        pairs = [*self._transformed_ops.items(), *self._transformed_ts.items()]
        found = next((before for before, after in pairs if after is transformed), None)
        return missing_fn(transformed) if found is None and missing_fn is not None else found

    def __str__(self) -> str:
        names = (f"  {a.name} -> {b.name}" for a, b in self._transformed_ops.items())
        return "\n".join(["Transformer result info:", *names])


@export(EDIT + "transform.assign_renamed_collections_handler")
def assign_renamed_collections_handler(info: Any, elem: Any, elem_: Any) -> None:
    """Add a copy to the collections of its original, renamed; TensorFlow's own keep their names."""
    from anode.frontends.tensorflow.api.graph_keys import GraphKeys

    own = {value for key, value in vars(GraphKeys).items() if not key.startswith("_")}
    for name in info.graph.get_all_collection_keys():
        if any(held is elem for held in info.graph.get_collection_ref(name)):
            info.graph_.add_to_collection(name if name in own else info.new_name(name), elem_)


@_edit("transform", "copy")
def copy(
    sgv: Any,
    dst_graph: Any = None,
    dst_scope: str = "",
    src_scope: str = "",
    reuse_dst_scope: bool = False,
) -> tuple[SubGraphView, TransformerInfo]:
    """Copies of operations, on placeholders for what goes in."""
    return _copied(sgv, {}, dst_graph, dst_scope, src_scope, reuse_dst_scope)


@_edit("transform", "copy_with_input_replacements")
def copy_with_input_replacements(
    sgv: Any,
    replacement_ts: Any,
    dst_graph: Any = None,
    dst_scope: str = "",
    src_scope: str = "",
    reuse_dst_scope: bool = False,
) -> tuple[SubGraphView, TransformerInfo]:
    """Copies of operations that read `replacement_ts[t]` instead of an input `t`."""
    replaced = {_tensor(t): convert_to_tensor(by) for t, by in dict(replacement_ts).items()}
    return _copied(sgv, replaced, dst_graph, dst_scope, src_scope, reuse_dst_scope, keep=True)


def _tensor(thing: Any) -> Tensor:
    return make_list_of_t(thing)[0]


def _copied(
    sgv: Any,
    replaced: Mapping[Tensor, Tensor],
    dst_graph: Any,
    dst_scope: str,
    src_scope: str,
    reuse_dst_scope: bool,
    keep: bool = False,
) -> tuple[SubGraphView, TransformerInfo]:
    view = make_view(sgv)
    target = view.graph if dst_graph is None else dst_graph
    if not isinstance(target, Graph):
        raise TypeError(f"Expected a tf.Graph, got: {type(target)}")
    with target.as_default(), target.control_dependencies(None):
        prefix = dst_scope and (dst_scope if reuse_dst_scope else target.unique_name(dst_scope))
        source = f"{src_scope.removesuffix('/')}/" if src_scope else ""
        scope = f"{prefix.removesuffix('/')}/" if prefix else ""
        info = TransformerInfo(view.graph, target, source, scope)
        for tensor in view.inputs:
            info._transformed_ts[tensor] = _entry(tensor, replaced, target, keep, scope)
        for op in _in_order(view.ops):
            _copy_one(info, op)
    return _view_of(info, view), info


def _view_of(info: TransformerInfo, view: SubGraphView) -> SubGraphView:
    copied = SubGraphView([info._transformed_ops[op] for op in view.ops])
    copied._inputs = [info._transformed_ts[t] for t in view.inputs]
    copied._outputs = [info._transformed_ts[t] for t in view.outputs]
    return copied


def _entry(
    tensor: Tensor, replaced: Mapping[Tensor, Tensor], target: Graph, keep: bool, scope: str
) -> Tensor:
    """What the copies read instead of a tensor that goes in."""
    if tensor in replaced:
        return replaced[tensor]
    if keep and tensor.graph is target:
        return tensor
    name = f"{scope}geph__{tensor.op.name.replace('/', '_')}_{tensor.value_index}"
    with target.name_scope(None):
        return placeholder(tensor.dtype.base_dtype, tensor.shape, name=name)


def _in_order(ops: list[Operation]) -> list[Operation]:
    """Producers first; edited graphs are not in the order of creation."""
    group, found = set(ops), dict[Operation, None]()

    def visit(op: Operation) -> None:
        stack = [(op, iter([t.op for t in op.inputs] + op.control_inputs))]
        while stack:
            top, befores = stack[-1]
            before = next((b for b in befores if b in group and b not in found), None)
            if before is None:
                found[top] = None
                stack.pop()
            else:
                stack.append((before, iter([t.op for t in before.inputs] + before.control_inputs)))

    for op in ops:
        if op not in found:
            visit(op)
    return list(found)


def _copy_one(info: TransformerInfo, op: Operation) -> None:
    inputs = [info._transformed_ts.get(t, t) for t in op.inputs]
    before = [info._transformed_ops.get(o, o) for o in op.control_inputs]
    if info.graph_ is not info.graph:
        before = [o for o in before if o.graph is info.graph_]
    dtypes = [t.dtype for t in op.outputs]
    with info.graph_.name_scope(None):
        name = info.new_name(op.name)
        made = create(op._definition, inputs, dict(op._attrs), name, dtypes, before)
    info._transformed_ops[op] = made
    for old, new in zip(op.outputs, made.outputs, strict=True):
        new._shape = old._shape
        info._transformed_ts[old] = new


@_edit("transform", "graph_replace")
def graph_replace(
    target_ts: Any,
    replacement_ts: Any,
    dst_scope: str = "",
    src_scope: str = "",
    reuse_dst_scope: bool = False,
) -> Any:
    """Tensors computed anew from other ones: `replacement_ts[t]` stands for `t`.

    ValueError where the targets do not depend on what is replaced.
    """
    replaced = {_tensor(t): convert_to_tensor(by) for t, by in dict(replacement_ts).items()}
    targets = make_list_of_t(target_ts)
    behind = get_backward_walk_ops([t.op for t in targets], stop_at_ts=list(replaced))
    ahead = set(get_forward_walk_ops(list(replaced), within_ops=behind)) if replaced else set()
    ops = [op for op in behind if op in ahead]
    if not ops:
        raise ValueError("Targets and replacements are not connected!")
    _, info = copy_with_input_replacements(
        ops, replaced, None, dst_scope, src_scope, reuse_dst_scope
    )
    results = [info._transformed_ts.get(t, t) for t in targets]
    return results if isinstance(target_ts, (list, tuple)) else results[0]
