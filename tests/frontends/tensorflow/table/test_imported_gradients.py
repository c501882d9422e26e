"""The gradient ops of imported graphs give what differentiation of the op itself gives."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anode.frontends.tensorflow.graph import apply, constant
from anode.frontends.tensorflow.modules import namespace

tf: Any = namespace("")
RANDOM = np.random.default_rng(0)
DATA = Path(__file__).parent / "data"


def real(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def agree(
    forward: str, backward: Callable[..., Any], x: np.ndarray, *rest: Any, **attrs: Any
) -> Any:
    """The gradient op and tf.gradients of the same results."""
    with tf.Graph().as_default(), tf.Session() as session:
        x, rest = constant(x), [constant(v) for v in rest]
        y = apply(forward, x, *rest, **attrs)
        y = y[0] if isinstance(y, tuple) else y
        ct = constant(real(*y.shape.as_list()))
        expected, found = session.run([tf.gradients(y, [x], [ct])[0], backward(x, y, ct)])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


OPERAND = ["Relu", "Relu6", "Softplus", "Softsign", "LeakyRelu"]
OUTPUT = ["Elu", "Selu"]
RESULT = ["Sigmoid", "Tanh", "Sqrt", "Rsqrt", "Reciprocal"]


@pytest.mark.parametrize("type", [*OPERAND, *OUTPUT, *RESULT])
def test_elementwise(type: str) -> None:
    x = np.abs(real(3, 4)) + 0.1 if type in ("Sqrt", "Rsqrt", "Reciprocal") else real(3, 4) * 4

    def backward(x: Any, y: Any, ct: Any) -> Any:
        if type in RESULT:
            return apply(f"{type}Grad", y, ct)
        return apply(f"{type}Grad", ct, x if type in OPERAND else y)

    agree(type, backward, x)


POOLS = {
    "MaxPool": ((2, 5, 6, 3), [1, 2, 3, 1], [1, 2, 1, 1]),
    "AvgPool": ((2, 5, 6, 3), [1, 2, 3, 1], [1, 2, 1, 1]),
    "MaxPool3D": ((2, 4, 5, 3, 2), [1, 2, 2, 2, 1], [1, 2, 1, 2, 1]),
    "AvgPool3D": ((2, 4, 5, 3, 2), [1, 2, 2, 2, 1], [1, 2, 1, 2, 1]),
}


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("type", POOLS)
def test_pooling(type: str, padding: str) -> None:
    shape, ksize, strides = POOLS[type]
    attrs = {"ksize": ksize, "strides": strides, "padding": padding}

    def backward(x: Any, y: Any, ct: Any) -> Any:
        if type.startswith("Max"):
            return apply(f"{type}Grad", x, y, ct, **attrs)
        return apply(f"{type}Grad", list(shape), ct, **attrs)

    agree(type, backward, real(*shape), **attrs)


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("version", ["", "V2", "V3"])
def test_fused_batch_norm(version: str, is_training: bool) -> None:
    scale, offset, mean = real(3, 5)
    variance = np.abs(mean) + 0.5
    attrs = {"is_training": is_training, "epsilon": 0.01}

    def backward(x: Any, y: Any, ct: Any) -> Any:
        _, _, _, *kept = y.op.outputs[: 5 if version != "V3" else 6]
        return apply(f"FusedBatchNormGrad{version}", ct, x, constant(scale), *kept, **attrs)[0]

    given = (mean, variance) if not is_training else (np.zeros(0, np.float32),) * 2
    agree(f"FusedBatchNorm{version}", backward, real(2, 3, 4, 5), scale, offset, *given, **attrs)


@pytest.mark.parametrize("mode", ["REFLECT", "SYMMETRIC"])
def test_mirror_pad(mode: str) -> None:
    pads = np.array([[1, 2], [2, 0]], np.int32)

    def backward(x: Any, y: Any, ct: Any) -> Any:
        return apply("MirrorPadGrad", ct, pads, mode=mode)

    agree("MirrorPad", backward, real(4, 5), pads, mode=mode)


@pytest.mark.parametrize("type", ["ResizeBilinear", "ResizeBicubic", "ResizeNearestNeighbor"])
def test_resize(type: str) -> None:
    def backward(x: Any, y: Any, ct: Any) -> Any:
        return apply(f"{type}Grad", ct, [4, 5] if "Nearest" in type else x, align_corners=True)

    agree(type, backward, real(2, 4, 5, 3), np.array([6, 9], np.int32), align_corners=True)


def test_lrn() -> None:
    attrs = {"depth_radius": 2, "bias": 1.5, "alpha": 0.3, "beta": 0.75}
    agree("LRN", lambda x, y, ct: apply("LRNGrad", ct, x, y, **attrs), real(2, 3, 3, 7), **attrs)


@pytest.mark.parametrize("data_format", ["NHWC", "NCHW"])
def test_bias_add_grad_sums_all_but_the_channels(data_format: str) -> None:
    ct = real(2, 3, 4, 5)
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(apply("BiasAddGrad", ct, data_format=data_format))
    axes = (0, 1, 2) if data_format == "NHWC" else (0, 2, 3)
    np.testing.assert_allclose(found, ct.sum(axes), rtol=1e-5)


def test_broadcast_gradient_args() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        found = session.run(list(apply("BroadcastGradientArgs", [2, 1, 5], [3, 5])))
    assert [axes.tolist() for axes in found] == [[1], [0]]


def test_a_graph_with_tensorflows_own_gradients_trains_as_there() -> None:
    record = json.loads((DATA / "trained.json").read_text())
    message = tf.GraphDef.FromString(gzip.decompress((DATA / "trained.pb.gz").read_bytes()))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(message, name="")
        session.run("init")
        feeds = {"x:0": record["x"], "y:0": record["y"]}
        losses = [session.run(["loss:0", "train"], feeds)[0] for _ in range(4)]
    np.testing.assert_allclose(losses, record["losses"], rtol=1e-5)
    assert losses[3] < losses[0]
