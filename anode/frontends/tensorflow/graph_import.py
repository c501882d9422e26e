"""tf.import_graph_def: the nodes of a GraphDef as operations of the default graph.

Old control flow is raised: loops become `While`, branches `If`. An op type that anode does not have
is imported too, and raises UnsupportedOp when it is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.core import Graph, Operation, Tensor, get_default_graph
from anode.frontends.tensorflow.dtypes import DType, float32
from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.graph import _output_dtypes, apply, convert_to_tensor, create
from anode.frontends.tensorflow.graph_arrays import ARRAY_NODES, add_array_node
from anode.frontends.tensorflow.graph_def import (
    BODY,
    BODY_INPUTS,
    BODY_OUTPUTS,
    attrs_of,
    shape_of,
    turned,
)
from anode.frontends.tensorflow.graph_structure import (
    ENTER,
    EXIT,
    MERGE,
    NEXT,
    SWITCH,
    Context,
    Structure,
    Unraised,
    parsed,
    reference,
)
from anode.frontends.tensorflow.opdef import REQUIRED, OpDef, export, find
from anode.frontends.tensorflow.tensor_shape import TensorShape

_FLOW_INPUTS = dict.fromkeys((*SWITCH, *MERGE), 2)
_FLOW_INPUTS |= dict.fromkeys((*ENTER, *EXIT, *NEXT, "LoopCond"), 1)
_MOST_RELAXED = 4  # times that a loop is built again with less known of its shapes


@export("import_graph_def", "graph_util.import_graph_def")
def import_graph_def(
    graph_def: Any,
    input_map: Mapping[str, Any] | None = None,
    return_elements: Sequence[str] | None = None,
    name: str | None = None,
    op_dict: Any = None,
    producer_op_list: Any = None,
) -> list[Any] | None:
    """Add the nodes of `graph_def` to the default graph, under the scope `name` ("import").

    `input_map` replaces inputs named as in the file; `return_elements` names the operations and
    tensors to return. TypeError and ValueError are raised as TensorFlow does.
    """
    del op_dict, producer_op_list  # deprecated there; here defaults are those of the op table
    if not isinstance(graph_def, proto.GraphDef):
        raise TypeError("graph_def must be a GraphDef proto.")
    mapped = _input_map(input_map)
    elements = _return_elements(return_elements)
    graph = get_default_graph()
    prefix = _prefix(graph, name)
    importer = Importer(graph, graph_def, prefix, mapped)
    with graph.name_scope(None), graph.control_dependencies(None):
        importer.build(())
    unused = sorted(set(mapped) - importer.used)
    if unused:
        raise ValueError(
            f"Attempted to map inputs that were not found in graph_def: [{', '.join(unused)}]"
        )
    return None if elements is None else [importer.element(text) for text in elements]


def _input_map(input_map: Any) -> dict[str, Any]:
    if input_map is None:
        return {}
    if not isinstance(input_map, Mapping) or not all(isinstance(key, str) for key in input_map):
        raise TypeError("input_map must be a dictionary mapping strings to Tensor objects.")
    values = {}
    for key, value in input_map.items():
        if key.startswith("^"):
            values[key] = value
        else:
            values[reference(key)] = convert_to_tensor(value)
    return values


def _return_elements(elements: Any) -> list[str] | None:
    if elements is None:
        return None
    found = list(elements)
    if isinstance(elements, str) or not all(isinstance(item, str) for item in found):
        raise TypeError("return_elements must be a list of strings.")
    return found


def _prefix(graph: Graph, name: str | None) -> str:
    """The scope of the import with a slash at its end, or nothing."""
    if name == "":
        return f"{graph.get_name_scope()}/" if graph.get_name_scope() else ""
    with graph.name_scope(name or "import") as scope:
        return scope


class Importer:
    """The import of one GraphDef: `values` are the tensors known so far, by `node:output`."""

    def __init__(
        self, graph: Graph, graph_def: Any, prefix: str, mapped: Mapping[str, Any]
    ) -> None:
        self.graph, self.prefix, self.mapped = graph, prefix, mapped
        self.values: dict[str, Tensor] = {}
        self.ops: dict[str, Operation] = {}
        self.used: set[str] = set()
        self.loops: set[Context] = set()
        self._bodies: dict[str, list[Any]] = {}
        nodes = {}
        for node in graph_def.node:
            if node.name in nodes:
                raise ValueError(f"Node '{node.name}' is not unique")
            nodes[node.name] = node
        self._check_inputs(nodes)
        self.structure = Structure(self._without_bodies(nodes))
        self._outputs_used = self._counted(graph_def)

    def _check_inputs(self, nodes: Mapping[str, Any]) -> None:
        for node in nodes.values():
            for text in node.input:
                name, index = parsed(text)
                known = name in nodes or f"{name}:{index}" in self.mapped or text in self.mapped
                if not known:
                    raise ValueError(f"Node '{node.name}': Unknown input node '{text}'")
            _check_count(node, _FLOW_INPUTS.get(node.op), node.input)

    def _without_bodies(self, nodes: dict[str, Any]) -> dict[str, Any]:
        """The nodes but for those inside a Scan, which come with it."""
        for node in nodes.values():
            if BODY in node.attr:
                self._bodies.setdefault(node.attr[BODY].s.decode(), []).append(node)
        return {name: node for name, node in nodes.items() if BODY not in node.attr}

    def _counted(self, graph_def: Any) -> dict[str, int]:
        """How many outputs of each node are used, for op types that are not known."""
        used: dict[str, int] = {}
        for node in graph_def.node:
            for text in node.input:
                name, index = parsed(text)
                used[name] = max(used.get(name, 1), index + 1)
        return used

    def element(self, text: str) -> Any:
        """The tensor `name:index` or the operation `name`."""
        name, colon, _ = text.partition(":")
        found: Any = self.values.get(text) if colon else self.ops.get(name)
        if found is None and not colon and f"{name}:0" in self.values:
            found = self.values[f"{name}:0"].op
        if found is None:
            raise ValueError(f"Requested return_element '{text}' not found in graph_def.")
        return found

    # --- nodes

    def build(self, context: Context, wanted: set[str] | None = None) -> None:
        """Make the nodes that lie directly in a context, or those wanted of them."""
        for node in self.structure.members.get(context, ()):
            if wanted is None or node.name in wanted:
                self.add(node)

    def add(self, node: Any) -> None:
        """Make a node; where what it needs cannot be raised, one that says so when it is run."""
        try:
            self._add(node)
        except Unraised as error:
            message = f"TensorFlow's graph cannot be run here: {error}"
            outputs = self._outputs_used.get(node.name, 1)
            definition = _unknown(node, attrs_of(node), outputs, message)
            definition.type = "NotImported"  # it has not the attributes that others look for
            types = _output_dtypes(definition.outputs[0], {}) * outputs
            name, attrs = self.free_name(node.name), {"_types": list[DType]()}
            self._note(node.name, create(definition, [], attrs, name, types, (), self.graph))

    def _add(self, node: Any) -> None:
        own = self.structure
        if node.op in SWITCH:
            if node.name not in own.loop_switches:
                data = self.value(node.input[0])  # inside the branch it is this value
                self.values[f"{node.name}:0"] = self.values[f"{node.name}:1"] = data
        elif node.op in MERGE and node.name not in own.loop_merges:
            if f"{node.name}:0" not in self.values:
                self._add_cond(node)
        elif node.op in EXIT:
            if f"{node.name}:0" not in self.values:
                self._add_loop(own.edge_context(node.input[0]))
        elif node.op in (*MERGE, *ENTER, *NEXT, "LoopCond"):
            return  # parts of a loop
        elif node.op in ARRAY_NODES:
            add_array_node(self, node)
        else:
            self._add_plain(node)

    def value(self, text: str) -> Tensor:
        """The tensor that a data input names."""
        key = reference(text)
        if key in self.mapped:
            self.used.add(key)
            found: Tensor = self.mapped[key]
            return found
        if key not in self.values:
            name, index = parsed(text)
            op = self.ops.get(name)
            what = f"has no output {index}" if op else "lies in a branch or loop that is not left"
            raise Unraised(f"the input {text!r}: {name} {what}")
        return self.values[key]

    def _control(self, node: Any) -> list[Operation]:
        found: dict[Operation, None] = {}
        for text in node.input:
            name, index = parsed(text)
            if index >= 0:
                continue
            if text in self.mapped:
                self.used.add(text)
                thing = self.mapped[text]
                found[thing.op if isinstance(thing, Tensor) else thing] = None
            elif name in self.ops:
                found[self.ops[name]] = None
            elif f"{name}:0" in self.values:
                found[self.values[f"{name}:0"].op] = None
        return [op for op in found if op.type != "_Arg"]  # what a body begins with is there

    def _add_plain(self, node: Any) -> None:
        inputs = [self.value(text) for text in node.input if not text.startswith("^")]
        attrs = attrs_of(node)
        if node.op == "SymbolicGradient":
            inputs = turned(inputs, attrs["xs"], attrs["ys"])
        shapes = attrs.pop("_output_shapes", None)
        definition = self._definition(node, attrs)
        if node.name in self._bodies:
            attrs["body"] = self._scan_body(node)
            del attrs[BODY_INPUTS], attrs[BODY_OUTPUTS]
        for name, default in definition.attrs.items():
            if default is not REQUIRED:
                attrs.setdefault(name, default)
        _check_count(node, settle(definition, attrs, inputs), node.input)
        for name in definition.attrs:
            if name not in attrs:
                raise Unraised(f"{node.op} needs the attribute {name!r}")
        dtypes = [d for arg in definition.outputs for d in _output_dtypes(arg, attrs)]
        with self._devices(node.device):
            name = self.free_name(node.name)
            control = self._control(node)
            op = create(definition, inputs, attrs, name, dtypes, control, self.graph)
        _set_shapes(op, shapes, attrs)
        self._note(node.name, op)

    def _note(self, name: str, op: Operation) -> None:
        self.ops[name] = op
        self.values.update((f"{name}:{i}", tensor) for i, tensor in enumerate(op.outputs))

    @contextmanager
    def _devices(self, device: str) -> Iterator[None]:
        if device:
            with self.graph.device(device):
                yield
        else:
            yield

    def free_name(self, name: str) -> str:
        """The node's name, as `create` takes it whole; a node made twice gets another one."""
        full = self.prefix + name
        if name in self.ops:
            full = self.graph.unique_name(f"{full}/again")  # no name of the file
        elif full in self.graph._by_name:
            raise ValueError(f"Node name '{full}' already exists in the Graph")
        self.graph._names.setdefault(full.lower(), 1)
        return full + "/"

    def _definition(self, node: Any, attrs: Mapping[str, Any]) -> OpDef:
        try:
            return find(node.op)
        except UnsupportedOp as error:
            return _unknown(node, attrs, self._outputs_used.get(node.name, 1), str(error))

    def _scan_body(self, node: Any) -> Any:
        """The body of a Scan, its operations made inside of it."""
        from anode.frontends.tensorflow.control import Body, _inside

        body = Body(self.graph._context, [], [])
        nodes = {inner.name: inner for inner in self._bodies[node.name]}
        before = self.structure
        self.structure = Structure(nodes)
        with _inside(self.graph, body):
            self.build(())
        self.structure = before
        body.inputs = [self.value(text.decode()) for text in node.attr[BODY_INPUTS].list.s]
        body.outputs = [self.value(text.decode()) for text in node.attr[BODY_OUTPUTS].list.s]
        return body

    # --- conditions

    def _add_cond(self, merge: Any) -> None:
        """The If of a Merge, and of all that can be merged with it."""
        from anode.frontends.tensorflow.control import cond_op

        own = self.structure
        context, pred = own.context[merge.name], own.predicate(merge)
        if pred is None:
            raise Unraised(f"no condition rules the Merge {merge.name!r}")
        group = [
            node
            for node in own.cond_merges[context, pred]
            if f"{node.name}:0" not in self.values and self._ready(node, context, pred)
        ]

        def branch(index: int) -> list[Tensor]:
            inner = (*context, ("cond", pred, index))
            texts = [self._branch_input(node, inner) for node in group]
            with self._scope():
                self.build(inner, own.ancestors(texts, inner))
                return [self.value(text) for text in texts]

        name = f"{self.prefix}{merge.name}/If"
        found = cond_op(self.value(pred), lambda: branch(1), lambda: branch(0), name)
        for node, tensor in zip(group, found, strict=True):
            self._named(node.name, tensor)
            if self._outputs_used.get(node.name, 1) > 1:
                self.values[f"{node.name}:1"] = self._chosen(node, context, pred)

    def _ready(self, merge: Any, context: Context, pred: str) -> bool:
        """Whether all Switches that its branches take values from were met."""
        own = self.structure
        for index in (0, 1):
            inner = (*context, ("cond", pred, index))
            text = self._branch_input(merge, inner)
            names = own.ancestors([text], inner)
            texts = [text, *(t for name in names for t in own.nodes[name].input)]
            for name in {parsed(t)[0] for t in texts if not t.startswith("^")}:
                outside = own.context.get(name) == context and own.nodes[name].op in SWITCH
                if outside and f"{name}:0" not in self.values:
                    return False
        return True

    def _branch_input(self, merge: Any, inner: Context) -> str:
        """The input of a Merge that comes from a branch."""
        own = self.structure
        other = (*inner[:-1], ("cond", inner[-1][1], 1 - inner[-1][2]))
        texts = [text for text in merge.input if not text.startswith("^")]
        for text in texts:
            if own.edge_context(text)[: len(inner)] == inner:
                return text
        found = next((t for t in texts if own.edge_context(t)[: len(other)] != other), None)
        if found is None:
            raise Unraised(f"both inputs of {merge.name!r} come from one branch")
        return found

    def _chosen(self, merge: Any, context: Context, pred: str) -> Tensor:
        """The second output of a Merge: which of its inputs it gave."""
        true_input = self._branch_input(merge, (*context, ("cond", pred, 1)))
        holds = self.value(pred)
        if merge.input[1] != true_input:
            holds = apply("LogicalNot", holds)
        index: Tensor = apply("Cast", holds, DstT="int32")
        return index

    def _named(self, name: str, tensor: Tensor) -> None:
        """A tensor under the name of a node of the file."""
        copied: Tensor = apply("Identity", tensor, name=self.free_name(name))
        self._note(name, copied.op)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        """What becomes known inside is not known outside."""
        values, ops = dict(self.values), dict(self.ops)
        try:
            yield
        finally:
            self.values = values
            self.ops = {**self.ops, **ops}

    # --- loops

    def _add_loop(self, context: Context) -> None:
        """The While of a frame."""
        if not context or context[-1][0] != "frame" or context in self.loops:
            raise Unraised(f"the loop {context[-1:]} was not raised")
        self.loops.add(context)
        own = self.structure
        nodes = own.members.get(context, [])
        for node in nodes:
            if node.op in ENTER:
                self.values[f"{node.name}:0"] = self.value(node.input[0])
        merges = [node for node in nodes if node.name in own.loop_merges]
        loop_cond: Any = next((node for node in nodes if node.op == "LoopCond"), None)
        if loop_cond is None:
            raise Unraised(f"the loop {context[-1][1]!r} has no LoopCond")
        backs = [own.nodes[parsed(_of(own, merge, True))[0]].input[0] for merge in merges]
        starts = [self.value(_of(own, merge, False)) for merge in merges]
        switches = {
            parsed(node.input[0])[0]: node.name for node in nodes if node.name in own.loop_switches
        }

        exits = [
            node
            for node in own.order
            if node.op in EXIT and own.edge_context(node.input[0]) == context
        ]
        left = {switches[merge.name] for merge in merges if merge.name in switches}
        if not all(parsed(node.input[0])[0] in left for node in exits):
            raise Unraised(f"the loop {context[-1][1]!r} is one of TensorFlow's gradients")

        def cond(*variables: Tensor) -> Tensor:
            with self._scope():
                self._enter(merges, variables, {})
                self.build(context, own.ancestors(loop_cond.input, context))
                return self.value(loop_cond.input[0])

        def body(*variables: Tensor) -> list[Tensor]:
            with self._scope():
                self._enter(merges, variables, switches)
                self.build(context, own.ancestors(backs, context))
                return [self.value(text) for text in backs]

        name = f"{self.prefix}{context[-1][1].removeprefix(self.prefix)}/While"
        before = _Snapshot(self.graph)
        try:
            found = self._while(cond, body, starts, name)
        except (TypeError, ValueError) as error:
            before.restore()
            self._forget_dropped()
            raise Unraised(f"the loop {context[-1][1]!r}: {error}") from None
        results = {
            switches[merge.name]: tensor
            for merge, tensor in zip(merges, found, strict=True)
            if merge.name in switches
        }
        for node in exits:
            self._named(node.name, results[parsed(node.input[0])[0]])

    def _enter(
        self, merges: Sequence[Any], variables: Sequence[Tensor], switches: Mapping[str, str]
    ) -> None:
        for merge, variable in zip(merges, variables, strict=True):
            self.values[f"{merge.name}:0"] = variable
            if merge.name in switches:
                self.values[f"{switches[merge.name]}:1"] = variable

    def _forget_dropped(self) -> None:
        known = self.graph._by_name
        self.ops = {k: op for k, op in self.ops.items() if known.get(op.name) is op}

    def _while(self, cond: Any, body: Any, starts: list[Tensor], name: str) -> list[Tensor]:
        """The loop; where a shape changes from step to step it is built again without it."""
        from anode.frontends.tensorflow.control import while_op

        shapes = [tensor.shape for tensor in starts]
        changed: list[TensorShape] = []

        def watched(*variables: Tensor) -> list[Tensor]:
            results = body(*variables)
            changed[:] = [tensor.shape for tensor in results]
            return results

        for _ in range(_MOST_RELAXED):
            before = _Snapshot(self.graph)
            found = while_op(cond, watched, starts, shapes, name=name)
            relaxed = [common(a, b) for a, b in zip(shapes, changed, strict=True)]
            same = [str(shape) for shape in relaxed] == [str(shape) for shape in shapes]
            if same:
                return found
            before.restore()
            self._forget_dropped()
            shapes = relaxed
        return while_op(cond, watched, starts, [TensorShape(None)] * len(starts), name=name)


