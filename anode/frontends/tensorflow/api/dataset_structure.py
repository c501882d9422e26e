"""What the elements of a data set are: nested tuples and dicts of typed components."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.dtypes import DType, as_dtype, int64, variant
from anode.frontends.tensorflow.function import Function, function_graph
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, get_default_graph
from anode.frontends.tensorflow.tensor_shape import TensorShape


@dataclass(frozen=True, eq=False)
class Component:
    """One leaf of an element: a tensor, a sparse tensor, or a data set of `inner` elements."""

    dtype: DType
    shape: TensorShape
    kind: str = "tensor"
    inner: Any = None

    @property
    def sparse(self) -> bool:
        return self.kind == "sparse"

    @property
    def specs(self) -> list[tuple[DType, Any]]:
        """Types and shapes of the tensors that carry it."""
        if self.sparse:
            rank = self.shape.ndims
            return [(int64, [None, rank]), (self.dtype, [None]), (int64, [rank])]
        return [(self.dtype, self.shape)]

    @property
    def output_class(self) -> Any:
        """The class that scripts see."""
        if self.sparse:
            return sparse_class()
        if self.kind == "dataset":
            from anode.frontends.tensorflow.api.dataset import Dataset

            return Dataset
        return Tensor

    def resized(self, change: Callable[[TensorShape], Any]) -> Component:
        """The same with another shape; data sets stay what they are."""
        if self.kind == "dataset":
            return self
        return Component(self.dtype, TensorShape(change(self.shape)), self.kind)


def sparse_class() -> Any:
    """`tf.SparseTensor`."""
    from anode.frontends.tensorflow.api.sparse_ops import SparseTensor

    return SparseTensor


def is_sparse(value: Any) -> bool:
    """Whether it is a SparseTensor (or a SparseTensorValue)."""
    return all(hasattr(value, name) for name in ("indices", "values", "dense_shape"))


# nested structures: tuples, namedtuples and dicts; a list is a leaf, it becomes a tensor


def _children(structure: Any) -> list[Any] | None:
    if isinstance(structure, dict):
        return [structure[key] for key in sorted(structure, key=str)]
    if isinstance(structure, tuple) and not is_sparse(structure):
        return list(structure)
    return None


def _rebuilt(like: Any, children: Sequence[Any]) -> Any:
    if isinstance(like, dict):
        found = dict(zip(sorted(like, key=str), children, strict=True))
        ordered = [(key, found[key]) for key in like]
        return type(like)(ordered)
    if hasattr(like, "_fields"):
        return type(like)(*children)
    return tuple(children)


def flatten(structure: Any) -> list[Any]:
    """The leaves, those of dicts in the order of their keys."""
    children = _children(structure)
    if children is None:
        return [structure]
    return [leaf for child in children for leaf in flatten(child)]


def map_structure(function: Callable[..., Any], like: Any, *others: Any) -> Any:
    """`like` with each leaf replaced by `function` of it and of what is there in the others."""
    children = _children(like)
    if children is None:
        return function(like, *others)
    parts = [_aligned(like, other) for other in others]
    return _rebuilt(
        like, [map_structure(function, *row) for row in zip(children, *parts, strict=True)]
    )


def _aligned(like: Any, other: Any) -> list[Any]:
    if isinstance(like, dict):
        if not isinstance(other, dict) or set(other) != set(like):
            raise ValueError(f"The two structures don't have the same keys: {like} and {other}")
        return [other[key] for key in sorted(like, key=str)]
    if not isinstance(other, (tuple, list)) or len(other) != len(like):
        raise ValueError(
            f"The two structures don't have the same nested structure: {like}, {other}"
        )
    return list(other)


def pack(like: Any, leaves: Sequence[Any]) -> Any:
    """A structure as `like` of other leaves."""
    rest = iter(leaves)
    return map_structure(lambda _: next(rest), like)


# components and tensors


def normalized(value: Any) -> Any:
    """A structure of tensors, sparse tensors and data sets, from a structure of anything."""
    return map_structure(_leaf, value)


def _leaf(value: Any, name: str | None = None) -> Any:
    if hasattr(value, "_variant_tensor"):
        return value
    if is_sparse(value):
        return value if not isinstance(value, tuple) else sparse_class().from_value(value)
    return convert_to_tensor(value, name=name)


def component(value: Any) -> Component:
    """What a tensor, a sparse tensor or a data set is as a component."""
    if hasattr(value, "_variant_tensor"):
        return Component(variant, TensorShape([]), "dataset", value._element)
    if is_sparse(value):
        return Component(as_dtype(value.dtype), TensorShape(value.get_shape()), "sparse")
    return Component(value.dtype.base_dtype, value.shape)


def tensors_of(value: Any) -> list[Any]:
    """The tensors that carry a leaf."""
    if hasattr(value, "_variant_tensor"):
        return [value._variant_tensor]
    if is_sparse(value):
        return [value.indices, value.values, value.dense_shape]
    return [value]


def from_tensors(element: Any, tensors: Sequence[Any]) -> Any:
    """The structure that scripts see, of the tensors that carry it."""
    rest = iter(tensors)

    def leaf(part: Component) -> Any:
        if part.sparse:
            indices, values, dense_shape = next(rest), next(rest), next(rest)
            return sparse_class()(indices, values, dense_shape)
        tensor = next(rest)
        if part.kind == "dataset":
            from anode.frontends.tensorflow.api.dataset import Dataset

            return Dataset(tensor, part.inner)
        return tensor

    return map_structure(leaf, element)


def specs(element: Any) -> list[tuple[DType, Any]]:
    """Types and shapes of all tensors that carry an element."""
    return [spec for part in flatten(element) for spec in part.specs]


def attributes(element: Any) -> dict[str, Any]:
    """The attributes output_types and output_shapes of an op that gives such elements."""
    found = specs(element)
    return {
        "output_types": [dtype for dtype, _ in found],
        "output_shapes": [TensorShape(shape) for _, shape in found],
    }


def declared(types: Any, shapes: Any = None, classes: Any = None) -> Any:
    """The components that nested types, shapes and classes say."""
    if shapes is None:
        shapes = map_structure(lambda _: TensorShape(None), types)
    if classes is None:
        classes = map_structure(lambda _: Tensor, types)

    def leaf(dtype: Any, shape: Any, kind: Any) -> Component:
        sparse = kind is not Tensor and kind is sparse_class()
        return Component(as_dtype(dtype), TensorShape(shape), "sparse" if sparse else "tensor")

    return map_structure(leaf, types, shapes, classes)


# functions of elements


def new_name(kind: str) -> str:
    """A name for what an op holds, by the number of operations made before it."""
    return f"{kind}_{len(get_default_graph()._operations)}"


@dataclass(frozen=True, eq=False)
class TracedFunction:
    """A function of an element: its graph, which results are sparse, and what it gives."""

    function: Function
    sparse: list[bool]
    result: Any
    name: str  # what a GraphDef calls it

    @property
    def captures(self) -> list[Any]:
        """The tensors outside that it uses; variables are read once, with the data set."""
        return [
            apply("Identity", tensor) if tensor.dtype._is_ref_dtype else tensor
            for tensor in self.function.captures
        ]


def traced(function: Callable[..., Any], *elements: Any) -> TracedFunction:
    """The graph of a function of elements; a tuple gives it several arguments."""
    returned: list[Any] = []

    def flat(*tensors: Any) -> list[Any]:
        arguments = list(_arguments(elements, tensors))
        value = function(*arguments)
        value = tuple(value) if isinstance(value, list) else value
        returned.append(normalized(value))
        return [t for leaf in flatten(returned[0]) for t in tensors_of(leaf)]

    graph = function_graph(flat, *[spec for element in elements for spec in specs(element)])
    result = map_structure(component, returned[0])
    sparse = [part.sparse for part in flatten(result)]
    return TracedFunction(graph, sparse, result, new_name("Dataset"))


def _arguments(elements: Sequence[Any], tensors: Sequence[Any]) -> Iterator[Any]:
    start = 0
    for element in elements:
        count = len(specs(element))
        value = from_tensors(element, tensors[start : start + count])
        start += count
        if len(elements) == 1 and type(value) is tuple:
            yield from value
        else:
            yield value
