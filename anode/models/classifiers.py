"""Classifiers that are a row of layers, from images (channels last) to probabilities."""

from __future__ import annotations

from typing import Any

from anode.frontends import layers as nn

RELU = nn.Rectlin()


def lenet(classes: int = 10) -> list[Any]:
    """LeNet as Caffe has it, of 28×28 grey images. Source: LeCun et al. 1998."""
    return [
        nn.Conv((5, 5, 20), nn.Xavier(), bias=0.0, name="conv1"),
        nn.Pooling(2, name="pool1"),
        nn.Conv((5, 5, 50), nn.Xavier(), bias=0.0, name="conv2"),
        nn.Pooling(2, name="pool2"),
        nn.Affine(500, nn.Xavier(), bias=0.0, activation=RELU, name="ip1"),
        nn.Affine(classes, nn.Xavier(), bias=0.0, activation=nn.Softmax(), name="ip2"),
    ]


def cifar10_quick(classes: int = 10) -> list[Any]:
    """Caffe's quick network for 32×32 images. Source: Krizhevsky's cuda-convnet."""
    average: dict[str, Any] = {"op": "avg", "strides": 2, "ceil": True}
    same: dict[str, Any] = {"bias": 0.0, "padding": 2}
    return [
        nn.Conv((5, 5, 32), nn.Gaussian(scale=0.0001), name="conv1", **same),
        nn.Pooling(3, strides=2, ceil=True, name="pool1"),
        nn.Activation(RELU, "pool1_Rectlin"),
        nn.Conv((5, 5, 32), nn.Gaussian(scale=0.01), activation=RELU, name="conv2", **same),
        nn.Pooling(3, name="pool2", **average),
        nn.Conv((5, 5, 64), nn.Gaussian(scale=0.01), activation=RELU, name="conv3", **same),
        nn.Pooling(3, name="pool3", **average),
        nn.Affine(64, nn.Gaussian(scale=0.1), bias=0.0, name="ip1"),
        nn.Affine(classes, nn.Gaussian(scale=0.1), bias=0.0, activation=nn.Softmax(), name="ip2"),
    ]


def allcnn(classes: int = 10, dropout: bool = True) -> list[Any]:
    """All-CNN-C of 32×32 images: convolutions only, with strides in place of pooling.

    Source: Springenberg et al. 2014.
    """

    def conv(size: int, filters: int, strides: int = 1, padding: Any = "SAME") -> list[Any]:
        init = nn.Kaiming()
        return nn.Conv(
            (size, size, filters), init, strides, padding, batch_norm=True, activation=RELU
        )

    def drop(keep: float) -> list[Any]:
        return [nn.Dropout(keep, scaled=True)] if dropout else []

    return [
        drop(0.8),
        [conv(3, 96), conv(3, 96), conv(3, 96, 2), drop(0.5)],
        [conv(3, 192), conv(3, 192), conv(3, 192, 2), drop(0.5)],
        [conv(3, 192), conv(1, 192), nn.Conv((1, 1, classes), nn.Kaiming(), bias=0.0)],
        [nn.Pooling("all", op="avg"), nn.Flatten(), nn.Softmax()],
    ]


def alexnet(classes: int = 1000) -> list[Any]:
    """AlexNet without grouping and without normalisation, as neon's benchmark has it, of 224×224.

    Source: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks".
    """

    def conv(size: int, filters: int, scale: float, bias: float, **options: Any) -> list[Any]:
        init = nn.Gaussian(scale=scale)
        return nn.Conv((size, size, filters), init, bias=bias, activation=RELU, **options)

    def full(size: int) -> list[Any]:
        init = nn.Gaussian(scale=0.01)
        return [*nn.Affine(size, init, bias=1.0, activation=RELU), nn.Dropout(0.5, scaled=True)]

    return [
        [conv(11, 64, 0.01, 0.0, strides=4, padding=3), nn.Pooling(3, strides=2)],
        [conv(5, 192, 0.01, 1.0, padding=2), nn.Pooling(3, strides=2)],
        conv(3, 384, 0.03, 0.0, padding=1),
        conv(3, 256, 0.03, 1.0, padding=1),
        [conv(3, 256, 0.03, 1.0, padding=1), nn.Pooling(3, strides=2)],
        [full(4096), full(4096)],
        nn.Affine(classes, nn.Gaussian(scale=0.01), bias=-7.0, activation=nn.Softmax()),
    ]


def vgg_a(classes: int = 1000) -> list[Any]:
    """VGG-A, with eleven layers of weights, of 224×224. Source: Simonyan and Zisserman 2014."""

    def block(*filters: int) -> list[Any]:
        init = nn.Kaiming()
        convs = [nn.Conv((3, 3, n), init, padding=1, bias=0.0, activation=RELU) for n in filters]
        return [*convs, nn.Pooling(2)]

    blocks = [block(64), block(128), block(256, 256), block(512, 512), block(512, 512)]
    return [*blocks, *_heads((4096, 4096), classes, dropout=True)]


def overfeat(classes: int = 1000) -> list[Any]:
    """Overfeat's fast network of 231×231. Source: Sermanet et al. 2013."""

    def conv(size: int, filters: int, **options: Any) -> list[Any]:
        return nn.Conv((size, size, filters), nn.Kaiming(), bias=0.0, activation=RELU, **options)

    return [
        [conv(11, 96, strides=4), nn.Pooling(2)],
        [conv(5, 256), nn.Pooling(2)],
        [conv(3, 512, padding=1), conv(3, 1024, padding=1), conv(3, 1024, padding=1)],
        nn.Pooling(2),
        *_heads((3072, 4096), classes, dropout=False),
    ]


def _heads(hidden: tuple[int, ...], classes: int, *, dropout: bool) -> list[Any]:
    """Fully connected layers, the last of which gives probabilities."""
    found: list[Any] = []
    for size in hidden:
        found += nn.Affine(size, nn.Kaiming(), bias=0.0, activation=RELU)
        found += [nn.Dropout(0.5, scaled=True)] if dropout else []
    return [*found, nn.Affine(classes, nn.Gaussian(scale=0.01), bias=0.0, activation=nn.Softmax())]
