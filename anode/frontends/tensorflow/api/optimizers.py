"""The optimisers of tf.train, with TensorFlow's operations, names and slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anode.frontends.tensorflow.api.indexed_slices import IndexedSlices
from anode.frontends.tensorflow.api.initializers import Constant, Ones
from anode.frontends.tensorflow.api.optimizer import Optimizer
from anode.frontends.tensorflow.api.variables import ResourceVariable
from anode.frontends.tensorflow.dtypes import DType, int64
from anode.frontends.tensorflow.graph import (
    apply,
    constant,
    convert_to_tensor,
    get_default_graph,
    group,
)
from anode.frontends.tensorflow.opdef import export

GRADIENT = object()  # where the gradient stands among the operands of an op


def cast(tensor: Any, dtype: DType) -> Any:
    """A tensor in another type; itself if it has it."""
    return tensor if tensor.dtype.base_dtype == dtype else apply("Cast", tensor, DstT=dtype)


class _ByOp(Optimizer):
    """An optimiser whose update is one op on the variable and its slots, see table/training.py."""

    _slot_order: tuple[str, ...] = ()
    _sparse = True  # whether the op has a form for rows, else rows are made a dense gradient

    def _op(self) -> tuple[str, dict[str, Any]]:
        raise NotImplementedError

    def _operands(self) -> list[Any]:
        """The operands after the references, scalars as tensors and GRADIENT."""
        raise NotImplementedError

    def _tensors(self, **values: tuple[Any, str]) -> None:
        for attribute, (value, name) in values.items():
            tensor = convert_to_tensor(self._call_if_callable(value), name=name)
            setattr(self, attribute, tensor)

    def _applied(self, grad: Any, var: Any) -> Any:
        type, attrs = self._op()
        refs = [var._ref(), *[self.get_slot(var, name)._ref() for name in self._slot_order]]
        dtype = var.dtype.base_dtype
        rows = isinstance(grad, IndexedSlices)
        operands: list[Any] = []
        for operand in self._operands():
            if operand is GRADIENT:
                operands += [grad.values, grad.indices] if rows else [grad]
            else:
                keep = operand.dtype.base_dtype == int64
                operands.append(operand if keep else cast(operand, dtype))
        resource = "Resource" if isinstance(var, ResourceVariable) else ""
        name = f"{resource}{'Sparse' if rows else ''}Apply{type}"
        done = apply(name, *refs, *operands, use_locking=self._use_locking, **attrs)
        return done if resource else done.op

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        return self._applied(grad, var)

    def _resource_apply_dense(self, grad: Any, handle: Any) -> Any:
        return self._applied(grad, handle)

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        if self._sparse:
            return self._applied(grad, var)  # the op adds up rows of equal index
        dense = IndexedSlices(
            grad.values, grad.indices, convert_to_tensor(var.shape.as_list(), "int32")
        )
        return self._applied(convert_to_tensor(dense), var)

    def _resource_apply_sparse_duplicate_indices(self, grad: Any, handle: Any, indices: Any) -> Any:
        return self._apply_sparse_duplicate_indices(IndexedSlices(grad, indices), handle)


@export(
    "train.GradientDescentOptimizer", "python.training.gradient_descent.GradientDescentOptimizer"
)
class GradientDescentOptimizer(_ByOp):
    """Steps against the gradient."""

    def __init__(
        self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent"
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._learning_rate_tensor: Any = None

    def _prepare(self) -> None:
        self._tensors(_learning_rate_tensor=(self._learning_rate, "learning_rate"))

    def _op(self) -> tuple[str, dict[str, Any]]:
        return "GradientDescent", {}

    def _operands(self) -> list[Any]:
        return [self._learning_rate_tensor, GRADIENT]

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        rate = cast(self._learning_rate_tensor, var.dtype.base_dtype)
        step = IndexedSlices(apply("Mul", grad.values, rate, name="mul"), grad.indices)
        return var.scatter_sub(step, use_locking=self._use_locking)


@export("train.ProximalGradientDescentOptimizer")
class ProximalGradientDescentOptimizer(_ByOp):
    """Gradient descent with L1 and L2 penalties taken exactly."""

    def __init__(
        self,
        learning_rate: Any,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "ProximalGradientDescent",
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength
        self._learning_rate_tensor: Any = None
        self._l1_regularization_strength_tensor: Any = None
        self._l2_regularization_strength_tensor: Any = None

    def _prepare(self) -> None:
        self._tensors(
            _learning_rate_tensor=(self._learning_rate, "learning_rate"), **_penalties(self)
        )

    def _op(self) -> tuple[str, dict[str, Any]]:
        return "ProximalGradientDescent", {}

    def _operands(self) -> list[Any]:
        return [
            self._learning_rate_tensor,
            self._l1_regularization_strength_tensor,
            self._l2_regularization_strength_tensor,
            GRADIENT,
        ]


def _penalties(optimizer: Any) -> dict[str, tuple[Any, str]]:
    """The tensors of the strengths of both penalties."""
    names = ("l1_regularization_strength", "l2_regularization_strength")
    return {f"_{name}_tensor": (getattr(optimizer, f"_{name}"), name) for name in names}


@export("train.MomentumOptimizer", "python.training.momentum.MomentumOptimizer")
class MomentumOptimizer(_ByOp):
    """Gradient descent on a decaying sum of gradients, with Nesterov's variant."""

    _slot_order = ("momentum",)

    def __init__(
        self,
        learning_rate: Any,
        momentum: Any,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate, self._momentum = learning_rate, momentum
        self._use_nesterov = use_nesterov
        self._learning_rate_tensor: Any = None
        self._momentum_tensor: Any = None

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for v in var_list:
            self._zeros_slot(v, "momentum", self._name)

    def _prepare(self) -> None:
        self._tensors(
            _learning_rate_tensor=(self._learning_rate, "learning_rate"),
            _momentum_tensor=(self._momentum, "momentum"),
        )

    def _op(self) -> tuple[str, dict[str, Any]]:
        return "Momentum", {"use_nesterov": self._use_nesterov}

    def _operands(self) -> list[Any]:
        return [self._learning_rate_tensor, GRADIENT, self._momentum_tensor]


@export("train.AdamOptimizer", "python.training.adam.AdamOptimizer")
class AdamOptimizer(_ByOp):
    """Adam. Source: Kingma and Ba, 2014."""

    _slot_order = ("m", "v")
    _sparse = False  # TensorFlow too lets the moments of all rows decay
    _nesterov = False

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ) -> None:
        super().__init__(use_locking, name)
        self._lr, self._beta1, self._beta2 = learning_rate, beta1, beta2
        self._epsilon = epsilon
        self._lr_t: Any = None
        self._beta1_t: Any = None
        self._beta2_t: Any = None
        self._epsilon_t: Any = None

    def _get_beta_accumulators(self) -> tuple[Any, Any]:
        graph = get_default_graph()
        return (
            self._get_non_slot_variable("beta1_power", graph=graph),
            self._get_non_slot_variable("beta2_power", graph=graph),
        )

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        first = min(var_list, key=lambda v: v.name)
        for name, value in (("beta1_power", self._beta1), ("beta2_power", self._beta2)):
            value = self._call_if_callable(value)
            self._create_non_slot_variable(value, name=name, colocate_with=first)
        for v in var_list:
            self._zeros_slot(v, "m", self._name)
            self._zeros_slot(v, "v", self._name)

    def _prepare(self) -> None:
        self._tensors(
            _lr_t=(self._lr, "learning_rate"),
            _beta1_t=(self._beta1, "beta1"),
            _beta2_t=(self._beta2, "beta2"),
            _epsilon_t=(self._epsilon, "epsilon"),
        )

    def _op(self) -> tuple[str, dict[str, Any]]:
        return "Adam", {"use_nesterov": self._nesterov}

    def _operands(self) -> list[Any]:
        powers = [power.value() for power in self._get_beta_accumulators()]
        return [*powers, self._lr_t, self._beta1_t, self._beta2_t, self._epsilon_t, GRADIENT]

    def _finish(self, update_ops: Any, name_scope: str) -> Any:
        with get_default_graph().control_dependencies(update_ops):
            pairs = zip(self._get_beta_accumulators(), (self._beta1_t, self._beta2_t), strict=True)
            powers = [
                power.assign(apply("Mul", power.value(), beta, name="mul"), self._use_locking)
                for power, beta in pairs
            ]
        return group(*update_ops, *powers, name=name_scope)


