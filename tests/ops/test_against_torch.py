"""300 sampled configurations of image ops, forward and backward, against PyTorch.

On the reference and on the CPU backend, which also has to do without oneDNN and without Winograd's
method, channels first and last: every other configuration is written for channels last, and PyTorch
gets its images transposed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from anode import ops
from anode.backends.cpu.backend import CpuBackend
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.types import tensor
from anode.ops.evaluate import evaluate
from anode.runtime.state import State
from anode.transform.grad import gradients

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
F = torch.nn.functional

pytestmark = pytest.mark.slow

Shape = tuple[int, ...]
TOLERANCE = 1e-4  # of the largest number of a result


@dataclass(frozen=True, eq=False)
class Configuration:
    """One call in both libraries; its operands have the shapes that PyTorch takes.

    `ours` gets the data format; where channels are last, images are transposed to and from it, and
    `filters` are the operands that are filters.
    """

    name: str
    shapes: Sequence[Shape]
    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    last: bool
    filters: Shape = ()
    plain: Shape = ()  # operands that are not images: scales and offsets

    @property
    def data_format(self) -> str:
        space = {3: "W", 4: "HW", 5: "DHW"}[len(self.shapes[0])]
        return f"N{space}C" if self.last else f"NC{space}"

    def order(self, operand: int | None) -> list[int] | None:
        """The permutation of an operand (None: of the result) for channels last."""
        rank = len(self.shapes[0])
        if not self.last or operand in self.plain:
            return None
        if operand in self.filters:
            return [*range(2, rank), 1, 0]
        return [0, *range(2, rank), 1]

    def arrays(self) -> list[np.ndarray]:
        random = np.random.default_rng(len(self.name) + sum(map(sum, self.shapes)))
        return [random.normal(size=shape).astype(np.float32) for shape in self.shapes]


def moved(array: np.ndarray, order: list[int] | None) -> np.ndarray:
    return array if order is None else np.ascontiguousarray(array.transpose(order))


def expected(case: Configuration) -> tuple[list[np.ndarray], np.ndarray]:
    """The result and the gradient by each operand, and the cotangent they are for."""
    tensors = [torch.tensor(a, requires_grad=True) for a in case.arrays()]
    y = case.theirs(*tensors)
    ct = np.random.default_rng(1).normal(size=tuple(y.shape)).astype(np.float32)
    y.backward(torch.tensor(ct))
    slopes = [t.grad.numpy() for t in tensors]
    return [y.detach().numpy(), *slopes], ct


def graph_of(case: Configuration, args: list[np.ndarray]) -> Graph:
    inputs = fresh_inputs(*[tensor(a.dtype, *a.shape) for a in args])
    y = case.ours(*inputs[:-1], data_format=case.data_format)
    return close(inputs, [y, *gradients([y], inputs[:-1], [inputs[-1]])])


def spatial(random: np.random.Generator, d: int) -> list[int]:
    return [int(n) for n in random.integers(7, {1: 30, 2: 15, 3: 10}[d], d)]


def several(random: np.random.Generator, low: int, high: int, d: int) -> list[int]:
    return [int(n) for n in random.integers(low, high, d)]


def convolution(random: np.random.Generator, last: bool) -> Configuration:
    d = int(random.integers(1, 4))
    groups = int(random.choice([1, 1, 1, 2, 4]))
    inner, outer = (groups * n for n in several(random, 1, 6, 2))
    if random.random() < 0.25:  # depthwise
        groups, outer = inner, inner * int(random.integers(1, 3))
    kernel = several(random, 1, {1: 6, 2: 5, 3: 4}[d], d)
    strides, dilations = several(random, 1, 4, d), several(random, 1, 3, d)
    padding = several(random, 0, 3, d)
    n, sizes = int(random.integers(1, 4)), spatial(random, d)
    sizes = [max(m, (k - 1) * e + 1) for m, k, e in zip(sizes, kernel, dilations, strict=True)]
    attrs: Any = {"padding": padding, "groups": groups}
    theirs = getattr(F, f"conv{d}d")
    return Configuration(
        f"convolution {d}-D {kernel} {strides} {dilations} {attrs}",
        [(n, inner, *sizes), (outer, inner // groups, *kernel)],
        lambda x, w, data_format: ops.conv(
            x, w, strides, dilations=dilations, data_format=data_format, **attrs
        ),
        lambda x, w: theirs(x, w, stride=strides, dilation=dilations, **attrs),
        last,
        filters=(1,),
    )


def transposed(random: np.random.Generator, last: bool) -> Configuration:
    d = int(random.integers(1, 4))
    groups = int(random.choice([1, 1, 2, 3]))
    inner, outer = (groups * n for n in several(random, 1, 5, 2))
    kernel = several(random, 1, {1: 6, 2: 5, 3: 4}[d], d)
    strides, dilations = several(random, 1, 4, d), several(random, 1, 3, d)
    reach = [(k - 1) * e + 1 for k, e in zip(kernel, dilations, strict=True)]
    padding = [int(random.integers(0, min(3, (r + 1) // 2))) for r in reach]
    extra = [int(random.integers(0, max(s, e))) for s, e in zip(strides, dilations, strict=True)]
    n, sizes = int(random.integers(1, 3)), several(random, 3, 8, d)
    theirs = getattr(F, f"conv_transpose{d}d")
    return Configuration(
        f"transposed {d}-D {kernel} {strides} {dilations} {padding} {extra} groups {groups}",
        [(n, inner, *sizes), (inner, outer // groups, *kernel)],
        lambda x, w, data_format: ops.conv_transpose(
            x, w, strides, padding, extra, dilations, groups, data_format
        ),
        lambda x, w: theirs(x, w, None, strides, padding, extra, groups, dilations),
        last,
        filters=(1,),
    )


def pooling(random: np.random.Generator, last: bool) -> Configuration:
    d, kind = int(random.integers(1, 4)), str(random.choice(["max", "average"]))
    size, strides = several(random, 1, 5, d), several(random, 1, 4, d)
    padding = [int(random.integers(0, k // 2 + 1)) for k in size]
    ceil = bool(random.random() < 0.5)
    attrs: dict[str, Any] = {"padding": padding, "ceil_mode": ceil}
    more: dict[str, Any] = {}
    if kind == "max":
        attrs["dilation"] = several(random, 1, 3, d)
        more["dilations"] = attrs["dilation"]
    else:
        attrs["count_include_pad"] = bool(random.random() < 0.5)
        more["include_padding"] = attrs["count_include_pad"]
    theirs = getattr(F, f"{'max' if kind == 'max' else 'avg'}_pool{d}d")
    return Configuration(
        f"{kind} pooling {d}-D {size} {strides} {attrs}",
        [(int(random.integers(1, 4)), int(random.integers(1, 20)), *spatial(random, d))],
        lambda x, data_format: ops.pool(
            x, kind, size, strides, padding, ceil=ceil, data_format=data_format, **more
        ),
        lambda x: theirs(x, size, strides, **attrs),
        last,
    )


def other_pooling(random: np.random.Generator, last: bool) -> Configuration:
    d = int(random.integers(1, 4))
    shape = (2, int(random.integers(1, 20)), *spatial(random, d))
    kind = str(random.choice(["lp", "max", "average"]))
    if kind == "lp":
        d, shape = min(d, 2), shape[: min(d, 2) + 2]
        size, strides = several(random, 1, 4, d), several(random, 1, 4, d)
        theirs = getattr(F, f"lp_pool{d}d")
        return Configuration(
            f"Lp pooling {size} {strides}",
            [shape],
            lambda x, data_format: ops.pool(x, "lp", size, strides, data_format=data_format),
            lambda x: theirs(x, 2, *(v[0] if d == 1 else v for v in (size, strides))),
            last,
        )
    theirs = getattr(F, f"adaptive_{'max' if kind == 'max' else 'avg'}_pool{d}d")
    return Configuration(
        f"global {kind} pooling {d}-D",
        [shape],
        lambda x, data_format: ops.global_pool(x, kind, data_format=data_format),
        lambda x: theirs(x, 1),
        last,
    )


def channel_axis(data_format: str) -> int:
    return -1 if data_format.endswith("C") else 1


def norm(random: np.random.Generator, last: bool) -> Configuration:
    d = int(random.integers(1, 4))
    kind = str(random.choice(["batch", "inference", "group", "instance", "response"]))
    groups = int(random.integers(1, 4))
    c = groups * int(random.integers(1, 6))
    shape, vector = (int(random.integers(2, 5)), c, *spatial(random, d)), (c,)
    if kind == "response":
        size = int(random.integers(1, min(6, c + 1)))
        return Configuration(
            f"response norm {size}",
            [shape],
            lambda x, data_format: ops.lrn(x, size, 0.5, 0.75, 2.0, data_format=data_format),
            lambda x: F.local_response_norm(x, size, 0.5, 0.75, 2.0),
            last,
        )

    def ours(x: Any, scale: Any, offset: Any, *statistics: Any, data_format: str) -> Any:
        axis = channel_axis(data_format)
        if kind == "batch":
            return ops.batch_norm_training(x, scale, offset, axis=axis).item(0)
        if kind == "inference":
            mean, variance = statistics[0], ops.square(statistics[1]) + 0.5
            return ops.batch_norm_inference(x, scale, offset, mean, variance, axis=axis)
        if kind == "group":
            return ops.group_norm(x, scale, offset, groups=groups, axis=axis)
        return ops.instance_norm(x, scale, offset, axis=axis)

    def theirs(x: Any, scale: Any, offset: Any, *statistics: Any) -> Any:
        if kind == "batch":
            return F.batch_norm(x, None, None, scale, offset, training=True)
        if kind == "inference":
            mean, spread = statistics[0], statistics[1].square() + 0.5
            by_channel = [v.reshape(1, c, *[1] * d) for v in (mean, spread, scale, offset)]
            return (x - by_channel[0]) / (by_channel[1] + 1e-5).sqrt() * by_channel[2] + by_channel[
                3
            ]
        if kind == "group":
            return F.group_norm(x, groups, scale, offset)
        return F.instance_norm(x, None, None, scale, offset)

    count = 4 if kind == "inference" else 2
    operands = [shape, *[vector] * count]
    plain = tuple(range(1, count + 1))
    return Configuration(f"{kind} norm {d}-D", operands, ours, theirs, last, plain=plain)


def resizing(random: np.random.Generator, last: bool) -> Configuration:
    mode = str(random.choice(["nearest", "nearest-exact", "linear", "cubic", "antialias"]))
    d = int(random.integers(1, 4)) if mode in ("nearest", "nearest-exact", "linear") else 2
    shape = (2, int(random.integers(1, 8)), *spatial(random, d))
    sizes = several(random, 3, {1: 40, 2: 20, 3: 12}[d], d)
    corners = bool(random.random() < 0.4)
    theirs: dict[str, Any] = {"mode": mode}
    ours: dict[str, Any] = {"mode": "nearest", "coordinates": "half_pixel"}
    if mode == "nearest":
        ours["coordinates"] = "asymmetric"
    elif mode in ("linear", "cubic", "antialias"):
        name = {"linear": {1: "linear", 2: "bilinear", 3: "trilinear"}[d]}.get(mode, "bicubic")
        theirs = {"mode": name, "align_corners": corners and mode != "antialias"}
        ours = {"mode": "linear" if mode == "linear" else "cubic"}
        if theirs["align_corners"]:
            ours["coordinates"] = "align_corners"
        if mode == "antialias":
            theirs["antialias"] = True
            ours.update(antialias=True, cubic=-0.5)
    return Configuration(
        f"resizing {shape} to {sizes} {theirs}",
        [shape],
        lambda x, data_format: ops.resize_images(x, sizes, data_format=data_format, **ours),
        lambda x: F.interpolate(x, size=sizes, **theirs),
        last,
    )


def rearranging(random: np.random.Generator, last: bool) -> Configuration:
    block, c = int(random.integers(2, 4)), int(random.integers(1, 4))
    kind = str(random.choice(["shuffle", "unshuffle", "reflect", "circular", "replicate"]))
    if kind == "shuffle":
        return Configuration(
            f"shuffle {block}",
            [(2, c * block**2, 3, 4)],
            lambda x, data_format: ops.depth_to_space(x, block, "CRD", data_format),
            lambda x: F.pixel_shuffle(x, block),
            last,
        )
    if kind == "unshuffle":
        return Configuration(
            f"unshuffle {block}",
            [(2, c, 3 * block, 4 * block)],
            lambda x, data_format: ops.space_to_depth(x, block, "CRD", data_format),
            lambda x: F.pixel_unshuffle(x, block),
            last,
        )
    mode = {"reflect": "reflect", "circular": "wrap", "replicate": "edge"}[kind]
    top, bottom, left, right = several(random, 0, 4, 4)

    def ours(x: Any, data_format: str) -> Any:
        first = 1 if data_format == "NHWC" else 2
        low, high = (
            [0] * first + edges + [0] * (2 - first) for edges in ([top, left], [bottom, right])
        )
        return ops.extend(x, low, high, mode)

    return Configuration(
        f"{kind} {top, bottom, left, right}",
        [(2, c, 5, 6)],
        ours,
        lambda x: F.pad(x, [left, right, top, bottom], mode=kind),
        last,
    )


def configurations() -> list[Configuration]:
    random = np.random.default_rng(2026)
    counts = {
        convolution: 110,
        transposed: 50,
        pooling: 60,
        other_pooling: 16,
        norm: 32,
        resizing: 24,
        rearranging: 8,
    }
    return [make(random, bool(i % 2)) for make, count in counts.items() for i in range(count)]


def on_cpu(backend: CpuBackend, graph: Graph, args: Sequence[Any]) -> Sequence[Any]:
    return backend.compile(graph, threads=1).run(args, State({}))


CONFIGURATIONS = configurations()
BACKENDS = {
    "reference": lambda graph, args: evaluate(graph, args)[0],
    "cpu": lambda graph, args: on_cpu(CpuBackend(), graph, args),
    "without onednn": lambda graph, args: on_cpu(CpuBackend(onednn=False), graph, args),
    "without winograd": lambda graph, args: on_cpu(CpuBackend(winograd=False), graph, args),
}


def test_there_are_300() -> None:
    assert len(CONFIGURATIONS) == 300


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("index", range(len(CONFIGURATIONS)))
def test_agrees(index: int, backend: str) -> None:
    case = CONFIGURATIONS[index]
    wanted, ct = expected(case)
    orders = [case.order(i) for i in range(len(case.shapes))]
    args = [moved(a, order) for a, order in zip(case.arrays(), orders, strict=True)]
    args.append(moved(ct, case.order(None)))
    results = BACKENDS[backend](graph_of(case, args), args)
    for got, want, order in zip(results, wanted, [case.order(None), *orders], strict=True):
        difference = np.abs(got - moved(want, order)).max(initial=0)
        assert difference <= TOLERANCE * np.abs(want).max(initial=0), (case.name, case.data_format)
