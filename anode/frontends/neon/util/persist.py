"""Files of neon: pickles of protocol 2 that neon 2.6 reads, read by names on a list only."""

from __future__ import annotations

import gzip
import os
import pickle
from importlib import import_module
from typing import IO, Any

from anode.errors import UnsupportedOp
from anode.frontends.neon import PACKAGE, logger, original

PROTOCOL = 2
# What a pickle of data may name: arrays, their types, and Python's plain containers.
ALLOWED = frozenset(
    {
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("numpy", "bool_"),
        *(("numpy", f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
        *(("numpy", f"float{bits}") for bits in (16, 32, 64)),
        *(
            (f"numpy.{core}.{module}", name)
            for core in ("core", "_core")
            for module, name in (
                ("multiarray", "_reconstruct"),
                ("multiarray", "scalar"),
                ("numeric", "_frombuffer"),
            )
        ),
        ("_codecs", "encode"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        *(
            (module, name)
            for module in ("builtins", "__builtin__")
            for name in (
                *("set", "frozenset", "list", "dict", "tuple", "slice", "complex", "bytearray"),
                *("int", "float", "bool", "str", "object", "range", "xrange"),
            )
        ),
    }
)
RECURRENT = ("Recurrent", "LSTM", "GRU")


class Reader(pickle.Unpickler):
    """Reads pickles of plain data and NumPy's arrays; any other name raises UnpicklingError.

    But for the classes of recurrent layers: a SkipThought's description names one.
    """

    def find_class(self, module: str, name: str) -> Any:
        if module == "neon.layers.recurrent" and name in RECURRENT:
            return getattr(import_module("anode.frontends.neon.layers.recurrent"), name)
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(
                f"the file asks for {module}.{name}, which is no plain data; anode does not load it"
            )
        module = module.replace("numpy.core.", "numpy._core.").replace("__builtin__", "builtins")
        return super().find_class(module, "range" if name == "xrange" else name)


_PythonPickler: Any = vars(pickle)["_Pickler"]  # written in Python: it can be told of names


class _Writer(_PythonPickler):
    """Writes NumPy's functions by the names before NumPy 2, and neon's classes by neon's."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", None) or ""
        old = original(module.replace("numpy._core", "numpy.core"))
        if old == module:
            super().save_global(obj, name)
            return
        self.write(pickle.GLOBAL + f"{old}\n{name or obj.__name__}\n".encode())
        self.memoize(obj)


def pickle_load(file: IO[bytes]) -> Any:
    """What a pickle holds; those of Python 2 too."""
    return Reader(file, encoding="latin1").load()


def save_obj(obj: Any, save_path: str | None) -> None:
    """Write plain data and arrays to a file that neon 2.6 can read; no path, no file."""
    if not save_path:
        return
    path = ensure_dirs_exist(_full(save_path))
    with open(path + ".part", "wb") as file:
        _Writer(file, PROTOCOL).dump(obj)
    os.replace(path + ".part", path)  # a file is whole or not there


def load_obj(load_path: Any) -> Any:
    """What a file holds, a path or an open one; names that end in .gz are of compressed files."""
    if not isinstance(load_path, (str, os.PathLike)):
        return pickle_load(load_path)
    path = _full(os.fspath(load_path))
    logger.debug("deserializing object from:  %s", path)
    with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as file:
        return pickle_load(file)  # type: ignore[arg-type]


def load_class(ctype: str) -> Any:
    """The class of a dotted name, "neon.layers.layer.Linear", or of a bare one within neon."""
    module, _, name = ctype.rpartition(".")
    if not module:
        return _found(ctype)
    if module == "neon" or module.startswith("neon."):
        module = PACKAGE + module.removeprefix("neon")
    return getattr(import_module(module), name)


def _found(name: str) -> Any:
    """The class of this name in one of neon's packages."""
    for part in (
        "layers",
        "transforms",
        "optimizers",
        "initializers",
        "models",
        "callbacks",
        "data",
    ):
        module = import_module(f"{PACKAGE}.{part}")
        if hasattr(module, name):
            return getattr(module, name)
    raise UnsupportedOp(f"neon has no class {name!r}")


def serialize(
    model: Any,
    callbacks: Any = None,
    datasets: Any = None,
    dump_weights: bool = True,
    keep_states: bool = True,
) -> dict[str, Any]:
    """The description of a model with its weights, and of callbacks and data."""
    found = model.serialize(fn=None, keep_states=keep_states)
    if callbacks is not None:
        found["callbacks"] = callbacks.serialize()
    if datasets is not None:
        found["datasets"] = datasets.serialize()
    return found


def ensure_dirs_exist(path: str) -> str:
    """`path`, its folder made if it is not there."""
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    return path


def get_cache_dir(subdir: str | list[str] | None = None) -> str:
    """The folder for what is kept between runs: NEON_CACHE_DIR, or one below the user's."""
    root = os.environ.get("NEON_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "neon"
    )
    return _below(root, subdir)


def get_data_cache_dir(data_dir: str, subdir: str | list[str] | None = None) -> str:
    """The folder for data: NEON_DATA_CACHE_DIR, or `data_dir`."""
    return _below(os.environ.get("NEON_DATA_CACHE_DIR") or data_dir, subdir)


def get_data_cache_or_nothing(subdir: str | None = None) -> str:
    """The folder that NEON_DATA_CACHE_DIR names, or "" where it is not set."""
    root = os.environ.get("NEON_DATA_CACHE_DIR")
    return "" if root is None else ensure_dirs_exist(os.path.join(root, subdir or ""))


def _below(root: str, subdir: str | list[str] | None) -> str:
    parts = [subdir] if isinstance(subdir, str) else list(subdir or [])
    folder = os.path.join(root, *parts)
    os.makedirs(folder, exist_ok=True)
    return folder


def _full(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))
