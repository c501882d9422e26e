"""Transformers: they hold the values of states and run computations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence, Set
from typing import Any, ClassVar

import numpy as np

from anode.errors import UnsupportedOp
from anode.frontends.ngraph.op_graph.lowering import Lowered, lower
from anode.frontends.ngraph.op_graph.op import Op, as_op
from anode.frontends.ngraph.op_graph.state import (
    AssignableTensorOp,
    ComputationOp,
    as_value,
    computation,
)
from anode.frontends.ngraph.util.names import NameableValue
from anode.frontends.ngraph.util.ordered import OrderedSet
from anode.frontends.report import executable
from anode.ir.dtypes import dtype_of
from anode.ir.types import TensorType
from anode.ir.variable import Variable
from anode.runtime.executable import Executable
from anode.runtime.state import State

logger = logging.getLogger(__name__)


class UnsupportedTransformerException(Exception):
    """A transformer that is not there."""


class Computation(NameableValue):
    """A computation to be called with values of its parameters, or with `feed_dict=`.

    It is compiled when it is first called, and again for other lengths of axes. The result is like
    `returns`: an array for an op, a tuple for a list, a dict for a set; None for ops without value.
    Arrays are the caller's.
    """

    def __init__(self, transformer: Transformer, computation_op: ComputationOp) -> None:
        super().__init__(None)
        self.transformer, self.computation_op = transformer, computation_op
        self._compiled: dict[Any, tuple[Lowered, Executable]] = {}

    def compile(self) -> Executable:
        """The compiled computation, for the lengths that axes have now."""
        return self._ready()[1]

    def _ready(self) -> tuple[Lowered, Executable]:
        parameters = self.computation_op.parameters
        key = tuple([parameter.tensor.axes.lengths for parameter in parameters])
        if key not in self._compiled:
            if not self._compiled:
                self.transformer.run_registered_graph_passes(self.computation_op)
            lowered = lower(self.computation_op, self.transformer)
            what = ", ".join(op.tensor.name for op in self.computation_op.values)
            self._compiled[key] = lowered, executable(lowered.graph, what or self.name)
        return self._compiled[key]

    def unpack_args_or_feed_dict(self, args: Sequence[Any], feed_dict: Any) -> Sequence[Any]:
        """The values of the parameters in order."""
        parameters = self.computation_op.parameters
        if feed_dict is not None:
            if args:
                raise ValueError("a computation is called with positional values or a feed_dict")
            missing = [p.tensor.name for p in parameters if p.tensor not in feed_dict]
            if missing:
                raise ValueError(f"the feed_dict has no value for {', '.join(missing)}")
            return [feed_dict[parameter.tensor] for parameter in parameters]
        if len(args) != len(parameters):
            names = ", ".join(p.tensor.name for p in parameters)
            raise ValueError(
                f"the computation takes {len(parameters)} values ({names}), got {len(args)}"
            )
        return args

    def __call__(self, *args: Any, feed_dict: Any = None) -> Any:
        values = self.unpack_args_or_feed_dict(args, feed_dict)
        lowered, executable = self._ready()
        held: dict[AssignableTensorOp, np.ndarray] = {}
        for parameter, value in zip(self.computation_op.parameters, values, strict=True):
            tensor = parameter.tensor
            array = as_value(value, tensor)
            if tensor.is_placeholder:
                held[tensor] = array
            else:
                self.transformer.state[self.transformer.variable(tensor)] = array
        inputs = [held[tensor] for tensor in lowered.parameters]
        for place, bound in lowered.bounds:
            bound.check(inputs[place])
        drawn = [draw.sample() for draw in lowered.draws]
        found = executable(*inputs, *drawn, state=self.transformer.state)
        return self._result(lowered, found)

    def _result(self, lowered: Lowered, found: Sequence[np.ndarray]) -> Any:
        outputs = dict(zip(lowered.outputs, found, strict=False))
        for op, value in zip(lowered.prints, found[len(outputs) :], strict=True):
            op.show(value)
        computation = self.computation_op
        listed = [outputs.get(op) for op in computation.values]
        self.transformer.last.update(zip(computation.returned, listed, strict=True))
        returns = computation.returns
        if isinstance(returns, Op):
            return listed[0]
        if isinstance(returns, Set) and not isinstance(returns, OrderedSet):
            return dict(zip(computation.returned, listed, strict=True))
        return None if returns is None else tuple(listed)


def _is_held(tensor: AssignableTensorOp) -> bool:
    return tensor.is_persistent and not (tensor.is_constant or tensor.is_placeholder)


class Transformer:
    """The values of states, and the computations that share them.

    `transformer_name` is what `make_transformer_factory` calls it.
    """

    transformers: ClassVar[dict[str, Any]] = {}
    transformer_name: ClassVar[str] = ""
    default_rtol = 1e-5
    default_atol = 1e-8

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.transformer_name:
            Transformer.transformers[cls.transformer_name] = cls

    def __init__(self, **kwargs: Any) -> None:
        if kwargs:
            raise TypeError(f"the transformer {self.transformer_name} takes no {list(kwargs)}")
        self.state = State()
        self.computations = OrderedSet()
        self.graph_passes: list[Any] = []
        self.last: dict[Any, Any] = {}  # what the last call of a computation gave, by op
        self._variables: dict[AssignableTensorOp, Variable] = {}

    def variable(self, tensor: AssignableTensorOp) -> Variable:
        """The variable that a state is; it has its initial value, or zeros, from the start."""
        type = TensorType(dtype_of(tensor.dtype), tensor.axes.lengths)
        if tensor in self._variables and self._variables[tensor].type != type:
            raise ValueError(
                f"{tensor.name} ({tensor.origin}) is {self._variables[tensor].type}; "
                f"its axes have other lengths now: {tensor.axes}"
            )
        if tensor not in self._variables:
            made = Variable(f"{tensor.name}.{tensor.number}", type, None, tensor.is_trainable)
            value = 0 if tensor.initial_value is None else tensor.initial_value
            self.state[made] = as_value(value, tensor)
            self._variables[tensor] = made
        return self._variables[tensor]

    def computation(self, results: Any, *parameters: Any) -> Computation:
        """A function of the parameters: placeholders, variables, or "all" for all placeholders."""
        return self.add_computation(computation(results, *parameters))

    def add_computation(self, computation: ComputationOp) -> Computation:
        """The function that an `ng.computation` describes."""
        made = self.make_computation(computation)
        self.computations.add(made)
        return made

    def make_computation(self, computation: ComputationOp) -> Computation:
        return Computation(self, computation)

    def initialize(self) -> None:
        """Give the states of all computations their initial values, if they have none yet."""
        for made in self.computations:
            for op in Op.ordered_ops([made.computation_op]):
                tensor = op.tensor
                if isinstance(tensor, AssignableTensorOp) and _is_held(tensor):
                    self.variable(tensor)

    def register_graph_pass(self, graph_pass: Any, position: int | None = None) -> None:
        """Call `graph_pass` with the ops of each computation before it is compiled."""
        at = len(self.graph_passes) if position is None else position
        self.graph_passes.insert(at, graph_pass)

    def run_registered_graph_passes(self, computation: ComputationOp) -> None:
        for graph_pass in self.graph_passes:
            graph_pass.wrapped_do_pass(ops=OrderedSet([computation]), transformer=self)

    def get_tensor_view_value(self, op: Any, host_tensor: Any = None) -> np.ndarray:
        """The value of a state, or what an op gave when it was last computed."""
        tensor = as_op(op).tensor
        if tensor.is_state_op and tensor in self._variables:
            value = self.state[self._variables[tensor]]
        elif op in self.last:
            value = self.last[op]
        else:
            raise ValueError(f"{op.name} has no value: no computation returned it yet")
        if host_tensor is None:
            return np.array(value)
        host_tensor[...] = value
        return np.asarray(host_tensor)

    def set_tensor_value(self, op: Any, value: Any) -> None:
        """Give a state a value."""
        tensor = as_op(op).tensor
        self.state[self.variable(tensor)] = as_value(value, tensor)

    def set_output_statistics_file(self, statistics_file: Any) -> None:
        """Statistics of number formats are flex's; there are none."""

    def save_output_statistics_file(self) -> None:
        """Statistics of number formats are flex's; there are none."""

    def close(self) -> None:
        """Let go of the values of states."""
        self.state = State()
        self._variables, self.last = {}, {}
        self.computations = OrderedSet()

    @classmethod
    def get_default_tolerance(cls, desired: Any) -> tuple[float, float]:
        """The absolute and relative tolerance that results are compared with."""
        return cls.default_atol, cls.default_rtol


