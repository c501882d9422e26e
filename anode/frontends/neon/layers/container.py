"""Containers: layers in a row, in branches that part, and in branches that are joined again."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from anode import ops
from anode.frontends.neon import NervanaObject
from anode.frontends.neon.backends.tensor import Tensor
from anode.frontends.neon.layers.costs import Multicost
from anode.frontends.neon.layers.layer import BranchNode, DataTransform, Dropout, Layer
from anode.frontends.neon.tracing import perform
from anode.frontends.neon.util.persist import load_class


def flatten(item: Any) -> Iterator[Any]:
    """The layers of nested lists."""
    if hasattr(item, "__iter__"):
        for part in item:
            yield from flatten(part)
    else:
        yield item


class DeltasTree(NervanaObject):
    """Two tensors by turns for the errors of a row of layers, and a tree of them for branches."""

    def __init__(self, parent: DeltasTree | None = None) -> None:
        self.parent = parent
        self.child: DeltasTree | None = None
        self.buffers: list[Any] = [None, None]
        self.max_shape = 0

    def __del__(self) -> None:
        """It has no name to be counted."""

    def decend(self) -> DeltasTree:
        """The tree of the layers within branches."""
        if self.child is None:
            self.child = DeltasTree()
        return self.child

    def ascend(self) -> DeltasTree | None:
        """The tree that this one is a child of."""
        return self.parent

    def proc_layer(self, layer: Layer) -> None:
        """Make room for the error of a layer's input."""
        size = layer.be.shared_iobuf_size(layer.in_shape, layer.parallelism)
        self.max_shape = max(self.max_shape, size)

    def allocate_buffers(self) -> None:
        """Make the tensors."""
        if self.child is not None:
            self.child.allocate_buffers()
        if self.max_shape > 0:
            self.buffers = [self.be.iobuf(self.max_shape) if b is None else b for b in self.buffers]


class LayerContainer(Layer):
    """Layers together as one."""

    layers: list[Any]

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.is_mklop = True

    @property
    def layers_to_optimize(self) -> list[Layer]:
        """The layers with weights, but for those that are initialised as the identity."""
        found = []
        for layer in self.layers:
            if isinstance(layer, LayerContainer):
                found += layer.layers_to_optimize
            elif (
                layer.has_params and getattr(getattr(layer, "init", None), "name", "") != "Identity"
            ):
                found.append(layer)
        return found

    @property
    def nest_deltas(self) -> bool:
        """Whether errors within need tensors of their own."""
        return False

    def nested_str(self, level: int = 0) -> str:
        start = "\n" + "  " * level
        below = start.join(layer.nested_str(level + 1) for layer in self.layers)
        return "  " * level + self.classnm + start + below

    @classmethod
    def gen_class(cls, pdict: dict[str, Any]) -> Any:
        layers = [load_class(d["type"]).gen_class(d["config"]) for d in pdict["layers"]]
        rest = {key: value for key, value in pdict.items() if key != "layers"}
        return cls(layers=layers, **rest)  # type: ignore[call-arg]

    def get_description(
        self, get_weights: bool = False, keep_states: bool = False, **kwargs: Any
    ) -> dict[str, Any]:
        found = NervanaObject.get_description(self, skip=["layers"])
        found["container"] = True
        found["config"]["layers"] = [
            layer.get_description(get_weights=get_weights, keep_states=keep_states)
            for layer in self.layers
        ]
        self._desc = found
        return found

    def fusion_pass(self, layers: list[Any]) -> list[Any]:
        """Descriptions, those of a convolution and the bias after it as a list of two."""
        found, skip = [], False
        for first, second in pairwise([*layers, None]):
            both = (_type(first), _type(second))
            if both == ("neon.layers.layer.Convolution", "neon.layers.layer.Bias"):
                found.append([first, second])
                skip = True
            elif skip:
                skip = False
            else:
                found.append(first)
        return found

    def load_weights(self, pdict: dict[str, Any], load_states: bool = True) -> None:
        layers = pdict["config"]["layers"]
        if len(layers) != len(self.layers):  # a file of before neon 2.3
            layers = pdict["config"]["layers"] = self.fusion_pass(layers)
        if len(layers) != len(self.layers):
            raise ValueError(
                f"{self.name} has {len(self.layers)} layers, the description {len(layers)}"
            )
        for layer, description in zip(self.layers, layers, strict=True):
            layer.load_weights(description, load_states=load_states)

    def revert_tensors(self) -> None:
        """For backends of several devices."""

    def propagate_parallelism(self, p: str) -> None:
        """Tell the layers how they are spread over devices."""
        for layer in self.layers:
            if isinstance(layer, LayerContainer):
                layer.parallelism = p
                layer.propagate_parallelism(p)
                end = layer.get_terminal()
                p = end[0].parallelism if isinstance(end, list) else end.parallelism
            else:
                layer.parallelism = p if layer.parallelism == "Unknown" else layer.parallelism
                p = layer.parallelism

    def set_batch_size(self, N: int) -> None:
        for layer in self.layers:
            layer.set_batch_size(N)

    def set_seq_len(self, S: int) -> None:
        for layer in self.layers:
            layer.set_seq_len(S)

    def set_deltas(self, delta_buffers: Any) -> None:
        for layer in self.layers:
            layer.set_deltas(delta_buffers)

    def layers_fprop(self) -> Iterator[Layer]:
        """All layers in the order of `fprop`, containers before what is in them."""
        for layer in self.layers:
            yield layer
            if isinstance(layer, LayerContainer):
                yield from layer.layers_fprop()

    def layers_bprop(self) -> Iterator[Layer]:
        """All layers in the order of `bprop`, containers after what is in them."""
        for layer in reversed(self.layers):
            if isinstance(layer, LayerContainer):
                yield from layer.layers_bprop()
            yield layer

    def set_acc_on(self, acc_on: bool) -> None:
        if not hasattr(self, "accumulate_updates"):
            raise BufferError("accumulate_updates not set")
        for layer in self.layers:
            if hasattr(layer, "accumulate_updates"):
                layer.set_acc_on(acc_on)


