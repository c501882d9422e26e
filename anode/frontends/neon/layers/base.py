"""Layer: what all of neon's layers have in common, those with weights, and branch points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import numpy as np

from anode.frontends.neon import NervanaObject
from anode.frontends.neon.backends.tensor import Tensor

Shape = Any  # an int, or a tuple: (features, steps), (C, H, W), (C, D, H, W)


def interpret_in_shape(xshape: Shape) -> tuple[int, int]:
    """The features and the steps of a shape."""
    if isinstance(xshape, (int, np.integer)):
        return (int(xshape), 1)
    if len(xshape) == 2:
        return xshape
    return (int(np.prod(xshape)), 1)


class Layer(NervanaObject):
    """A part of a network: `configure` tells it its input's shape, `allocate` makes its tensors.

    `fprop` gives the output, in `outputs`; `bprop` takes the error of the output and gives that of
    the input, in `deltas`. Layers that do not own their output overwrite their input.
    """

    in_shape: Shape
    out_shape: Shape
    acc_params: list[tuple[Tensor, Tensor]]

    def __init__(self, name: str | None = None, parallelism: str = "Unknown") -> None:
        super().__init__(name)
        self.outputs: Any = None
        self.inputs: Any = None
        self.deltas: Any = None
        self.has_params = False
        self.owns_output = True
        self.owns_delta = False
        self.parallelism = parallelism
        self.revert_list: list[Any] = []
        self.prev_layer: Any = None
        self.next_layer: Any = None
        self.actual_bsz: int | None = None
        self.actual_seq_len: int | None = None
        self.acc_on = False
        self.is_mklop = False

    def __str__(self) -> str:
        return f"{self.classnm} {self.name}"

    def nested_str(self, level: int = 0) -> str:
        """The layer as a line of text, indented."""
        return "  " * level + str(self)

    def configure(self, in_obj: Any) -> Any:
        """Take the shape of the input from a shape, a layer, a tensor or a data set."""
        self.prev_layer = in_obj if isinstance(in_obj, Layer) else None
        if isinstance(in_obj, Layer):
            self.in_shape = in_obj.out_shape
            if self.parallelism == "Unknown":
                self.parallelism = in_obj.parallelism
        elif isinstance(in_obj, (tuple, int, list)):
            self.in_shape = in_obj
        elif isinstance(in_obj, Tensor):
            self.in_shape = (in_obj.shape[0], in_obj.shape[1] // self.be.bsz)
        else:
            self.in_shape = in_obj.shape
        return self

    def allocate(self, shared_outputs: Tensor | None = None) -> None:
        """Make the output, unless it is there or the layer overwrites its input."""
        if self.outputs is None and self.owns_output:
            self.outputs = self.be.iobuf(self.out_shape, shared=shared_outputs)

    def allocate_deltas(self, global_deltas: Any) -> None:
        """Tell how large the error of the input is."""
        global_deltas.proc_layer(self)

    def set_deltas(self, delta_buffers: Any) -> None:
        """Take the tensor for the error of the input from those of a DeltasTree."""
        if self.owns_delta and self.prev_layer:
            if type(self.prev_layer) is BranchNode:
                self.deltas = self.prev_layer.deltas
            else:
                self.deltas = self.be.iobuf(self.in_shape, shared=delta_buffers.buffers[0])
                delta_buffers.buffers.reverse()
        else:
            self.deltas = None

    def set_next(self, layer: Layer) -> None:
        """Let `layer` be the one after this."""
        self.next_layer = layer

    def get_is_mklop(self) -> bool:
        return self.is_mklop

    def set_is_mklop(self) -> None:
        self.is_mklop = True

    def set_not_mklop(self) -> None:
        self.is_mklop = False

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        """The output for `inputs`; `inference` is for layers that train otherwise."""
        raise NotImplementedError

    def bprop(self, error: Any) -> Any:
        """The error of the input, from that of the output; the gradients of the weights."""
        raise NotImplementedError

    def get_terminal(self) -> Any:
        """The last layer, or layers."""
        return self

    def serialize(self) -> Any:
        """The weights with their gradients and states."""
        return self.get_params() if self.has_params else None

    def get_params(self) -> Any:
        """((weight, gradient), states), or a list of them."""
        raise NotImplementedError

    def load_weights(self, pdict: dict[str, Any], load_states: bool = True) -> None:
        """Take weights, and states of optimisers, from a description."""
        self.set_params(pdict)
        if load_states:
            self.set_states(pdict)

    def get_param_attrs(self) -> dict[str, bool]:
        return {
            "parallel": self.parallelism in ("Data", "Model"),
            "distributed": self.parallelism == "Model",
        }

    def set_params(self, pdict: dict[str, Any]) -> None:
        """Take weights from a description."""

    def set_states(self, pdict: dict[str, Any]) -> None:
        """Take the states of optimisers from a description."""

    def set_batch_size(self, N: int) -> None:
        """Let only the first N of each minibatch count."""
        self.actual_bsz = N

    def set_seq_len(self, S: int) -> None:
        """Let only the first S steps of sequences count."""
        self.actual_seq_len = S

    def get_description(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_description()

    def set_acc_on(self, acc_on: bool) -> None:
        """Let gradients add up from one `bprop` to the next, if they were allocated for it."""
        if not hasattr(self, "accumulate_updates"):
            raise BufferError("accumulate_updates not set")
        if self.accumulate_updates:
            self.acc_on = acc_on

    @staticmethod
    def accumulates(f: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator of `bprop`: while `acc_on`, the gradients in `acc_params` add up."""

        @wraps(f)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not isinstance(self, Layer):
                raise TypeError(f"{type(self).__name__}.{f.__name__}: only layers accumulate")
            pairs = self.acc_params if self.acc_on else []
            for kept, gradient in pairs:
                kept[:] = gradient
            result = f(self, *args, **kwargs)
            for kept, gradient in pairs:
                gradient[:] = gradient + kept
            return result

        return wrapper


