"""`tensorflow.python.ops.gen_nn_ops`: gradient ops, for gradients that scripts write."""

from __future__ import annotations

from anode.frontends.tensorflow.api.generated import define

_POOL = "ksize strides padding data_format='NHWC'"
_TABLE = {
    "ReluGrad": ("gradients features", "relu_grad"),
    "Relu6Grad": ("gradients features", "relu6_grad"),
    "LeakyReluGrad": ("gradients features alpha=0.2", "leaky_relu_grad"),
    "EluGrad": ("gradients outputs", "elu_grad"),
    "SeluGrad": ("gradients outputs", "selu_grad"),
    "SoftplusGrad": ("gradients features", "softplus_grad"),
    "SoftsignGrad": ("gradients features", "softsign_grad"),
    "BiasAddGrad": ("out_backprop data_format='NHWC'", "bias_add_grad"),
    "MaxPoolGrad": (f"orig_input orig_output grad {_POOL}", "max_pool_grad"),
    "AvgPoolGrad": (f"orig_input_shape grad {_POOL}", "avg_pool_grad"),
    "LRNGrad": (
        "input_grads input_image output_image depth_radius=5 bias=1.0 alpha=1.0 beta=0.5",
        "lrn_grad",
    ),
}
_SPACE = "python.ops.gen_nn_ops"
globals().update(
    define(
        __name__,
        {
            type: f"{parameters} | {_SPACE}.{name} {_SPACE}._{name}"
            for type, (parameters, name) in _TABLE.items()
        },
    )
)
