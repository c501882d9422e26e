"""State: the arrays of a model's, a trainer's or a session's variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np

from anode.backends.base import Variables, backend_named
from anode.errors import GraphError, ShapeError
from anode.ir.dtypes import DType, bf16, bool_, f32_to_bf16
from anode.ir.graph import Graph
from anode.ir.node import constant_value
from anode.ir.types import TensorType
from anode.ir.variable import Variable, inverse

ALIGNMENT = 64  # bytes: a cache line, and the widest vector
LARGE = 1 << 20  # elements: an initial value of so many is computed by native code

_versions = count(1)


class State(Variables):
    """Maps variables to dense arrays, 64-byte aligned, that stay at their addresses.

    `state[v]` is the buffer itself; `state[v] = array` copies into it, checking type and shape. An
    executable may have a variable's dims stored in another order (see `stored`): from then on
    `state[v]` is another array, of the same shape and elements, whose strides say where these lie.
    """

    def __init__(self, values: Mapping[Variable, Any] | None = None) -> None:
        self._arrays: dict[Variable, np.ndarray] = {}
        self._names: dict[str, Variable] = {}
        self.version = next(_versions)
        for variable, value in (values or {}).items():
            self[variable] = value

    @staticmethod
    def initial(
        variables: Iterable[Variable],
        seed: int = 0,
        values: Mapping[Variable, Any] | None = None,
    ) -> State:
        """A state whose variables have their initial values; see `State.add`."""
        state = State()
        state.add(variables, seed, values)
        return state

    def add(
        self,
        variables: Iterable[Variable],
        seed: int = 0,
        values: Mapping[Variable, Any] | None = None,
    ) -> None:
        """Give every variable that has no array yet its value in `values`, or else run its `init`.

        The random key of the variable at position i of the state is (seed, i). A variable with
        neither raises GraphError.
        """
        given = values or {}
        for variable in variables:
            if variable in self._arrays:
                continue
            if variable in given:
                self[variable] = given[variable]
            else:
                self._initialise(variable, variable, initial_key(seed, len(self._arrays)))

    def restart(self, variable: Variable, source: Variable, seed: int, value: Any = None) -> None:
        """Give `variable` the value that the initialiser of `source` would have given it.

        A `value` is taken instead; its random key is that of the variable's position.
        """
        if value is None:
            key = initial_key(seed, list(self._arrays).index(variable))
            self._initialise(variable, source, key)
        else:
            self[variable] = value

    def named(self, name: str) -> np.ndarray:
        """The array of the variable called `name`."""
        return self._arrays[self.variable(name)]

    def variable(self, name: str) -> Variable:
        """The variable called `name`; an unknown name raises GraphError."""
        if name not in self._names:
            raise GraphError(f"no variable is called {name!r}; there are {', '.join(self._names)}")
        return self._names[name]

    def __getitem__(self, variable: Variable) -> np.ndarray:
        return self._arrays[variable]

    def __setitem__(self, variable: Variable, value: Any) -> None:
        array = checked(variable, value)
        if variable not in self._arrays:
            self._insert(variable)
        self._arrays[variable][...] = array

    def stored(self, variable: Variable) -> np.ndarray:
        logical = variable.logical
        order = variable.order or tuple(range(variable.type.rank))
        array = self._arrays[logical].transpose(order)
        if not array.flags.c_contiguous:
            moved = aligned_empty(variable.type)
            moved[...] = array
            array, self._arrays[logical] = moved, moved.transpose(inverse(order))
            self.version = next(_versions)
        return array

    def _initialise(self, variable: Variable, source: Variable, key: np.ndarray) -> None:
        """Give `variable` what the `init` of `source` gives for a random key.

        Large ones run as native code, which writes the array that is kept: NumPy takes minutes for
        AlexNet's, and six times their memory. What is one number everywhere needs no code.
        """
        from anode.ops.evaluate import evaluate

        init = source.init
        if init is None:
            raise GraphError(f"{source.name} has no initialiser; give its value")
        number = _number_of(init)
        if number is not None and variable not in self._arrays:
            self._insert(variable, aligned_full(source.type, number))
            return
        if source.type.size < LARGE or number is not None:
            ((self[variable],), _) = evaluate(init, [key])
            return
        made, value = State(), Variable("value", source.type)
        made.reserve(value)
        graph = Graph.make(init.types, (), [(value, init.outputs[0])])
        backend_named("cpu").compile(graph).run([key], made)
        if variable in self._arrays:
            self[variable] = made[value]
        else:
            self._insert(variable, made[value])

    def _insert(self, variable: Variable, array: np.ndarray | None = None) -> None:
        if variable.name in self._names:
            raise GraphError(f"two variables are called {variable.name!r}; rename one")
        self._arrays[variable] = aligned_empty(variable.type) if array is None else array
        self._names[variable.name] = variable
        self.version = next(_versions)

    def reserve(self, variable: Variable) -> None:
        """Make room for a variable that is written before it is read."""
        if variable not in self._arrays:
            self._insert(variable)

    def discard(self, variable: Variable) -> None:
        """Forget a variable and its value."""
        if self._arrays.pop(variable, None) is not None:
            del self._names[variable.name]
            self.version = next(_versions)

    def __iter__(self) -> Iterator[Variable]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        return "\n".join(f"{v.name}: {v.type}" for v in self._arrays)


def initial_key(seed: int, position: int) -> np.ndarray:
    """The random key u32[4] of the variable at a position: (seed low, seed high, position, 0)."""
    if not 0 <= seed < 2**64:
        raise GraphError(f"seed={seed}: choose an integer from 0 to 2**64 - 1")
    return np.array([seed & 0xFFFFFFFF, seed >> 32, position, 0], np.uint32)


def _number_of(init: Graph) -> np.ndarray | None:
    """The number that an initial value has everywhere, an array []; None where they differ."""
    (node,) = init.outputs
    if node.op.name == "broadcast_in_dim" and not node.args[0].shape:
        (node,) = node.args
    return None if node.shape else constant_value(node)


def aligned_full(type: TensorType, number: np.ndarray) -> np.ndarray:
    """An array of a static type, aligned like `aligned_empty`, with the same number everywhere.

    Zeros are the system's, which it makes when they are first touched.
    """
    if not any(number.tobytes()):
        return aligned_empty(type, np.zeros)
    array = aligned_empty(type)
    array[...] = number
    return array


def aligned_empty(type: TensorType, made: Callable[..., np.ndarray] = np.empty) -> np.ndarray:
    """An array of a static type, aligned to `ALIGNMENT` if it has elements; uninitialised.

    With `made=np.zeros` it is not.
    """
    raw = made(type.bytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + type.bytes].view(type.dtype.numpy).reshape(type.static)


def checked(variable: Variable, value: Any) -> np.ndarray:
    """`value` as an array that fits the variable, or ShapeError."""
    type, array = variable.type, np.asarray(value)
    if array.shape != type.static:
        raise ShapeError(f"{variable.name} is {type}; it cannot hold the shape {array.shape}")
    if array.dtype == type.dtype.numpy:
        return array
    if isinstance(value, (bool, int, float, list, tuple)):
        return from_numbers(value, type.dtype, variable.name)
    if stores(array, type.dtype):
        return array.view(type.dtype.numpy)
    raise ShapeError(f"{variable.name} is {type}; it cannot hold {array.dtype}, convert it first")


def stores(array: np.ndarray, dtype: DType) -> bool:
    """Whether the elements of `array` are of this type; other libraries have their own bfloat16."""
    return array.dtype == dtype.numpy or (dtype is bf16 and array.dtype.name == "bfloat16")


def from_numbers(value: Any, dtype: DType, name: str) -> np.ndarray:
    """Python numbers, or lists of them, as elements of a type they fit; else ShapeError."""
    array = np.asarray(value)
    fits = {"b": True, "i": dtype is not bool_, "u": dtype is not bool_, "f": dtype.is_float}
    if fits.get(array.dtype.kind, False):
        try:
            wide = np.asarray(value, dtype.compute.numpy)
            return f32_to_bf16(wide) if dtype is bf16 else wide.astype(dtype.numpy)
        except OverflowError:
            pass
    raise ShapeError(f"{name} is of type {dtype}; it cannot hold {value!r}")
