"""tf.contrib.graph_editor: choose, copy and rewire the operations of a graph that is built."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from anode.frontends.tensorflow.core import Graph, Operation, Tensor
from anode.frontends.tensorflow.opdef import export

EDIT = "contrib.graph_editor."


def _edit(module: str, *names: str) -> Callable[[Any], Any]:
    """Serve at tf.contrib.graph_editor, and in the file of it where TensorFlow has the thing."""
    return export(*(f"{EDIT}{space}{name}" for name in names for space in ("", f"{module}.")))


# --- lists of operations and tensors -------------------------------------------------------------


def _flat(things: Any) -> Iterator[Any]:
    if isinstance(things, SubGraphView):
        yield from things.ops
    elif isinstance(things, Graph):
        yield from things.get_operations()
    elif isinstance(things, (Operation, Tensor, str, re.Pattern)) or not _iterable(things):
        yield things
    else:
        for thing in things:
            yield from _flat(thing)


def _iterable(thing: Any) -> bool:
    return isinstance(thing, Iterable) and not hasattr(thing, "op")


@_edit("util", "make_list_of_op")
def make_list_of_op(
    ops: Any, check_graph: bool = True, allow_graph: bool = True, ignore_ts: bool = False
) -> list[Operation]:
    """The operations in nested lists, a view or a graph; TypeError for what is none."""
    if isinstance(ops, Graph) and not allow_graph:
        raise TypeError("allow_graph is False: cannot convert a tf.Graph.")
    return list(_typed(ops, Operation, Tensor if ignore_ts else None, check_graph))


@_edit("util", "make_list_of_t")
def make_list_of_t(ts: Any, check_graph: bool = True, ignore_ops: bool = False) -> list[Tensor]:
    """The tensors in nested lists; TypeError for what is none."""
    if isinstance(ts, Graph):
        return [t for op in ts.get_operations() for t in op.outputs]
    return list(_typed(ts, Tensor, Operation if ignore_ops else None, check_graph))


def _typed(things: Any, kind: type, ignored: type | None, check_graph: bool) -> Iterator[Any]:
    graph: Any = None
    for thing in _flat(things):
        if kind is Tensor and hasattr(thing, "_as_graph_element"):
            thing = thing._as_graph_element()
        if ignored is not None and isinstance(thing, ignored):
            continue
        if not isinstance(thing, kind):
            raise TypeError(f"Expected a type in ({kind}), got: {type(thing)}")
        found: Any = thing
        if check_graph and graph is not None and found.graph is not graph:
            raise ValueError(f"{thing!r} does not belong to the graph of the others")
        graph = found.graph
        yield found


def _unique(things: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(things))


# --- choosing -------------------------------------------------------------------------------------


@_edit("select", "can_be_regex")
def can_be_regex(obj: Any) -> bool:
    return isinstance(obj, (str, re.Pattern))


@_edit("select", "make_regex")
def make_regex(obj: Any) -> re.Pattern[str]:
    """A compiled pattern; ValueError for what is none."""
    if not can_be_regex(obj):
        raise ValueError(f"Expected a string or a regex, got: {type(obj)}")
    return re.compile(obj)


@_edit("select", "filter_ts")
def filter_ts(ops: Any, positive_filter: Any) -> list[Tensor]:
    """The inputs, then the outputs of operations that a function, or True, accepts."""
    ops = make_list_of_op(ops)
    tensors = _unique([*(t for o in ops for t in o.inputs), *(t for o in ops for t in o.outputs)])
    return [t for t in tensors if positive_filter is True or positive_filter(t)]


@_edit("select", "filter_ts_from_regex")
def filter_ts_from_regex(ops: Any, regex: Any) -> list[Tensor]:
    """The inputs and outputs of operations whose names a pattern finds."""
    found = make_regex(regex)
    return filter_ts(ops, lambda t: found.search(t.name) is not None)


@_edit("select", "filter_ops")
def filter_ops(ops: Any, positive_filter: Any) -> list[Operation]:
    """The operations that a function, or True, accepts."""
    return [op for op in make_list_of_op(ops) if positive_filter is True or positive_filter(op)]


@_edit("select", "filter_ops_from_regex")
def filter_ops_from_regex(ops: Any, regex: Any) -> list[Operation]:
    """The operations whose names a pattern finds."""
    found = make_regex(regex)
    return filter_ops(ops, lambda op: found.search(op.name) is not None)


@_edit("select", "get_name_scope_ops")
def get_name_scope_ops(ops: Any, scope: str) -> list[Operation]:
    """The operations below a name scope, and the one of that name."""
    inside = re.escape(scope.removesuffix("/"))
    return filter_ops_from_regex(ops, f"^{inside}(/.*)?$" if scope else "")


@_edit("select", "select_ops")
def select_ops(
    *args: Any,
    graph: Any = None,
    positive_filter: Any = None,
    restrict_ops_regex: bool = False,
) -> list[Operation]:
    """Operations by patterns of names in `graph`, and those in lists; tensors are left out."""
    return _selected(args, graph, positive_filter, restrict_ops_regex, "(?#ops)", Operation)


@_edit("select", "select_ts")
def select_ts(
    *args: Any, graph: Any = None, positive_filter: Any = None, restrict_ts_regex: bool = False
) -> list[Tensor]:
    """Tensors by patterns of names in `graph`, and those in lists; operations are left out."""
    return _selected(args, graph, positive_filter, restrict_ts_regex, "(?#ts)", Tensor)


def _selected(
    args: tuple[Any, ...], graph: Any, accepts: Any, restrict: bool, mark: str, kind: type
) -> list[Any]:
    found: list[Any] = []
    listed = make_list_of_op if kind is Operation else make_list_of_t
    for arg in args:
        if can_be_regex(arg):
            if graph is None:
                raise ValueError("Use the keyword argument 'graph' to use regex.")
            regex = make_regex(arg)
            text = regex.pattern
            if text.startswith(mark) or not (restrict or text.startswith(("(?#ops)", "(?#ts)"))):
                found += [x for x in listed(graph) if regex.search(x.name)]
        else:
            others = Tensor if kind is Operation else Operation
            found += _typed(arg, kind, others, True)
    return [x for x in _unique(found) if accepts in (None, True) or accepts(x)]


# --- walking --------------------------------------------------------------------------------------


def _walk(
    seeds: list[Operation],
    following: Callable[[Operation], Iterable[Operation]],
    inclusive: bool,
    within_ops: Any,
    within_ops_fn: Any,
) -> list[Operation]:
    """What is reached from operations, nearest first."""
    limit = None if within_ops is None else set(make_list_of_op(within_ops, allow_graph=False))

    def within(op: Operation) -> bool:
        inside = limit is None or op in limit
        return inside and (within_ops_fn is None or within_ops_fn(op))

    seeds = [op for op in seeds if within(op)]
    found, wave = _unique(seeds), _unique(seeds)
    known = set(found)
    while wave:
        wave = _unique(o for op in wave for o in following(op) if o not in known and within(o))
        found += wave
        known |= set(wave)
    return found if inclusive else [op for op in found if op not in set(seeds)]


def _seeds(things: Any, end: str) -> list[Operation]:
    """Operations to start from; of a tensor its operation, or those that consume it."""
    flat = list(_flat(things))
    if not flat or not isinstance(flat[0], Tensor):
        return make_list_of_op(flat, allow_graph=False)
    tensors = make_list_of_t(flat)
    if end == "generating":
        return _unique(t.op for t in tensors)
    return _unique(op for t in tensors for op in consumers(t))


def consumers(tensor: Tensor) -> list[Operation]:
    """The operations that have a tensor as an input now."""
    return _unique(op for op in tensor.consumers() if any(t is tensor for t in op.inputs))


@_edit("util", "ControlOutputs")
class ControlOutputs:
    """Which operations of a graph wait for which: `get(op)` are those that wait for `op`."""

    def __init__(self, graph: Any) -> None:
        if not isinstance(graph, Graph):
            raise TypeError(f"Expected a tf.Graph, got: {type(graph)}")
        self._graph = graph
        self._waiting: dict[Operation, list[Operation]] = {}
        self.update()

    def update(self) -> ControlOutputs:
        """Read the graph again."""
        self._waiting = {}
        for op in self._graph.get_operations():
            for before in op.control_inputs:
                self._waiting.setdefault(before, []).append(op)
        return self

    def get_all(self) -> dict[Operation, list[Operation]]:
        return self._waiting

    def get(self, op: Operation) -> Any:
        return self._waiting.get(op, ())

    @property
    def graph(self) -> Graph:
        return self._graph


@_edit("select", "check_cios")
def check_cios(
    control_inputs: bool = False, control_outputs: Any = None, control_ios: Any = None
) -> tuple[bool, Any]:
    """Whether control inputs count, and the ControlOutputs: `control_ios` gives both."""
    if control_ios is not None:
        if not isinstance(control_ios, ControlOutputs):
            raise TypeError(f"Expected a util.ControlOutputs, got: {type(control_ios)}")
        if control_outputs is not None:
            raise ValueError("control_outputs should be None when using control_ios.")
        return True, control_ios
    return control_inputs, control_outputs


@_edit("select", "get_forward_walk_ops")
def get_forward_walk_ops(
    seed_ops: Any,
    inclusive: bool = True,
    within_ops: Any = None,
    within_ops_fn: Any = None,
    stop_at_ts: Any = (),
    control_outputs: Any = None,
) -> list[Operation]:
    """What depends on `seed_ops`; with ControlOutputs also by control dependencies."""
    _, waiting = check_cios(False, control_outputs)
    stops = frozenset(make_list_of_t(stop_at_ts))

    def following(op: Operation) -> list[Operation]:
        found = [o for t in op.outputs if t not in stops for o in consumers(t)]
        return found if waiting is None else [*found, *waiting.get(op)]

    seeds = _seeds(seed_ops, "consuming")
    return _walk(seeds, following, inclusive, within_ops, within_ops_fn)


@_edit("select", "get_backward_walk_ops")
def get_backward_walk_ops(
    seed_ops: Any,
    inclusive: bool = True,
    within_ops: Any = None,
    within_ops_fn: Any = None,
    stop_at_ts: Any = (),
    control_inputs: bool = False,
) -> list[Operation]:
    """What `seed_ops` depend on; with `control_inputs` also by control dependencies."""
    stops = frozenset(make_list_of_t(stop_at_ts))

    def following(op: Operation) -> list[Operation]:
        found = [t.op for t in op.inputs if t not in stops]
        return [*found, *op.control_inputs] if control_inputs else found

    seeds = _seeds(seed_ops, "generating")
    return _walk(seeds, following, inclusive, within_ops, within_ops_fn)


def _both_walks(
    forward: Any, backward: Any, inclusive: tuple[bool, bool], within: Any, cios: tuple[Any, ...]
) -> tuple[list[Operation], list[Operation]]:
    control_inputs, control_outputs = check_cios(*cios)
    ahead = get_forward_walk_ops(forward, inclusive[0], *within, control_outputs=control_outputs)
    behind = get_backward_walk_ops(backward, inclusive[1], *within, control_inputs=control_inputs)
    return ahead, behind


@_edit("select", "get_walks_intersection_ops")
def get_walks_intersection_ops(
    forward_seed_ops: Any,
    backward_seed_ops: Any,
    forward_inclusive: bool = True,
    backward_inclusive: bool = True,
    within_ops: Any = None,
    within_ops_fn: Any = None,
    control_inputs: bool = False,
    control_outputs: Any = None,
    control_ios: Any = None,
) -> list[Operation]:
    """What lies between: depends on the one operations, and the others on it."""
    cios = control_inputs, control_outputs, control_ios
    inclusive = forward_inclusive, backward_inclusive
    within = within_ops, within_ops_fn
    ahead, behind = _both_walks(forward_seed_ops, backward_seed_ops, inclusive, within, cios)
    return [op for op in ahead if op in set(behind)]


@_edit("select", "get_walks_union_ops")
def get_walks_union_ops(
    forward_seed_ops: Any,
    backward_seed_ops: Any,
    forward_inclusive: bool = True,
    backward_inclusive: bool = True,
    within_ops: Any = None,
    within_ops_fn: Any = None,
    control_inputs: bool = False,
    control_outputs: Any = None,
    control_ios: Any = None,
) -> list[Operation]:
    """What depends on the one operations, or the others on it."""
    cios = control_inputs, control_outputs, control_ios
    inclusive = forward_inclusive, backward_inclusive
    within = within_ops, within_ops_fn
    ahead, behind = _both_walks(forward_seed_ops, backward_seed_ops, inclusive, within, cios)
    return _unique([*ahead, *behind])


# --- views ----------------------------------------------------------------------------------------


@_edit("select", "compute_boundary_ts")
def compute_boundary_ts(ops: Any) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """The tensors that go into a group of operations, those that leave it, those inside only."""
    ops = make_list_of_op(ops)
    group = set(ops)
    taken = _unique(t for op in ops for t in op.inputs)
    made = _unique(t for op in ops for t in op.outputs)
    inputs = [t for t in taken if t.op not in group]
    inside = [t for t in made if t in set(taken)]
    leaving = [t for t in inside if any(op not in group for op in consumers(t))]
    outputs = [t for t in made if t not in set(inside) or t in set(leaving)]
    return inputs, outputs, [t for t in inside if t not in set(leaving)]


@_edit("subgraph", "SubGraphView")
class SubGraphView:
    """Some operations of a graph, with the tensors that go in and come out."""

    def __init__(self, inside_ops: Any = (), passthrough_ts: Any = ()) -> None:
        self._ops = _unique(make_list_of_op(inside_ops))
        passed = make_list_of_t(passthrough_ts)
        inputs, outputs, _ = compute_boundary_ts(self._ops)
        self._inputs = [*inputs, *(t for t in passed if t not in inputs)]
        self._outputs = [*outputs, *(t for t in passed if t not in outputs)]

    @property
    def ops(self) -> list[Operation]:
        return self._ops

    @property
    def inputs(self) -> list[Tensor]:
        return self._inputs

    @property
    def outputs(self) -> list[Tensor]:
        return self._outputs

    @property
    def graph(self) -> Any:
        things = [*self._ops, *self._inputs]
        return things[0].graph if things else None

    def op(self, op_id: int) -> Operation:
        return self._ops[op_id]

    def find_op_by_name(self, op_name: str) -> Operation:
        """The operation of that name; AssertionError where the view has none."""
        found = next((op for op in self._ops if op.name == op_name), None)
        if found is None:
            raise AssertionError(f"Operation not found: {op_name}")
        return found

    def is_passthrough(self, t: Tensor) -> bool:
        return t in self._inputs and t in self._outputs

    def copy(self) -> SubGraphView:
        return SubGraphView(self._ops, [t for t in self._inputs if self.is_passthrough(t)])

    def __enter__(self) -> SubGraphView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __bool__(self) -> bool:
        return self.graph is not None

    def __str__(self) -> str:
        def lines(title: str, things: list[Any]) -> list[str]:
            return [f"** {title}[{len(things)}]:", *(f"  {thing.name}" for thing in things)]

        parts = [f"SubGraphView (graphid={id(self.graph)}):", *lines("ops", self._ops)]
        return "\n".join(
            [*parts, *lines("inputs", self._inputs), *lines("outputs", self._outputs), ""]
        )


@_edit("subgraph", "make_view", "sgv")
def make_view(*args: Any, graph: Any = None, **kwargs: Any) -> SubGraphView:
    """The view of operations chosen as by `select_ops`; tensors among them pass through."""
    if len(args) == 1 and isinstance(args[0], SubGraphView):
        return args[0]
    return SubGraphView(
        select_ops(*args, graph=graph, **kwargs),
        select_ts(*(a for a in args if not can_be_regex(a))),
    )


@_edit("subgraph", "make_view_from_scope", "sgv_scope")
def make_view_from_scope(scope: str, graph: Any) -> SubGraphView:
    """The view of what lies below a name scope."""
    return SubGraphView(get_name_scope_ops(graph, scope))


# --- rewiring -------------------------------------------------------------------------------------


def _modified(can_modify: Any, cannot_modify: Any) -> Callable[[Operation], bool]:
    allowed = None if can_modify is None else set(make_list_of_op(can_modify))
    barred = set() if cannot_modify is None else set(make_list_of_op(cannot_modify))
    return lambda op: (allowed is None or op in allowed) and op not in barred


def _pairs(ts0: Any, ts1: Any) -> list[tuple[Tensor, Tensor]]:
    ts0, ts1 = make_list_of_t(ts0), make_list_of_t(ts1)
    if len(ts0) != len(ts1):
        raise ValueError(f"ts0 and ts1 have different sizes: {len(ts0)} != {len(ts1)}")
    for a, b in zip(ts0, ts1, strict=True):
        if a.dtype.base_dtype != b.dtype.base_dtype:
            raise ValueError(f"Dtypes {a.dtype} and {b.dtype} are not compatible.")
        if not a.shape.is_compatible_with(b.shape):
            raise ValueError(f"Shapes {a.shape} and {b.shape} are not compatible.")
    return list(zip(ts0, ts1, strict=True))


def _uses(tensor: Tensor, modified: Callable[[Operation], bool]) -> list[tuple[Operation, int]]:
    """The inputs of operations that may be changed which are this tensor."""
    ops = [op for op in consumers(tensor) if modified(op)]
    return [(op, i) for op in ops for i, t in enumerate(op.inputs) if t is tensor]


@_edit("reroute", "reroute_ts")
def reroute_ts(ts0: Any, ts1: Any, can_modify: Any = None, cannot_modify: Any = None) -> int:
    """Give what consumes each tensor of `ts1` the one of `ts0` instead; the number of changes."""
    modified = _modified(can_modify, cannot_modify)
    changes = [(a, use) for a, b in _pairs(ts0, ts1) if a is not b for use in _uses(b, modified)]
    for tensor, (op, index) in changes:
        op._update_input(index, tensor)
    return len(changes)


@_edit("reroute", "swap_ts")
def swap_ts(ts0: Any, ts1: Any, can_modify: Any = None, cannot_modify: Any = None) -> int:
    """Exchange what consumes the tensors of each pair; the number of changes."""
    modified = _modified(can_modify, cannot_modify)
    pairs = [(a, b) for a, b in _pairs(ts0, ts1) if a is not b]
    changes = [(a, use) for a, b in pairs for use in _uses(b, modified)]
    changes += [(b, use) for a, b in pairs for use in _uses(a, modified)]
    for tensor, (op, index) in changes:
        op._update_input(index, tensor)
    return len(changes)


def _operation(op: Any) -> Operation:
    if not isinstance(op, Operation):
        raise TypeError("Expected a tf.Operation, got: {}", type(op))
    return op


@_edit("reroute", "add_control_inputs")
def add_control_inputs(op: Any, cops: Any) -> None:
    """Let `op` wait for other operations; ValueError where it does already."""
    waiting = _operation(op)
    others = make_list_of_op(cops, allow_graph=False)
    for other in others:
        if other in waiting.control_inputs:
            raise ValueError(f"{other.name} is already a control_input of {waiting.name}")
    waiting._add_control_inputs(others)


@_edit("reroute", "remove_control_inputs")
def remove_control_inputs(op: Any, cops: Any) -> None:
    """Let `op` not wait for other operations; ValueError where it does not."""
    waiting = _operation(op)
    others = make_list_of_op(cops, allow_graph=False)
    for other in others:
        if other not in waiting.control_inputs:
            raise ValueError(f"{waiting.name} is not a control_input of {other.name}")
    waiting._control_inputs = [o for o in waiting.control_inputs if o not in others]
    waiting.graph._edits += 1
