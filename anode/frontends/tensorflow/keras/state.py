"""What Keras keeps between calls: settings, the session, the learning phase, names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anode.frontends.tensorflow.core import (
    Graph,
    get_default_graph,
    get_default_session,
    reset_default_graph,
)
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.session import Session


@dataclass
class _Settings:
    """What scripts set for the whole process."""

    floatx: str = "float32"
    epsilon: float = 1e-7
    image_data_format: str = "channels_last"
    session: Any = None
    manual_initialization: bool = False
    custom_objects: dict[str, Any] = field(default_factory=dict)


_settings = _Settings()


@export("keras.backend.backend")
def backend() -> str:
    return "tensorflow"


@export("keras.backend.floatx")
def floatx() -> str:
    return _settings.floatx


@export("keras.backend.set_floatx")
def set_floatx(value: str) -> None:
    if value not in ("float16", "float32", "float64"):
        raise ValueError(f"Unknown floatx type: {value}")
    _settings.floatx = str(value)


@export("keras.backend.epsilon")
def epsilon() -> float:
    return _settings.epsilon


@export("keras.backend.set_epsilon")
def set_epsilon(value: float) -> None:
    _settings.epsilon = value


@export("keras.backend.image_data_format")
def image_data_format() -> str:
    return _settings.image_data_format


@export("keras.backend.set_image_data_format")
def set_image_data_format(data_format: str) -> None:
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"Unknown data_format: {data_format}")
    _settings.image_data_format = data_format


@export("keras.backend.cast_to_floatx")
def cast_to_floatx(x: Any) -> Any:
    return np.asarray(x, dtype=_settings.floatx)


@export("keras.backend.manual_variable_initialization")
def manual_variable_initialization(value: bool) -> None:
    """Whether the script initialises Keras's variables itself."""
    _settings.manual_initialization = value


# the session


def graph_attribute(name: str, default: Any, graph: Graph | None = None) -> Any:
    """Something that Keras keeps with a graph."""
    return (graph or get_default_graph()).__dict__.setdefault(f"_keras_{name}", default)


def track_variable(variable: Any) -> None:
    """Note a variable that Keras initialises before it is used."""
    graph_attribute("variables", [], variable.graph).append(variable)


@export("keras.backend.get_session")
def get_session(op_input_list: Any = ()) -> Any:
    """The default session, else Keras's own of the default graph; its variables initialised."""
    session = get_default_session()
    if session is None:
        session = _settings.session
        if session is None or session.graph is not get_default_graph() or session._closed:
            session = _settings.session = Session()
    if not _settings.manual_initialization:
        initialize(session)
    return session


def initialize(session: Any) -> None:
    """Run the initialisers of Keras's variables that have no value in this session."""
    tracked = session.graph.__dict__.get("_keras_variables", ())
    missing = [v for v in tracked if v.op not in session.variables]
    if missing:
        session.run([variable.initializer for variable in missing])


@export("keras.backend.set_session")
def set_session(session: Any) -> None:
    _settings.session = session


@export("keras.backend.clear_session")
def clear_session() -> None:
    """Begin a new graph, with names from the start and no session."""
    reset_default_graph()
    _settings.session = None
    learning_phase()  # TensorFlow makes it here, and seeds count operations


@export("keras.backend.get_uid")
def get_uid(prefix: str = "") -> int:
    """The next number of a name in the default graph, from 1."""
    counts: dict[str, int] = get_default_graph().__dict__.setdefault("_layer_names", {})
    counts[prefix] = counts.get(prefix, 0) + 1
    return counts[prefix]


@export("keras.backend.reset_uids")
def reset_uids() -> None:
    get_default_graph().__dict__.pop("_layer_names", None)


# the learning phase


@export("keras.backend.learning_phase")
def learning_phase() -> Any:
    """0 or 1 if it was set, else a bool tensor that training feeds with True."""
    from anode.frontends.tensorflow.api.variables import init_scope
    from anode.frontends.tensorflow.graph import name_scope, placeholder_with_default

    graph = get_default_graph()
    found = graph.__dict__.get("_keras_learning_phase")
    if found is None:
        with init_scope(), name_scope(""):
            found = placeholder_with_default(False, shape=[], name="keras_learning_phase")
        graph.__dict__["_keras_learning_phase"] = found
    return found


