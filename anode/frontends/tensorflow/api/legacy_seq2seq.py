"""tf.contrib.legacy_seq2seq: unrolled encoders and decoders, and losses over lists of times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api import nest, rnn_wrappers
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.api.rnn import static_rnn
from anode.frontends.tensorflow.api.rnn_wrappers import EmbeddingWrapper, OutputProjectionWrapper
from anode.frontends.tensorflow.graph import apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import EXPORTS

Outputs = list[Any]


def _export(thing: Any) -> Any:
    for place in (
        "contrib.legacy_seq2seq",
        "contrib.legacy_seq2seq.python.ops.seq2seq",
        "nn.seq2seq",
    ):
        EXPORTS[f"{place}.{thing.__name__}"] = f"{__name__}:{thing.__name__}"
    return thing


def _linear(args: Any, size: int, bias: bool) -> Any:
    return rnn_wrappers._Linear(args, size, bias)(args)


def _extract_argmax_and_embed(
    embedding: Any, output_projection: Any = None, update_embedding: bool = True
) -> Callable[[Any, int], Any]:
    """A loop function: the embedding of the most likely symbol of the previous output."""

    def loop_function(prev: Any, _: int) -> Any:
        if output_projection is not None:
            prev = apply(
                "BiasAdd", apply("MatMul", prev, output_projection[0]), output_projection[1]
            )
        symbol = apply("ArgMax", prev, 1)
        found = public("nn.embedding_lookup")(embedding, symbol)
        return found if update_embedding else apply("StopGradient", found)

    return loop_function


@_export
def rnn_decoder(
    decoder_inputs: Sequence[Any],
    initial_state: Any,
    cell: Any,
    loop_function: Callable[[Any, int], Any] | None = None,
    scope: Any = None,
) -> tuple[Outputs, Any]:
    """Outputs and last state of a cell over inputs, after the first made by `loop_function`."""
    with vs.variable_scope(scope or "rnn_decoder"):
        state, outputs, prev = initial_state, [], None
        for i, given in enumerate(decoder_inputs):
            if loop_function is not None and prev is not None:
                with vs.variable_scope("loop_function", reuse=True):
                    given = loop_function(prev, i)
            if i > 0:
                vs.get_variable_scope().reuse_variables()
            output, state = cell(given, state)
            outputs.append(output)
            if loop_function is not None:
                prev = output
    return outputs, state


@_export
def basic_rnn_seq2seq(
    encoder_inputs: Sequence[Any],
    decoder_inputs: Sequence[Any],
    cell: Any,
    dtype: Any = "float32",
    scope: Any = None,
) -> tuple[Outputs, Any]:
    """A decoder that begins with the last state of an encoder of the same cell."""
    import copy

    with vs.variable_scope(scope or "basic_rnn_seq2seq"):
        _, state = static_rnn(copy.deepcopy(cell), encoder_inputs, dtype=dtype)
        return rnn_decoder(decoder_inputs, state, cell)


@_export
def tied_rnn_seq2seq(
    encoder_inputs: Sequence[Any],
    decoder_inputs: Sequence[Any],
    cell: Any,
    loop_function: Any = None,
    dtype: Any = "float32",
    scope: Any = None,
) -> tuple[Outputs, Any]:
    """`basic_rnn_seq2seq` whose encoder and decoder share their weights."""
    with vs.variable_scope("combined_tied_rnn_seq2seq"):
        name = scope or "tied_rnn_seq2seq"
        _, state = static_rnn(cell, encoder_inputs, dtype=dtype, scope=name)
        vs.get_variable_scope().reuse_variables()
        return rnn_decoder(decoder_inputs, state, cell, loop_function=loop_function, scope=name)


@_export
def embedding_rnn_decoder(
    decoder_inputs: Sequence[Any],
    initial_state: Any,
    cell: Any,
    num_symbols: int,
    embedding_size: int,
    output_projection: Any = None,
    feed_previous: bool = False,
    update_embedding_for_previous: bool = True,
    scope: Any = None,
) -> tuple[Outputs, Any]:
    """`rnn_decoder` over ids; with `feed_previous` each input is the symbol put out before."""
    with vs.variable_scope(scope or "embedding_rnn_decoder"):
        embedding = vs.get_variable("embedding", [num_symbols, embedding_size])
        loop = _loop(embedding, output_projection, update_embedding_for_previous, feed_previous)
        inputs = [public("nn.embedding_lookup")(embedding, i) for i in decoder_inputs]
        return rnn_decoder(inputs, initial_state, cell, loop_function=loop)


def _loop(embedding: Any, projection: Any, update: bool, feed_previous: bool) -> Any:
    return _extract_argmax_and_embed(embedding, projection, update) if feed_previous else None


def _either(
    feed_previous: Any, decoder: Callable[[bool], tuple[Outputs, Any]], state_like: Any
) -> tuple[Outputs, Any]:
    """The decoder with or without its own symbols as inputs, chosen now or by a bool tensor."""
    if isinstance(feed_previous, bool):
        return decoder(feed_previous)
    from anode.frontends.tensorflow.api.control_flow import cond

    def branch(feed: bool) -> Callable[[], list[Any]]:
        def run() -> list[Any]:
            reuse = None if feed else True
            with vs.variable_scope(vs.get_variable_scope(), reuse=reuse):
                outputs, state = decoder(feed)
            return [*outputs, *nest.flatten(state)]

        return run

    found = cond(feed_previous, branch(True), branch(False))
    count = len(nest.flatten(state_like))
    return found[:-count], nest.pack_sequence_as(state_like, found[-count:])


@_export
def embedding_rnn_seq2seq(
    encoder_inputs: Sequence[Any],
    decoder_inputs: Sequence[Any],
    cell: Any,
    num_encoder_symbols: int,
    num_decoder_symbols: int,
    embedding_size: int,
    output_projection: Any = None,
    feed_previous: Any = False,
    dtype: Any = None,
    scope: Any = None,
) -> tuple[Outputs, Any]:
    """Encoder and decoder over ids, each with its embedding."""
    import copy

    with vs.variable_scope(scope or "embedding_rnn_seq2seq") as opened:
        dtype = dtype or opened.dtype
        encoder = EmbeddingWrapper(copy.deepcopy(cell), num_encoder_symbols, embedding_size)
        _, state = static_rnn(encoder, encoder_inputs, dtype=dtype)
        if output_projection is None:
            cell = OutputProjectionWrapper(cell, num_decoder_symbols)

        def decode(feed: bool) -> tuple[Outputs, Any]:
            return embedding_rnn_decoder(
                decoder_inputs,
                state,
                cell,
                num_decoder_symbols,
                embedding_size,
                output_projection=output_projection,
                feed_previous=feed,
            )

        return _either(feed_previous, decode, state)


@_export
def embedding_tied_rnn_seq2seq(
    encoder_inputs: Sequence[Any],
    decoder_inputs: Sequence[Any],
    cell: Any,
    num_symbols: int,
    embedding_size: int,
    num_decoder_symbols: int | None = None,
    output_projection: Any = None,
    feed_previous: Any = False,
    dtype: Any = None,
    scope: Any = None,
) -> tuple[Outputs, Any]:
    """Encoder and decoder over ids of one vocabulary, which share cell and embedding."""
    with vs.variable_scope(scope or "embedding_tied_rnn_seq2seq", dtype=dtype) as opened:
        dtype = opened.dtype
        embedding = vs.get_variable("embedding", [num_symbols, embedding_size], dtype=dtype)
        look = public("nn.embedding_lookup")
        encoded = [look(embedding, x) for x in encoder_inputs]
        decoded = [look(embedding, x) for x in decoder_inputs]
        symbols = num_decoder_symbols if num_decoder_symbols is not None else num_symbols
        if output_projection is None:
            cell = OutputProjectionWrapper(cell, symbols)

        def decode(feed: bool) -> tuple[Outputs, Any]:
            loop = _loop(embedding, output_projection, True, feed)
            return tied_rnn_seq2seq(encoded, decoded, cell, loop, dtype)

        if isinstance(feed_previous, bool):
            return decode(feed_previous)
        like = cell.zero_state(1, dtype)
        return _either(feed_previous, decode, like)


@_export
def attention_decoder(
    decoder_inputs: Sequence[Any],
    initial_state: Any,
    attention_states: Any,
    cell: Any,
    output_size: int | None = None,
    num_heads: int = 1,
    loop_function: Any = None,
    dtype: Any = None,
    scope: Any = None,
    initial_state_attention: bool = False,
) -> tuple[Outputs, Any]:
    """`rnn_decoder` that looks at `attention_states` [batch, length, size] at every step.

    Source: Vinyals et al. 2014, arXiv 1412.7449.
    """
    if not decoder_inputs:
        raise ValueError("Must provide at least 1 input to attention decoder.")
    if num_heads < 1:
        raise ValueError("With less than 1 heads, use a non-attention decoder.")
    if attention_states.shape.as_list()[2] is None:
        raise ValueError(f"Shape[2] of attention_states must be known: {attention_states.shape}")
    output_size = cell.output_size if output_size is None else output_size
    with vs.variable_scope(scope or "attention_decoder", dtype=dtype) as opened:
        attend = _Attention(attention_states, num_heads)
        batch = apply("Shape", decoder_inputs[0])[0]
        attns = attend.zeros(batch, opened.dtype)
        state: Any = initial_state
        if initial_state_attention:
            attns = attend(initial_state)
        outputs, prev = [], None
        for i, given in enumerate(decoder_inputs):
            if i > 0:
                vs.get_variable_scope().reuse_variables()
            if loop_function is not None and prev is not None:
                with vs.variable_scope("loop_function", reuse=True):
                    given = loop_function(prev, i)
            size = given.shape.with_rank(2).as_list()[1]
            if size is None:
                raise ValueError(f"Could not infer input size from input: {given.name}")
            x = _linear([given, *attns], size, True)
            cell_output, state = cell(x, state)
            if i == 0 and initial_state_attention:
                with vs.variable_scope(vs.get_variable_scope(), reuse=True):
                    attns = attend(state)
            else:
                attns = attend(state)
            with vs.variable_scope("AttnOutputProjection"):
                output = _linear([cell_output, *attns], output_size, True)
            if loop_function is not None:
                prev = output
            outputs.append(output)
    return outputs, state


class _Attention:
    """Weighted sums of the attention states, for each head, by what a query says."""

    def __init__(self, states: Any, heads: int) -> None:
        self.size = states.shape.as_list()[2]
        length = states.shape.as_list()[1]
        length = apply("Shape", states)[1] if length is None else length
        self.length = length
        self.hidden = apply("Reshape", states, apply("Pack", [-1, length, 1, self.size], axis=0))
        self.features, self.v = [], []
        for a in range(heads):
            k = vs.get_variable(f"AttnW_{a}", [1, 1, self.size, self.size], dtype=states.dtype)
            self.features.append(
                apply("Conv2D", self.hidden, k, strides=[1, 1, 1, 1], padding="SAME")
            )
            self.v.append(vs.get_variable(f"AttnV_{a}", [self.size], dtype=states.dtype))

    def zeros(self, batch: Any, dtype: Any) -> list[Any]:
        from anode.frontends.tensorflow.api.rnn_cells import zeros_for

        return [zeros_for(self.size, batch, dtype) for _ in self.v]

    def __call__(self, query: Any) -> list[Any]:
        if nest.is_sequence(query):
            query = apply("ConcatV2", nest.flatten(query), 1)
        return [self._head(query, a) for a in range(len(self.v))]

    def _head(self, query: Any, a: int) -> Any:
        with vs.variable_scope(f"Attention_{a}"):
            y = apply("Reshape", _linear(query, self.size, True), [-1, 1, 1, self.size])
            scores = self.v[a] * apply("Tanh", self.features[a] + y)
            weights = apply("Softmax", apply("Sum", scores, [2, 3], keep_dims=False))
            shape = apply("Pack", [-1, self.length, 1, 1], axis=0)
            found = apply("Reshape", weights, shape) * self.hidden
            total = apply("Sum", found, [1, 2], keep_dims=False)
            return apply("Reshape", total, [-1, self.size])


@_export
def embedding_attention_decoder(
    decoder_inputs: Sequence[Any],
    initial_state: Any,
    attention_states: Any,
    cell: Any,
    num_symbols: int,
    embedding_size: int,
    num_heads: int = 1,
    output_size: int | None = None,
    output_projection: Any = None,
    feed_previous: bool = False,
    update_embedding_for_previous: bool = True,
    dtype: Any = None,
    scope: Any = None,
    initial_state_attention: bool = False,
) -> tuple[Outputs, Any]:
    """`attention_decoder` over ids."""
    output_size = cell.output_size if output_size is None else output_size
    with vs.variable_scope(scope or "embedding_attention_decoder", dtype=dtype):
        embedding = vs.get_variable("embedding", [num_symbols, embedding_size])
        loop = _loop(embedding, output_projection, update_embedding_for_previous, feed_previous)
        inputs = [public("nn.embedding_lookup")(embedding, i) for i in decoder_inputs]
        return attention_decoder(
            inputs,
            initial_state,
            attention_states,
            cell,
            output_size=output_size,
            num_heads=num_heads,
            loop_function=loop,
            initial_state_attention=initial_state_attention,
        )


@_export
def embedding_attention_seq2seq(
    encoder_inputs: Sequence[Any],
    decoder_inputs: Sequence[Any],
    cell: Any,
    num_encoder_symbols: int,
    num_decoder_symbols: int,
    embedding_size: int,
    num_heads: int = 1,
    output_projection: Any = None,
    feed_previous: Any = False,
    dtype: Any = None,
    scope: Any = None,
    initial_state_attention: bool = False,
) -> tuple[Outputs, Any]:
    """Encoder and decoder over ids; the decoder attends to the encoder's outputs."""
    import copy

    with vs.variable_scope(scope or "embedding_attention_seq2seq", dtype=dtype) as opened:
        dtype = opened.dtype
        encoder = EmbeddingWrapper(copy.deepcopy(cell), num_encoder_symbols, embedding_size)
        outputs, state = static_rnn(encoder, encoder_inputs, dtype=dtype)
        top = [apply("Reshape", e, [-1, 1, cell.output_size]) for e in outputs]
        attended = apply("ConcatV2", top, 1)
        output_size = None
        if output_projection is None:
            cell = OutputProjectionWrapper(cell, num_decoder_symbols)
            output_size = num_decoder_symbols

        def decode(feed: bool) -> tuple[Outputs, Any]:
            return embedding_attention_decoder(
                decoder_inputs,
                state,
                attended,
                cell,
                num_decoder_symbols,
                embedding_size,
                num_heads=num_heads,
                output_size=output_size,
                output_projection=output_projection,
                feed_previous=feed,
                initial_state_attention=initial_state_attention,
            )

        return _either(feed_previous, decode, state)


