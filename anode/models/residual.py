"""Residual networks of 32×32 images. Source: He et al. 2015, section 4.2."""

from __future__ import annotations

from typing import Any

from anode.errors import ShapeError
from anode.frontends import layers as nn

RELU, INIT = nn.Rectlin(), nn.Kaiming()


def resnet(depth: int = 20, classes: int = 10) -> list[Any]:
    """A residual network with 6n + 2 layers of weights: 20, 32, 44, 56, 110.

    Where the size halves, the short way is a convolution of 1×1 with a stride.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ShapeError(f"a residual network of depth {depth} is not 6n + 2; take 20, 56, …")
    layers: list[Any] = _conv(3, 16, 1, RELU)
    for group, filters in enumerate((16, 32, 64)):
        for block in range(blocks):
            halves = group > 0 and block == 0
            layers += [_block(filters, 2 if halves else 1, halves), RELU]
    return [*layers, nn.Pooling("all", op="avg"), *_classifier(classes)]


def _block(filters: int, strides: int, projected: bool) -> nn.MergeSum:
    long = [_conv(3, filters, strides, RELU), _conv(3, filters, 1)]
    short = _conv(1, filters, strides) if projected else [nn.SkipNode()]
    return nn.MergeSum([long, short])


def _conv(size: int, filters: int, strides: int, activation: Any = None) -> list[Any]:
    shape, padding = (size, size, filters), size // 2
    return nn.Conv(shape, INIT, strides, padding, batch_norm=True, activation=activation)


def _classifier(classes: int) -> list[Any]:
    return nn.Affine(classes, INIT, bias=0.0, activation=nn.Softmax())
