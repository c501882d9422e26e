"""What layers are: sub-graphs that are called with a tensor, in training or in inference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.graph import SubGraph
from anode.frontends.ngraph.frontends.neon.utils import get_function_or_class_name

LABELS = {"weight": "weight", "bias": "bias"}


class Layer(SubGraph):
    """A sub-graph with weights, which are made when it is called first and shared by all calls."""

    inference_mode = False
    metadata: dict[str, Any] = {}  # noqa: RUF012 - subclasses of scripts set it so

    def __call__(self, in_obj: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    @property
    def initialized(self) -> bool:
        """Whether the layer was called, so that its weights are there."""
        return len(self.ops) > 0

    @staticmethod
    @contextmanager
    def inference_mode_on() -> Iterator[None]:
        """Layers that are called within infer: batch norm takes its running statistics, dropout
        scales. Their ops carry the metadata mode='inference'."""
        Layer.inference_mode = True
        try:
            with ng.metadata(mode="inference"):
                yield
        finally:
            Layer.inference_mode = False


class Preprocess(Layer):
    """A function of tensors as a layer."""

    def __init__(self, functor: Callable[[Any], Any], **kwargs: Any) -> None:
        kwargs.setdefault("name", get_function_or_class_name(functor))
        super().__init__(**kwargs)
        self.functor = functor

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, **kwargs: Any) -> Any:
        return self.functor(in_obj)


class Activation(Layer):
    """An activation function as a layer; None is the identity."""

    def __init__(self, transform: Callable[[Any], Any] | None, **kwargs: Any) -> None:
        if transform is not None:
            kwargs.setdefault("name", get_function_or_class_name(transform))
        super().__init__(**kwargs)
        self.transform = transform

    @SubGraph.scope_op_creation
    def __call__(self, in_obj: Any, **kwargs: Any) -> Any:
        return self.transform(in_obj) if self.transform else in_obj


def weight(axes: Any, init: Any, name: str, label: str = "weight") -> Any:
    """A trainable variable with the label of a weight or a bias."""
    metadata = {"label": LABELS[label]}
    return ng.variable(axes=axes, initial_value=init, metadata=metadata).named(name)
