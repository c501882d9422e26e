"""The optimisers of tf.contrib.opt that scripts use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.gradients import gradients
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.indexed_slices import IndexedSlices
from anode.frontends.tensorflow.api.moving_averages import ExponentialMovingAverage
from anode.frontends.tensorflow.api.optimizer import Optimizer
from anode.frontends.tensorflow.api.optimizers import (
    AdamOptimizer,
    MomentumOptimizer,
    cast,
)
from anode.frontends.tensorflow.api.saver import Saver, variables_by_name
from anode.frontends.tensorflow.core import get_default_graph
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, group
from anode.frontends.tensorflow.opdef import export


@export("contrib.opt.NadamOptimizer")
class NadamOptimizer(AdamOptimizer):
    """Adam with Nesterov's momentum. Source: Dozat, 2016."""

    _nesterov = True


@export("contrib.opt.LazyAdamOptimizer")
class LazyAdamOptimizer(AdamOptimizer):
    """Adam that leaves moments alone of rows that got no gradient."""

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Any) -> Any:
        return Optimizer._apply_sparse_duplicate_indices(self, grad, var)

    def _apply_sparse(self, grad: IndexedSlices, var: Any) -> Any:
        dtype = var.dtype.base_dtype
        beta1_power, beta2_power = (
            cast(power.value(), dtype) for power in self._get_beta_accumulators()
        )
        rate, beta1, beta2, epsilon = (
            cast(t, dtype) for t in (self._lr_t, self._beta1_t, self._beta2_t, self._epsilon_t)
        )
        rate = rate * apply("Sqrt", 1.0 - beta2_power) / (1.0 - beta1_power)
        m, v = self.get_slot(var, "m"), self.get_slot(var, "v")
        moment = beta1 * _rows(m, grad) + (1.0 - beta1) * grad.values
        square = beta2 * _rows(v, grad) + (1.0 - beta2) * apply("Square", grad.values)
        step = rate * moment / (apply("Sqrt", square) + epsilon)
        updates = [
            m.scatter_update(IndexedSlices(moment, grad.indices), self._use_locking),
            v.scatter_update(IndexedSlices(square, grad.indices), self._use_locking),
            var.scatter_sub(IndexedSlices(step, grad.indices), self._use_locking),
        ]
        return group(*updates)


def _rows(variable: Any, grad: IndexedSlices) -> Any:
    return apply("GatherV2", variable.value(), grad.indices, 0)


class _DecoupledDecay:
    """Weights shrink by `weight_decay` times themselves in each step. Source: Loshchilov, 2017."""

    _weight_decay: Any
    _decay_var_list: set[Any] | None = None

    def minimize(self, *args: Any, decay_var_list: Any = None, **kwargs: Any) -> Any:
        self._decay_var_list = set(decay_var_list) if decay_var_list else None
        return super().minimize(*args, **kwargs)  # type: ignore[misc]

    def apply_gradients(
        self,
        grads_and_vars: Any,
        global_step: Any = None,
        name: str | None = None,
        decay_var_list: Any = None,
    ) -> Any:
        self._decay_var_list = set(decay_var_list) if decay_var_list else self._decay_var_list
        return super().apply_gradients(  # type: ignore[misc]
            grads_and_vars, global_step=global_step, name=name
        )

    def _updated(self, gradient: Any, variable: Any) -> Any:
        update = super()._updated  # type: ignore[misc]
        if self._decay_var_list is not None and variable not in self._decay_var_list:
            return update(gradient, variable)
        decay = self._weight_decay() if callable(self._weight_decay) else self._weight_decay
        decay = cast(convert_to_tensor(decay, name="weight_decay"), variable.dtype.base_dtype)
        shrunk = variable.assign_sub(decay * variable.value())
        with get_default_graph().control_dependencies([shrunk]):
            return update(gradient, variable)


@export("contrib.opt.AdamWOptimizer")
class AdamWOptimizer(_DecoupledDecay, AdamOptimizer):
    """Adam with decoupled weight decay."""

    def __init__(
        self,
        weight_decay: Any,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "AdamW",
    ) -> None:
        self._weight_decay = weight_decay
        AdamOptimizer.__init__(self, learning_rate, beta1, beta2, epsilon, use_locking, name)


@export("contrib.opt.MomentumWOptimizer")
class MomentumWOptimizer(_DecoupledDecay, MomentumOptimizer):
    """Momentum with decoupled weight decay."""

    def __init__(
        self,
        weight_decay: Any,
        learning_rate: Any,
        momentum: Any,
        use_locking: bool = False,
        name: str = "MomentumW",
        use_nesterov: bool = False,
    ) -> None:
        self._weight_decay = weight_decay
        MomentumOptimizer.__init__(self, learning_rate, momentum, use_locking, name, use_nesterov)


