"""Containers: layers made of layers, for models that are more than a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import add
from typing import Any

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.layers import Layer, flatten, named
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
    """The branches' outputs side by side along the channels: an inception module.

    `merge` is "depth". Source: Szegedy et al. 2014.
    """

    def __init__(
        self, layers: Sequence[Any], merge: str = "depth", name: str | None = None
    ) -> None:
        super().__init__(layers, name)
        if merge != "depth":
            raise ShapeError(f"MergeBroadcast: merge={merge!r} is not there; choose 'depth'")

    def merge(self, outputs: list[Node]) -> Node:
        return ops.concatenate(*outputs, axis=len(outputs[0].shape) - 1)


class BranchNode(Layer):
    """A place in a tree's first branch where others begin: put the same object into both."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def build(self, x: Node) -> Node:
        self._scope.branches[self] = x
        return x


class SingleOutputTree(Layer):
    """A row of layers, and other rows that begin at branch nodes of it.

    `layers` are lists of layers; the first is the output. The others start with a BranchNode that
    a list before them has; they exist in training only, where `Multicost` takes their outputs.
    """

    def __init__(self, layers: Sequence[Any], name: str | None = None) -> None:
        self.branches, self.names = _branches(layers)
        self.name = name

    def build(self, x: Node) -> Node:
        main, *others = self.branches
        y = _through(self, main, self.names, x)
        heads = [self._head(branch) for branch in others] if self.training else []
        self._scope.heads += [self._scope.prediction(head) for head in heads]
        return y

    def _head(self, branch: list[Layer]) -> Node:
        start = self._scope.branches.get(branch[0]) if branch else None
        if start is None:
            raise ShapeError("a branch must start with a BranchNode of a branch before it")
        return _through(self, branch[1:], self.names, start)


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
