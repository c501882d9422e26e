"""tf.variable_scope and tf.get_variable: variables by name, made once and shared on request."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.variables import Variable, init_scope, root_graph
from anode.frontends.tensorflow.dtypes import DType, as_dtype, float32
from anode.frontends.tensorflow.graph import (
    _graph_of,
    add_to_collection,
    convert_to_tensor,
    get_default_graph,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, export_values
from anode.frontends.tensorflow.tensor_shape import TensorShape

SCOPE = "python.ops.variable_scope."
SETTINGS = (
    "initializer",
    "regularizer",
    "caching_device",
    "partitioner",
    "custom_getter",
    "dtype",
    "use_resource",
    "constraint",
)


class _ReuseMode(enum.Enum):
    AUTO_REUSE = 1


AUTO_REUSE = _ReuseMode.AUTO_REUSE
export_values(__name__, {"AUTO_REUSE": "AUTO_REUSE", SCOPE + "AUTO_REUSE": "AUTO_REUSE"})


@export("VariableScope", SCOPE + "VariableScope")
class VariableScope:
    """A prefix of variables' names with defaults for tf.get_variable inside of it."""

    initializer: Any
    regularizer: Any
    caching_device: Any
    partitioner: Any
    custom_getter: Any
    dtype: DType
    use_resource: bool | None
    constraint: Any

    def __init__(
        self,
        reuse: Any,
        name: str = "",
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        name_scope: str = "",
        dtype: Any = float32,
        use_resource: bool | None = None,
        constraint: Any = None,
    ) -> None:
        self._name, self._reuse, self._name_scope = name, reuse, name_scope
        self.initializer, self.regularizer = initializer, regularizer
        self.caching_device, self.partitioner = caching_device, partitioner
        self.custom_getter, self.dtype = custom_getter, dtype
        self.use_resource, self.constraint = use_resource, constraint

    @property
    def name(self) -> str:
        return self._name

    @property
    def original_name_scope(self) -> str:
        return self._name_scope

    @property
    def reuse(self) -> Any:
        return self._reuse

    def reuse_variables(self) -> None:
        """From here on tf.get_variable gives variables that exist, and makes none."""
        self._reuse = True

    def set_initializer(self, initializer: Any) -> None:
        self.initializer = initializer

    def set_regularizer(self, regularizer: Any) -> None:
        self.regularizer = regularizer

    def set_caching_device(self, caching_device: Any) -> None:
        self.caching_device = caching_device

    def set_partitioner(self, partitioner: Any) -> None:
        self.partitioner = partitioner

    def set_custom_getter(self, custom_getter: Any) -> None:
        self.custom_getter = custom_getter

    def set_dtype(self, dtype: Any) -> None:
        self.dtype = dtype

    def set_use_resource(self, use_resource: bool) -> None:
        self.use_resource = use_resource

    def get_collection(self, name: str) -> list[Any]:
        scope = self._name + "/" if self._name else self._name
        return get_default_graph().get_collection(name, scope)

    def trainable_variables(self) -> list[Any]:
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)

    def global_variables(self) -> list[Any]:
        return self.get_collection(GraphKeys.GLOBAL_VARIABLES)

    def local_variables(self) -> list[Any]:
        return self.get_collection(GraphKeys.LOCAL_VARIABLES)

    def _derived(self, reuse: Any, name: str, name_scope: str, settings: dict[str, Any]) -> Any:
        """A scope with the settings of this one where `settings` says None."""
        own = {key: getattr(self, key) for key in SETTINGS}
        own.update({key: value for key, value in settings.items() if value is not None})
        if settings.get("custom_getter") is not None and self.custom_getter is not None:
            own["custom_getter"] = _nested(settings["custom_getter"], self.custom_getter)
        return VariableScope(reuse, name, name_scope=name_scope, **own)

    def get_variable(self, store: VariableStore, name: str, **asked: Any) -> Any:
        """The variable of this name below the scope; what is not asked for the scope decides."""
        for key in ("regularizer", "caching_device", "partitioner", "custom_getter"):
            if asked.get(key) is None:
                asked[key] = getattr(self, key)
        if asked.get("reuse") is None:
            asked["reuse"] = self._reuse
        full = f"{self._name}/{name}" if self._name else name
        with name_scope(None):
            _check_initializer_type(asked)
            for key in ("initializer", "constraint", "dtype", "use_resource"):
                if asked.get(key) is None:
                    asked[key] = getattr(self, key)
            return store.get_variable(full, **asked)


