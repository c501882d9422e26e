"""What the functions of tf.contrib.layers have in common: scopes, collections, names of weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from anode.frontends.tensorflow.graph import add_to_collection
from anode.frontends.tensorflow.opdef import EXPORTS, export

_PLACES = ("contrib.layers", "contrib.slim", "contrib.slim.layers", "contrib.layers.python.layers")
_UTILS = ("contrib.layers.utils", "contrib.layers.python.layers.utils", "contrib.slim.utils")


def layer_export(*names: str) -> Callable[[Any], Any]:
    """Serve a layer function under every module that contrib has held it in."""

    def note(thing: Any) -> Any:
        for name in names:
            for place in _PLACES:
                EXPORTS[f"{place}.{name}"] = f"{thing.__module__}:{thing.__name__}"
        return thing

    return note


def _utils(name: str) -> list[str]:
    return [f"{place}.{name}" for place in _UTILS]


def layer_getter(rename: Mapping[str, str] | None = None) -> Callable[..., Any]:
    """A custom getter that renames the last part of names and notes model variables."""

    def getter(getter: Any, name: str, *args: Any, **kwargs: Any) -> Any:
        start, slash, last = name.rpartition("/")
        name = f"{start}{slash}{(rename or {}).get(last, last)}"
        keys = [*(kwargs.get("collections") or []), "variables", "model_variables"]
        kwargs["collections"] = list(dict.fromkeys(keys))
        return getter(name, *args, **kwargs)

    return getter


@export(*_utils("get_variable_collections"))
def get_variable_collections(variables_collections: Any, name: str) -> Any:
    """The collections for the variables called `name`: of a dict its entry."""
    if isinstance(variables_collections, Mapping):
        return variables_collections.get(name, None)
    return variables_collections


def collect_variable(variable: Any, collections: Any, name: str) -> None:
    """Put a variable into the collections that are asked for its kind."""
    if variable is None:
        return
    for collection in get_variable_collections(collections, name) or ():
        add_to_collection(collection, variable)


@export(*_utils("collect_named_outputs"))
def collect_named_outputs(collections: Any, alias: str, outputs: Any) -> Any:
    """The outputs, with `alias` noted, in the collections (a name or a list of names)."""
    for key in [collections] if isinstance(collections, str) else collections or ():
        add_to_collection(key, outputs)
        _named(key).append((alias.rstrip("/"), outputs))
    return outputs


def _named(collection: Any) -> list[tuple[str, Any]]:
    """(alias, outputs) of a collection of the default graph."""
    from anode.frontends.tensorflow.core import get_default_graph

    found = get_default_graph().__dict__.setdefault("_aliases", {})
    return found.setdefault(collection, [])


@export(*_utils("append_tensor_alias"))
def append_tensor_alias(tensor: Any, alias: str) -> Any:
    """Note another name of a tensor."""
    aliases: list[tuple[str, Any]] = _named(None)
    aliases.append((alias, tensor))
    return tensor


@export(*_utils("get_tensor_aliases"))
def get_tensor_aliases(tensor: Any) -> list[str]:
    """The aliases of a tensor; its name if it has none."""
    from anode.frontends.tensorflow.core import get_default_graph

    known = get_default_graph().__dict__.get("_aliases", {}).values()
    found = [alias for pairs in known for alias, other in pairs if other is tensor]
    return list(dict.fromkeys(found)) or [tensor.name.rpartition(":")[0] or tensor.name]


@export(*_utils("convert_collection_to_dict"))
def convert_collection_to_dict(collection: Any, clear_collection: bool = False) -> dict[str, Any]:
    """alias -> tensor of a collection, in order."""
    from collections import OrderedDict

    from anode.frontends.tensorflow.core import get_default_graph
    from anode.frontends.tensorflow.graph import get_collection

    found = OrderedDict(
        (alias, tensor)
        for tensor in get_collection(collection)
        for alias in get_tensor_aliases(tensor)
    )
    if clear_collection:
        get_default_graph().clear_collection(collection)
    return found


@export(*_utils("last_dimension"))
def last_dimension(shape: Any, min_rank: int = 1) -> int:
    """The last size of a shape; raises ValueError if it is unknown or the rank too low."""
    if shape.rank is None:
        raise ValueError("Rank of shape must be known")
    if shape.rank < min_rank:
        raise ValueError(f"rank of shape must be at least {min_rank} not: {shape.rank}")
    value = shape.as_list()[-1]
    if value is None:
        raise ValueError("last dimension shape must be known but is None")
    return int(value)


@export(*_utils("first_dimension"))
def first_dimension(shape: Any, min_rank: int = 1) -> int:
    """The first size of a shape; raises ValueError if it is unknown."""
    if shape.rank is None or shape.rank < min_rank or shape.as_list()[0] is None:
        raise ValueError(f"first dimension of {shape} must be known")
    return int(shape.as_list()[0])


@export(*_utils("two_element_tuple"))
def two_element_tuple(int_or_tuple: Any) -> tuple[int, int]:
    """A pair of a number or of two."""
    if isinstance(int_or_tuple, (list, tuple)):
        if len(int_or_tuple) != 2:
            raise ValueError(f"Must be a list with 2 elements: {int_or_tuple}")
        return int(int_or_tuple[0]), int(int_or_tuple[1])
    return int(int_or_tuple), int(int_or_tuple)


@export(*_utils("n_positive_integers"))
def n_positive_integers(n: int, value: Any) -> tuple[int, ...]:
    """`n` positive numbers of one number or of n."""
    listed = list(value) if isinstance(value, (list, tuple)) else [value] * n
    if len(listed) != n or any(int(v) < 1 for v in listed):
        raise ValueError(f"expected {n} positive integers, got {value}")
    return tuple(int(v) for v in listed)


@export(*_utils("channel_dimension"))
def channel_dimension(shape: Any, data_format: str, min_rank: int = 1) -> int:
    """The number of channels of a shape."""
    if data_format.startswith("NC"):
        value = shape.as_list()[1]
    else:
        return last_dimension(shape, min_rank)
    if value is None:
        raise ValueError("channel dimension must be known")
    return int(value)


def layer_format(data_format: str | None) -> str:
    """channels_first or channels_last of TensorFlow's NCHW and the like."""
    if data_format not in (None, "NWC", "NCW", "NHWC", "NCHW", "NDHWC", "NCDHW"):
        raise ValueError(f"Invalid data_format: {data_format}")
    return "channels_first" if data_format and data_format.startswith("NC") else "channels_last"


def scoped(scope: Any, reuse: Any, trainable: bool) -> dict[str, Any]:
    """What makes the variables of a layer those of a scope that is open."""
    return {"trainable": trainable, "name": scope.name, "_scope": scope, "_reuse": reuse}


def finished(
    outputs: Any,
    scope: str,
    outputs_collections: Any,
    activation_fn: Any,
    normalizer_fn: Any = None,
    normalizer_params: Any = None,
) -> Any:
    """The outputs normalised, activated, and put into collections."""
    if normalizer_fn is not None:
        outputs = normalizer_fn(outputs, **(normalizer_params or {}))
    if activation_fn is not None:
        outputs = activation_fn(outputs)
    return collect_named_outputs(outputs_collections, scope, outputs)
