"""Nested structures: lists, tuples, namedtuples and dicts of anything, flattened and packed again.

Dicts flatten in the order of their sorted keys, as TensorFlow's do. A composite (a sparse tensor, a
TensorArray) is an object with `composite_parts() -> list` and `from_composite_parts(list)`; it is a
leaf unless `expand_composites` asks for its tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from anode.frontends.tensorflow.opdef import export

_NS = ("python.util.nest", "contrib.framework.nest")


def _paths(name: str) -> tuple[str, ...]:
    return tuple(f"{ns}.{name}" for ns in _NS)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_namedtuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def is_composite(value: Any) -> bool:
    """Whether a leaf is made of several tensors."""
    return hasattr(value, "composite_parts") and not isinstance(value, type)


@export("nest.is_nested", *_paths("is_sequence"), *_paths("is_nested"))
def is_sequence(seq: Any) -> bool:
    """Whether a value is a list, a tuple or a dict; strings are not."""
    if isinstance(seq, (str, bytes, bytearray)):
        return False
    return isinstance(seq, (Sequence, Mapping)) or _is_view(seq)


def _is_view(value: Any) -> bool:
    return isinstance(value, (type({}.keys()), type({}.values()), type({}.items())))


is_nested = is_sequence


@export(*_paths("is_sequence_or_composite"))
def is_sequence_or_composite(seq: Any) -> bool:
    """Whether a value has parts once composites are expanded."""
    return is_sequence(seq) or is_composite(seq)


def _sorted_keys(mapping: Mapping[Any, Any]) -> list[Any]:
    try:
        return sorted(mapping)
    except TypeError:
        raise TypeError("nest only supports dicts with sortable keys.") from None


def _children(value: Any, expand: bool = False) -> list[tuple[Any, Any]]:
    """The (key, child) pairs of one level."""
    if _is_mapping(value):
        return [(key, value[key]) for key in _sorted_keys(value)]
    if expand and is_composite(value):
        return list(enumerate(value.composite_parts()))
    if _is_namedtuple(value):
        return list(zip(value._fields, value, strict=True))
    return list(enumerate(value))


def _has_children(value: Any, expand: bool) -> bool:
    return is_sequence(value) or (expand and is_composite(value))


def _rebuilt(like: Any, children: Sequence[Any]) -> Any:
    """A structure of the type of `like` around new children, which come in flattening order."""
    if _is_mapping(like):
        found = dict(zip(_sorted_keys(like), children, strict=True))
        ordered = {key: found[key] for key in like}
        if type(like).__name__ == "defaultdict":
            return type(like)(like.default_factory, ordered)
        return ordered if type(like) is dict else type(like)(ordered)
    if is_composite(like) and not is_sequence(like):
        return like.from_composite_parts(list(children))
    if _is_namedtuple(like):
        return type(like)(*children)
    if _is_view(like):
        return list(children)
    return type(like)(children)


@export("nest.flatten", *_paths("flatten"))
def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves of a structure; a leaf alone gives a list of one."""
    if not _has_children(structure, expand_composites):
        return [structure]
    found: list[Any] = []
    for _, child in _children(structure, expand_composites):
        found.extend(flatten(child, expand_composites))
    return found


@export("nest.pack_sequence_as", *_paths("pack_sequence_as"))
def pack_sequence_as(
    structure: Any, flat_sequence: Sequence[Any], expand_composites: bool = False
) -> Any:
    """Leaves packed as `structure` is; raises ValueError if their number differs."""
    if not is_sequence(flat_sequence):
        raise TypeError("flat_sequence must be a sequence")
    flat = list(flat_sequence)
    count = len(flatten(structure, expand_composites))
    if count != len(flat):
        raise ValueError(
            "Could not pack sequence. Structure had "
            f"{count} elements, but flat_sequence had {len(flat)} elements.  "
            f"Structure: {structure}, flat_sequence: {flat}."
        )
    return _packed(structure, iter(flat), expand_composites)


def _packed(structure: Any, leaves: Iterator[Any], expand: bool) -> Any:
    if not _has_children(structure, expand):
        return next(leaves)
    return _rebuilt(
        structure, [_packed(child, leaves, expand) for _, child in _children(structure, expand)]
    )


def _same_type(a: Any, b: Any) -> bool:
    if _is_mapping(a) and _is_mapping(b):
        return True
    if _is_namedtuple(a) and _is_namedtuple(b):
        return type(a).__name__ == type(b).__name__ and a._fields == b._fields
    return type(a) is type(b)