@export("train.RMSPropOptimizer", "python.training.rmsprop.RMSPropOptimizer")
class RMSPropOptimizer(_ByOp):
    """Gradients over the root of their mean square. Source: Tieleman and Hinton, 2012."""

    def __init__(
        self,
        learning_rate: Any,
        decay: Any = 0.9,
        momentum: Any = 0.0,
        epsilon: Any = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        name: str = "RMSProp",
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate, self._decay, self._momentum = learning_rate, decay, momentum
        self._epsilon, self._centered = epsilon, centered
        self._slot_order = ("mg", "rms", "momentum") if centered else ("rms", "momentum")
        self._learning_rate_tensor: Any = None
        self._decay_tensor: Any = None
        self._momentum_tensor: Any = None
        self._epsilon_tensor: Any = None

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for v in var_list:
            self._get_or_make_slot_with_initializer(
                v, Ones(), v.get_shape(), v.dtype.base_dtype, "rms", self._name
            )
            if self._centered:
                self._zeros_slot(v, "mg", self._name)
            self._zeros_slot(v, "momentum", self._name)

    def _prepare(self) -> None:
        self._tensors(
            _learning_rate_tensor=(self._learning_rate, "learning_rate"),
            _decay_tensor=(self._decay, "decay"),
            _momentum_tensor=(self._momentum, "momentum"),
            _epsilon_tensor=(self._epsilon, "epsilon"),
        )

    def _op(self) -> tuple[str, dict[str, Any]]:
        return ("CenteredRMSProp" if self._centered else "RMSProp"), {}

    def _operands(self) -> list[Any]:
        return [
            self._learning_rate_tensor,
            self._decay_tensor,
            self._momentum_tensor,
            self._epsilon_tensor,
            GRADIENT,
        ]


@export("train.AdagradOptimizer", "python.training.adagrad.AdagradOptimizer")
class AdagradOptimizer(_ByOp):
    """Gradients over the root of the sum of their squares. Source: Duchi et al., 2011."""

    _slot_order = ("accumulator",)

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:
        _positive("initial_accumulator_value", initial_accumulator_value)
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._initial_accumulator_value = initial_accumulator_value
        self._learning_rate_tensor: Any = None

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for v in var_list:
            dtype = v.dtype.base_dtype
            start = Constant(self._initial_accumulator_value, dtype)
            self._get_or_make_slot_with_initializer(
                v, start, v.get_shape(), dtype, "accumulator", self._name
            )

    def _prepare(self) -> None:
        self._tensors(_learning_rate_tensor=(self._learning_rate, "learning_rate"))

    def _op(self) -> tuple[str, dict[str, Any]]:
        return "Adagrad", {}

    def _operands(self) -> list[Any]:
        return [self._learning_rate_tensor, GRADIENT]


def _positive(name: str, value: float) -> None:
    if value <= 0.0:
        raise ValueError(f"{name} must be positive: {value}")


def _constant_slot(optimizer: Any, v: Any, value: float, slot: str, name: str) -> None:
    start = constant(value, v.dtype.base_dtype, shape=v.get_shape())
    optimizer._get_or_make_slot(v, start, slot, name)


@export("train.ProximalAdagradOptimizer")
class ProximalAdagradOptimizer(_ByOp):
    """Adagrad with L1 and L2 penalties taken exactly."""

    _slot_order = ("accumulator",)

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "ProximalAdagrad",
    ) -> None:
        _positive("initial_accumulator_value", initial_accumulator_value)
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._initial_accumulator_value = initial_accumulator_value
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength
        self._learning_rate_tensor: Any = None
        self._l1_regularization_strength_tensor: Any = None
        self._l2_regularization_strength_tensor: Any = None

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for v in var_list:
            _constant_slot(self, v, self._initial_accumulator_value, "accumulator", self._name)

    def _prepare(self) -> None:
        self._tensors(
            _learning_rate_tensor=(self._learning_rate, "learning_rate"), **_penalties(self)
        )

    def _op(self) -> tuple[str, dict[str, Any]]:
        return "ProximalAdagrad", {}

    def _operands(self) -> list[Any]:
        return [
            self._learning_rate_tensor,
            self._l1_regularization_strength_tensor,
            self._l2_regularization_strength_tensor,
            GRADIENT,
        ]


