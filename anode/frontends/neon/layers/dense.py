"""Layers of features: products, biases, tables, and those that overwrite their input."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.base import Layer, ParameterLayer, interpret_in_shape


class Linear(ParameterLayer):
    """W · x, with a weight (nout, nin)."""

    def __init__(
        self,
        nout: int,
        init: Any,
        bsum: bool = False,
        name: str | None = None,
        parallelism: str = "Disabled",
    ) -> None:
        super().__init__(init, name, parallelism)
        self.nout, self.bsum = nout, bsum

    def __str__(self) -> str:
        return f"{self.classnm} Layer '{self.name}': {self.nin} inputs, {self.nout} outputs"

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.nin, self.nsteps = interpret_in_shape(self.in_shape)
        self.out_shape = (self.nout, self.nsteps)
        if self.weight_shape is None:
            self.weight_shape = (self.nout, self.nin)
        if self.bsum:
            self.batch_sum_shape = (self.nout, 1)
        return self

    @property
    def product(self) -> Tensor:
        """The weight as it is multiplied."""
        return self.W

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        self.inputs = inputs
        x, y = inputs, self.outputs
        if self.actual_bsz is not None or self.actual_seq_len is not None:
            batch = self.be.bsz if self.actual_bsz is None else self.actual_bsz
            steps = self.nsteps if self.actual_seq_len is None else self.actual_seq_len
            x, y = x[:, : batch * steps], y[:, : batch * steps]
        self.be.compound_dot(A=self.product, B=x, C=y, beta=beta, bsum=self.batch_sum)
        return self.outputs

    @Layer.accumulates
    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        if self.deltas is not None:
            self.be.compound_dot(A=self.product.T, B=error, C=self.deltas, alpha=alpha, beta=beta)
        self.be.compound_dot(A=error, B=self.inputs.T, C=self.dW)
        return self.deltas


class BinaryLinear(Linear):
    """Linear with the signs of its weight. Source: Courbariaux et al. 2016, BinaryNet."""

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        super().allocate(shared_outputs, accumulate_updates)
        self.Wb = self.be.empty_like(self.W)

    @property
    def product(self) -> Tensor:
        return self.Wb

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        self.be.binarize(self.W, self.Wb, stochastic=False)
        return super().fprop(inputs, inference, beta)


class Bias(ParameterLayer):
    """x + W, a number for each feature or map; overwrites its input."""

    def __init__(self, init: Any, name: str | None = None) -> None:
        super().__init__(init, name)
        self.owns_output = self.owns_delta = False

    def __str__(self) -> str:
        if len(self.in_shape) == 3:
            maps, height, width = self.in_shape
            return f"Bias Layer '{self.name}': size {maps} x ({height}x{width})"
        return f"Bias Layer '{self.name}': size {self.bias_size}"

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.out_shape = self.in_shape
        self.bias_size = self.in_shape[0]
        if self.weight_shape is None:
            self.weight_shape = (self.bias_size, 1)
        return self

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.outputs = self.inputs = inputs
        self.y = inputs.reshape((self.bias_size, -1))
        self.y[:] = self.y + self.W
        return self.outputs

    @Layer.accumulates
    def bprop(self, error: Any) -> Any:
        self.deltas = error.reshape((self.bias_size, -1))
        self.be.sum(self.deltas, axis=1, out=self.dW)
        return error


class LookupTable(ParameterLayer):
    """The rows of W at the ids that come in: (steps, 1) to (embedding_dim, steps).

    The row `pad_idx` is zero and stays so; without `update` the gradient is zero.
    """

    def __init__(
        self,
        vocab_size: int,
        embedding_dim: int,
        init: Any,
        update: bool = True,
        pad_idx: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(init, name)
        self.embedding_dim, self.vocab_size = embedding_dim, vocab_size
        self.update, self.pad_idx = update, pad_idx
        self.outputs_t: Any = None

    def __str__(self) -> str:
        return (
            f"LookupTable Layer : {self.nin} inputs, "
            f"({self.embedding_dim}, {self.nin}) outputs size"
        )

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.nin, self.nsteps = interpret_in_shape(self.in_shape)
        self.out_shape = (self.embedding_dim, self.nin)
        if self.weight_shape is None:
            self.weight_shape = (self.vocab_size, self.embedding_dim)
        return self

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        super().allocate(shared_outputs, accumulate_updates)
        if self.inputs is None:
            self.inputs = self.be.zeros((1, self.nin * self.be.bsz), dtype=np.int32)
        self.W.name = f"{self.name}, a table"  # in errors about indices
        self.dW[:] = 0
        if self.pad_idx is not None:
            self.W[self.pad_idx] = 0
        if self.outputs_t is None:
            self.outputs_t = self.be.empty_like(self.outputs.T)

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.inputs[:] = inputs.reshape(self.inputs.shape)
        self.outputs_t[:] = self.W.take(self.inputs, axis=0)
        self.outputs[:] = self.outputs_t.T
        return self.outputs

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0) -> Any:
        if self.update:
            self.be.compound_bprop_lut(
                self.nin, self.inputs, error, self.outputs_t, self.dW, self.pad_idx, alpha, beta
            )
        return self.deltas


class Activation(Layer):
    """A transform of each element, in place; the error is multiplied by the transform's `bprop`."""

    def __init__(self, transform: Any, name: str | None = None) -> None:
        super().__init__(name)
        self.transform = transform
        self.owns_output, self.owns_delta = False, True

    def __str__(self) -> str:
        return f"Activation Layer '{self.name}': {type(self.transform).__name__}"

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.out_shape = self.in_shape
        self.nout, _ = interpret_in_shape(self.in_shape)
        return self

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.outputs = self.inputs = inputs
        self.be.fprop_transform(None, self.transform, inputs, self.outputs)
        return self.outputs

    def bprop(self, error: Any) -> Any:
        self.be.bprop_transform(None, self.transform, self.outputs, error, self.deltas)
        return self.deltas


