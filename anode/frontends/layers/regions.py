"""Regions of images: each as a small image of one size, for detection as in Fast R-CNN."""

from __future__ import annotations

from collections.abc import Sequence

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.containers import scaled_back
from anode.frontends.layers.layers import Layer, static
from anode.ir.dtypes import f32
from anode.ir.node import Node
from anode.ops.precision import as_dtype
from anode.ops.region import pool_regions

KINDS = {"max": "max", "avg": "align"}


class RoiPooling(Layer):
    """The maxima of HW cells of each region of an image, or with `op` "avg" interpolated means.

    A minibatch is (images, regions): regions [batch, count, 4] are (left, top, right, bottom) in
    units of the picture, of which the layer's input is `spatial_scale` as large. The output
    (batch, count, channels · cells) has a region where a sequence has a step: `Affine` and
    `PerStep` work at each. Without `bprop_enabled` no gradient goes to the images. Sources:
    Girshick 2015 ("max"); He et al. 2017 ("avg": means of 2 · 2 points, corners not rounded).
    """

    def __init__(
        self,
        HW: Sequence[int] = (7, 7),
        bprop_enabled: bool = True,
        spatial_scale: float = 0.0625,
        name: str | None = None,
        *,
        op: str = "max",
    ) -> None:
        if op not in KINDS:
            raise ShapeError(f"RoiPooling: there is no op {op!r}, only {', '.join(KINDS)}")
        self.HW, self.spatial_scale, self.op = tuple(HW), float(spatial_scale), op
        self.bprop_enabled, self.name = bprop_enabled, name

    def build(self, x: Node) -> Node:
        regions = self._scope.regions
        if regions is None:
            raise ShapeError(
                "RoiPooling takes minibatches (images, regions), regions [batch, count, 4]"
            )
        batch, count, _ = static(regions)
        image = ops.iota(shape=(batch, count, 1), dtype=f32, axis=0)
        rois = ops.concatenate(image, as_dtype(regions, f32), axis=2)
        y = pool_regions(
            scaled_back(x, float(self.bprop_enabled)),
            ops.reshape(rois, shape=(batch * count, 5)),
            self.HW,
            KINDS[self.op],
            self.spatial_scale,
            data_format="NHWC",
        )
        size = static(y)[1] * static(y)[2] * static(y)[3]
        y = ops.reshape(ops.moveaxis(y, -1, 1), shape=(batch, count, size))
        self._scope.sequences[y] = None
        return y


def are_regions(given: Sequence[Node]) -> bool:
    """Whether a minibatch is one of images and their regions."""
    if len(given) != 2:
        return False
    images, regions = (each.shape for each in given)
    return len(regions) == 3 and regions[0] == images[0] and regions[2] == 4
