"""Optimisers: the new values of parameters from their gradients, with neon's formulas.

A gradient is that of the mean cost of the batch. Whatever an optimiser remembers of a parameter is
a variable, a slot, named after both; the learning rate is a variable too, so it changes per epoch
without compiling anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields, replace
from types import MappingProxyType

import numpy as np

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.layers.initializers import KEY, Constant, Fans
from anode.frontends.layers.schedules import CONSTANT, AnySchedule
from anode.ir.graph import Graph, trace
from anode.ir.node import Node, constant, read
from anode.ir.types import TensorType, tensor
from anode.ir.variable import Variable

ROUNDED_BITS = 10  # that f16 has, and neon rounds to
PREFIX = "optimizer."  # of the names of all variables of optimisers


def slot(name: str, type: TensorType, init: Graph | None = None) -> Variable:
    """A variable of an optimiser, zero at first unless it has a graph for its value."""
    init = init or Constant().graph(type, Fans(1, 1))
    return Variable(PREFIX + name, type, init, trainable=False, collections=("optimizer",))


class Slots:
    """What an optimiser remembers of one parameter, and what it will next."""

    def __init__(self, parameter: Variable, updates: dict[Variable, Node]) -> None:
        self._parameter, self._updates = parameter, updates

    def read(self, name: str) -> Node:
        """The value of the slot before the step."""
        return read(self._slot(name))

    def write(self, name: str, value: Node) -> Node:
        """Keep `value` in the slot for the next step, and give it back."""
        self._updates[self._slot(name)] = value
        return value

    def _slot(self, name: str) -> Variable:
        return slot(f"{self._parameter.name}.{name}", self._parameter.type)


@dataclass(frozen=True)
class Step:
    """What every parameter's rule gets of the step: the learning rate, and the clipping factor."""

    rate: Node
    scale: Node | None

    def of(self, type: TensorType) -> Step:
        """The same in the type of a parameter."""
        if type.dtype is self.rate.dtype:
            return self
        scale = None if self.scale is None else ops.convert(self.scale, dtype=type.dtype)
        return Step(ops.convert(self.rate, dtype=type.dtype), scale)

    def times(self, factor: float) -> Step:
        """The same with another learning rate."""
        return self if factor == 1 else replace(self, rate=self.rate * float(factor))

    def scaled(self, x: Node) -> Node:
        """`x` times the factor that clips the gradients' norm."""
        return x if self.scale is None else x * self.scale


@dataclass(frozen=True)
class Setting:
    """What is special about one parameter: a factor of its rate, its own weight decay, frozen."""

    rate: float = 1.0
    wdecay: float | None = None
    frozen: bool = False


DEFAULT = Setting()
NO_SETTINGS: Mapping[str, Setting] = MappingProxyType({})