def _type(description: Any) -> str | None:
    return description["type"] if isinstance(description, dict) else None


def _allocate(layer: Any, accumulate: bool, *shared: Any) -> None:
    """Call a layer's `allocate`, which need not know of gradients that add up."""
    if "accumulate_updates" in inspect.signature(layer.allocate).parameters:
        layer.allocate(*shared, accumulate_updates=accumulate)
    else:
        layer.allocate(*shared)


class Sequential(LayerContainer):
    """Layers in a row, given as nested lists."""

    def __init__(self, layers: Any, name: str | None = None) -> None:
        super().__init__(name)
        self.layers = list(flatten(layers))
        if not self.layers:
            raise ValueError("Provide layers")
        self._layers = [layer for layer in self.layers if type(layer) is not BranchNode]
        root = self._layers[0]
        if not (root.owns_output or type(root) in (Dropout, DataTransform)):
            raise ValueError("Sequential root must own outputs")

    def configure(self, in_obj: Any) -> Any:
        layers = self.layers
        if not in_obj:  # a branch: its input is that of the branch point it begins with
            in_obj = layers[0]
            layers = layers[layers.index(self._layers[0]) :]
        super().configure(in_obj)
        before = None
        for layer in layers:
            in_obj = layer.configure(in_obj)
            if before is not None:
                before.set_next(layer)
            before = layer
        self.parallelism, self.out_shape = in_obj.parallelism, in_obj.out_shape
        return self

    def allocate(
        self, shared_outputs: Tensor | None = None, accumulate_updates: bool = False
    ) -> None:
        """The last layer with an output first: neon draws initial values in that order."""
        self.accumulate_updates = accumulate_updates
        last = [layer for layer in self.layers if layer.owns_output][-1]
        _allocate(last, accumulate_updates, shared_outputs)
        for layer in self.layers:
            _allocate(layer, accumulate_updates)

    def allocate_deltas(self, global_deltas: Any = None) -> None:
        if global_deltas is None:
            self.global_deltas = DeltasTree()
            first = 0 if getattr(self.layers[0], "nest_deltas", False) else 1
            for layer in self.layers[first:]:
                layer.allocate_deltas(self.global_deltas)
            self.global_deltas.allocate_buffers()
        else:
            self.global_deltas = global_deltas
        self.set_deltas(self.global_deltas)

    def fprop(self, inputs: Any, inference: bool = False, beta: float = 0.0) -> Any:
        x = inputs
        for layer in self.layers:
            if layer is self.layers[-1] and beta != 0:
                x = layer.fprop(x, inference=inference, beta=beta)
            else:
                x = layer.fprop(x, inference=inference)
        return x

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        for layer in reversed(self._layers):
            if type(layer.prev_layer) is BranchNode or layer is self._layers[0]:
                error = layer.bprop(error, alpha, beta) if _blends(layer) else layer.bprop(error)
            else:
                error = layer.bprop(error)
        return self._layers[0].deltas

    def get_terminal(self) -> Any:
        return self.layers[-1].get_terminal()


