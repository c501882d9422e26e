"""What models train on, as lists of arrays: one for each input, target and sample weight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.graph import placeholder
from anode.frontends.tensorflow.keras import state


@dataclass(frozen=True, eq=False)
class Batch:
    """Arrays for the inputs, the targets and the sample weights (None where there are none)."""

    x: list[Any]
    y: list[Any]
    weights: list[Any]

    @property
    def ranks(self) -> tuple[int | None, ...]:
        return tuple(None if w is None else np.ndim(w) for w in self.weights)

    @property
    def arrays(self) -> list[Any]:
        return [*self.x, *self.y, *(w for w in self.weights if w is not None)]

    @property
    def size(self) -> int:
        return len(self.arrays[0]) if self.arrays else 0

    def taken(self, index: Any) -> Batch:
        def part(array: Any) -> Any:
            return None if array is None else array[index]

        return Batch(*([part(a) for a in group] for group in (self.x, self.y, self.weights)))


def listed(values: Any, names: Sequence[str], what: str) -> list[Any]:
    """One array for each name, from one array, a list or a dict."""
    if values is None:
        return [None] * len(names)
    if isinstance(values, dict):
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(
                f'No data provided for "{missing[0]}". Need data for each key in: {list(names)}'
            )
        found = [values[name] for name in names]
    elif isinstance(values, (list, tuple)) and not _is_one_array(values, names):
        found = list(values)
    else:
        found = [values]
    if len(found) != len(names):
        raise ValueError(
            f"Error when checking model {what}: the list of Numpy arrays that you are passing to "
            f"your model is not the size the model expected. Expected to see {len(names)} array(s), "  # noqa: E501
            f"but instead got the following list of {len(found)} arrays: "
            f"{str(found)[:200]}"
        )
    return [_array(item) for item in found]


def _is_one_array(values: Sequence[Any], names: Sequence[str]) -> bool:
    """Whether a list is an array written out: of numbers, or of lists of numbers."""
    return not any(hasattr(v, "shape") for v in values) and (
        not values or np.isscalar(values[0]) or len(values) != len(names)
    )


def _array(value: Any) -> Any:
    if value is None or isinstance(value, Tensor):
        return value
    if hasattr(value, "values") and hasattr(value, "iloc"):
        value = value.values
    if hasattr(value, "tocoo"):
        value = value.toarray()
    array = np.asarray(value)
    if array.dtype == object and array.size and not isinstance(array.flat[0], (str, bytes)):
        array = np.asarray(array.tolist(), state.floatx())
    return np.expand_dims(array, -1) if array.ndim == 1 else array


def standardized(
    model: Any, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None
) -> Batch:
    """Arrays in the order of the model's inputs and outputs, their shapes checked."""
    fed = model._fed_inputs()
    names = [n for n, t in zip(model.input_names, model.inputs, strict=True) if t in fed]
    inputs = listed(x, names, "input") if names else []
    _check_shapes(inputs, fed, names, "input")
    if y is None and sample_weight is None:
        ranks = [None] * _trained(model)
        return Batch(inputs, [], ranks) if _unfed_targets(model) else Batch(inputs, [], [])
    outputs = [o for o in model._endpoints_once() if o.loss is not None]
    targets = _targets(model, y, outputs)
    weights = _weights(outputs, targets, sample_weight, class_weight)
    if len({len(a) for a in (*inputs, *targets) if a is not None}) > 1:
        sizes = [len(a) for a in inputs], [len(a) for a in targets]
        raise ValueError(
            "Input arrays should have the same number of samples as target arrays. Found "
            f"{sizes[0][0]} input samples and {sizes[1][0]} target samples."
        )
    return Batch(inputs, targets, weights)


def _trained(model: Any) -> int:
    return sum(o.loss is not None for o in model._endpoints_once()) if model._compiled else 0


def _unfed_targets(model: Any) -> bool:
    return bool(model._compiled)


def _targets(model: Any, y: Any, outputs: Sequence[Any]) -> list[Any]:
    if isinstance(y, (list, tuple)) and len(y) == len(model.outputs) != len(outputs):
        everything = model._endpoints_once()
        y = [value for value, o in zip(y, everything, strict=True) if o.loss is not None]
    fed = [o for o in outputs if o.target.op.type == "Placeholder"]
    targets = listed(y, [o.name for o in fed], "target")
    for output, array in zip(fed, targets, strict=True):
        if array is None:
            raise ValueError(
                f"the output {output.name} has a loss, but there are no targets for it"
            )
        _check_target(output, array)
    return targets


def _check_target(output: Any, array: Any) -> None:
    expected = output.tensor.shape.as_list() if output.tensor.shape.rank is not None else None
    name = getattr(getattr(output.loss, "fn", None), "__name__", "")
    if expected is None or not name:
        return
    if name == "sparse_categorical_crossentropy":
        expected = [*expected[:-1], 1]
        if array.ndim == len(expected) - 1:
            return
    if len(expected) != array.ndim or any(
        want is not None and want != got
        for want, got in zip(expected[1:], array.shape[1:], strict=True)
    ):
        if name not in _CHECKED and len(expected) == array.ndim:
            return
        _raise_shape("target", output.name, expected, array)


_CHECKED = frozenset(
    [
        "mean_squared_error",
        "binary_crossentropy",
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
    ]
)


def _check_shapes(arrays: Sequence[Any], tensors: Sequence[Any], names: Any, what: str) -> None:
    for array, tensor, name in zip(arrays, tensors, names, strict=True):
        if array is None or tensor.shape.rank is None:
            continue
        expected = tensor.shape.as_list()
        if len(expected) != array.ndim or any(
            want is not None and want != got
            for want, got in zip(expected[1:], array.shape[1:], strict=True)
        ):
            _raise_shape(what, name, expected, array)


