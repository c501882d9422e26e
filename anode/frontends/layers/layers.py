"""Layers: pieces of a model, each a function of a node with variables of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, Self

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.initializers import Fans, GlorotUniform
from anode.frontends.layers.scope import Scope
from anode.ir.node import Node, Origin, at, user_line

Transform = Callable[[Node], Node]
GLOROT = GlorotUniform()


class Layer:
    """A piece of a model. A new one has `build`, and takes its variables from `self.variable`.

    The first dim of every value is the batch. `name` labels variables and errors; without one a
    model numbers its layers by class. A layer that appears twice in a model shares its variables.
    """

    name: str | None = None
    origin: Origin | None
    _scope: Scope
    _path: str

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        layer = super().__new__(cls)
        layer.origin = user_line()
        return layer

    def build(self, x: Node) -> Node:
        """The layer's output for the input `x`; called whenever a graph is built."""
        raise NotImplementedError

    @property
    def training(self) -> bool:
        """Whether the graph being built trains, rather than infers."""
        return self._scope.training

    def variable(
        self,
        name: str,
        shape: Sequence[int],
        init: Any = 0.0,
        *,
        dtype: object = "f32",
        trainable: bool = True,
        fans: Fans | None = None,
    ) -> Node:
        """The value of this layer's variable `name`; `init` is an initialiser, number or array.

        `fans` tells initialisers how the weight connects, by default first dims to last.
        """
        path = f"{self._path}.{name}"
        return self._scope.variable(path, tuple(shape), init, dtype, trainable, fans)

    def update(self, variable: Node, value: Node) -> None:
        """Let a variable become `value` after each training step."""
        self._scope.update(variable, value)

    def draw(self) -> tuple[Node, int]:
        """A random key and stream of the layer's own, for `ops.uniform(key, stream=…, …)`."""
        return self._scope.draw()

    def apply(self, layer: Layer, x: Node, name: str) -> Node:
        """The output of a layer inside this one, its variables under this one's name."""
        return apply(layer, x, self._scope, f"{self._path}.{layer.name or name}")


def apply(layer: Layer, x: Node, scope: Scope, path: str) -> Node:
    """Build `layer` on `x`, with its variables under `path`; shape errors name the layer.

    The nodes of anode's own layers are from the line where the layer was made.
    """
    layer._scope, layer._path = scope, path
    own = type(layer).__module__ == __name__
    try:
        with at(layer.origin) if own else nullcontext():
            return layer.build(x)
    except ShapeError as error:
        raise ShapeError(f"{path}: {error}") from error


class Linear(Layer):
    """x · weight, with a weight of (inputs, nout). Dims after the batch count as one, flattened."""

    def __init__(self, nout: int, init: Any = GLOROT, name: str | None = None) -> None:
        self.nout, self.init, self.name = nout, init, name

    def build(self, x: Node) -> Node:
        if not x.dtype.is_float:
            raise ShapeError(
                f"the input is {x.type}, not floating point; "
                "give the model preprocess=unit_range, or convert"
            )
        if len(x.shape) != 2:
            x = ops.reshape(x, shape=(x.shape[0], math.prod(_static(x)[1:])))
        return x @ self.variable("weight", (_features(x), self.nout), self.init, dtype=x.dtype)


class Bias(Layer):
    """x + bias, one number for each feature (dim 1)."""

    def __init__(self, init: Any = 0.0, name: str | None = None) -> None:
        self.init, self.name = init, name

    def build(self, x: Node) -> Node:
        bias = self.variable("bias", (_features(x),), self.init, dtype=x.dtype)
        return x + ops.broadcast_in_dim(bias, shape=x.shape, axes=(1,))


class Activation(Layer):
    """A function of a node as a layer."""

    def __init__(self, transform: Transform, name: str | None = None) -> None:
        self.transform, self.name = transform, name

    def build(self, x: Node) -> Node:
        return self.transform(x)


class Dropout(Layer):
    """Keeps each element with probability `keep`, in training only, and sets the others to zero.

    As in neon, training does not scale what is kept, and inference multiplies by `keep`. With
    `scaled` it is the other way round, as in Caffe: training divides by `keep`.
    """

    def __init__(self, keep: float = 0.5, *, scaled: bool = False, name: str | None = None) -> None:
        if not 0 < keep <= 1:
            raise ShapeError(f"Dropout: keep={keep} is no probability above 0")
        self.keep, self.scaled, self.name = float(keep), scaled, name

    def build(self, x: Node) -> Node:
        if not self.training:
            return x if self.scaled else x * self.keep
        key, stream = self.draw()
        if self.scaled:
            return ops.dropout(x, key, keep=self.keep, stream=stream)
        kept = ops.less(ops.uniform(key, stream=stream, shape=x.shape), self.keep)
        return ops.select(kept, x, ops.zeros_like(x))


