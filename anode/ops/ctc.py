"""Connectionist temporal classification: labels without the times at which they occur.

A labelling's states are its labels with a blank before, between and after them, 2·length + 1 of
them. All is in the log domain. Source: Graves, Fernández, Gomez and Schmidhuber, 2006.
"""

from __future__ import annotations

import math
from typing import Any

from anode.errors import ShapeError
from anode.ir.dtypes import i32
from anode.ir.node import Node
from anode.ops.control import scan
from anode.ops.declare import composite
from anode.ops.elementwise import equal, exp, greater, less, log, maximum, not_equal, select
from anode.ops.index import take_along_axis
from anode.ops.nn import log_softmax
from anode.ops.precision import as_dtype, in_f32
from anode.ops.reduce import max, sum
from anode.ops.shape import (
    broadcast_to,
    concatenate,
    cut,
    expand_dims,
    full,
    iota,
    reshape,
    stack,
)

NEVER = -1e30  # the logarithm of a probability that is 0; sums of such stay finite


@composite
@in_f32
def ctc_loss(
    logits: Node,
    labels: Node,
    logit_lengths: Node,
    label_lengths: Node,
    *,
    blank: int = 0,
    merge_repeated: bool = True,
) -> Node:
    """−log p(labels), over all their alignments with `logits` (time, n, classes), for each n.

    `labels` are integers (n, most), of which the first `label_lengths` count, as do the first
    `logit_lengths` times. Class `blank` stands for no label; a label may last for several times,
    unless `merge_repeated` is False. Infinite, with gradient 0, where the time is too short.
    """
    _check(logits, labels, logit_lengths, label_lengths, blank)
    wide = as_dtype(labels, labels.dtype if labels.dtype.bits >= 32 else logit_lengths.dtype)
    states = _with_blanks(wide, blank)
    shape = (logits.shape[0], *states.shape)
    emissions = take_along_axis(log_softmax(logits), broadcast_to(states, shape), axis=2)
    found = ctc_log_likelihood(
        emissions,
        _skips(states, blank, merge_repeated),
        logit_lengths,
        label_lengths,
        merge_repeated=merge_repeated,
    )
    return select(greater(found, NEVER / 2), -found, math.inf)


def _check(logits: Node, labels: Node, times: Node, lengths: Node, blank: int) -> None:
    n = logits.shape[1] if len(logits.shape) == 3 else None
    vectors = [(v.shape, v.dtype.is_integer) for v in (times, lengths)]
    if len(labels.shape) != 2 or labels.shape[0] != n or vectors != [((n,), True)] * 2:
        types = [v.type for v in (logits, labels, times, lengths)]
        raise ShapeError(
            "ctc_loss takes logits (time, n, classes), labels (n, most) and two vectors of n "
            f"lengths, all but the first integers, not {', '.join(map(str, types))}"
        )
    if not 0 <= blank < int(logits.shape[2]):
        raise ShapeError(f"ctc_loss: the blank {blank} is none of {logits.shape[2]} classes")


def _with_blanks(labels: Node, blank: int) -> Node:
    """(n, 2·most + 1): labels with a blank before, between and after them."""
    n, most = labels.shape
    blanks = full(labels.shape, blank, labels.dtype)
    pairs = reshape(stack([blanks, labels], 2), shape=(n, 2 * most))
    return concatenate(pairs, full((n, 1), blank, labels.dtype), axis=1)


def _skips(states: Node, blank: int, merge_repeated: bool) -> Node:
    """Which states may follow the one two before them: labels unlike the last one."""
    label = _odd(states)
    if not merge_repeated:
        return label
    return label & not_equal(states, _moved(states, 2, blank))


def _odd(states: Node) -> Node:
    places = iota(shape=states.shape, dtype="i32", axis=1)
    return equal(places & 1, 1)


@composite
def ctc_log_likelihood(
    emissions: Node,
    skips: Node,
    logit_lengths: Node,
    label_lengths: Node,
    *,
    merge_repeated: bool = True,
) -> Node:
    """The log of the probability of all paths through the states, for each n.

    `emissions` (time, n, states) are log probabilities; `skips` (n, states) says which states may
    follow the one two before them. Below −5·10²⁹ there is no path.
    """
    last, _ = _forward(emissions, skips, logit_lengths, merge_repeated)
    return _log_sum(select(_final(emissions, label_lengths), last, NEVER))


@ctc_log_likelihood.vjp
def _(
    ct: Node,
    y: Node,
    emissions: Node,
    skips: Node,
    logit_lengths: Node,
    label_lengths: Node,
    *,
    merge_repeated: bool,
) -> tuple[Node | None, ...]:
    rest = (skips, logit_lengths, label_lengths)
    share = ctc_occupancy(emissions, *rest, merge_repeated=merge_repeated)
    return share * expand_dims(ct, -1), None, None, None


