"""Pooling of regions of interest, and choosing among boxes that overlap."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode import ops
from anode.frontends.neon.backends.lowering import fitted
from anode.frontends.neon.backends.spatial import from_image, to_image
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.tracing import perform
from anode.ir.node import Node
from anode.transform.grad import gradients


class Regions:
    """be's functions of regions; a region is (image, left, top, right, bottom)."""

    programs: Any
    bsz: int

    def roipooling_fprop(
        self,
        I: Tensor,  # noqa: E741 (the original's name)
        rois: Tensor,
        O: Tensor,  # noqa: E741
        argmax: Tensor,
        roi_count: int,
        C: int,
        H: int,
        W: int,
        pooled_height: int,
        pooled_width: int,
        spatial_scale: float,
    ) -> None:
        """The maxima of each region's cells, and their places y · W + x in the image."""
        sizes = (pooled_height, pooled_width)

        def action() -> None:
            image = to_image(I.node(), (C, H, W, self.bsz))
            boxes = rois.node()
            y = ops.roi_pool(image, boxes, sizes=sizes, scale=spatial_scale)
            places = ops.roi_pool_index(image, boxes, sizes=sizes, scale=spatial_scale)
            for out, value in ((O, y), (argmax, places)):
                out.write(fitted(from_image(value, out.shape), out.shape, out.cell.type.dtype))
            self._pooled = image

        perform(action, self.programs)

    def roipooling_bprop(
        self,
        I: Tensor,  # noqa: E741
        rois: Tensor,
        O: Tensor,  # noqa: E741
        argmax: Tensor,
        roi_count: int,
        C: int,
        H: int,
        W: int,
        pooled_height: int,
        pooled_width: int,
        spatial_scale: float,
    ) -> None:
        """Add each error of I to the element of O that was its maximum."""

        def action() -> None:
            error = to_image(I.node(), (C, pooled_height, pooled_width, roi_count))
            places = to_image(argmax.node(), (C, pooled_height, pooled_width, roi_count))
            images = ops.reshape(
                ops.slice(rois.node(), start=(0, 0), limit=(roi_count, 1)), shape=(roi_count,)
            )
            x = _scattered(error, places, images, (self.bsz, H * W, C))
            x = ops.reshape(x, shape=(self.bsz, H, W, C))
            O.write(fitted(from_image(x, O.shape), O.shape, O.cell.type.dtype))

        perform(action, self.programs)

    def nms(self, detections: Tensor, threshold: float, normalized: bool = False) -> list[int]:
        """The places of the boxes to keep, of rows (left, top, right, bottom, score).

        Boxes come by falling score; one that overlaps a kept box by more than `threshold` goes.
        """
        boxes = detections.get()
        places = np.where(boxes[:, 4] != 0)[0]
        boxes = boxes[places]
        edge = 0 if normalized else 1
        areas = np.prod(boxes[:, 2:4] - boxes[:, :2] + edge, axis=1)
        order = boxes[:, 4].argsort()[::-1]
        kept = []
        while order.size:
            first, rest = order[0], order[1:]
            kept.append(first)
            low = np.maximum(boxes[first, :2], boxes[rest, :2])
            high = np.minimum(boxes[first, 2:4], boxes[rest, 2:4])
            common = np.prod(np.maximum(0.0, high - low + edge), axis=1)
            shares = common / (areas[first] + areas[rest] - common)
            order = rest[shares <= threshold]
        return kept


def _scattered(error: Node, places: Node, images: Node, shape: tuple[int, int, int]) -> Node:
    """Zeros (images, places, maps) with each error added at its image, place and map."""
    count, size, maps = shape
    index = ops.convert(places, dtype=ops.iota(shape=(1,), dtype="i32").dtype)
    batch = ops.convert(images, dtype=index.dtype)
    wide = ops.broadcast_in_dim(batch, shape=index.shape, axes=(0,))
    channel = ops.broadcast_in_dim(
        ops.iota(shape=(maps,), dtype="i32"), shape=index.shape, axes=(3,)
    )
    flat = (wide * size + index) * maps + channel
    inside = ops.and_(ops.greater_equal(index, 0), ops.less(index, size))
    error = ops.select(inside, error, ops.zeros_like(error))
    number = error.tensor.size
    zeros = ops.zeros((count * size * maps,), error.dtype)
    taken = ops.take(zeros, ops.reshape(flat, shape=(number,)), axis=0)
    return gradients([taken], [zeros], [ops.reshape(error, shape=(number,))])[0]