def _check_initializer_type(asked: dict[str, Any]) -> None:
    dtype, initializer = asked.get("dtype"), asked.get("initializer")
    if dtype is None or initializer is None or callable(initializer):
        return
    found = convert_to_tensor(initializer).dtype.base_dtype
    if found != as_dtype(dtype).base_dtype:
        raise ValueError(f"Initializer type '{found}' and explicit dtype '{dtype}' don't match.")


def _nested(inner: Callable[..., Any], outer: Callable[..., Any]) -> Callable[..., Any]:
    """The getter of an inner scope, which is given that of the outer one to call."""

    def getter(getter: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return inner(functools.partial(outer, getter), *args, **kwargs)

    return getter


class VariableStore:
    """The variables of a graph that tf.get_variable made, the current scope and scopes' counts."""

    def __init__(self) -> None:
        self._vars: dict[str, Any] = {}
        self._partitioned_vars: dict[str, Any] = {}
        self.current = VariableScope(False)
        self.counts: dict[str, int] = {}

    def open(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def close_below(self, name: str) -> None:
        for key in self.counts:
            if not name or key.startswith(name + "/"):
                self.counts[key] = 0

    def unique(self, prefix: str) -> str:
        """`prefix`, with `_1`, `_2`, … if a scope of this name was opened in the current one."""
        name = f"{self.current.name}/{prefix}" if self.current.name else prefix
        if not self.counts.get(name):
            return prefix
        index = 1
        while self.counts.get(f"{name}_{index}"):
            index += 1
        return f"{prefix}_{index}"

    def get_variable(self, name: str, custom_getter: Any = None, **asked: Any) -> Any:
        if custom_getter is None:
            return self._get(name, **asked)
        if not callable(custom_getter):
            raise ValueError(f"Passed a custom_getter which is not callable: {custom_getter}")
        if not _takes(custom_getter, "constraint"):
            asked.pop("constraint", None)
        return custom_getter(getter=self._get, name=name, **asked)

    def _get(self, name: str, shape: Any = None, partitioner: Any = None, **asked: Any) -> Any:
        scalar = isinstance(shape, (list, tuple)) and not shape
        reused = asked.get("reuse") is True and name in self._partitioned_vars
        if (partitioner is not None and not scalar) or reused:
            from anode.frontends.tensorflow.api.partitioned_variables import get_partitioned

            return get_partitioned(self, name, shape, partitioner, **asked)
        if f"{name}/part_0" in self._vars:
            raise ValueError(
                f"No partitioner was provided, but a partitioned version of the variable was "
                f"found: {name}/part_0. Perhaps a variable of the same name was already created "
                "with partitioning?"
            )
        return self.single(name, shape, **asked)

    def single(
        self,
        name: str,
        shape: Any = None,
        dtype: Any = float32,
        initializer: Any = None,
        regularizer: Any = None,
        reuse: Any = None,
        partition_info: Any = None,
        **rest: Any,
    ) -> Any:
        """A variable in one piece: the one of this name, or a new one, as `reuse` says."""
        value = initializer is not None and not callable(initializer)
        if shape is not None and value:
            raise ValueError("If initializer is a constant, do not specify shape.")
        dtype, known = as_dtype(dtype).base_dtype, TensorShape(shape)
        if name in self._vars:
            return self._shared(name, known, dtype, reuse)
        if reuse is True:
            raise ValueError(
                f"Variable {name} does not exist, or was not created with tf.get_variable(). Did "
                "you mean to set reuse=tf.AUTO_REUSE in VarScope?"
            )
        if initializer is None:
            initializer = _default_initializer(name, dtype)
        typed = None if value else dtype
        if not value:
            initializer, typed = _initial(initializer, name, known, dtype, partition_info)
        variable = Variable(initializer, name=name, dtype=typed, **rest)
        self._vars[name] = variable
        if regularizer is not None:
            _regularize(variable, name, regularizer)
        return variable

    def _shared(self, name: str, shape: TensorShape, dtype: DType, reuse: Any) -> Any:
        if reuse is False or reuse is None:
            raise ValueError(
                f"Variable {name} already exists, disallowed. Did you mean to set reuse=True or "
                f"reuse=tf.AUTO_REUSE in VarScope?{_defined_at(self._vars[name])}"
            )
        found = self._vars[name]
        if not shape.is_compatible_with(found.get_shape()):
            raise ValueError(
                f"Trying to share variable {name}, but specified shape {shape} and found shape "
                f"{found.get_shape()}."
            )
        if not dtype.is_compatible_with(found.dtype):
            raise ValueError(
                f"Trying to share variable {name}, but specified dtype {dtype.name} and found "
                f"dtype {found.dtype.name}."
            )
        return found


def _defined_at(variable: Any) -> str:
    origin = variable.op.origin
    return "" if origin is None else f" Originally defined at:\n\n  {origin[0]}:{origin[1]}"


def _default_initializer(name: str, dtype: DType) -> Any:
    from anode.frontends.tensorflow.api import initializers

    if dtype.is_floating:
        return initializers.GlorotUniform()
    if dtype.is_integer or dtype.is_bool:
        return initializers.Zeros()
    raise ValueError(f"An initializer for variable {name} of {dtype} is required")


def _initial(
    initializer: Any, name: str, shape: TensorShape, dtype: DType, partition_info: Any
) -> tuple[Callable[[], Any], DType | None]:
    """A function without arguments for the initial value, and the type it must have."""
    initializer = initializer() if inspect.isclass(initializer) else initializer
    parameters = inspect.signature(initializer).parameters.values()
    if shape.is_fully_defined():
        extra = {"partition_info": partition_info} if _takes(initializer, "partition_info") else {}
        return lambda: initializer(shape.as_list(), dtype=dtype, **extra), dtype
    if all(p.default is not p.empty for p in parameters):
        return initializer, None
    raise ValueError(
        f"Shape of a new variable ({name}) must be fully defined, but instead was {shape}."
    )


def _takes(function: Callable[..., Any], name: str) -> bool:
    parameters = inspect.signature(function).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _regularize(variable: Any, name: str, regularizer: Callable[[Any], Any]) -> None:
    with init_scope(), name_scope(name + "/Regularizer/"):
        loss = regularizer(variable)
    if loss is not None:
        add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)


def variable_store() -> VariableStore:
    """The store of the default graph."""
    held = root_graph().get_collection_ref(("variable store",))
    if not held:
        held.append(VariableStore())
    store: VariableStore = held[0]
    return store


@export("get_variable_scope", SCOPE + "get_variable_scope")
def get_variable_scope() -> VariableScope:
    return variable_store().current


@export("no_regularizer", SCOPE + "no_regularizer")
def no_regularizer(_: Any) -> None:
    """The regularizer that adds no loss, against that of a scope."""


@export("get_variable", SCOPE + "get_variable")
def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool | None = None,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Any = None,
    constraint: Any = None,
    synchronization: Any = 0,
    aggregation: Any = 0,
) -> Any:
    """The variable of this name in the current scope: a new one, or the one that exists.

    ValueError where it exists and the scope does not say reuse, does not exist and the scope says
    so, or has another shape or type.
    """
    asked = dict(locals())
    asked.pop("name")
    return get_variable_scope().get_variable(variable_store(), name, **asked)


