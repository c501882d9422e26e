"""`tf.estimator.inputs`: batches of NumPy arrays and pandas tables for estimators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api.dataset import Dataset
from anode.frontends.tensorflow.api.dataset_structure import Component, attributes, new_name
from anode.frontends.tensorflow.dtypes import as_dtype, string
from anode.frontends.tensorflow.graph import apply, as_array, get_default_graph
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

InputFn = Callable[[], Any]
TARGET = "__target_key__"
LEARN = ("contrib.learn.io", "contrib.learn.python.learn.learn_io")


@dataclass(frozen=True, eq=False)
class _Arrays:
    """Columns that stay out of the graph: it would grow by all the data."""

    arrays: list[np.ndarray]
    name: str  # what a GraphDef calls it


def _column(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return as_array(array, string) if array.dtype.kind in "OUS" else array


def _batches(
    columns: dict[Any, np.ndarray],
    batch_size: int,
    num_epochs: int | None,
    shuffle: bool,
    queue_capacity: int,
    num_threads: int,
) -> dict[Any, Any]:
    """The next batch of each column; epochs follow each other within a batch.

    Shuffling draws from `queue_capacity` rows of this stream. Without a number of epochs all
    batches are full.
    """
    graph = get_default_graph()
    start = graph._last_id
    element = tuple(
        Component(string if a.dtype == object else as_dtype(a.dtype), TensorShape(a.shape[1:]))
        for a in columns.values()
    )
    held = _Arrays(list(columns.values()), new_name("Arrays"))
    rows = Dataset(apply("ArraysDataset", arrays=held, **attributes(element)), element)
    rows = rows.repeat(num_epochs)
    if shuffle:
        rows = rows.shuffle(queue_capacity)
    rows = rows.batch(batch_size, drop_remainder=num_epochs is None)
    found = dict(zip(columns, rows.make_one_shot_iterator().get_next(), strict=True))
    # TensorFlow's queue: for each thread a placeholder of each column and of the row numbers
    graph._number_from(start, 15 + num_threads * (len(columns) + 2))
    return found


def _check_shuffle(shuffle: Any) -> None:
    if not isinstance(shuffle, bool):
        raise ValueError(
            "shuffle must be provided and explicitly set as boolean (it is recommended to set it "
            f"as True for training); got {shuffle}"
        )


def _check_lengths(x: dict[Any, np.ndarray], y: dict[Any, np.ndarray]) -> None:
    if len({len(array) for array in (*x.values(), *y.values())}) > 1:
        shapes = [{key: array.shape for key, array in part.items()} for part in (x, y)]
        raise ValueError(
            "Length of tensors in x and y is mismatched. All elements in x and y must have the "
            f"same length.\nShapes in x: {shapes[0]}\nShapes in y: {shapes[1]}\n"
        )


@export(
    "estimator.inputs.numpy_input_fn",
    "compat.v1.estimator.inputs.numpy_input_fn",
    "python.estimator.inputs.numpy_io.numpy_input_fn",
)
def numpy_input_fn(
    x: Any,
    y: Any = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool | None = None,
    queue_capacity: int = 1000,
    num_threads: int = 1,
) -> InputFn:
    """A function that gives the features and targets of the next batch of rows.

    `x` is an array or a dict of arrays, `y` too, or None: then there are only features.
    """
    _check_shuffle(shuffle)

    def input_fn() -> Any:
        if not isinstance(x, (dict, np.ndarray)):
            raise TypeError(f"x must be a dict or array; got {type(x).__name__}")
        if isinstance(x, dict) and not x:
            raise ValueError("x cannot be an empty dict")
        if isinstance(y, dict) and not y:
            raise ValueError("y cannot be empty dict, use None instead.")
        xs = _named(x, "__direct_np_input__")
        ys = {} if y is None else _named(y, TARGET)
        if isinstance(x, dict) and isinstance(y, dict) and set(x) & set(y):
            raise ValueError(f"{len(set(x) & set(y))} duplicate keys are found in both x and y.")
        _check_lengths(xs, ys)
        columns = {("x", key): value for key, value in sorted(xs.items(), key=_by_key)}
        columns.update({("y", key): value for key, value in sorted(ys.items(), key=_by_key)})
        mixed = bool(shuffle)
        found = _batches(columns, batch_size, num_epochs, mixed, queue_capacity, num_threads)
        features = {key: found["x", key] for key in xs}
        features = features if isinstance(x, dict) else next(iter(features.values()))
        if y is None:
            return features
        targets = {key: found["y", key] for key in ys}
        return features, targets if isinstance(y, dict) else targets[TARGET]

    return input_fn


def _by_key(item: tuple[Any, Any]) -> str:
    return str(item[0])


def _named(value: Any, name: str) -> dict[Any, np.ndarray]:
    named = value if isinstance(value, dict) else {name: value}
    return {key: _column(array) for key, array in named.items()}


@export(*(f"{root}.numpy_input_fn" for root in LEARN), f"{LEARN[1]}.numpy_io.numpy_input_fn")
def learn_numpy_input_fn(
    x: Any,
    y: Any = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = True,
    queue_capacity: int = 1000,
    num_threads: int = 1,
) -> InputFn:
    """`numpy_input_fn` that shuffles unless told otherwise."""
    return numpy_input_fn(x, y, batch_size, num_epochs, shuffle, queue_capacity, num_threads)


@export(
    "estimator.inputs.pandas_input_fn",
    "compat.v1.estimator.inputs.pandas_input_fn",
    "python.estimator.inputs.pandas_io.pandas_input_fn",
)
def pandas_input_fn(
    x: Any,
    y: Any = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool | None = None,
    queue_capacity: int = 1000,
    num_threads: int = 1,
    target_column: Any = "target",
) -> InputFn:
    """A function that gives the columns of the next rows of a DataFrame, and their targets."""
    try:
        table = import_module("pandas").DataFrame
    except ImportError:
        raise TypeError("pandas_input_fn should not be called without pandas installed") from None
    _check_shuffle(shuffle)
    if not isinstance(target_column, str):
        raise TypeError("target_column must be a string type")
    if y is not None and target_column in x:
        raise ValueError(
            f"Cannot use name {target_column} for target column: DataFrame already has a column "
            f"with that name: {x.columns}"
        )
    if y is not None and not np.array_equal(x.index, y.index):
        raise ValueError(
            "Index for x and y are mismatched.\n"
            f"Index for x: {x.index.values}\nIndex for y: {y.index.values}\n"
        )

    def input_fn() -> Any:
        columns = {("x", name): _column(x[name].values) for name in x.columns}
        several = isinstance(y, table)
        if several:
            columns.update({("y", name): _column(y[name].values) for name in y.columns})
        elif y is not None:
            columns["y", target_column] = _column(y.values)
        mixed = bool(shuffle)
        found = _batches(columns, batch_size, num_epochs, mixed, queue_capacity, num_threads)
        features = {name: found["x", name] for name in x.columns}
        if y is None:
            return features
        if several:
            return features, {name: found["y", name] for name in y.columns}
        return features, found["y", target_column]

    return input_fn


@export(*(f"{root}.pandas_input_fn" for root in LEARN), f"{LEARN[1]}.pandas_io.pandas_input_fn")
def learn_pandas_input_fn(
    x: Any,
    y: Any = None,
    batch_size: int = 128,
    num_epochs: int | None = 1,
    shuffle: bool = True,
    queue_capacity: int = 1000,
    num_threads: int = 1,
    target_column: Any = "target",
) -> InputFn:
    """`pandas_input_fn` that shuffles unless told otherwise."""
    return pandas_input_fn(
        x, y, batch_size, num_epochs, shuffle, queue_capacity, num_threads, target_column
    )