class BranchNode(Layer):
    """A point where a Tree branches: every branch that begins with it gets what came to it.

    Of each name there is one, for as long as it is in use.
    """

    instances: ClassVar[Any] = WeakValueDictionary()

    def __new__(cls, name: str | None = None) -> BranchNode:
        found = cls.instances.get(name)
        return object.__new__(cls) if found is None else found

    def __init__(self, name: str | None = None) -> None:
        if BranchNode.instances.get(name) is not self:
            BranchNode.instances[name] = self
            super().__init__(name)
            self.owns_output = False

    def fprop(self, inputs: Any = None, inference: bool = False) -> Any:
        if inputs is not None:
            self.outputs = inputs
        return self.outputs

    def configure(self, in_obj: Any) -> Any:
        if in_obj is None and hasattr(self, "in_shape"):
            return self
        super().configure(in_obj)
        self.out_shape = self.in_shape
        return self

    def set_deltas(self, delta_buffers: Any) -> None:
        if self.deltas is None:
            self.deltas = self.be.iobuf(self.in_shape, shared=delta_buffers.buffers[0])
            delta_buffers.buffers.reverse()

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        """Nothing: the layers after a branch point share its deltas."""


class SkipNode(Layer):
    """The identity, as a branch of MergeSum. Source: He et al. 2015."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.owns_delta = self.is_mklop = True

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.out_shape = self.in_shape
        return self

    def fprop(self, inputs: Any = None, inference: bool = False, beta: float = 0) -> Any:
        self.be.fprop_skipnode(inputs, self.outputs, beta)
        return self.outputs

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        self.be.bprop_skipnode(error, self.deltas, alpha, beta)
        return self.deltas


class ParameterLayer(Layer):
    """A layer with a weight W, its gradient dW and what optimisers remember of it, `states`."""

    def __init__(
        self, init: Any = None, name: str | None = None, parallelism: str = "Unknown"
    ) -> None:
        super().__init__(name, parallelism)
        self.has_params = self.owns_delta = True
        self.init = init
        self.W: Any = None
        self.dW: Any = None
        self.weight_shape: Any = None
        self.batch_sum: Any = None
        self.batch_sum_shape: Any = None
        self.states: list[Any] = []

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        super().allocate(shared_outputs)
        self.accumulate_updates = accumulate_updates
        if self.W is None:
            self.init_params(self.weight_shape)
        if self.batch_sum_shape is not None:
            self.batch_sum = self.be.empty(self.batch_sum_shape, dtype=np.float32)

    def init_params(self, shape: Any) -> None:
        """Make the weight and give it its first values."""
        self.W = self.be.empty(shape)
        self.dW = self.be.empty_like(self.W)
        self.states = []
        fill(self.W, self.init, self.name)
        if self.accumulate_updates:
            self.acc_dW = self.be.empty_like(self.dW)
            self.acc_params = [(self.acc_dW, self.dW)]

    def get_params(self) -> Any:
        return ((self.W, self.dW), self.states)

    def get_params_serialize(self, keep_states: bool = True) -> dict[str, Any]:
        """The description with the weights."""
        return self.get_description(get_weights=True, keep_states=keep_states)

    def get_description(
        self, get_weights: bool = False, keep_states: bool = True, **kwargs: Any
    ) -> dict[str, Any]:
        found = super().get_description()
        if get_weights:
            found["params"] = {"W": self.W.get()}
            if keep_states:
                found["states"] = [state.get() for state in self.states]
        return found

    def set_params(self, pdict: dict[str, Any]) -> None:
        for key, value in pdict["params"].items():
            take_up(self, key, value)
        if self.dW is None:
            self.dW = self.be.empty_like(self.W)

    def set_states(self, pdict: dict[str, Any]) -> None:
        values = pdict.get("states", [])
        if len(self.states) != len(values):
            self.states = [self.be.zeros_like(self.dW) for _ in values]
        for state, value in zip(self.states, values, strict=True):
            state.set(value)


def fill(weight: Tensor, init: Any, name: str) -> None:
    """Give a weight its first values: an initialiser's, or those of an array."""
    if isinstance(init, (Tensor, np.ndarray)):
        if init.shape != weight.shape:
            raise ValueError(f"{name}: initial weights {init.shape} for a weight {weight.shape}")
        weight[:] = init
    else:
        init.fill(weight)