def _assert_same(a: Any, b: Any, check_types: bool, expand: bool, path: str) -> None:
    nested = _has_children(a, expand), _has_children(b, expand)
    if not any(nested):
        return
    where = f" at {path}" if path else ""
    if nested[0] != nested[1]:
        raise ValueError(
            "The two structures don't have the same nested structure"
            f"{where}.\n\nFirst structure: {a}\n\nSecond structure: {b}"
        )
    if check_types and not _same_type(a, b):
        raise TypeError(
            "The two structures don't have the same sequence type"
            f"{where}: first {type(a).__name__}, second {type(b).__name__}."
        )
    mine, other = _children(a, expand), _children(b, expand)
    keys_differ = _is_mapping(a) and _is_mapping(b) and set(a) != set(b)
    if len(mine) != len(other) or keys_differ:
        raise ValueError(
            "The two structures don't have the same nested structure"
            f"{where}.\n\nFirst structure: {a}\n\nSecond structure: {b}"
        )
    for (key, x), (_, y) in zip(mine, other, strict=True):
        _assert_same(x, y, check_types, expand, f"{path}/{key}" if path else str(key))


@export("nest.assert_same_structure", *_paths("assert_same_structure"))
def assert_same_structure(
    nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False
) -> None:
    """Raise ValueError (TypeError for unlike containers) unless two structures are alike."""
    _assert_same(nest1, nest2, check_types, expand_composites, "")


@export("nest.map_structure", *_paths("map_structure"))
def map_structure(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """The structure of `func` of corresponding leaves."""
    check_types = kwargs.pop("check_types", True)
    expand = kwargs.pop("expand_composites", False)
    kwargs.pop("check_up_to", None)
    if kwargs:
        raise ValueError(f"Unknown keyword argument: {', '.join(kwargs)}")
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types, expand)
    leaves = zip(*(flatten(one, expand) for one in structure), strict=True)
    return pack_sequence_as(structure[0], [func(*entry) for entry in leaves], expand)


def _leaf_paths(structure: Any, path: tuple[Any, ...], expand: bool) -> Iterator[tuple[Any, Any]]:
    if not _has_children(structure, expand):
        yield path, structure
        return
    for key, child in _children(structure, expand):
        yield from _leaf_paths(child, (*path, key), expand)


@export(*_paths("flatten_with_tuple_paths"))
def flatten_with_tuple_paths(
    structure: Any, expand_composites: bool = False
) -> list[tuple[tuple[Any, ...], Any]]:
    """Pairs of a leaf's path, as a tuple, and the leaf."""
    return list(_leaf_paths(structure, (), expand_composites))


@export(*_paths("flatten_with_joined_string_paths"))
def flatten_with_joined_string_paths(
    structure: Any, separator: str = "/", expand_composites: bool = False
) -> list[tuple[str, Any]]:
    """Pairs of a leaf's path, as text, and the leaf."""
    return [
        (separator.join(str(key) for key in path), leaf)
        for path, leaf in _leaf_paths(structure, (), expand_composites)
    ]


@export(*_paths("yield_flattened_paths"))
def yield_flattened_paths(nest: Any, expand_composites: bool = False) -> Iterator[tuple[Any, ...]]:
    """The paths of the leaves, as tuples."""
    for path, _ in _leaf_paths(nest, (), expand_composites):
        yield path


def _map_with_paths(
    paths: Callable[[Any, bool], list[Any]], func: Callable[..., Any], structure: Any, kwargs: Any
) -> Any:
    expand = kwargs.pop("expand_composites", False)
    check_types = kwargs.pop("check_types", True)
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types, expand)
    names = paths(structure[0], expand)
    leaves = zip(*(flatten(one, expand) for one in structure), strict=True)
    found = [func(name, *leaf, **kwargs) for name, leaf in zip(names, leaves, strict=True)]
    return pack_sequence_as(structure[0], found, expand)


