"""`tf.contrib.learn.datasets`: CSV files with and without a header, iris, boston, mnist."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from importlib import import_module
from itertools import islice
from typing import Any, NamedTuple
from urllib.request import urlretrieve

import numpy as np

from anode.frontends.tensorflow.api.input_data import load_mnist
from anode.frontends.tensorflow.opdef import export, export_values

ROOTS = ("contrib.learn.datasets", "contrib.learn.python.learn.datasets")


def _learn(name: str) -> Callable[[Any], Any]:
    return export(*(f"{root}.{name}" for root in ROOTS))


def _base(name: str) -> Callable[[Any], Any]:
    return export(*(f"{root}.base.{name}" for root in ROOTS))


@_base("Dataset")
class Dataset(NamedTuple):
    """Rows of features and their targets."""

    data: Any
    target: Any


@_base("load_csv_with_header")
def load_csv_with_header(
    filename: str, target_dtype: Any, features_dtype: Any, target_column: int = -1
) -> Dataset:
    """The rows of a CSV file whose first line begins with how many rows and features there are."""
    with open(filename, newline="") as file:
        rows = csv.reader(file)
        header = next(rows)
        samples, features = int(header[0]), int(header[1])
        data = np.zeros((samples, features), dtype=features_dtype)
        target = np.zeros((samples,), dtype=target_dtype)
        for index, row in enumerate(rows):
            target[index] = np.asarray(row.pop(target_column), dtype=target_dtype)
            data[index] = np.asarray(row, dtype=features_dtype)
    return Dataset(data=data, target=target)


@_base("load_csv_without_header")
def load_csv_without_header(
    filename: str, target_dtype: Any, features_dtype: Any, target_column: int = -1
) -> Dataset:
    """The rows of a CSV file that has nothing but rows."""
    data, target = [], []
    with open(filename, newline="") as file:
        for row in csv.reader(file):
            target.append(row.pop(target_column))
            data.append(np.asarray(row, dtype=features_dtype))
    return Dataset(data=np.array(data), target=np.array(target, dtype=target_dtype))


@_base("shrink_csv")
def shrink_csv(filename: str, ratio: int) -> None:
    """Writes `name_small.csv` with every `ratio`-th line of `name.csv`."""
    with open(filename) as file, open(filename.replace(".", "_small."), "w") as small:
        small.writelines(islice(file, 0, None, ratio))


@_base("maybe_download")
def maybe_download(filename: str, work_directory: str, source_url: str) -> str:
    """The path of the file in the folder, downloaded if it was missing."""
    os.makedirs(work_directory, exist_ok=True)
    path = os.path.join(work_directory, filename)
    if not os.path.exists(path):
        urlretrieve(source_url, path)
        print("Successfully downloaded", filename, os.path.getsize(path), "bytes.")
    return path


@_learn("load_iris")
@_base("load_iris")
def load_iris(data_path: str | None = None) -> Dataset:
    """The 150 irises: f64[150, 4] and int[150]; scikit-learn's own without a path."""
    if data_path is not None:
        return load_csv_with_header(data_path, target_dtype=int, features_dtype=float)
    try:
        shipped = import_module("sklearn.datasets").load_iris
    except ImportError as error:
        raise FileNotFoundError(
            "the iris data do not come with anode: install scikit-learn or pass data_path="
        ) from error
    return Dataset(*shipped(return_X_y=True))


@_learn("load_boston")
@_base("load_boston")
def load_boston(data_path: str | None = None) -> Dataset:
    """The 506 houses of Boston, f64[506, 13] and f64[506], from a CSV file."""
    if data_path is None:
        raise FileNotFoundError(
            "the Boston data do not come with anode: pass data_path= of a CSV file with header"
        )
    return load_csv_with_header(data_path, target_dtype=float, features_dtype=float)


def _load_dbpedia(size: str, test_with_fake_data: bool) -> Dataset:
    raise FileNotFoundError("the DBpedia texts do not come with anode; read their CSV files")


DATASETS: dict[str, Callable[..., Any]] = {
    "iris": load_iris,
    "boston": load_boston,
    "mnist": load_mnist,
    "dbpedia": _load_dbpedia,
}
export_values(__name__, {f"{root}.DATASETS": "DATASETS" for root in ROOTS})


@_learn("load_dataset")
def load_dataset(name: str, size: str = "small", test_with_fake_data: bool = False) -> Any:
    """A data set by name; ValueError for an unknown one."""
    if name not in DATASETS:
        raise ValueError(f"Name of dataset is not found: {name}")
    if name == "dbpedia":
        return _load_dbpedia(size, test_with_fake_data)
    return DATASETS[name]()
