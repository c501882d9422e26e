"""Autodiff: the gradients of an op-tree by its tensors, as op-trees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from anode.frontends.neon.backends.backend import Backend
from anode.frontends.neon.backends.lowering import fitted, lowered
from anode.frontends.neon.backends.optree import OpTreeNode
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.tracing import Recording, perform, recorded, recording
from anode.ir.node import Node, substitute
from anode.transform.grad import gradients


class Autodiff:
    """The derivative of `op_tree`, weighted by `next_error` (one by default), by any tensor.

    A tensor that is not in the op-tree has the gradient zero.
    """

    def __init__(
        self, op_tree: Any, be: Backend, next_error: Tensor | OpTreeNode | None = None
    ) -> None:
        if next_error is not None and next_error.shape != op_tree.shape:
            raise ValueError(
                f"next_error.shape {next_error.shape} must be consistent with "
                f"op_tree.shape {op_tree.shape}"
            )
        self.op_tree, self.be, self.dtype = op_tree, be, be.default_dtype
        self.next_error = be.ones(op_tree.shape) if next_error is None else next_error

    def back_prop_grad(self, tensors: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Put the gradient by each of `tensors` into the tensor in the same place."""

        def action() -> None:
            found = self._nodes([tensor._original_base for tensor in tensors])
            for out, value in zip(gradients, found, strict=True):
                out.write(fitted(value, out.shape, out.cell.type.dtype))

        perform(action, self.be.programs)

    def get_grad_op_tree(self, tensors: Sequence[Tensor]) -> list[OpTreeNode]:
        """The gradients as op-trees."""
        return [self._tree(tensor) for tensor in tensors]

    def get_grad_tensor(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """The gradients in new tensors."""
        found = [self.be.empty(tensor.shape, dtype=tensor.dtype) for tensor in tensors]
        self.back_prop_grad(tensors, found)
        return found

    def get_grad_asnumpyarray(self, tensors: Sequence[Tensor]) -> list[np.ndarray]:
        """The gradients as arrays."""
        return [value.get().astype(self.dtype) for value in self.get_grad_tensor(tensors)]

    def cleanup(self) -> None:
        """Nothing is kept."""

    def _tree(self, tensor: Tensor) -> OpTreeNode:
        base = tensor._original_base
        return OpTreeNode.made(lambda: self._nodes([base])[0], base.shape, base)

    def _nodes(self, tensors: Sequence[Tensor]) -> list[Node]:
        """The gradients as nodes: those of the op-tree alone, not of what its tensors came from."""
        outer, inner = recording(), Recording()
        with recorded(inner):
            xs = [tensor.node() for tensor in tensors]
            y = lowered(self.op_tree)
            ct = fitted(lowered(self.next_error), y.tensor.static, y.tensor.dtype)
            found = gradients([y], xs, [ct])
        values = {leaf: outer.read(cell) for cell, leaf in inner.leaves.items()}
        outer.hosts += inner.hosts
        new = substitute(found, values)
        return [new[node] for node in found]
