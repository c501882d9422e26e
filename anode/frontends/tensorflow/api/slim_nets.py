"""tf.contrib.slim.nets: VGG. Source: Simonyan and Zisserman 2014, arXiv 1409.1556."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.arg_scope import arg_scope
from anode.frontends.tensorflow.api.contrib_initializers import l2_regularizer
from anode.frontends.tensorflow.api.contrib_layers import conv2d, fully_connected
from anode.frontends.tensorflow.api.contrib_scope import convert_collection_to_dict
from anode.frontends.tensorflow.api.contrib_shapes import dropout, max_pool2d, repeat
from anode.frontends.tensorflow.api.initializers import Zeros
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.opdef import EXPORTS

_DEPTHS = (64, 128, 256, 512, 512)
_REPEATS = {"vgg_a": (1, 1, 2, 2, 2), "vgg_16": (2, 2, 3, 3, 3), "vgg_19": (2, 2, 4, 4, 4)}


def vgg_arg_scope(weight_decay: float = 0.0005) -> Any:
    """The arguments of VGG's layers."""
    decay = l2_regularizer(weight_decay)
    layers = arg_scope(
        [conv2d, fully_connected],
        activation_fn=public("nn.relu"),
        weights_regularizer=decay,
        biases_initializer=Zeros(),
    )
    with layers, arg_scope([conv2d], padding="SAME") as scope:
        return scope


def _vgg(kind: str) -> Callable[..., tuple[Any, dict[str, Any]]]:
    def net(
        inputs: Any,
        num_classes: int = 1000,
        is_training: Any = True,
        dropout_keep_prob: float = 0.5,
        spatial_squeeze: bool = True,
        scope: str = kind,
    ) -> tuple[Any, dict[str, Any]]:
        """(logits, end points) for pictures of 224 x 224."""
        with vs.variable_scope(scope, kind, [inputs]) as sc:
            ends = f"{sc.name}_end_points"
            noted = arg_scope([conv2d, fully_connected, max_pool2d], outputs_collections=ends)
            with noted:
                x = inputs
                for i, (depth, times) in enumerate(
                    zip(_DEPTHS, _REPEATS[kind], strict=True), start=1
                ):
                    x = repeat(x, times, conv2d, depth, [3, 3], scope=f"conv{i}")
                    x = max_pool2d(x, [2, 2], scope=f"pool{i}")
                x = conv2d(x, 4096, [7, 7], padding="VALID", scope="fc6")
                x = dropout(x, dropout_keep_prob, is_training=is_training, scope="dropout6")
                x = conv2d(x, 4096, [1, 1], scope="fc7")
                x = dropout(x, dropout_keep_prob, is_training=is_training, scope="dropout7")
                x = conv2d(
                    x, num_classes, [1, 1], activation_fn=None, normalizer_fn=None, scope="fc8"
                )
            points = convert_collection_to_dict(ends)
            if spatial_squeeze:
                x = apply("Squeeze", x, squeeze_dims=[1, 2], name="fc8/squeezed")
                points[f"{sc.name}/fc8"] = x
            return x, points

    net.__name__ = net.__qualname__ = kind
    return net


vgg_a, vgg_16, vgg_19 = (_vgg(kind) for kind in _REPEATS)
for _name in ("vgg_arg_scope", *_REPEATS):
    for _place in ("contrib.slim.nets.vgg", "contrib.slim.python.slim.nets.vgg"):
        EXPORTS[f"{_place}.{_name}"] = f"{__name__}:{_name}"