def common(a: TensorShape, b: TensorShape) -> TensorShape:
    """What is true of both shapes."""
    if a.ndims is None or b.ndims is None or a.ndims != b.ndims:
        return TensorShape(None)
    pairs = zip(a.as_list(), b.as_list(), strict=True)
    return TensorShape([x if x == y else None for x, y in pairs])


def _of(structure: Structure, merge: Any, back: bool) -> str:
    """The input of a loop's Merge from the iteration before, or from outside."""
    found = [t for t in merge.input if (structure.type_of(t) in NEXT) == back]
    if len(found) != 1:
        raise Unraised(f"the Merge {merge.name!r} of a loop has no way in, or none back")
    return found[0]


class _Snapshot:
    """What a graph holds now, to go back to."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._count, self._names = len(graph._operations), dict(graph._names)

    def restore(self) -> None:
        graph = self._graph
        dropped = graph._operations[self._count :]
        del graph._operations[self._count :]
        for op in dropped:
            del graph._by_name[op.name]
            for tensor in op.inputs:
                tensor._consumers = [c for c in tensor._consumers if c is not op]
        graph._names = self._names


# --- types ---------------------------------------------------------------------------------------


def _check_count(node: Any, wanted: int | None, inputs: Iterable[str]) -> None:
    """ValueError if the node's op takes another number of inputs."""
    count = sum(not text.startswith("^") for text in inputs)
    if wanted is not None and count != wanted:
        raise ValueError(f"Node '{node.name}': {node.op} takes {wanted} inputs, not {count}")


