"""tf.Variable: state of a session, with the operations, names and collections TensorFlow makes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from anode.frontends.tensorflow.api import state_ops
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.core import DUNDERS, Graph
from anode.frontends.tensorflow.dtypes import DType, as_dtype
from anode.frontends.tensorflow.graph import (
    Operation,
    Tensor,
    apply,
    convert_to_tensor,
    get_default_graph,
    name_scope,
    register_tensor_conversion_function,
)
from anode.frontends.tensorflow.opdef import export, shown_in
from anode.frontends.tensorflow.tensor_shape import TensorShape


@contextmanager
def init_scope() -> Iterator[None]:
    """Build in the graph outside of all functions, bodies of loops and control dependencies."""
    graph = get_default_graph()
    outer = root_graph(graph)
    scope, context = graph.get_name_scope(), outer._context
    with ExitStack() as stack:
        if outer is not graph:
            stack.enter_context(outer.as_default())
            stack.enter_context(outer.name_scope(scope + "/" if scope else None))
        stack.enter_context(outer.control_dependencies(None))
        outer._context = None
        try:
            yield
        finally:
            outer._context = context


export("init_scope", "python.framework.ops.init_scope")(init_scope)


def root_graph(graph: Graph | None = None) -> Graph:
    """The graph that functions and bodies, the default graph among them, belong to."""
    from anode.frontends.tensorflow.function import FunctionGraph

    found = graph or get_default_graph()
    while isinstance(found, FunctionGraph):
        found = found.outer
    return found


@export("VariableSynchronization")
class VariableSynchronization:
    AUTO, NONE, ON_WRITE, ON_READ = range(4)


@export("VariableAggregation")
class VariableAggregation:
    NONE, SUM, MEAN, ONLY_FIRST_REPLICA = range(4)


CREATORS = ("variable creators",)  # the collection of functions that make variables instead


class _Created(type):
    """Variables are made by the creators of the scopes around, the innermost called first."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        creators = root_graph().get_collection(CREATORS)
        if cls is not Variable or not creators:
            return super().__call__(*args, **kwargs)
        bound = inspect.signature(Variable.__init__).bind(None, *args, **kwargs)
        bound.apply_defaults()
        given = {key: value for key, value in bound.arguments.items() if key != "self"}
        create: Callable[..., Any] = super().__call__
        for creator in creators:
            create = functools.partial(creator, create)
        return create(**given)


@export("variable_creator_scope", "python.ops.variable_scope.variable_creator_scope")
@contextmanager
def variable_creator_scope(variable_creator: Callable[..., Any]) -> Iterator[None]:
    """Variables are made by `variable_creator(next_creator, **kwargs)` inside."""
    creators = root_graph().get_collection_ref(CREATORS)
    creators.append(variable_creator)
    try:
        yield
    finally:
        creators.pop()