@export(*_paths("map_structure_with_paths"))
def map_structure_with_paths(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """`map_structure` whose function also receives the leaf's path as text."""

    def names(one: Any, expand: bool) -> list[Any]:
        return [name for name, _ in flatten_with_joined_string_paths(one, "/", expand)]

    return _map_with_paths(names, func, structure, kwargs)


@export(*_paths("map_structure_with_tuple_paths"))
def map_structure_with_tuple_paths(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """`map_structure` whose function also receives the leaf's path as a tuple."""

    def names(one: Any, expand: bool) -> list[Any]:
        return list(yield_flattened_paths(one, expand))

    return _map_with_paths(names, func, structure, kwargs)


@export(*_paths("flatten_dict_items"))
def flatten_dict_items(dictionary: Mapping[Any, Any]) -> dict[Any, Any]:
    """A dict whose structured keys and values are flattened together."""
    if not isinstance(dictionary, Mapping):
        raise TypeError("input must be a dictionary")
    found: dict[Any, Any] = {}
    for key, value in dictionary.items():
        keys, values = flatten(key), flatten(value)
        if not is_sequence(key):
            keys, values = [key], [value]
        assert_same_structure(key, value) if is_sequence(key) else None
        for k, v in zip(keys, values, strict=True):
            if k in found:
                raise ValueError(f"Could not flatten dictionary: the key {k} is not unique.")
            found[k] = v
    return found


@export(*_paths("assert_shallow_structure"))
def assert_shallow_structure(
    shallow_tree: Any,
    input_tree: Any,
    check_types: bool = True,
    expand_composites: bool = False,
    check_subtrees_length: bool = True,
) -> None:
    """Raise ValueError or TypeError unless `input_tree` begins as `shallow_tree` does."""
    if not _has_children(shallow_tree, expand_composites):
        return
    if not _has_children(input_tree, expand_composites):
        raise TypeError(
            "If shallow structure is a sequence, input must also be a sequence. "
            f"Input has type: {type(input_tree)}."
        )
    if check_types and not _same_type(shallow_tree, input_tree):
        raise TypeError(
            "The two structures don't have the same sequence type. Input structure has type "
            f"{type(input_tree)}, while shallow structure has type {type(shallow_tree)}."
        )
    shallow = _children(shallow_tree, expand_composites)
    mine = _children(input_tree, expand_composites)
    if check_subtrees_length and len(shallow) != len(mine):
        raise ValueError(
            "The two structures don't have the same sequence length. Input structure has length "
            f"{len(mine)}, while shallow structure has length {len(shallow)}."
        )
    for (_, s), (_, m) in zip(shallow, mine, strict=False):
        assert_shallow_structure(s, m, check_types, expand_composites, check_subtrees_length)


def _up_to(shallow: Any, tree: Any, expand: bool) -> list[Any]:
    if not _has_children(shallow, expand):
        return [tree]
    found: list[Any] = []
    pairs = zip(_children(shallow, expand), _children(tree, expand), strict=False)
    for (_, s), (_, t) in pairs:
        found.extend(_up_to(s, t, expand))
    return found


@export(*_paths("flatten_up_to"))
def flatten_up_to(
    shallow_tree: Any,
    input_tree: Any,
    check_types: bool = True,
    expand_composites: bool = False,
    check_subtrees_length: bool = True,
) -> list[Any]:
    """The subtrees of `input_tree` at the leaves of `shallow_tree`."""
    assert_shallow_structure(
        shallow_tree, input_tree, check_types, expand_composites, check_subtrees_length
    )
    return _up_to(shallow_tree, input_tree, expand_composites)


@export(*_paths("map_structure_up_to"))
def map_structure_up_to(
    shallow_tree: Any, func: Callable[..., Any], *inputs: Any, **kwargs: Any
) -> Any:
    """`func` of the subtrees of the inputs at the leaves of `shallow_tree`, packed as it is."""
    if not inputs:
        raise ValueError("Argument `inputs` is empty. Cannot map over no sequences.")
    check_types = kwargs.pop("check_types", True)
    flat = [flatten_up_to(shallow_tree, one, check_types) for one in inputs]
    return pack_sequence_as(shallow_tree, [func(*x, **kwargs) for x in zip(*flat, strict=True)])


@export(*_paths("get_traverse_shallow_structure"))
def get_traverse_shallow_structure(
    traverse_fn: Callable[[Any], Any], structure: Any, expand_composites: bool = False
) -> Any:
    """The shallow structure of True and False that says how deep `traverse_fn` would go."""
    wanted = traverse_fn(structure)
    if not _has_children(structure, expand_composites):
        if not isinstance(wanted, bool):
            raise TypeError(f"traverse_fn returned a non-bool for a leaf: {wanted}")
        return wanted
    if wanted is False:
        return False
    kids = _children(structure, expand_composites)
    return _rebuilt(
        structure,
        [get_traverse_shallow_structure(traverse_fn, kid, expand_composites) for _, kid in kids],
    )
