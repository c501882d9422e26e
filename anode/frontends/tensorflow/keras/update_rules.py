"""Keras's optimizers: SGD, RMSprop, Adagrad, Adadelta, Adam, Adamax, Nadam, Ftrl."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.keras import state
from anode.frontends.tensorflow.keras.optimizers import Optimizer, variable
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


def _epsilon(value: float | None) -> float:
    return state.epsilon() if value is None else value


@export("keras.optimizers.SGD")
class SGD(Optimizer):
    """Steps against the gradient, with momentum (Nesterov's too)."""

    _plain = ("nesterov",)

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str = "SGD",
        **kwargs: Any,
    ) -> None:
        super().__init__(name, learning_rate, **kwargs)
        if isinstance(momentum, (int, float)) and not 0 <= momentum <= 1:
            raise ValueError("`momentum` must be between [0, 1].")
        self._hyper["momentum"] = momentum
        self.nesterov = nesterov
        self._momentum = not isinstance(momentum, (int, float)) or momentum > 0
        if self._momentum:
            self.slots = ("momentum",)

    def _updated(self, gradient: Any, var: Any, rate: Any) -> Any:
        if not self._momentum:
            return self._op("GradientDescent", var, (), [rate, gradient])
        momentum = self._get_hyper("momentum", float32)
        operands = [rate, gradient, momentum]
        return self._op(
            "KerasMomentum", var, self.slots, operands, use_nesterov=bool(self.nesterov)
        )


@export("keras.optimizers.RMSprop")
class RMSprop(Optimizer):
    """Gradients divided by the root of their mean square. Source: Hinton's lecture 6e."""

    _plain = ("epsilon", "centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float | None = 1e-7,
        centered: bool = False,
        name: str = "RMSprop",
        **kwargs: Any,
    ) -> None:
        super().__init__(name, learning_rate, **kwargs)
        self._hyper |= {"rho": rho, "momentum": momentum}
        self.epsilon, self.centered = _epsilon(epsilon), centered
        self._momentum = not isinstance(momentum, (int, float)) or momentum > 0
        more = [*(["momentum"] if self._momentum else []), *(["mg"] if centered else [])]
        self.slots = ("rms", *more)

    def _updated(self, gradient: Any, var: Any, rate: Any) -> Any:
        rho = self._get_hyper("rho", float32)
        rms = self.get_slot(var, "rms")
        if self._momentum:
            tail = [rate, rho, self._get_hyper("momentum", float32), self.epsilon, gradient]
            if self.centered:
                return self._op("CenteredRMSProp", var, ("mg", "rms", "momentum"), tail)
            return self._op("RMSProp", var, ("rms", "momentum"), tail)
        rms_now = rms.assign(rho * rms + (1.0 - rho) * tf.square(gradient))
        if self.centered:
            mean = self.get_slot(var, "mg")
            mean_now = mean.assign(rho * mean + (1.0 - rho) * gradient)
            rms_now = rms_now - tf.square(mean_now)
        return var.assign(var - rate * gradient / (tf.sqrt(rms_now) + self.epsilon)).op


