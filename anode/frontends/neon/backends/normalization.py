"""Batch normalisation, lookup tables and matrix products of be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from anode import ops
from anode.frontends.neon.backends.lowering import fitted, shift
from anode.frontends.neon.backends.spatial import blended, from_image, to_image
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.tracing import perform
from anode.ir.dtypes import i32
from anode.ir.node import Node


class BatchNormLayer:
    """The shape that a batch normalisation's input has without the batch."""

    def __init__(self, in_shape: Any) -> None:
        self.dims = tuple(in_shape) if isinstance(in_shape, (tuple, list)) else (in_shape,)

    @property
    def is_image(self) -> bool:
        return len(self.dims) > 2

    def rows(self, x: Tensor) -> tuple[Node, int]:
        """x as images, channels last, or as it is, (maps, all else), with the axis of the maps."""
        if not self.is_image:
            return x.node(), 0
        batch = x.size // math.prod(self.dims)
        return to_image(x.node(), (*self.dims, batch)), len(self.dims)

    def flat(self, y: Node, shape: Sequence[int]) -> Node:
        """What `rows` gave as (maps, all else)."""
        return from_image(y, shape) if self.is_image else ops.reshape(y, shape=tuple(shape))


class Normalization:
    """be's compound functions of batch normalisation and lookup tables."""

    programs: Any

    def batchnorm_layer(self, in_shape: Any) -> BatchNormLayer:
        """What `compound_fprop_bn` needs to know of its input."""
        return BatchNormLayer(in_shape)

    def compound_fprop_bn(
        self,
        x: Tensor,
        xsum: Tensor,
        xvar: Tensor,
        gmean: Tensor,
        gvar: Tensor,
        gamma: Tensor,
        beta: Tensor,
        y: Tensor,
        eps: float,
        rho: float,
        compute_batch_sum: bool = True,
        accumbeta: float = 0.0,
        relu: bool = False,
        binary: bool = False,
        inference: bool = False,
        outputs: Tensor | None = None,
        layer: BatchNormLayer | None = None,
    ) -> None:
        """y = normalised x · gamma + beta + accumbeta · y, over each row of x.

        Training uses the row's mean, which it leaves in `xsum`, and biased variance, left in
        `xvar`, and lets `gmean` become rho · gmean + (1 − rho) · mean, `gvar` likewise. `binary`
        multiplies by powers of two only.
        """
        shape = layer or BatchNormLayer((x.shape[0],))

        def action() -> None:
            rows, axis = shape.rows(x)
            scale, offset = _flat(gamma), _flat(beta)
            if inference:
                normal = ops.batch_norm_inference(
                    rows, scale, offset, _flat(gmean), _flat(gvar), axis=axis, epsilon=eps
                )
            else:
                if binary:
                    normal, mean, variance = _shifted(rows, scale, offset, axis, eps)
                else:
                    normal, mean, variance = ops.batch_norm_training(
                        rows, scale, offset, axis=axis, epsilon=eps
                    ).items
                for kept, batch, new in ((gmean, xsum, mean), (gvar, xvar, variance)):
                    _put(batch, new)
                    _put(kept, _flat(kept) * rho + new * (1.0 - rho))
            blended(y, shape.flat(normal, y.shape), 1.0, accumbeta)

        perform(action, self.programs)

    def compound_bprop_bn(
        self,
        delta_out: Tensor,
        grad_gamma: Tensor,
        grad_beta: Tensor,
        delta_in: Tensor,
        x: Tensor,
        xsum: Tensor,
        xvar: Tensor,
        gamma: Tensor,
        eps: float,
        binary: bool = False,
        layer: BatchNormLayer | None = None,
    ) -> None:
        """The gradients of the training `compound_fprop_bn` for the error delta_in."""
        shape = layer or BatchNormLayer((x.shape[0],))

        def action() -> None:
            rows, axis = shape.rows(x)
            error, _ = shape.rows(delta_in)
            gradient = _shifted_grad if binary else _grad
            dx, dgamma, dbeta = gradient(
                error, rows, _flat(gamma), _flat(xsum), _flat(xvar), axis, eps
            )
            _put(grad_gamma, dgamma)
            _put(grad_beta, dbeta)
            blended(delta_out, shape.flat(dx, delta_out.shape), 1.0, 0.0)

        perform(action, self.programs)

    def compound_bprop_lut(
        self,
        nin: int,
        inputs: Tensor,
        error: Tensor,
        error_t: Tensor,
        dW: Tensor,
        pad_idx: int | None,
        alpha: float = 1.0,
        beta: float = 0,
    ) -> None:
        """Add up the columns of `error` at the row of dW that its input names, but for pad_idx."""

        def action() -> None:
            ids = ops.reshape(ops.convert(inputs.node(), dtype=i32), shape=(inputs.size,))
            rows = ops.transpose(error.node(), permutation=(1, 0))
            if pad_idx is not None:
                counts = ops.not_equal(ids, pad_idx)
                wide = ops.broadcast_in_dim(counts, shape=rows.shape, axes=(0,))
                rows = ops.select(wide, rows, ops.zeros_like(rows))
            blended(dW, _added_rows(dW, ids, rows), 1.0, 0.0)

        perform(action, self.programs)


