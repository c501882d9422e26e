"""What optimisers' ops do: the new values of a parameter and its slots from a gradient.

A rule takes the values of the references, then the other operands, and gives the references' new
values in the same order. Each is declared on references, on handles ("Resource…") and, where
TensorFlow has it, on rows of a parameter ("Sparse…"): rows without a gradient stay as they are.
The formulas are those of TensorFlow's kernels, term by term.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from anode import ops
from anode.frontends.tensorflow.opdef import op
from anode.frontends.tensorflow.table.variables import scatter_rows
from anode.ir.node import Node, constant
from anode.ops.index import second
from anode.ops.reduce import monoid

Rule = Callable[..., Sequence[Node]]


def _full(scalar: Node, like: Node) -> Node:
    return ops.broadcast_to(ops.convert(scalar, dtype=like.dtype), shape=like.shape)


def _shrunk(x: Node, l1: Node) -> Node:
    """Soft thresholding: `x` moved towards zero by `l1`, and no further."""
    return ops.sign(x) * ops.maximum(ops.abs(x) - l1, 0.0)


def _proximal(x: Node, rate: Node, l1: Node, l2: Node) -> Node:
    return _shrunk(x, rate * l1) / (1.0 + l2 * rate)


def _gradient_descent(var: Node, alpha: Node, delta: Node) -> Sequence[Node]:
    return (var - delta * alpha,)


def _proximal_gradient_descent(
    var: Node, alpha: Node, l1: Node, l2: Node, delta: Node
) -> Sequence[Node]:
    return (_proximal(var - delta * alpha, alpha, l1, l2),)


def _momentum(
    var: Node, accum: Node, lr: Node, grad: Node, momentum: Node, *, use_nesterov: bool
) -> Sequence[Node]:
    accum = accum * momentum + grad
    if use_nesterov:
        return var - (grad * lr + accum * momentum * lr), accum
    return var - accum * lr, accum


def _keras_momentum(
    var: Node, accum: Node, lr: Node, grad: Node, momentum: Node, *, use_nesterov: bool
) -> Sequence[Node]:
    accum = accum * momentum - grad * lr
    return var + (accum * momentum - grad * lr if use_nesterov else accum), accum


def _adam(
    var: Node,
    m: Node,
    v: Node,
    beta1_power: Node,
    beta2_power: Node,
    lr: Node,
    beta1: Node,
    beta2: Node,
    epsilon: Node,
    grad: Node,
    *,
    use_nesterov: bool,
) -> Sequence[Node]:
    """Source: Kingma and Ba, "Adam", 2014, the form before section 2.1."""
    alpha = lr * ops.sqrt(1.0 - beta2_power) / (1.0 - beta1_power)
    m = m + (grad - m) * (1.0 - beta1)
    v = v + (ops.square(grad) - v) * (1.0 - beta2)
    moment = grad * (1.0 - beta1) + m * beta1 if use_nesterov else m
    return var - (moment * alpha) / (ops.sqrt(v) + epsilon), m, v


def _ada_max(
    var: Node,
    m: Node,
    v: Node,
    beta1_power: Node,
    lr: Node,
    beta1: Node,
    beta2: Node,
    epsilon: Node,
    grad: Node,
) -> Sequence[Node]:
    m = m + (grad - m) * (1.0 - beta1)
    v = ops.maximum(v * beta2, ops.abs(grad))
    return var - (lr / (1.0 - beta1_power)) * (m / (v + epsilon)), m, v


def _rms_prop(
    var: Node, ms: Node, mom: Node, lr: Node, rho: Node, momentum: Node, epsilon: Node, grad: Node
) -> Sequence[Node]:
    ms = ms + (ops.square(grad) - ms) * (1.0 - rho)
    mom = mom * momentum + (grad * lr) / ops.sqrt(ms + epsilon)
    return var - mom, ms, mom


def _centered_rms_prop(
    var: Node,
    mg: Node,
    ms: Node,
    mom: Node,
    lr: Node,
    rho: Node,
    momentum: Node,
    epsilon: Node,
    grad: Node,
) -> Sequence[Node]:
    ms = ms + (ops.square(grad) - ms) * (1.0 - rho)
    mg = mg + (grad - mg) * (1.0 - rho)
    mom = mom * momentum + (grad * lr) / ops.sqrt((ms - ops.square(mg)) + epsilon)
    return var - mom, mg, ms, mom


def _adagrad(var: Node, accum: Node, lr: Node, grad: Node, *, update_slots: bool) -> Sequence[Node]:
    accum = accum + ops.square(grad) if update_slots else accum
    return var - grad * lr / ops.sqrt(accum), accum


def _adagrad_v2(
    var: Node, accum: Node, lr: Node, epsilon: Node, grad: Node, *, update_slots: bool
) -> Sequence[Node]:
    accum = accum + ops.square(grad) if update_slots else accum
    return var - grad * lr / (ops.sqrt(accum) + epsilon), accum


def _adadelta(
    var: Node, accum: Node, accum_update: Node, lr: Node, rho: Node, epsilon: Node, grad: Node
) -> Sequence[Node]:
    accum = accum * rho + ops.square(grad) * (1.0 - rho)
    update = ops.sqrt(accum_update + epsilon) / ops.sqrt(accum + epsilon) * grad
    accum_update = accum_update * rho + ops.square(update) * (1.0 - rho)
    return var - update * lr, accum, accum_update


def _adagrad_da(
    var: Node,
    gradient_accumulator: Node,
    squared_accumulator: Node,
    grad: Node,
    lr: Node,
    l1: Node,
    l2: Node,
    global_step: Node,
) -> Sequence[Node]:
    """Source: Duchi et al., "Adaptive subgradient methods", 2011, dual averaging."""
    steps = ops.convert(global_step, dtype=var.dtype)
    total = gradient_accumulator + grad
    squares = squared_accumulator + ops.square(grad)
    shrunk = _shrunk(total, l1 * steps)
    return -lr * shrunk / (l2 * steps * lr + ops.sqrt(squares)), total, squares


def _proximal_adagrad(
    var: Node, accum: Node, lr: Node, l1: Node, l2: Node, grad: Node
) -> Sequence[Node]:
    accum = accum + ops.square(grad)
    rate = lr / ops.sqrt(accum)
    return _proximal(var - grad * rate, rate, l1, l2), accum


def _ftrl_v2(
    var: Node,
    accum: Node,
    linear: Node,
    grad: Node,
    lr: Node,
    l1: Node,
    l2: Node,
    l2_shrinkage: Node | None,
    lr_power: Node,
    *,
    multiply_linear_by_lr: bool,
) -> Sequence[Node]:
    """Source: McMahan et al., "Ad click prediction: a view from the trenches", 2013."""
    shrunk = grad if l2_shrinkage is None else grad + 2.0 * l2_shrinkage * var
    total = accum + ops.square(grad)
    scale = lr if multiply_linear_by_lr else constant(1.0, var.dtype)
    before, after = (ops.power(a, -_full(lr_power, a)) for a in (accum, total))
    linear = linear + shrunk * scale - (after - before) / lr * scale * var
    bound = ops.minimum(ops.maximum(linear, -l1 * scale), l1 * scale)
    quadratic = (after / lr + 2.0 * l2) * scale
    return (bound - linear) / quadratic, total, linear


def _ftrl(
    var: Node,
    accum: Node,
    linear: Node,
    grad: Node,
    lr: Node,
    l1: Node,
    l2: Node,
    lr_power: Node,
    *,
    multiply_linear_by_lr: bool,
) -> Sequence[Node]:
    return _ftrl_v2(
        var,
        accum,
        linear,
        grad,
        lr,
        l1,
        l2,
        None,
        lr_power,
        multiply_linear_by_lr=multiply_linear_by_lr,
    )


# The operands of each op: references, then the others with the gradient as "grad", behind
# which the sparse form has the indices of the rows; then attributes.
RULES: dict[str, tuple[Rule, str, str, dict[str, Any]]] = {
    "ApplyGradientDescent": (_gradient_descent, "var", "alpha grad", {}),
    "ApplyProximalGradientDescent": (_proximal_gradient_descent, "var", "alpha l1 l2 grad", {}),
    "ApplyMomentum": (_momentum, "var accum", "lr grad momentum", {"use_nesterov": False}),
    "ApplyKerasMomentum": (
        _keras_momentum,
        "var accum",
        "lr grad momentum",
        {"use_nesterov": False},
    ),
    "ApplyAdam": (
        _adam,
        "var m v",
        "beta1_power beta2_power lr beta1 beta2 epsilon grad",
        {"use_nesterov": False},
    ),
    "ApplyAdaMax": (_ada_max, "var m v", "beta1_power lr beta1 beta2 epsilon grad", {}),
    "ApplyRMSProp": (_rms_prop, "var ms mom", "lr rho momentum epsilon grad", {}),
    "ApplyCenteredRMSProp": (
        _centered_rms_prop,
        "var mg ms mom",
        "lr rho momentum epsilon grad",
        {},
    ),
    "ApplyAdagrad": (_adagrad, "var accum", "lr grad", {"update_slots": True}),
    "ApplyAdagradV2": (_adagrad_v2, "var accum", "lr epsilon grad", {"update_slots": True}),
    "ApplyAdadelta": (_adadelta, "var accum accum_update", "lr rho epsilon grad", {}),
    "ApplyAdagradDA": (
        _adagrad_da,
        "var gradient_accumulator gradient_squared_accumulator",
        "grad lr l1 l2 global_step",
        {},
    ),
    "ApplyProximalAdagrad": (_proximal_adagrad, "var accum", "lr l1 l2 grad", {}),
    "ApplyFtrl": (
        _ftrl,
        "var accum linear",
        "grad lr l1 l2 lr_power",
        {"multiply_linear_by_lr": False},
    ),
    "ApplyFtrlV2": (
        _ftrl_v2,
        "var accum linear",
        "grad lr l1 l2 l2_shrinkage lr_power",
        {"multiply_linear_by_lr": False},
    ),
}
DENSE_ONLY = ("ApplyAdam", "ApplyAdaMax", "ApplyKerasMomentum")


def _signature(refs: str, operands: str, type: str, indices: bool) -> str:
    words = [f"{name}:&{type}" for name in refs.split()]
    for name in operands.split():
        words.append(f"{name}:int64" if name == "global_step" else f"{name}:{type}")
        if name == "grad" and indices:
            words.append("indices:Tindices")
    return " ".join(words)


def _dense(rule: Rule, count: int) -> Callable[..., None]:
    def apply(*args: Any, use_locking: bool = False, **attrs: Any) -> None:
        refs, operands = args[:count], args[count:]
        values = rule(*[ref.read() for ref in refs], *operands, **attrs)
        _write(refs, values)

    return apply


def _write(refs: Sequence[Any], values: Sequence[Node]) -> None:
    for ref, value in zip(refs, values, strict=True):
        ref.write(value)


def _sparse(rule: Rule, count: int, grad: int) -> Callable[..., None]:
    """The rule on rows: gradients of equal rows add up, rows without one keep all they have."""

    def apply(*args: Any, use_locking: bool = False, **attrs: Any) -> None:
        refs, operands = args[:count], list(args[count:])
        rows, indices = operands[grad], operands.pop(grad + 1)
        size = math.prod(indices.tensor.static)
        indices = ops.reshape(indices, shape=(size,))
        old = [ref.read() for ref in refs]
        rows = ops.reshape(rows, shape=(size, *old[0].tensor.static[1:]))
        operands[grad] = _summed(rows, indices, old[0].tensor.static[0])
        new = rule(*[ops.take(x, indices, axis=0) for x in old], *operands, **attrs)
        pairs = zip(old, new, strict=True)
        _write(refs, [scatter_rows(x, indices, rows, second) for x, rows in pairs])

    return apply


def _summed(rows: Node, indices: Node, bound: int) -> Node:
    """In place of each row the sum of all rows with its index, an integer below `bound`.

    Of the positions that share an index the last one stands for them.
    """
    count = indices.tensor.static[0]
    positions = ops.iota(shape=(count,), dtype="i32", axis=0)
    last = scatter_rows(ops.zeros(shape=(bound,), dtype="i32"), indices, positions, second)
    place = ops.take(last, indices, axis=0)
    add = partial(monoid, "add")
    return ops.take(scatter_rows(ops.zeros_like(rows), place, rows, add), place, axis=0)


def _declare(name: str, rule: Rule, refs: str, operands: str, attrs: dict[str, Any]) -> None:
    count = len(refs.split())
    dense, grad = _dense(rule, count), operands.split().index("grad")
    kinds = [("", dense, False)]
    if name not in DENSE_ONLY:
        kinds.append(("Sparse", _sparse(rule, count, grad), True))
    for prefix, function, indices in kinds:
        signature = _signature(refs, operands, "T", indices)
        declared = op(
            f"{prefix}{name}",
            f"{signature} -> &T",
            shape="same",
            stateful=True,
            use_locking=False,
            **attrs,
        )
        declared(function)
        handles = op(
            f"Resource{prefix}{name}",
            f"{signature} -> ",
            shape="unknown",
            stateful=True,
            use_locking=False,
            **attrs,
        )
        handles(function)


for _name, (_rule, _refs, _operands, _attrs) in RULES.items():
    _declare(_name, _rule, _refs, _operands, _attrs)