def settle(definition: OpDef, attrs: dict[str, Any], inputs: Sequence[Tensor]) -> int:
    """Set the type attributes and counts that the inputs tell; gives how many there should be."""
    at = 0
    for arg in definition.inputs:
        if arg.several:
            types = attrs.get(str(arg.type))
            taken = inputs[at : at + len(types)] if isinstance(types, list) else inputs[at:]
            attrs.setdefault(str(arg.type), [t.dtype.base_dtype for t in taken])
            at += len(taken)
            continue
        if arg.count is not None:
            attrs.setdefault(arg.count, len(inputs) - at)
        if isinstance(arg.type, str) and at < len(inputs):  # not the file's: see graph_arrays
            attrs[arg.type] = inputs[at].dtype.base_dtype
        at += 1 if arg.count is None else attrs[arg.count]
    return at


def _unknown(node: Any, attrs: Mapping[str, Any], outputs: int, message: str) -> OpDef:
    """A stand-in for an op type that anode does not have: it raises when it is run."""
    from anode.frontends.tensorflow.opdef import Arg

    types = [
        attrs[key] for key in ("dtype", "T", "out_type", "DstT", "output_type") if key in attrs
    ]
    dtype = next((t for t in types if isinstance(t, DType)), float32)

    def run(inputs: Sequence[Any], **_: Any) -> Any:
        raise UnsupportedOp(f"{message} (node {node.name!r})")

    result = OpDef(
        node.op,
        (Arg("inputs", "_types", None, True, False),),
        tuple(Arg("", dtype, None, False, False) for _ in range(outputs)),
        {},
    )
    result.host, result.shape, result.stateful = run, "unknown", True
    return result


def _set_shapes(op: Operation, shapes: Any, attrs: Mapping[str, Any]) -> None:
    """Merge the shapes that the file tells with those inferred."""
    if op.type in ("Placeholder", "PlaceholderWithDefault") and attrs.get("shape") is not None:
        op.outputs[0].set_shape(attrs["shape"])
    if op.type == "Const":
        op.outputs[0].set_shape(attrs["value"].shape)
    if isinstance(shapes, list) and len(shapes) == len(op.outputs):
        for tensor, shape in zip(op.outputs, shapes, strict=True):
            if tensor.shape.is_compatible_with(shape):  # older versions noted some wrong
                tensor.set_shape(shape)


__all__ = ["Importer", "import_graph_def", "shape_of"]
