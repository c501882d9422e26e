"""Plans: which operations a run takes, in which order, and which of them are compiled together.

The closure of what is fetched runs in the order of creation. It is cut into stages: on the host,
where kernels take NumPy arrays, and on the device, where a whole stage is one anode graph. A value
that must be known for tracing (a shape that depends on data) ends a stage of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from anode.errors import GraphError, UnsupportedOp
from anode.frontends.tensorflow.control import BODIES, bodies_of, references, writes
from anode.frontends.tensorflow.core import Graph, Operation, Tensor
from anode.frontends.tensorflow.gradient import source
from anode.frontends.tensorflow.stage import Stage, draws
from anode.frontends.tensorflow.trace import LOOPS, NOTHING, NotKnown, NotTraced, variable_of

HOST, DEVICE, NONE, CONST = "host", "device", "none", "const"


class Plan:
    """How to compute `fetches` and run `targets` of a graph, given values for `feeds`."""

    kept: ClassVar[list[Plan] | None] = None  # every plan of this process, where a report is wanted

    def __init__(
        self,
        graph: Graph,
        fetches: Sequence[Tensor],
        targets: Sequence[Operation],
        feeds: Sequence[Tensor],
    ) -> None:
        self.graph, self.fetches, self.feeds = graph, list(fetches), tuple(feeds)
        self.fed = frozenset(source(t) for t in feeds)
        self.forced: set[Operation] = set()  # control flow that runs on the host
        self.static: set[Tensor] = set()
        self.ops = self._closure([*(t.op for t in fetches if source(t) not in self.fed), *targets])
        self.stages = self._stages(self.ops)
        self._copied = [self.alias(t) for t in self.fetches]
        if Plan.kept is not None:
            Plan.kept.append(self)

    # what runs

    def alias(self, tensor: Tensor) -> Tensor:
        """The tensor that `tensor` is a copy of, where an effect on the host is all its op does."""
        while tensor not in self.fed and tensor.op._definition.passthrough:
            if tensor.value_index:
                break
            tensor = tensor.op.inputs[0]
        return tensor

    def _closure(self, roots: Iterable[Operation]) -> list[Operation]:
        seen: set[Operation] = set()
        stack = list(roots)
        while stack:
            op = stack.pop()
            if op in seen:
                continue
            seen.add(op)
            stack += [t.op for t in op.inputs if source(t) not in self.fed]
            stack += op.control_inputs
        return _ordered(sorted(seen, key=lambda op: op._id), self.fed)

    def kind(self, op: Operation) -> str:
        """Where an operation runs."""
        definition = op._definition
        if op.type in NOTHING or _reads_variable(op):
            return NONE
        if op.type == "Const":
            return CONST
        if op in self.forced or definition.lower is None:
            return HOST
        if any(self.kind(inner) == HOST for body in bodies_of(op) for inner in body.ops()):
            return HOST
        if any(not _computable(t) for t in (*op.inputs, *op.outputs)):
            return HOST
        return DEVICE

    def repeats(self, op: Operation) -> bool:
        """Whether a later stage may compute an operation again, as a derivative goes through it.

        A loop that ran on the host may, one iteration after the other, if the numbers it drew are
        not needed again.
        """
        if self.kind(op) == DEVICE:
            return True
        if op not in self.forced or op.type not in LOOPS:
            return False
        inner = [o for body in bodies_of(op) for o in body.ops()]
        return all(self.kind(o) != HOST and not draws(o) for o in inner)

    # stages

    def _stages(self, ops: Sequence[Operation]) -> list[Stage]:
        """The operations in groups that run one after the other."""
        kinds = {op: self.kind(op) for op in ops}
        levels: dict[Operation, int] = {}
        read: dict[Operation, int] = {}
        written: dict[Operation, int] = {}
        for op in ops:
            kind = kinds[op]
            level = max([-1, *(self._after(d, t, levels, kinds, kind) for d, t in self._needs(op))])
            changed, used = touched(op)
            for variable in (*changed, *used):
                level = max(level, written.get(variable, -1))
            for variable in changed:
                level = max(level, read.get(variable, -1))
            level = levels[op] = _fitting(level, kind)
            written.update((variable, level) for variable in changed)
            for variable in used:
                read[variable] = max(level, read.get(variable, -1))
        return self._grouped(ops, kinds, levels)

    def _needs(self, op: Operation) -> list[tuple[Operation, Tensor | None]]:
        found: list[tuple[Operation, Tensor | None]] = [(c, None) for c in op.control_inputs]
        for tensor in op.inputs:
            tensor = self.alias(tensor)
            if tensor not in self.fed and variable_of(tensor) is None:
                found.append((tensor.op, tensor))
        return found

    def _after(
        self,
        dep: Operation,
        tensor: Tensor | None,
        levels: Mapping[Operation, int],
        kinds: Mapping[Operation, str],
        kind: str,
    ) -> int:
        level = levels.get(dep, -1)
        if tensor in self.static and kind == kinds.get(dep) == DEVICE:
            return level + 2
        return level

    def _grouped(
        self,
        ops: Sequence[Operation],
        kinds: Mapping[Operation, str],
        levels: Mapping[Operation, int],
    ) -> list[Stage]:
        groups: dict[int, list[Operation]] = {}
        for op in ops:
            if kinds[op] in (HOST, DEVICE):
                groups.setdefault(levels[op], []).append(op)
        stages = [Stage(self, groups[n], n % 2 == 1) for n in sorted(groups)]
        self._connect(stages)
        return stages

    def _connect(self, stages: Sequence[Stage]) -> None:
        """Settle what each stage takes from others and what it gives to them."""
        for stage in stages:
            stage.gather()
        wanted = dict.fromkeys(self.alias(t) for t in self.fetches)
        for stage in stages:
            wanted.update(dict.fromkeys(stage.inputs))
        for stage in stages:
            stage.outputs = [
                t
                for op in stage.own
                for t in op.outputs
                if t in wanted and variable_of(t) is None and t not in self.fed
            ]

    def split(self, stage: Stage, error: NotKnown | NotTraced) -> None:
        """Divide a stage that could not be traced: first what the missing value needs."""
        index = self.stages.index(stage)
        if isinstance(error, NotTraced):
            self.forced.add(error.op)
            parts = self._around(stage, error.op)
        else:
            tensor = self._outside(stage, self.alias(error.tensor))
            self.static.add(tensor)
            if tensor in stage.inputs:
                stage.static.add(tensor)
                return
            first = ancestors(stage.own, tensor.op)
            if not first or len(first) == len(stage.own):
                raise GraphError(
                    f"{tensor.name} must be known before what needs it is compiled, and cannot be"
                )
            rest = [op for op in stage.own if op not in first]
            parts = [([op for op in stage.own if op in first], False), (rest, False)]
        new = [Stage(self, ops, host) for ops, host in parts if ops]
        self.stages = [*self.stages[:index], *new, *self.stages[index + 1 :]]
        self._connect(self.stages)
        for part in new:
            part.static |= self.static & set(part.inputs)

    def _outside(self, stage: Stage, tensor: Tensor) -> Tensor:
        """The tensor itself, or for one inside a body the next outside that it is computed from."""
        seen: set[Tensor] = set()
        stack = [tensor]
        while stack:
            found = self.alias(stack.pop())
            if found in stage.inputs or found.op in stage.own:
                if found not in self.static:
                    return found
            elif found not in seen:
                seen.add(found)
                stack += found.op.inputs
        return tensor

    def _around(self, stage: Stage, op: Operation) -> list[tuple[list[Operation], bool]]:
        top = op
        while top not in stage.own:  # control flow within control flow
            top = next(o for o in stage.own if _holds(o, top))
        self.forced.add(top)
        before = [o for o in stage.own if o._id < top._id]
        after = [o for o in stage.own if o._id > top._id]
        return [(before, False), ([top], True), (after, False)]

    # runs

    def run(self, session: Any, feeds: Sequence[Any]) -> list[Any]:
        """The values of the fetches; `feeds` are arrays in the order of the plan's feeds."""
        values: dict[Tensor, Any] = dict(zip(self.feeds, feeds, strict=True))
        keys: dict[Operation, np.ndarray] = {}
        known: set[Tensor] = set()  # values that shapes alone decide
        stages, done = self.stages, 0
        while done < len(stages):
            stage = stages[done]
            try:
                if known:
                    with session.lock:
                        stage.static |= known.intersection(stage.inputs)
                stage.run(session, values, keys)
                known |= stage.constants
                done += 1
            except (NotKnown, NotTraced) as error:
                with session.lock:
                    if stage in self.stages:
                        self.split(stage, error)
            if self.stages is not stages:
                with session.lock:
                    stages, done = self._resumed(stages[:done], session, values, keys)
        return [
            self._fetched(session, values, fetch, tensor)
            for fetch, tensor in zip(self.fetches, self._copied, strict=True)
        ]

    def _resumed(
        self,
        ran: Sequence[Stage],
        session: Any,
        values: dict[Tensor, Any],
        keys: dict[Operation, np.ndarray],
    ) -> tuple[list[Stage], int]:
        """The stages after a split, by this run or another thread's, and how many are done."""
        finished = {op for stage in ran for op in stage.own}
        stages, done = self.stages, 0
        while done < len(stages) and finished.issuperset(stages[done].own):
            done += 1
        for stage in stages[:done]:
            self._complete(stage, stages[:done], session, values, keys)
        return stages, done

    def _complete(
        self,
        stage: Stage,
        ran: list[Stage],
        session: Any,
        values: dict[Tensor, Any],
        keys: dict[Operation, np.ndarray],
    ) -> None:
        """Compute the outputs of a stage that became wanted only after it had run."""
        missing = [t for t in stage.outputs if t not in values]
        if not missing:
            return
        members, needed, stack = set(stage.own), set[Operation](), [t.op for t in missing]
        while stack:
            op = stack.pop()
            if op in members and op not in needed:
                needed.add(op)
                stack += [self.alias(t).op for t in op.inputs]
        changed = {v for s in ran for op in s.own for v in touched(op)[0]}
        if any(changed & set().union(*touched(op)) for op in needed):
            raise GraphError(
                f"{missing[0].name} is needed again, but variables that it depends on were assigned"
            )
        part = Stage(self, sorted(needed, key=lambda op: op._id), False, static=stage.static)
        part.gather()
        part.outputs = missing
        part.run(session, values, keys)

    def _fetched(
        self, session: Any, values: dict[Tensor, Any], fetch: Tensor, tensor: Tensor
    ) -> Any:
        if tensor in values:
            return values[tensor]
        if fetch in values:
            return values[fetch]
        variable = variable_of(tensor)
        if variable is not None:
            if variable.outputs[0] in values:
                return values[variable.outputs[0]]
            return session.variable_value(variable)
        if tensor.op.type == "Const":
            return tensor.op._attrs["value"]
        raise UnsupportedOp(f"{fetch.name} cannot be fetched: {tensor.op.type} gives no value")