@export("get_local_variable", SCOPE + "get_local_variable")
def get_local_variable(name: str, *args: Any, collections: Any = None, **kwargs: Any) -> Any:
    """As tf.get_variable, in the local variables and not trainable."""
    lists = [*(collections or []), GraphKeys.LOCAL_VARIABLES]
    kwargs |= {"trainable": False, "collections": lists}
    return get_variable(name, *args, **kwargs)


@export(SCOPE + "variable")
def variable(
    initial_value: Any = None,
    trainable: bool | None = None,
    collections: Any = None,
    validate_shape: bool = True,
    caching_device: Any = None,
    name: str | None = None,
    dtype: Any = None,
    constraint: Any = None,
    use_resource: bool | None = None,
) -> Any:
    """A tf.Variable, of the kind the current scope asks for."""
    if use_resource is None:
        use_resource = get_variable_scope().use_resource
    return Variable(
        initial_value,
        trainable,
        collections,
        validate_shape,
        caching_device,
        name,
        dtype=dtype,
        constraint=constraint,
        use_resource=use_resource,
    )


@export(SCOPE + "_pure_variable_scope")
@contextmanager
def pure_variable_scope(
    name_or_scope: Any, reuse: Any = None, old_name_scope: str | None = None, **settings: Any
) -> Iterator[VariableScope]:
    """A scope of variables that leaves the names of operations alone."""
    store = variable_store()
    before, counts = store.current, None
    if isinstance(name_or_scope, VariableScope):
        given = name_or_scope
        reuse = reuse or given.reuse
        scope = given._derived(reuse, given.name, given.original_name_scope, settings)
    else:
        name = f"{before.name}/{name_or_scope}" if before.name else name_or_scope
        names = name_or_scope if old_name_scope is None else old_name_scope
        scope = before._derived(reuse or before.reuse, name, names, settings)
    store.open(scope.name)
    if isinstance(name_or_scope, VariableScope):
        counts = dict(store.counts)
    store.current = scope
    try:
        yield scope
    finally:
        store.close_below(scope.name)
        if counts is not None:
            store.counts = counts
        store.current = before


