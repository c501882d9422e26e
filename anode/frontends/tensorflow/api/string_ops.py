"""Functions of strings: joining, splitting, patterns, numbers, buckets."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.generated import define
from anode.frontends.tensorflow.api.sparse_ops import SparseTensor
from anode.frontends.tensorflow.dtypes import float32
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, is_tensor_like, name_scope
from anode.frontends.tensorflow.opdef import export, renamed

FUNCTIONS = {
    "AsString": "input precision=-1 scientific=False shortest=False width=-1 fill=''"
    " | strings.as_string as_string dtypes.as_string",
    "DecodeBase64": "input | io.decode_base64 decode_base64",
    "EncodeBase64": "input pad=False | io.encode_base64 encode_base64",
    "StringLower": "input encoding='' | strings.lower",
    "StringUpper": "input encoding='' | strings.upper",
    "StringStrip": "input | strings.strip string_strip",
    "StringToHashBucketFast": "input num_buckets"
    " | strings.to_hash_bucket_fast string_to_hash_bucket_fast",
    "StringToHashBucketStrong": "input num_buckets key"
    " | strings.to_hash_bucket_strong string_to_hash_bucket_strong",
    "ReadFile": "filename | io.read_file read_file",
    "WriteFile": "filename contents | io.write_file write_file",
    "MatchingFiles": "pattern | io.matching_files matching_files",
}
globals().update(define(__name__, FUNCTIONS))


@export("strings.join", "string_join")
def string_join(inputs: Any, separator: str = "", name: str | None = None) -> Any:
    """Strings of the inputs, element by element, with a separator between."""
    return apply("StringJoin", list(inputs), separator=separator, name=name)


@export("strings.length")
def string_length(input: Any, name: str | None = None, unit: str = "BYTE") -> Any:
    return apply("StringLength", input, unit=unit, name=name)


@export("strings.substr", "substr")
def substr(input: Any, pos: Any, len: Any, name: str | None = None, unit: str = "BYTE") -> Any:
    """`len` characters from `pos` on."""
    return apply("Substr", input, pos, len, unit=unit, name=name)


@export("strings.to_number", "string_to_number")
@renamed(input="string_tensor")
def string_to_number(
    string_tensor: Any = None, out_type: Any = float32, name: str | None = None
) -> Any:
    """The numbers that strings say."""
    return apply("StringToNumber", string_tensor, out_type=out_type, name=name)


@export("strings.to_hash_bucket", "string_to_hash_bucket")
@renamed(input="string_tensor")
def string_to_hash_bucket(
    string_tensor: Any = None, num_buckets: int | None = None, name: str | None = None
) -> Any:
    return apply("StringToHashBucket", string_tensor, num_buckets=num_buckets, name=name)


@export("strings.reduce_join", "reduce_join")
@renamed(keep_dims="keepdims", reduction_indices="axis")
def reduce_join(
    inputs: Any,
    axis: Any = None,
    keepdims: bool | None = None,
    separator: str = "",
    name: str | None = None,
) -> Any:
    """Strings joined along axes, in their order; by default along all."""
    tensor = convert_to_tensor(inputs)
    if axis is None:
        rank = tensor.shape.ndims
        if rank is None:
            raise ValueError("reduce_join: give axis where the rank of the inputs is not known")
        axis = list(range(rank))[::-1]
    attrs: dict[str, Any] = {"keep_dims": bool(keepdims), "separator": separator}
    with name_scope(name, "ReduceJoin", [tensor]):
        return apply("ReduceJoin", tensor, axis, **attrs)


@export("strings.regex_replace", "regex_replace")
def regex_replace(
    input: Any, pattern: Any, rewrite: Any, replace_global: bool = True, name: str | None = None
) -> Any:
    """The matches of a pattern replaced; \\1 in `rewrite` is the first group."""
    if is_tensor_like(pattern) or is_tensor_like(rewrite):
        return apply(
            "RegexReplace", input, pattern, rewrite, replace_global=replace_global, name=name
        )
    attrs: dict[str, Any] = {
        "pattern": pattern,
        "rewrite": rewrite,
        "replace_global": replace_global,
    }
    return apply("StaticRegexReplace", input, name=name, **attrs)


@export("strings.regex_full_match")
def regex_full_match(input: Any, pattern: Any, name: str | None = None) -> Any:
    """Whether a pattern matches whole strings."""
    if is_tensor_like(pattern):
        return apply("RegexFullMatch", input, pattern, name=name)
    return apply("StaticRegexFullMatch", input, pattern=pattern, name=name)


@export("string_split")
def string_split(
    source: Any,
    sep: Any = None,
    skip_empty: bool = True,
    delimiter: Any = None,
    result_type: str = "SparseTensor",
    name: str | None = None,
) -> SparseTensor:
    """Each string cut at each of the characters of `delimiter`: rows of a sparse matrix."""
    if result_type != "SparseTensor":
        raise NotImplementedError("string_split: ragged results are not implemented by anode")
    between = next((d for d in (delimiter, sep) if d is not None), " ")
    found = apply("StringSplit", source, between, skip_empty=skip_empty, name=name)
    return SparseTensor(*found)


@export("strings.split")
@renamed(source="input")
def string_split_v2(
    input: Any = None,
    sep: Any = None,
    maxsplit: int = -1,
    result_type: str = "SparseTensor",
    name: str | None = None,
) -> SparseTensor:
    """Each string cut at `sep`, or at white space: rows of a sparse matrix."""
    if result_type != "SparseTensor":
        raise NotImplementedError("strings.split: ragged results are not implemented by anode")
    tensor = convert_to_tensor(input)
    rows = apply("Reshape", tensor, [1]) if tensor.shape.ndims == 0 else tensor
    found = apply("StringSplitV2", rows, sep or "", maxsplit=maxsplit, name=name)
    return SparseTensor(*found)