def _blends(layer: Any) -> bool:
    """Whether the `bprop` of a layer takes a scale, and a share of the old deltas."""
    parameters = inspect.signature(layer.bprop).parameters
    return len(parameters) > 1 or any(p.kind is p.VAR_POSITIONAL for p in parameters.values())


class GenerativeAdversarial(Sequential):
    """A generator and the discriminator of what it makes. Source: Goodfellow et al. 2014."""

    def __init__(
        self, generator: Sequential, discriminator: Sequential, name: str | None = None
    ) -> None:
        LayerContainer.__init__(self, name)
        self.generator, self.discriminator = generator, discriminator
        self.layers = generator.layers + discriminator.layers
        self._layers = [layer for layer in self.layers if type(layer) is not BranchNode]

    def nested_str(self, level: int = 0) -> str:
        pad, inner = "  " * level, "\n" + "  " * level
        text = pad + self.classnm
        for title, part in (("Generator", self.generator), ("Discriminator", self.discriminator)):
            lines = [layer.nested_str(level + 1) for layer in part.layers]
            text += inner + inner.join([f"{title}:", *lines])
        return text


def sequences(layers: Iterable[Any], what: str) -> list[Any]:
    """Each branch as a Sequential: one itself, a list of layers, or one layer."""
    found = []
    for layer in layers:
        if isinstance(layer, Sequential):
            found.append(layer)
        elif isinstance(layer, (list, Layer)):
            found.append(Sequential(layer if isinstance(layer, list) else [layer]))
        else:
            raise ValueError(f"Incompatible element for {what} container")
    return found


class Tree(LayerContainer):
    """Branches, the first with the data, the others from branch points in it or in others.

    The output is a list; `alphas` are the shares of the branches' errors.
    """

    def __init__(
        self, layers: Iterable[Any], name: str | None = None, alphas: list[float] | None = None
    ) -> None:
        super().__init__(name=name)
        self.layers = sequences(layers, "Tree")
        self.alphas = [1.0] * len(self.layers) if alphas is None else alphas
        self.betas: list[float] = []
        after = None
        for branch in reversed(self.layers):  # the first error to reach a branch point overwrites
            root = branch.layers[0]
            adds = root is after or type(root) is not BranchNode
            self.betas.insert(0, 1.0 if adds else 0.0)
            after = root

    def nested_str(self, level: int = 0) -> str:
        return "\n".join([self.classnm, *(b.nested_str(level + 1) for b in self.layers)])

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        self.layers[0].configure(in_obj)
        for branch in self.layers[1:]:
            branch.configure(None)
        self.out_shape = [branch.out_shape for branch in self.layers]
        return self

    def allocate(self, shared_outputs: Tensor | None = None) -> None:
        for branch in self.layers:
            branch.allocate()
        self.outputs = [branch.outputs for branch in self.layers]

    def allocate_deltas(self, global_deltas: Any = None) -> None:
        for branch in reversed(self.layers):
            branch.allocate_deltas(global_deltas)

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        first = self.layers[0].fprop(inputs, inference)
        return [first, *(b.fprop(None, inference=inference) for b in self.layers[1:])]

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        parts = zip(self.layers, error, self.alphas, self.betas, strict=True)
        for branch, part, a, b in reversed(list(parts)):
            branch.bprop(part, alpha=a, beta=b)

    def get_terminal(self) -> Any:
        return [branch.get_terminal() for branch in self.layers]


class SingleOutputTree(Tree):
    """A Tree that for inference gives the output of its first branch only."""

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        if inference:
            return self.layers[0].fprop(inputs, inference)
        return super().fprop(inputs, inference)


