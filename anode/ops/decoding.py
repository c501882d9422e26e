"""Decoding: tokens that a recurrent network says one after the other, as one loop.

A network is a function `advance(token, state) -> (scores, state)`: from the token i32[rows] said
last and a tuple of states (rows, …) to the scores (rows, tokens) of the next one, logarithms of
probabilities up to a constant, and the next state.
"""

from __future__ import annotations

from collections.abc import Callable

from anode.ir.dtypes import f32, i32
from anode.ir.node import Node
from anode.ops.control import scan
from anode.ops.elementwise import convert, equal, floor_divide, log, maximum, modulo, select
from anode.ops.index import take
from anode.ops.nn import log_softmax
from anode.ops.random import uniform
from anode.ops.reduce import argmax, top_k
from anode.ops.shape import (
    broadcast_in_dim,
    concatenate,
    full,
    iota,
    repeat,
    reshape,
    transpose,
    zeros,
)

State = tuple[Node, ...]
Advance = Callable[[Node, State], tuple[Node, State]]

IMPOSSIBLE = -1e9  # a logarithm of a probability


def greedy(advance: Advance, first: Node, state: State, end: int, steps: int) -> Node:
    """The likeliest token of each step, i32[rows, steps]; after `end`, `end` again."""

    def step(carry: State, _: None) -> tuple[State, Node]:
        last, *before = carry
        scores, after = advance(last, tuple(before))
        token = select(equal(last, end), last, argmax(scores, axis=1, dtype=i32))
        return (token, *after), token

    return transpose(scan(step, (first, *state), length=steps)[1])


def sample(
    advance: Advance,
    scores: Node,
    state: State,
    temperature: Node,
    key: Node,
    steps: int,
    stream: int = 0,
) -> Node:
    """Tokens i32[rows, steps] drawn with probabilities softmax(scores / temperature).

    `scores` are those of the first. Of the scores plus noise of the Gumbel distribution the largest
    is taken; a temperature of 0 takes the likeliest. `key` and `stream` are as in `uniform`.
    """
    shape = (steps, *scores.shape)
    noise = -log(maximum(-log(maximum(uniform(key, stream=stream, shape=shape), 1e-20)), 1e-20))

    def draw(scores: Node, noise: Node) -> Node:
        noise = noise * broadcast_in_dim(temperature, shape=noise.shape, axes=())
        return argmax(convert(scores, dtype=f32) + noise, axis=1, dtype=i32)

    def step(carry: State, noise: Node) -> tuple[State, Node]:
        scores, *before = carry
        token = draw(scores, noise)
        scores, after = advance(token, tuple(before))
        return (scores, *after), token

    return transpose(scan(step, (scores, *state), noise)[1])


def beam_search(
    advance: Advance, first: Node, state: State, end: int, steps: int, beams: int
) -> Node:
    """The tokens i32[batch, steps] of the largest mean log probability among `beams` kept.

    `first` and the states have `batch` rows. Tokens after `end` are `end`, and do not count.
    """
    batch = int(first.shape[0])
    state = tuple([repeat(x, beams, axis=0) for x in state])
    others = full((batch, beams - 1), IMPOSSIBLE)
    total = concatenate(zeros((batch, 1)), others, axis=1)

    def step(carry: State, _: None) -> tuple[State, State]:
        last, total, length, *before = carry
        scores, after = advance(last, tuple(before))
        ended = equal(last, end)
        total, parent, token = _best(total, convert(scores, dtype=f32), ended, end)
        length = length + select(ended, zeros(length.shape), full(length.shape, 1.0))
        kept = [take(x, parent) for x in (length, *after)]
        return (token, total, *kept), (token, parent)

    first = repeat(first, beams, axis=0)
    carry = (first, total, zeros(first.shape), *state)
    (_, total, length, *_), said = scan(step, carry, length=steps)
    mean = total / reshape(maximum(length, 1.0), shape=total.shape)
    best = argmax(mean, axis=1, dtype=i32)
    return _traced_back(best + iota(shape=(batch,), dtype=i32, axis=0) * beams, *said)


def _best(total: Node, scores: Node, ended: Node, end: int) -> tuple[Node, Node, Node]:
    """The sums of the beams' best continuations, the rows they go on from, and their tokens."""
    (batch, beams), vocabulary = total.tensor.static, int(scores.shape[1])
    only_end = full(scores.shape, IMPOSSIBLE)
    is_end = equal(iota(shape=scores.shape, dtype=i32, axis=1), end)
    only_end = select(is_end, zeros(scores.shape), only_end)
    rows = broadcast_in_dim(ended, shape=scores.shape, axes=(0,))
    step = reshape(select(rows, only_end, log_softmax(scores, axis=1)), shape=(batch, beams, -1))
    sums = broadcast_in_dim(total, shape=step.shape, axes=(0, 1)) + step
    total, index = top_k(reshape(sums, shape=(batch, beams * vocabulary)), k=beams).items
    beam, token = floor_divide(index, vocabulary), modulo(index, vocabulary)
    row = beam + iota(shape=beam.shape, dtype=i32, axis=0) * beams
    flat = (batch * beams,)
    return total, reshape(row, shape=flat), reshape(token, shape=flat)


def _traced_back(row: Node, tokens: Node, parents: Node) -> Node:
    """The tokens i32[batch, steps] that lead to the rows `row` after the last step."""

    def back(row: Node, given: tuple[Node, Node]) -> tuple[Node, Node]:
        token, parent = given
        return take(parent, row), take(token, row)

    return transpose(scan(back, row, (tokens, parents), reverse=True)[1])
