"""From sequences to sequences: an encoder, a decoder that attends to it, and what it says.

Training gives the decoder the tokens it should have said; inference goes on from its own tokens.
Either is one native loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from anode import ops
from anode.errors import ShapeError
from anode.frontends.layers.activations import Softmax
from anode.frontends.layers.containers import Sequential
from anode.frontends.layers.costs import safelog
from anode.frontends.layers.layers import GLOROT, Layer, features
from anode.frontends.layers.model import Model
from anode.frontends.layers.scope import Scope, State, random_key
from anode.ir.graph import Graph, close, fresh_inputs
from anode.ir.node import Node
from anode.ir.types import TensorType, tensor
from anode.ops import decoding

States = list[State]
Build = Callable[[Node], Node]


class Attention(Layer):
    """tanh([context, x] · weight), where the context is a mean of the encoder's steps.

    Each step of `x` weighs the encoder's steps by the softmax of x · inner · encoder; masked steps
    have no weight. It stands in the decoder of a Seq2Seq. Source: Luong et al. 2015.
    """

    def __init__(self, output_size: int, init: Any = GLOROT, name: str | None = None) -> None:
        self.output_size, self.init, self.name = output_size, init, name

    def build(self, x: Node) -> Node:
        memory = self._scope.memory
        if memory is None:
            raise ShapeError("Attention stands in the decoder of a Seq2Seq")
        inner = self.variable("inner", (features(x), features(memory)), self.init, dtype=x.dtype)
        scores = _products(x @ inner, memory, 2)
        mask = self._scope.sequences.get(memory)
        if mask is not None:
            seen = ops.broadcast_in_dim(mask, shape=scores.shape, axes=(0, 2))
            scores = ops.select(seen, scores, ops.full(scores.shape, -1e9, scores.dtype))
        context = _products(ops.softmax(scores, axis=2), memory, 1)
        joined = ops.concatenate(context, x, axis=2)
        shape = (features(joined), self.output_size)
        return ops.tanh(joined @ self.variable("weight", shape, self.init, dtype=x.dtype))


class Seq2Seq(Layer):
    """Two lists of layers: what reads the source, and what says the target token by token.

    The decoder's layers take tokens (batch, steps) and give scores of each token, by Softmax or
    without; its i-th recurrent layer starts from the last state of the encoder's i-th, of which a
    bidirectional one has both directions' side by side. In training its inputs are `start` and then
    the targets, integers (batch, steps), and the output is that of its last layer. In inference
    the output is tokens i32[batch, steps], `end` from the first `end` on: the likeliest at each
    step, or with `beams` the best row that a beam search finds (see `anode.ops.decoding`).
    """

    def __init__(
        self,
        encoder: Iterable[Any],
        decoder: Iterable[Any],
        *,
        start: int,
        end: int,
        steps: int,
        beams: int = 1,
        name: str | None = None,
    ) -> None:
        self.encoder, self.decoder = Sequential(encoder), Sequential(decoder)
        if beams < 1 or steps < 1:
            raise ShapeError(f"Seq2Seq: {beams} beams, {steps} steps; both are at least 1")
        self.start, self.end, self.steps, self.beams = start, end, steps, beams
        self.name = name

    def build(self, x: Node) -> Node:
        scope, batch = self._scope, int(x.shape[0])
        scope.last_states = []
        scope.memory = self.apply(self.encoder, x, "encoder")
        states = scope.last_states
        if self.training:
            return self._taught(batch, states)
        advance = Stepping(self._decode, scope, states)
        first, flat = ops.full((batch,), self.start, "i32"), _flat(states)
        if self.beams == 1:
            return decoding.greedy(advance, first, flat, self.end, self.steps)
        self._repeat_memory()
        return decoding.beam_search(advance, first, flat, self.end, self.steps, self.beams)

    def _decode(self, tokens: Node) -> Node:
        y = self.apply(self.decoder, tokens, "decoder")
        if len(y.shape) != 3:
            raise ShapeError(f"the decoder gives {y.type}, not scores (batch, steps, tokens)")
        return y

    def _taught(self, batch: int, states: States) -> Node:
        target = self._scope.target
        if target is None:  # while a model makes its variables
            target = ops.zeros((batch, self.steps), "i32")
        if not target.dtype.is_integer or len(target.shape) != 2:
            raise ShapeError(f"Seq2Seq learns from tokens (batch, steps), not {target.type}")
        first = ops.full((batch, 1), self.start, "i32")
        tokens = ops.concatenate(first, ops.convert(target, dtype="i32")[:, :-1], axis=1)
        return stepped(self._decode, tokens, self._scope, states)[0]

    def _repeat_memory(self) -> None:
        """A row of what the encoder gave for each beam."""
        scope = self._scope
        assert scope.memory is not None
        mask = scope.sequences.get(scope.memory)
        scope.memory = ops.repeat(scope.memory, self.beams, axis=0)
        scope.sequences[scope.memory] = None if mask is None else ops.repeat(mask, self.beams, 0)


class Stepping:
    """Layers over tokens as a function of one token and the states, for `anode.ops.decoding`.

    `build` gives their output (batch, steps, tokens) for tokens (batch, steps).
    """

    def __init__(self, build: Build, scope: Scope, like: States) -> None:
        self.build, self.scope = build, scope
        self.ends = list(accumulate(map(len, like), initial=0))

    def __call__(self, token: Node, state: State) -> tuple[Node, State]:
        states = [state[a:b] for a, b in pairwise(self.ends)]
        y, after = stepped(self.build, ops.expand_dims(token, axis=1), self.scope, states)
        return ops.squeeze(logarithms(self.scope, y), axis=1), _flat(after)


def stepped(build: Build, tokens: Node, scope: Scope, states: States) -> tuple[Node, States]:
    """The output of layers for tokens (batch, steps) from given states, and the last ones."""
    outside = scope.first_states, scope.last_states
    scope.first_states, scope.last_states = list(states), []
    y = build(tokens)
    if scope.first_states:
        raise ShapeError("the decoder has fewer recurrent layers than the encoder")
    after = scope.last_states
    scope.first_states, scope.last_states = outside
    return y, after


def logarithms(scope: Scope, y: Node) -> Node:
    """Scores, of which the softmax are the probabilities, of a model's output."""
    found = scope.prediction(y)
    if not isinstance(found.activation, Softmax):
        return y
    return safelog(y) if found.logits is None else found.logits


