"""GoogLeNet v1: inception modules, and two auxiliary heads that only training has."""

from __future__ import annotations

from typing import Any

from anode.frontends import layers as nn

RELU, INIT, OFFSET = nn.Rectlin(), nn.Xavier(), 0.2

# The filters of 1×1, 3×3 after its reduction, 5×5 after its reduction, and the projected pool.
MODULES = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}


def googlenet(classes: int = 1000, heads: bool = True, dropout: bool = True) -> list[Any]:
    """GoogLeNet as Caffe has it, of 224×224; layers are called as there, but for inner slashes.

    With `heads` training gives three outputs, for `Multicost` with weights 1, 0.3, 0.3. Source:
    Szegedy et al. 2014.
    """
    first, second = nn.BranchNode("branch1"), nn.BranchNode("branch2")
    trunk = [
        [_conv(7, 64, "conv1/7x7_s2", strides=2, padding=3), _shrink(), _norm()],
        [_conv(1, 64, "conv2/3x3_reduce"), _conv(3, 192, "conv2/3x3", padding=1)],
        [_norm(), _shrink(), _module("3a"), _module("3b"), _shrink()],
        [_module("4a"), first, _module("4b"), _module("4c"), _module("4d"), second],
        [_module("4e"), _shrink(), _module("5a"), _module("5b"), nn.Pooling(7, op="avg")],
        [_dropped(0.4, dropout), _classifier(classes, "loss3/classifier")],
    ]
    if not heads:
        return trunk
    auxiliary = [_head(first, 1, classes, dropout), _head(second, 2, classes, dropout)]
    return [nn.SingleOutputTree([trunk, *auxiliary], name="tree")]


def _module(name: str) -> nn.MergeBroadcast:
    one, three, five, pool = MODULES[name]
    branches = [
        _conv(1, one, "1x1"),
        [_conv(1, three[0], "3x3_reduce"), _conv(3, three[1], "3x3", padding=1)],
        [_conv(1, five[0], "5x5_reduce"), _conv(5, five[1], "5x5", padding=2)],
        [nn.Pooling(3, strides=1, padding=1), _conv(1, pool, "pool_proj")],
    ]
    return nn.MergeBroadcast(branches, name=f"inception_{name}")


def _head(start: nn.BranchNode, number: int, classes: int, dropout: bool) -> list[Any]:
    name = f"loss{number}"
    return [
        start,
        nn.Pooling(5, op="avg", strides=3),
        _conv(1, 128, f"{name}/conv"),
        nn.Affine(1024, INIT, bias=OFFSET, activation=RELU, name=f"{name}/fc"),
        _dropped(0.7, dropout),
        _classifier(classes, f"{name}/classifier"),
    ]


def _conv(size: int, filters: int, name: str, **options: Any) -> list[Any]:
    return nn.Conv((size, size, filters), INIT, bias=OFFSET, activation=RELU, name=name, **options)


def _classifier(classes: int, name: str) -> list[Any]:
    return nn.Affine(classes, INIT, bias=0.0, activation=nn.Softmax(), name=name)


def _shrink() -> nn.Pooling:
    return nn.Pooling(3, strides=2, ceil=True)


def _norm() -> nn.LRN:
    return nn.LRN(5, ascale=1e-4, bpower=0.75)


def _dropped(share: float, dropout: bool) -> list[Any]:
    return [nn.Dropout(1 - share, scaled=True)] if dropout else []
