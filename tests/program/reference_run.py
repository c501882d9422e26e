"""Programs run with NumPy over a real arena: the oracle of schedules and plans."""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import numpy as np

from anode.ir.graph import Graph
from anode.ir.node import CONSTANT, INPUT, ITEM, READ, Node, constant_value
from anode.ir.types import TupleType
from anode.ir.variable import Variable
from anode.ops.evaluate import evaluate
from anode.passes.kernel import KERNEL
from anode.program.program import Program, Step

Array = np.ndarray
State = Mapping[Variable, Array]
Call = Callable[[int, Sequence[Array]], Sequence[Array]]  # runs nested graph i


def run_program(
    program: Program, inputs: Sequence[Array], state: State | None = None, seed: int | None = None
) -> list[Array]:
    """The outputs; updated variables change in place in `state`.

    The steps run in list order or, given a seed, in a random one of those that `after` allows.
    Memory starts as garbage, which shows in the results if a step reads it.
    """
    state = state or {}
    arena = np.full(program.arena, 0xA5, np.uint8)
    memory = [_memory(buffer, arena) for buffer in program.buffers]
    for i, value in zip(program.inputs, inputs, strict=True):
        memory[i] = np.asarray(value).copy()
    for variable, i in program.variables:
        memory[i] = state[variable]
    for i in _order(program, seed):
        step = program.steps[i]
        if step.workspace is not None:
            memory[step.workspace][...] = 0x5A
        results = _results(step, [memory[b] for b in step.reads], seed)
        for b, value in zip(step.writes, [np.array(v) for v in results], strict=True):
            memory[b][...] = value
    return [memory[i] for i in program.outputs]


def _memory(buffer: Any, arena: Array) -> Array:
    type = buffer.type
    if buffer.kind == "constant":
        return np.frombuffer(buffer.data, type.dtype.numpy).reshape(type.static)
    if buffer.kind == "temporary":
        data = arena[buffer.offset : buffer.offset + type.bytes]
    else:
        data = np.full(type.bytes, 0xA5, np.uint8)
    return data.view(type.dtype.numpy).reshape(type.static)


def _order(program: Program, seed: int | None) -> list[int]:
    if seed is None:
        return list(range(len(program.steps)))
    random, order = Random(seed), list[int]()
    waiting = {i: set(step.after) for i, step in enumerate(program.steps)}
    while waiting:
        chosen = random.choice([i for i, after in waiting.items() if not after])
        del waiting[chosen]
        order.append(chosen)
        for after in waiting.values():
            after.discard(chosen)
    return order


def _results(step: Step, args: list[Array], seed: int | None) -> Sequence[Array]:
    if step.kind == "copy":
        return args
    return node_results(
        step.node, args, lambda i, values: run_program(step.programs[i], values, seed=seed)
    )


def node_results(node: Node, args: Sequence[Array], call: Call) -> Sequence[Array]:
    """What a kernel or opaque node gives; `call` runs its nested graphs."""
    if node.op is KERNEL:
        return evaluate(node.attrs["body"], args)[0]
    if node.op.name in ("cond", "while", "scan"):
        return {"cond": _cond, "while": _while, "scan": _scan}[node.op.name](node, args, call)
    value = node.op.evaluate_op(tuple(args), node.attrs, node.type)
    return value if isinstance(node.type, TupleType) else (value,)


def _cond(node: Node, args: Sequence[Array], call: Call) -> Sequence[Array]:
    index, last = int(args[0]), len(node.attrs["branches"]) - 1
    return call(index if 0 <= index <= last else last, args[1:])


def _while(node: Node, args: Sequence[Array], call: Call) -> Sequence[Array]:
    carries = node.attrs["carries"]
    carry, rest, trips = list(args[:carries]), list(args[carries:]), node.attrs["max_trips"]
    while (trips is None or trips > 0) and call(0, [*carry, *rest])[0]:
        carry = list(call(1, [*carry, *rest]))
        trips = None if trips is None else trips - 1
    return carry


def _scan(node: Node, args: Sequence[Array], call: Call) -> Sequence[Array]:
    c, s, length = (node.attrs[name] for name in ("carries", "sequences", "length"))
    carry, sequences, rest = list(args[:c]), args[c : c + s], list(args[c + s :])
    indices = range(length)[:: -1 if node.attrs["reverse"] else 1]
    slices: dict[int, Sequence[Array]] = {}
    for i in indices:
        results = call(0, [*carry, *(x[i] for x in sequences), *rest])
        carry, slices[i] = list(results[:c]), results[c:]
    return [*carry, *(np.stack(x) for x in zip(*(slices[i] for i in range(length)), strict=True))]


def evaluate_fused(
    graph: Graph, inputs: Sequence[Array], state: State | None = None
) -> tuple[list[Array], dict[Variable, Array]]:
    """The outputs and new variables of a fused graph, as its values say."""
    state = state or {}
    values: dict[Node, Any] = {}
    for node in graph.nodes:
        if node.op is INPUT:
            values[node] = inputs[node.attrs["index"]]
        elif node.op is READ:
            values[node] = state[node.attrs["variable"]].copy()
        elif node.op is CONSTANT:
            values[node] = constant_value(node)
        elif node.op is ITEM:
            values[node] = values[node.args[0]][node.attrs["index"]]
        else:
            graphs = _nested(node)
            args = [values[arg] for arg in node.args]
            results = node_results(node, args, lambda i, x, g=graphs: evaluate_fused(g[i], x)[0])
            values[node] = results if isinstance(node.type, TupleType) else results[0]
    updates = {variable: values[node] for variable, node in graph.updates}
    return [values[node] for node in graph.outputs], updates


def _nested(node: Node) -> list[Graph]:
    found = [v for v in node.attrs.values() if isinstance(v, (Graph, tuple))]
    return [g for v in found for g in (v if isinstance(v, tuple) else (v,)) if isinstance(g, Graph)]
