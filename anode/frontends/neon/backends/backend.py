"""Backend: what neon's programs make Tensors with and compute on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from time import time
from typing import Any, ClassVar

import numpy as np

from anode import ops
from anode.frontends.neon.backends.lowering import BINARY, FLOATING, UNARY, fitted
from anode.frontends.neon.backends.normalization import Normalization, Products
from anode.frontends.neon.backends.operations import Operations
from anode.frontends.neon.backends.optree import REDUCTIONS, OpTreeNode
from anode.frontends.neon.backends.regions import Regions
from anode.frontends.neon.backends.spatial import Spatial
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.backends.unrolled import Unrolled
from anode.frontends.neon.tracing import Programs, host_input, is_tracing, perform

__all__ = ["Backend", "Block", "OpCollection", "OpTreeNode", "Tensor"]

HISTOGRAMS = 4096  # that are kept until they are dumped


class Block:
    """The parts of a run that `begin` and `end` are told of."""

    epoch, minibatch, fprop, bprop, update = range(5)


class OpCollection:
    """The names of op-trees' ops by kind."""

    zero_operand_ops = frozenset({"rand", "onehot"})
    unary_ops = frozenset({*UNARY, *FLOATING, "transpose"})
    binary_ops = frozenset(BINARY) | {"assign", "dot", "shift"}
    reduction_ops = frozenset(REDUCTIONS)
    float_ops = zero_operand_ops | unary_ops | binary_ops
    ew_ops = float_ops - {"dot", "transpose"}


