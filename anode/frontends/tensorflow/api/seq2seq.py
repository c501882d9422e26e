"""tf.contrib.seq2seq: decoders, the loop that runs them, and the loss of sequences."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.api import variable_scope as vs
from anode.frontends.tensorflow.api.control_flow import while_loop
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.api.rnn import rows_where, swapped
from anode.frontends.tensorflow.api.rnn_cells import zeros_for
from anode.frontends.tensorflow.api.rnn_wrappers import assert_like_rnncell
from anode.frontends.tensorflow.api.tensor_array import TensorArray
from anode.frontends.tensorflow.control import scan_op
from anode.frontends.tensorflow.graph import apply, constant_value, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import EXPORTS
from anode.frontends.tensorflow.tensor_shape import TensorShape


def seq2seq_export(thing: Any) -> Any:
    """Serve a thing under contrib.seq2seq and the modules inside it."""
    for place in ("contrib.seq2seq", "contrib.seq2seq.python.ops"):
        EXPORTS[f"{place}.{thing.__name__}"] = f"{thing.__module__}:{thing.__name__}"
    for module in (
        "attention_wrapper",
        "basic_decoder",
        "beam_search_decoder",
        "decoder",
        "helper",
        "loss",
    ):
        path = f"contrib.seq2seq.python.ops.{module}.{thing.__name__}"
        EXPORTS[path] = f"{thing.__module__}:{thing.__name__}"
    return thing


@seq2seq_export
def sequence_loss(
    logits: Any,
    targets: Any,
    weights: Any,
    average_across_timesteps: bool = True,
    average_across_batch: bool = True,
    sum_over_timesteps: bool = False,
    sum_over_batch: bool = False,
    softmax_loss_function: Any = None,
    name: str | None = None,
) -> Any:
    """Weighted cross-entropy of logits [batch, time, classes] and targets [batch, time].

    Averages divide by the sum of the weights, sums by how many are not zero; without any of them
    the result is [batch, time].
    """
    logits, targets, weights = (convert_to_tensor(x) for x in (logits, targets, weights))
    for tensor, rank, what in (
        (logits, 3, "Logits"),
        (targets, 2, "Targets"),
        (weights, 2, "Weights"),
    ):
        if tensor.shape.rank != rank:
            raise ValueError(f"{what} must be a {rank}-dimensional tensor: {tensor.shape}")
    if average_across_timesteps and sum_over_timesteps:
        raise ValueError("average_across_timesteps and sum_over_timesteps cannot both be True.")
    if average_across_batch and sum_over_batch:
        raise ValueError("average_across_batch and sum_over_batch cannot both be True.")
    with name_scope(name, "sequence_loss", [logits, targets, weights]):
        sizes = apply("Shape", logits)
        flat = apply("Reshape", logits, apply("Pack", [-1, sizes[2]], axis=0))
        labels = apply("Reshape", targets, [-1])
        loss = softmax_loss_function or public("nn.sparse_softmax_cross_entropy_with_logits")
        crossent = loss(labels=labels, logits=flat) * apply("Reshape", weights, [-1])
        crossent = apply("Reshape", crossent, sizes[0:2])
        averaged = [
            i for i, on in enumerate((average_across_batch, average_across_timesteps)) if on
        ]
        summed = [i for i, on in enumerate((sum_over_batch, sum_over_timesteps)) if on]
        axes = _loss_axes(averaged, summed)
        if not axes:
            return crossent
        total = apply("Sum", crossent, axes, keep_dims=False)
        if axes == averaged:
            return public("div_no_nan")(total, apply("Sum", weights, axes, keep_dims=False))
        count = public("count_nonzero")(weights, axis=axes)
        return public("div_no_nan")(total, apply("Cast", count, DstT=total.dtype.base_dtype))


def _loss_axes(averaged: list[int], summed: list[int]) -> list[int]:
    """The axes that a loss is reduced over; of one average or sum the batch goes first."""
    if len(averaged) == 2 or len(summed) == 2:
        return [0, 1]
    return averaged or summed


@seq2seq_export
def tile_batch(t: Any, multiplier: int, name: str | None = None) -> Any:
    """Each row of every tensor `multiplier` times: [batch, ...] as [batch * multiplier, ...]."""

    def tiled(x: Any) -> Any:
        x = convert_to_tensor(x)
        if x.shape.rank is None:
            raise ValueError("t must have statically known rank")
        sizes, known = apply("Shape", x), x.shape.as_list()
        repeated = apply(
            "Tile", apply("ExpandDims", x, 1), [1, multiplier, *[1] * (len(known) - 1)]
        )
        rows = apply("ExpandDims", sizes[0] * multiplier, 0)
        found = apply("Reshape", repeated, apply("ConcatV2", [rows, sizes[1:]], 0))
        found.set_shape([None if known[0] is None else known[0] * multiplier, *known[1:]])
        return found

    with name_scope(name, "tile_batch", nest.flatten(t)):
        return nest.map_structure(tiled, t)


# decoders


@seq2seq_export
class Decoder:
    """One step of decoding, for `dynamic_decode`."""

    @property
    def batch_size(self) -> Any:
        raise NotImplementedError

    @property
    def output_size(self) -> Any:
        raise NotImplementedError

    @property
    def output_dtype(self) -> Any:
        raise NotImplementedError

    def initialize(self, name: str | None = None) -> tuple[Any, Any, Any]:
        """(finished, first inputs, first state)."""
        raise NotImplementedError

    def step(self, time: Any, inputs: Any, state: Any, name: str | None = None) -> Any:
        """(outputs, next state, next inputs, finished)."""
        raise NotImplementedError

    def finalize(self, outputs: Any, final_state: Any, sequence_lengths: Any) -> tuple[Any, Any]:
        raise NotImplementedError

    @property
    def tracks_own_finished(self) -> bool:
        """Whether the step itself keeps who has finished, as beams that move do."""
        return False


def layered_size(size: Any, layer: Any) -> Any:
    """What a layer, if there is one, makes of a cell's output size."""
    if layer is None:
        return size

    def through(one: Any) -> TensorShape:
        dims = [one] if isinstance(one, int) else TensorShape(one).as_list()
        return layer.compute_output_shape(TensorShape([None, *dims]))[1:]

    return nest.map_structure(through, size)


