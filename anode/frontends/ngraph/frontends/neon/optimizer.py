"""Optimizers: called with a cost, they give an op that takes one step."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.common.learning_rate_policies import policy_of
from anode.frontends.ngraph.frontends.neon.graph import SubGraph

logger = logging.getLogger(__name__)


def get_learning_rate_policy_callback(lr_params: Any) -> Any:
    """The policy of a number or of a dict {'name': ..., 'base_lr': ...}."""
    return policy_of(lr_params)


def clip_gradient_norm(grad_list: Sequence[Any], clip_norm: float | None = None) -> Any:
    """The factor that brings the norm of all gradients together down to `clip_norm`; at most 1."""
    if clip_norm is None:
        return 1
    squares = [ng.squared_L2(grad, out_axes=None) for grad in grad_list]
    norm = ng.sqrt(functools.reduce(lambda a, b: a + b, squares))
    return clip_norm / ng.maximum(norm, clip_norm)


def clip_gradient_value(grad: Any, clip_value: float | None = None) -> Any:
    """The gradient, each element within ±clip_value."""
    return clip_weight_value(grad, clip_value)


def clip_weight_value(
    weight: Any, clip_value: float | None = None, min_value_override: float | None = None
) -> Any:
    """The weights, each element within ±clip_value, or from `min_value_override`."""
    if clip_value is None:
        return weight
    least = -abs(clip_value) if min_value_override is None else min_value_override
    return ng.minimum(ng.maximum(weight, least), abs(clip_value))


class Optimizer(SubGraph):
    """A sub-graph of updates."""

    def update_learning_rate(self) -> None:
        """Nothing: rates follow their policies."""


class LearningRateOptimizer(Optimizer):
    """An optimizer of gradients with a rate: a number, or the dict of a policy of `iteration`.

    Gradients are of the cost's sum over the batch, divided by its length.
    """

    def __init__(
        self,
        learning_rate: Any,
        iteration: Any = 0,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        weight_clip_value: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lrate = policy_of(learning_rate)(iteration)
        self.gradient_clip_norm = gradient_clip_norm
        self.gradient_clip_value = gradient_clip_value
        self.weight_clip_value = weight_clip_value

    @SubGraph.scope_op_creation
    def __call__(
        self,
        cost_func: Any,
        variables: Any = None,
        subgraph: SubGraph | None = None,
        warning: bool = False,
    ) -> Any:
        """An op that updates `variables`, or those of `subgraph`, or all that the cost depends on.

        With `warning`, variables on which the cost does not depend are logged.
        """
        if subgraph is not None:
            if variables is not None:
                raise ValueError("variables and subgraph cannot both be given")
            variables = list(subgraph.variables.values())
        batch_cost = ng.sum(cost_func, out_axes=())
        if variables is None:
            variables = batch_cost.variables()
        elif warning and not set(variables) <= set(batch_cost.variables()):
            logger.warning("not all selected variables participate in cost computation")
        batch = cost_func.axes.batch_axis()
        count = 1 if batch is None else batch.length
        grads = [ng.deriv(batch_cost, v) / count for v in variables]
        scale = clip_gradient_norm(grads, self.gradient_clip_norm)
        pairs = zip(variables, grads, strict=True)
        updates = [self.variable_update(variable, grad, scale) for variable, grad in pairs]
        return ng.sequential([ng.doall(grads), ng.doall(updates), self._clips(variables), 0])

    def _clips(self, variables: Any) -> Any:
        limit = self.weight_clip_value
        if limit is None:
            return ng.doall([])
        return ng.doall([ng.assign(v, clip_weight_value(v, limit)) for v in variables])

    def variable_update(self, variable: Any, grad: Any, scale_factor: Any) -> Any:
        """An op that updates one variable."""
        raise NotImplementedError


def _state(variable: Any, initial_value: float, suffix: str = "") -> Any:
    state = ng.persistent_tensor(axes=variable.axes, initial_value=initial_value)
    return state.named(variable.name + suffix) if suffix else state


class GradientDescentMomentum(LearningRateOptimizer):
    """v = momentum·v − rate·(gradient + wdecay·w); w += v, or momentum·v − rate·(…) if nesterov.

    The weights are summed with Kahan's compensation, the state `…_c`.
    """

    def __init__(
        self,
        learning_rate: Any,
        momentum_coef: float = 0.0,
        wdecay: float = 0.0,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        weight_clip_value: float | None = None,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            gradient_clip_norm=gradient_clip_norm,
            gradient_clip_value=gradient_clip_value,
            weight_clip_value=weight_clip_value,
            **kwargs,
        )
        self.momentum_coef = momentum_coef
        self.wdecay = wdecay
        self.nesterov = nesterov

    def variable_update(self, variable: Any, grad: Any, scale_factor: Any) -> Any:
        velocity = _state(variable, 0.0, "_vel")
        grad = clip_gradient_value(grad, self.gradient_clip_value)
        change = -self.lrate * (scale_factor * grad + self.wdecay * variable)
        updates = [ng.assign(velocity, velocity * self.momentum_coef + change)]
        delta = self.momentum_coef * velocity + change if self.nesterov else velocity
        return ng.sequential([*updates, *self._sum(variable, delta)])

    def _sum(self, variable: Any, delta: Any) -> list[Any]:
        """variable += delta, such that what rounding loses is added at the next step."""
        lost, step, new = (_state(variable, 0.0, suffix) for suffix in ("_c", "_y", "_t"))
        return [
            ng.assign(step, delta - lost),
            ng.assign(new, variable + step),
            ng.assign(lost, (new - variable) - step),
            ng.assign(variable, new),
        ]


class RMSProp(LearningRateOptimizer):
    """a = decay·a + (1 − decay)·g²; v = momentum·v + rate·g / √(a + ε) + rate·wdecay·w; w −= v.

    The mean square `a` starts at 1.
    """

    def __init__(
        self,
        decay_rate: float = 0.95,
        learning_rate: Any = 2e-3,
        epsilon: float = 1e-6,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        weight_clip_value: float | None = None,
        wdecay: float = 0.0,
        momentum_coef: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            gradient_clip_norm=gradient_clip_norm,
            gradient_clip_value=gradient_clip_value,
            weight_clip_value=weight_clip_value,
            **kwargs,
        )
        self.epsilon = epsilon
        self.decay_rate = decay_rate
        self.wdecay = wdecay
        self.momentum = momentum_coef

    def variable_update(self, variable: Any, grad: Any, scale_factor: Any) -> Any:
        decay = self.decay_rate
        grad = clip_gradient_value(grad, self.gradient_clip_value)
        square, velocity = _state(variable, 1.0), _state(variable, 0.0, "_vel")
        step = self.lrate * scale_factor * grad / ng.sqrt(square + self.epsilon)
        decayed = self.lrate * self.wdecay * variable
        return ng.sequential(
            [
                ng.assign(square, decay * square + (1.0 - decay) * ng.square(grad)),
                ng.assign(velocity, velocity * self.momentum + step + decayed),
                ng.assign(variable, variable - velocity),
            ]
        )


class Adam(LearningRateOptimizer):
    """Adam (Kingma and Ba, 2015), with the bias corrections in the rate and ε outside the root."""

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        weight_clip_value: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            gradient_clip_norm=gradient_clip_norm,
            gradient_clip_value=gradient_clip_value,
            weight_clip_value=weight_clip_value,
            **kwargs,
        )
        self.beta_1: Any = beta_1
        self.beta_2: Any = beta_2
        self.epsilon = epsilon

    @SubGraph.scope_op_creation
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.ops:
            self.beta_1 = ng.constant(self.beta_1, dtype=np.dtype(np.float32))
            self.beta_2 = ng.constant(self.beta_2, dtype=np.dtype(np.float32))
            self.t = ng.persistent_tensor(axes=(), initial_value=0)
        self.t = ng.sequential([ng.assign(self.t, self.t + 1), self.t])
        self.ell = self.lrate * ng.sqrt(1 - self.beta_2**self.t) / (1 - self.beta_1**self.t)
        return super().__call__(*args, **kwargs)

    def variable_update(self, variable: Any, grad: Any, scale_factor: Any) -> Any:
        grad = clip_gradient_value(grad, self.gradient_clip_value)
        m, v = _state(variable, 0.0), _state(variable, 0.0)
        step = scale_factor * self.ell * m / (ng.sqrt(v) + self.epsilon)
        return ng.sequential(
            [
                ng.assign(m, m * self.beta_1 + (1 - self.beta_1) * grad),
                ng.assign(v, v * self.beta_2 + (1 - self.beta_2) * grad * grad),
                ng.assign(variable, variable - step),
            ]
        )


class Adagrad(LearningRateOptimizer):
    """a += g²; w −= rate·g / √(a + ε) (Duchi et al., 2011)."""

    def __init__(
        self,
        learning_rate: Any = 1e-3,
        epsilon: float = 1e-8,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        weight_clip_value: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            gradient_clip_norm=gradient_clip_norm,
            gradient_clip_value=gradient_clip_value,
            weight_clip_value=weight_clip_value,
            **kwargs,
        )
        self.epsilon = epsilon

    def variable_update(self, variable: Any, grad: Any, scale_factor: Any) -> Any:
        grad = clip_gradient_value(grad, self.gradient_clip_value)
        square = _state(variable, 0.0)
        step = scale_factor * self.lrate * grad / ng.sqrt(square + self.epsilon)
        return ng.sequential(
            [
                ng.assign(square, square + ng.square(grad)),
                ng.assign(variable, variable - step),
            ]
        )