class Broadcast(LayerContainer):
    """Branches that all take the same input and are joined."""

    def __init__(self, layers: Iterable[Any], name: str | None = None) -> None:
        super().__init__(name)
        self.layers = sequences(layers, self.classnm)
        self.owns_output = self.owns_delta = True

    @property
    def nest_deltas(self) -> bool:
        return True

    def __str__(self) -> str:
        return "\t" + "\n\t".join([self.classnm, *map(str, self.layers)])

    def configure(self, in_obj: Any) -> Any:
        super().configure(in_obj)
        for branch in self.layers:
            branch.configure(in_obj)
        self._configure_merge()
        return self

    def _configure_merge(self) -> None:
        """Find the shape of the output."""
        raise NotImplementedError

    def allocate_deltas(self, global_deltas: Any) -> None:
        nested = global_deltas.decend()
        for branch in self.layers:
            branch.layers[0].allocate_deltas(global_deltas)
            for layer in branch.layers[1:]:
                layer.allocate_deltas(nested)

    def set_deltas(self, delta_buffers: Any) -> None:
        """The first layers of all branches and the container share one error of the input."""
        bottom, nested = delta_buffers.buffers[0], delta_buffers.decend()
        for branch in self.layers:
            branch.layers[0].set_deltas(delta_buffers)
            delta_buffers.buffers.reverse()  # for the next branch to take the same
            for layer in branch.layers[1:]:
                layer.set_deltas(nested)
        if type(self.prev_layer) is BranchNode:
            bottom = self.prev_layer.deltas
        self.deltas = self.be.iobuf(self.in_shape, shared=bottom)
        if type(self.prev_layer) is not BranchNode:
            delta_buffers.buffers.reverse()

    def get_terminal(self) -> Any:
        return [branch.get_terminal() for branch in self.layers]


class MergeSum(Broadcast):
    """The sum of the branches, as in residual networks."""

    def _configure_merge(self) -> None:
        self.out_shape = self.layers[0].out_shape

    def allocate(self, shared_outputs: Tensor | None = None) -> None:
        if self.outputs is None:
            self.outputs = self.be.iobuf(self.out_shape, shared=shared_outputs)
        for branch in self.layers:
            branch.allocate(shared_outputs=self.outputs)

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        for branch in self.layers:
            branch.fprop(inputs, inference, beta=0 if branch is self.layers[0] else 1)
        return self.outputs

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        for branch in reversed(self.layers):
            branch.bprop(error, alpha=alpha, beta=beta if branch is self.layers[-1] else 1)
        return self.deltas


