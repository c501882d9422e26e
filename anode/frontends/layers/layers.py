"""Layers: pieces of a model, each a function of a node with variables of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any, Self

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.axes import Axis, axes_of, sized
from anode.frontends.layers.initializers import Fans, GlorotUniform
from anode.frontends.layers.masks import count_of, mean_of
from anode.frontends.layers.scope import Scope
from anode.ir.node import Node, Origin, at, user_line
from anode.ops.precision import as_dtype
from anode.ops.recurrent import length_mask

Transform = Callable[[Node], Node]
GLOROT = GlorotUniform()
PACKAGE = __name__.rpartition(".")[0]


class Layer:
    """A piece of a model. A new one has `build`, and takes its variables from `self.variable`.

    The first dim of every value is the batch, the last one the features: images are (batch, height,
    width, channels). `name` labels variables and errors; without one a
    model numbers its layers by class. A layer that appears twice in a model shares its variables.
    """

    name: str | None = None
    keeps_axes = False  # whether a dim that keeps its size is the same axis, the last one too
    axis: Axis | None = None  # that the last dim of the output is, where the layer makes it
    part_of: Layer | None = None  # the layer it was made with: the product before a Bias of Conv
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
        kind = type(self).__name__
        return self._scope.variable(path, tuple(shape), init, dtype, trainable, fans, kind)

    def update(self, variable: Node, value: Node) -> None:
        """Let a variable become `value` after each training step."""
        self._scope.update(variable, value)

    def lengths(self, x: Node) -> Node | None:
        """How many steps, the dim after the batch, count of each sequence in `x`, i32[batch].

        None where the data gave no lengths. What a layer computes with as many steps as its input
        has the same lengths; one that changes their number says so with `set_lengths`.
        """
        return self._scope.lengths(x)

    def set_lengths(self, y: Node, lengths: Node) -> None:
        """Say how many steps count of each sequence in `y`, from which later layers know it."""
        self._scope.sequences[y] = ops.transpose(length_mask(lengths, static(y)[1]))

    def dim(self, x: Node, axis: str) -> int:
        """The dim of `x` with an axis's name; ShapeError, with the names there are, for others."""
        return self._scope.axes.dim(x, axis)

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
    scope.begin(layer, path, x)
    own = type(layer).__module__.startswith(PACKAGE)
    try:
        with at(layer.origin) if own else nullcontext():
            y = layer.build(x)
    except ShapeError as error:
        raise ShapeError(f"{path}: {error}") from error
    scope.followed(x, y)
    scope.end(y)
    if isinstance(x, Node) and isinstance(y, Node):
        _name_axes(layer, x, y, scope, path)
    return y


def _name_axes(layer: Layer, x: Node, y: Node, scope: Scope, path: str) -> None:
    try:
        scope.axes.made(x, y, layer.axis, layer.keeps_axes)
    except ShapeError as error:
        raise ShapeError(f"{path}: {error}") from error


class Axes(Layer):
    """Says what the dims after the batch are from here on, by `Axis` or name; see `axes.py`."""

    keeps_axes = True

    def __init__(self, *axes: Axis | str, name: str | None = None) -> None:
        self.axes, self.name = axes_of(axes), name

    def build(self, x: Node) -> Node:
        self._scope.axes.declare(x, self.axes)
        return x


class Linear(Layer):
    """x · weight, a weight of (inputs, nout), at each step of a sequence.

    Of anything else the dims after the batch count as one: see Flatten. Sequences are what
    recurrent layers, LookupTable and Masking give, and what is made of it step by step.
    """

    def __init__(self, nout: int | Axis, init: Any = GLOROT, name: str | None = None) -> None:
        self.nout, self.axis = sized(nout, "Linear")
        self.init, self.name = init, name

    def build(self, x: Node) -> Node:
        check_float(x)
        x = x if x in self._scope.sequences else flat(x)
        return x @ self.variable("weight", (features(x), self.nout), self.init, dtype=x.dtype)


class Bias(Layer):
    """x + bias, one number for each feature (the last dim)."""

    keeps_axes = True

    def __init__(self, init: Any = 0.0, name: str | None = None) -> None:
        self.init, self.name = init, name

    def build(self, x: Node) -> Node:
        bias = self.variable("bias", (features(x),), self.init, dtype=x.dtype)
        return x + ops.broadcast_in_dim(bias, shape=x.shape, axes=(len(x.shape) - 1,))


class Activation(Layer):
    """A function of a node as a layer."""

    keeps_axes = True

    def __init__(self, transform: Transform, name: str | None = None) -> None:
        self.transform, self.name = transform, name

    def build(self, x: Node) -> Node:
        y = self.transform(x)
        self._scope.activated(y, self.transform, x)
        return y


