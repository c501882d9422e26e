"""The variables of a graph by collection, and the operations that initialise and check them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.state_ops import is_variable_initialized
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    constant,
    get_default_graph,
    group,
    name_scope,
)
from anode.frontends.tensorflow.opdef import EXPORTS, export

LISTS = {
    "global_variables": GraphKeys.GLOBAL_VARIABLES,
    "all_variables": GraphKeys.GLOBAL_VARIABLES,
    "local_variables": GraphKeys.LOCAL_VARIABLES,
    "trainable_variables": GraphKeys.TRAINABLE_VARIABLES,
    "model_variables": GraphKeys.MODEL_VARIABLES,
    "moving_average_variables": GraphKeys.MOVING_AVERAGE_VARIABLES,
}


def _list(name: str, collection: str) -> Callable[..., list[Any]]:
    def variables(scope: str | None = None) -> list[Any]:
        return get_default_graph().get_collection(collection, scope)

    variables.__name__ = variables.__qualname__ = name
    variables.__doc__ = f"The collection {collection!r}; `scope` is a pattern for their names."
    return variables


def global_variables(scope: str | None = None) -> list[Any]:
    """The variables that all sessions of a cluster would share, which are saved."""
    return get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES, scope)


def local_variables(scope: str | None = None) -> list[Any]:
    """The variables of one process, which are not saved."""
    return get_default_graph().get_collection(GraphKeys.LOCAL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Any]:
    """The variables that optimisers change unless told otherwise."""
    return get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES, scope)


LISTED = {name: _list(name, collection) for name, collection in LISTS.items()}
all_variables = LISTED["all_variables"]
model_variables = LISTED["model_variables"]
moving_average_variables = LISTED["moving_average_variables"]
for _name in LISTED:
    for _path in (_name, f"python.ops.variables.{_name}"):
        EXPORTS[_path] = f"{__name__}:{_name}"


@export(
    "variables_initializer",
    "initialize_variables",
    "initializers.variables",
    "python.ops.variables.variables_initializer",
    "python.ops.variables.initialize_variables",
)
def variables_initializer(var_list: Any, name: str = "init") -> Any:
    """One operation that sets all variables of a list to their initial values."""
    if not var_list:
        return group(name=name)
    return group(*[v.initializer for v in var_list], name=name)


@export(
    "global_variables_initializer",
    "initialize_all_variables",
    "global_initializer",
    "initializers.global_variables",
    "python.ops.variables.global_variables_initializer",
    "python.ops.variables.initialize_all_variables",
)
def global_variables_initializer() -> Any:
    return variables_initializer(global_variables())


@export(
    "local_variables_initializer",
    "initialize_local_variables",
    "initializers.local_variables",
    "python.ops.variables.local_variables_initializer",
    "python.ops.variables.initialize_local_variables",
)
def local_variables_initializer() -> Any:
    return variables_initializer(local_variables())


@export("report_uninitialized_variables", "python.ops.variables.report_uninitialized_variables")
def report_uninitialized_variables(
    var_list: Any = None, name: str = "report_uninitialized_variables"
) -> Tensor:
    """A vector of the names of the variables without a value."""
    from anode.frontends.tensorflow.api.index_ops import boolean_mask

    if var_list is None:
        var_list = global_variables() + local_variables()
    with name_scope(name):
        if not var_list:
            return constant([], "string", shape=[0])
        ready = apply("Pack", [is_variable_initialized(v) for v in var_list], name="stack")
        missing = apply("LogicalNot", ready)
        names = constant([v.op.name for v in var_list])
        found: Tensor = boolean_mask(names, missing)
        return found


@export("assert_variables_initialized", "python.ops.variables.assert_variables_initialized")
def assert_variables_initialized(var_list: Any = None) -> Any:
    """An operation that reads the variables: it fails where one has no value."""
    if var_list is None:
        var_list = global_variables() + local_variables()
    if not var_list:
        return None
    ranks = [apply("Rank", v.value()) for v in var_list]
    return ranks[0] if len(ranks) == 1 else apply("Pack", ranks, name="stack")


@export("python.ops.resources.shared_resources", "python.ops.resources.local_resources")
def no_resources() -> list[Any]:
    """The tables and readers that need an initialiser of this kind: none, tables have their own."""
    return []


@export("python.ops.resources.initialize_resources")
def initialize_resources(resource_list: Any, name: str = "init") -> Any:
    """One operation that initialises all resources of a list."""
    return group(*[resource.create for resource in resource_list], name=name)