def take_up(layer: Layer, key: str, value: Any) -> None:
    """Set the tensor `key` of a layer, made if it is not there, or any other attribute."""
    old = getattr(layer, key, None)
    if isinstance(old, Tensor):
        old.set(value)
    elif isinstance(value, np.ndarray):
        setattr(layer, key, layer.be.array(value))
    else:
        setattr(layer, key, value)


def set_pairs_of_states(layer: Any, pdict: dict[str, Any]) -> None:
    """Take a list of states for each weight of a layer with several."""
    if not any(layer.states):
        layer.states = [[layer.be.array(x) for x in part] for part in pdict["states"]]
        return
    for mine, given in zip(layer.states, pdict["states"], strict=True):
        for state, value in zip(mine, given, strict=True):
            state.set(value)


class CompoundLayer(list):
    """Layers that are made together, as a list: the first, and what comes after its product."""

    def __init__(
        self,
        bias: Any = None,
        batch_norm: bool = False,
        activation: Any = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        if batch_norm and bias is not None:
            raise AttributeError("Batchnorm and bias cannot be combined")
        self.bias, self.batch_norm = bias, batch_norm
        self.activation, self.base_name = activation, name

    def init_base_name(self) -> None:
        """Let the name of the last layer be the one that others' names begin with."""
        if self.base_name is None:
            self.base_name = self[-1].name

    def add_postfilter_layers(self) -> None:
        """Add the bias or batch normalisation and the activation that were asked for."""
        self.init_base_name()
        self.extend(self.followers())
        if self.activation is not None:
            from anode.frontends.neon.layers.layer import Activation

            name = f"{self.base_name}_{self.activation.classnm}"
            self.append(Activation(transform=self.activation, name=name))

    def followers(self) -> Iterator[Layer]:
        """The bias or batch normalisation."""
        from anode.frontends.neon.layers.layer import BatchNorm, Bias

        if self.bias is not None:
            yield Bias(init=self.bias, name=f"{self.base_name}_bias")
        if self.batch_norm:
            yield BatchNorm(name=f"{self.base_name}_bnorm")
