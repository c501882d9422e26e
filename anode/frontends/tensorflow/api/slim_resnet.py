"""tf.contrib.slim.nets: residual networks. Source: He et al. 2015 and 2016, arXiv 1603.05027."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.arg_scope import add_arg_scope, arg_scope
from anode.frontends.tensorflow.api.contrib_initializers import (
    l2_regularizer,
    variance_scaling_initializer,
)
from anode.frontends.tensorflow.api.contrib_layers import conv2d
from anode.frontends.tensorflow.api.contrib_norm import batch_norm
from anode.frontends.tensorflow.api.contrib_scope import (
    collect_named_outputs,
    convert_collection_to_dict,
)
from anode.frontends.tensorflow.api.contrib_shapes import max_pool2d, softmax
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.opdef import EXPORTS

Block = namedtuple("Block", ["scope", "unit_fn", "args"])
_UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}


def subsample(inputs: Any, factor: int, scope: Any = None) -> Any:
    """Every `factor`-th pixel."""
    return inputs if factor == 1 else max_pool2d(inputs, [1, 1], stride=factor, scope=scope)


def conv2d_same(
    inputs: Any, num_outputs: int, kernel_size: int, stride: int, rate: int = 1, scope: Any = None
) -> Any:
    """A convolution whose padding does not depend on the picture's size when it strides."""
    if stride == 1:
        return conv2d(
            inputs, num_outputs, kernel_size, stride=1, rate=rate, padding="SAME", scope=scope
        )
    before, total = (kernel_size - 1) * rate // 2, (kernel_size - 1) * rate
    sides = [before, total - before]
    inputs = apply("Pad", inputs, [[0, 0], sides, sides, [0, 0]])
    return conv2d(
        inputs, num_outputs, kernel_size, stride=stride, rate=rate, padding="VALID", scope=scope
    )


@add_arg_scope
def stack_blocks_dense(
    net: Any,
    blocks: Sequence[Any],
    output_stride: int | None = None,
    outputs_collections: Any = None,
) -> Any:
    """The units of all blocks; from `output_stride` on they dilate instead of striding."""
    stride = rate = 1
    for block in blocks:
        with vs.variable_scope(block.scope, "block", [net]) as scope:
            for i, unit in enumerate(block.args, start=1):
                if output_stride is not None and stride > output_stride:
                    raise ValueError("The target output_stride cannot be reached.")
                with vs.variable_scope(f"unit_{i}", values=[net]):
                    if output_stride is not None and stride == output_stride:
                        net = block.unit_fn(net, rate=rate, **{**unit, "stride": 1})
                        rate *= unit.get("stride", 1)
                    else:
                        net = block.unit_fn(net, rate=1, **unit)
                        stride *= unit.get("stride", 1)
            net = collect_named_outputs(outputs_collections, scope.name, net)
    if output_stride is not None and stride != output_stride:
        raise ValueError("The target output_stride cannot be reached.")
    return net


def resnet_arg_scope(
    weight_decay: float = 0.0001,
    batch_norm_decay: float = 0.997,
    batch_norm_epsilon: float = 1e-5,
    batch_norm_scale: bool = True,
) -> Any:
    """The arguments of the layers of residual networks."""
    norm = {
        "decay": batch_norm_decay,
        "epsilon": batch_norm_epsilon,
        "scale": batch_norm_scale,
        "updates_collections": "update_ops",
    }
    layers = arg_scope(
        [conv2d],
        weights_regularizer=l2_regularizer(weight_decay),
        weights_initializer=variance_scaling_initializer(),
        activation_fn=public("nn.relu"),
        normalizer_fn=batch_norm,
        normalizer_params=norm,
    )
    with layers, arg_scope([batch_norm], **norm), arg_scope([max_pool2d], padding="SAME") as scope:
        return scope


def _bottleneck(version: int) -> Callable[..., Any]:
    first = version == 1
    plain = {} if first else {"normalizer_fn": None}

    @add_arg_scope
    def bottleneck(
        inputs: Any,
        depth: int,
        depth_bottleneck: int,
        stride: int,
        rate: int = 1,
        outputs_collections: Any = None,
        scope: Any = None,
    ) -> Any:
        """A unit of three convolutions beside a shortcut."""
        with vs.variable_scope(scope, f"bottleneck_v{version}", [inputs]) as sc:
            x = inputs
            if not first:
                x = batch_norm(inputs, activation_fn=public("nn.relu"), scope="preact")
            if depth == inputs.shape.as_list()[-1]:
                shortcut = subsample(inputs, stride, "shortcut")
            else:
                shortcut = conv2d(
                    x, depth, [1, 1], stride=stride, activation_fn=None, scope="shortcut", **plain
                )
            x = conv2d(x, depth_bottleneck, [1, 1], stride=1, scope="conv1")
            x = conv2d_same(x, depth_bottleneck, 3, stride, rate=rate, scope="conv2")
            x = conv2d(x, depth, [1, 1], stride=1, activation_fn=None, scope="conv3", **plain)
            output = shortcut + x
            if first:
                output = public("nn.relu")(output)
            return collect_named_outputs(outputs_collections, sc.name, output)

    bottleneck.__qualname__ = f"bottleneck_v{version}"
    return bottleneck


