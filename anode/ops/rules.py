"""What type rules share: reading axes, checking operands, and the form of their errors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from anode.errors import ShapeError
from anode.ir.types import TensorType, Type


def mismatch(op: str, problem: str, types: Iterable[object] = (), hint: str = "") -> ShapeError:
    """The error of a type rule: what was asked, the operands' types, and the way out."""
    operands = ", ".join(map(str, types))
    text = f"{op}: {problem}" + (f" (operands {operands})" if operands else "")
    return ShapeError(f"{text}\n  hint: {hint}" if hint else text)


def axis_of(op: str, axis: int, rank: int) -> int:
    """`axis` counted from the front; negative ones count from the back."""
    if not -rank <= axis < rank:
        raise mismatch(op, f"axis {axis} of a tensor of rank {rank}")
    return axis % rank


def axes_of(op: str, axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Distinct axes counted from the front, in increasing order; None means all of them."""
    if axes is None:
        return tuple(range(rank))
    listed = [axes] if isinstance(axes, int) else axes
    found = sorted(axis_of(op, axis, rank) for axis in listed)
    if len(set(found)) != len(found):
        raise mismatch(op, f"an axis is named twice in {axes}")
    return tuple(found)


def check_tensors(op: str, *types: Type) -> None:
    """Every operand must be one tensor."""
    for type in types:
        if not isinstance(type, TensorType):
            hint = "take an item of a value with several results"
            raise mismatch(op, "takes tensors", types, hint)


def check_float(op: str, x: TensorType, hint: str = "convert it first") -> None:
    """`x` must be of a float type."""
    if not x.dtype.is_float:
        raise mismatch(op, f"takes float types, not {x.dtype}", [x], hint)


def check_length(op: str, x: TensorType, **lists: Sequence[object]) -> None:
    """Every attribute given in `lists` must have one entry per dim of `x`."""
    for name, values in lists.items():
        if len(values) != x.rank:
            raise mismatch(op, f"{name} {tuple(values)} needs one entry per dim", [x])


def check_index(op: str, *types: Type) -> None:
    """Every operand must be an integer scalar, and all of one type."""
    if any(t != types[0] or not _is_index(t) for t in types):
        raise mismatch(
            op, "start indices are integer scalars of one type", types, "constant(i, 'i32')"
        )


def _is_index(type: Type) -> bool:
    return isinstance(type, TensorType) and not type.shape and type.dtype.is_integer
