"""The global step: the variable that counts training steps."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.initializers import Zeros
from anode.frontends.tensorflow.api.variable_scope import get_variable
from anode.frontends.tensorflow.core import Graph, Tensor
from anode.frontends.tensorflow.dtypes import int64
from anode.frontends.tensorflow.graph import get_default_graph, name_scope
from anode.frontends.tensorflow.opdef import export

PATH = "python.training.training_util."


@export("train.global_step", PATH + "global_step")
def global_step(sess: Any, global_step_tensor: Any) -> int:
    """The value of a global step in a session."""
    return int(sess.run(global_step_tensor))


@export("train.get_global_step", "contrib.framework.get_global_step", PATH + "get_global_step")
@export("contrib.slim.get_global_step", "contrib.framework.python.ops.variables.get_global_step")
def get_global_step(graph: Graph | None = None) -> Any:
    """The global step of a graph, or None."""
    graph = graph or get_default_graph()
    found = graph.get_collection(GraphKeys.GLOBAL_STEP)
    if len(found) > 1:
        raise RuntimeError("Multiple items found in collection: global_step")
    if found:
        step = found[0]
    else:
        try:
            step = graph.get_tensor_by_name("global_step:0")
        except KeyError:
            return None
    assert_global_step(step)
    return step


@export("train.create_global_step", "contrib.framework.create_global_step")
@export("contrib.slim.create_global_step", PATH + "create_global_step")
def create_global_step(graph: Graph | None = None) -> Any:
    """A new variable `global_step`, an int64 zero; ValueError where the graph has one."""
    graph = graph or get_default_graph()
    if get_global_step(graph) is not None:
        raise ValueError('"global_step" already exists.')
    with graph.as_default(), name_scope(None):
        return get_variable(
            GraphKeys.GLOBAL_STEP,
            shape=[],
            dtype=int64,
            initializer=Zeros(),
            trainable=False,
            collections=[GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP],
        )


@export("train.get_or_create_global_step", "contrib.framework.get_or_create_global_step")
@export("contrib.slim.get_or_create_global_step", PATH + "get_or_create_global_step")
def get_or_create_global_step(graph: Graph | None = None) -> Any:
    """The global step of a graph, made where there is none."""
    graph = graph or get_default_graph()
    found = get_global_step(graph)
    return create_global_step(graph) if found is None else found


@export("train.assert_global_step", "contrib.framework.assert_global_step")
def assert_global_step(global_step_tensor: Any) -> None:
    """TypeError unless a thing is an integer scalar, as a global step must be."""
    if not (isinstance(global_step_tensor, Tensor) or hasattr(global_step_tensor, "initializer")):
        raise TypeError(
            f'Existing "global_step" must be a Variable or Tensor: {global_step_tensor}'
        )
    if not global_step_tensor.dtype.base_dtype.is_integer:
        raise TypeError(
            f'Existing "global_step" does not have integer type: {global_step_tensor.dtype}'
        )
    ndims = global_step_tensor.get_shape().ndims
    if ndims not in (None, 0):
        raise TypeError(f'Existing "global_step" is not scalar: {global_step_tensor.get_shape()}')