@composite
def ctc_occupancy(
    emissions: Node,
    skips: Node,
    logit_lengths: Node,
    label_lengths: Node,
    *,
    merge_repeated: bool = True,
) -> Node:
    """The probability (time, n, states) of each state, given that the labelling is what was said.

    It is the gradient of `ctc_log_likelihood` by its emissions; 0 where there is no path.
    """
    final = _final(emissions, label_lengths)
    last, before = _forward(emissions, skips, logit_lengths, merge_repeated)
    after = _backward(emissions, skips, logit_lengths, final, merge_repeated)
    total = _log_sum(select(final, last, NEVER))
    possible = expand_dims(greater(total, NEVER / 2), -1)
    within = less(_times(emissions), expand_dims(expand_dims(_i32(logit_lengths), -1), 0))
    inside = within & broadcast_to(possible, emissions.shape)
    weight = before + after - expand_dims(total, -1)
    return select(inside, exp(select(inside, weight, 0)), 0)


def _forward(e: Node, skips: Node, lengths: Node, merge: bool) -> tuple[Node, Node]:
    """The log probability of having come to each state, at the end and after each time."""
    stays = _stays(skips, merge)
    start = select(
        equal(iota(shape=skips.shape, dtype="i32", axis=1), 0), full((), 0.0, e.dtype), NEVER
    )

    def step(reached: Node, now: tuple[Node, ...]) -> tuple[Node, Node]:
        time, emitted = now
        skipped = select(skips, _moved(reached, 2, NEVER), NEVER)
        stayed = select(stays, reached, NEVER)
        new = emitted + _log_add(stayed, _moved(reached, 1, NEVER), skipped)
        new = select(expand_dims(less(time, _i32(lengths)), -1), maximum(new, NEVER), reached)
        return new, new

    last, rows = scan(step, start, (_count(e), e))
    return last, rows


def _backward(e: Node, skips: Node, lengths: Node, final: Node, merge: bool) -> Node:
    """The log probability of what is emitted after each time, from each state."""
    stays = _stays(skips, merge)

    def step(ahead: Node, now: tuple[Node, ...]) -> tuple[Node, Node]:
        time, emitted = now
        value = maximum(emitted + ahead, NEVER)
        skipped = _moved(select(skips, value, NEVER), -2, NEVER)
        stayed = select(stays, value, NEVER)
        new = maximum(_log_add(stayed, _moved(value, -1, NEVER), skipped), NEVER)
        return select(expand_dims(less(time, _i32(lengths)), -1), new, ahead), ahead

    end = select(final, full((), 0.0, e.dtype), NEVER)
    return scan(step, end, (_count(e), e), reverse=True)[1]


def _stays(skips: Node, merge: bool) -> Node:
    """Which states may follow themselves."""
    label = _odd(skips)
    return full(skips.shape, True) if merge else equal(label, False)


def _final(e: Node, label_lengths: Node) -> Node:
    """Where a path may end: in the last label or in the blank after it."""
    place = iota(shape=e.shape[1:], dtype="i32", axis=1)
    end = 2 * expand_dims(_i32(label_lengths), -1)
    return equal(place, end) | equal(place, end - 1)


def _i32(x: Node) -> Node:
    return as_dtype(x, i32)


def _count(e: Node) -> Node:
    return iota(shape=e.shape[:1], dtype="i32")


def _times(e: Node) -> Node:
    return iota(shape=e.shape, dtype="i32", axis=0)


def _moved(x: Node, by: int, fill: Any) -> Node:
    """`x` (n, states) moved `by` states to the right, `fill` where nothing comes."""
    n, count = x.shape
    width = abs(by)
    if width >= count:
        return full(x.shape, fill, x.dtype)
    edge = full((n, width), fill, x.dtype)
    if by > 0:
        return concatenate(edge, cut(x, 1, 0, count - width), axis=1)
    return concatenate(cut(x, 1, width, count), edge, axis=1)


def _log_add(*xs: Node) -> Node:
    """log Σ exp, of values of which none is below NEVER by much."""
    top = xs[0]
    for x in xs[1:]:
        top = maximum(top, x)
    total = exp(xs[0] - top)
    for x in xs[1:]:
        total = total + exp(x - top)
    return top + log(total)


def _log_sum(x: Node) -> Node:
    top = max(x, 1, keepdims=True)
    return reshape(top, shape=x.shape[:1]) + log(sum(exp(x - top), 1))
