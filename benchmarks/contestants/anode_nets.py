"""anode on the convolution nets: `anode.layers`, one native function a step; --bf16: products."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from benchmarks import nets
from benchmarks.protocol import NetBuild, Step, serve

if TYPE_CHECKING:
    import numpy.typing as npt


def load() -> tuple[str, NetBuild]:
    import anode
    from anode import layers as nn

    def build(net: nets.Net, arrays: nets.Arrays) -> Step:
        model = nn.Model([*row(net.layers, net.image, arrays), nn.Softmax()])
        optimizer = nn.GradientDescentMomentum(net.rate, net.momentum)
        options = {"precision": "bf16"} if "--bf16" in sys.argv else {}
        train = model.training_step(nn.CrossEntropyMulti(), optimizer, **options)

        def step(images: Any, labels: Any) -> Any:
            return train(images, labels)

        return step

    def row(
        layers: tuple[nets.Layer, ...], shape: nets.Shape, arrays: nets.Arrays, path: str = ""
    ) -> list[Any]:
        """The layers one after another, for images of `shape`."""
        made: list[Any] = []
        for index, layer in enumerate(layers):
            made += one(layer, shape, arrays, f"{path}{index}")
            shape = nets.output_shape(layer, shape)
        return made

    def one(layer: nets.Layer, shape: nets.Shape, arrays: nets.Arrays, name: str) -> list[Any]:
        match layer:
            case nets.Conv(filters, kernel, stride, padding, bias):
                made = nn.Convolution(
                    (kernel, kernel, filters),
                    stride,
                    padding,
                    init=nn.Array(arrays[f"{name}.weight"]),
                )
                return [made, nn.Bias(nn.Array(arrays[f"{name}.bias"]))] if bias else [made]
            case nets.BatchNorm():
                return [nn.BatchNorm(eps=1e-5, unbiased=True)]
            case nets.Affine(units):
                bias = nn.Bias(nn.Array(arrays[f"{name}.bias"]))
                return [nn.Linear(units, flattening(arrays[f"{name}.weight"], shape)), bias]
            case nets.Relu():
                return [nn.Activation(nn.Rectlin())]
            case nets.MaxPool(kernel, stride):
                return [nn.Pooling(kernel, strides=stride)]
            case nets.GlobalPool():
                return [nn.Pooling("all", op="avg"), nn.Flatten()]
            case nets.Residual(body, shortcut):
                branches = (
                    row(body, shape, arrays, f"{name}.body."),
                    row(shortcut, shape, arrays, f"{name}.shortcut."),
                )
                return [nn.MergeSum(branches)]

    return anode.__version__, build


def flattening(weight: npt.NDArray[Any], shape: nets.Shape) -> Any:
    """An initialiser that puts the weights in order when they are wanted, and keeps no copy."""
    from anode import layers as nn

    class Flattening(nn.Initializer):  # type: ignore[name-defined]
        def value(self, whole: Any, random: Any) -> npt.NDArray[Any]:
            return channels_first(weight, shape)

    return Flattening()


def channels_first(weight: npt.NDArray[Any], shape: nets.Shape) -> npt.NDArray[Any]:
    """Rows of a fully connected layer after images, in the order in which anode flattens them."""
    if len(shape) == 1:
        return weight
    return weight.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(weight.shape)


if __name__ == "__main__":
    serve(load)
