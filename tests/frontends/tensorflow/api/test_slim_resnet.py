"""Residual networks of slim: names and values by TensorFlow 1.15."""

from typing import Any

import numpy as np
import pytest


def small(tf: Any, version: int) -> Any:
    nets = getattr(tf.contrib.slim.nets, f"resnet_v{version}")
    x = tf.placeholder(tf.float32, [2, 17, 17, 3])
    block = getattr(nets, f"resnet_v{version}_block")
    blocks = [block("block1", 2, 2, 2), block("block2", 3, 2, 2), block("block3", 3, 1, 1)]
    with tf.contrib.slim.arg_scope(nets.resnet_arg_scope()):
        net = getattr(nets, f"resnet_v{version}")
        out, ends = net(x, blocks, 4, is_training=False, output_stride=8, scope="r")
    return out, ends, {x: np.linspace(-1, 1, 2 * 17 * 17 * 3).reshape(2, 17, 17, 3)}


@pytest.mark.parametrize(
    ("version", "logits"),
    [
        (1, [0.29181588, 0.06904995, 0.37839493, 0.15317339]),
        (2, [-0.21219215, -0.11927709, -0.28155673, -0.35624442]),
    ],
)
def test_a_small_network(tf: Any, version: int, logits: list[float]) -> None:
    out, ends, feed = small(tf, version)
    assert f"r/block2/unit_1/bottleneck_v{version}/conv2" in ends
    assert ends["predictions"].shape.as_list() == [2, 1, 1, 4]
    moving = [v for v in tf.global_variables() if "moving" in v.name]
    signed = [(v, (-1) ** i) for i, v in enumerate(tf.global_variables()) if v not in moving]
    draw = np.random.RandomState(0).uniform
    with tf.Session() as session:
        for v, sign in signed:
            v.load(draw(0.1, 0.5, v.shape.as_list()) * sign, session)
        for v in moving:
            v.load(draw(0.3, 0.9, v.shape.as_list()), session)
        np.testing.assert_allclose(session.run(out, feed)[0, 0, 0], logits, rtol=1e-5)


def test_the_variables_of_the_deep_one(tf: Any) -> None:
    nets = tf.contrib.slim.nets.resnet_v1
    with tf.contrib.slim.arg_scope(nets.resnet_arg_scope()):
        features, _ = nets.resnet_v1_50(tf.zeros([1, 64, 64, 3]))
    assert features.shape.as_list() == [1, 1, 1, 2048]
    assert tf.global_variables()[0].name == "resnet_v1_50/conv1/weights:0"
    assert len(tf.global_variables()) == 265
    assert sum(v.shape.num_elements() for v in tf.trainable_variables()) == 23508032