class Reshape(Layer):
    """Another shape for the features; 0 keeps the size there, -1 stands for what is left.

    Two dims are (features, steps), three are (C, H, W).
    """

    def __init__(self, reshape: Any, name: str | None = None) -> None:
        super().__init__(name)
        self.reshape = (reshape,) if isinstance(reshape, int) else reshape
        self.owns_output = False

    def __str__(self) -> str:
        return f"Reshape Layer '{self.name}' input shape {self.in_shape} to {self.reshape}"

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.in_shape_t = self._with_batch(self.in_shape)
        sizes = [self.in_shape[d] if n == 0 else n for d, n in enumerate(self.reshape)]
        if -1 in sizes:
            rest = int(np.prod(self.in_shape)) // -int(np.prod(sizes))
            sizes = [rest if n == -1 else n for n in sizes]
        self.out_shape = tuple(sizes)
        if np.prod(self.out_shape) != np.prod(self.in_shape):
            raise ValueError(f"{self.name}: {self.in_shape} does not reshape to {self.reshape}")
        self.out_shape_t = self._with_batch(self.out_shape)
        return self

    def _with_batch(self, shape: Any) -> tuple[int, int]:
        if isinstance(shape, tuple) and len(shape) == 2:
            return (shape[0], shape[1] * self.be.bsz)
        return (int(np.prod(shape)), self.be.bsz)

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.inputs, self.outputs = inputs, inputs.reshape(self.out_shape_t)
        return self.outputs

    def bprop(self, error: Any) -> Any:
        self.deltas = error.reshape(self.in_shape_t)
        return self.deltas


class DataTransform(Layer):
    """A transform of the data, in place: the first layer of a network, which passes no error on."""

    def __init__(self, transform: Any, name: str | None = None) -> None:
        super().__init__(name)
        self.transform, self.owns_output = transform, False

    def __str__(self) -> str:
        return f"DataTransform Layer '{self.name}': {type(self.transform).__name__}"

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.out_shape = self.in_shape
        self.nout, _ = interpret_in_shape(self.in_shape)
        return self

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.outputs = self.inputs = inputs
        self.outputs[:] = self.transform(self.inputs)
        return self.outputs

    def bprop(self, *args: Any) -> None:
        return None


class Dropout(Layer):
    """Keeps each element with the probability `keep`, in place.

    Inference multiplies by `keep` instead; in Caffe's mode training divides by it.
    """

    def __init__(self, keep: float = 0.5, name: str | None = None) -> None:
        super().__init__(name)
        self.keep = keep
        self.keep_mask: Any = None
        self.caffe_mode = self.be.check_caffe_compat()
        self._train_scaling = 1.0 / keep if self.caffe_mode else 1.0
        self.owns_output = False

    def __str__(self) -> str:
        return (
            f"Dropout Layer '{self.name}': {self.nout} inputs and outputs, "
            f"keep {100 * self.keep:.0f}% (caffe_compat {self.caffe_mode})"
        )

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.out_shape = self.in_shape
        self.nout, _ = interpret_in_shape(self.in_shape)
        return self

    def allocate(self, shared_outputs: Tensor | None = None) -> None:
        super().allocate(shared_outputs)
        self.keep_mask = self.be.iobuf(self.out_shape)

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        self.outputs = self.inputs = inputs
        if inference:
            return self._fprop_inference(inputs)
        self.be.make_binary_mask(self.keep_mask, self.keep)
        self.outputs[:] = self._kept(inputs)
        return self.outputs

    def _fprop_inference(self, inputs: Any) -> Any:
        if not self.caffe_mode:
            self.outputs[:] = inputs * self.keep
        return self.outputs

    def _kept(self, x: Any) -> Any:
        kept = self.keep_mask * x
        return kept * self._train_scaling if self.caffe_mode else kept

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        self.deltas = error
        kept = self._kept(error)
        plain = alpha == 1.0 and beta == 0.0
        self.deltas[:] = kept if plain else kept * alpha + beta * error
        return self.deltas