@dataclass(frozen=True)
class Optimizer:
    """An optimiser. A subclass has `rule`.

    `gradient_clip_value` bounds each element of a gradient, `param_clip_value` each of a parameter;
    `gradient_clip_norm` bounds the norm of all gradients together (s in the formulas). The schedule
    gives the learning rate of each epoch. `stochastic_round` rounds f32 parameters at random to so
    many bits after the leading one, True to 10.
    """

    _: KW_ONLY
    schedule: AnySchedule = CONSTANT
    gradient_clip_norm: float | None = None
    gradient_clip_value: float | None = None
    param_clip_value: float | None = None
    stochastic_round: int | bool = False

    learning_rate = 1.0
    wdecay = 0.0

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        """The new value of a parameter with the value `p` and the clipped gradient `g`."""
        raise NotImplementedError

    def step(self, updates: dict[Variable, Node], group: str) -> Node:
        """The learning rate of this step; may count steps in `updates`."""
        return read(rate_variable(group))

    def updates(
        self,
        parameters: Sequence[Variable],
        gradients: Sequence[Node],
        group: str = "",
        scale: Node | None = None,
        settings: Mapping[str, Setting] = NO_SETTINGS,
    ) -> dict[Variable, Node]:
        """The new values of parameters and slots.

        `group` tells apart the optimisers of one model, and `scale` is the factor that clips the
        norm of more gradients than these. `settings` are of single parameters, by name.
        """
        found: dict[Variable, Node] = {}
        step = Step(self.step(found, group), self.clipping(gradients) if scale is None else scale)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            g = clipped(gradient, self.gradient_clip_value)
            setting = settings.get(parameter.name, DEFAULT)
            own = step.of(parameter.type).times(setting.rate)
            rule = self.with_decay(setting.wdecay).rule
            new = rule(read(parameter), g, own, Slots(parameter, found))
            found[parameter] = clipped(new, self.param_clip_value)
        return self._rounded(found, parameters, group) if self.stochastic_round else found

    def _rounded(
        self, updates: dict[Variable, Node], parameters: Sequence[Variable], group: str
    ) -> dict[Variable, Node]:
        """The updates, those of parameters rounded with random numbers of this step."""
        bits = ROUNDED_BITS if self.stochastic_round is True else self.stochastic_round
        if bits != int(bits):
            raise UnsupportedOp(f"stochastic_round={bits}: give True or a whole number of bits")
        key = rounding_key(group)
        for stream, parameter in enumerate(parameters):  # others than f32 are an error there
            updates[parameter] = ops.stochastic_round(
                updates[parameter], read(key), stream=stream, bits=int(bits)
            )
        one = constant(np.array([0, 0, 1, 0], np.uint32))
        return updates | {key: read(key) + one}

    def with_decay(self, wdecay: float | None) -> Optimizer:
        """The optimiser with another weight decay; None for its own."""
        if wdecay is None:
            return self
        if all(field.name != "wdecay" for field in fields(self)):
            raise UnsupportedOp(f"{type(self).__name__} has no weight decay to be set to {wdecay}")
        return replace(self, wdecay=float(wdecay))  # type: ignore[call-arg]

    def decayed(self, p: Node, g: Node) -> Node:
        """g' = g + wdecay·p, in the formulas."""
        return g + p * float(self.wdecay) if self.wdecay else g

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch."""
        return self.schedule.rate(self.learning_rate, epoch)

    def rates(self, epoch: int) -> dict[Variable, float]:
        """The values of the variables of learning rates in an epoch."""
        return {rate_variable(): self.rate(epoch)}

    def clipping(self, gradients: Sequence[Node]) -> Node | None:
        """s = c / max(norm of all gradients, c); None without `gradient_clip_norm`."""
        if self.gradient_clip_norm is None or not gradients:
            return None
        limit = float(self.gradient_clip_norm)
        squares = [ops.sum(ops.square(g)) for g in gradients]
        total = squares[0]
        for square in squares[1:]:
            total = total + square
        return limit / ops.maximum(ops.sqrt(total), limit)


@dataclass(frozen=True)
class GradientDescentMomentum(Optimizer):
    """g' = s·g + wdecay·p; v = momentum·v − rate·g'; p += v, nesterov momentum·v − rate·g'.

    `l1decay` adds l1decay·sign(p) to g'.
    """

    learning_rate: float = 0.01
    momentum_coef: float = 0.0
    wdecay: float = 0.0
    nesterov: bool = False
    l1decay: float = 0.0

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        g = self.decayed(p, step.scaled(g))
        if self.l1decay:
            g = g + ops.sign(p) * float(self.l1decay)
        move = step.rate * g
        if not self.momentum_coef:
            return p - move
        momentum = float(self.momentum_coef)
        v = slots.write("velocity", slots.read("velocity") * momentum - move)
        return p + (v * momentum - move if self.nesterov else v)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """a = d·a + (1 − d)·g'²; p −= s·g'·rate / (√(a + ε) + ε), with d the decay rate.

    Without `epsilon_in_root` the divisor is √a + ε, as in Caffe and PyTorch.
    """

    decay_rate: float = 0.95
    learning_rate: float = 0.002
    epsilon: float = 1e-6
    wdecay: float = 0.0
    epsilon_in_root: bool = True

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        d, epsilon, g = float(self.decay_rate), float(self.epsilon), self.decayed(p, g)
        a = slots.write("mean_square", slots.read("mean_square") * d + ops.square(g) * (1 - d))
        inside = a + epsilon if self.epsilon_in_root else a
        return p - step.scaled(g) * step.rate / (ops.sqrt(inside) + epsilon)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """a += g'²; p −= s·g'·rate / √(a + ε).

    Without `epsilon_in_root` the divisor is √a + ε, as in Caffe and PyTorch.
    """

    learning_rate: float = 0.01
    epsilon: float = 1e-6
    wdecay: float = 0.0
    epsilon_in_root: bool = True

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        epsilon, g = float(self.epsilon), self.decayed(p, g)
        a = slots.write("sum_of_squares", slots.read("sum_of_squares") + ops.square(g))
        root = ops.sqrt(a + epsilon) if self.epsilon_in_root else ops.sqrt(a) + epsilon
        return p - step.scaled(g) * step.rate / root


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """a = d·a + (1 − d)·g'²; u = √((b + ε) / (a + ε))·s·g'; b = d·b + (1 − d)·u²; p −= rate·u.

    Source: Zeiler 2012, where the rate is 1.
    """

    decay: float = 0.95
    epsilon: float = 1e-6
    learning_rate: float = 1.0
    wdecay: float = 0.0

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        return p - step.rate * self.move(self.decayed(p, g), step, slots)

    def move(self, g: Node, step: Step, slots: Slots) -> Node:
        """u of the formula."""
        d, epsilon = float(self.decay), float(self.epsilon)
        a = slots.write(
            "gradient_square", slots.read("gradient_square") * d + ops.square(g) * (1 - d)
        )
        b = slots.read("step_square")
        u = ops.sqrt((b + epsilon) / (a + epsilon)) * step.scaled(g)
        slots.write("step_square", b * d + ops.square(u) * (1 - d))
        return u


@dataclass(frozen=True)
class Adam(Optimizer):
    """m = β1·m + (1 − β1)·g'; v = β2·v + (1 − β2)·g'²; p −= s·r·m / (√v + ε), at step t with

    r = rate·√(1 − β2^t) / (1 − β1^t). Source: Kingma and Ba 2015.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    wdecay: float = 0.0

    def step(self, updates: dict[Variable, Node], group: str) -> Node:
        count = slot(f"{group}steps", tensor("f32"))
        t = updates[count] = read(count) + 1.0
        second, first = (_missing(beta, t) for beta in (self.beta_2, self.beta_1))
        return read(rate_variable(group)) * ops.sqrt(second) / first

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        b1, b2, g = float(self.beta_1), float(self.beta_2), self.decayed(p, g)
        m = slots.write("first_moment", slots.read("first_moment") * b1 + g * (1 - b1))
        v = slots.write(
            "second_moment", slots.read("second_moment") * b2 + ops.square(g) * (1 - b2)
        )
        return p - step.scaled(m) * step.rate / (ops.sqrt(v) + float(self.epsilon))


