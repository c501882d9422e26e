"""The table that `model.summary()` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def _row(fields: Sequence[Any], positions: Sequence[int]) -> str:
    line = ""
    for field, end in zip(fields, positions, strict=False):
        if line:
            line = line[:-1] + " "
        line = (line + str(field))[:end]
        line += " " * (end - len(line))
    return line


def _is_sequential(model: Any) -> bool:
    """Whether every layer feeds the next one only."""
    if type(model).__name__ == "Sequential":
        return True
    if not model._is_graph_network:
        return True
    topology = model._topology
    for nodes in topology.nodes_by_depth.values():
        if len(nodes) > 1 or (nodes and len(nodes[0].input_tensors) > 1):
            return False
    inside = set(topology.nodes)
    return all(sum(node in inside for node in layer._inbound_nodes) <= 1 for layer in model.layers)


def _output_shape(layer: Any) -> str:
    try:
        return str(layer.output_shape)
    except (AttributeError, RuntimeError):
        return "multiple"


def _parameters(layer: Any) -> Any:
    if not layer.built and getattr(layer, "_is_graph_network", False):
        return 0
    return layer.count_params() if layer.built else "0 (unused)"


def _connections(layer: Any, inside: set[Any]) -> list[str]:
    found = []
    for node in layer._inbound_nodes:
        if node not in inside or type(layer).__name__ == "InputLayer":
            continue
        for tensor in node.input_tensors:
            source, node_index, tensor_index = tensor._keras_history
            found.append(f"{source.name}[{node_index}][{tensor_index}]")
    return found


def _count(weights: Sequence[Any]) -> int:
    unique = {id(w): w for w in weights}.values()
    return sum(int(np.prod(w.shape.as_list())) for w in unique)


def print_summary(
    model: Any, line_length: int | None = None, positions: Any = None, print_fn: Any = None
) -> None:
    """Print one line for each layer, then the numbers of weights, as Keras lays them out."""
    show = print if print_fn is None else print_fn
    sequential = _is_sequential(model)
    width = line_length or (65 if sequential else 98)
    given = positions or ([0.45, 0.85, 1.0] if sequential else [0.33, 0.55, 0.67, 1.0])
    ends = [int(width * p) for p in given] if given[-1] <= 1 else list(given)
    fields = ["Layer (type)", "Output Shape", "Param #"]
    inside: set[Any] = set()
    if not sequential:
        fields.append("Connected to")
        inside = set(model._topology.nodes)
    show(f'Model: "{model.name}"')
    show("_" * width)
    show(_row(fields, ends))
    show("=" * width)
    layers = model.layers
    for i, layer in enumerate(layers):
        cells = [f"{layer.name} ({type(layer).__name__})", _output_shape(layer), _parameters(layer)]
        links = _connections(layer, inside) if not sequential else []
        show(_row([*cells, *links[:1]] if sequential else [*cells, (links or [""])[0]], ends))
        for link in links[1:]:
            show(_row(["", "", "", link], ends))
        show(("=" if i == len(layers) - 1 else "_") * width)
    _print_counts(model, show)
    show("_" * width)


def _print_counts(model: Any, show: Any) -> None:
    trainable = _count(getattr(model, "_collected_trainable_weights", model.trainable_weights))
    fixed = _count(model.non_trainable_weights)
    show(f"Total params: {trainable + fixed:,}")
    show(f"Trainable params: {trainable:,}")
    show(f"Non-trainable params: {fixed:,}")