@shown_in("python.ops.variables")
@export("Variable", "python.ops.variables.Variable", "python.ops.variables.RefVariable")
class Variable(metaclass=_Created):
    """State that runs of a session share: an initial value, its operations, and a place in lists.

    The operations are TensorFlow's: the variable `W`, `W/Assign` and `W/read`. ValueError where
    the initial value is missing or its shape unknown (unless `validate_shape` is False).
    """

    __array_priority__ = 100
    SaveSliceInfo: Any = None  # set below

    def __new__(cls, *args: Any, use_resource: bool | None = None, **kwargs: Any) -> Any:
        if cls is Variable and (_resources[0] if use_resource is None else use_resource):
            return object.__new__(ResourceVariable)
        return object.__new__(cls)

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool | None = None,
        collections: Any = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        expected_shape: Any = None,
        import_scope: str | None = None,
        constraint: Callable[[Any], Any] | None = None,
        use_resource: bool | None = None,
        synchronization: Any = VariableSynchronization.AUTO,
        aggregation: Any = VariableAggregation.NONE,
        shape: Any = None,
    ) -> None:
        self._caching_device = caching_device
        self._save_slice_info: SaveSliceInfo | None = None
        if variable_def is not None:
            if initial_value is not None:
                raise ValueError("variable_def and initial_value are mutually exclusive.")
            self._init_from_proto(variable_def, import_scope)
            return
        if initial_value is None:
            raise ValueError("initial_value must be specified.")
        if constraint is not None and not callable(constraint):
            raise ValueError("The `constraint` argument must be a callable.")
        self._trainable = trainable is not False
        self._constraint, self._synchronization = constraint, synchronization
        self._aggregation = aggregation
        wanted = None if dtype is None else as_dtype(dtype).base_dtype
        declared = expected_shape if shape is None else shape
        with init_scope():
            self._build(initial_value, wanted, declared, validate_shape, name)
        self._collect(collections)

    def _build(
        self, initial: Any, dtype: DType | None, shape: Any, validate: bool, name: str | None
    ) -> None:
        with name_scope(name, "Variable", [] if callable(initial) else [initial]) as scope:
            if callable(initial):
                with name_scope("Initializer"):
                    initial = initial()
                    value = convert_to_tensor(initial, dtype, name="initial_value")
            else:
                value = convert_to_tensor(initial, dtype, name="initial_value")
            self._initial_value = value
            known = value.get_shape() if shape is None else TensorShape(shape)
            if validate and not known.is_fully_defined():
                raise ValueError(
                    f"initial_value must have a shape specified: {value!s}"
                    if shape is None
                    else f"the shape of the variable must be known, not {known}"
                )
            if validate:
                known.assert_is_compatible_with(value.get_shape())
            else:
                known = TensorShape(None) if shape is None else known
            self._make(value, known, validate, scope)

    def _make(self, value: Tensor, shape: TensorShape, validate: bool, scope: str) -> None:
        """The operations of the variable in the scope that bears its name."""
        self._variable: Tensor = apply(
            "VariableV2", shape=shape, dtype=value.dtype.base_dtype, name=scope
        )
        self._initializer_op: Operation = apply(
            "Assign", self._variable, value, validate_shape=validate, use_locking=True
        ).op
        self._snapshot: Tensor = apply("Identity", self._variable, name="read")
        if not validate:
            self._snapshot.set_shape(value.get_shape())

    def _collect(self, collections: Any) -> None:
        names = [GraphKeys.GLOBAL_VARIABLES] if collections is None else collections
        if not isinstance(names, (list, tuple, set)):
            raise ValueError(
                "collections argument to Variable constructor must be a list, tuple, or set. Got "
                f"{collections} of type {type(collections)}"
            )
        names = list(names)
        if self._trainable and GraphKeys.TRAINABLE_VARIABLES not in names:
            names.append(GraphKeys.TRAINABLE_VARIABLES)
        self.graph.add_to_collections(names, self)

    def _init_from_proto(self, proto: Any, import_scope: str | None) -> None:
        graph = get_default_graph()

        def element(name: str) -> Any:
            return graph.as_graph_element(f"{import_scope}/{name}" if import_scope else name)

        self._variable = element(proto.variable_name)
        self._initializer_op = element(proto.initializer_name)
        self._initial_value = (
            element(proto.initial_value_name) if proto.initial_value_name else None  # type: ignore
        )
        self._snapshot = element(proto.snapshot_name)
        self._trainable, self._constraint = bool(proto.trainable), None
        self._synchronization, self._aggregation = proto.synchronization, proto.aggregation
        if proto.save_slice_info_def is not None and proto.save_slice_info_def.full_name:
            self._save_slice_info = SaveSliceInfo(save_slice_info_def=proto.save_slice_info_def)

    # what it is

    @property
    def name(self) -> str:
        return self._variable.name

    @property
    def _shared_name(self) -> str:
        return self.op.name

    @property
    def op(self) -> Operation:
        return self._variable.op

    @property
    def graph(self) -> Graph:
        return self._variable.graph

    @property
    def device(self) -> str:
        return self._variable.device

    @property
    def dtype(self) -> DType:
        return self._variable.dtype

    @property
    def shape(self) -> TensorShape:
        return self._variable.get_shape()

    def get_shape(self) -> TensorShape:
        return self.shape

    def set_shape(self, shape: Any) -> None:
        self._variable.set_shape(shape)
        self.value().set_shape(shape)

    @property
    def trainable(self) -> bool:
        return self._trainable

    @property
    def constraint(self) -> Any:
        return self._constraint

    @property
    def synchronization(self) -> Any:
        return self._synchronization

    @property
    def aggregation(self) -> Any:
        return self._aggregation

    @property
    def initializer(self) -> Operation:
        return self._initializer_op

    @property
    def initial_value(self) -> Any:
        return self._initial_value

    @property
    def _in_graph_mode(self) -> bool:
        return True

    # reading

    def value(self) -> Tensor:
        return self._snapshot

    def read_value(self) -> Tensor:
        """The value here: after what the control dependencies name, whatever was read before."""
        read: Tensor = apply("Identity", self._variable, name="read")
        return read

    def _ref(self) -> Tensor:
        return self._variable

    def _as_graph_element(self) -> Tensor:
        return self._variable

    def initialized_value(self) -> Tensor:
        """The value of the variable if it has one, else its initial value."""
        from anode.frontends.tensorflow.control import cond_op

        with init_scope():
            ready = state_ops.is_variable_initialized(self)
            found = cond_op(ready, lambda: [self.read_value()], lambda: [self.initial_value])
        return found[0] if isinstance(found, (list, tuple)) else found

    def eval(self, session: Any = None) -> Any:
        return self._snapshot.eval(session=session)

    # changing

    def assign(
        self,
        value: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        changed = state_ops.assign(self, value, use_locking=use_locking, name=name)
        return changed if read_value else changed.op

    def assign_add(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        changed = state_ops.assign_add(self, delta, use_locking, name)
        return changed if read_value else changed.op

    def assign_sub(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        changed = state_ops.assign_sub(self, delta, use_locking, name)
        return changed if read_value else changed.op

    def count_up_to(self, limit: int) -> Any:
        return state_ops.count_up_to(self, limit)

    def load(self, value: Any, session: Any = None) -> None:
        """Set the variable to a Python value without an operation of its own."""
        from anode.frontends.tensorflow.core import get_default_session

        session = session or get_default_session()
        if session is None:
            raise ValueError(
                "Either session argument should be provided or default session should be "
                "established"
            )
        assigned = self.initializer.inputs[1]
        session.run(self.initializer, {assigned: value})

    def __getitem__(self, spec: Any) -> Tensor:
        """A slice of the value; its `assign` sets that part of the variable."""
        part: Tensor = self.value()[spec]

        def assign(value: Any, name: str | None = None) -> Any:
            attrs = {k: v for k, v in part.op._attrs.items() if k.endswith("_mask")}
            with name_scope(name, None) if name else name_scope(part.op.name + "/"):
                return state_ops._changed(
                    "StridedSliceAssign",
                    self,
                    *part.op.inputs[1:],
                    value,
                    name=name or "_assign",
                    **attrs,
                )

        part.assign = assign  # type: ignore[attr-defined]
        return part

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("'Variable' object is not iterable.")

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def experimental_ref(self) -> Variable:
        return self

    def __repr__(self) -> str:
        return f"<tf.Variable '{self.name}' shape={self.get_shape()} dtype={self.dtype.name}>"

    # partitions and protocol buffers

    def _set_save_slice_info(self, info: Any) -> None:
        self._save_slice_info = info

    def _get_save_slice_info(self) -> Any:
        return self._save_slice_info

    def to_proto(self, export_scope: str | None = None) -> Any:
        """The VariableDef of the variable, or None outside of `export_scope`."""
        from anode.frontends.tensorflow.api.meta_graph import variable_def

        return variable_def(self, export_scope)

    @staticmethod
    def from_proto(variable_def: Any, import_scope: str | None = None) -> Variable:
        cls = ResourceVariable if variable_def.is_resource else Variable
        found = object.__new__(cls)
        found._caching_device, found._save_slice_info = None, None
        found._init_from_proto(variable_def, import_scope)
        return found


def _scatter_method(name: str) -> Callable[..., Any]:
    def scatter(
        self: Variable, sparse_delta: Any, use_locking: bool = False, name: str | None = None
    ) -> Any:
        if not hasattr(sparse_delta, "indices"):
            raise TypeError(f"sparse_delta is not IndexedSlices: {sparse_delta}")
        change = getattr(state_ops, method)
        return change(self, sparse_delta.indices, sparse_delta.values, use_locking, name)

    method = name
    scatter.__name__ = name
    return scatter


def _scatter_nd_method(name: str) -> Callable[..., Any]:
    def scatter(self: Variable, indices: Any, updates: Any, name: str | None = None) -> Any:
        return getattr(state_ops, method)(self, indices, updates, name=name)

    method = name
    scatter.__name__ = name
    return scatter


def _operator_method(name: str) -> Callable[..., Any]:
    def call(self: Variable, *args: Any) -> Any:
        return getattr(self.value(), name)(*args)

    call.__name__ = name
    return call


for _name in ("add", "sub", "update", "mul", "div", "min", "max"):
    setattr(Variable, f"scatter_{_name}", _scatter_method(f"scatter_{_name}"))
for _name in ("scatter_nd_add", "scatter_nd_sub", "scatter_nd_update"):
    setattr(Variable, _name, _scatter_nd_method(_name))
for _name in DUNDERS:
    if _name != "__getitem__":
        setattr(Variable, _name, _operator_method(_name))


@shown_in("python.ops.resource_variable_ops")
@export("python.ops.resource_variable_ops.ResourceVariable", "contrib.eager.Variable")
class ResourceVariable(Variable):
    """A variable behind a handle: `VarHandleOp`, and reads that are operations of their own."""

    def _make(self, value: Tensor, shape: TensorShape, validate: bool, scope: str) -> None:
        shared = scope[:-1]
        dtype = value.dtype.base_dtype
        self._variable = apply(
            "VarHandleOp", shape=shape, dtype=dtype, shared_name=shared, name=scope
        )
        with name_scope("IsInitialized"):
            apply("VarIsInitializedOp", self._variable)
        self._initializer_op = apply(
            "AssignVariableOp", self._variable, value, validate_shape=False, name="Assign"
        )
        with name_scope("Read"):
            self._snapshot = apply("ReadVariableOp", self._variable)

    @property
    def dtype(self) -> DType:
        return self._variable.dtype.base_dtype

    @property
    def handle(self) -> Tensor:
        return self._variable

    def value(self) -> Tensor:
        read: Tensor = apply("ReadVariableOp", self._variable)
        return read

    def read_value(self) -> Tensor:
        with name_scope("Read"):
            read = apply("ReadVariableOp", self._variable)
        copy: Tensor = apply("Identity", read)
        return copy

    def sparse_read(self, indices: Any, name: str | None = None) -> Tensor:
        """The rows at `indices`."""
        rows: Tensor = apply("ResourceGather", self._variable, indices, name=name)
        return rows

    def _as_graph_element(self) -> Tensor:
        return self._snapshot

    def is_initialized(self, name: str | None = None) -> Tensor:
        ready: Tensor = apply("VarIsInitializedOp", self._variable, name=name)
        return ready


@export("python.ops.resource_variable_ops.is_resource_variable")
def is_resource_variable(var: Any) -> bool:
    """Whether a thing is a variable behind a handle."""
    return isinstance(var, ResourceVariable)


_resources = [False]  # whether tf.Variable makes ResourceVariables, see enable_resource_variables


@export("enable_resource_variables", "python.ops.variable_scope.enable_resource_variables")
def enable_resource_variables() -> None:
    """Make tf.Variable and tf.get_variable give resource variables from now on."""
    _resources[0] = True


@export("disable_resource_variables")
def disable_resource_variables() -> None:
    """Make tf.Variable and tf.get_variable give reference variables from now on."""
    _resources[0] = False


@export("resource_variables_enabled")
def resource_variables_enabled() -> bool:
    return _resources[0]


class SaveSliceInfo:
    """Where a partition lies in the whole variable: its name, shape, offset and own shape."""

    def __init__(
        self,
        full_name: str | None = None,
        full_shape: Any = None,
        var_offset: Any = None,
        var_shape: Any = None,
        save_slice_info_def: Any = None,
        import_scope: str | None = None,
    ) -> None:
        proto = save_slice_info_def
        if proto is not None:
            scope = f"{import_scope}/" if import_scope else ""
            full_name = scope + proto.full_name
            full_shape, var_offset = list(proto.full_shape), list(proto.var_offset)
            var_shape = list(proto.var_shape)
        self.full_name, self.full_shape = full_name, full_shape
        self.var_offset, self.var_shape = var_offset, var_shape

    @property
    def spec(self) -> str:
        """As checkpoints write it: the sizes of the whole, then offset,size of each dim."""
        sizes = " ".join(str(d) for d in self.full_shape)
        pairs = zip(self.var_offset, self.var_shape, strict=True)
        return f"{sizes} " + ":".join(f"{offset},{size}" for offset, size in pairs)


Variable.SaveSliceInfo = SaveSliceInfo


def _converted(
    variable: Variable, dtype: Any = None, name: str | None = None, as_ref: bool = False
) -> Any:
    if as_ref:
        return variable._ref()
    if dtype is not None and not variable.dtype.base_dtype.is_compatible_with(dtype):
        raise ValueError(
            f"Incompatible type conversion requested to type '{as_dtype(dtype).name}' for variable "
            f"of type '{variable.dtype.name}'"
        )
    return variable.value()


register_tensor_conversion_function(Variable, _converted)
