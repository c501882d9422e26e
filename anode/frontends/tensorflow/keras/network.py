"""Networks: layers between inputs and outputs, in the order in which they depend on each other."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.api.layers_base import Layer as BaseLayer
from anode.frontends.tensorflow.core import Tensor
from anode.frontends.tensorflow.keras.layer import (
    InputLayer,
    Layer,
    Node,
    make_history,
    shape_of,
    single,
)
from anode.frontends.tensorflow.keras.summary import print_summary
from anode.frontends.tensorflow.tensor_shape import TensorShape


class Topology:
    """The calls of layers that lead from some tensors to others, sorted.

    The deepest nodes come first; layers of one depth are in the order in which a walk from the
    outputs meets them, as Keras has it.
    """

    def __init__(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
        self._done: dict[Node, None] = {}  # after all they need
        self._order: dict[Any, int] = {}
        self._limits = {id(t) for t in inputs}
        for tensor in outputs:
            self._walk(tensor, set())
        depths = self._node_depths(outputs)
        layer_depths = self._layer_depths(depths, inputs)
        self.nodes = sorted(self._done, key=lambda node: -depths[node])
        self.nodes_by_depth: dict[int, list[Node]] = {}
        for node in self.nodes:
            self.nodes_by_depth.setdefault(depths[node], []).append(node)
        self.layers = sorted(self._order, key=lambda x: (-layer_depths[x], self._order[x]))
        self._check(inputs)

    def _walk(self, tensor: Any, open_nodes: set[Node]) -> None:
        layer, index, _ = tensor._keras_history
        node = layer._inbound_nodes[index]
        if node in open_nodes:
            raise ValueError(f'The tensor {tensor} at layer "{layer.name}" is part of a cycle.')
        if node in self._done:
            return
        self._order.setdefault(layer, len(self._order))
        if not isinstance(layer, InputLayer) and id(tensor) not in self._limits:
            for source in node.input_tensors:
                self._walk(source, open_nodes | {node})
        self._done[node] = None

    def _node_depths(self, outputs: Sequence[Any]) -> dict[Node, int]:
        depths: dict[Node, int] = {}
        layers: dict[Any, int] = {}
        for node in reversed(self._done):
            depth = max(depths.setdefault(node, 0), layers.get(node.layer, 0))
            depths[node] = layers[node.layer] = depth
            if isinstance(node.layer, InputLayer):
                continue
            for source in node.input_tensors:
                layer, index, _ = source._keras_history
                below = layer._inbound_nodes[index]
                depths[below] = max(depth + 1, depths.get(below, 0))
        self._depths_of_layers = layers
        return depths

    def _layer_depths(self, depths: dict[Node, int], inputs: Sequence[Any]) -> dict[Any, int]:
        found = dict(self._depths_of_layers)
        for tensor in inputs:
            layer, index, _ = tensor._keras_history
            if layer not in found:
                found[layer] = self._order[layer] = 0
                self._order[layer] = -1
                depths[layer._inbound_nodes[index]] = 0
                self._done[layer._inbound_nodes[index]] = None
        return found

    def _check(self, inputs: Sequence[Any]) -> None:
        computable = {id(t) for t in inputs}
        names: list[str] = []
        for node in self.nodes:
            if not isinstance(node.layer, InputLayer):
                for tensor in node.input_tensors:
                    if (
                        id(tensor) not in computable
                        and id(node.output_tensors[0]) not in computable
                    ):
                        raise ValueError(
                            f"Graph disconnected: cannot obtain value for tensor {tensor} at layer "
                            f'"{node.layer.name}". The following previous layers were accessed '
                            f"without issue: {names}"
                        )
                names.append(node.layer.name)
            if not isinstance(node.layer, InputLayer) or any(
                id(t) in computable for t in node.output_tensors
            ):
                computable.update(id(t) for t in node.output_tensors)
        all_names = [layer.name for layer in self.layers]
        for name in all_names:
            if all_names.count(name) != 1:
                raise ValueError(
                    f'The name "{name}" is used {all_names.count(name)} times in the model. All '
                    "layer names should be unique."
                )


class Network(Layer):
    """Layers as one layer: given by inputs and outputs, or by a subclass's `call`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        functional = len(args) >= 2 or ("inputs" in kwargs and "outputs" in kwargs)
        if functional:
            self._init_functional(*args, **kwargs)
        else:
            self._init_subclassed(*args, **kwargs)

    def _init_functional(
        self, inputs: Any, outputs: Any, name: str | None = None, trainable: bool = True
    ) -> None:
        super().__init__(name=name, trainable=trainable)
        self._connect(inputs, outputs)

    def _init_subclassed(self, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._is_graph_network = False
        self.inputs: Any = None
        self.outputs: Any = None

    def _connect(self, inputs: Any, outputs: Any) -> None:
        """Take the calls of layers between tensors as the network."""
        make_history(nest.flatten(outputs))
        for tensor in nest.flatten(outputs):
            if getattr(tensor, "_keras_history", None) is None:
                raise ValueError(
                    "Output tensors to a Model must be the output of a TensorFlow `Layer` (thus "
                    f"holding past layer metadata). Found: {tensor}"
                )
        for tensor in nest.flatten(inputs):
            if getattr(tensor, "_keras_history", None) is None:
                raise ValueError(
                    "Input tensors to a Model must come from `tf.keras.Input`. Received: "
                    f"{tensor} (missing previous layer metadata)."
                )
        self._is_graph_network = True
        self._nested_inputs, self._nested_outputs = inputs, outputs
        self.inputs, self.outputs = list(nest.flatten(inputs)), list(nest.flatten(outputs))
        self._topology = Topology(self.inputs, self.outputs)
        self.built = True
        self._dtype = None
        self._set_names()

    def _set_names(self) -> None:
        self.input_names = [t._keras_history.layer.name for t in self.inputs]
        self.output_names = _numbered([t._keras_history.layer.name for t in self.outputs])

    # layers and weights

    @property
    def layers(self) -> list[Any]:
        if self._is_graph_network:
            return list(self._topology.layers)
        return [layer for layer in super()._sublayers() if not _is_metric(layer)]

    def _sublayers(self) -> list[Any]:
        return self.layers

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """A layer by its name or its place."""
        if index is not None:
            if len(self.layers) <= index:
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(self.layers)} layers."
                )
            return self.layers[index]
        if not name:
            raise ValueError("Provide either a layer name or layer index.")
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No such layer: {name}")

    @property
    def weights(self) -> list[Any]:
        found = [w for layer in self.layers for w in layer.weights]
        found += self._trainable_weights + self._non_trainable_weights
        found += [] if self._is_graph_network else self._held_variables()
        return list({id(w): w for w in found}.values())

    def _held_variables(self) -> list[Any]:
        return [] if self._is_graph_network else super()._held_variables()

    @property
    def state_updates(self) -> list[Any]:
        return [u for layer in self.layers if layer.stateful for u in layer.updates]

    @property
    def stateful(self) -> bool:
        return any(getattr(layer, "stateful", False) for layer in self._layers_or_none())

    @stateful.setter
    def stateful(self, value: bool) -> None:
        pass

    def _layers_or_none(self) -> list[Any]:
        return self.layers if "_is_graph_network" in self.__dict__ else []

    def reset_states(self) -> None:
        """Zero the states of stateful layers."""
        for layer in self.layers:
            if hasattr(layer, "reset_states") and getattr(layer, "stateful", False):
                layer.reset_states()

    # calls

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if not self._is_graph_network:
            raise NotImplementedError(
                "When subclassing the `Model` class, you should implement a `call` method."
            )
        return self._run(inputs, training)

    def _run(self, inputs: Any, training: Any) -> Any:
        """The layers applied again, to other inputs."""
        flat = nest.flatten(inputs)
        values = {id(t): value for t, value in zip(self.inputs, flat, strict=True)}
        for node in self._topology.nodes:
            outputs = node.output_tensors
            if isinstance(node.layer, InputLayer) or all(id(t) in values for t in outputs):
                continue
            if not all(id(t) in values for t in node.input_tensors):
                continue

            def swap(item: Any) -> Any:
                return values.get(id(item), item) if isinstance(item, Tensor) else item

            kwargs = {k: nest.map_structure(swap, v) for k, v in node.kwargs.items()}
            if _takes(node.layer, "training") and training is not None:
                kwargs.setdefault("training", training)
            made = node.layer(nest.map_structure(swap, node.inputs), **kwargs)
            values.update(zip((id(t) for t in outputs), nest.flatten(made), strict=True))
        found = [values[id(t)] for t in self.outputs]
        return nest.pack_sequence_as(self._nested_outputs, found)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if not self._is_graph_network:
            return None
        return single([getattr(t, "_keras_mask", None) for t in self.outputs])

    def _set_masks(self, inputs: Any, outputs: Any, mask: Any) -> None:
        """The layers inside have put masks on the outputs."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        if not self._is_graph_network:
            return super().compute_output_shape(input_shape)
        known = [shape_of(t) for t in self.inputs]
        given = input_shape if isinstance(input_shape, list) else [input_shape]
        if [tuple(TensorShape(s).as_list()) for s in given] == known:
            return single([t.shape for t in self.outputs])
        return super().compute_output_shape(input_shape)

    @property
    def input(self) -> Any:
        return self._nested_inputs if self._is_graph_network else super().input

    @property
    def output(self) -> Any:
        return self._nested_outputs if self._is_graph_network else super().output

    @property
    def input_shape(self) -> Any:
        if self._is_graph_network:
            return nest.map_structure(shape_of, self._nested_inputs)
        return super().input_shape

    @property
    def output_shape(self) -> Any:
        if self._is_graph_network:
            return nest.map_structure(shape_of, self._nested_outputs)
        return super().output_shape

    @property
    def input_spec(self) -> Any:
        return self.__dict__.get("_own_input_spec")

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        self.__dict__["_own_input_spec"] = value

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of a subclass for inputs of this shape."""
        if self._is_graph_network or self.built:
            self.built = True
            return
        self.built = True
        if type(self).call is not Network.call and not self._calling:
            super().compute_output_shape(input_shape)

    _calling = True

    def summary(
        self, line_length: int | None = None, positions: Any = None, print_fn: Any = None
    ) -> None:
        """Print the layers, their output shapes and numbers of weights."""
        if not self.built:
            raise ValueError(
                "This model has not yet been built. Build the model first by calling `build()` or "
                "calling `fit()` with some data, or specify an `input_shape` argument in the first "
                "layer(s) for automatic build."
            )
        print_summary(self, line_length, positions, print_fn)

    # configuration

    def get_config(self) -> dict[str, Any]:
        if not self._is_graph_network:
            raise NotImplementedError
        return copy.deepcopy(network_config(self))

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """A network like the one that gave the configuration, its weights new."""
        from anode.frontends.tensorflow.keras.configuration import network_from_config

        return network_from_config(cls, config, custom_objects)

    def _updated_config(self) -> dict[str, Any]:
        return {
            "class_name": type(self).__name__,
            "config": self.get_config(),
            "keras_version": "2.2.4-tf",
            "backend": "tensorflow",
        }

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON, without weights."""
        from anode.frontends.tensorflow.keras.configuration import json_default

        return json.dumps(self._updated_config(), default=json_default, **kwargs)

    def to_yaml(self, **kwargs: Any) -> str:
        """The configuration as YAML; needs the package pyyaml."""
        import yaml

        return str(yaml.dump(json.loads(self.to_json()), **kwargs))

    def save(
        self,
        filepath: Any,
        overwrite: bool = True,
        include_optimizer: bool = True,
        save_format: str | None = None,
        signatures: Any = None,
        options: Any = None,
    ) -> None:
        """Write architecture, weights and training state to a file."""
        from anode.frontends.tensorflow.keras.saving import save_model

        save_model(self, filepath, overwrite, include_optimizer, save_format, signatures, options)

    def save_weights(self, filepath: Any, overwrite: bool = True, save_format: Any = None) -> None:
        """Write the weights: HDF5 for names with .h5 or .keras, else a TensorFlow checkpoint."""
        from anode.frontends.tensorflow.keras.saving import save_weights

        save_weights(self, filepath, overwrite, save_format)

    def load_weights(self, filepath: Any, by_name: bool = False) -> Any:
        """Read weights from a file of either format."""
        from anode.frontends.tensorflow.keras.saving import load_weights

        return load_weights(self, filepath, by_name)


def _takes(layer: Any, argument: str) -> bool:
    return isinstance(layer, BaseLayer) and layer._accepts(argument)


def _is_metric(layer: Any) -> bool:
    return hasattr(layer, "update_state") and hasattr(layer, "result")


def _numbered(names: Sequence[str]) -> list[str]:
    """Names made unique: a name met again gets _1, _2 …"""
    found: list[str] = []
    for name in names:
        number, unique = 0, name
        while unique in found:
            number += 1
            unique = f"{name}_{number}"
        found.append(unique)
    return found


def network_config(network: Network) -> dict[str, Any]:
    """Layers with their configurations, and which call takes which tensor."""
    from anode.frontends.tensorflow.keras.configuration import functional_config

    return functional_config(network)
