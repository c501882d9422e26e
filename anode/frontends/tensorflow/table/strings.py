"""Ops on strings, which are NumPy arrays of bytes objects: all on the host."""

from __future__ import annotations

import base64
import binascii
import csv
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from anode.frontends.tensorflow import dtypes as tf
from anode.frontends.tensorflow.errors import InvalidArgumentError
from anode.frontends.tensorflow.infer import known_value
from anode.frontends.tensorflow.opdef import REQUIRED, host
from anode.frontends.tensorflow.table.hashes import farm_fingerprint, murmur64, sip_hash

Array = np.ndarray


def each(function: Callable[..., Any], *arrays: Array, dtype: Any = object) -> Array:
    """The function of the elements of arrays of one shape (or scalars), as an array."""
    wide = np.broadcast_arrays(*arrays)
    result = np.empty(wide[0].shape, dtype)
    flat = result.reshape(-1)
    for i, items in enumerate(zip(*(a.reshape(-1).tolist() for a in wide), strict=True)):
        flat[i] = function(*items)
    return result


def vector(items: Iterable[bytes]) -> Array:
    """Strings as a vector."""
    listed = list(items)
    result = np.empty(len(listed), object)
    result[:] = listed
    return result


def _text(s: Any) -> str:
    return s.decode() if isinstance(s, bytes) else str(s)


# one string to one string


