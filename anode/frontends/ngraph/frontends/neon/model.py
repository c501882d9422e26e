"""Containers of layers, and computations by names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.graph import SubGraph


class Parallel(SubGraph):
    """Branches of one input, their results joined along the channels or `merge_axis`.

    With mode=None the results are a list. NotImplementedError for other modes.
    """

    def __init__(
        self,
        branches: Sequence[Callable[..., Any]],
        name: str | None = None,
        mode: str | None = "concat",
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, **kwargs)
        if mode not in (None, "concat"):
            raise NotImplementedError(f"mode of Parallel is 'concat' or None, not {mode!r}")
        self.branches = branches
        self.mode = mode

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, merge_axis: Any = None) -> Any:
        outputs = [branch(in_obj) for branch in self.branches]
        if self.mode is None:
            return outputs
        axes = outputs[0].axes
        if merge_axis is None:
            merge_axis = axes.channel_axis()
        elif isinstance(merge_axis, str):
            merge_axis = axes.find_by_name(merge_axis)[0]
        return ng.concat_along_axis(outputs, merge_axis)


class Sequential(SubGraph):
    """Layers one after the other."""

    def __init__(
        self, layers: Sequence[Callable[..., Any]], name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.layers = layers

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, **kwargs: Any) -> Any:
        for layer in self.layers:
            in_obj = layer(in_obj, **kwargs)
        return in_obj


class ResidualModule:
    """The sum of a main path and a side path of one input; without a side path, the input itself.

    ValueError where the axes of the two differ.
    """

    def __init__(
        self, main_path: Callable[[Any], Any], side_path: Callable[[Any], Any] | None = None
    ) -> None:
        self.main_path = main_path
        self.side_path = side_path

    def __call__(self, in_obj: Any) -> Any:
        main = self.main_path(in_obj)
        side = in_obj if self.side_path is None else self.side_path(in_obj)
        if main.axes != side.axes or main.axes.lengths != side.axes.lengths:
            raise ValueError(f"the paths' axes differ: {main.axes} and {side.axes}")
        return main + side


class Container:
    """Inputs and outputs of graphs by their names."""

    def __init__(
        self, inputs: Mapping[str, Any] | None = None, outputs: Mapping[str, Any] | None = None
    ) -> None:
        self.inputs = dict(inputs or {})
        self.outputs = dict(outputs or {})

    def add(self, rhs: Container) -> Container:
        """Both containers' names; those of `rhs` count where they are equal."""
        return Container(self.inputs | rhs.inputs, self.outputs | rhs.outputs)

    def subset(self, inputs: Iterable[str] = (), outputs: Iterable[str] = ()) -> Container:
        """The named inputs and outputs alone."""
        return Container(_only(self.inputs, set(inputs)), _only(self.outputs, set(outputs)))


def _only(ops: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: op for name, op in ops.items() if name in names}


class BoundComputation:
    """A computation that is called with a dict of arrays and gives a dict of arrays.

    Arrays under other names than those of the inputs are left out.
    """

    def __init__(
        self, transformer: Any, named_outputs: dict[str, Any], named_inputs: dict[str, Any]
    ) -> None:
        self.input_keys = tuple(sorted(named_inputs))
        self.output_keys = tuple(sorted(named_outputs))
        self.num_outputs = len(self.output_keys)
        outputs = [named_outputs[key] for key in self.output_keys]
        inputs = [named_inputs[key] for key in self.input_keys]
        self.comp_func = transformer.computation(outputs, *inputs)

    def __call__(self, named_buffers: Mapping[str, Any]) -> dict[str, Any]:
        results = self.comp_func(*(named_buffers[key] for key in self.input_keys))
        return dict(zip(self.output_keys, results, strict=True))


def make_bound_computation(
    transformer: Any, named_outputs: dict[str, Any], named_inputs: dict[str, Any]
) -> BoundComputation:
    """A computation of `named_outputs`, called with a dict of the arrays of `named_inputs`."""
    return BoundComputation(transformer, named_outputs, named_inputs)
