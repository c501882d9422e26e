"""Stages of a plan: operations that run together, by kernels on the host or as one anode graph."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.control import bodies_of, references
from anode.frontends.tensorflow.core import Operation, Tensor
from anode.frontends.tensorflow.gradient import source
from anode.frontends.tensorflow.infer import grouped
from anode.frontends.tensorflow.trace import Range, Trace, Uninitialized, variable_of
from anode.ir.dtypes import u32
from anode.ir.graph import Graph as IrGraph
from anode.ir.graph import close, fresh_inputs
from anode.ir.node import CONSTANT, LARGEST_CONSTANT, READ, constant
from anode.ir.types import TensorType
from anode.ir.variable import Variable

if TYPE_CHECKING:
    from anode.frontends.tensorflow.plan import Plan
    from anode.runtime.executable import Executable


@dataclass(eq=False)
class Traced:
    """One tracing of a stage: a graph for known sizes, and how it has been run so far.

    `asked` are variables whose being initialised was asked while tracing, with the answer.
    """

    graph: IrGraph
    updates: list[tuple[Operation, Variable]]
    reads: list[tuple[Operation, Variable]]
    asked: dict[Operation, bool]
    patience: int  # the runs by the reference before it is compiled
    ranges: list[Range]  # what the last outputs are checked against
    constants: frozenset[Tensor]  # outputs that are known for these sizes
    drawn: frozenset[Operation] = frozenset()  # operations that take random numbers
    accepted: int = 0  # the version of a session's variables that was found to fit
    executable: Executable | None = None
    seconds: float = 0.0
    compile_seconds: float = 0.0


@dataclass(eq=False)
class Stage:
    """Operations of a plan that run together.

    `own` are in the order of creation; `ops` are these and those that are computed again because
    a derivative goes through them. `inputs` come from feeds and other stages.
    """

    plan: Plan
    own: list[Operation]
    on_host: bool
    ops: list[Operation] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)
    static: set[Tensor] = field(default_factory=set)
    constants: frozenset[Tensor] = frozenset()  # outputs of the last run that sizes alone decide
    traced: dict[Any, list[Traced]] = field(default_factory=dict)
    seconds: float = 0.0
    runs: int = 0
    last: tuple[float, float] = (0.0, 0.0)  # start and end of the last run, by perf_counter

    def gather(self) -> None:
        """Settle which operations take part and what they need from outside."""
        self.ops = self.own
        if not self.on_host:
            again = _differentiated(self.plan, self.own) - set(self.own)
            again = {op for op in again if self.plan.repeats(op)}
            self.ops = sorted([*self.own, *again], key=lambda op: op._id)
            self.differentiated = frozenset(_differentiated(self.plan, self.own))
        inside = {t for op in self.ops for t in op.outputs}
        needed = [self.plan.alias(t) for op in self.ops for t in op.inputs]
        counts = [op.outputs[-1] for op in self.ops if op.type == "While" and op not in self.own]
        inside -= set(counts)  # how often a loop ran is known when it is differentiated
        needed += counts
        self.inputs = [
            t
            for t in dict.fromkeys(needed)
            if (t in self.plan.fed and t not in inside)
            or (t not in inside and variable_of(t) is None and t.op.type != "Const")
        ]
        fed = [t for t in self.plan.feeds if _variable_fed(t)]
        self.fed_variables = [
            t for t in fed if any(source(t) is source(i) for op in self.ops for i in op.inputs)
        ]
        inner = [o for op in self.ops for o in _with_bodies(op)]
        self.random = [o for o in inner if draws(o)]
        self.large = [
            o for o in _constants(self.ops) if o._attrs["value"].nbytes > LARGEST_CONSTANT
        ]
        self.traced.clear()

    def run(self, session: Any, values: dict[Tensor, Any], keys: dict[Operation, Any]) -> None:
        start = time.perf_counter()
        if self.on_host:
            self._run_on_host(session, values)
        else:
            with session.lock:
                self._run_on_device(session, values, keys)
        self.last = start, time.perf_counter()
        self.seconds += self.last[1] - start
        self.runs += 1

    # host

    def _run_on_host(self, session: Any, values: dict[Tensor, Any]) -> None:
        for op in self.own:
            definition = op._definition
            kernel = definition.host
            if kernel is None:
                raise UnsupportedOp(
                    f"{op.type} on {', '.join(t.dtype.name for t in (*op.inputs, *op.outputs))} is "
                    f"not implemented by anode ({op.name}, {op.origin})"
                )
            args = grouped(
                definition, op._attrs, [self._host_value(session, values, op, t) for t in op.inputs]
            )
            keywords = definition.keywords(kernel, op._attrs)
            if definition.takes(kernel, "run"):
                keywords["run"] = RunContext(session, op, self.plan)
            result = kernel(*args, **keywords)
            if definition.outputs and not definition.outputs[0].ref:
                _store(op, result, values)

    def _host_value(
        self, session: Any, values: dict[Tensor, Any], op: Operation, tensor: Tensor
    ) -> Any:
        tensor = self.plan.alias(tensor)
        if tensor in values:
            return values[tensor]
        if tensor.op.type == "Const":
            return tensor.op._attrs["value"]
        variable = variable_of(tensor)
        if variable is None:
            return None  # an output of something that gives no value, a handle
        if _takes_reference(op, tensor):
            return HostRef(session, variable)
        return session.variable_value(variable)

    # device

    def _run_on_device(
        self, session: Any, values: dict[Tensor, Any], keys: dict[Operation, Any]
    ) -> None:
        arrays = [values[t] for t in self.inputs]
        arrays += [values[t] for t in self.fed_variables]
        traced = self._traced(session, arrays)
        inputs = [a for t, a in zip(self.inputs, arrays, strict=False) if t not in self.static]
        inputs += arrays[len(self.inputs) :]
        inputs += [op._attrs["value"] for op in self.large]
        if self.random:
            inputs.append(self._keys(session, keys, traced))
        self._check_initialized(session, traced)
        results = session.execute(traced, inputs)
        self.constants = traced.constants
        if traced.ranges:
            count = len(self.outputs)
            for check, extremes in zip(traced.ranges, results[count:], strict=True):
                check.check(extremes)
            results = results[:count]
        for tensor, array in zip(self.outputs, results, strict=True):
            values[tensor] = array

    def _keys(self, session: Any, keys: dict[Operation, Any], traced: Traced) -> np.ndarray:
        """The keys of this run; a branch that is not taken leaves its operations' draws."""
        for op in self.random:
            if op not in keys and op in traced.drawn:
                keys[op] = session.random_key(op)
        unused = np.zeros(6, np.uint32)
        return np.stack([keys.get(op, unused) for op in self.random])

    def _check_initialized(self, session: Any, traced: Traced) -> None:
        if traced.accepted == session.version:
            return
        for op, variable in traced.reads:
            if session.variables.get(op) != variable:
                raise Uninitialized(op)

    def _traced(self, session: Any, arrays: Sequence[np.ndarray]) -> Traced:
        key: tuple[Any, ...] = tuple([a.shape for a in arrays])
        if self.static:
            known = [a for t, a in zip(self.inputs, arrays, strict=False) if t in self.static]
            key = (*key, *[a.tobytes() for a in known])
        for traced in self.traced.get(key, ()):
            if self._holds(session, traced):
                return traced
        start = time.perf_counter()
        traced = self._trace(session, arrays)
        traced.seconds = time.perf_counter() - start
        self.traced.setdefault(key, []).append(traced)
        return traced

    def _holds(self, session: Any, traced: Traced) -> bool:
        """Whether the session's variables are as they were when this was traced."""
        if traced.accepted == session.version:
            return True
        variables = session.variables
        for op, answer in traced.asked.items():
            if (op in variables) != answer:
                return False
        for op, variable in traced.reads:
            if op in variables and variables[op] != variable:
                return False
        return True

    def _trace(self, session: Any, arrays: Sequence[np.ndarray]) -> Traced:
        trace = Trace(session.variables.get, self.plan.alias)
        gradients = [
            op for op in self.ops for op in _with_bodies(op) if op.type == "SymbolicGradient"
        ]
        for op in gradients:
            _refuse_host_loops(op, [o for o in self.plan.forced if not self.plan.repeats(o)])
        by = [t for op in gradients for t in _by(op)]
        trace.marked = frozenset(t for t in by if variable_of(t) is None)
        trace.tracked = frozenset(v for t in by if (v := variable_of(t)) is not None)
        trace.differentiated = self.differentiated
        trace.unrolled = frozenset(self.plan.forced)
        inputs = self._bind(trace, arrays)
        trace.entries = frozenset(inputs)
        trace.run(self.ops)
        nodes = [trace.value(t) for t in self.outputs]
        updates = trace.updates()
        nodes += [check.extremes for check in trace.ranges]
        resolved = trace.resolved([*nodes, *updates.values()])
        changed = list(zip(updates, resolved[len(nodes) :], strict=True))
        pairs = [(self._updated(session, op, node), node) for op, node in changed]
        graph = close(inputs, resolved[: len(nodes)], pairs)
        read = {node.attrs["variable"] for node in graph.nodes if node.op is READ}
        by_variable = {trace.variable(op): op for op in trace.versions}
        return Traced(
            graph,
            [(op, v) for (op, _), (v, _) in zip(changed, pairs, strict=True)],
            [(by_variable[v], v) for v in read],
            dict(trace.asked),
            _patience(graph),
            trace.ranges,
            frozenset(t for t, n in zip(self.outputs, nodes, strict=False) if n.op is CONSTANT),
            drawn=frozenset(trace.drawn),
        )

    def _bind(self, trace: Trace, arrays: Sequence[np.ndarray]) -> list[Any]:
        """Give the stage's inputs nodes; those of static ones are constants."""
        inputs: list[Any] = []
        for tensor, array in zip([*self.inputs, *self.fed_variables], arrays, strict=True):
            dtype = tensor.dtype.base_dtype.anode
            if tensor in self.static:
                node = constant(array, dtype)
            else:
                (node,) = fresh_inputs(TensorType(dtype, array.shape))
                inputs.append(node)
            variable = variable_of(tensor)
            if variable is not None:
                trace.fed[variable] = node
            else:
                trace.values[tensor] = trace.mark(node) if tensor in trace.marked else node
        for op in self.large:
            value = op._attrs["value"]
            (node,) = fresh_inputs(TensorType(op.outputs[0].dtype.anode, value.shape))
            inputs.append(node)
            trace.constants[op.outputs[0]] = node
        if self.random:
            (trace.keys,) = fresh_inputs(TensorType(u32, (len(self.random), 6)))
            trace.random = {op: i for i, op in enumerate(self.random)}
            inputs.append(trace.keys)
        constants = _constants(self.ops, bodies=False)
        trace.run(op for op in constants if op.outputs[0] not in self.plan.fed)
        return inputs

    def _updated(self, session: Any, op: Operation, node: Any) -> Variable:
        found = session.variables.get(op)
        if found is not None and found.type == node.type:
            known: Variable = found
            return known
        return Variable(op.name, node.type)


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a host kernel may know of the run: the session and its own operation."""

    session: Any
    op: Operation
    plan: Any = None


@dataclass(frozen=True, slots=True)
class HostRef:
    """A variable as a host kernel sees it."""

    session: Any
    op: Operation

    def read(self) -> np.ndarray:
        value: np.ndarray = self.session.variable_value(self.op)
        return value

    def write(self, array: Any) -> None:
        self.session.set_variable(self.op, array)

    @property
    def initialized(self) -> bool:
        return self.op in self.session.variables or self.op in self.session.strings


def _store(op: Operation, result: Any, values: dict[Tensor, Any]) -> None:
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    if len(results) != len(op.outputs):
        raise UnsupportedOp(
            f"the host kernel of {op.type} gives {len(results)} results, not {len(op.outputs)}"
        )
    for tensor, value in zip(op.outputs, results, strict=True):
        if tensor.dtype.name in ("resource", "variant", "string_ref"):
            values[tensor] = value
            continue
        dtype = tensor.dtype.base_dtype.as_numpy_dtype
        array = value if isinstance(value, np.ndarray) else np.asarray(value, dtype)
        values[tensor] = array if array.dtype == dtype else array.astype(dtype)


def _takes_reference(op: Operation, tensor: Tensor) -> bool:
    return any(t is tensor for t in references(op))


def _variable_fed(tensor: Tensor) -> bool:
    return variable_of(tensor) is not None


def _with_bodies(op: Operation) -> list[Operation]:
    return [op, *(o for body in bodies_of(op) for inner in body.ops() for o in _with_bodies(inner))]


def draws(op: Operation) -> bool:
    """Whether an operation takes random numbers."""
    definition = op._definition
    return definition.lower is not None and definition.takes(definition.lower, "key")


def _constants(ops: Sequence[Operation], bodies: bool = True) -> list[Operation]:
    """The Const operations that `ops` use; those in bodies too."""
    found: dict[Operation, None] = {}
    for op in ops:
        for inner in _with_bodies(op) if bodies else [op]:
            if inner.type == "Const":
                found[inner] = None
            found.update((t.op, None) for t in inner.inputs if t.op.type == "Const")
    return list(found)


def _refuse_host_loops(gradient: Operation, forced: Iterable[Operation]) -> None:
    """Raise UnsupportedOp where a derivative passes through control flow that the host runs."""
    from anode.frontends.tensorflow.gradient import reaching

    ys, xs = gradient._attrs["ys"], gradient._attrs["xs"]
    outputs, by = gradient.inputs[:ys], gradient.inputs[ys : ys + xs]
    for op in forced:
        if reaching(outputs, op.outputs) and reaching(op.inputs, by):
            raise UnsupportedOp(
                f"the derivative through {op.name} ({op.type}) is not implemented by anode, since "
                f"sizes change inside of it ({op.origin})"
            )


def _by(op: Operation) -> list[Tensor]:
    """The tensors that a gradient is taken by, and those that it must not go through."""
    ys, xs, stops = op._attrs["ys"], op._attrs["xs"], op._attrs["stops"]
    return [*op.inputs[ys : ys + xs], *op.inputs[len(op.inputs) - stops :]]


def _differentiated(plan: Plan, ops: Sequence[Operation]) -> set[Operation]:
    """What lies between the ys and the xs of the gradients among `ops`."""
    found: set[Operation] = set()
    for op in ops:
        if op.type == "SymbolicGradient":
            found |= _between(plan, op)
    return found


def _between(plan: Plan, gradient: Operation) -> set[Operation]:
    ys = gradient._attrs["ys"]
    targets = {source(t) for t in gradient.inputs[ys : ys + gradient._attrs["xs"]]}
    order: list[Operation] = []
    seen: set[Operation] = set()
    stack = [plan.alias(t).op for t in gradient.inputs[:ys]]
    while stack:
        op = stack.pop()
        if op in seen:
            continue
        seen.add(op)
        order.append(op)
        stack += [
            plan.alias(t).op
            for t in op.inputs
            if t not in targets and t not in plan.fed and variable_of(t) is None
            if plan.alias(t) not in plan.static and t.dtype.base_dtype.is_floating
        ]
    depending: set[Operation] = set()
    for op in sorted(order, key=lambda op: op._id):
        if any(source(t) in targets or plan.alias(t).op in depending for t in op.inputs):
            depending.add(op)
    return depending


def _patience(graph: IrGraph) -> int:
    """After how many runs by the reference a graph is compiled: when these cost as much.

    An estimate from the graph alone, so that two runs of a script do the same.
    """
    from anode.program.cost import reference_seconds

    reference = reference_seconds(graph)
    compiling = 0.2 + 0.002 * len(graph.nodes)
    most = 20 if reference < 1e-3 else 2
    return min(most, int(compiling / reference))