# losses


def _crossent(target: Any, logit: Any, softmax_loss_function: Any) -> Any:
    if softmax_loss_function is not None:
        return softmax_loss_function(labels=target, logits=logit)
    target = apply("Reshape", target, [-1])
    return public("nn.sparse_softmax_cross_entropy_with_logits")(labels=target, logits=logit)


@_export
def sequence_loss_by_example(
    logits: Sequence[Any],
    targets: Sequence[Any],
    weights: Sequence[Any],
    average_across_timesteps: bool = True,
    softmax_loss_function: Any = None,
    name: str | None = None,
) -> Any:
    """Weighted cross-entropy of lists over time: one number for each example."""
    if len(targets) != len(logits) or len(weights) != len(logits):
        raise ValueError(
            "Lengths of logits, weights, and targets must be the same "
            f"{len(logits)}, {len(weights)}, {len(targets)}."
        )
    with name_scope(name, "sequence_loss_by_example", [*logits, *targets, *weights]):
        losses = [
            _crossent(target, logit, softmax_loss_function) * weight
            for logit, target, weight in zip(logits, targets, weights, strict=True)
        ]
        total = apply("AddN", losses)
        if average_across_timesteps:
            size = apply("AddN", [convert_to_tensor(weight) for weight in weights]) + 1e-12
            total = total / size
        return total