def learning_phase_tensor() -> Any:
    """The learning phase of the default graph if it is a tensor that exists, else None."""
    found = get_default_graph().__dict__.get("_keras_learning_phase")
    return None if found is None or isinstance(found, int) else found


@export("keras.backend.set_learning_phase")
def set_learning_phase(value: Any) -> None:
    """Fix the phase: 0 is test, 1 is training."""
    if value not in (0, 1):
        raise ValueError("Expected learning phase to be 0 or 1.")
    get_default_graph().__dict__["_keras_learning_phase"] = int(value)


@contextmanager
def learning_phase_scope(value: Any) -> Iterator[None]:
    """The phase fixed inside the scope."""
    held = get_default_graph().__dict__
    before = held.get("_keras_learning_phase")
    set_learning_phase(value)
    try:
        yield
    finally:
        held["_keras_learning_phase"] = before


export("keras.backend.learning_phase_scope")(learning_phase_scope)

# objects by name


@export("keras.utils.get_custom_objects")
def get_custom_objects() -> dict[str, Any]:
    """The names of a script's own classes and functions, to be changed in place."""
    return _settings.custom_objects


@contextmanager
def custom_object_scope(*objects: Mapping[str, Any]) -> Iterator[None]:
    """Names known inside the scope only."""
    before = dict(_settings.custom_objects)
    for mapping in objects:
        _settings.custom_objects.update(mapping)
    try:
        yield
    finally:
        _settings.custom_objects.clear()
        _settings.custom_objects.update(before)


export("keras.utils.custom_object_scope", "keras.utils.CustomObjectScope")(custom_object_scope)


@export("keras.utils.serialize_keras_object")
def serialize_keras_object(instance: Any) -> Any:
    """A function by its name, an object by its class and configuration."""
    if instance is None:
        return None
    if hasattr(instance, "get_config"):
        config = {}
        for key, item in instance.get_config().items():
            nested = hasattr(item, "get_config") and not isinstance(item, type)
            config[key] = serialize_keras_object(item) if nested else item
        return {"class_name": type(instance).__name__, "config": config}
    if hasattr(instance, "__name__"):
        return instance.__name__
    raise ValueError("Cannot serialize", instance)


def camel_case(name: str) -> str:
    return re.sub(r"(^|_)([a-z])", lambda m: m[2].upper(), name)


def _lookup(name: str, custom: Mapping[str, Any] | None, known: Any) -> Any:
    if custom and name in custom:
        return custom[name]
    if name in _settings.custom_objects:
        return _settings.custom_objects[name]
    return known(name) if callable(known) else (known or {}).get(name)


@export("keras.utils.deserialize_keras_object")
def deserialize_keras_object(
    identifier: Any,
    module_objects: Any = None,
    custom_objects: Mapping[str, Any] | None = None,
    printable_module_name: str = "object",
) -> Any:
    """What `serialize_keras_object` wrote; ValueError for a name that is not known."""
    if identifier is None:
        return None
    name = identifier["class_name"] if isinstance(identifier, dict) else identifier
    if not isinstance(name, str):
        if callable(identifier):
            return identifier
        raise ValueError("Could not interpret serialized object: ", identifier)
    found = _lookup(name, custom_objects, module_objects)
    if found is None:
        kind = "" if isinstance(identifier, dict) else " function"
        raise ValueError(f"Unknown {printable_module_name}{kind}:{name}")
    if not isinstance(identifier, dict):
        return found() if isinstance(found, type) else found
    config = dict(identifier.get("config") or {})
    if not hasattr(found, "from_config"):
        return found(**config)
    with custom_object_scope(custom_objects or {}):
        return _from_config(found, config, custom_objects)


def _from_config(found: Any, config: dict[str, Any], custom: Mapping[str, Any] | None) -> Any:
    import inspect

    if "custom_objects" in inspect.signature(found.from_config).parameters:
        return found.from_config(config, custom_objects=dict(custom or {}))
    return found.from_config(config)