BasicDecoderOutput = namedtuple("BasicDecoderOutput", ("rnn_output", "sample_id"))
seq2seq_export(BasicDecoderOutput)


@seq2seq_export
class BasicDecoder(Decoder):
    """A cell, a helper that chooses the next inputs, and a layer over the outputs."""

    def __init__(
        self, cell: Any, helper: Any, initial_state: Any, output_layer: Any = None
    ) -> None:
        assert_like_rnncell("cell", cell)
        self._cell, self._helper = cell, helper
        self._initial_state, self._output_layer = initial_state, output_layer

    @property
    def batch_size(self) -> Any:
        return self._helper.batch_size

    def _rnn_output_size(self) -> Any:
        return layered_size(self._cell.output_size, self._output_layer)

    @property
    def output_size(self) -> Any:
        return BasicDecoderOutput(self._rnn_output_size(), self._helper.sample_ids_shape)

    @property
    def output_dtype(self) -> Any:
        dtype = nest.flatten(self._initial_state)[0].dtype.base_dtype
        made = nest.map_structure(lambda _: dtype, self._rnn_output_size())
        return BasicDecoderOutput(made, self._helper.sample_ids_dtype)

    def initialize(self, name: str | None = None) -> tuple[Any, Any, Any]:
        return (*self._helper.initialize(), self._initial_state)

    def step(self, time: Any, inputs: Any, state: Any, name: str | None = None) -> Any:
        with name_scope(name, "BasicDecoderStep", [time]):
            outputs, new = self._cell(inputs, state)
            if self._output_layer is not None:
                outputs = self._output_layer(outputs)
            ids = self._helper.sample(time=time, outputs=outputs, state=new)
            finished, following, new = self._helper.next_inputs(
                time=time, outputs=outputs, state=new, sample_ids=ids
            )
        return BasicDecoderOutput(outputs, ids), new, following, finished

    @property
    def helper(self) -> Any:
        return self._helper