def _raise_shape(what: str, name: str, expected: Sequence[Any], array: Any) -> None:
    if len(expected) != array.ndim:
        raise ValueError(
            f"Error when checking {what}: expected {name} to have {len(expected)} dimensions, but "
            f"got array with shape {array.shape}"
        )
    raise ValueError(
        f"Error when checking {what}: expected {name} to have shape {tuple(expected[1:])} but got "
        f"array with shape {array.shape[1:]}"
    )


# weights of samples


def _weights(
    outputs: Sequence[Any], targets: Sequence[Any], sample_weight: Any, class_weight: Any
) -> list[Any]:
    names = [o.name for o in outputs]
    own = _by_output(sample_weight, names)
    classes = _classes_by_output(class_weight, names)
    found = []
    for target, weight, by_class in zip(targets, own, classes, strict=True):
        array = None if weight is None else np.asarray(weight, state.floatx())
        if by_class is not None:
            array = _class_weights(target, by_class) * (1.0 if array is None else array)
        found.append(array)
    return found


def _by_output(sample_weight: Any, names: Sequence[str]) -> list[Any]:
    if isinstance(sample_weight, dict):
        return [sample_weight.get(name) for name in names]
    if isinstance(sample_weight, (list, tuple)) and len(names) > 1:
        return list(sample_weight)
    return [sample_weight] + [None] * (len(names) - 1) if names else []


def _classes_by_output(class_weight: Any, names: Sequence[str]) -> list[Any]:
    if not class_weight:
        return [None] * len(names)
    if isinstance(class_weight, dict) and any(name in class_weight for name in names):
        return [class_weight.get(name) for name in names]
    if isinstance(class_weight, (list, tuple)):
        return list(class_weight)
    return [class_weight] + [None] * (len(names) - 1)


def _class_weights(target: Any, by_class: Any) -> Any:
    if target.ndim > 2:
        raise ValueError("`class_weight` not supported for 3+ dimensional targets.")
    classes = target.argmax(axis=1) if target.shape[1] > 1 else target.reshape(-1)
    missing = set(np.unique(classes)) - set(by_class)
    if missing:
        raise ValueError(
            f"`class_weight` must contain all classes in the data. The classes {missing} exist in "
            "the data but not in `class_weight`."
        )
    return np.asarray([by_class[c] for c in classes], state.floatx())


# data that come in batches


def placeholders(x: Any) -> Any:
    """Placeholders like arrays, of any batch size."""

    def one(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value
        array = _array(value)
        kind = array.dtype.name if array.dtype != np.float64 else state.floatx()
        return placeholder(kind, [None, *array.shape[1:]])

    if isinstance(x, (list, tuple)) and not any(hasattr(v, "shape") for v in x):
        return one(np.asarray(x))
    if isinstance(x, (list, tuple)) and len(x) == 1:
        return one(x[0])
    return nest.map_structure(one, x)


def is_dataset(x: Any) -> bool:
    return hasattr(x, "_variant_tensor") or (hasattr(x, "get_next") and hasattr(x, "output_types"))


def is_generator(x: Any) -> bool:
    """Whether data come as batches: from a generator, an iterator or a Sequence."""
    if isinstance(x, (np.ndarray, list, tuple, dict, Tensor)) or x is None or is_dataset(x):
        return False
    return hasattr(x, "__next__") or (
        hasattr(x, "__getitem__") and hasattr(x, "__len__") and not hasattr(x, "shape")
    )


def parts(batch: Any) -> tuple[Any, Any, Any]:
    """x, y and sample weights of what a generator gives."""
    if not isinstance(batch, tuple):
        return batch, None, None
    if len(batch) > 3:
        raise ValueError(
            "Output of generator should be a tuple `(x, y, sample_weight)` or `(x, y)`. Found: "
            f"{batch}"
        )
    return (*batch, None, None)[:3]


class FromDataset:
    """The batches of a data set, begun again for each epoch without a number of steps."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self._made = source if hasattr(source, "get_next") else None
        self._next: Any = self._made.get_next() if self._made is not None else None

    def restart(self) -> None:
        from anode.frontends.tensorflow.api.dataset_iterators import initializable_iterator

        session = state.get_session()
        if hasattr(self.source, "get_next"):
            return
        if self._made is None:
            self._made = initializable_iterator(self.source)
            self._next = self._made.get_next()
        session.run(self._made.initializer)

    def __iter__(self) -> Iterator[Any]:
        from anode.frontends.tensorflow.errors import OutOfRangeError

        while True:
            try:
                yield state.get_session().run(self._next)
            except OutOfRangeError:
                return


class FromSequence:
    """The batches of a Sequence or a generator."""

    def __init__(self, source: Any, shuffle: bool) -> None:
        self.source, self.shuffle = source, shuffle
        self.length = len(source) if hasattr(source, "__getitem__") else None

    def restart(self) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        if self.length is None:
            source: Iterable[Any] = self.source
            yield from source
            return
        while True:
            order = list(range(self.length))
            if self.shuffle:
                import random

                random.shuffle(order)
            for index in order:
                yield self.source[index]
            if hasattr(self.source, "on_epoch_end"):
                self.source.on_epoch_end()


def batched(source: Any, shuffle: bool = False) -> Any:
    """Batches of a data set, a generator or a Sequence, to go through."""
    return FromDataset(source) if is_dataset(source) else FromSequence(source, shuffle)
