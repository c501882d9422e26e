"""Values of states in ZIP files: one NumPy array for each, by the op's uuid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID
from zipfile import BadZipFile

import numpy as np

from anode.errors import DataError
from anode.frontends.ngraph.op_graph.op import as_op

Values = dict[bytes, np.ndarray]


def extract_op(transformer: Any, op: Any) -> np.ndarray:
    """The value of a state."""
    value: np.ndarray = transformer.computation(op)()
    return value


def extract_ops(transformer: Any, ops: Iterable[Any]) -> Values:
    """The values of states, by the bytes of their uuids."""
    return {op.uuid.bytes: extract_op(transformer, op) for op in ops}


def set_op_value(transformer: Any, op: Any, value: Any) -> None:
    """Give a state a value."""
    transformer.set_tensor_value(op, value)


def set_op_values(transformer: Any, ops: Iterable[Any], op_values: Mapping[bytes, Any]) -> None:
    """Give states the values that `op_values` has for their uuids; DataError where it has none."""
    ops = list(ops)
    missing = [op.name for op in ops if op.uuid.bytes not in op_values]
    if missing:
        raise DataError(f"there are no values for {', '.join(missing)}")
    for op in ops:
        set_op_value(transformer, as_op(op).tensor, op_values[op.uuid.bytes])


def write_np_values(values: Mapping[Any, Any], f: Any) -> None:
    """Write arrays, by name or by the bytes of a uuid, to a path or a file."""
    named = {_name(key): np.asanyarray(value) for key, value in values.items()}
    np.savez(f, **named)


def read_np_values(f: Any) -> dict[Any, np.ndarray]:
    """What `write_np_values` wrote; DataError for another file."""
    try:
        with np.load(f, allow_pickle=False) as stored:
            return {_key(name): stored[name] for name in stored.files}
    except (BadZipFile, ValueError, AttributeError) as error:
        raise DataError(f"{f} has no values that anode's serialize_weights wrote") from error


def serialize_weights(transformer: Any, ops: Iterable[Any], f: Any) -> None:
    """Write the values of states to a path or a file."""
    write_np_values(extract_ops(transformer, ops), f)


def deserialize_weights(transformer: Any, ops: Iterable[Any], f: Any) -> None:
    """Give states the values that `serialize_weights` wrote for them."""
    set_op_values(transformer, ops, read_np_values(f))


def _name(key: Any) -> str:
    return str(UUID(bytes=key)) if isinstance(key, bytes) and len(key) == 16 else str(key)


def _key(name: str) -> Any:
    try:
        return UUID(name).bytes
    except ValueError:
        return name
