"""neon's layers, costs and containers."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from anode.frontends.neon.layers.container import (
    MergeBroadcast,
    MergeMultistream,
    MergeSum,
    Multicost,
    Sequential,
    SingleOutputTree,
    Tree,
)
from anode.frontends.neon.layers.layer import (
    LRN,
    Activation,
    Affine,
    BatchNorm,
    BatchNormAutodiff,
    Bias,
    BinaryAffine,
    BinaryLinear,
    BranchNode,
    Conv,
    Convolution,
    DataTransform,
    Deconv,
    Deconvolution,
    Dropout,
    GeneralizedCost,
    GeneralizedCostMask,
    GeneralizedGANCost,
    Linear,
    LookupTable,
    Pooling,
    Reshape,
    RoiPooling,
    ShiftBatchNorm,
    SkipNode,
)

_LATER = dict.fromkeys(
    (
        *("Recurrent", "LSTM", "GRU", "RecurrentSum", "RecurrentMean", "RecurrentLast"),
        *("BiRNN", "BiBNRNN", "BiLSTM", "BiSum", "DeepBiRNN", "DeepBiLSTM"),
    ),
    "recurrent",
) | dict.fromkeys(("Seq2Seq", "SkipThought"), "container")
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
    "Conv",
    "Convolution",
    "DataTransform",
    "Deconv",
    "Deconvolution",
    "Dropout",
    "GeneralizedCost",
    "GeneralizedCostMask",
    "GeneralizedGANCost",
    "Linear",
    "LookupTable",
    "MergeBroadcast",
    "MergeMultistream",
    "MergeSum",
    "Multicost",
    "Pooling",
    "Reshape",
    "RoiPooling",
    "Sequential",
    "ShiftBatchNorm",
    "SingleOutputTree",
    "SkipNode",
    "Tree",
    *_LATER,
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'neon.layers' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