# the loop


def _zeros(decoder: Any) -> Any:
    batch = decoder.batch_size
    known = constant_value(batch) if hasattr(batch, "op") else batch
    batch = batch if known is None else int(known)
    return nest.map_structure(
        lambda size, dtype: zeros_for(size, batch, dtype), decoder.output_size, decoder.output_dtype
    )


def _kept_state(finished: Any, new: Any, current: Any) -> Any:
    """The state of rows that have finished stays; scalars and TensorArrays go on."""

    def kept(fresh: Any, old: Any) -> Any:
        if nest.is_composite(old):
            return fresh
        fresh.set_shape(old.shape)
        return fresh if fresh.shape.rank == 0 else rows_where(finished, old, fresh)

    return nest.map_structure(kept, new, current)


class _Loop:
    """One decoding: the step that both kinds of loop make, and what they begin with."""

    def __init__(self, decoder: Any, impute: bool, maximum: Any) -> None:
        self.decoder, self.impute = decoder, impute
        finished, inputs, state = decoder.initialize()
        self.zeros = _zeros(decoder)
        if maximum is not None:
            finished = apply("LogicalOr", finished, apply("GreaterEqual", 0, maximum))
        self.finished = convert_to_tensor(finished)
        self.inputs, self.state = (
            nest.map_structure(lambda x: x if nest.is_composite(x) else convert_to_tensor(x), part)
            for part in (inputs, state)
        )
        self.lengths = apply("ZerosLike", apply("Cast", self.finished, DstT="int32"))

    def step(self, time: Any, state: Any, inputs: Any, finished: Any, lengths: Any) -> Any:
        """(what is put out, next state, next inputs, finished, lengths)."""
        outputs, new, following, ended = self.decoder.step(time, inputs, state)
        if not self.decoder.tracks_own_finished:
            ended = apply("LogicalOr", ended, finished)
        later = apply("Fill", apply("Shape", lengths), time + 1)
        lengths = rows_where(apply("LogicalNot", finished), later, lengths)
        nest.assert_same_structure(state, new)
        nest.assert_same_structure(self.zeros, outputs)
        nest.assert_same_structure(inputs, following)
        if self.impute:
            outputs = nest.map_structure(
                lambda out, zero: rows_where(finished, zero, out), outputs, self.zeros
            )
            new = _kept_state(finished, new, state)
        return outputs, new, following, ended, lengths


def _of_known_length(loop: _Loop, steps: Any) -> tuple[Any, Any, Any]:
    """The loop when the number of steps follows from the inputs: it compiles and differentiates."""
    state = nest.map_structure(
        lambda x: x.sized(steps) if isinstance(x, TensorArray) else x, loop.state
    )
    start = (state, loop.inputs, loop.finished, loop.lengths)
    helper = loop.decoder.helper
    times = apply("Range", 0, steps, 1)
    following = nest.flatten(helper.inputs_after(steps))

    def step(carry: list[Any], xs: list[Any]) -> tuple[list[Any], list[Any]]:
        given = nest.pack_sequence_as(start, carry, expand_composites=True)
        helper.following = nest.pack_sequence_as(loop.inputs, xs[1:])
        try:
            outputs, *new = loop.step(xs[0], *given)
        finally:
            helper.following = None
        return nest.flatten(tuple(new), expand_composites=True), nest.flatten(outputs)

    flat = nest.flatten(start, expand_composites=True)
    last, outputs = scan_op(step, flat, [times, *following], name="while")
    state, _, _, lengths = nest.pack_sequence_as(start, last, expand_composites=True)
    return nest.pack_sequence_as(loop.zeros, outputs), state, lengths