class CPUTransformer(Transformer):
    """Computations as native code of this machine's processor."""

    transformer_name = "cpu"


class HetrTransformer(Transformer):
    """What spreads ops over processes in the original; here one process runs them all.

    Results are the same: the metadata `device_id` and `parallel` only say where work is done.
    """

    transformer_name = "hetr"

    def __init__(self, device: str = "cpu", **kwargs: Any) -> None:
        if device != "cpu":
            raise UnsupportedTransformerException(
                f"hetr with device={device!r}: anode runs on the processor, use device='cpu'"
            )
        super().__init__(**kwargs)
        logger.info("hetr: one process runs the ops of all devices")


NEON3 = {"ngcpu": "cpu", "nginterp": "cpu", "nggpu": "gpu"}  # its names of what runs here


class _Chosen:
    """The factory that `make_transformer` calls."""

    factory: Callable[[], Transformer]


def make_transformer() -> Transformer:
    """A transformer of the factory that was set, by default the processor's."""
    return _Chosen.factory()


def set_transformer_factory(factory: Callable[[], Transformer]) -> None:
    """Let `make_transformer` call `factory`."""
    _Chosen.factory = staticmethod(factory)


def transformer_choices() -> list[str]:
    """The names of transformers."""
    return sorted(Transformer.transformers)


def allocate_transformer(name: str, **kargs: Any) -> Transformer:
    """A transformer by name, ngraph's or neon 3's; ValueError for one that is not there."""
    name = NEON3.get(name, name)
    if name not in Transformer.transformers:
        known = ", ".join(f"'{choice}'" for choice in transformer_choices())
        raise ValueError(f"there is no transformer {name!r}; transformer must be one of ({known})")
    made: Transformer = Transformer.transformers[name](**kargs)
    return made


def make_transformer_factory(name: str, **kargs: Any) -> Callable[[], Transformer]:
    """A function that makes transformers called `name`."""

    def factory() -> Transformer:
        return allocate_transformer(name, **kargs)

    factory.name = name  # type: ignore[attr-defined]
    return factory


def transformer_name() -> str:
    """The name of the transformers that the factory that was set makes."""
    name = str(getattr(_Chosen.factory, "name", ""))
    return NEON3.get(name, name)


def unsupported(what: str, instead: str) -> UnsupportedOp:
    return UnsupportedOp(f"{what} is not run by anode; {instead}")


set_transformer_factory(make_transformer_factory("cpu"))
