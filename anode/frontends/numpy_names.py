"""What NumPy has dropped since TensorFlow 1 was written for.

Scripts of that time say `np.float` and `np.int`, which were Python's own types, and other second
names of what NumPy still has. A run gives them back where they are missing, with what they meant;
and a list of fetched numbers prints as numbers again, not as `np.float32(…)`. An array of one
element is a number again, whatever its rank.
"""

from __future__ import annotations

from collections.abc import Callable
from ctypes import c_ulong, py_object, pythonapi
from functools import wraps
from gc import get_referents
from inspect import signature
from typing import Any

_BUILTINS = {
    **{kind.__name__: kind for kind in (bool, complex, float, int, object, str)},
    "long": int,
    "unicode": str,
}
_SECOND_NAMES = {
    "all": ("alltrue",),
    "any": ("sometrue",),
    "asmatrix": ("mat",),
    "bytes_": ("string_",),
    "complex128": ("complex_", "cfloat"),
    "cumprod": ("cumproduct",),
    "float64": ("float_",),
    "inf": ("Inf", "Infinity", "PINF", "infty"),
    "isin": ("in1d",),
    "nan": ("NAN", "NaN"),
    "prod": ("product",),
    "round": ("round_",),
    "str_": ("unicode_",),
    "trapezoid": ("trapz",),
    "vstack": ("row_stack",),
}
_FLAGS_OFFSET, _IMMUTABLE = 168, 1 << 8  # of a type object's flags, and the flag of built-in types


def restore() -> None:
    """Give `numpy` the names again that it lacks, and numbers their plain text.

    `collections` gets its abstract classes back, which Python 3.10 has in `collections.abc` only.
    """
    import collections
    from collections import abc

    import numpy

    for name in abc.__all__:
        vars(collections).setdefault(name, getattr(abc, name))
    if numpy.lib.NumpyVersion(numpy.__version__) >= "2.0.0":
        numpy.set_printoptions(legacy="1.25")
    known = vars(numpy)
    for name, kind in _BUILTINS.items():
        known.setdefault(name, kind)
    for name, seconds in _SECOND_NAMES.items():
        if name in known:
            known.update((second, known[name]) for second in seconds if second not in known)
    known.setdefault("NINF", -numpy.inf)
    known.setdefault("asscalar", lambda a: a.item())
    if "newshape" not in signature(numpy.reshape).parameters:
        known["reshape"] = _renamed(numpy.reshape, newshape="shape")
    known["fromstring"] = _of_bytes(numpy.fromstring, numpy.frombuffer)
    for kind in (numpy.ndarray, numpy.generic):
        if not hasattr(kind, "tostring"):
            _give(kind, "tostring", vars(kind)["tobytes"])
    _let_arrays_be_numbers(numpy.ndarray)


def _let_arrays_be_numbers(kind: Any) -> None:
    """Let `int` and `float` take arrays of one element and any rank, as before NumPy 2.4."""
    try:
        float(kind((1,)))
        return
    except TypeError:
        flags = c_ulong.from_address(id(kind) + _FLAGS_OFFSET)
    if flags.value != kind.__flags__:  # another layout of types than CPython's of 64 bits
        return
    before = flags.value
    flags.value = before & ~_IMMUTABLE
    try:
        for name in ("__int__", "__float__"):
            setattr(kind, name, _of_one(vars(kind)[name]))
    finally:
        flags.value = before


def _of_one(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The conversion of an array to a number, for one element of any rank."""

    @wraps(convert)
    def call(self: Any) -> Any:
        return convert(self.reshape(()) if self.size == 1 else self)

    return call


def _renamed(function: Callable[..., Any], **names: str) -> Callable[..., Any]:
    """The function with the old names of its arguments too."""

    @wraps(function)
    def call(*args: Any, **keywords: Any) -> Any:
        return function(*args, **{names.get(name, name): keywords[name] for name in keywords})

    return call


def _of_bytes(parse: Callable[..., Any], view: Callable[..., Any]) -> Callable[..., Any]:
    """`fromstring`, which without a separator takes the bytes of an array again."""

    @wraps(parse)
    def call(string: Any, dtype: Any = float, count: int = -1, sep: str = "", **more: Any) -> Any:
        if sep:
            return parse(string, dtype, count, sep=sep, **more)
        data = string.encode("latin-1") if isinstance(string, str) else string
        return view(data, dtype, count, **more).copy()

    return call


def _give(kind: type, name: str, method: Any) -> None:
    """Add a method to a class written in C, which does not let itself be assigned to."""
    (methods,) = get_referents(vars(kind))  # the dict behind the view that cannot be written
    methods[name] = method
    pythonapi.PyType_Modified(py_object(kind))