class Products:
    """be's matrix products."""

    programs: Any

    def compound_dot(
        self,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        alpha: float = 1.0,
        beta: float = 0.0,
        relu: bool = False,
        bsum: Tensor | None = None,
    ) -> Tensor:
        """C = alpha · A·B + beta · C, and its row sums into `bsum`.

        As on the original's CPU alpha counts only where beta does.
        """
        if A.shape[0] != C.shape[0] or B.shape[1] != C.shape[1] or A.shape[1] != B.shape[0]:
            raise ValueError(f"{C.shape} is no product of {A.shape} and {B.shape}")

        def action() -> None:
            product = ops.matmul(A.node(), B.node())
            if beta:
                product = product * alpha
            if relu:
                product = ops.maximum(product, 0.0)
            blended(C, product, 1.0, beta)
            if bsum is not None:
                _put(bsum, ops.sum(C.node(), 1))

        perform(action, self.programs)
        return C

    def xnor_compound_dot(
        self, A: Tensor, B: Tensor, C: Tensor, beta: float = 0.0, bsum: Tensor | None = None
    ) -> Tensor:
        """`compound_dot` of matrices of 1 and −1; beta counts for nothing."""
        return self.compound_dot(A, B, C, bsum=bsum)

    def batched_dot(
        self,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        alpha: float = 1.0,
        beta: float = 0.0,
        relu: bool = False,
    ) -> Tensor:
        """C = alpha · A·B + beta · C for each of a batch; added up where C is one matrix."""

        def action() -> None:
            product = ops.matmul(A.node(), B.node())
            if len(C.shape) == 2:
                product = ops.sum(product, 0)
            product = product * alpha
            blended(C, ops.maximum(product, 0.0) if relu else product, 1.0, beta)

        perform(action, self.programs)
        return C


def _flat(x: Tensor) -> Node:
    return ops.reshape(x.node(), shape=(x.size,))


def _put(out: Tensor, value: Node) -> None:
    """Write one number for each map to a column."""
    out.write(fitted(ops.reshape(value, shape=out.shape), out.shape, out.cell.type.dtype))


def _wide(axis: int, like: Node) -> Callable[[Node], Node]:
    return lambda x: ops.broadcast_in_dim(x, shape=like.shape, axes=(axis,))


def _others(x: Node, axis: int) -> list[int]:
    return [d for d in range(len(x.shape)) if d != axis]


def _shifted(x: Node, scale: Node, offset: Node, axis: int, eps: float) -> tuple[Node, Node, Node]:
    """Batch normalisation by powers of two. Source: Courbariaux et al. 2016, BinaryNet."""
    wide, others = _wide(axis, x), _others(x, axis)
    mean = ops.mean(x, others)
    off = x - wide(mean)
    variance = ops.mean(shift(off, off), others)
    normal = shift(off, wide(ops.rsqrt(variance + eps)))
    return shift(normal, wide(scale)) + wide(offset), mean, variance


def _grad(
    error: Node, x: Node, scale: Node, mean: Node, variance: Node, axis: int, eps: float
) -> Sequence[Node]:
    return ops.batch_norm_grad(error, x, scale, mean, variance, axis=axis, epsilon=eps).items


def _shifted_grad(
    error: Node, x: Node, scale: Node, mean: Node, variance: Node, axis: int, eps: float
) -> Sequence[Node]:
    wide, others = _wide(axis, x), _others(x, axis)
    inverse = wide(ops.rsqrt(variance + eps))
    normal = shift(x - wide(mean), inverse)
    dscale, doffset = ops.sum(normal * error, others), ops.sum(error, others)
    count = math.prod(x.shape[d] for d in others)
    part = (shift(normal, wide(dscale)) + wide(doffset)) / float(count)
    return shift(shift(error - part, wide(scale)), inverse), dscale, doffset


def _added_rows(table: Tensor, ids: Node, rows: Node) -> Node:
    """Zeros of the table's shape with `rows` added at `ids`."""
    from anode.transform.grad import gradients

    zeros = ops.zeros(table.shape, rows.dtype)
    return gradients([ops.take(zeros, ids, axis=0)], [zeros], [rows])[0]
