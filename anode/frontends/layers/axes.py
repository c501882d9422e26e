"""Named axes: what the dims of a value are, and how long, said once and checked everywhere.

    height, width = Axis("height", 28), Axis("width", 28)
    Model([Axes(height, width), Conv((5, 5, Axis("maps", 32))), …, Affine(Axis("digit", 10))])

An axis is a name and, where it is known, a length. `Axes` says what the dims after the batch are
from there on; `Affine`, `Linear`, `Conv` and `Deconv` take an axis for the size that they make.
Layers that leave a dim as it is leave it its name. One name has one length in a model: another one
is a ShapeError, with the lines of both. Names end here: the graph has positions only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anode.errors import ShapeError
from anode.ir.node import Node, Origin, user_line

Names = tuple["Axis | None", ...]  # of the dims after the batch


@dataclass(frozen=True)
class Axis:
    """A dim by its name; without a length it takes the data's. `origin` is the user's line."""

    name: str
    length: int | None = None
    origin: Origin | None = field(default_factory=user_line, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.length is not None and (type(self.length) is not int or self.length < 1):
            raise ShapeError(f"axis {self.name!r}: {self.length!r} is no length")

    @property
    def where(self) -> str:
        """The line that made it, for messages."""
        return f" ({self.origin})" if self.origin else ""


def sized(size: int | Axis, what: str) -> tuple[int, Axis | None]:
    """A size given as a number or as an axis, which must have a length, and the axis."""
    if not isinstance(size, Axis):
        return size, None
    if size.length is None:
        raise ShapeError(f"{what} makes the axis {size.name!r}; give it a length{size.where}")
    return size.length, size


def axes_of(given: Sequence[Axis | str]) -> tuple[Axis, ...]:
    """Axes given by themselves or by name, each name once."""
    axes = tuple(Axis(each) if isinstance(each, str) else each for each in given)
    names = [axis.name for axis in axes]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ShapeError(f"two axes are called {twice[0]!r}; a value has each name once")
    return axes


class NamedValues:
    """The axes of the values of a model that is being built, and the length of each name."""

    def __init__(self) -> None:
        self.names: dict[Node, Names] = {}
        self._lengths: dict[str, tuple[int, Axis]] = {}

    def declare(self, x: Node, axes: Sequence[Axis]) -> None:
        """Let these be the axes of `x`; what is known of it and of them must agree."""
        if len(axes) != len(x.shape) - 1:
            names = ", ".join(axis.name for axis in axes)
            raise ShapeError(f"{x.type} has {len(x.shape) - 1} dims after the batch, not {names}")
        known = self.names.get(x, (None,) * len(axes))
        for dim, (axis, before) in enumerate(zip(axes, known, strict=True), 1):
            if before is not None and before.name != axis.name:
                raise ShapeError(
                    f"dim {dim} of {x.type} is {before.name!r}{before.where}, "
                    f"not {axis.name!r}{axis.where}"
                )
            self._bind(axis, int(x.tensor.static[dim]))
        self.names[x] = tuple(axes)

    def made(self, x: Node, y: Node, made: Axis | None, keeps_last: bool) -> None:
        """Note the axes of `y`, made of `x`: dims of the same size stay, the last if it is kept.

        `made` is the axis of the last dim where the layer made a new one.
        """
        if y in self.names:
            return
        rank = len(y.shape) - 1
        names: list[Axis | None] = [None] * rank
        given = self.names.get(x, ())
        if len(given) == rank:
            kept = range(rank if keeps_last else rank - 1)
            for i in kept:
                names[i] = given[i] if x.shape[i + 1] == y.shape[i + 1] else None
        if made is not None:
            names[-1] = made
            self._bind(made, int(y.tensor.static[-1]))
        if any(names):
            self.names[y] = tuple(names)

    def dim(self, x: Node, name: str) -> int:
        """The dim of `x` that is called `name`."""
        names = [axis.name for axis in self.names.get(x, ()) if axis is not None]
        if name not in names:
            known = ", ".join(names) or "no named axis"
            raise ShapeError(f"{x.type} has no axis {name!r}; it has {known}")
        return [axis and axis.name for axis in self.names[x]].index(name) + 1

    def _bind(self, axis: Axis, size: int) -> None:
        """Let an axis be `size` long."""
        if axis.length not in (None, size):
            raise ShapeError(f"axis {axis.name!r} is {axis.length}{axis.where}, but {size} here")
        first, by = self._lengths.setdefault(axis.name, (size, axis))
        if first != size:
            raise ShapeError(
                f"axis {axis.name!r} is {first}{by.where}, but {size} here{axis.where}"
            )
