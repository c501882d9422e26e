"""Functions: graphs of their own that are called with arrays, as tf.data does for each element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.core import Graph, Operation, Tensor, get_default_graph
from anode.frontends.tensorflow.dtypes import DType
from anode.frontends.tensorflow.graph import convert_to_tensor, create
from anode.frontends.tensorflow.opdef import find
from anode.frontends.tensorflow.tensor_shape import TensorShape


class FunctionGraph(Graph):
    """The graph of a function: tensors of the graph outside become inputs of it."""

    def __init__(self, outer: Graph) -> None:
        super().__init__()
        self.outer = outer
        self.captured: dict[Tensor, Tensor] = {}
        self._seed = outer._seed
        self._building_function = True

    def _capture(self, tensor: Tensor) -> Tensor:
        found = self.captured.get(tensor)
        if found is None:
            with self.as_default(), self.control_dependencies(None):
                dtype = tensor.dtype.base_dtype
                found = create(find("_Arg"), [], {"T": dtype}, "captured", [dtype]).outputs[0]
                found._shape = tensor.shape
            self.captured[tensor] = found
        return found


@dataclass(eq=False)
class Function:
    """A function as a graph of its own; `captures` are tensors outside, given after arguments."""

    graph: FunctionGraph
    inputs: list[Tensor]
    outputs: list[Tensor]
    result: Any
    effects: list[Operation]

    @property
    def captures(self) -> list[Tensor]:
        return list(self.graph.captured)

    def call(self, session: Any, arrays: Sequence[Any], captured: Sequence[Any] = ()) -> list[Any]:
        """The outputs on arrays; `captured` are the values of `captures`."""
        from anode.frontends.tensorflow.plan import Plan

        plan = self.__dict__.get("_plan")
        if plan is None:
            feeds = (*self.inputs, *self.graph.captured.values())
            plan = self.__dict__["_plan"] = Plan(self.graph, self.outputs, self.effects, feeds)
        return list(plan.run(session, (*arrays, *captured)))


def function_graph(fn: Callable[..., Any], *specs: tuple[DType, Any]) -> Function:
    """Trace `fn` on placeholders, one for each (dtype, shape), into a graph of its own.

    `fn` may return any nested structure, kept as `result`; the outputs are its tensors in the order
    of flattening. Every operation with an effect that it makes runs with each call.
    """
    from anode.frontends.tensorflow.api import nest

    graph = FunctionGraph(get_default_graph())
    with graph.as_default():
        inputs = []
        for dtype, shape in specs:
            argument = create(find("_Arg"), [], {"T": dtype}, "Arg", [dtype]).outputs[0]
            argument._shape = TensorShape(shape)
            inputs.append(argument)
        result = fn(*inputs)
        outputs = [convert_to_tensor(value) for value in nest.flatten(result)]
        outputs = [t if t.graph is graph else graph._capture(t) for t in outputs]
    effects = [op for op in graph._operations if op._definition.stateful and op.type != "_Arg"]
    return Function(graph, inputs, outputs, result, effects)
