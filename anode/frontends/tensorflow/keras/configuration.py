"""Configurations of models: what `get_config` writes and `from_config` reads."""

from __future__ import annotations

import codecs
import marshal
from collections.abc import Mapping
from types import FunctionType
from typing import Any

import numpy as np

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.keras.layer import single
from anode.frontends.tensorflow.keras.state import (
    deserialize_keras_object,
    get_custom_objects,
    serialize_keras_object,
)
from anode.frontends.tensorflow.opdef import export


def known_layer(name: str) -> Any:
    """A class of tf.keras.layers, or a model's, by its name."""
    from anode.frontends.tensorflow.modules import load, names

    for space in ("keras.layers", "keras.models", "layers"):
        where = names().get(f"{space}.{name}")
        if where is not None:
            found = load(where)
            if isinstance(found, type):
                return found
    return None


export("keras.layers.serialize")(serialize_keras_object)


@export("keras.layers.deserialize")
def deserialize_layer(config: Any, custom_objects: Any = None) -> Any:
    return deserialize_keras_object(config, known_layer, custom_objects, "layer")


def json_default(value: Any) -> Any:
    """What JSON writes for NumPy's numbers, arrays, types and TensorFlow's shapes."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "as_list"):
        return value.as_list()
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    if hasattr(value, "__name__"):
        return value.__name__
    if hasattr(value, "name"):
        return value.name
    raise TypeError(f"Not JSON Serializable: {value!r}")


def functional_config(network: Any) -> dict[str, Any]:
    """Layers with their configurations, and which call takes which tensor."""
    inside = set(network._topology.nodes)
    numbers = {}
    for layer in network.layers:
        kept = [n for n in layer._inbound_nodes if n in inside]
        numbers.update({node: i for i, node in enumerate(kept)})

    def place(tensor: Any) -> list[Any]:
        layer, index, position = tensor._keras_history
        return [layer.name, numbers[layer._inbound_nodes[index]], position]

    layers = []
    for layer in network.layers:
        nodes = [n for n in layer._inbound_nodes if n in inside]
        entry = {"name": layer.name, **serialize_keras_object(layer)}
        skip = type(layer).__name__ == "InputLayer"
        entry["inbound_nodes"] = [] if skip else [_node_config(n, place) for n in nodes]
        layers.append(entry)
    return {
        "name": network.name,
        "layers": layers,
        "input_layers": [place(t) for t in network.inputs],
        "output_layers": [place(t) for t in network.outputs],
    }


def _node_config(node: Any, place: Any) -> list[Any]:
    kwargs = {}
    for key, value in node.kwargs.items():
        if any(isinstance(item, Tensor) for item in nest.flatten(value)):
            continue
        if value is not None:
            kwargs[key] = value
    return [[*place(tensor), kwargs] for tensor in node.input_tensors]


def network_from_config(cls: Any, config: dict[str, Any], custom_objects: Any = None) -> Any:
    """The layers made and called as the configuration says."""
    made: dict[str, Any] = {}
    waiting: list[tuple[Any, list[Any]]] = []
    for entry in config["layers"]:
        layer = deserialize_layer(
            {"class_name": entry["class_name"], "config": entry["config"]}, custom_objects
        )
        made[entry["name"]] = layer
        waiting += [(layer, node) for node in entry["inbound_nodes"]]
    while waiting:
        left = [(layer, node) for layer, node in waiting if not _called(layer, node, made)]
        if len(left) == len(waiting):
            raise ValueError("the configuration of the model has calls that depend on each other")
        waiting = left

    def tensors(places: Any) -> Any:
        return single([_tensor(place, made) for place in places])

    return cls(
        inputs=tensors(config["input_layers"]),
        outputs=tensors(config["output_layers"]),
        name=config.get("name"),
    )


def _tensor(place: Any, made: Mapping[str, Any]) -> Any:
    name, node, position = place[:3]
    nodes = made[name]._inbound_nodes
    return nodes[node].output_tensors[position] if node < len(nodes) else None


def _called(layer: Any, node: Any, made: Mapping[str, Any]) -> bool:
    """Call a layer on the tensors of a node, if they are there."""
    inputs = [_tensor(place, made) for place in node]
    if any(tensor is None for tensor in inputs):
        return False
    kwargs = node[0][3] if len(node[0]) > 3 else {}
    layer(single(inputs), **kwargs)
    return True


@export("keras.models.model_from_config")
def model_from_config(config: Any, custom_objects: Any = None) -> Any:
    """A model from its class name and configuration."""
    if isinstance(config, list):
        raise TypeError("`model_from_config` expects a dictionary, not a list.")
    return deserialize_layer(config, custom_objects)


@export("keras.models.model_from_json")
def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """A model from what `to_json` wrote."""
    import json

    return model_from_config(json.loads(json_string), custom_objects)


@export("keras.models.model_from_yaml")
def model_from_yaml(yaml_string: str, custom_objects: Any = None) -> Any:
    """A model from what `to_yaml` wrote; needs the package pyyaml."""
    import yaml

    return model_from_config(yaml.safe_load(yaml_string), custom_objects)


@export("keras.models.clone_model")
def clone_model(model: Any, input_tensors: Any = None, clone_function: Any = None) -> Any:
    """A model of the same layers with weights of its own."""
    if input_tensors is not None or clone_function is not None:
        raise NotImplementedError(
            "clone_model: input_tensors and clone_function are not implemented by anode"
        )
    return type(model).from_config(model.get_config())


# functions in configurations


def function_config(function: Any) -> dict[str, Any]:
    """A function by its name, a lambda by its byte code, as Keras writes them."""
    if function.__name__ != "<lambda>":
        return {
            "function": function.__name__,
            "function_type": "function",
            "module": function.__module__,
            "output_shape": None,
            "output_shape_type": "raw",
            "output_shape_module": None,
        }
    code = codecs.encode(marshal.dumps(function.__code__), "base64").decode("ascii")
    cells = [c.cell_contents for c in function.__closure__ or ()] or None
    return {
        "function": [code, function.__defaults__, cells],
        "function_type": "lambda",
        "module": function.__module__,
        "output_shape": None,
        "output_shape_type": "raw",
        "output_shape_module": None,
    }


def function_from_config(config: dict[str, Any], custom_objects: Any = None) -> dict[str, Any]:
    """The arguments of a Lambda layer from its configuration."""
    for key in ("output_shape_type", "output_shape_module"):
        config.pop(key, None)
    module = config.pop("module", None)
    if config.pop("function_type", "function") == "lambda":
        config["function"] = _lambda(*config["function"])
        return config
    name = config["function"]
    known = {**get_custom_objects(), **(custom_objects or {})}
    if name in known:
        config["function"] = known[name]
        return config
    import sys

    found = getattr(sys.modules.get(module or "__main__"), name, None)
    if found is None:
        raise ValueError(f"Unknown function:{name}: pass it in custom_objects")
    config["function"] = found
    return config


def _lambda(code: str, defaults: Any, cells: Any) -> Any:
    import __main__

    raw = codecs.decode(code.encode("ascii"), "base64")
    try:
        made = marshal.loads(raw)
    except (ValueError, EOFError, TypeError) as error:
        raise ValueError(
            "a lambda was saved by another version of Python, and cannot be read: pass the model's "
            "code instead"
        ) from error
    closure = tuple((lambda x: lambda: x)(c).__closure__[0] for c in cells or ())  # type: ignore
    return FunctionType(made, vars(__main__), argdefs=tuple(defaults or ()), closure=closure)
