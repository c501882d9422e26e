"""Layers around layers: Bidirectional and TimeDistributed."""

from __future__ import annotations

import copy
from typing import Any

from anode.frontends.tensorflow.keras import state
from anode.frontends.tensorflow.keras.cells import _listed
from anode.frontends.tensorflow.keras.core_layers import layer_export
from anode.frontends.tensorflow.keras.layer import Layer, shape_of
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.tensor_shape import TensorShape


@layer_export("Wrapper")
class Wrapper(Layer):
    """The base of layers around another one."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer

    @property  # type: ignore[misc]
    def activity_regularizer(self) -> Any:
        return getattr(self.__dict__.get("layer"), "activity_regularizer", None)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": state.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        from anode.frontends.tensorflow.keras.configuration import deserialize_layer

        config = dict(config)
        return cls(deserialize_layer(config.pop("layer"), custom_objects), **config)


@layer_export("TimeDistributed")
class TimeDistributed(Wrapper):
    """A layer applied to each time step of [batch, time, ...]."""

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(
                "Please initialize `TimeDistributed` layer with a `Layer` instance. You passed: "
                f"{layer}"
            )
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        dims = TensorShape(input_shape).as_list()
        if len(dims) < 3:
            raise ValueError(
                "`TimeDistributed` Layer should be passed an `input_shape ` with at least 3 "
                f"dimensions, received: {input_shape}"
            )
        if not self.layer.built:
            self.layer.build(TensorShape([dims[0], *dims[2:]]))
            self.layer.built = True
        self.built = True

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        dims = shape_of(inputs)
        assert dims is not None
        sizes = tf.shape(inputs)
        rows = tf.reshape(inputs, tf.concat([[-1], sizes[2:]], 0))
        rows.set_shape([None, *dims[2:]])
        kwargs = {"training": training} if self.layer._accepts("training") else {}
        outputs = self.layer.call(rows, **kwargs)
        after = tf.shape(outputs)
        found = tf.reshape(outputs, tf.concat([sizes[:2], after[1:]], 0))
        found.set_shape([*dims[:2], *(shape_of(outputs) or ())[1:]])
        return found

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        dims = TensorShape(input_shape).as_list()
        inner = self.layer.compute_output_shape(TensorShape([dims[0], *dims[2:]]))
        inner = TensorShape(inner).as_list()
        return TensorShape([inner[0], dims[1], *inner[1:]])

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return mask


@layer_export("Bidirectional")
class Bidirectional(Wrapper):
    """A recurrent layer forwards and a copy backwards, their outputs merged."""

    def __init__(
        self, layer: Any, merge_mode: Any = "concat", weights: Any = None, **kwargs: Any
    ) -> None:
        if merge_mode not in ("sum", "mul", "ave", "concat", None):
            raise ValueError(
                'Invalid merge mode. Merge mode should be one of {"sum", "mul", "ave", "concat", '
                "None}"
            )
        shape = getattr(layer, "_batch_input_shape", None)
        if shape is not None and "input_shape" not in kwargs:
            kwargs.setdefault("batch_input_shape", shape)
        super().__init__(layer, **kwargs)
        config = layer.get_config()
        config.pop("batch_input_shape", None)
        self.forward_layer = type(layer).from_config(copy.deepcopy(config))
        config["go_backwards"] = not config["go_backwards"]
        self.backward_layer = type(layer).from_config(copy.deepcopy(config))
        self.forward_layer._name = "forward_" + layer.name
        self.backward_layer._name = "backward_" + layer.name
        self.merge_mode = merge_mode
        self.stateful, self.supports_masking = layer.stateful, True
        self.return_sequences, self.return_state = layer.return_sequences, layer.return_state

    def _sublayers(self) -> list[Any]:
        return [self.forward_layer, self.backward_layer]

    def __call__(self, inputs: Any, initial_state: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(inputs, (list, tuple)) and initial_state is None and len(inputs) > 1:
            inputs, initial_state = inputs[0], list(inputs[1:])
        if initial_state is None:
            return super().__call__(inputs, *args, **kwargs)
        return super().__call__([inputs, *_listed(initial_state)], *args, **kwargs)

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        states: list[Any] = []
        if isinstance(inputs, (list, tuple)):
            inputs, states = inputs[0], list(inputs[1:])
            mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        half = len(states) // 2
        kwargs = {"training": training, "mask": mask}
        y = self.forward_layer(inputs, initial_state=states[:half] or None, **kwargs)
        back = self.backward_layer(inputs, initial_state=states[half:] or None, **kwargs)
        after: list[Any] = []
        if self.return_state:
            after = [*y[1:], *back[1:]]
            y, back = y[0], back[0]
        if self.return_sequences:
            back = tf.reverse(back, [1])
        output = self._merged(y, back)
        if not self.return_state:
            return output
        return [*_listed(output), *after]

    def _merged(self, y: Any, back: Any) -> Any:
        if self.merge_mode == "concat":
            return tf.concat([y, back], -1)
        if self.merge_mode == "sum":
            return y + back
        if self.merge_mode == "ave":
            return (y + back) / 2
        return y * back if self.merge_mode == "mul" else [y, back]

    def reset_states(self) -> None:
        self.forward_layer.reset_states()
        self.backward_layer.reset_states()

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        own = mask if self.return_sequences else None
        found = [own, own] if not self.merge_mode else own
        if not self.return_state:
            return found
        count = 2 * len(_listed(self.layer.cell.state_size))
        return [*_listed(found), *([None] * count)]

    def compute_output_shape(self, input_shape: Any) -> Any:
        found = self.forward_layer.compute_output_shape(input_shape)
        first = found[0] if self.return_state else found
        dims = TensorShape(first).as_list()
        if self.merge_mode == "concat":
            dims[-1] *= 2
        return TensorShape(dims)

    def build(self, input_shape: Any) -> None:
        self.built = True

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "merge_mode": self.merge_mode}