@export("contrib.opt.MovingAverageOptimizer")
class MovingAverageOptimizer(Optimizer):
    """Another optimiser, and moving averages of what it trains; its saver swaps the two."""

    def __init__(
        self,
        opt: Optimizer,
        average_decay: float = 0.9999,
        num_updates: Any = None,
        sequential_update: bool = True,
    ) -> None:
        super().__init__(False, opt._name)
        self._optimizer, self._sequential_update = opt, sequential_update
        self._ema = ExponentialMovingAverage(average_decay, num_updates=num_updates)
        self._swapped_variable_name_map: dict[str, str] | None = None

    def compute_gradients(self, *args: Any, **kwargs: Any) -> Any:
        return self._optimizer.compute_gradients(*args, **kwargs)

    def apply_gradients(
        self, grads_and_vars: Any, global_step: Any = None, name: str | None = None
    ) -> Any:
        pairs = list(grads_and_vars)
        done = self._optimizer.apply_gradients(pairs, global_step=global_step, name=name)
        variables = [v for gradient, v in pairs if gradient is not None]
        with get_default_graph().control_dependencies([done]):
            averaged = self._ema.apply(variables)
        self._swapped_variable_name_map = {
            v.op.name: self._ema.average(v).op.name for v in variables
        }
        return group(done, averaged, name="train_with_avg")

    def swapping_saver(
        self, var_list: Any = None, name: str = "swapping_saver", **kwargs: Any
    ) -> Any:
        """A Saver that writes each average under the name of its variable, and the other way."""
        if self._swapped_variable_name_map is None:
            raise RuntimeError(
                "Must call apply_gradients or minimize before creating the swapping_saver"
            )
        if var_list is None:
            var_list = get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES)
        named: dict[str, Any] = dict(variables_by_name(var_list))
        swapped = dict(named)
        for name_of, average in self._swapped_variable_name_map.items():
            if name_of in named and average in named:
                swapped[name_of], swapped[average] = named[average], named[name_of]
        return Saver(swapped, name=name, **kwargs)


@export("contrib.opt.ScipyOptimizerInterface", "contrib.opt.ExternalOptimizerInterface")
class ScipyOptimizerInterface:
    """scipy.optimize.minimize on a loss of the graph; equalities and inequalities constrain it."""

    def __init__(
        self,
        loss: Any,
        var_list: Any = None,
        equalities: Any = None,
        inequalities: Any = None,
        var_to_bounds: Any = None,
        method: str = "L-BFGS-B",
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        graph = get_default_graph()
        self._loss, self._method = loss, method
        self._vars = list(var_list or graph.get_collection(GraphKeys.TRAINABLE_VARIABLES))
        self._options, self._arguments = dict(options or {}), kwargs
        self._equalities, self._inequalities = list(equalities or []), list(inequalities or [])
        self._bounds = var_to_bounds
        self._gradients = [self._dense(t) for t in (loss, *self._equalities, *self._inequalities)]

    def _dense(self, target: Any) -> list[Any]:
        found = gradients(target, self._vars)
        pairs = zip(found, self._vars, strict=True)
        return [apply("ZerosLike", v) if g is None else convert_to_tensor(g) for g, v in pairs]

    def minimize(
        self,
        session: Any = None,
        feed_dict: Any = None,
        fetches: Any = None,
        step_callback: Any = None,
        loss_callback: Any = None,
        **run_kwargs: Any,
    ) -> None:
        """Run the method to its end and leave the variables at the minimum."""
        from scipy.optimize import minimize  # type: ignore[import-untyped]

        from anode.frontends.tensorflow.core import get_default_session

        session = session or get_default_session()
        shapes = [v.shape.as_list() for v in self._vars]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

        def feeds(x: Any) -> dict[Any, Any]:
            parts = np.split(x, ends[:-1])
            values = [p.reshape(s) for p, s in zip(parts, shapes, strict=True)]
            return {**(feed_dict or {}), **dict(zip(self._vars, values, strict=True))}

        def flat(arrays: Sequence[Any]) -> Any:
            return np.concatenate([np.ravel(a).astype(np.float64) for a in arrays])

        def evaluate(target: Any, slopes: list[Any]) -> Any:
            def call(x: Any) -> Any:
                value, parts = session.run([target, slopes], feeds(x), **run_kwargs)
                return np.float64(value), flat(parts)

            return call

        def objective(x: Any) -> Any:
            if loss_callback is not None:
                loss_callback(*session.run(fetches or [], feeds(x), **run_kwargs))
            return evaluate(self._loss, self._gradients[0])(x)

        begin = flat(session.run(self._vars))
        arguments: dict[str, Any] = {"jac": True, "method": self._method, **self._arguments}
        constraints = self._constraints(evaluate)
        if constraints:
            arguments["constraints"] = constraints
        if self._bounds is not None:
            arguments["bounds"] = self._limits(shapes)
        if step_callback is not None:
            arguments["callback"] = step_callback
        found = minimize(objective, begin, options=self._options, **arguments)
        for variable, value in feeds(found.x).items():
            if any(variable is v for v in self._vars):
                variable.load(value, session)

    def _constraints(self, evaluate: Any) -> list[dict[str, Any]]:
        kinds = ["eq"] * len(self._equalities) + ["ineq"] * len(self._inequalities)
        targets = [*self._equalities, *self._inequalities]
        found = []
        for kind, target, slopes in zip(kinds, targets, self._gradients[1:], strict=True):
            call = evaluate(target, slopes)
            found.append(
                {
                    "type": kind,
                    "fun": lambda x, call=call: call(x)[0],
                    "jac": lambda x, call=call: call(x)[1],
                }
            )
        return found

    def _limits(self, shapes: list[Any]) -> list[tuple[Any, Any]]:
        found: list[tuple[Any, Any]] = []
        for variable, shape in zip(self._vars, shapes, strict=True):
            low, high = self._bounds.get(variable, (-np.inf, np.inf))
            lows, highs = np.broadcast_to(low, shape), np.broadcast_to(high, shape)
            found += list(zip(lows.ravel(), highs.ravel(), strict=True))
        return found
