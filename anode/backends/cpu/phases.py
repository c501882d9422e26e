"""Gradients by weights where filters stride over few channels, as ones of stride 1 over more.

The s² phases of an image in the strides s are channels of an image s times as coarse: a filter of
11x11 that moves by 4 over 3 channels is one of 3x3 that moves by 1 over 48, with zeros where it has
no taps. Few channels fill no vectors, so that Winograd's method takes them only in this form, which
is stored; the phases of more channels it reads from the image itself.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from anode.backends.cpu import winograd, winograd_weights
from anode.backends.cpu.onednn_conv import WEIGHTS, Problem
from anode.ir.node import Node, constant
from anode.ops.conv import convolution_weights
from anode.ops.shape import pad, reshape, slice, transpose


def coarse(problem: Problem) -> Problem:
    """The gradient over phases, if it is one of few channels and strides; else the same problem."""
    plain = problem.groups == 1 and max(problem.dilations, default=1) == 1
    few = problem.channels < winograd.LEAST_CHANNELS[WEIGHTS]
    if problem.kind != WEIGHTS or not plain or not few or max(problem.strides, default=1) == 1:
        return problem
    sides = zip(problem.kernel, problem.strides, strict=True)
    taps = tuple([-(-size // stride) for size, stride in sides])
    none = (0,) * len(taps)
    return replace(
        problem,
        sizes=tuple([n + t - 1 for n, t in zip(problem.out, taps, strict=True)]),
        channels=problem.channels * prod(problem.strides),
        kernel=taps,
        strides=(1,) * len(taps),
        low=none,
        high=none,
    )


def gradient(node: Node, problem: Problem) -> Node:
    """The gradient by weights that `node` is, `problem`, by Winograd's method over phases."""
    x, ct = node.args
    taps = coarse(problem).kernel
    made = winograd_weights.gradient(convolution_weights(_phases(x, problem), ct, kernel=taps))
    d, ends = len(taps), (problem.channels, problem.filters)
    split = reshape(made, shape=(*taps, *problem.strides, *ends))
    order = [axis for i in range(d) for axis in (i, d + i)]
    split = transpose(split, permutation=(*order, 2 * d, 2 * d + 1))
    steps = [t * s for t, s in zip(taps, problem.strides, strict=True)]
    whole = reshape(split, shape=(*steps, *ends))
    return slice(whole, start=(0,) * (d + 2), limit=(*problem.kernel, *ends))


def _phases(x: Node, problem: Problem) -> Node:
    """Images (n, *sizes, c) as (n, *places, phases·c)."""
    strides, places, d = problem.strides, coarse(problem).sizes, len(problem.strides)
    sides = zip(places, strides, problem.sizes, problem.low, strict=True)
    ends = [n * s - size - low for n, s, size, low in sides]
    x = pad(x, constant(0, x.dtype), low=(0, *problem.low, 0), high=(0, *ends, 0))
    split = [size for pair in zip(places, strides, strict=True) for size in pair]
    x = reshape(x, shape=(problem.batch, *split, problem.channels))
    order = (0, *range(1, 2 * d, 2), *range(2, 2 * d + 1, 2), 2 * d + 1)
    return reshape(transpose(x, permutation=order), shape=coarse(problem).x_shape)
