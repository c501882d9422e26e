"""tf.make_template: functions that share their variables between calls."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.api import variable_scope as scopes
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.variables import root_graph
from anode.frontends.tensorflow.opdef import export


class Template:
    """A function whose variables are made by its first call and shared by all later ones."""

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        now: bool,
        unique_name: str | None,
        custom_getter: Any,
    ) -> None:
        self._name, self._func, self._unique_name = name, function, unique_name
        self._custom_getter, self._variables_created = custom_getter, False
        self._variable_scope: scopes.VariableScope | None = None
        if now:
            chosen = unique_name or scopes.variable_store().unique(name)
            with scopes.pure_variable_scope(chosen, custom_getter=custom_getter) as scope:
                self._variable_scope = scope

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._variable_scope is not None:
            reuse = True if self._variables_created else None
            with scopes.variable_scope(self._variable_scope, reuse=reuse):
                return self._called(args, kwargs)
        with scopes.variable_scope(
            self._unique_name, self._name, custom_getter=self._custom_getter
        ) as scope:
            self._variable_scope = scope
            return self._called(args, kwargs)

    def _called(self, args: Any, kwargs: Any) -> Any:
        graph = root_graph()
        before = len(graph.get_collection(GraphKeys.TRAINABLE_VARIABLES))
        result = self._func(*args, **kwargs)
        made = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)[before:]
        if self._variables_created and made:
            raise ValueError(
                "Trainable variable created when calling a template after the first time, perhaps "
                f"you used tf.Variable when you meant tf.get_variable: {made}"
            )
        self._variables_created = True
        return result

    @property
    def name(self) -> str:
        return self._name

    @property
    def func(self) -> Callable[..., Any]:
        return self._func

    @property
    def variable_scope(self) -> scopes.VariableScope | None:
        return self._variable_scope

    var_scope = variable_scope

    @property
    def variable_scope_name(self) -> str | None:
        return None if self._variable_scope is None else self._variable_scope.name

    def _made(self, collection: str) -> list[Any]:
        scope = self._variable_scope
        return [] if scope is None else scope.get_collection(collection)

    @property
    def variables(self) -> list[Any]:
        return self.global_variables + self.local_variables

    @property
    def trainable_variables(self) -> list[Any]:
        return self._made(GraphKeys.TRAINABLE_VARIABLES)

    @property
    def non_trainable_variables(self) -> list[Any]:
        return [v for v in self.variables if v not in self.trainable_variables]

    @property
    def global_variables(self) -> list[Any]:
        return self._made(GraphKeys.GLOBAL_VARIABLES)

    @property
    def local_variables(self) -> list[Any]:
        return self._made(GraphKeys.LOCAL_VARIABLES)

    weights = variables
    trainable_weights = trainable_variables


@export("make_template")
def make_template(
    name_: str,
    func_: Callable[..., Any],
    create_scope_now_: bool = False,
    unique_name_: str | None = None,
    custom_getter_: Any = None,
    **kwargs: Any,
) -> Template:
    """`func_` with `kwargs` bound, sharing its variables between calls."""
    function = functools.partial(func_, **kwargs) if kwargs else func_
    return Template(name_, function, create_scope_now_, unique_name_, custom_getter_)
