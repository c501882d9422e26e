"""tf.train.Optimizer: gradients, slots and updates, to derive optimisers from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import nest, slot_creator, state_ops
from anode.frontends.tensorflow.api import variable_scope as scopes
from anode.frontends.tensorflow.api.gradients import gradients
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.indexed_slices import (
    IndexedSlices,
    convert_to_tensor_or_indexed_slices,
)
from anode.frontends.tensorflow.api.variables import ResourceVariable, init_scope
from anode.frontends.tensorflow.core import Operation, Tensor
from anode.frontends.tensorflow.dtypes import DType, bfloat16, float16, float32, float64
from anode.frontends.tensorflow.graph import (
    apply,
    get_default_graph,
    group,
    name_scope,
    tuple_,
)
from anode.frontends.tensorflow.opdef import export


@export("train.Optimizer", "python.training.optimizer.Optimizer")
class Optimizer:
    """The base of optimisers: `minimize` is `compute_gradients`, then `apply_gradients`.

    A subclass has `_create_slots`, `_prepare`, `_apply_dense`, `_apply_sparse` and `_finish`.
    """

    GATE_NONE, GATE_OP, GATE_GRAPH = 0, 1, 2

    def __init__(self, use_locking: bool, name: str) -> None:
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._use_locking, self._name = use_locking, name
        self._slots: dict[str, dict[Any, Any]] = {}
        self._non_slot_dict: dict[Any, Any] = {}

    def get_name(self) -> str:
        return self._name

    def minimize(
        self,
        loss: Any,
        global_step: Any = None,
        var_list: Any = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: int | None = None,
        colocate_gradients_with_ops: bool = False,
        name: str | None = None,
        grad_loss: Any = None,
    ) -> Operation:
        """An operation that moves the variables against the gradient of `loss`."""
        pairs = self.compute_gradients(
            loss,
            var_list=var_list,
            gate_gradients=gate_gradients,
            aggregation_method=aggregation_method,
            colocate_gradients_with_ops=colocate_gradients_with_ops,
            grad_loss=grad_loss,
        )
        if all(gradient is None for gradient, _ in pairs):
            raise ValueError(
                "No gradients provided for any variable, check your graph for ops that do not "
                f"support gradients, between variables {[str(v) for _, v in pairs]} and loss "
                f"{loss}."
            )
        return self.apply_gradients(pairs, global_step=global_step, name=name)

    def compute_gradients(
        self,
        loss: Any,
        var_list: Any = None,
        gate_gradients: int = GATE_OP,
        aggregation_method: int | None = None,
        colocate_gradients_with_ops: bool = False,
        grad_loss: Any = None,
    ) -> list[tuple[Any, Any]]:
        """Pairs of gradient (or None) and variable; of the trainable ones without `var_list`."""
        if callable(loss):
            raise RuntimeError("`loss` passed to Optimizer.compute_gradients must be a tensor")
        if gate_gradients not in (self.GATE_NONE, self.GATE_OP, self.GATE_GRAPH):
            raise ValueError(
                "gate_gradients must be one of: Optimizer.GATE_NONE, Optimizer.GATE_OP, "
                f"Optimizer.GATE_GRAPH. Not {gate_gradients}"
            )
        self._assert_valid_dtypes([loss])
        if grad_loss is not None:
            self._assert_valid_dtypes([grad_loss])
        graph = get_default_graph()
        if var_list is None:
            variables = graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)
            variables += graph.get_collection(GraphKeys.TRAINABLE_RESOURCE_VARIABLES)
        else:
            variables = [v for item in nest.flatten(var_list) for v in _parts(item)]
        if not variables:
            raise ValueError("No variables to optimize.")
        found = gradients(loss, variables, grad_ys=None if grad_loss is None else [grad_loss])
        if gate_gradients == self.GATE_GRAPH:
            found = tuple_(found)
        pairs = list(zip(found, variables, strict=True))
        self._assert_valid_dtypes([v for gradient, v in pairs if gradient is not None])
        return pairs

    def apply_gradients(
        self, grads_and_vars: Any, global_step: Any = None, name: str | None = None
    ) -> Operation:
        """An operation that applies gradients, then counts `global_step` up."""
        pairs = [(_gradient(gradient), v) for gradient, v in grads_and_vars]
        if not pairs:
            raise ValueError("No variables provided.")
        variables = [v for gradient, v in pairs if gradient is not None]
        if not variables:
            raise ValueError(
                f"No gradients provided for any variable: {[str(v) for _, v in pairs]}."
            )
        with init_scope():
            self._create_slots(variables)
        with name_scope(name, self._name) as scope:
            self._prepare()
            updates = [self._updated(gradient, v) for gradient, v in pairs if gradient is not None]
            if global_step is None:
                done = self._finish(updates, scope)
            else:
                with get_default_graph().control_dependencies([self._finish(updates, "update")]):
                    done = state_ops.assign_add(global_step, 1, name=scope)
            done = done.op if isinstance(done, Tensor) else done
        train_ops = get_default_graph().get_collection_ref(GraphKeys.TRAIN_OP)
        if done not in train_ops:
            train_ops.append(done)
        return done

    def _updated(self, gradient: Any, variable: Any) -> Any:
        name = variable.op.name
        with name_scope(f"update_{name}"):
            resource = isinstance(variable, ResourceVariable)
            if isinstance(gradient, IndexedSlices):
                if getattr(variable, "constraint", None) is not None:
                    raise RuntimeError("Cannot use a constraint function on a sparse variable.")
                if resource:
                    return self._resource_apply_sparse_duplicate_indices(
                        gradient.values, variable, gradient.indices
                    )
                return self._apply_sparse_duplicate_indices(gradient, variable)
            dense = self._resource_apply_dense if resource else self._apply_dense
            update = dense(gradient, variable)
            if getattr(variable, "constraint", None) is None:
                return update
            with get_default_graph().control_dependencies([update]):
                return variable.assign(variable.constraint(variable), self._use_locking)

    # slots

    def get_slot(self, var: Any, name: str) -> Any:
        """The slot `name` of a variable, or None."""
        if hasattr(var, "_variable_list"):
            slots = [self.get_slot(part, name) for part in var]
            return None if None in slots else slots
        return self._slots.get(name, {}).get(_key(var))

    def get_slot_names(self) -> list[str]:
        return sorted(self._slots)

    def variables(self) -> list[Any]:
        """The variables of the optimiser itself in the current graph, by name."""
        graph = get_default_graph()
        own = [*self._non_slot_variables()]
        own += [slot for slots in self._slots.values() for slot in slots.values()]
        return sorted((v for v in own if v.graph is graph), key=lambda v: v.name)

    def _non_slot_variables(self) -> Any:
        return self._non_slot_dict.values()

    def _create_non_slot_variable(self, initial_value: Any, name: str, colocate_with: Any) -> Any:
        key = (name, colocate_with.graph)
        if key not in self._non_slot_dict:
            resource = isinstance(colocate_with, ResourceVariable) or None
            self._non_slot_dict[key] = scopes.variable(
                initial_value, name=name, trainable=False, use_resource=resource
            )
        return self._non_slot_dict[key]

    def _get_non_slot_variable(self, name: str, graph: Any = None) -> Any:
        return self._non_slot_dict.get((name, graph))

    def _slot_dict(self, slot_name: str) -> dict[Any, Any]:
        return self._slots.setdefault(slot_name, {})

    def _get_or_make_slot(self, var: Any, val: Any, slot_name: str, op_name: str) -> Any:
        return self._slot(var, slot_name, lambda: slot_creator.create_slot(var, val, op_name))

    def _get_or_make_slot_with_initializer(
        self, var: Any, initializer: Any, shape: Any, dtype: Any, slot_name: str, op_name: str
    ) -> Any:
        create = slot_creator.create_slot_with_initializer
        return self._slot(var, slot_name, lambda: create(var, initializer, shape, dtype, op_name))

    def _zeros_slot(self, var: Any, slot_name: str, op_name: str) -> Any:
        return self._slot(var, slot_name, lambda: slot_creator.create_zeros_slot(var, op_name))

    def _slot(self, var: Any, slot_name: str, create: Callable[[], Any]) -> Any:
        slots = self._slot_dict(slot_name)
        if _key(var) not in slots:
            slots[_key(var)] = create()
        return slots[_key(var)]

    # what subclasses say

    def _valid_dtypes(self) -> set[DType]:
        return {float16, bfloat16, float32, float64}

    def _assert_valid_dtypes(self, tensors: Sequence[Any]) -> None:
        valid = self._valid_dtypes()
        for tensor in tensors:
            dtype = tensor.dtype.base_dtype
            if dtype not in valid:
                expected = [str(v) for v in valid]
                raise ValueError(f"Invalid type {dtype!r} for {tensor.name}, expected: {expected}.")

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        """Make the slots that the updates of these variables need."""

    def _prepare(self) -> None:
        """Make the tensors that all updates share."""

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        raise NotImplementedError

    def _resource_apply_dense(self, grad: Any, handle: Any) -> Any:
        raise NotImplementedError

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        raise NotImplementedError

    def _resource_apply_sparse(self, grad: Any, handle: Any, indices: Any) -> Any:
        raise NotImplementedError

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        """Apply a gradient of which rows may occur several times: their sums by default."""
        values, indices = _summed(grad.values, grad.indices)
        return self._apply_sparse(IndexedSlices(values, indices, grad.dense_shape), var)

    def _resource_apply_sparse_duplicate_indices(self, grad: Any, handle: Any, indices: Any) -> Any:
        values, rows = _summed(grad, indices)
        return self._resource_apply_sparse(values, handle, rows)

    def _finish(self, update_ops: Any, name_scope: str) -> Any:
        """The operation that is done when all updates are."""
        return group(*update_ops, name=name_scope)

    def _call_if_callable(self, param: Any) -> Any:
        return param() if callable(param) else param


def _key(variable: Any) -> Any:
    return variable.graph, variable.op.name


def _parts(variable: Any) -> list[Any]:
    return list(variable) if hasattr(variable, "_variable_list") else [variable]


def _gradient(gradient: Any) -> Any:
    if gradient is None:
        return None
    try:
        return convert_to_tensor_or_indexed_slices(gradient)
    except TypeError:
        raise TypeError(
            f"Gradient must be convertible to a Tensor or IndexedSlices, or None: {gradient}"
        ) from None


def _summed(values: Any, indices: Any) -> tuple[Any, Any]:
    """The distinct indices, and the sums of the rows that have them."""
    unique, positions = apply("Unique", indices)
    rows = apply("Shape", values)
    shape = apply("ConcatV2", [apply("Shape", unique), apply("Slice", rows, [1], [-1])], 0)
    return apply("ScatterNd", apply("ExpandDims", positions, -1), values, shape), unique