def _until_finished(loop: _Loop, maximum: Any) -> tuple[Any, Any, Any]:
    """The loop that ends when all rows have finished, after at most `maximum` steps."""

    def array(zero: Any) -> TensorArray:
        return TensorArray(
            zero.dtype,
            size=0 if maximum is None else maximum,
            dynamic_size=maximum is None,
            element_shape=zero.shape,
        )

    def going(time: Any, arrays: Any, state: Any, inputs: Any, finished: Any, lengths: Any) -> Any:
        return apply("LogicalNot", public("reduce_all")(finished))

    def body(time: Any, arrays: Any, *given: Any) -> Any:
        outputs, *new = loop.step(time, *given)
        arrays = nest.map_structure(lambda ta, out: ta.write(time, out), arrays, outputs)
        return (time + 1, arrays, *new)

    def sized(value: Any) -> Any:
        return value.sized(maximum) if isinstance(value, TensorArray) and bounded else value

    bounded = maximum is not None
    arrays = nest.map_structure(array, loop.zeros)
    state = nest.map_structure(sized, loop.state)
    start = (convert_to_tensor(0), arrays, state, loop.inputs, loop.finished, loop.lengths)
    free = nest.map_structure(_free_shape, start)
    time, arrays, state, _, _, lengths = while_loop(
        going, body, start, shape_invariants=free, maximum_iterations=maximum
    )

    def first(value: Any) -> Any:
        """What the steps that ran have written."""
        if isinstance(value, TensorArray):
            return value.unstack(value.stack()[:time])
        return value

    if bounded:
        arrays, state = nest.map_structure(first, (arrays, state))
    return nest.map_structure(lambda ta: ta.stack(), arrays), state, lengths


def _free_shape(value: Any) -> TensorShape:
    return TensorShape(None) if nest.is_composite(value) else value.shape


@seq2seq_export
def dynamic_decode(
    decoder: Any,
    output_time_major: bool = False,
    impute_finished: bool = False,
    maximum_iterations: Any = None,
    parallel_iterations: int = 32,
    swap_memory: bool = False,
    scope: Any = None,
    **kwargs: Any,
) -> tuple[Any, Any, Any]:
    """(outputs, last state, lengths) of a decoder run until all rows have finished.

    With `impute_finished` rows that have finished put out zeros and keep their state.
    """
    if kwargs:
        raise TypeError(f"dynamic_decode: unknown arguments {', '.join(kwargs)}")
    if not isinstance(decoder, Decoder):
        raise TypeError(f"Expected decoder to be type Decoder, but saw: {type(decoder)}")
    with vs.variable_scope(scope, "decoder"):
        maximum = maximum_iterations
        if maximum is not None:
            maximum = convert_to_tensor(maximum, "int32", name="maximum_iterations")
            if maximum.shape.rank not in (0, None):
                raise ValueError("maximum_iterations must be a scalar")
        loop = _Loop(decoder, impute_finished, maximum)
        steps = _known_steps(decoder)
        if steps is None:
            outputs, state, lengths = _until_finished(loop, maximum)
        else:
            steps = steps if maximum is None else apply("Minimum", steps, maximum)
            outputs, state, lengths = _of_known_length(loop, steps)
        with suppress(NotImplementedError):
            outputs, state = decoder.finalize(outputs, state, lengths)
        if not output_time_major:
            outputs = nest.map_structure(
                lambda x: x if nest.is_composite(x) else swapped(x), outputs
            )
    return outputs, state, lengths


def _known_steps(decoder: Any) -> Any:
    """How often a decoder steps where its helper knows, else None."""
    if type(decoder) is not BasicDecoder:
        return None
    known: Callable[[], Any] | None = getattr(decoder.helper, "steps", None)
    return None if known is None else known()