class MergeBroadcast(Broadcast):
    """The branches' outputs one after another.

    `merge` is "recurrent" along the steps, "depth" along the maps, "stack" along all features.
    """

    def __init__(
        self,
        layers: Iterable[Any],
        merge: str,
        alphas: list[float] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(layers, name)
        if merge not in ("recurrent", "depth", "stack"):
            raise ValueError(f"merge={merge!r} is none of recurrent, depth, stack")
        self.betas = [1.0] * (len(self.layers) - 1) + [0.0]
        self.alphas = [1.0] * len(self.layers) if alphas is None else alphas
        self.merge = merge
        self.error_views: Any = None

    def get_partitions(self, x: Any, slices: list[slice]) -> list[Any]:
        """The part of each branch."""
        if self.merge == "recurrent":
            return [x[:, part] for part in slices]
        if self.merge == "depth":  # of whole images: maps are cut in whichever layout these have
            maps = x.reshape(self._with_batch(self.out_shape))
            ends = np.cumsum([branch.out_shape[0] for branch in self.layers])
            cuts = [maps[a:b] for a, b in zip([0, *ends], ends, strict=False)]
            return [cut.reshape(cut.size // x.shape[1], x.shape[1]) for cut in cuts]
        views = [x[part] for part in slices]
        if self.merge == "stack":  # in memory's order; of sequences rows are features again
            shapes = (branch.out_shape for branch in self.layers)
            rows = [s[0] if isinstance(s, tuple) and len(s) == 2 else None for s in shapes]
            pairs = zip(views, rows, strict=True)
            views = [v if n is None else v.reshape(n, -1) for v, n in pairs]
        return views

    def allocate(self, shared_outputs: Tensor | None = None) -> None:
        if self.outputs is None:
            self.outputs = self.be.iobuf(self.out_shape, shared=shared_outputs)
        self.output_views = self.get_partitions(self.outputs, self.slices)
        for branch in self.layers:
            branch.allocate()

    def _configure_merge(self) -> None:
        shapes = [branch.out_shape for branch in self.layers]
        if self.merge == "recurrent":
            sizes, each = [shape[1] for shape in shapes], self.be.bsz
            self.out_shape = (shapes[0][0], sum(sizes))
        elif self.merge == "depth":
            sizes, each = [shape[0] for shape in shapes], int(np.prod(shapes[0][1:]))
            self.out_shape = (sum(sizes), *shapes[0][1:])
        else:
            sizes, each = [int(np.prod(shape)) for shape in shapes], 1
            self.out_shape = sum(sizes)
        ends = [int(n) * each for n in np.cumsum(sizes)]
        self.slices = [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        return self._joined([branch.fprop(inputs, inference) for branch in self.layers])

    def _with_batch(self, shape: Any) -> tuple[int, ...]:
        return (*shape[:-1], shape[-1] * self.be.bsz) if len(shape) == 2 else (*shape, self.be.bsz)

    def _joined(self, outputs: list[Any]) -> Any:
        axis = 1 if self.merge == "recurrent" else 0

        def action() -> None:
            parts = [y.node() for y in outputs]
            if self.merge == "depth":
                shapes = [self._with_batch(branch.out_shape) for branch in self.layers]
                images = [ops.reshape(y, shape=s) for y, s in zip(parts, shapes, strict=True)]
                whole = ops.concatenate(*images, axis=0)
                self.outputs.write(ops.reshape(whole, shape=self.outputs.shape))
                return
            if self.merge == "stack":  # sequences and images as features, in memory's order
                parts = [ops.reshape(y, shape=(-1, self.be.bsz)) for y in parts]
            self.outputs.write(ops.concatenate(*parts, axis=axis))

        perform(action, self.be.programs)
        return self.outputs

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        self.error_views = self.get_partitions(error, self.slices)
        betas = [*self.betas[:-1], beta]
        parts = zip(self.layers, self.error_views, self.alphas, betas, strict=True)
        for branch, part, a, b in reversed(list(parts)):
            branch.bprop(part, alpha=a * alpha, beta=b)
        return self.deltas


class MergeMultistream(MergeBroadcast):
    """Branches with an input each, their outputs one after another; the first of a network."""

    def __init__(self, layers: Iterable[Any], merge: str, name: str | None = None) -> None:
        super().__init__(layers, merge=merge, name=name)

    @property
    def nest_deltas(self) -> bool:
        return False

    def configure(self, in_obj: Any) -> Any:
        self.prev_layer = None
        shapes = in_obj if isinstance(in_obj, list) else getattr(in_obj, "shape", None)
        if not isinstance(shapes, list):
            raise ValueError(f"{self.name} takes a list of inputs, not {in_obj}")
        self.in_shape = shapes
        for shape, branch in zip(shapes, self.layers, strict=True):
            branch.configure(shape)
        self._configure_merge()
        return self

    def set_deltas(self, delta_buffers: Any) -> None:
        for branch in self.layers:
            branch.allocate_deltas()

    def fprop(self, inputs: Any, inference: bool = False) -> Any:
        return self._joined(
            [b.fprop(x, inference) for b, x in zip(self.layers, inputs, strict=True)]
        )

    def bprop(self, error: Any, alpha: float = 1.0, beta: float = 0.0) -> Any:
        self.error_views = self.get_partitions(error, self.slices)
        for branch, part in zip(self.layers, self.error_views, strict=True):
            branch.bprop(part)
        return None


Multicost.__module__ = __name__  # files name the class by it


def __getattr__(name: str) -> Any:
    """Containers that are made of these, and layers that neon's module imports."""
    if name in ("Encoder", "Decoder", "Seq2Seq"):
        from anode.frontends.neon.layers import seq2seq

        return getattr(seq2seq, name)
    if name == "SkipThought":
        from anode.frontends.neon.layers import skipthought

        return skipthought.SkipThought
    if name in ("Affine", "LookupTable", "Recurrent", "get_steps"):
        from anode.frontends.neon.layers import layer, recurrent

        return getattr(recurrent if hasattr(recurrent, name) else layer, name)
    raise AttributeError(f"module 'neon.layers.container' has no attribute {name!r}")
