"""tf.keras.Sequential: layers one after the other."""

from __future__ import annotations

import copy
from typing import Any

from anode.frontends.tensorflow.api.layers_base import Layer as BaseLayer
from anode.frontends.tensorflow.keras.layer import Input, InputLayer
from anode.frontends.tensorflow.keras.model import Model
from anode.frontends.tensorflow.keras.state import (
    deserialize_keras_object,
    serialize_keras_object,
)
from anode.frontends.tensorflow.opdef import export


@export("keras.Sequential", "keras.models.Sequential")
class Sequential(Model):
    """A stack of layers; with an input shape for the first it is built as layers are added."""

    def __init__(self, layers: Any = None, name: str | None = None) -> None:
        super().__init__(name=name)
        self._stack: list[Any] = []
        self._build_input_shape: Any = None
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Any]:
        found = self.__dict__.get("_stack", [])
        return found[1:] if found and isinstance(found[0], InputLayer) else list(found)

    def _sublayers(self) -> list[Any]:
        return self.layers

    def add(self, layer: Any) -> None:
        """Put a layer on top."""
        if hasattr(layer, "_keras_history"):
            origin = layer._keras_history[0]
            if isinstance(origin, InputLayer):
                layer = origin
        if not isinstance(layer, BaseLayer):
            raise TypeError(f"The added layer must be an instance of class Layer. Found: {layer}")
        if not self._stack:
            self._begin(layer)
        elif self.outputs:
            self.outputs = [self._single_output(layer, layer(self.outputs[0]))]
            self._stack.append(layer)
        else:
            self._stack.append(layer)
        if self.outputs:
            self._connect(self.inputs[0], self.outputs[0])

    def _begin(self, layer: Any) -> None:
        if isinstance(layer, InputLayer):
            self._stack.append(layer)
            self.inputs = self.outputs = layer._inbound_nodes[0].output_tensors
            return
        shape = _input_shape(layer)
        if shape is None:
            self._stack.append(layer)
            return
        dtype = getattr(_first(layer), "dtype", None)
        x = Input(batch_shape=shape, dtype=dtype, name=layer.name + "_input")
        output = self._single_output(layer, layer(x))
        self._stack += [x._keras_history.layer, layer]
        self.inputs, self.outputs = [x], [output]

    def _single_output(self, layer: Any, output: Any) -> Any:
        if isinstance(output, (list, tuple)):
            if len(output) != 1:
                raise TypeError(
                    "All layers in a Sequential model should have a single output tensor. For "
                    "multi-output layers, use the functional API."
                )
            return output[0]
        return output

    def pop(self) -> None:
        """Take the last layer away."""
        if not self.layers:
            raise TypeError("There are no layers in the model.")
        self._stack.pop()
        if not self.layers:
            self.outputs = self.inputs = None
            self._is_graph_network = self.built = False
        elif self._is_graph_network:
            self.outputs = [self.layers[-1].output]
            self._connect(self.inputs[0], self.outputs[0])

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for inputs of this shape, batch size included."""
        if self._is_graph_network or not self._stack:
            self.built = True
            return
        if input_shape is None:
            raise ValueError(
                "You must provide an `input_shape` argument."
                if not self._build_input_shape
                else "the model is built already"
            )
        if self._calling_self:
            return
        self._calling_self = True
        self._build_input_shape = tuple(input_shape)
        from anode.frontends.tensorflow.keras.layer import make_placeholder

        x = make_placeholder("float32", self._build_input_shape)
        self._training_call(x)
        self.built = True

    _calling_self = False

    def _training_call(self, x: Any) -> Any:
        from anode.frontends.tensorflow.graph import name_scope

        with name_scope(self.name):
            return self.call(x)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if self._is_graph_network:
            return super().call(inputs, training, mask)
        x = inputs
        for layer in self.layers:
            kwargs = {"training": training} if layer._accepts("training") else {}
            x = layer(x, **kwargs)
        return x

    def predict_proba(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        return self.predict(x, batch_size, verbose)

    def predict_classes(self, x: Any, batch_size: int = 32, verbose: int = 0) -> Any:
        """The class numbers with the highest probabilities."""
        proba = self.predict(x, batch_size=batch_size, verbose=verbose)
        if proba.shape[-1] > 1:
            return proba.argmax(axis=-1)
        return (proba > 0.5).astype("int32")

    def get_config(self) -> dict[str, Any]:
        layers = []
        for layer in self.layers:
            config = serialize_keras_object(layer)
            layers.append({"class_name": type(layer).__name__, "config": config["config"]})
        found: dict[str, Any] = {"name": self.name, "layers": copy.deepcopy(layers)}
        if self._build_input_shape:
            found["build_input_shape"] = self._build_input_shape
        return found

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """A model like the one that gave the configuration."""
        from anode.frontends.tensorflow.keras.configuration import known_layer

        name = config.get("name") if isinstance(config, dict) else None
        entries = config["layers"] if isinstance(config, dict) else config
        model = cls(name=name)
        for entry in entries:
            model.add(deserialize_keras_object(entry, known_layer, custom_objects, "layer"))
        shape = config.get("build_input_shape") if isinstance(config, dict) else None
        if not model.inputs and shape:
            model.build(shape)
        return model


def _first(layer: Any) -> Any:
    """The layer that meets the data: inside of nested models and wrappers too."""
    while getattr(layer, "_stack", None):
        layer = layer._stack[0]
    return layer


def _input_shape(layer: Any) -> Any:
    if getattr(layer, "_is_graph_network", False):
        return tuple(layer.inputs[0].shape.as_list())
    return getattr(_first(layer), "_batch_input_shape", None)