@_export
def sequence_loss(
    logits: Sequence[Any],
    targets: Sequence[Any],
    weights: Sequence[Any],
    average_across_timesteps: bool = True,
    average_across_batch: bool = True,
    softmax_loss_function: Any = None,
    name: str | None = None,
) -> Any:
    """Weighted cross-entropy of lists over time, summed or averaged over the batch."""
    with name_scope(name, "sequence_loss", [*logits, *targets, *weights]):
        by_example = sequence_loss_by_example(
            logits, targets, weights, average_across_timesteps, softmax_loss_function
        )
        cost = public("reduce_sum")(by_example)
        if not average_across_batch:
            return cost
        batch = apply("Shape", targets[0])[0]
        return cost / apply("Cast", batch, DstT=cost.dtype.base_dtype)


@_export
def model_with_buckets(
    encoder_inputs: Sequence[Any],
    decoder_inputs: Sequence[Any],
    targets: Sequence[Any],
    weights: Sequence[Any],
    buckets: Sequence[tuple[int, int]],
    seq2seq: Callable[[Any, Any], tuple[Any, Any]],
    softmax_loss_function: Any = None,
    per_example_loss: bool = False,
    name: str | None = None,
) -> tuple[list[Any], list[Any]]:
    """(outputs, losses) of a model for each bucket (encoder length, decoder length)."""
    longest = buckets[-1]
    for what, given, needed in (
        ("encoder_inputs", encoder_inputs, longest[0]),
        ("targets", targets, longest[1]),
        ("weights", weights, longest[1]),
    ):
        if len(given) < needed:
            raise ValueError(
                f"Length of {what} ({len(given)}) must be at least that of last bucket ({needed})."
            )
    losses, outputs = [], []
    loss = sequence_loss_by_example if per_example_loss else sequence_loss
    values = [*encoder_inputs, *decoder_inputs, *targets, *weights]
    with name_scope(name, "model_with_buckets", values):
        for j, (source, target) in enumerate(buckets):
            with vs.variable_scope(vs.get_variable_scope(), reuse=True if j > 0 else None):
                found, _ = seq2seq(encoder_inputs[:source], decoder_inputs[:target])
                outputs.append(found)
                losses.append(
                    loss(
                        outputs[-1],
                        targets[:target],
                        weights[:target],
                        softmax_loss_function=softmax_loss_function,
                    )
                )
    return outputs, losses