@export("train.AdadeltaOptimizer", "python.training.adadelta.AdadeltaOptimizer")
class AdadeltaOptimizer(_ByOp):
    """Steps scaled by the sizes of the last steps and gradients. Source: Zeiler, 2012."""

    _slot_order = ("accum", "accum_update")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: Any = 0.95,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:
        super().__init__(use_locking, name)
        self._lr, self._rho, self._epsilon = learning_rate, rho, epsilon
        self._lr_t: Any = None
        self._rho_t: Any = None
        self._epsilon_t: Any = None

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for v in var_list:
            self._zeros_slot(v, "accum", self._name)
            self._zeros_slot(v, "accum_update", self._name)

    def _prepare(self) -> None:
        self._tensors(
            _lr_t=(self._lr, "lr"),
            _rho_t=(self._rho, "rho"),
            _epsilon_t=(self._epsilon, "epsilon"),
        )

    def _op(self) -> tuple[str, dict[str, Any]]:
        return "Adadelta", {}

    def _operands(self) -> list[Any]:
        return [self._lr_t, self._rho_t, self._epsilon_t, GRADIENT]


@export("train.AdagradDAOptimizer")
class AdagradDAOptimizer(_ByOp):
    """Adagrad by dual averaging, for sparse linear models. Source: Duchi et al., 2011."""

    _slot_order = ("gradient_accumulator", "gradient_squared_accumulator")

    def __init__(
        self,
        learning_rate: Any,
        global_step: Any,
        initial_gradient_squared_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "AdagradDA",
    ) -> None:
        start = initial_gradient_squared_accumulator_value
        _positive("initial_gradient_squared_accumulator_value", start)
        super().__init__(use_locking, name)
        self._learning_rate, self._global_step = learning_rate, global_step
        self._initial_gradient_squared_accumulator_value = start
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength
        self._learning_rate_tensor: Any = None
        self._global_step_on_worker: Any = None

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        start = self._initial_gradient_squared_accumulator_value
        for v in var_list:
            _constant_slot(self, v, 0.0, "gradient_accumulator", self._name)
            _constant_slot(self, v, start, "gradient_squared_accumulator", self._name)

    def _prepare(self) -> None:
        self._tensors(_learning_rate_tensor=(self._learning_rate, "learning_rate"))
        step = cast(apply("Identity", convert_to_tensor(self._global_step)), int64)
        self._global_step_on_worker = apply("AddV2", step, 1, name="add")

    def _op(self) -> tuple[str, dict[str, Any]]:
        return "AdagradDA", {}

    def _operands(self) -> list[Any]:
        return [
            GRADIENT,
            self._learning_rate_tensor,
            constant(self._l1_regularization_strength, "float32", name="Cast/x"),
            constant(self._l2_regularization_strength, "float32", name="Cast_1/x"),
            self._global_step_on_worker,
        ]


