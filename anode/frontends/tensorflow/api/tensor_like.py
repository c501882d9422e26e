"""What counts as a tensor: names of `tensorflow.python.framework.ops` that libraries ask.

The package keras asks them at every layer.
"""

from __future__ import annotations

from abc import ABC
from typing import Any

from anode.frontends.tensorflow.api.indexed_slices import IndexedSlices
from anode.frontends.tensorflow.api.sparse_ops import SparseTensor
from anode.frontends.tensorflow.api.variables import Variable
from anode.frontends.tensorflow.graph import Tensor
from anode.frontends.tensorflow.opdef import export


@export("python.framework.ops._TensorLike")
class TensorLike(ABC):  # noqa: B024, only registered classes count
    """Tensors, sparse tensors and indexed slices; no variables."""


for kind in (Tensor, SparseTensor, IndexedSlices):
    TensorLike.register(kind)


@export("python.framework.ops.is_dense_tensor_like")
def is_dense_tensor_like(t: Any) -> bool:
    """Whether a value is a tensor or a variable."""
    return isinstance(t, (Tensor, Variable))


@export("python.framework.ops._as_graph_element")
def as_graph_element(obj: Any) -> Tensor | None:
    """The tensor that a variable stands for in a graph; None for anything else."""
    return obj._as_graph_element() if isinstance(obj, Variable) else None
