"""Containers: layers made of layers, for models that are more than a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import reduce
from operator import add, mul
from typing import Any

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.layers import Layer, flat, flatten, named
from anode.ir.node import Node


class Sequential(Layer):
    """Layers one after the other, as one layer."""

    def __init__(self, layers: Iterable[Any], name: str | None = None) -> None:
        self.layers, self.name = flatten(layers), name
        self.names = named(self.layers)

    def build(self, x: Node) -> Node:
        return _through(self, self.layers, self.names, x)


class SkipNode(Layer):
    """Its input: the branch of a MergeSum that goes around the others."""

    keeps_axes = True

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def build(self, x: Node) -> Node:
        return x


class Merge(Layer):
    """Branches that all get the input; a subclass has `merge`, of their outputs.

    A branch is a layer or a list of layers; an empty list is the input itself.
    """

    def __init__(self, layers: Sequence[Any], name: str | None = None) -> None:
        self.branches, self.names = _branches(layers)
        self.name = name

    def build(self, x: Node) -> Node:
        outputs = [_through(self, branch, self.names, x) for branch in self.branches]
        y = self.merge(outputs)
        self._scope.followed(outputs[0], y)
        return y

    def merge(self, outputs: list[Node]) -> Node:
        raise NotImplementedError


class MergeSum(Merge):
    """The sum of the branches' outputs: a residual block. Source: He et al. 2015."""

    def merge(self, outputs: list[Node]) -> Node:
        shapes = {output.shape for output in outputs}
        if len(shapes) > 1:
            raise ShapeError(f"the branches have the shapes {sorted(map(str, shapes))}")
        return reduce(add, outputs)