class BatchNorm(Layer):
    """Normalises each feature (dim 1) over the batch, then scales and offsets it.

    Training uses the batch's mean and biased variance, and lets the running ones, which inference
    uses, become rho · running + (1 − rho) · batch; these start at 0. Source: Ioffe and Szegedy
    2015, with neon's running statistics.
    """

    def __init__(self, rho: float = 0.9, eps: float = 1e-3, name: str | None = None) -> None:
        self.rho, self.eps, self.name = float(rho), float(eps), name

    def build(self, x: Node) -> Node:
        shape = (_features(x),)
        scale = self.variable("scale", shape, 1.0, dtype=x.dtype)
        offset = self.variable("offset", shape, 0.0, dtype=x.dtype)
        running = [
            self.variable(name, shape, 0.0, dtype=x.dtype, trainable=False)
            for name in ("mean", "variance")
        ]
        if not self.training:
            return ops.batch_norm_inference(x, scale, offset, *running, axis=1, epsilon=self.eps)
        y, *batch = ops.batch_norm_training(x, scale, offset, axis=1, epsilon=self.eps).items
        for old, new in zip(running, batch, strict=True):
            self.update(old, old * self.rho + new * (1 - self.rho))
        return y


class Reshape(Layer):
    """Another shape for the dims after the batch; one size may be -1, for whatever is left."""

    def __init__(self, shape: Sequence[int], name: str | None = None) -> None:
        self.shape, self.name = tuple(shape), name

    def build(self, x: Node) -> Node:
        sizes = _static(x)[1:]
        known = math.prod(size for size in self.shape if size != -1)
        if self.shape.count(-1) > 1 or (-1 in self.shape and math.prod(sizes) % max(known, 1)):
            raise ShapeError(f"{list(sizes)} does not reshape to {list(self.shape)}")
        rest = math.prod(sizes) // max(known, 1)
        shape = tuple(rest if size == -1 else size for size in self.shape)
        return ops.reshape(x, shape=(x.shape[0], *shape))


def Affine(
    nout: int,
    init: Any = GLOROT,
    bias: Any = None,
    batch_norm: bool = False,
    activation: Transform | None = None,
    name: str | None = None,
) -> list[Layer]:
    """Linear, then Bias or BatchNorm, then Activation: those that are asked for, as a list.

    `bias` is the bias's initialiser. With a name the layers are called name, name_bias, name_bnorm
    and name_<activation>.
    """
    if batch_norm and bias is not None:
        raise ShapeError("Affine: batch_norm has an offset already; leave out bias")
    layers: list[Layer] = [Linear(nout, init, name)]
    if bias is not None:
        layers.append(Bias(bias, name and f"{name}_bias"))
    if batch_norm:
        layers.append(BatchNorm(name=name and f"{name}_bnorm"))
    if activation is not None:
        label = getattr(activation, "__name__", type(activation).__name__)
        layers.append(Activation(activation, name and f"{name}_{label}"))
    return layers


def flatten(layers: Iterable[Any]) -> list[Layer]:
    """Nested lists of layers as one list; a plain function of a node becomes an Activation."""
    flat: list[Layer] = []
    for layer in layers:
        if isinstance(layer, Layer):
            flat.append(layer)
        elif isinstance(layer, (list, tuple)):
            flat += flatten(layer)
        elif callable(layer) and not isinstance(layer, type):
            flat.append(Activation(layer))
        else:
            raise ShapeError(f"{layer!r} is no layer; give a Layer, a list of them or a function")
    return flat


def named(layers: Iterable[Layer]) -> dict[Layer, str]:
    """Each layer's name: its own, or its class and a number. Two layers may not share one."""
    names: dict[Layer, str] = {}
    counts: dict[str, int] = {}
    for layer in layers:
        if layer in names:
            continue
        kind = type(layer).__name__
        name = layer.name or f"{kind}_{counts.get(kind, 0)}"
        counts[kind] = counts.get(kind, 0) + (layer.name is None)
        if name in names.values():
            raise ShapeError(f"two layers are called {name!r}; rename one")
        names[layer] = name
    return names


def _static(x: Node) -> tuple[int, ...]:
    return x.tensor.static


def _features(x: Node) -> int:
    if len(x.shape) < 2:
        raise ShapeError(f"the input is {x.type}; it needs a dim of features after the batch")
    return _static(x)[1]
