"""tf.contrib.rnn.NASCell: the cell that a search over cells found."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api.initializers import Zeros
from anode.frontends.tensorflow.api.rnn_cells import LayerRNNCell, LSTMStateTuple
from anode.frontends.tensorflow.graph import apply
from anode.frontends.tensorflow.opdef import export
from anode.frontends.tensorflow.tensor_shape import TensorShape

PARTS = 8


@export("contrib.rnn.NASCell", "contrib.rnn.python.ops.rnn_cell.NASCell")
class NASCell(LayerRNNCell):
    """A recurrent cell with eight gates. Source: Zoph and Le 2016, arXiv 1611.01578."""

    def __init__(
        self,
        num_units: int,
        num_proj: int | None = None,
        use_bias: bool = False,
        reuse: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_reuse=reuse, **kwargs)
        self._num_units, self._num_proj, self._use_bias = num_units, num_proj, use_bias

    @property
    def output_size(self) -> Any:
        return self._num_units if self._num_proj is None else self._num_proj

    @property
    def state_size(self) -> Any:
        return LSTMStateTuple(self._num_units, self.output_size)

    def build(self, inputs_shape: Any) -> None:
        depth, columns = TensorShape(inputs_shape).as_list()[1], PARTS * self._num_units
        if depth is None:
            raise ValueError("Could not infer input size from inputs.get_shape()[-1]")
        self.recurrent_kernel = self.add_weight("recurrent_kernel", [self.output_size, columns])
        self.kernel = self.add_weight("kernel", [depth, columns])
        if self._use_bias:
            self.bias = self.add_weight("bias", [columns], initializer=Zeros())
        if self._num_proj is not None:
            self.projection_weights = self.add_weight(
                "projection_weights", [self._num_units, self._num_proj]
            )
        self.built = True

    def call(self, inputs: Any, state: Any) -> Any:
        c, h = state
        recurrent = apply("MatMul", h, self.recurrent_kernel)
        if self._use_bias:
            recurrent = apply("BiasAdd", recurrent, self.bias)
        given = apply("Split", 1, apply("MatMul", inputs, self.kernel), num_split=PARTS)
        own = apply("Split", 1, recurrent, num_split=PARTS)
        kinds = ("Sigmoid", "Relu", "Sigmoid", "Relu", "Tanh", "Sigmoid", "Tanh", "Sigmoid")
        leaves = [
            apply(kind, x * y if i == 3 else x + y)
            for i, (kind, x, y) in enumerate(zip(kinds, given, own, strict=True))
        ]
        kept = apply("Tanh", apply("Tanh", leaves[0] * leaves[1]) + c)
        c = kept * apply("Tanh", leaves[2] + leaves[3])
        gate = apply("Tanh", leaves[4] * leaves[5]) + apply("Sigmoid", leaves[6] + leaves[7])
        h = apply("Tanh", c * apply("Tanh", gate))
        if self._num_proj is not None:
            h = apply("MatMul", h, self.projection_weights)
        return h, LSTMStateTuple(c, h)
