"""Optimisers, which overwrite parameters, and schedules, which give the learning rate of an epoch.

A parameter is ((value, gradient), states). The gradient is that of the cost summed over the batch,
so every optimiser divides it by the batch. The states, which are saved with models, are a list of
tensors, empty at first. The formulas are those of anode's layers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from anode import ops
from anode.frontends.layers import optimizers as formulas
from anode.frontends.layers.binary import ShiftAdaMax as PowerOfTwoSteps
from anode.frontends.layers.optimizers import ROUNDED_BITS, Step, clipped
from anode.frontends.neon import NervanaObject
from anode.frontends.neon.tracing import host_input, node, perform

if TYPE_CHECKING:
    from anode.frontends.neon.backends.backend import Tensor
    from anode.ir.node import Node

Parameter = tuple[tuple["Tensor", "Tensor"], list["Tensor"]]

logger = logging.getLogger("neon.optimizers.optimizer")


def get_param_list(layer_list: Sequence[Any]) -> list[Parameter]:
    """The parameters of layers in a flat list."""
    found: list[Parameter] = []
    for layer in layer_list:
        own = layer.get_params()
        found.extend(own if isinstance(own, list) else [own])
    return found


class Schedule(NervanaObject):
    """learning_rate · change^k, where k of the epochs in `step_config` have been reached.

    With a number as `step_config` it is a `PowerSchedule`, with two lists a `StepSchedule`.
    """

    def __init__(self, step_config: Any = None, change: Any = 1.0) -> None:
        self.step_config, self.change = step_config, change
        self.steps: Any = 0
        if self._absolute:
            assert len(step_config) == len(change), (
                "change and step_config must have the same length "
                "after step_config is deduplicated to do epoch-level LR assignment."
            )
            self._warn("StepSchedule")
        elif isinstance(step_config, int):
            self._warn("PowerSchedule")

    @property
    def _absolute(self) -> bool:
        return isinstance(self.step_config, list) and isinstance(self.change, list)

    def _warn(self, better: str) -> None:
        logger.warning(
            "This functionality will be removed from Schedule in the future. "
            "Please use the %s class instead.",
            better,
        )

    def get_learning_rate(self, learning_rate: float, epoch: int) -> float:
        """The rate of an epoch, counted from 0."""
        if self._absolute:
            return self._set(learning_rate, epoch)
        if isinstance(self.step_config, int):
            self.steps = epoch // self.step_config
        elif isinstance(self.step_config, list):
            self.steps = sum(epoch >= step for step in self.step_config)
        return float(learning_rate * self.change**self.steps)

    def _set(self, learning_rate: float, epoch: int) -> float:
        """The rate set at this epoch, or else the last one set; `steps` keeps it."""
        if epoch in self.step_config:
            self.steps = self.change[self.step_config.index(epoch)]
        return float(self.steps) if self.steps else learning_rate


CONSTANT = Schedule()


class StepSchedule(Schedule):
    """The rate `change[i]` from epoch `step_config[i]` on; the learning rate before the first."""

    def __init__(self, step_config: list[int], change: list[float]) -> None:
        assert isinstance(step_config, list) and isinstance(change, list), (
            "The arguments change and step_config must be lists."
        )
        assert len(step_config) == len(change), (
            "The arguments change and step_config must have the same length."
        )
        self.step_config, self.change, self.steps = step_config, change, 0

    def get_learning_rate(self, learning_rate: float, epoch: int) -> float:
        return self._set(learning_rate, epoch)


class PowerSchedule(Schedule):
    """learning_rate · change^⌊epoch / step_config⌋."""

    def __init__(self, step_config: int, change: float) -> None:
        assert isinstance(step_config, int), "The argument step_config must be an integer."
        assert not isinstance(change, list), "The argument change must be a float or integer."
        self.step_config, self.change, self.steps = step_config, change, 0


class ExpSchedule(Schedule):
    """learning_rate / (1 + decay · epoch)."""

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def get_learning_rate(self, learning_rate: float, epoch: int) -> float:
        return float(learning_rate / (1.0 + self.decay * epoch))


class PolySchedule(Schedule):
    """learning_rate · (1 − ⌊epoch / total_epochs⌋)^power: neon's, constant until the last epoch."""

    def __init__(self, total_epochs: float, power: float) -> None:
        self.total_epochs = np.float32(total_epochs)
        self.power = power

    def get_learning_rate(self, learning_rate: float, epoch: int) -> float:
        return float(learning_rate * (1.0 - epoch // self.total_epochs) ** self.power)


class ShiftSchedule(Schedule):
    """learning_rate · 2^(−shift_size · ⌊epoch / interval⌋), as f32."""

    def __init__(self, interval: int, shift_size: int = 1) -> None:
        self.interval, self.shift_size = interval, shift_size

    def get_learning_rate(self, learning_rate: float, epoch: int) -> float:
        shift = -self.shift_size * int(epoch / self.interval)
        return float(np.float32(learning_rate) * np.float32(2.0**shift))


class Optimizer(NervanaObject):
    """What overwrites the parameters of layers. A subclass has `optimize`."""

    def optimize(self, layer_list: Sequence[Any], epoch: int) -> None:
        """Update the parameters of layers from their gradients."""
        raise NotImplementedError()

    def clip_gradient_norm(self, param_list: Sequence[Parameter], clip_norm: float | None) -> Any:
        """c / max(norm of all gradients, c) as an op-tree; 1 without a `clip_norm` c."""
        if not clip_norm:
            return 1
        squares = [self.be.sum(self.be.square(gradient)) for (_, gradient), _ in param_list]
        norm = self.be.sqrt(sum(squares[1:], squares[0])) / self.be.bsz
        return clip_norm / self.be.maximum(norm, clip_norm)

    def clip_value(self, v: Any, abs_bound: float | None = None) -> Any:
        """`v` between −abs_bound and abs_bound; as it is without a bound."""
        return self.be.clip(v, -abs(abs_bound), abs(abs_bound)) if abs_bound else v


class States(formulas.Slots):
    """What a formula remembers of a parameter, by neon's places in its list of states."""

    def __init__(self, names: Sequence[str], states: list[Tensor]) -> None:
        self._states = dict(zip(names, states, strict=False))

    def read(self, name: str) -> Node:
        return node(self._states[name])

    def write(self, name: str, value: Node) -> Node:
        self._states[name].write(value)
        return value


class FormulaOptimizer(Optimizer):
    """An optimiser that applies a formula of anode's layers to each parameter."""

    learning_rate: float = 1.0
    schedule: Schedule = CONSTANT
    stochastic_round: Any = False
    gradient_clip_norm: float | None = None
    gradient_clip_value: float | None = None
    param_clip_value: float | None = None
    _rounding: np.random.RandomState | None = None
    _warned = False

    def formula(self) -> formulas.Optimizer:
        """The formula with its numbers."""
        raise NotImplementedError

    def slots(self) -> tuple[str, ...]:
        """The formula's names of what it remembers, in the order of the states."""
        raise NotImplementedError

    def rate(self, epoch: int) -> float:
        """The learning rate of a step in an epoch, which this may count."""
        return self.schedule.get_learning_rate(self.learning_rate, epoch)

    def optimize(self, layer_list: Sequence[Any], epoch: int) -> None:
        parameters = get_param_list(layer_list)
        for (_, gradient), states in parameters:
            if not states:
                states.extend(
                    self.be.zeros_like(gradient, dtype=gradient.dtype) for _ in self.slots()
                )
        perform(lambda: self._update(parameters, epoch), self.be.programs)

    def _update(self, parameters: Sequence[Parameter], epoch: int) -> None:
        formula, size = self.formula(), float(self.be.bsz)
        gradients = [node(gradient) / size for (_, gradient), _ in parameters]
        wide = np.result_type(np.float32, *(value.dtype for (value, _), _ in parameters))
        rate = host_input(lambda: self.rate(epoch), (), wide)
        step = Step(rate, formula.clipping(gradients))
        for ((value, _), states), gradient in zip(parameters, gradients, strict=True):
            p, g = node(value), clipped(gradient, self.gradient_clip_value or None)
            new = formula.rule(p, g, step.of(p.tensor), States(self.slots(), states))
            value.write(clipped(new, self.param_clip_value or None))
        bits = self._bits()
        if bits is not None:
            self._round([value for (value, _), _ in parameters], bits)

    def _bits(self) -> int | None:
        """The bits of rounded parameters; None without rounding, which a fraction does not ask for.

        The first argument of most optimisers is `stochastic_round`, where scripts give a rate.
        """
        asked = self.stochastic_round or self.be.stochastic_round
        if isinstance(asked, float) and not asked.is_integer():
            if not self._warned:
                logger.warning(
                    "%s: stochastic_round=%g is no number of bits, so nothing is rounded; is it "
                    "meant as learning_rate, which is %g?",
                    *(self.classnm, asked, self.learning_rate),
                )
            self._warned = True
            return None
        return (ROUNDED_BITS if asked is True else int(asked)) if asked else None

    def _round(self, values: Sequence[Tensor], bits: int) -> None:
        """Round parameters to fewer bits, up or down at random, so that the mean is what it was.

        The random numbers are none of the backend's `rng`, whose order initial values and masks
        depend on.
        """
        if self._rounding is None:
            self._rounding = np.random.RandomState(self.be.rng_seed)
        draw = self._rounding.randint
        key = host_input(lambda: draw(0, 2**32, 4, dtype=np.uint32), (4,), np.uint32)
        for stream, value in enumerate(values):
            new = node(value)
            single = ops.convert(new, dtype="f32")
            rounded = ops.stochastic_round(single, key, stream=stream, bits=bits)
            value.write(ops.convert(rounded, dtype=new.dtype))


class GradientDescentMomentum(FormulaOptimizer):
    """g' = s·g + wdecay·p; v = momentum·v − rate·g'; p += v, nesterov momentum·v − rate·g'."""

    def __init__(
        self,
        learning_rate: float,
        momentum_coef: float,
        stochastic_round: Any = False,
        wdecay: float = 0.0,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        param_clip_value: float | None = None,
        name: str | None = None,
        schedule: Schedule = CONSTANT,
        nesterov: bool = False,
    ) -> None:
        super().__init__(name=name)
        if nesterov and momentum_coef == 0:
            raise ValueError("nesterov requires non-zero momentum")
        self.learning_rate, self.momentum_coef = learning_rate, momentum_coef
        self.wdecay, self.schedule, self.nesterov = wdecay, schedule, nesterov
        self.stochastic_round = stochastic_round
        self.gradient_clip_norm = gradient_clip_norm
        self.gradient_clip_value = gradient_clip_value
        self.param_clip_value = param_clip_value

    def formula(self) -> formulas.Optimizer:
        return formulas.GradientDescentMomentum(
            momentum_coef=self.momentum_coef,
            wdecay=self.wdecay,
            nesterov=self.nesterov,
            gradient_clip_norm=self.gradient_clip_norm or None,
        )

    def slots(self) -> tuple[str, ...]:
        return ("velocity",) if self.momentum_coef else ()


class RMSProp(FormulaOptimizer):
    """a = d·a + (1 − d)·g²; p −= s·g·rate / (√(a + ε) + ε), with d the decay rate."""

    def __init__(
        self,
        stochastic_round: Any = False,
        decay_rate: float = 0.95,
        learning_rate: float = 2e-3,
        epsilon: float = 1e-6,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        param_clip_value: float | None = None,
        name: str | None = None,
        schedule: Schedule = CONSTANT,
    ) -> None:
        super().__init__(name=name)
        self.decay_rate, self.learning_rate, self.epsilon = decay_rate, learning_rate, epsilon
        self.schedule, self.stochastic_round = schedule, stochastic_round
        self.gradient_clip_norm = gradient_clip_norm
        self.gradient_clip_value = gradient_clip_value
        self.param_clip_value = param_clip_value

    def formula(self) -> formulas.Optimizer:
        return formulas.RMSProp(
            decay_rate=self.decay_rate,
            epsilon=self.epsilon,
            gradient_clip_norm=self.gradient_clip_norm or None,
        )

    def slots(self) -> tuple[str, ...]:
        return ("mean_square",)


class Adagrad(FormulaOptimizer):
    """a += g²; p −= s·g·rate / √(a + ε)."""

    def __init__(
        self,
        stochastic_round: Any = False,
        learning_rate: float = 0.01,
        epsilon: float = 1e-6,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        param_clip_value: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.learning_rate, self.epsilon = learning_rate, epsilon
        self.stochastic_round = stochastic_round
        self.gradient_clip_norm = gradient_clip_norm
        self.gradient_clip_value = gradient_clip_value
        self.param_clip_value = param_clip_value

    def formula(self) -> formulas.Optimizer:
        return formulas.Adagrad(
            epsilon=self.epsilon, gradient_clip_norm=self.gradient_clip_norm or None
        )

    def slots(self) -> tuple[str, ...]:
        return ("sum_of_squares",)


class Adadelta(FormulaOptimizer):
    """a = d·a + (1 − d)·g²; u = √((b + ε) / (a + ε))·g; b = d·b + (1 − d)·u²; p −= u.

    The states are a, b and u.
    """

    def __init__(
        self,
        stochastic_round: Any = False,
        decay: float = 0.95,
        epsilon: float = 1e-6,
        param_clip_value: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name)
        self.decay, self.epsilon = decay, epsilon
        self.stochastic_round, self.param_clip_value = stochastic_round, param_clip_value

    def formula(self) -> formulas.Optimizer:
        return _Adadelta(decay=self.decay, epsilon=self.epsilon)

    def slots(self) -> tuple[str, ...]:
        return ("gradient_square", "step_square", "step")


class _Adadelta(formulas.Adadelta):
    """The formula, which also keeps the step, as neon's files do."""

    def rule(self, p: Node, g: Node, step: Step, slots: formulas.Slots) -> Node:
        return p - slots.write("step", self.move(g, step, slots))


class Adam(FormulaOptimizer):
    """m = β1·m + (1 − β1)·g; v = β2·v + (1 − β2)·g²; p −= s·r·m / (√v + ε), at step t with

    r = rate·√(1 − β2^t) / (1 − β1^t).
    """

    def __init__(
        self,
        stochastic_round: Any = False,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        gradient_clip_norm: float | None = None,
        gradient_clip_value: float | None = None,
        param_clip_value: float | None = None,
        name: str | None = "adam",
    ) -> None:
        super().__init__(name=name)
        self.learning_rate, self.epsilon = learning_rate, epsilon
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.stochastic_round = stochastic_round
        self.gradient_clip_norm = gradient_clip_norm
        self.gradient_clip_value = gradient_clip_value
        self.param_clip_value = param_clip_value
        self._steps = [0]  # not a plain number, for which a step would be recorded anew

    @property
    def t(self) -> int:
        """The number of steps so far."""
        return self._steps[0]

    @t.setter
    def t(self, steps: int) -> None:
        self._steps[0] = steps

    def rate(self, epoch: int) -> float:
        self.t += 1
        second, first = 1 - self.beta_2**self.t, 1 - self.beta_1**self.t
        return self.learning_rate * math.sqrt(second) / first

    def formula(self) -> formulas.Optimizer:
        return formulas.Adam(
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            gradient_clip_norm=self.gradient_clip_norm or None,
        )

    def slots(self) -> tuple[str, ...]:
        return ("first_moment", "second_moment")


class ShiftAdaMax(FormulaOptimizer):
    """m = β1·m + (1 − β1)·g; v = max(β2·v, |g|); p −= m·2^⟨1 / (v + ε)⟩·2^⟨r⟩, then within ±1,

    with r = rate / (1 − β1^(epoch + 1)) and ⟨x⟩ the rounded logarithm of x to base 2; the states
    are m, v and 1 / (v + ε). Source: Courbariaux et al. 2016, arXiv:1602.02830.
    """

    param_clip_value = 1.0

    def __init__(
        self,
        stochastic_round: Any = False,
        learning_rate: float = 0.002,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        schedule: Schedule = CONSTANT,
        name: str | None = "ShiftAdaMax",
    ) -> None:
        super().__init__(name=name)
        self.learning_rate, self.epsilon = learning_rate, epsilon
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.schedule, self.stochastic_round = schedule, stochastic_round

    def rate(self, epoch: int) -> float:
        return super().rate(epoch) / (1 - self.beta_1 ** (epoch + 1))

    def formula(self) -> formulas.Optimizer:
        return PowerOfTwoSteps(1.0, self.beta_1, self.beta_2, self.epsilon)

    def slots(self) -> tuple[str, ...]:
        return ("mean", "largest", "inverse")


class MultiOptimizer(Optimizer):
    """Different optimisers for different layers: {"fc8": …, "Bias": …, "default": …}.

    A layer goes by its name, else by its class, else by "default".
    """

    def __init__(self, optimizer_mapping: dict[str, Optimizer], name: str | None = None) -> None:
        super().__init__(name=name)
        assert "default" in optimizer_mapping, (
            "Must specify a default optimizer in layer type to optimizer mapping"
        )
        self.optimizer_mapping = optimizer_mapping
        self.map_list: dict[Optimizer, list[Any]] | None = None

    @classmethod
    def gen_class(cls, pdict: dict[str, Any]) -> MultiOptimizer:
        mapping = pdict["optimizer_mapping"]
        for key in mapping:
            cls.recursive_gen(mapping, key)
        return cls(**pdict)

    def get_description(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        mapping = {k: o.get_description() for k, o in self.optimizer_mapping.items()}
        return {"type": self.modulenm, "config": {"optimizer_mapping": mapping}}

    def _map_optimizers(self, layer_list: Sequence[Any]) -> dict[Optimizer, list[Any]]:
        chosen: dict[Optimizer, list[Any]] = {}
        for layer in layer_list:
            keys = (layer.name, type(layer).__name__, "default")
            key = next(k for k in keys if k in self.optimizer_mapping)
            chosen.setdefault(self.optimizer_mapping[key], []).append(layer)
        return chosen

    def _reset_mapping(self, new_mapping: dict[str, Optimizer]) -> None:
        self.optimizer_mapping = new_mapping
        self.map_list = None

    def optimize(self, layer_list: Sequence[Any], epoch: int) -> None:
        self.map_list = self._map_optimizers(layer_list)
        for optimizer, layers in self.map_list.items():
            optimizer.optimize(layers, epoch)