@dataclass(frozen=True)
class MultiOptimizer(Optimizer):
    """Different optimisers for different layers: {"fc8": …, "Bias": …, "default": …}.

    A parameter goes by its layer's name, else by its class, else by "default". The options that
    bound gradients by value, or parameters, and schedules are those of each optimiser;
    `gradient_clip_norm` here is of the gradients of all.
    """

    optimizers: Mapping[str, Optimizer]

    def __post_init__(self) -> None:
        given = (self.gradient_clip_value, self.param_clip_value, self.stochastic_round)
        if self.schedule != CONSTANT or any(given):
            raise UnsupportedOp("MultiOptimizer: give these options to the optimisers in it")

    def updates(
        self,
        parameters: Sequence[Variable],
        gradients: Sequence[Node],
        group: str = "",
        scale: Node | None = None,
        settings: Mapping[str, Setting] = NO_SETTINGS,
    ) -> dict[Variable, Node]:
        chosen = [self._chosen(parameter) for parameter in parameters]
        frozen = any(setting.frozen for setting in settings.values())  # its layer may be, too
        if (unused := [key for key in self.optimizers if key not in chosen]) and not frozen:
            raise UnsupportedOp(f"MultiOptimizer: no parameter goes by {unused[0]!r}")
        found: dict[Variable, Node] = {}
        scale = self.clipping(gradients) if scale is None else scale
        for key, optimizer in self.optimizers.items():
            mine = [i for i, other in enumerate(chosen) if other == key]
            own = [parameters[i] for i in mine], [gradients[i] for i in mine]
            found |= optimizer.updates(*own, f"{group}{key}.", scale, settings)
        return found

    def rates(self, epoch: int) -> dict[Variable, float]:
        return {
            rate_variable(f"{key}."): optimizer.rate(epoch)
            for key, optimizer in self.optimizers.items()
        }

    def _chosen(self, parameter: Variable) -> str:
        path = parameter.name.rpartition(".")[0]
        for key in (path, path.rpartition(".")[2], parameter.collections[-1], "default"):
            if key in self.optimizers:
                return key
        raise UnsupportedOp(f'MultiOptimizer: nothing is for {parameter.name}; give a "default"')


def rate_variable(group: str = "") -> Variable:
    """The variable f32 of a learning rate, which training sets at the start of each epoch."""
    return slot(f"{group}learning_rate", tensor("f32"))


def rounding_key(group: str) -> Variable:
    """The variable u32[4] of the random key of stochastic rounding, which the seed decides."""
    init = trace(lambda key: ops.random_bits(key, stream=0, shape=KEY.static), KEY)
    return slot(f"{group}random", KEY, init)


def clipped(x: Node, limit: float | None) -> Node:
    """`x` between −limit and limit."""
    if limit is None:
        return x
    return ops.minimum(ops.maximum(x, -abs(float(limit))), abs(float(limit)))


def _missing(beta: float, t: Node) -> Node:
    """1 − β^t without cancellation: −expm1(t · log β)."""
    return -ops.expm1(t * math.log(beta)) if beta else constant(1.0)
