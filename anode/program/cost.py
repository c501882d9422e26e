"""What a step costs: floating-point operations, bytes, and an estimate of its time.

FLOPs are two for each multiply and add of a product, one for each element of a floating-point
elementwise op, and one for each element that is reduced; movement, selection and integers count
nothing. Bytes count each buffer of a step once, as if nothing stayed in a cache.
"""

from __future__ import annotations

from anode.ir.graph import Graph
from anode.ir.node import Node
from anode.ir.types import TensorType
from anode.ops.declare import Composite, Elementwise
from anode.passes.kernel import KERNEL
from anode.program.program import Program, Step

SELECTION = ("select", "stop_gradient", "convert", "copy")  # elementwise ops without arithmetic

# Rates of a desktop processor; what is compared with them is other steps on the same machine.
FLOPS_PER_SECOND, BYTES_PER_SECOND, SECONDS_PER_STEP = 1.5e11, 2e10, 2e-6


def seconds(program: Program, step: Step) -> float:
    """An estimate of a step's time: by its arithmetic or by its bytes, whichever takes longer."""
    buffers = dict.fromkeys((*step.reads, *step.writes))
    moved = sum(program.buffers[b].type.bytes for b in buffers)
    return SECONDS_PER_STEP + max(flops(step.node) / FLOPS_PER_SECOND, moved / BYTES_PER_SECOND)


REPEATED = ("scan", "scan_parts", "row_parts")


def flops(node: Node) -> int:
    """Floating-point operations of a node of static type; 0 for ops that count none.

    What runs as often as data say, or is one of several branches, counts none either.
    """
    name, type = node.op.name, node.type
    if node.op is KERNEL:
        return _within(node.attrs["body"])
    if isinstance(node.op, Composite):
        return _within(node.op.body(tuple([arg.type for arg in node.args]), node.attrs))
    if hasattr(node.op, "flops"):
        return int(node.op.flops(node))
    if name in REPEATED:
        times = int(node.attrs.get("length", 1)) * int(node.attrs.get("parts", 1))
        return times * _within(node.attrs["body"])
    if name == "reduce":
        return sum(arg.tensor.size.__index__() for arg in node.args[: len(node.args) // 2])
    if not isinstance(type, TensorType):
        return 0
    if name == "dot_general":
        contracted = 1
        for axis in node.attrs["contract"][0]:
            contracted *= node.args[0].tensor.static[axis]
        return 2 * type.size.__index__() * contracted
    if isinstance(node.op, Elementwise) and type.dtype.is_float and name not in SELECTION:
        return type.size.__index__()
    return 0


def _within(body: Graph) -> int:
    return sum(map(flops, body.nodes))


# Rates of the reference backend, which calls NumPy op by op.
REFERENCE_FLOPS, SECONDS_PER_OP, SECONDS_PER_ELEMENT = 2e9, 20e-6, 2e-9
DRAWING = ("random_bits", "normal", "truncated_normal", "uniform")
SECONDS_PER_NUMBER, TRIPS = 100e-9, 20  # of a loop whose length is not known


def reference_seconds(graph: Graph) -> float:
    """An estimate of a graph's time on the reference backend, the same in every run."""
    total = 1e-6
    for node in graph.nodes:
        if node.op.name in ("scan", "while", "cond"):
            trips = 1 if node.op.name == "cond" else node.attrs.get("length", TRIPS)
            total += trips * sum(map(reference_seconds, _graphs(node)))
        size = node.type.size.__index__() if isinstance(node.type, TensorType) else 0
        slow = SECONDS_PER_NUMBER if node.op.name in DRAWING else SECONDS_PER_ELEMENT
        total += SECONDS_PER_OP + slow * size + flops(node) / REFERENCE_FLOPS
    return total


def _graphs(node: Node) -> list[Graph]:
    values = [v for value in node.attrs.values() for v in _listed(value)]
    return [value for value in values if isinstance(value, Graph)]


def _listed(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)
