"""neon's layers, but for recurrent ones and containers, at the path that files name them by."""

from anode.frontends.neon import NervanaObject  # noqa: F401 (scripts import these three from here)
from anode.frontends.neon.backends.autodiff import Autodiff  # noqa: F401
from anode.frontends.neon.backends.tensor import Tensor  # noqa: F401
from anode.frontends.neon.layers.base import (
    BranchNode,
    CompoundLayer,
    Layer,
    ParameterLayer,
    SkipNode,
    interpret_in_shape,
)
from anode.frontends.neon.layers.compound import Affine, BinaryAffine, Conv, Deconv
from anode.frontends.neon.layers.costs import (
    GeneralizedCost,
    GeneralizedCostMask,
    GeneralizedGANCost,
)
from anode.frontends.neon.layers.dense import (
    Activation,
    Bias,
    BinaryLinear,
    DataTransform,
    Dropout,
    Linear,
    LookupTable,
    Reshape,
)
from anode.frontends.neon.layers.images import (
    LRN,
    Convolution,
    Convolution_bias,
    Deconvolution,
    Pooling,
    RoiPooling,
)
from anode.frontends.neon.layers.normalization import (
    BatchNorm,
    BatchNormAutodiff,
    ShiftBatchNorm,
)

__all__ = [
    "LRN",
    "Activation",
    "Affine",
    "BatchNorm",
    "BatchNormAutodiff",
    "Bias",
    "BinaryAffine",
    "BinaryLinear",
    "BranchNode",
    "CompoundLayer",
    "Conv",
    "Convolution",
    "Convolution_bias",
    "DataTransform",
    "Deconv",
    "Deconvolution",
    "Dropout",
    "GeneralizedCost",
    "GeneralizedCostMask",
    "GeneralizedGANCost",
    "Layer",
    "Linear",
    "LookupTable",
    "ParameterLayer",
    "Pooling",
    "Reshape",
    "RoiPooling",
    "ShiftBatchNorm",
    "SkipNode",
    "interpret_in_shape",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # files name classes by it
