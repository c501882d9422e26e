"""Reductions, products that sum over common axes, and random tensors."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from anode import ops
from anode.frontends.ngraph.op_graph.axis import Axes, are_axes, default_int_dtype
from anode.frontends.ngraph.op_graph.elementwise import absolute, promoted, sqrt, square
from anode.frontends.ngraph.op_graph.lowering import as_dtype, check_lengths, described
from anode.frontends.ngraph.op_graph.op import TensorOp, as_op, as_ops
from anode.frontends.ngraph.op_graph.views import axes_with_order
from anode.ir.dtypes import dtype_of, f32
from anode.ir.node import Node
from anode.ir.types import TensorType

if TYPE_CHECKING:
    from anode.frontends.ngraph.op_graph.lowering import Lowering

logger = logging.getLogger(__name__)


class ReductionOp(TensorOp):
    """A reduction over `reduction_axes`, of which `out_axes` are the others, in the same order.

    With neither given, over all axes but batch and time.
    """

    def __init__(
        self,
        x: Any,
        reduction_axes: Any = None,
        out_axes: Any = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        x = as_op(x)
        self.reduction_axes, out_axes = compute_reduction_axes(x, reduction_axes, out_axes)
        super().__init__(
            args=(x,), axes=out_axes, dtype=promoted(x, x) if dtype is None else dtype, **kwargs
        )

    @property
    def places(self) -> tuple[int, ...]:
        """The dims that are reduced."""
        return tuple([self.args[0].axes.index(axis) for axis in self.reduction_axes])

    def reduce(self, x: Node) -> Node:
        raise NotImplementedError

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x = as_dtype(args[0], dtype_of(self.dtype))
        return self.reduce(x) if self.reduction_axes else x


class Max(ReductionOp):
    """The largest element."""

    def reduce(self, x: Node) -> Node:
        return ops.max(x, self.places)


class Min(ReductionOp):
    """The smallest element."""

    def reduce(self, x: Node) -> Node:
        return ops.min(x, self.places)


class Sum(ReductionOp):
    """The sum."""

    def reduce(self, x: Node) -> Node:
        return ops.sum(x, self.places)


class Prod(ReductionOp):
    """The product."""

    def reduce(self, x: Node) -> Node:
        return ops.prod(x, self.places)


class Argmax(ReductionOp):
    """The position of the first largest element, counted over all reduced axes."""

    find: Callable[..., Any] = staticmethod(ops.argmax)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        kept = [i for i in range(len(args[0].shape)) if i not in self.places]
        moved = ops.transpose(args[0], permutation=(*kept, *sorted(self.places)))
        rows = ops.reshape(moved, shape=(*graph.shape(self.axes), self._elements(args[0])))
        return as_dtype(type(self).find(rows, axis=-1), dtype_of(self.dtype))

    def _elements(self, x: Node) -> int:
        return math.prod([int(x.shape[i]) for i in self.places])


class Argmin(Argmax):
    """The position of the first smallest element, counted over all reduced axes."""

    find = staticmethod(ops.argmin)


def compute_reduction_axes(x: Any, reduction_axes: Any, out_axes: Any) -> tuple[Axes, Axes]:
    """Both sets of axes from what is given of them; they must not overlap and make up x's."""
    axes = x.axes
    if reduction_axes is None and out_axes is None:
        reduction_axes = axes.feature_axes()
    reduced = axes - out_axes if reduction_axes is None else Axes(reduction_axes)
    kept = axes - reduced if out_axes is None else Axes(out_axes)
    if both := reduced & kept:
        raise ValueError(f"{described(x)}: {both} cannot be reduced and kept")
    if not (reduced | kept).is_equal_set(axes):
        raise ValueError(
            f"{described(x)} has the axes {axes}; the reduced ones, {reduced}, and the others, "
            f"{kept}, are not these"
        )
    places = [axes.index(axis) for axis in kept]
    if places != sorted(places):
        raise ValueError(f"{described(x)}: {kept} are not in the order of {axes}")
    return axes & reduced, Axes([axes[i] for i in places])