class Dropout(Layer):
    """Keeps each element with probability `keep`, in training only, and sets the others to zero.

    As in neon, training does not scale what is kept, and inference multiplies by `keep`. With
    `scaled` it is the other way round, as in Caffe: training divides by `keep`.
    """

    keeps_axes = True

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
    """Normalises each feature (the last dim) over all others, then scales and offsets it.

    Training uses the batch's mean and biased variance, and lets the running ones, which inference
    uses, become rho · running + (1 − rho) · batch; these start at 0. With `unbiased` the running
    variance takes the batch's unbiased one, as in Caffe and PyTorch. Masked steps of sequences do
    not count. Source: Ioffe and Szegedy 2015, with neon's running statistics.
    """

    keeps_axes = True
    mask: Node | None = None  # of the first dims of the input, where the scope does not know it

    def __init__(
        self,
        rho: float = 0.9,
        eps: float = 1e-3,
        name: str | None = None,
        *,
        unbiased: bool = False,
    ) -> None:
        self.rho, self.eps, self.name, self.unbiased = float(rho), float(eps), name, unbiased

    def build(self, x: Node) -> Node:
        shape, axis = (features(x),), len(x.shape) - 1
        scale = self.variable("scale", shape, 1.0, dtype=x.dtype)
        offset = self.variable("offset", shape, 0.0, dtype=x.dtype)
        mean, variance = (
            self.variable(name, shape, 0.0, dtype=x.dtype, trainable=False)
            for name in ("mean", "variance")
        )
        norm = {"axis": axis, "epsilon": self.eps}
        if not self.training:
            return ops.batch_norm_inference(x, scale, offset, mean, variance, **norm)
        mask = self.counted(x)
        if mask is None:
            y, *batch = ops.batch_norm_training(x, scale, offset, **norm).items
        else:
            batch = _moments(x, mask)
            y = ops.batch_norm_inference(x, scale, offset, *batch, **norm)
        if self.unbiased:
            batch[1] = batch[1] * _unbiased(x, mask)
        for old, new in zip((mean, variance), batch, strict=True):
            self.update(old, old * self.rho + new * (1 - self.rho))
        return y

    def counted(self, x: Node) -> Node | None:
        """The mask of what counts in the statistics; None for all."""
        return self._scope.sequences.get(x) if self.mask is None else self.mask


def _moments(x: Node, mask: Node) -> list[Node]:
    """The mean and the biased variance of each feature, over the steps that count."""
    wide = as_dtype(x, x.dtype.compute)
    mean = mean_of(wide, mask)
    variance = mean_of(ops.square(wide - mean), mask)
    return [as_dtype(mean, x.dtype), as_dtype(variance, x.dtype)]


def _unbiased(x: Node, mask: Node | None) -> Node | float:
    """What a biased variance is multiplied by."""
    if mask is None:
        rows = math.prod(static(x)[:-1])
        return rows / max(rows - 1, 1)
    count = count_of(x, mask)
    return count / ops.maximum(count - 1.0, 1.0)


class Flatten(Layer):
    """All dims after the batch as one. Images go channels first, as (c, h, w), whatever their rank.

    So the weights of a layer after it are in the order that Caffe, neon and PyTorch have. Values of
    three dims (sequences, grey images without a dim of channels) keep their order.
    """

    def __init__(self, name: str | None = None) -> None:
        self.name = name

    def build(self, x: Node) -> Node:
        return flat(x)


class Reshape(Layer):
    """Another shape for the dims after the batch; one size may be -1, for whatever is left.

    Elements stay in the order they have in memory: (h, w, c) for images.
    """

    def __init__(self, shape: Sequence[int], name: str | None = None) -> None:
        self.shape, self.name = tuple(shape), name

    def build(self, x: Node) -> Node:
        sizes = static(x)[1:]
        known = math.prod(size for size in self.shape if size != -1)
        if self.shape.count(-1) > 1 or (-1 in self.shape and math.prod(sizes) % max(known, 1)):
            raise ShapeError(f"{list(sizes)} does not reshape to {list(self.shape)}")
        rest = math.prod(sizes) // max(known, 1)
        shape = tuple(rest if size == -1 else size for size in self.shape)
        return ops.reshape(x, shape=(x.shape[0], *shape))


def Affine(
    nout: int | Axis,
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
    return composed(Linear(nout, init, name), bias, batch_norm, activation, name)


def composed(
    product: Layer, bias: Any, batch_norm: bool, activation: Transform | None, name: str | None
) -> list[Layer]:
    """The product, and the layers after it that are part of it: Bias or BatchNorm, Activation."""
    layers = [product, *followers(bias, batch_norm, activation, name)]
    for layer in layers[1:]:
        layer.part_of = product
    return layers


def followers(
    bias: Any, batch_norm: bool, activation: Transform | None, name: str | None
) -> list[Layer]:
    """Bias or BatchNorm, then Activation: what comes after the product of a composed layer."""
    if batch_norm and bias is not None:
        raise ShapeError("batch_norm has an offset already; leave out bias")
    layers: list[Layer] = []
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


def flat(x: Node) -> Node:
    """`x` as (batch, features); see Flatten."""
    if len(x.shape) == 2:
        return x
    if len(x.shape) > 3:
        x = ops.moveaxis(x, -1, 1)
    return ops.reshape(x, shape=(x.shape[0], math.prod(static(x)[1:])))


def check_float(x: Node) -> None:
    """Raise ShapeError unless `x` is of floating point."""
    if not x.dtype.is_float:
        raise ShapeError(
            f"the input is {x.type}, not floating point; "
            "give the model preprocess=unit_range, or convert"
        )


def static(x: Node) -> tuple[int, ...]:
    """The sizes of `x`, all known."""
    return x.tensor.static


def features(x: Node) -> int:
    """The size of the last dim."""
    if len(x.shape) < 2:
        raise ShapeError(f"the input is {x.type}; it needs a dim of features after the batch")
    return static(x)[-1]