def _ordered(ops: list[Operation], fed: frozenset[Tensor]) -> list[Operation]:
    """Operations in the order of creation, unless one uses a later one: then that one first."""
    known = set(ops)
    place = {op: i for i, op in enumerate(ops)}
    needs = {
        op: [
            d
            for d in (*[t.op for t in op.inputs if t not in fed], *op.control_inputs)
            if d in known
        ]
        for op in ops
    }
    if all(place[d] < place[op] for op in ops for d in needs[op]):
        return ops
    order: dict[Operation, None] = {}
    for root in ops:
        stack = [root]
        while stack:
            waiting = [d for d in needs[stack[-1]] if d not in order and d not in stack]
            if waiting:
                stack.append(min(waiting, key=place.__getitem__))
            else:
                order[stack.pop()] = None
    return list(order)


def _fitting(level: int, kind: str) -> int:
    """The first level not before `level` that is of the kind: odd ones are on the host."""
    if kind == HOST:
        return level if level % 2 else level + 1
    if kind == DEVICE:
        return max(0, level + 1 if level % 2 else level)
    return level


def _reads_variable(op: Operation) -> bool:
    return op.type == "Identity" and op.name.endswith("/read") and _is_variable(op.inputs[0])


def _is_variable(tensor: Tensor) -> bool:
    return variable_of(tensor) is not None


