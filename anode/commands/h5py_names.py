"""What h5py has changed since version 2, which scripts of that time read and write with.

Text of variable length came as `str`, not as bytes; files were opened to be written where no mode
was given; a data set had its array as `value`, and took whole floats as indices. A run gives this
back as soon as h5py is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import wraps
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np


def restore() -> None:
    """Let h5py be as it was: now if it is imported, else when it is."""
    if "h5py" in sys.modules:
        _restore(sys.modules["h5py"])
    else:
        sys.meta_path.insert(0, _Watch())


class _Watch(MetaPathFinder):
    """Finds h5py as it would be found, once."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "h5py":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    """Loads h5py, and then changes it."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        found: ModuleType | None = self.loader.create_module(spec)
        return found

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        _restore(module)


def _restore(h5py: Any) -> None:
    if hasattr(h5py.Dataset, "value"):  # version 2, or changed already
        return
    get, put, make = h5py.Dataset.__getitem__, h5py.Dataset.__setitem__, h5py.File.__init__

    @wraps(get)
    def getitem(self: Any, args: Any, **keywords: Any) -> Any:
        return _text(h5py, get(self, _index(args), **keywords), self.dtype)

    @wraps(put)
    def setitem(self: Any, args: Any, value: Any) -> None:
        put(self, _index(args), value)

    @wraps(make)
    def init(self: Any, name: Any, mode: str | None = None, *args: Any, **keywords: Any) -> None:
        make(self, name, mode or _mode(name), *args, **keywords)

    h5py.Dataset.__getitem__, h5py.Dataset.__setitem__, h5py.File.__init__ = getitem, setitem, init
    h5py.Dataset.value = property(lambda self: self[()])


def _index(key: Any) -> Any:
    """A key with whole floats as integers."""
    if isinstance(key, tuple):
        return tuple(map(_index, key))
    return int(key) if isinstance(key, (float, np.floating)) and float(key).is_integer() else key


def _text(h5py: Any, value: Any, dtype: np.dtype) -> Any:
    """What was read, with text of variable length as `str`, in the fields of records too."""
    if dtype.names:
        for name in dtype.names if isinstance(value, (np.ndarray, np.void)) else ():
            if value.dtype.names and name in value.dtype.names:
                found = _text(h5py, value[name], dtype[name])
                if found is not value[name] and _is_text(h5py, dtype[name]):
                    value[name] = found
        return value
    if not _is_text(h5py, dtype):
        return value
    if isinstance(value, np.ndarray):
        found = np.empty(value.shape, object)
        found[...] = np.vectorize(_decoded, otypes=[object])(value) if value.size else value
        return found
    return _decoded(value)


def _is_text(h5py: Any, dtype: np.dtype) -> bool:
    kind = h5py.check_string_dtype(dtype)
    return kind is not None and kind.length is None


def _decoded(value: Any) -> Any:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _mode(name: Any) -> str:
    """To read and write; only to read where nothing else is allowed."""
    if isinstance(name, (str, os.PathLike)) and os.path.exists(name):
        return "r+" if os.access(name, os.W_OK) else "r"
    return "a"
