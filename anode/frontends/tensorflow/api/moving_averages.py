"""Moving averages of variables and tensors, kept in variables of their own."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api import slot_creator, state_ops, variable_lists
from anode.frontends.tensorflow.api import variable_scope as scopes
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.initializers import Zeros
from anode.frontends.tensorflow.api.variables import Variable, init_scope
from anode.frontends.tensorflow.core import Operation, Tensor
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import (
    apply,
    convert_to_tensor,
    get_default_graph,
    group,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export

PATH = "python.training.moving_averages."


@export(PATH + "assign_moving_average")
def assign_moving_average(
    variable: Any, value: Any, decay: Any, zero_debias: bool = True, name: str | None = None
) -> Any:
    """`variable -= (1 - decay) * (variable - value)`; the result is the variable's new value.

    With `zero_debias` the bias of its start at zero is taken out (Kingma and Ba, 2014, section 3).
    """
    with name_scope(name, "AssignMovingAvg", [variable, value, decay]) as scope:
        step = _one_minus(decay, variable.dtype.base_dtype)
        if zero_debias:
            return state_ops.assign(variable, _debiased(variable, value, step), name=scope)
        delta = apply("Sub", variable, value, name="sub")
        return state_ops.assign_sub(variable, apply("Mul", delta, step, name="mul"), name=scope)


def _one_minus(decay: Any, dtype: Any) -> Any:
    if isinstance(decay, Tensor):
        rest = apply("Sub", 1.0, decay, name="sub")
    else:
        rest = convert_to_tensor(1.0 - decay, name="decay")
    return rest if rest.dtype.base_dtype == dtype else apply("Cast", rest, DstT=dtype)


def _debiased(variable: Any, value: Any, step: Any) -> Any:
    scope_name = get_default_graph().get_name_scope()
    with scopes.variable_scope(variable.op.name, values=[variable, value]):
        dtype = variable.dtype.base_dtype
        biased = _own("biased", variable.get_shape().as_list(), dtype)
        count = _own("local_step", [], dtype)
    with name_scope(f"{scope_name}/"):
        delta = apply("Mul", apply("Sub", biased, value, name="sub"), step, name="mul")
        summed = state_ops.assign_sub(biased, delta)
        steps = state_ops.assign_add(count, 1.0)
        kept = apply("Pow", apply("Sub", 1.0, step, name="sub"), steps)
        return apply("RealDiv", summed, apply("Sub", 1.0, kept, name="sub"), name="truediv")


def _own(name: str, shape: Any, dtype: Any) -> Any:
    """A variable below the average; the name is counted on where it is taken."""
    store, prefix = scopes.variable_store(), scopes.get_variable_scope().name
    unique, count = name, 0
    while f"{prefix}/{unique}" in store._vars:
        count += 1
        unique = f"{name}_{count}"
    return scopes.get_variable(unique, shape, dtype, initializer=Zeros(), trainable=False)


@export(PATH + "weighted_moving_average")
def weighted_moving_average(
    value: Any,
    decay: Any,
    weight: Any,
    truediv: bool = True,
    collections: Any = None,
    name: str | None = None,
) -> Any:
    """The moving average of value times weight over that of the weight."""
    collections = [GraphKeys.GLOBAL_VARIABLES] if collections is None else collections
    with scopes.variable_scope(name, "WeightedMovingAvg", [value, weight, decay]) as scope:
        parts = []
        for part, what in ((value * weight, "value_x_weight"), (weight, "weight")):
            average = scopes.get_variable(
                what,
                part.get_shape(),
                part.dtype.base_dtype,
                initializer=Zeros(),
                trainable=False,
                collections=collections,
            )
            parts.append(assign_moving_average(average, part, decay, zero_debias=False))
        divide = "RealDiv" if truediv else "Div"
        return apply(divide, parts[0], parts[1], name=scope.name)


@export("train.ExponentialMovingAverage", PATH + "ExponentialMovingAverage")
class ExponentialMovingAverage:
    """Shadows of variables and tensors: `shadow -= (1 - decay) * (shadow - value)`.

    With `num_updates` the decay is at most (1 + num_updates) / (10 + num_updates).
    """

    def __init__(
        self,
        decay: Any,
        num_updates: Any = None,
        zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:
        self._decay, self._num_updates = decay, num_updates
        self._zero_debias, self._name = zero_debias, name
        self._averages: dict[Any, Any] = {}

    @property
    def name(self) -> str:
        return self._name

    def apply(self, var_list: Any = None) -> Operation:
        """An operation that updates the averages of all trainable variables, or of `var_list`."""
        if var_list is None:
            var_list = variable_lists.trainable_variables()
        debiased = set()
        for var in var_list:
            if var.dtype.base_dtype.name not in ("bfloat16", "float16", "float32", "float64"):
                raise TypeError(f"The variables must be half, float, or double: {var.name}")
            if var not in self._averages and self._create(var) and self._zero_debias:
                debiased.add(var)
        with name_scope(self._name) as scope:
            decay = self._current_decay()
            updates = [
                assign_moving_average(self._averages[var], var, decay, zero_debias=var in debiased)
                for var in var_list
            ]
            return group(*updates, name=scope)

    def _create(self, var: Any) -> bool:
        """Make the average of a variable or tensor; whether it begins at zero."""
        graph = get_default_graph()
        with init_scope():
            if isinstance(var, Variable):
                average = slot_creator.create_slot(var, var.initialized_value(), self._name)
                graph.add_to_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, var)
            else:
                average = slot_creator.create_zeros_slot(var, self._name)
            self._averages[var] = average
        return not isinstance(var, Variable)

    def _current_decay(self) -> Any:
        decay = convert_to_tensor(self._decay, name="decay")
        if self._num_updates is None:
            return decay
        updates = convert_to_tensor(self._num_updates)
        updates = apply("Cast", updates, DstT=float32, name="num_updates")
        warm = apply("RealDiv", 1.0 + updates, 10.0 + updates, name="truediv")
        return apply("Minimum", decay, warm)

    def average(self, var: Any) -> Any:
        """The variable that holds the average of `var`, or None."""
        return self._averages.get(var)

    def average_name(self, var: Any) -> str:
        """The name that the average of `var` has, or would have."""
        if var in self._averages:
            name: str = self._averages[var].op.name
            return name
        return get_default_graph().unique_name(f"{var.op.name}/{self._name}", mark_as_used=False)

    def variables_to_restore(self, moving_avg_variables: Any = None) -> dict[str, Any]:
        """A map for a Saver that puts the averages into the variables they are of."""
        if moving_avg_variables is None:
            moving_avg_variables = variable_lists.trainable_variables()
            moving_avg_variables += variable_lists.moving_average_variables()
        averaged = dict.fromkeys(moving_avg_variables)
        found = {self.average_name(v): v for v in averaged}
        shadowed = {v.name for v in averaged}
        for v in variable_lists.global_variables():
            if v.name not in shadowed and v.op.name not in found:
                found[v.op.name] = v
        return found
