"""The nets whose numbers the original Caffe recorded, written with anode.layers, named as there."""

from anode import layers as nn
from anode.models import cifar10_quick, googlenet, lenet

RELU, INIT = nn.Rectlin(), nn.Kaiming()


def alexnet():
    """AlexNet with its groups and normalisations."""

    def conv(number, size, filters, **options):
        name = f"conv{number}"
        return nn.Conv((size, size, filters), INIT, bias=0.0, activation=RELU, name=name, **options)

    def norm(number):
        return nn.LRN(5, ascale=1e-4, bpower=0.75, name=f"norm{number}")

    def pool(number):
        return nn.Pooling(3, strides=2, ceil=True, name=f"pool{number}")

    return [
        [conv(1, 11, 96, strides=4), norm(1), pool(1)],
        [conv(2, 5, 256, padding=2, groups=2), norm(2), pool(2)],
        conv(3, 3, 384, padding=1),
        conv(4, 3, 384, padding=1, groups=2),
        [conv(5, 3, 256, padding=1, groups=2), pool(5)],
        nn.Affine(4096, INIT, bias=0.0, activation=RELU, name="fc6"),
        nn.Affine(4096, INIT, bias=0.0, activation=RELU, name="fc7"),
        nn.Affine(1000, INIT, bias=0.0, activation=nn.Softmax(), name="fc8"),
    ]


def resnet20():
    """A residual network whose convolutions have biases, and shortcuts convolutions of 1×1."""
    layers = _normed("first_conv", 3, 16, 1, RELU)
    for group, filters in enumerate((16, 32, 64)):
        for block in range(3):
            halves = group > 0 and block == 0
            stride = 2 if halves else 1
            long = [
                _normed("conv0", 3, filters, stride, RELU),
                _normed("conv1", 3, filters, 1),
            ]
            short = _normed("proj", 1, filters, 2) if halves else nn.SkipNode()
            layers += [nn.MergeSum([long, short], name=f"group{group}_block{block}"), RELU]
    classifier = nn.Affine(10, INIT, bias=0.0, activation=nn.Softmax(), name="fc")
    return [*layers, nn.Pooling("all", op="avg"), *classifier]


def _normed(name, size, filters, stride, activation=None):
    conv = nn.Conv((size, size, filters), INIT, stride, size // 2, bias=0.0, name=name)
    norm = nn.BatchNorm(0.999, 1e-5, f"{name}_bnorm", unbiased=True)
    return [*conv, norm, *([activation] if activation else [])]


NETS = {
    "lenet": (lenet, (28, 28, 1)),
    "cifar10_quick": (cifar10_quick, (32, 32, 3)),
    "alexnet": (alexnet, (227, 227, 3)),
    "googlenet": (lambda: googlenet(dropout=False), (224, 224, 3)),
    "resnet20_cifar": (resnet20, (32, 32, 3)),
}