def beamed(model: Model, beams: int) -> Model:
    """A model that ends in a Seq2Seq, of the same variables, with another number of beams."""
    last = model.layers[-1]
    if not isinstance(last, Seq2Seq):
        raise ShapeError(f"{model.name} ends in {type(last).__name__}, not in a Seq2Seq")
    made, layer = copy(model), copy(last)
    layer.beams = beams
    made.layers = [*model.layers[:-1], layer]
    made.names = {**model.names, layer: model.names[last]}
    made._executables = {}
    return made


def generate(
    model: Model, prompt: np.ndarray, steps: int, *, temperature: float = 1.0, seed: int = 0
) -> np.ndarray:
    """Tokens i32[batch, steps] that go on from `prompt`, integers (batch, at least one).

    `model` gives the scores of the next token at each step, by Softmax or without, and reads
    forward. Tokens are drawn with the probabilities softmax(scores / temperature); 0 takes
    the likeliest.
    """
    prompt = np.asarray(prompt)
    if prompt.ndim != 2 or not prompt.size or prompt.dtype.kind not in "iu":
        raise ShapeError(f"a prompt is integers (batch, steps), not {prompt.dtype}{prompt.shape}")
    key = generate, prompt.shape, prompt.dtype, steps
    if key not in model._executables:
        model.build(prompt)
        type = tensor(prompt.dtype, *prompt.shape)
        model._executables[key] = model.compile(_generation(model, type, steps))
    values = np.float32(temperature), random_key(seed)
    return model._executables[key](prompt, *values, state=model.state)[0]


def _generation(model: Model, prompt: TensorType, steps: int) -> Graph:
    inputs = fresh_inputs(prompt, tensor("f32"), tensor("u32", 4))
    tokens, temperature, key = inputs
    prediction, scope = model.forward(tokens)
    if len(prediction.value.shape) != 3:
        raise ShapeError(
            f"{model.name} gives {prediction.value.type}, not scores (batch, steps, tokens)"
        )
    last = logarithms(scope, prediction.value)[:, -1]
    states = scope.last_states
    advance = Stepping(lambda x: model.through(x, scope), scope, states)
    said = decoding.sample(advance, last, _flat(states), temperature, key, steps)
    return close(inputs, [said], names=("prompt", "temperature", "key", "tokens"))


def _products(x: Node, memory: Node, axis: int) -> Node:
    """The batch's products, over the features (2) or the steps (1) of the memory."""
    return ops.dot_general(x, memory, contract=((2,), (axis,)), batch=((0,), (0,)))


def _flat(states: States) -> State:
    return tuple([x for state in states for x in state])