def _block(unit: Callable[..., Any]) -> Callable[..., Any]:
    def block(scope: str, base_depth: int, num_units: int, stride: int) -> Any:
        """Units of one depth, the last of which strides."""
        sizes = {"depth": base_depth * 4, "depth_bottleneck": base_depth}
        strides = [1] * (num_units - 1) + [stride]
        return Block(scope, unit, [{**sizes, "stride": s} for s in strides])

    return block


def _net(version: int, unit: Callable[..., Any]) -> Callable[..., Any]:
    plain = {} if version == 1 else {"activation_fn": None, "normalizer_fn": None}

    def root(x: Any, output_stride: int | None) -> tuple[Any, int | None]:
        if output_stride is not None:
            if output_stride % 4:
                raise ValueError("The output_stride needs to be a multiple of 4.")
            output_stride //= 4
        with arg_scope([conv2d], **plain):
            x = conv2d_same(x, 64, 7, stride=2, scope="conv1")
        return max_pool2d(x, [3, 3], stride=2, scope="pool1"), output_stride

    def net(
        inputs: Any,
        blocks: Sequence[Any],
        num_classes: int | None = None,
        is_training: Any = True,
        global_pool: bool = True,
        output_stride: int | None = None,
        include_root_block: bool = True,
        reuse: Any = None,
        scope: Any = None,
    ) -> tuple[Any, dict[str, Any]]:
        """(features or logits, end points)."""
        with vs.variable_scope(scope, f"resnet_v{version}", [inputs], reuse=reuse) as sc:
            ends = f"{sc.original_name_scope}_end_points"
            noted = arg_scope([conv2d, unit, stack_blocks_dense], outputs_collections=ends)
            with noted, arg_scope([batch_norm], is_training=is_training):
                x = inputs
                if include_root_block:
                    x, output_stride = root(x, output_stride)
                x = stack_blocks_dense(x, blocks, output_stride)
                if version == 2:
                    x = batch_norm(x, activation_fn=public("nn.relu"), scope="postnorm")
                if global_pool:
                    x = public("reduce_mean")(x, [1, 2], name="pool5", keepdims=True)
                if num_classes is not None:
                    x = conv2d(
                        x,
                        num_classes,
                        [1, 1],
                        activation_fn=None,
                        normalizer_fn=None,
                        scope="logits",
                    )
                points = convert_collection_to_dict(ends)
                if num_classes is not None:
                    points["predictions"] = softmax(x, scope="predictions")
            return x, points

    net.__name__ = net.__qualname__ = f"resnet_v{version}"
    net.default_image_size = 224  # type: ignore[attr-defined]
    return net


def _sized(version: int, depth: int) -> Callable[..., Any]:
    name = f"resnet_v{version}_{depth}"
    whole, block = _WHOLE[version], _BLOCK[version]

    def net(
        inputs: Any,
        num_classes: int | None = None,
        is_training: Any = True,
        global_pool: bool = True,
        output_stride: int | None = None,
        reuse: Any = None,
        scope: Any = name,
    ) -> tuple[Any, dict[str, Any]]:
        """(features or logits, end points) of a network of known depth."""
        blocks = [
            block(f"block{i + 1}", 64 << i, units, 1 if i == 3 else 2)
            for i, units in enumerate(_UNITS[depth])
        ]
        return whole(
            inputs,
            blocks,
            num_classes,
            is_training,
            global_pool,
            output_stride,
            include_root_block=True,
            reuse=reuse,
            scope=scope,
        )

    net.__name__ = net.__qualname__ = name
    return net


bottleneck_v1, bottleneck_v2 = _bottleneck(1), _bottleneck(2)
resnet_v1, resnet_v2 = _net(1, bottleneck_v1), _net(2, bottleneck_v2)
resnet_v1_block, resnet_v2_block = _block(bottleneck_v1), _block(bottleneck_v2)
_WHOLE = {1: resnet_v1, 2: resnet_v2}
_BLOCK = {1: resnet_v1_block, 2: resnet_v2_block}
resnet_v1_50, resnet_v1_101, resnet_v1_152, resnet_v1_200 = (_sized(1, n) for n in _UNITS)
resnet_v2_50, resnet_v2_101, resnet_v2_152, resnet_v2_200 = (_sized(2, n) for n in _UNITS)

for _place in ("contrib.slim.nets", "contrib.slim.python.slim.nets"):
    for _name in ("Block", "subsample", "conv2d_same", "stack_blocks_dense", "resnet_arg_scope"):
        EXPORTS[f"{_place}.resnet_utils.{_name}"] = f"{__name__}:{_name}"
    for _version in (1, 2):
        _module = f"{_place}.resnet_v{_version}"
        EXPORTS[f"{_module}.bottleneck"] = f"{__name__}:bottleneck_v{_version}"
        EXPORTS[f"{_module}.resnet_arg_scope"] = f"{__name__}:resnet_arg_scope"
        for _name in ("", "_block", *(f"_{n}" for n in _UNITS)):
            _name = f"resnet_v{_version}{_name}"
            EXPORTS[f"{_module}.{_name}"] = f"{__name__}:{_name}"
