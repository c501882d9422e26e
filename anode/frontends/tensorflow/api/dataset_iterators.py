"""Iterators of data sets: one-shot, initializable, reinitializable, and chosen by a string."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from anode.frontends.tensorflow.api.dataset import Dataset, shaped
from anode.frontends.tensorflow.api.dataset_structure import (
    attributes,
    declared,
    flatten,
    map_structure,
    new_name,
)
from anode.frontends.tensorflow.dtypes import string
from anode.frontends.tensorflow.graph import apply, convert_to_tensor
from anode.frontends.tensorflow.opdef import export

NOT_ONE_SHOT = frozenset(
    {"Placeholder", "VariableV2", "VarHandleOp", "HashTableV2", "MutableHashTableV2"}
)


@export("data.Iterator", "contrib.data.Iterator", "python.data.ops.iterator_ops.Iterator")
class Iterator:
    """A place in a data set, which `get_next` moves on."""

    def __init__(self, iterator_resource: Any, initializer: Any, element: Any) -> None:
        self._iterator_resource = iterator_resource
        self._initializer = initializer
        self._element = element

    @property
    def initializer(self) -> Any:
        """The operation that goes to the first element."""
        if self._initializer is None:
            raise ValueError("Iterator does not have an initializer.")
        return self._initializer

    @property
    def output_types(self) -> Any:
        """The type of each component, in the structure of an element."""
        return map_structure(lambda part: part.dtype, self._element)

    @property
    def output_shapes(self) -> Any:
        """The shape of each component, in the structure of an element."""
        return map_structure(lambda part: part.shape, self._element)

    @property
    def output_classes(self) -> Any:
        """The class of each component, in the structure of an element."""
        return map_structure(lambda part: part.output_class, self._element)

    def get_next(self, name: str | None = None) -> Any:
        """The next element, another one at each run; OutOfRangeError at the end."""
        found = attributes(self._element)
        tensors = apply("IteratorGetNext", self._iterator_resource, name=name, **found)
        return shaped(self._element, tensors)

    def string_handle(self, name: str | None = None) -> Any:
        """A string that stands for this iterator in `Iterator.from_string_handle`."""
        return apply("IteratorToStringHandle", self._iterator_resource, name=name)

    def make_initializer(self, dataset: Dataset, name: str | None = None) -> Any:
        """The operation that goes to the first element of `dataset`."""
        parts, others = flatten(self._element), flatten(dataset._element)
        if len(parts) != len(others):
            raise ValueError("The two structures don't have the same nested structure.")
        for own, other in zip(parts, others, strict=True):
            if own.dtype != other.dtype:
                raise TypeError(
                    f"Expected output types {self.output_types!r} but got dataset with output "
                    f"types {dataset.output_types!r}."
                )
            if not own.shape.is_compatible_with(other.shape):
                raise TypeError(
                    f"Expected output shapes compatible with {self.output_shapes!r} but got "
                    f"dataset with output shapes {dataset.output_shapes!r}."
                )
        return apply("MakeIterator", dataset._variant_tensor, self._iterator_resource, name=name)

    @staticmethod
    def from_structure(
        output_types: Any,
        output_shapes: Any = None,
        shared_name: str | None = None,
        output_classes: Any = None,
    ) -> Iterator:
        """An iterator without a data set: `make_initializer` gives it one."""
        element = declared(output_types, output_shapes, output_classes)
        return Iterator(_resource(element, shared_name), None, element)

    @staticmethod
    def from_string_handle(
        string_handle: Any, output_types: Any, output_shapes: Any = None, output_classes: Any = None
    ) -> Iterator:
        """The iterator that a string stands for when it runs."""
        element = declared(output_types, output_shapes, output_classes)
        handle = convert_to_tensor(string_handle, string)
        found = apply("IteratorFromStringHandleV2", handle, **attributes(element))
        return Iterator(found, None, element)


def _resource(element: Any, shared_name: str | None) -> Any:
    return apply("IteratorV2", shared_name=shared_name or "", **attributes(element))


@dataclass(frozen=True, eq=False)
class _Factory:
    """The data set that a one-shot iterator goes through, when it is first used."""

    tensor: Any
    name: str  # what a GraphDef calls it


def _check_one_shot(tensor: Any) -> None:
    """ValueError where the data set depends on the state of a session."""
    seen, stack = set(), [tensor.op]
    while stack:
        op = stack.pop()
        if op in seen:
            continue
        seen.add(op)
        if op.type in NOT_ONE_SHOT:
            raise ValueError(
                "Failed to create a one-shot iterator for a dataset. "
                "`Dataset.make_initializable_iterator()` is more appropriate. (It uses "
                f"{op.name}, a {op.type})"
            )
        stack += [source.op for source in op.inputs]


@export("data.make_one_shot_iterator")
def one_shot_iterator(dataset: Dataset) -> Iterator:
    """An iterator that needs no initialiser."""
    _check_one_shot(dataset._variant_tensor)
    found = apply(
        "OneShotIterator",
        dataset_factory=_Factory(dataset._variant_tensor, new_name("_make_dataset")),
        **attributes(dataset._element),
    )
    return Iterator(found, None, dataset._element)


@export("data.make_initializable_iterator")
def initializable_iterator(dataset: Dataset, shared_name: str | None = None) -> Iterator:
    """An iterator whose `initializer` must run first."""
    resource = _resource(dataset._element, shared_name)
    initializer = apply("MakeIterator", dataset._variant_tensor, resource)
    graph = dataset._variant_tensor.graph
    graph._number_from(graph._last_id, 4)  # TensorFlow's options of the data set, and a handle
    return Iterator(resource, initializer, dataset._element)


@export("data.get_output_types")
def get_output_types(dataset_or_iterator: Any) -> Any:
    """The type of each component, in the structure of an element."""
    return dataset_or_iterator.output_types


@export("data.get_output_shapes")
def get_output_shapes(dataset_or_iterator: Any) -> Any:
    """The shape of each component, in the structure of an element."""
    return dataset_or_iterator.output_shapes


@export("data.get_output_classes")
def get_output_classes(dataset_or_iterator: Any) -> Any:
    """The class of each component, in the structure of an element."""
    return dataset_or_iterator.output_classes