def _computable(tensor: Tensor) -> bool:
    """Whether anode has the element type; a handle of a variable is no value at all."""
    dtype = tensor.dtype.base_dtype
    if dtype.name == "resource":
        return variable_of(tensor) is not None
    return dtype._row[3] is not None


def _holds(op: Operation, inner: Operation) -> bool:
    return any(body.within(inner) for body in bodies_of(op))


def touched(op: Operation) -> tuple[set[Operation], set[Operation]]:
    """The variables that an operation assigns, and those that it reads or may read."""
    changed: set[Operation] = set()
    used = {v for t in op.inputs if (v := variable_of(t)) is not None}
    if any(op._attrs.get(name) is not None for name in BODIES):
        bodies = bodies_of(op)
        changed |= {v for body in bodies for v in body.written()}
        used |= {v for body in bodies for t in body.captures() if (v := variable_of(t))}
    elif writes(op):
        changed |= {v for t in references(op) if (v := variable_of(t)) is not None}
    return changed, used


def ancestors(ops: Sequence[Operation], root: Operation) -> set[Operation]:
    """`root` and what it depends on among `ops`; all before it where variables are assigned."""
    members, seen, stack = set(ops), set[Operation](), [root]
    while stack:
        op = stack.pop()
        if op in seen or op not in members:
            continue
        seen.add(op)
        stack += [t.op for t in op.inputs] + op.control_inputs
    if any(touched(op)[0] for op in ops if op._id < root._id):
        return {op for op in ops if op._id <= root._id}
    return seen