@export("keras.optimizers.Adagrad")
class Adagrad(Optimizer):
    """Rates that fall with the sum of squared gradients. Source: Duchi et al. 2011."""

    slots = ("accumulator",)
    _plain = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float | None = 1e-7,
        name: str = "Adagrad",
        **kwargs: Any,
    ) -> None:
        if initial_accumulator_value < 0.0:
            raise ValueError(
                f"initial_accumulator_value must be non-negative: {initial_accumulator_value}"
            )
        super().__init__(name, learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = _epsilon(epsilon)

    def _slot_start(self, slot_name: str) -> float:
        return self.initial_accumulator_value

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """As Keras has it, sums begin at 0 where a configuration does not say."""
        return super().from_config({"initial_accumulator_value": 0.0, **config}, custom_objects)

    def _updated(self, gradient: Any, var: Any, rate: Any) -> Any:
        return self._op("AdagradV2", var, self.slots, [rate, self.epsilon, gradient])


@export("keras.optimizers.Adadelta")
class Adadelta(Optimizer):
    """Rates from a window of gradients and of updates. Source: Zeiler 2012."""

    slots = ("accum_grad", "accum_var")
    _plain = ("epsilon",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
        epsilon: float | None = 1e-7,
        name: str = "Adadelta",
        **kwargs: Any,
    ) -> None:
        super().__init__(name, learning_rate, **kwargs)
        self._hyper["rho"] = rho
        self.epsilon = _epsilon(epsilon)

    def _updated(self, gradient: Any, var: Any, rate: Any) -> Any:
        operands = [rate, self._get_hyper("rho", float32), self.epsilon, gradient]
        return self._op("Adadelta", var, self.slots, operands)


class _Betas(Optimizer):
    """What Adam and its kin share: two decay rates of moments."""

    slots: tuple[str, ...] = ("m", "v")
    _plain: tuple[str, ...] = ("epsilon",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        name: str = "Adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(name, learning_rate, **kwargs)
        self._hyper |= {"beta_1": beta_1, "beta_2": beta_2}
        self.epsilon = _epsilon(epsilon)

    def _prepare(self) -> None:
        step = tf.cast(self.iterations + 1, float32)
        self._b1 = self._get_hyper("beta_1", float32)
        self._b2 = self._get_hyper("beta_2", float32)
        self._b1_power, self._b2_power = tf.pow(self._b1, step), tf.pow(self._b2, step)


@export("keras.optimizers.Adam")
class Adam(_Betas):
    """Adaptive moments. Source: Kingma and Ba 2014; `amsgrad` by Reddi et al. 2018."""

    _plain = ("epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        amsgrad: bool = False,
        name: str = "Adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name, **kwargs)
        self.amsgrad = amsgrad
        if amsgrad:
            self.slots = ("m", "v", "vhat")

    def _updated(self, gradient: Any, var: Any, rate: Any) -> Any:
        powers = [self._b1_power, self._b2_power]
        if not self.amsgrad:
            tail = [*powers, rate, self._b1, self._b2, self.epsilon, gradient]
            return self._op("Adam", var, self.slots, tail, use_nesterov=False)
        m, v, most = (self.get_slot(var, s) for s in self.slots)
        alpha = rate * tf.sqrt(1.0 - powers[1]) / (1.0 - powers[0])
        m_now = m.assign(m + (gradient - m) * (1.0 - self._b1))
        v_now = v.assign(v + (tf.square(gradient) - v) * (1.0 - self._b2))
        most_now = most.assign(tf.maximum(most, v_now))
        return var.assign(var - m_now * alpha / (tf.sqrt(most_now) + self.epsilon)).op


@export("keras.optimizers.Adamax")
class Adamax(_Betas):
    """Adam with the maximum norm. Source: Kingma and Ba 2014, section 7."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        name: str = "Adamax",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name, **kwargs)

    def _updated(self, gradient: Any, var: Any, rate: Any) -> Any:
        tail = [self._b1_power, rate, self._b1, self._b2, self.epsilon, gradient]
        return self._op("AdaMax", var, self.slots, tail)


@export("keras.optimizers.Nadam")
class Nadam(_Betas):
    """Adam with Nesterov's momentum. Source: Dozat 2015."""

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float | None = 1e-7,
        name: str = "Nadam",
        **kwargs: Any,
    ) -> None:
        kwargs["decay"] = kwargs.pop("schedule_decay", 0.004)
        super().__init__(learning_rate, beta_1, beta_2, epsilon, name, **kwargs)
        self._cache: Any = None

    def _decayed_lr(self) -> Any:
        return self._get_hyper("learning_rate", float32)

    def _prepare(self) -> None:
        super()._prepare()
        step = tf.cast(self.iterations + 1, float32)
        decay = self._get_hyper("decay", float32)
        self._now = self._b1 * (1.0 - 0.5 * tf.pow(0.96, decay * step))
        self._later = self._b1 * (1.0 - 0.5 * tf.pow(0.96, decay * (step + 1)))
        if self._cache is None or self._cache.graph is not self.iterations.graph:
            with self._own_scope():
                self._cache = variable(tf.constant(1.0), "momentum_cache")
            self._weights.insert(1, self._cache)
        self._product = tf.identity(self._cache * self._now)

    def _finish(self, pairs: Any) -> list[Any]:
        return [self._cache.assign(self._product).op]

    def _updated(self, gradient: Any, var: Any, rate: Any) -> Any:
        m, v = (self.get_slot(var, s) for s in self.slots)
        ahead = gradient / (1.0 - self._product)
        m_now = m.assign(self._b1 * m + (1.0 - self._b1) * gradient)
        m_bar = m_now / (1.0 - self._product * self._later)
        v_now = v.assign(self._b2 * v + (1.0 - self._b2) * tf.square(gradient))
        v_bar = v_now / (1.0 - self._b2_power)
        mean = (1.0 - self._now) * ahead + self._later * m_bar
        return var.assign(var - rate * mean / (tf.sqrt(v_bar) + self.epsilon)).op


@export("keras.optimizers.Ftrl")
class Ftrl(Optimizer):
    """Follow the regularized leader. Source: McMahan et al. 2013."""

    slots = ("accumulator", "linear")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        name: str = "Ftrl",
        l2_shrinkage_regularization_strength: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(name, learning_rate, **kwargs)
        self._hyper |= {
            "learning_rate_power": learning_rate_power,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
        }
        self.initial_accumulator_value = initial_accumulator_value
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength

    _plain = ("initial_accumulator_value", "l2_shrinkage_regularization_strength")

    def _slot_start(self, slot_name: str) -> float:
        return self.initial_accumulator_value if slot_name == "accumulator" else 0.0

    def _updated(self, gradient: Any, var: Any, rate: Any) -> Any:
        l1, l2, power = (
            self._get_hyper(name, float32)
            for name in (
                "l1_regularization_strength",
                "l2_regularization_strength",
                "learning_rate_power",
            )
        )
        shrink = self.l2_shrinkage_regularization_strength
        if shrink > 0:
            return self._op("FtrlV2", var, self.slots, [gradient, rate, l1, l2, shrink, power])
        return self._op("Ftrl", var, self.slots, [gradient, rate, l1, l2, power])