def _decode_base64(s: bytes) -> bytes:
    try:
        return base64.b64decode(s + b"=" * (-len(s) % 4), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgumentError(
            None, None, f"Invalid character found in base64: {s!r}"
        ) from None


_EACH: dict[str, Callable[[bytes], bytes]] = {
    "StringStrip": bytes.strip,
    "DecodeBase64": _decode_base64,
}
for _type, _function in _EACH.items():
    host(_type, "input:string -> string", shape="same")(
        lambda input, function=_function: each(function, input)
    )


@host("EncodeBase64", "input:string -> string", shape="same", pad=False)
def _(input: Array, *, pad: bool) -> Array:
    encoded = each(base64.urlsafe_b64encode, input)
    return encoded if pad else each(lambda s: s.rstrip(b"="), encoded)


def _cased(name: str) -> Callable[..., Array]:
    def kernel(input: Array, *, encoding: str) -> Array:
        if _text(encoding) == "utf-8":
            return each(lambda s: getattr(s.decode(), name)().encode(), input)
        return each(getattr(bytes, name), input)

    return kernel


for _type, _name in (("StringLower", "lower"), ("StringUpper", "upper")):
    host(_type, "input:string -> string", shape="same", encoding="")(_cased(_name))


def _is_text(unit: Any) -> bool:
    return _text(unit) == "UTF8_CHAR"


@host("StringLength", "input:string -> int32", shape="same", unit="BYTE")
def _(input: Array, *, unit: str) -> Array:
    text = _is_text(unit)
    return each(lambda s: len(s.decode()) if text else len(s), input, dtype=np.int32)


@host("Substr", "input:string pos:T len:T -> string", shape="same", unit="BYTE")
def _(input: Array, pos: Array, len: Array, *, unit: str) -> Array:
    text = _is_text(unit)

    def cut(s: bytes, start: int, length: int) -> bytes:
        whole: Any = s.decode() if text else s
        size = whole.__len__()
        if not -size <= start <= size:
            raise InvalidArgumentError(None, None, f"pos {start} out of range for string {s!r}")
        start = start + size if start < 0 else start
        part = whole[start : start + length]
        return part.encode() if text else part

    return each(cut, input, pos, len)


# numbers


def _format(dtype: Any, precision: int, scientific: bool, shortest: bool) -> str:
    if dtype.kind == "f":
        kind = "e" if scientific else "g" if shortest else "f"
        return (f".{precision}" if precision > -1 else "") + kind
    return "d"


@host(
    "AsString",
    "input:T -> string",
    shape="same",
    precision=-1,
    scientific=False,
    shortest=False,
    width=-1,
    fill="",
)
def _(
    input: Array, *, precision: int, scientific: bool, shortest: bool, width: int, fill: str
) -> Array:
    if input.dtype == bool:
        return each(lambda b: b"true" if b else b"false", input)
    room = f"{_text(fill)}{width}" if width > -1 else _text(fill)
    spec = f"%{room}{_format(input.dtype, precision, scientific, shortest)}"
    return each(lambda x: (spec % x).encode(), input)


@host("StringToNumber", "string_tensor:string -> out_type", shape="same", out_type=tf.float32)
def _(string_tensor: Array, *, out_type: Any) -> Array:
    return each(lambda s: number(s, out_type), string_tensor, dtype=out_type.as_numpy_dtype)


def number(s: bytes, dtype: Any) -> Any:
    """The number that a string is; InvalidArgumentError if it is none."""
    try:
        return (float if dtype.is_floating else int)(s)
    except ValueError:
        raise InvalidArgumentError(
            None, None, f"StringToNumberOp could not correctly convert string: {_text(s)}"
        ) from None


def _raw_shape(op: Any) -> list[Any]:
    sizes = op.inputs[0].shape
    return [None if sizes.ndims is None else [*sizes.as_list(), None]]


@host(
    "DecodeRaw",
    "bytes:string -> out_type",
    shape=_raw_shape,
    out_type=REQUIRED,
    little_endian=True,
)
def _(bytes: Array, *, out_type: Any, little_endian: bool) -> Array:
    dtype = np.dtype(out_type.as_numpy_dtype).newbyteorder("<" if little_endian else ">")
    strings = bytes.reshape(-1).tolist()
    lengths = {len(s) for s in strings} or {0}
    if len(lengths) > 1:
        raise InvalidArgumentError(
            None, None, f"DecodeRaw requires input strings to all be the same size, not {lengths}"
        )
    if next(iter(lengths)) % dtype.itemsize:
        raise InvalidArgumentError(
            None,
            None,
            f"Input to DecodeRaw has length {lengths.pop()} that is not a multiple of "
            f"{dtype.itemsize}, the size of {out_type.name}",
        )
    values = np.frombuffer(b"".join(strings), dtype).astype(out_type.as_numpy_dtype)
    return values.reshape(*bytes.shape, -1) if values.size else values.reshape(*bytes.shape, 0)


# joining and splitting


@host("StringJoin", "inputs:N*string -> string", shape="broadcast", separator="")
def _(inputs: Sequence[Array], *, separator: str) -> Array:
    between = _text(separator).encode()
    return each(lambda *parts: between.join(parts), *inputs)


def _joined_shape(op: Any) -> list[Any]:
    sizes, axes = op.inputs[0].shape, known_value(op.inputs[1])
    if sizes.ndims is None or axes is None:
        return [None]
    dropped = {int(a) % sizes.ndims for a in axes.reshape(-1)}
    kept = [(d, n) for d, n in enumerate(sizes.as_list()) if d not in dropped]
    if op.get_attr("keep_dims"):
        return [[1 if d in dropped else n for d, n in enumerate(sizes.as_list())]]
    return [[n for _, n in kept]]


@host(
    "ReduceJoin",
    "inputs:string reduction_indices:int32 -> string",
    shape=_joined_shape,
    keep_dims=False,
    separator="",
)
def _(inputs: Array, reduction_indices: Array, *, keep_dims: bool, separator: str) -> Array:
    axes = [int(a) % inputs.ndim for a in reduction_indices.reshape(-1)]
    kept = [a for a in range(inputs.ndim) if a not in axes]
    shape = [inputs.shape[a] for a in kept]
    # the axes are joined one after another: the first one varies fastest
    rows = inputs.transpose(kept + axes[::-1]).reshape(int(np.prod(shape)), -1)
    joined = vector(_text(separator).encode().join(row) for row in rows.tolist())
    if keep_dims:
        shape = [1 if a in axes else n for a, n in enumerate(inputs.shape)]
    return joined.reshape(shape)


def _sparse_shape(op: Any) -> list[Any]:
    return [[None, 2], [None], [2]]


def sparse_rows(rows: Sequence[Sequence[bytes]]) -> tuple[Array, Array, Array]:
    """Rows of unequal length as the indices, the values and the shape of a sparse matrix."""
    indices = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    values = vector(s for row in rows for s in row)
    shape = (len(rows), max((len(row) for row in rows), default=0))
    return np.array(indices, np.int64).reshape(-1, 2), values, np.array(shape, np.int64)


@host(
    "StringSplit",
    "input:string delimiter:string -> int64 string int64",
    shape=_sparse_shape,
    skip_empty=True,
)
def _(input: Array, delimiter: Array, *, skip_empty: bool) -> tuple[Array, Array, Array]:
    separators: bytes = delimiter.reshape(()).item()
    parts = [_split(s, separators) for s in input.tolist()]
    return sparse_rows([[p for p in row if p or not skip_empty] for row in parts])


def _split(s: bytes, separators: bytes) -> list[bytes]:
    """Cut at each of the separators' characters; without any, after each byte."""
    if not separators:
        return [s[i : i + 1] for i in range(len(s))]
    return re.split(b"[" + re.escape(separators) + b"]", s)


@host(
    "StringSplitV2",
    "input:string sep:string -> int64 string int64",
    shape=_sparse_shape,
    maxsplit=-1,
)
def _(input: Array, sep: Array, *, maxsplit: int) -> tuple[Array, Array, Array]:
    separator = sep.reshape(()).item() or None
    return sparse_rows([s.split(separator, maxsplit) for s in input.tolist()])


# patterns, which RE2 and Python write alike


def _rewrite(rewrite: bytes) -> bytes:
    """RE2's \\1 is Python's \\g<1>."""
    return re.sub(rb"\\(\d)", rb"\\g<\1>", rewrite)


def _replaced(input: Array, pattern: bytes, rewrite: bytes, everywhere: bool) -> Array:
    compiled, to = re.compile(pattern), _rewrite(rewrite)
    return each(lambda s: compiled.sub(to, s, count=0 if everywhere else 1), input)


@host(
    "RegexReplace",
    "input:string pattern:string rewrite:string -> string",
    shape="same",
    replace_global=True,
)
def _(input: Array, pattern: Array, rewrite: Array, *, replace_global: bool) -> Array:
    return _replaced(input, pattern.item(), rewrite.item(), replace_global)


@host(
    "StaticRegexReplace",
    "input:string -> string",
    shape="same",
    pattern=REQUIRED,
    rewrite=REQUIRED,
    replace_global=True,
)
def _(input: Array, *, pattern: str, rewrite: str, replace_global: bool) -> Array:
    return _replaced(input, _text(pattern).encode(), _text(rewrite).encode(), replace_global)


def _matches(input: Array, pattern: bytes) -> Array:
    compiled = re.compile(pattern)
    return each(lambda s: compiled.fullmatch(s) is not None, input, dtype=np.bool_)


@host("RegexFullMatch", "input:string pattern:string -> bool", shape="same")
def _(input: Array, pattern: Array) -> Array:
    return _matches(input, pattern.item())


@host("StaticRegexFullMatch", "input:string -> bool", shape="same", pattern=REQUIRED)
def _(input: Array, *, pattern: str) -> Array:
    return _matches(input, _text(pattern).encode())


# buckets


def _buckets(hash: Callable[[bytes], int], input: Array, count: int) -> Array:
    return each(lambda s: hash(s) % count, input, dtype=np.int64)


@host("StringToHashBucketFast", "input:string -> int64", shape="same", num_buckets=REQUIRED)
def _(input: Array, *, num_buckets: int) -> Array:
    return _buckets(farm_fingerprint, input, num_buckets)


@host("StringToHashBucket", "string_tensor:string -> int64", shape="same", num_buckets=REQUIRED)
def _(string_tensor: Array, *, num_buckets: int) -> Array:
    return _buckets(murmur64, string_tensor, num_buckets)


@host(
    "StringToHashBucketStrong",
    "input:string -> int64",
    shape="same",
    num_buckets=REQUIRED,
    key=REQUIRED,
)
def _(input: Array, *, num_buckets: int, key: Sequence[int]) -> Array:
    return _buckets(lambda s: sip_hash(s, key), input, num_buckets)


# records


def _csv_shapes(op: Any) -> list[Any]:
    return [op.inputs[0].shape] * len(op.outputs)


@host(
    "DecodeCSV",
    "records:string record_defaults:[OUT_TYPE] -> [OUT_TYPE]",
    shape=_csv_shapes,
    field_delim=",",
    use_quote_delim=True,
    na_value="",
    select_cols=(),
)
def _(
    records: Array,
    record_defaults: Sequence[Array],
    *,
    field_delim: str,
    use_quote_delim: bool,
    na_value: str,
    select_cols: Sequence[int],
    OUT_TYPE: Sequence[Any],
) -> tuple[Array, ...]:
    quoting: Any = csv.QUOTE_MINIMAL if use_quote_delim else csv.QUOTE_NONE
    lines = [s.decode("latin-1") for s in records.reshape(-1).tolist()]
    rows = []
    for at, line in enumerate(lines):
        (row,) = list(csv.reader([line], delimiter=_text(field_delim), quoting=quoting)) or [[""]]
        rows.append(_selected(row, select_cols, len(OUT_TYPE), at))
    found = []
    for column, (dtype, default) in enumerate(zip(OUT_TYPE, record_defaults, strict=True)):
        fields = [
            _field(rows[i], column, dtype, default, _text(na_value), i) for i in range(len(rows))
        ]
        array = np.empty(len(rows), dtype.as_numpy_dtype)
        array[:] = fields
        found.append(array.reshape(records.shape))
    return tuple(found)


def _selected(row: list[str], select_cols: Sequence[int], count: int, at: int) -> list[str]:
    if select_cols:
        return [row[column] for column in select_cols]
    if len(row) != count:
        raise InvalidArgumentError(
            None, None, f"Expect {count} fields but have {len(row)} in record {at}"
        )
    return row


def _field(row: list[str], column: int, dtype: Any, default: Array, na: str, at: int) -> Any:
    text = row[column]
    if text in ("", na):
        if default.size == 0:
            raise InvalidArgumentError(
                None, None, f"Field {column} is required but missing in record {at}!"
            )
        return default.reshape(-1)[0]
    if dtype == tf.string:
        return text.encode("latin-1")
    try:
        return (float if dtype.is_floating else int)(text)
    except ValueError:
        raise InvalidArgumentError(
            None, None, f"Field {column} in record {at} is not a valid {dtype.name}: {text}"
        ) from None


# files


@host("ReadFile", "filename:string -> string", shape="scalar")
def _(filename: Array) -> Array:
    return each(_read, filename)


def _read(name: bytes) -> bytes:
    from anode.frontends.tensorflow.errors import NotFoundError

    try:
        with open(name, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise NotFoundError(None, None, f"{_text(name)}; No such file or directory") from None


@host("WriteFile", "filename:string contents:string -> ", stateful=True)
def _(filename: Array, contents: Array) -> tuple[()]:
    from pathlib import Path

    path = Path(filename.item().decode())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents.item())
    return ()


@host("MatchingFiles", "pattern:string -> string", shape=lambda op: [[None]])
def _(pattern: Array) -> Array:
    from glob import glob

    patterns = pattern.reshape(-1).tolist()
    return vector(sorted({name for wild in patterns for name in glob(wild)}))
