"""All layers, under the name of the module that had them in the original."""

from __future__ import annotations

from anode.frontends.ngraph.frontends.neon.base import LABELS, Activation, Layer, Preprocess
from anode.frontends.ngraph.frontends.neon.convolution import (
    ConvBase,
    Convolution,
    DeconvBase,
    Deconvolution,
    PoolBase,
    Pooling,
    make_conv,
)
from anode.frontends.ngraph.frontends.neon.dense import (
    Affine,
    Bias,
    Linear,
    LookupTable,
    cast_tuple,
    infer_axes,
)
from anode.frontends.ngraph.frontends.neon.graph import SubGraph
from anode.frontends.ngraph.frontends.neon.normalization import BatchNorm, Dropout
from anode.frontends.ngraph.frontends.neon.recurrent import (
    LSTM,
    BaseRNNCell,
    BiRNN,
    Recurrent,
    RNNCell,
    get_steps,
    unroll,
)

__all__ = [
    "LABELS",
    "LSTM",
    "Activation",
    "Affine",
    "BaseRNNCell",
    "BatchNorm",
    "BiRNN",
    "Bias",
    "ConvBase",
    "Convolution",
    "DeconvBase",
    "Deconvolution",
    "Dropout",
    "Layer",
    "Linear",
    "LookupTable",
    "PoolBase",
    "Pooling",
    "Preprocess",
    "RNNCell",
    "Recurrent",
    "SubGraph",
    "cast_tuple",
    "get_steps",
    "infer_axes",
    "make_conv",
    "unroll",
]