class Backend(Operations, Products, Spatial, Normalization, Regions, Unrolled):
    """Makes Tensors and computes on them, through anode's graphs.

    `bsz` is the size of minibatches, `rng` draws initial values and masks.
    """

    backend_name = "cpu"
    backends: ClassVar[dict[str, type[Backend]]] = {}

    def __init__(
        self,
        rng_seed: int | None = None,
        default_dtype: Any = np.float32,
        hist_bins: int = 64,
        hist_offset: int = -48,
        compat_mode: str | None = None,
        num_devices: int | None = None,
        stochastic_round: Any = None,
        device_id: int | None = None,
        deterministic: bool | None = None,
    ) -> None:
        if default_dtype not in (np.float16, np.float32, np.float64):
            raise ValueError("Default data type for backend must be float16, 32 or 64")
        if compat_mode not in (None, "caffe", "neon"):
            raise ValueError(f"{compat_mode} mode not supported currently")
        self.default_dtype, self.rng_seed = default_dtype, rng_seed
        self.programs = Programs()
        self.rng = self.gen_rng(rng_seed)
        self.bsz: int = None  # type: ignore[assignment]
        self.compat_mode = compat_mode
        self.deterministic = rng_seed is not None
        self.stochastic_round = stochastic_round
        self.tensor_cls = Tensor
        self.device_type = self.device_id = 0
        self.use_pinned_mem = False
        self.set_hist_buffers(hist_bins, hist_offset)

    def __init_subclass__(cls) -> None:
        Backend.backends[cls.backend_name] = cls

    @staticmethod
    def backend_choices() -> list[str]:
        """The names of backends."""
        return sorted(Backend.backends)

    @staticmethod
    def allocate_backend(name: str, **kargs: Any) -> Backend:
        """The backend of this name; an unknown one raises ValueError."""
        if name not in Backend.backends:
            names = ", ".join(f"'{choice}'" for choice in Backend.backend_choices())
            raise ValueError(f"backend must be one of ({names})")
        return Backend.backends[name](**kargs)

    def cleanup_backend(self) -> None:
        """Let go of compiled graphs."""
        self.programs = Programs()

    # Random numbers, NumPy's, in the order that programs ask for them.

    def gen_rng(self, seed: int | None = None) -> np.random.RandomState:
        """Make `rng` anew from a seed."""
        self.rng = np.random.RandomState(seed)
        self.init_rng_state = self.rng_get_state()
        return self.rng

    def rng_get_state(self) -> Any:
        """The state of `rng`."""
        return self.rng.get_state()

    def rng_set_state(self, state: Any) -> None:
        """Put `rng` into a state."""
        self.rng.set_state(state)

    def rng_reset(self) -> None:
        """Put `rng` into its first state."""
        self.rng_set_state(self.init_rng_state)

    def fill_normal(self, ary: Tensor, mean: float = 0, stdv: float = 1) -> None:
        """Fill with normally distributed numbers of NumPy's global generator."""
        shape = ary.shape
        self._drawn(ary, lambda: np.random.standard_normal(shape) * stdv + mean)

    def make_binary_mask(self, out: Tensor, keepthresh: float = 0.5) -> None:
        """Fill with 1 with the probability `keepthresh`, else 0."""
        shape = out.shape
        self._drawn(out, lambda: self.rng.uniform(size=shape) < keepthresh)

    def _drawn(self, out: Tensor, draw: Any) -> None:
        if is_tracing():
            out.write(host_input(draw, out.shape, out.dtype))
        else:
            out.set(np.asarray(draw(), out.dtype))

    # Tensors.

    def empty(
        self,
        shape: Any,
        dtype: Any = None,
        name: str | None = None,
        persist_values: bool = True,
        parallel: bool = False,
        distributed: bool = False,
    ) -> Tensor:
        """A new tensor of zeros."""
        shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
        return self.array(np.zeros(shape, self._dtype(dtype)), dtype, name)

    zeros = empty

    def ones(
        self,
        shape: Any,
        dtype: Any = None,
        name: str | None = None,
        persist_values: bool = True,
        parallel: bool = False,
        distributed: bool = False,
    ) -> Tensor:
        """A new tensor of ones."""
        return self.array(np.ones(shape, self._dtype(dtype)), dtype, name)

    def array(
        self,
        ary: Any,
        dtype: Any = None,
        name: str | None = None,
        persist_values: bool = True,
        parallel: bool = False,
        distributed: bool = False,
    ) -> Tensor:
        """A new tensor with the elements of an array."""
        return self.tensor_cls(
            self, ary=np.array(ary, self._dtype(dtype)), dtype=self._dtype(dtype), name=name
        )

    def empty_like(
        self, ary: Any, dtype: Any = None, name: str | None = None, persist_values: bool = True
    ) -> Tensor:
        """A new tensor of zeros of the shape of another."""
        return self.empty(ary.shape, dtype, name)

    zeros_like = empty_like

    def ones_like(self, ary: Any, dtype: Any = None, name: str | None = None) -> Tensor:
        """A new tensor of ones of the shape of another."""
        return self.ones(ary.shape, dtype, name)

    def iobuf(
        self,
        dim0: Any,
        x: Tensor | None = None,
        dtype: Any = None,
        name: str | None = None,
        persist_values: bool = True,
        shared: Tensor | None = None,
        parallelism: str | None = None,
    ) -> Tensor:
        """A new tensor for a minibatch of a shape: (features, batch).

        Those of one shape made from one `shared` are one tensor; others have nothing in common,
        for the compiler plans the memory of steps.
        """
        if x is not None:
            return x
        if not isinstance(dim0, (tuple, list)):
            shape = (int(dim0), self.bsz)
        elif len(dim0) == 2:
            shape = (int(dim0[0]), int(dim0[1]) * self.bsz)
        else:
            shape = (math.prod(map(int, dim0)), self.bsz)
        if shared is None:
            return self.empty(shape, dtype, name)
        same = vars(shared).setdefault("_same", {shared.shape: shared})
        return same[shape] if shape in same else same.setdefault(shape, self.empty(shape, dtype))

    def shared_iobuf_size(self, shape: Any, parallelism: str | None) -> int:
        """The number of features of a shape."""
        return int(np.prod(shape))

    def copy_transpose(
        self, a: Tensor, out: Tensor, axes: Sequence[int] | None = None, repeat: int = 1
    ) -> None:
        """out = a with its axes exchanged."""

        def action() -> None:
            order = tuple(axes) if axes else tuple(reversed(range(len(a.shape))))
            moved = ops.transpose(a.node(), permutation=order)
            out.write(fitted(moved, out.shape, out.cell.type.dtype))

        perform(action, self.programs)

    def _dtype(self, dtype: Any) -> np.dtype:
        return np.dtype(self.default_dtype if dtype is None else dtype)

    # Histograms.

    def set_hist_buffers(self, hist_bins: int, hist_offset: int) -> None:
        """Keep histograms of so many bins, the first for logarithms below `hist_offset`."""
        self.hist_bins, self.hist_offset, self.hist_max = hist_bins, hist_offset, HISTOGRAMS
        self.hist_idx = 0
        self.hist_map: dict[str, int] = {}
        self._histograms: list[Tensor] = []

    def histogram(self, tensor: Tensor, tag: str) -> Tensor:
        """The counts of the rounded binary logarithms of a tensor's elements, kept under `tag`."""
        edges = np.arange(self.hist_bins + 1) + float(self.hist_offset)
        edges[0] = -np.inf
        with np.errstate(divide="ignore"):
            sizes = np.rint(np.log2(np.abs(tensor.get().astype(np.float32))))
        counts = np.histogram(sizes, bins=edges)[0]
        self.hist_map[tag] = self.hist_idx
        self.hist_idx += 1
        found = self.array(counts.reshape(1, -1), dtype=np.int32)
        self._histograms.append(found)
        return found

    def dump_hist_data(self) -> tuple[Tensor, dict[str, int]]:
        """The histograms kept, a row each, and the rows of the tags; begins anew."""
        rows = [tensor.get()[0] for tensor in self._histograms]
        rows += [np.zeros(self.hist_bins)] * (1 - len(rows))
        found = self.array(np.stack(rows), dtype=np.int32), self.hist_map
        self.set_hist_buffers(self.hist_bins, self.hist_offset)
        return found

    # Sizes, as neon or as Caffe counts them.

    def set_caffe_compat(self) -> None:
        """Count sizes of pooling and scale dropout as Caffe does."""
        self.compat_mode = "caffe"

    def check_caffe_compat(self) -> bool:
        """Whether sizes are counted as Caffe does."""
        return self.compat_mode == "caffe"

    def output_dim(
        self,
        X: int,
        S: int,
        padding: int,
        strides: int,
        pooling: bool = False,
        dilation: int = 1,
    ) -> int:
        """The number of windows of S elements, so far apart, in X elements and their padding."""
        S = dilation * (S - 1) + 1
        if pooling and padding >= S:
            raise ValueError(f"Padding dim {padding} incompatible with filter size {S}")
        if not (pooling and self.check_caffe_compat()):
            return (X - S + 2 * padding) // strides + 1
        size = -((S - X - 2 * padding) // strides) + 1
        return size - 1 if padding > 0 and (size - 1) * strides >= X + padding else size

    # What layers of networks ask of a backend, beside compute.

    def relu_layer(self) -> None:
        return None

    def fprop_relu(self, layer: Any, x: Any, slope: float) -> Any:
        """max(x, 0) + slope · min(x, 0)."""
        positive = self.maximum(x, 0)
        return positive + slope * self.minimum(x, 0) if slope else positive

    def bprop_relu(self, layer: Any, x: Any, error: Any, deltas: Any, slope: float) -> Any:
        """The derivative of `fprop_relu` at its value x."""
        positive = self.greater(x, 0)
        return positive + slope * self.less(x, 0) if slope else positive

    def fprop_softmax(self, x: Any, axis: int) -> Any:
        """exp(x), divided by its sum along an axis."""
        powers = self.exp(x - self.max(x, axis=axis))
        return self.reciprocal(self.sum(powers, axis=axis)) * powers

    def fprop_transform(
        self, ngLayer: Any, transform: Any, inputs: Tensor, outputs: Tensor, relu: bool = False
    ) -> None:
        """outputs = transform(inputs)."""
        outputs[:] = transform(inputs)

    def bprop_transform(
        self,
        ngLayer: Any,
        transform: Any,
        outputs: Tensor,
        error: Tensor,
        deltas: Tensor,
        relu: bool = False,
    ) -> None:
        """deltas = the transform's derivative at its value · error."""
        deltas[:] = transform.bprop(outputs) * error

    def fprop_skipnode(self, x: Tensor, y: Tensor, beta: float) -> None:
        """y = beta · y + x."""
        y[:] = y * beta + x if beta else x

    def bprop_skipnode(self, error: Tensor, deltas: Tensor, alpha: float, beta: float) -> None:
        """deltas = beta · deltas + alpha · error."""
        deltas[:] = deltas * beta + alpha * error if beta else alpha * error

    def begin(self, block: int, identifier: int) -> None:
        """A part of the run begins."""

    def end(self, block: int, identifier: int) -> None:
        """A part of the run ends."""

    def distribute_data(self, tensor: Any, layer_parallelism: Any) -> None:
        return None

    def convert_data(self, tensor: Any, layer_mkl: Any) -> None:
        return None

    def clean_data(self, tensor: Any, layer_mkl: Any) -> None:
        return None

    def allocate_new_deltas(self, delta: Any, in_shape: Any, parallelism: Any) -> Any:
        return delta

    def allocate_new_outputs(self, layer: Any, share_output: Tensor) -> None:
        layer.allocate(shared_outputs=share_output)

    def is_mkl(self) -> bool:
        return False

    def revert_tensor(self, tensor: Any) -> None:
        """For backends of several devices."""

    def execute(self, node: OpTreeNode) -> Any:
        """Do the assignment that an op-tree is."""
        return node.execute()

    # Time.

    def init_mark(self) -> dict[str, float]:
        """A mark in time, to be recorded."""
        return {"time": 0.0}

    def record_mark(self, marker: dict[str, float]) -> None:
        """Let a mark be now."""
        marker["time"] = time()

    def synchronize_mark(self, marker: dict[str, float]) -> None:
        """Wait until a mark is passed: nothing runs beside the program."""

    def get_time(self, start: dict[str, float], end: dict[str, float]) -> float:
        """Milliseconds between two marks."""
        return (end["time"] - start["time"]) * 1000.0
