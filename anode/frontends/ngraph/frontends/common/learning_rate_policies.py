"""Learning-rate policies: the rate of an iteration, as a scalar op of the iteration's op."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from anode.frontends import ngraph as ng

uint_dtype = np.dtype(np.uint32)


class lr_policy:
    """A policy made of a dict of parameters; called with the iteration, it gives the rate."""

    req_args: ClassVar[tuple[str, ...]] = ("name", "base_lr")

    def __init__(self, params: dict[str, Any]) -> None:
        self.name = params["name"]
        self.base_lr = _scalar(params["base_lr"])

    def __call__(self, iteration: Any) -> Any:
        raise NotImplementedError


class lr_policy_fixed(lr_policy):
    """base_lr."""

    def __call__(self, iteration: Any) -> Any:
        return self.base_lr


class lr_policy_step(lr_policy):
    """base_lr·gamma^⌊iteration / step⌋."""

    req_args = ("name", "base_lr", "gamma", "step")

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.gamma = _scalar(params["gamma"])
        self.step = _scalar(params["step"], uint_dtype)

    def __call__(self, iteration: Any) -> Any:
        return self.base_lr * self.gamma ** (iteration // self.step)


class lr_policy_schedule(lr_policy):
    """base_lr times the gamma of every point of `schedule` that the iteration has reached.

    `gamma` is a number for all points or one number for each; ValueError where the counts differ.
    """

    req_args = ("name", "base_lr", "gamma", "schedule")

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        schedule, gamma = params["schedule"], params["gamma"]
        if not isinstance(schedule, Sequence):
            raise ValueError(f"schedule of a learning rate is a sequence of steps, not {schedule}")
        gammas = list(gamma) if isinstance(gamma, Sequence) else [gamma] * len(schedule)
        if len(gammas) != len(schedule):
            raise ValueError(
                f"gamma and schedule have one length; they have {len(gammas)} and {len(schedule)}"
            )
        axis = ng.make_axis(length=len(schedule), name="schedule")
        self.gamma = ng.constant(axes=[axis], const=gammas)
        self.schedule = ng.constant(axes=[axis], const=list(schedule), dtype=uint_dtype)

    def __call__(self, iteration: Any) -> Any:
        reached = (iteration >= self.schedule) * self.gamma
        ahead = iteration < self.schedule
        return self.base_lr * ng.prod(reached + ahead, out_axes=())


class lr_policy_exp(lr_policy):
    """base_lr·gamma^iteration."""

    req_args = ("name", "base_lr", "gamma")

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.gamma = _scalar(params["gamma"])

    def __call__(self, iteration: Any) -> Any:
        return self.base_lr * self.gamma**iteration


class lr_policy_inv(lr_policy):
    """base_lr·(1 + gamma·iteration)^−power."""

    req_args = ("name", "base_lr", "gamma", "power")

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.gamma = _scalar(params["gamma"])
        self.power = _scalar(params["power"])

    def __call__(self, iteration: Any) -> Any:
        return self.base_lr * (1 + self.gamma * iteration) ** (-self.power)


class lr_policy_poly(lr_policy):
    """base_lr·(1 − iteration / max_iter)^power."""

    req_args = ("name", "base_lr", "max_iter", "power")

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.max_iter = _scalar(params["max_iter"])
        self.power = _scalar(params["power"])

    def __call__(self, iteration: Any) -> Any:
        return self.base_lr * (1 - iteration / self.max_iter) ** self.power


class lr_policy_sigmoid(lr_policy):
    """base_lr / (1 + e^(−gamma·(iteration − step_size)))."""

    req_args = ("name", "base_lr", "gamma", "step_size")

    def __init__(self, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.gamma = _scalar(params["gamma"])
        self.step_size = _scalar(params["step_size"])

    def __call__(self, iteration: Any) -> Any:
        return self.base_lr * (1 / (1 + ng.exp(-self.gamma * (iteration - self.step_size))))


class lr_policy_provided:
    """The value fed to the placeholder `lr_placeholder`."""

    req_args: ClassVar[tuple[str, ...]] = ("name", "lr_placeholder")

    def __init__(self, params: dict[str, Any]) -> None:
        self.name = params["name"]
        self.base_lr = params["lr_placeholder"]

    def __call__(self, iteration: Any) -> Any:
        return self.base_lr


def _scalar(value: Any, dtype: Any = None) -> Any:
    return ng.constant(axes=(), const=value, dtype=dtype)


_POLICIES: dict[str, Any] = {
    "provided": lr_policy_provided,
    "fixed": lr_policy_fixed,
    "step": lr_policy_step,
    "schedule": lr_policy_schedule,
    "exp": lr_policy_exp,
    "inv": lr_policy_inv,
    "poly": lr_policy_poly,
    "sigmoid": lr_policy_sigmoid,
}
lr_policies: dict[str, dict[str, Any]] = {
    name: {"args": policy.req_args, "obj": policy} for name, policy in _POLICIES.items()
}


def policy_of(lr_params: Any) -> Any:
    """The policy that a number or a dict {'name': ..., 'base_lr': ...} asks for.

    Raises NotImplementedError for an unknown name, ValueError where a parameter is missing.
    """
    if not isinstance(lr_params, dict):
        lr_params = {"name": "fixed", "base_lr": lr_params}
    name = lr_params["name"]
    if name not in lr_policies:
        known = ", ".join(sorted(lr_policies))
        raise NotImplementedError(f"learning rate policy {name!r} is none of {known}")
    policy = lr_policies[name]
    missing = [argument for argument in policy["args"] if argument not in lr_params]
    if missing:
        raise ValueError(f"learning rate policy {name!r} needs {', '.join(missing)}")
    return policy["obj"](lr_params)
