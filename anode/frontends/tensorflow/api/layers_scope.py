"""tf.layers.Layer: a layer whose weights live in a variable scope of its own name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import layers_base
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.layers_base import to_snake_case, unique_layer_name
from anode.frontends.tensorflow.api.variables import root_graph
from anode.frontends.tensorflow.graph import get_collection_ref, name_scope
from anode.frontends.tensorflow.opdef import export


def add_to_collection_once(name: str, elements: Sequence[Any]) -> None:
    """Append to a collection of the default graph what it does not hold yet."""
    collection = get_collection_ref(name)
    known = {id(item) for item in collection}
    collection.extend(item for item in elements if id(item) not in known)


@export("layers.Layer", "python.layers.base.Layer", "python.layers.base._Layer")
class Layer(layers_base.Layer):
    """A layer that takes its weights from `get_variable`, under a scope found at the first call.

    The first "dense" of a scope is `dense`, the next `dense_1`; `_scope` and `_reuse` share the
    weights of another one. Losses go to REGULARIZATION_LOSSES, updates to UPDATE_OPS.
    """

    def __init__(
        self, trainable: bool = True, name: Any = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        scope = kwargs.pop("_scope", None)
        self._reuse = kwargs.pop("_reuse", None)
        self._scope: Any = None
        self._current_scope: Any = None
        super().__init__(trainable, name, dtype, **kwargs)
        if scope:
            with vs.variable_scope(scope) as captured:
                self._scope = captured

    def _init_name(self, name: Any) -> None:
        base = to_snake_case(type(self).__name__)
        if not name:
            self._name, self._base_name = unique_layer_name(base), base
        elif isinstance(name, str):
            self._name = self._base_name = name
        else:
            self._name, self._base_name = unique_layer_name(base), name.name

    def _name_scope(self) -> str:
        return str(self._current_scope.original_name_scope)

    @property
    def scope_name(self) -> str:
        """The variable scope of the weights; raises ValueError before the first call."""
        if not self._scope:
            raise ValueError(
                f'No name available for layer scope because the layer "{self._name}" has not been '
                "used yet."
            )
        return str(self._scope.name)

    @property
    def graph(self) -> Any:
        from anode.frontends.tensorflow.core import get_default_graph

        return get_default_graph()

    def _set_scope(self, scope: Any = None) -> None:
        if self._scope is not None:
            return
        if self._reuse:
            opened = vs.variable_scope(self._base_name if scope is None else scope)
        else:
            opened = vs.variable_scope(scope, default_name=self._base_name)
        with opened as captured:
            self._scope = captured

    def _make_variable(
        self,
        name: str | None,
        shape: tuple[Any, ...],
        dtype: Any,
        *,
        initializer: Any,
        regularizer: Any,
        trainable: bool,
        **options: Any,
    ) -> Any:
        self._set_scope(None)
        existing = {id(v) for v in root_graph().get_collection("variables")}
        reuse = self.built or self._reuse
        with vs.variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False) as scope:
            self._current_scope = scope
            with name_scope(self._name_scope()):
                variable = vs.get_variable(
                    str(name),
                    shape=shape,
                    dtype=dtype,
                    initializer=scope.initializer if initializer is None else initializer,
                    trainable=trainable and self.trainable,
                    constraint=options["constraint"],
                    partitioner=options["partitioner"],
                    use_resource=options["use_resource"] or scope.use_resource,
                )
                if regularizer is not None and id(variable) not in existing:
                    self._regularize(str(name), variable, regularizer)
        return variable

    def _track_weight(self, variable: Any, trainable: bool) -> None:
        trained = root_graph().get_collection("trainable_variables")
        known = any(variable is v for v in trained)
        super()._track_weight(variable, trainable and (known or not self.trainable))

    def add_loss(self, losses: Any, inputs: Any = None) -> None:
        """Note losses and put them into REGULARIZATION_LOSSES; functions are called at once."""
        before = len(self._losses)
        super().add_loss(losses, inputs)
        called = [loss() for loss in self._callable_losses]
        self._callable_losses.clear()
        super().add_loss([loss for loss in called if loss is not None], inputs)
        add_to_collection_once("regularization_losses", self._losses[before:])

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self._set_scope(kwargs.pop("scope", None))
        reuse = True if self.built else self._reuse
        with vs.variable_scope(self._scope, reuse=reuse, auxiliary_name_scope=False) as scope:
            self._current_scope = scope
            if self._accepts("scope"):
                kwargs["scope"] = scope
            outputs = super().__call__(inputs, *args, **kwargs)
        add_to_collection_once("update_ops", self.updates)
        return outputs


def functional(
    layer: Callable[..., Any], *call_arguments: str, reuse: bool = True
) -> Callable[..., Any]:
    """The function that makes a layer and calls it: `inputs`, the layer's arguments, `reuse`.

    `call_arguments` have defaults in the layer's `call` and are passed to it, such as `training`.
    """
    own = list(inspect.signature(layer).parameters.values())
    named = [p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD]
    inputs = inspect.Parameter("inputs", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    extra = [inputs.replace(name=name, default=False) for name in call_arguments]
    last = [inputs.replace(name="reuse", default=None)] if reuse else []
    position = next((i for i, p in enumerate(named) if p.name in ("trainable", "name")), len(named))
    parameters = [inputs, *named[:position], *extra, *named[position:], *last]
    signature = inspect.Signature(parameters)

    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs).arguments
        passed = {name: bound.pop(name) for name in call_arguments if name in bound}
        again = bound.pop("reuse", None)
        x, name = bound.pop("inputs"), bound.get("name")
        shared = {"_reuse": again, "_scope": name} if reuse else {}
        return layer(**bound, **shared)(x, **passed)

    call.__signature__ = signature  # type: ignore[attr-defined]
    call.__doc__ = f"`{layer.__name__}` made and applied to `inputs` at once."
    return call