def _reduction(made: Any, name: str) -> Any:
    """The function of the user's that makes a reduction; `out_axes` may be in any order."""

    def make(
        x: Any, reduction_axes: Any = None, out_axes: Any = None, dtype: Any = None, **others: Any
    ) -> Any:
        for other in others:
            logger.warning("ng.%s has no argument %s; it is ignored, as ngraph does", name, other)
        if out_axes is None:
            return made(x, reduction_axes, dtype=dtype)
        wanted = Axes(out_axes)
        kept = x.axes & wanted
        if len(kept) < len(wanted):
            raise ValueError(f"{described(x)} has no axes {wanted - kept}")
        return axes_with_order(made(x, reduction_axes, kept, dtype=dtype), wanted)

    make.__name__, make.__doc__ = name, made.__doc__
    return make


max = _reduction(Max, "max")
min = _reduction(Min, "min")
sum = _reduction(Sum, "sum")
prod = _reduction(Prod, "prod")
_argmax = _reduction(Argmax, "argmax")
_argmin = _reduction(Argmin, "argmin")


def argmax(x: Any, dtype: Any = None, **kwargs: Any) -> Any:
    """The position of the first largest element over `reduction_axes`, an int32."""
    return _argmax(x, dtype=default_int_dtype(dtype), **kwargs)


def argmin(x: Any, dtype: Any = None, **kwargs: Any) -> Any:
    """The position of the first smallest element over `reduction_axes`, an int32."""
    return _argmin(x, dtype=default_int_dtype(dtype), **kwargs)


class TensorSizeOp(TensorOp):
    """The number of elements along axes, by default along all but the batch's."""

    def __init__(
        self, x: Any, reduction_axes: Any = None, out_axes: Any = None, **kwargs: Any
    ) -> None:
        x = as_op(x)
        if reduction_axes is None:
            reduction_axes = x.axes.sample_axes() if out_axes is None else x.axes - out_axes
        self.reduction_axes = Axes(reduction_axes)
        super().__init__(args=(x,), axes=(), **kwargs)

    @property
    def operands(self) -> tuple[Any, ...]:
        return ()  # the value of the tensor does not matter

    def lower(self, graph: Lowering, *args: Node) -> Node:
        return ops.full((), float(math.prod(graph.shape(self.reduction_axes))), f32)


def tensor_size(x: Any, reduction_axes: Any = None, out_axes: Any = None) -> TensorSizeOp:
    """The number of elements along `reduction_axes`, or along all but `out_axes`."""
    return TensorSizeOp(x, reduction_axes=reduction_axes, out_axes=out_axes)


def batch_size(x: Any) -> TensorSizeOp:
    """The length of the batch axis."""
    return tensor_size(x, reduction_axes=x.axes.batch_axes())


def mean(x: Any, reduction_axes: Any = None, out_axes: Any = None) -> Any:
    """The mean over `reduction_axes`, by default over all but batch and time."""
    x = as_op(x)
    if reduction_axes is None and out_axes is None:
        reduction_axes = x.axes.feature_axes()
    total = sum(x, reduction_axes=reduction_axes, out_axes=out_axes)
    return total / tensor_size(x, reduction_axes=reduction_axes, out_axes=out_axes)


def variance(x: Any, out_axes: Any = None, reduction_axes: Any = None) -> Any:
    """The mean squared distance from the mean."""
    axes = {"out_axes": out_axes, "reduction_axes": reduction_axes}
    return mean(square(x - mean(x, **axes)), **axes)


def _norm_axes(x: Any, out_axes: Any, reduction_axes: Any) -> Any:
    if reduction_axes is not None:
        return reduction_axes
    return x.axes.sample_axes() if out_axes is None else x.axes - out_axes


def squared_L2(x: Any, out_axes: Any = None, reduction_axes: Any = None) -> Any:
    """The sum of squares, by default over all axes but the batch's."""
    return sum(x * x, out_axes=out_axes, reduction_axes=_norm_axes(x, out_axes, reduction_axes))