@export("variable_scope", SCOPE + "variable_scope")
class variable_scope:
    """A context in which tf.get_variable prefixes names, shares variables and has defaults."""

    def __init__(
        self,
        name_or_scope: Any,
        default_name: str | None = None,
        values: Any = None,
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        reuse: Any = None,
        dtype: Any = None,
        use_resource: bool | None = None,
        constraint: Any = None,
        auxiliary_name_scope: bool = True,
    ) -> None:
        if default_name is None and name_or_scope is None:
            raise TypeError("If default_name is None then name_or_scope is required")
        reuse = None if reuse is False else reuse
        if not (reuse is None or reuse is True or reuse is AUTO_REUSE):
            raise ValueError("The reuse parameter must be True or False or None.")
        if name_or_scope is None and reuse:
            raise ValueError("reuse=True cannot be used without a name_or_scope")
        if not isinstance(auxiliary_name_scope, bool):
            raise TypeError(
                "The auxiliary_name_scope must be `True` or `False`, while get "
                f"{auxiliary_name_scope}"
            )
        given = locals()
        self._settings = {key: given[key] for key in SETTINGS}
        self._name_or_scope, self._default_name = name_or_scope, default_name
        self._values, self._reuse, self._auxiliary = values, reuse, auxiliary_name_scope
        self._stacks: list[ExitStack] = []

    def __enter__(self) -> VariableScope:
        stack = ExitStack()
        try:
            scope = self._entered(stack)
        except BaseException:
            stack.close()
            raise
        self._stacks.append(stack)
        return scope

    def __exit__(self, *exc: Any) -> None:
        self._stacks.pop().close()

    def _entered(self, stack: ExitStack) -> VariableScope:
        graph = _graph_of(self._values)
        if graph is not None and root_graph(graph) is not root_graph():
            stack.enter_context(graph.as_default())
        name = self._name_or_scope
        if name is None:
            names = self._names(stack, self._default_name)
            chosen = variable_store().unique(self._default_name or "")
            entered = pure_variable_scope(chosen, old_name_scope=names, **self._settings)
            return stack.enter_context(entered)
        if not isinstance(name, (VariableScope, str)):
            raise TypeError("VariableScope: name_or_scope must be a string or VariableScope.")
        last = name if isinstance(name, str) else name.name.split("/")[-1]
        inner = self._names(stack, last) if last or not self._auxiliary else None
        entered = pure_variable_scope(name, self._reuse, inner, **self._settings)
        return stack.enter_context(entered)

    def _names(self, stack: ExitStack, name: str | None) -> str:
        """Enter the scope of operations' names: a new one, or the current one again."""
        if not self._auxiliary:
            current = get_default_graph().get_name_scope()
            return stack.enter_context(name_scope(f"{current}/" if current else ""))
        return stack.enter_context(name_scope(name))


@export("variable_op_scope", SCOPE + "variable_op_scope")
@contextmanager
def variable_op_scope(
    values: Any,
    name_or_scope: Any,
    default_name: str | None = None,
    initializer: Any = None,
    regularizer: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    reuse: Any = None,
    dtype: Any = None,
    use_resource: bool | None = None,
    constraint: Any = None,
) -> Iterator[VariableScope]:
    """tf.variable_scope with its arguments in the order they once had."""
    given = {key: value for key, value in locals().items() if key in SETTINGS}
    with variable_scope(name_or_scope, default_name, values, reuse=reuse, **given) as scope:
        yield scope
