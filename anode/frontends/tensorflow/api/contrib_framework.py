"""tf.contrib.framework: model variables, lists of them by name, values from checkpoints."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.arg_scope import add_arg_scope
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import (
    add_to_collection,
    get_collection,
    get_collection_ref,
)
from anode.frontends.tensorflow.graph import (
    device as on_device,
)
from anode.frontends.tensorflow.opdef import EXPORTS, export
from anode.frontends.tensorflow.tensor_shape import TensorShape

GLOBAL, LOCAL, MODEL, TRAINABLE = (
    "variables",
    "local_variables",
    "model_variables",
    "trainable_variables",
)


def framework_export(*names: str) -> Callable[[Any], Any]:
    """Serve a thing under contrib.framework and contrib.slim."""

    def note(thing: Any) -> Any:
        for name in names:
            for place in (
                "contrib.framework",
                "contrib.framework.python.ops.variables",
                "contrib.slim",
            ):
                EXPORTS[f"{place}.{name}"] = f"{__name__}:{thing.__name__}"
        return thing

    return note


@framework_export("variable")
@add_arg_scope
def variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    collections: Any = None,
    caching_device: Any = None,
    device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    use_resource: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    """`get_variable`, with a device, and a getter that replaces it."""
    keys = list(dict.fromkeys(collections if collections is not None else [GLOBAL]))
    make = custom_getter or vs.get_variable
    with on_device(device or ""):
        return make(
            name,
            shape=shape,
            dtype=dtype or float32,
            initializer=initializer,
            regularizer=regularizer,
            trainable=trainable,
            collections=keys,
            caching_device=caching_device,
            partitioner=partitioner,
            use_resource=use_resource,
        )


@framework_export("model_variable")
@add_arg_scope
def model_variable(
    name: str,
    shape: Any = None,
    dtype: Any = float32,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = True,
    collections: Any = None,
    caching_device: Any = None,
    device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    use_resource: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    """A variable that is part of a model: it is in MODEL_VARIABLES too."""
    return variable(
        name,
        shape=shape,
        dtype=dtype,
        initializer=initializer,
        regularizer=regularizer,
        trainable=trainable,
        collections=[*(collections or []), GLOBAL, MODEL],
        caching_device=caching_device,
        device=device,
        partitioner=partitioner,
        custom_getter=custom_getter,
        use_resource=use_resource,
    )


def _outside(collection: str) -> Callable[..., Any]:
    def make(
        initial_value: Any,
        validate_shape: bool = True,
        name: str | None = None,
        use_resource: Any = None,
    ) -> Any:
        from anode.frontends.tensorflow.api.variables import Variable

        return Variable(
            initial_value,
            trainable=False,
            collections=[collection],
            validate_shape=validate_shape,
            name=name,
        )

    make.__doc__ = f"A variable that is not trained, in the collection {collection}."
    return make


local_variable, global_variable = _outside(LOCAL), _outside(GLOBAL)
for _name in ("local_variable", "global_variable"):
    for _place in ("contrib.framework", "contrib.slim"):
        EXPORTS[f"{_place}.{_name}"] = f"{__name__}:{_name}"


@framework_export("add_model_variable")
def add_model_variable(var: Any) -> None:
    """Put a variable into MODEL_VARIABLES, once."""
    if not any(var is known for known in get_collection_ref(MODEL)):
        add_to_collection(MODEL, var)


@framework_export("get_variables")
def get_variables(
    scope: Any = None, suffix: str | None = None, collection: str = GLOBAL
) -> list[Any]:
    """The variables of a collection whose names begin with `scope` and end with `suffix`."""
    if isinstance(scope, vs.VariableScope):
        scope = scope.name
    if suffix is not None:
        pattern = suffix if ":" in suffix else f"{suffix}:"
        scope = f"{scope or ''}.*{pattern}"
    return list(get_collection(collection, scope))


def _listed(collection: str, what: str) -> Callable[..., list[Any]]:
    def find(scope: Any = None, suffix: str | None = None) -> list[Any]:
        return get_variables(scope, suffix, collection)

    find.__doc__ = f"The {what} variables, filtered by scope and suffix."
    return find


get_model_variables = _listed(MODEL, "model")
get_local_variables = _listed(LOCAL, "local")
get_trainable_variables = _listed(TRAINABLE, "trainable")
for _name in ("get_model_variables", "get_local_variables", "get_trainable_variables"):
    for _place in (
        "contrib.framework",
        "contrib.slim",
        "contrib.framework.python.ops.variables",
    ):
        EXPORTS[f"{_place}.{_name}"] = f"{__name__}:{_name}"


@framework_export("get_variables_to_restore")
def get_variables_to_restore(
    include: Sequence[str] | None = None, exclude: Sequence[str] | None = None
) -> list[Any]:
    """The variables in the scopes of `include` (all if None) but not in those of `exclude`."""
    for names in (include, exclude):
        if names is not None and not isinstance(names, (list, tuple)):
            raise TypeError("include and exclude must be None or lists of scopes")
    chosen = get_variables() if include is None else [v for s in include for v in get_variables(s)]
    left_out = {id(v) for scope in exclude or () for v in get_variables(scope)}
    return [v for v in chosen if id(v) not in left_out]


@framework_export("get_variables_by_suffix")
def get_variables_by_suffix(suffix: str, scope: Any = None) -> list[Any]:
    return get_variables(scope=scope, suffix=suffix)


@framework_export("get_variables_by_name")
def get_variables_by_name(given_name: str, scope: Any = None) -> list[Any]:
    """The variables whose last name is `given_name`."""
    return get_variables(scope=scope, suffix=f"/{given_name}:|^{given_name}:")


@framework_export("get_unique_variable")
def get_unique_variable(var_op_name: str) -> Any:
    """The one variable of a full name; raises ValueError if there is none, or several."""
    found = [v for v in get_collection(GLOBAL, var_op_name) if v.op.name == var_op_name]
    if len(found) != 1:
        raise ValueError(
            f"Variable {var_op_name} does not uniquely identify a variable"
            if found
            else f"Couldn't find variable {var_op_name}"
        )
    return found[0]


@framework_export("get_variable_full_name")
def get_variable_full_name(var: Any) -> str:
    """The name of a variable in a checkpoint."""
    return str(var.op.name)


@framework_export("filter_variables")
def filter_variables(
    var_list: Sequence[Any],
    include_patterns: Sequence[str] | None = None,
    exclude_patterns: Sequence[str] | None = None,
    reg_search: bool = True,
) -> list[Any]:
    """Variables whose names match a pattern of the one list and none of the other."""
    matches = re.search if reg_search else re.match

    def any_of(patterns: Sequence[str], var: Any) -> bool:
        return any(matches(pattern, var.op.name) for pattern in patterns)

    chosen = [var for var in var_list if include_patterns is None or any_of(include_patterns, var)]
    return [var for var in chosen if not any_of(exclude_patterns or (), var)]


# values


@framework_export("assign_from_values")
def assign_from_values(var_names_to_values: Mapping[str, Any]) -> tuple[Any, dict[Any, Any]]:
    """(operation, feeds) that set variables, by full name, to values."""
    from anode.frontends.tensorflow.graph import control_dependencies, group, placeholder

    feeds: dict[Any, Any] = {}
    assigned = []
    for name, value in var_names_to_values.items():
        var = get_unique_variable(name)
        value = np.asarray(value)
        with control_dependencies(None):
            fed = placeholder(var.dtype.base_dtype, value.shape)
            assigned.append(var.assign(fed))
        feeds[fed] = value
    return group(*assigned), feeds


@framework_export("assign_from_values_fn")
def assign_from_values_fn(var_names_to_values: Mapping[str, Any]) -> Callable[[Any], None]:
    """A function of a session that sets variables, by full name, to values."""
    op, feeds = assign_from_values(var_names_to_values)

    def assign(session: Any) -> None:
        session.run(op, feeds)

    return assign


def _by_name(var_list: Any) -> dict[str, list[Any]]:
    """Checkpoint name -> the variable, or the slices of it."""
    if isinstance(var_list, Mapping):
        return {k: [*v] if isinstance(v, (list, tuple)) else [v] for k, v in var_list.items()}
    found: dict[str, list[Any]] = {}
    for var in var_list:
        found.setdefault(var.op.name, []).append(var)
    return found


def _reader(path: str) -> Any:
    from anode.frontends.tensorflow.api.layers_options import public

    return public("train.NewCheckpointReader")(path)


def _matching(reader: Any, var_list: Any, ignore_missing: bool) -> dict[str, Any]:
    """The variables that a checkpoint has; raises ValueError for others unless they are ignored."""
    found: dict[str, Any] = {}
    for name, parts in _by_name(var_list).items():
        if not reader.has_tensor(name):
            if not ignore_missing:
                raise ValueError(f"Checkpoint is missing variable [{name}]")
            from anode.frontends.tensorflow.api.layers_options import public

            public("logging.warning")("Checkpoint is missing variable [%s]", name)
            continue
        if len(parts) > 1:
            raise NotImplementedError(
                f"assign_from_checkpoint of the partitioned variable {name} is not implemented by "
                "anode: restore it with tf.train.Saver"
            )
        found[name] = parts[0]
    return found


@framework_export("assign_from_checkpoint")
def assign_from_checkpoint(
    model_path: str, var_list: Any, ignore_missing_vars: bool = False
) -> tuple[Any, dict[Any, Any]]:
    """(operation, feeds) that set variables to the values of a checkpoint."""
    from anode.frontends.tensorflow.graph import control_dependencies, group, placeholder

    reader = _reader(model_path)
    feeds: dict[Any, Any] = {}
    assigned = []
    for name, var in _matching(reader, var_list, ignore_missing_vars).items():
        value = reader.get_tensor(name)
        if not TensorShape(value.shape).is_compatible_with(var.get_shape()):
            value = _reshaped(name, value, var)
        with control_dependencies(None):
            fed = placeholder(var.dtype.base_dtype, value.shape)
            assigned.append(var.assign(fed))
        feeds[fed] = value
    return group(*assigned), feeds


def _reshaped(name: str, value: Any, var: Any) -> Any:
    if value.size != var.get_shape().num_elements():
        raise ValueError(
            f"Total size of new array must be unchanged for {name} lh_shape: "
            f"[{value.shape}], rh_shape: [{var.get_shape()}]"
        )
    return value.reshape(var.get_shape().as_list())


@framework_export("assign_from_checkpoint_fn")
def assign_from_checkpoint_fn(
    model_path: str,
    var_list: Any,
    ignore_missing_vars: bool = False,
    reshape_variables: bool = False,
) -> Callable[[Any], None] | None:
    """A function of a session that restores variables; None if no variable is to be restored."""
    if not var_list:
        raise ValueError("var_list cannot be empty")
    from anode.frontends.tensorflow.api.layers_options import public

    if ignore_missing_vars:
        var_list = _matching(_reader(model_path), var_list, True)
    if not var_list:
        public("logging.warning")("No Variables to restore")
        return None
    saver = public("train.Saver")(var_list, reshape=reshape_variables)

    def restore(session: Any) -> None:
        saver.restore(session, model_path)

    return restore


@framework_export("is_tensor")
def is_tensor(x: Any) -> bool:
    """Whether a value is a tensor, a sparse tensor or a variable."""
    return isinstance(x, Tensor) or hasattr(x, "dense_shape") or hasattr(x, "initialized_value")


@export("contrib.framework.get_name_scope")
def get_name_scope() -> str:
    """The name scope that is open, without the slash at its end."""
    from anode.frontends.tensorflow.core import get_default_graph

    return str(get_default_graph().get_name_scope())