def L2_norm(x: Any, eps: float = 1e-8, out_axes: Any = None, reduction_axes: Any = None) -> Any:
    """√(eps + the sum of squares), by default over all axes but the batch's."""
    return sqrt(eps + squared_L2(x, out_axes, reduction_axes))


def L1_norm(x: Any, out_axes: Any = None, reduction_axes: Any = None) -> Any:
    """The sum of absolute values, by default over all axes but the batch's."""
    return sum(
        absolute(x), out_axes=out_axes, reduction_axes=_norm_axes(x, out_axes, reduction_axes)
    )


class DotOp(TensorOp):
    """The sum of products over all axes that the two operands share."""

    def __init__(self, x: Any, y: Any, bias: Any = None, **kwargs: Any) -> None:
        x, y = as_ops((x, y))
        check_lengths("dot", x, y)
        self.reduction_axes = x.axes & y.axes
        self.x_out_axes = x.axes - self.reduction_axes
        self.y_out_axes = y.axes - self.reduction_axes
        kwargs.setdefault("dtype", promoted(x, y))
        super().__init__(args=(x, y), axes=self.x_out_axes + self.y_out_axes, **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        dtype = dtype_of(self.dtype)
        contract = tuple(
            [tuple([arg.axes.index(axis) for axis in self.reduction_axes]) for arg in self.args]
        )
        return ops.dot_general(*[as_dtype(x, dtype) for x in args], contract=contract)


def dot(x: Any, y: Any) -> DotOp:
    """The sum of products over all axes that `x` and `y` share."""
    return DotOp(x, y)


class OneHotOp(TensorOp):
    """1 at the place along `axis` that each element of `x` says, else 0; `axis` comes first."""

    def __init__(self, x: Any, axis: Any, **kwargs: Any) -> None:
        x = as_op(x)
        self.axis = axis
        super().__init__(args=(x,), axes=Axes([axis]) + x.axes, **kwargs)

    def lower(self, graph: Lowering, *args: Node) -> Node:
        x = args[0] if args[0].dtype.is_integer else ops.convert(args[0], dtype="i32")
        (depth,) = graph.shape(Axes(self.axis))
        return ops.one_hot(x, depth=depth, dtype=dtype_of(self.dtype), axis=0)


OneHotTwoDimOp = OneHotOp


def one_hot(x: Any, axis: Any) -> OneHotOp:
    """1 at the place along `axis` that each element of `x` says, else 0; `axis` comes first."""
    return OneHotOp(x, axis)


class RngOp(TensorOp):
    """Random numbers with the axes of a tensor, drawn from NumPy's global generator."""

    is_random = True

    def __init__(
        self, distribution: str, params: dict[str, float], x: Any, *args: Any, **kwargs: Any
    ) -> None:
        if distribution not in ("uniform", "normal"):
            raise ValueError(f"there is no distribution {distribution!r}: uniform or normal")
        self.distribution, self.params = distribution, params
        if are_axes(x):  # as neon 3 has it
            super().__init__(axes=x, **kwargs)
        else:
            x = as_op(x)
            super().__init__(args=(x,), axes=x.axes, **kwargs)

    @property
    def operands(self) -> tuple[Any, ...]:
        return ()  # the value of the tensor does not matter

    def lower(self, graph: Lowering, *args: Node) -> Node:
        first, second = self.params.values()
        type: TensorType = graph.type(self)
        return graph.draw(self.distribution, (first, second), type)


def uniform(x: Any, low: float = 0.0, high: float = 1.0) -> RngOp:
    """Random numbers in [low, high), with the axes of the tensor `x`, or with the axes `x`."""
    return RngOp("uniform", {"low": low, "high": high}, x)


def normal(x: Any, loc: float = 0.0, scale: float = 1.0) -> RngOp:
    """Normally distributed numbers, with the axes of the tensor `x`, or with the axes `x`."""
    return RngOp("normal", {"loc": loc, "scale": scale}, x)


TensorOp.mean = mean  # type: ignore[attr-defined]