class MergeBroadcast(Merge):
    """The branches' outputs side by side: an inception module, with `merge` "depth".

    "depth" joins along the features, of images the channels; "recurrent" along the steps, where an
    output (batch, features) is one step; "stack" joins all dims after the batch as one. `alphas`
    multiply what each branch passes back to the input in training. Source: Szegedy et al. 2014.
    """

    def __init__(
        self,
        layers: Sequence[Any],
        merge: str = "depth",
        alphas: Sequence[float] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(layers, name)
        self.join = _joining(type(self).__name__, merge)
        self.alphas = _checked(alphas, len(self.branches), type(self).__name__)

    def build(self, x: Node) -> Node:
        starts = [scaled_back(x, alpha) for alpha in self.alphas]
        y = self._joined(starts)
        self._scope.followed(x, y)
        return y

    def _joined(self, starts: Iterable[Node]) -> Node:
        pairs = zip(self.branches, starts, strict=True)
        return self.join(self, [_through(self, b, self.names, x) for b, x in pairs])


class MergeMultistream(MergeBroadcast):
    """Branches with an input each, joined as MergeBroadcast does; a model's first layer.

    The model's data then yield tuples of arrays in place of x, one for each branch.
    """

    def __init__(
        self, layers: Sequence[Any], merge: str = "stack", name: str | None = None
    ) -> None:
        super().__init__(layers, merge, None, name)

    def build(self, x: Node) -> Node:
        streams = self._scope.streams
        if len(streams) != len(self.branches) or x is not streams[0]:
            raise ShapeError(
                f"{len(self.branches)} branches need as many inputs, a tuple in place of x, and "
                f"be the model's first layer; there are {len(streams)}"
            )
        return self._joined(streams)


class Parallel(Merge):
    """Branches whose outputs are put together by `mode`, a name or a function of their list.

    The names are "concat" (along the last dim), "sum", "mean", "product" and "max".
    """

    def __init__(
        self,
        layers: Sequence[Any],
        mode: str | Callable[[list[Node]], Node] = "concat",
        name: str | None = None,
    ) -> None:
        super().__init__(layers, name)
        if isinstance(mode, str) and mode not in MODES:
            raise ShapeError(f"Parallel: mode={mode!r} is not there; choose {', '.join(MODES)}")
        self.mode = MODES[mode] if isinstance(mode, str) else mode

    def merge(self, outputs: list[Node]) -> Node:
        return self.mode(outputs)


class BranchNode(Layer):
    """A place in a tree's first branch where others begin: put the same object into both."""

    keeps_axes = True

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def build(self, x: Node) -> Node:
        self._scope.branches[self] = x
        return x


class Tree(Layer):
    """A row of layers, and other rows that begin at branch nodes of it; each has an output.

    `layers` are lists of layers. All but the first start with a BranchNode that a list before them
    has. `Multicost` takes their outputs, and `Model.predict` gives all of them. `alphas` multiply
    what each row passes back to its branch node in training.
    """

    always = True  # whether inference has the other rows too

    def __init__(
        self,
        layers: Sequence[Any],
        alphas: Sequence[float] | None = None,
        name: str | None = None,
    ) -> None:
        self.branches, self.names = _branches(layers)
        self.alphas = _checked(alphas, len(self.branches), type(self).__name__)
        self.name = name

    def build(self, x: Node) -> Node:
        main, *others = self.branches
        y = _through(self, main, self.names, scaled_back(x, self.alphas[0]))
        if self.training or self.always:
            pairs = zip(others, self.alphas[1:], strict=True)
            heads = [self._head(branch, alpha) for branch, alpha in pairs]
            found = [replace(self._scope.prediction(head), heads=()) for head in heads]
            self._scope.heads += found
        return y

    def _head(self, branch: list[Layer], alpha: float) -> Node:
        start = self._scope.branches.get(branch[0]) if branch else None
        if start is None:
            raise ShapeError("a branch must start with a BranchNode of a branch before it")
        return _through(self, branch[1:], self.names, scaled_back(start, alpha))


class SingleOutputTree(Tree):
    """A Tree whose first row alone is there at inference."""

    always = False


def scaled_back(x: Node, alpha: float) -> Node:
    """`x`, whose gradient is `alpha` times what it would be."""
    if alpha == 1.0:
        return x
    return ops.stop_gradient(x) if alpha == 0.0 else _scaled_back(x, alpha)


def _scaled_back(x: Node, alpha: float) -> Node:
    fixed = ops.stop_gradient(x)
    return fixed + (x - fixed) * alpha  # x − x is 0, or NaN where x was no number already


def _checked(alphas: Sequence[float] | None, count: int, owner: str) -> tuple[float, ...]:
    """One factor for each branch, by default 1."""
    found = (1.0,) * count if alphas is None else tuple(map(float, alphas))
    if len(found) != count:
        raise ShapeError(f"{owner}: {count} branches, {len(found)} alphas")
    return found


Join = Callable[[Layer, list[Node]], Node]


def _joining(owner: str, merge: str) -> Join:
    if merge not in JOINS:
        choices = ", ".join(map(repr, JOINS))
        raise ShapeError(f"{owner}: merge={merge!r} is not there; choose {choices}")
    return JOINS[merge]


def _depth(owner: Layer, outputs: list[Node]) -> Node:
    return _concat(outputs)


def _stack(owner: Layer, outputs: list[Node]) -> Node:
    return ops.concatenate(*map(flat, outputs), axis=1)


def _recurrent(owner: Layer, outputs: list[Node]) -> Node:
    """The steps of all outputs one after the other, with their masks."""
    sequences = owner._scope.sequences
    masks = [sequences.get(x) for x in outputs]
    steps = [
        x if len(x.shape) > 2 else ops.reshape(x, shape=(x.shape[0], 1, *x.shape[1:]))
        for x in outputs
    ]
    y = ops.concatenate(*steps, axis=1)
    sequences[y] = None
    if any(mask is not None for mask in masks):
        whole = [
            ops.full(x.shape[:2], True, "bool") if mask is None else mask
            for mask, x in zip(masks, steps, strict=True)
        ]
        sequences[y] = ops.concatenate(*whole, axis=1)
    return y


JOINS: dict[str, Join] = {"recurrent": _recurrent, "depth": _depth, "stack": _stack}


def _concat(outputs: list[Node]) -> Node:
    return ops.concatenate(*outputs, axis=len(outputs[0].shape) - 1)


MODES: dict[str, Callable[[list[Node]], Node]] = {
    "concat": _concat,
    "sum": lambda outputs: reduce(add, outputs),
    "mean": lambda outputs: reduce(add, outputs) * (1 / len(outputs)),
    "product": lambda outputs: reduce(mul, outputs),
    "max": lambda outputs: reduce(ops.maximum, outputs),
}


def _branches(layers: Sequence[Any]) -> tuple[list[list[Layer]], dict[Layer, str]]:
    """Each branch as a list of layers, and the names of them all."""
    if not layers:
        raise ShapeError("give at least one branch")
    branches = [flatten(b if isinstance(b, (list, tuple)) else [b]) for b in layers]
    return branches, named([layer for branch in branches for layer in branch])


def _through(owner: Layer, layers: Iterable[Layer], names: dict[Layer, str], x: Node) -> Node:
    for layer in layers:
        x = owner.apply(layer, x, names[layer])
    return x
