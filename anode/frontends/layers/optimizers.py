"""Optimisers: the new values of parameters from their gradients, with neon's formulas.

A gradient is that of the mean cost of the batch. Whatever an optimiser remembers of a parameter is
a variable, a slot, named after both; the learning rate is a variable too, so it changes per epoch
without compiling anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from anode import ops
from anode.errors import UnsupportedOp
from anode.frontends.layers.initializers import Constant, Fans
from anode.frontends.layers.schedules import CONSTANT, AnySchedule
from anode.ir.node import Node, constant, read
from anode.ir.types import TensorType, tensor
from anode.ir.variable import Variable

PREFIX = "optimizer."  # of the names of all variables of optimisers


def slot(name: str, type: TensorType) -> Variable:
    """A variable of an optimiser, zero at first."""
    init = Constant().graph(type, Fans(1, 1))
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

    def scaled(self, x: Node) -> Node:
        """`x` times the factor that clips the gradients' norm."""
        return x if self.scale is None else x * self.scale


@dataclass(frozen=True)
class Optimizer:
    """An optimiser. A subclass has `rule`.

    `gradient_clip_value` bounds each element of a gradient, `param_clip_value` each of a parameter;
    `gradient_clip_norm` bounds the norm of all gradients together (s in the formulas). The schedule
    gives the learning rate of each epoch.
    """

    _: KW_ONLY
    schedule: AnySchedule = CONSTANT
    gradient_clip_norm: float | None = None
    gradient_clip_value: float | None = None
    param_clip_value: float | None = None

    learning_rate = 1.0

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        """The new value of a parameter with the value `p` and the clipped gradient `g`."""
        raise NotImplementedError

    def step(self, updates: dict[Variable, Node]) -> Node:
        """The learning rate of this step; may count steps in `updates`."""
        return read(rate_variable())

    def updates(
        self, parameters: Sequence[Variable], gradients: Sequence[Node]
    ) -> dict[Variable, Node]:
        """The new values of parameters and slots."""
        found: dict[Variable, Node] = {}
        step = Step(self.step(found), self._clipping(gradients))
        for parameter, gradient in zip(parameters, gradients, strict=True):
            g = clipped(gradient, self.gradient_clip_value)
            new = self.rule(read(parameter), g, step, Slots(parameter, found))
            found[parameter] = clipped(new, self.param_clip_value)
        return found

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch."""
        return self.schedule.rate(self.learning_rate, epoch)

    def _clipping(self, gradients: Sequence[Node]) -> Node | None:
        """s = c / max(norm of all gradients, c)."""
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
    """g' = s·g + wdecay·p; v = momentum·v − rate·g'; p += v, nesterov momentum·v − rate·g'."""

    learning_rate: float = 0.01
    momentum_coef: float = 0.0
    wdecay: float = 0.0
    nesterov: bool = False

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        g = step.scaled(g)
        if self.wdecay:
            g = g + p * float(self.wdecay)
        move = step.rate * g
        if not self.momentum_coef:
            return p - move
        momentum = float(self.momentum_coef)
        v = slots.write("velocity", slots.read("velocity") * momentum - move)
        return p + (v * momentum - move if self.nesterov else v)


@dataclass(frozen=True)
class RMSProp(Optimizer):
    """a = d·a + (1 − d)·g²; p −= s·g·rate / (√(a + ε) + ε), with d the decay rate."""

    decay_rate: float = 0.95
    learning_rate: float = 0.002
    epsilon: float = 1e-6

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        d, epsilon = float(self.decay_rate), float(self.epsilon)
        a = slots.write("mean_square", slots.read("mean_square") * d + ops.square(g) * (1 - d))
        return p - step.scaled(g) * step.rate / (ops.sqrt(a + epsilon) + epsilon)


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """a += g²; p −= s·g·rate / √(a + ε)."""

    learning_rate: float = 0.01
    epsilon: float = 1e-6

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        a = slots.write("sum_of_squares", slots.read("sum_of_squares") + ops.square(g))
        return p - step.scaled(g) * step.rate / ops.sqrt(a + float(self.epsilon))


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """a = d·a + (1 − d)·g²; u = √((b + ε) / (a + ε))·s·g; b = d·b + (1 − d)·u²; p −= u.

    Source: Zeiler 2012. It has no learning rate, so a schedule changes nothing and is refused.
    """

    decay: float = 0.95
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        if self.schedule != CONSTANT:
            raise UnsupportedOp("Adadelta has no learning rate; leave out schedule")

    def step(self, updates: dict[Variable, Node]) -> Node:
        return constant(1.0)

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        d, epsilon = float(self.decay), float(self.epsilon)
        a = slots.write(
            "gradient_square", slots.read("gradient_square") * d + ops.square(g) * (1 - d)
        )
        b = slots.read("step_square")
        u = ops.sqrt((b + epsilon) / (a + epsilon)) * step.scaled(g)
        slots.write("step_square", b * d + ops.square(u) * (1 - d))
        return p - u


@dataclass(frozen=True)
class Adam(Optimizer):
    """m = β1·m + (1 − β1)·g; v = β2·v + (1 − β2)·g²; p −= s·r·m / (√v + ε), at step t with

    r = rate·√(1 − β2^t) / (1 − β1^t). Source: Kingma and Ba 2015.
    """

    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def step(self, updates: dict[Variable, Node]) -> Node:
        count = slot("steps", tensor("f32"))
        t = updates[count] = read(count) + 1.0
        second, first = (_missing(beta, t) for beta in (self.beta_2, self.beta_1))
        return read(rate_variable()) * ops.sqrt(second) / first

    def rule(self, p: Node, g: Node, step: Step, slots: Slots) -> Node:
        b1, b2 = float(self.beta_1), float(self.beta_2)
        m = slots.write("first_moment", slots.read("first_moment") * b1 + g * (1 - b1))
        v = slots.write(
            "second_moment", slots.read("second_moment") * b2 + ops.square(g) * (1 - b2)
        )
        return p - step.scaled(m) * step.rate / (ops.sqrt(v) + float(self.epsilon))


def rate_variable() -> Variable:
    """The variable f32 of the learning rate, which training sets at the start of each epoch."""
    return slot("learning_rate", tensor("f32"))


def clipped(x: Node, limit: float | None) -> Node:
    """`x` between −limit and limit."""
    if limit is None:
        return x
    return ops.minimum(ops.maximum(x, -abs(float(limit))), abs(float(limit)))


def _missing(beta: float, t: Node) -> Node:
    """1 − β^t without cancellation: −expm1(t · log β)."""
    return -ops.expm1(t * math.log(beta)) if beta else constant(1.0)