@export("train.FtrlOptimizer", "python.training.ftrl.FtrlOptimizer")
class FtrlOptimizer(_ByOp):
    """Follow the regularised leader. Source: McMahan et al., 2013."""

    _slot_order = ("accum", "linear")

    def __init__(
        self,
        learning_rate: Any,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "Ftrl",
        accum_name: str | None = None,
        linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
    ) -> None:
        super().__init__(use_locking, name)
        _at_least_zero("initial_accumulator_value", initial_accumulator_value)
        _at_least_zero("l1_regularization_strength", l1_regularization_strength)
        _at_least_zero("l2_regularization_strength", l2_regularization_strength)
        _at_least_zero("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength)
        if learning_rate_power > 0.0:
            raise ValueError(
                f"learning_rate_power {learning_rate_power} needs to be negative or zero"
            )
        self._learning_rate, self._learning_rate_power = learning_rate, learning_rate_power
        self._initial_accumulator_value = initial_accumulator_value
        self._l1_regularization_strength = l1_regularization_strength
        self._l2_regularization_strength = l2_regularization_strength
        self._l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self._accum_name, self._linear_name = accum_name, linear_name
        self._scalars: list[Any] = []

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        for v in var_list:
            accum = self._accum_name or self._name
            _constant_slot(self, v, self._initial_accumulator_value, "accum", accum)
            self._zeros_slot(v, "linear", self._linear_name or self._name)

    def _prepare(self) -> None:
        names = ["learning_rate", "l1_regularization_strength", "l2_regularization_strength"]
        if self._l2_shrinkage_regularization_strength > 0.0:
            names.append("l2_shrinkage_regularization_strength")
        names.append("learning_rate_power")
        values = [self._call_if_callable(getattr(self, f"_{name}")) for name in names]
        self._scalars = [
            convert_to_tensor(value, name=name) for value, name in zip(values, names, strict=True)
        ]

    def _op(self) -> tuple[str, dict[str, Any]]:
        return ("FtrlV2" if self._l2_shrinkage_regularization_strength > 0.0 else "Ftrl"), {}

    def _operands(self) -> list[Any]:
        return [GRADIENT, *self._scalars]


def _at_least_zero(name: str, value: float) -> None:
    if value < 0.0:
        raise ValueError(f"{name} {value} needs to be positive or zero")


@export("train.SyncReplicasOptimizer", "SyncReplicasOptimizer")
class SyncReplicasOptimizer:
    """Not supported: anode runs one process, where the wrapped optimiser does the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "tf.train.SyncReplicasOptimizer synchronises workers of a cluster, which anode has "
            "not; use the optimizer that it wraps"
        )
