"""tf.contrib.seq2seq: decoding by beam search. Source of the penalties: Wu et al. 2016, eq. 14."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from anode.frontends.tensorflow.api import nest
from anode.frontends.tensorflow.api.attention import AttentionWrapperState
from anode.frontends.tensorflow.api.layers_options import public
from anode.frontends.tensorflow.api.rnn_wrappers import assert_like_rnncell
from anode.frontends.tensorflow.api.seq2seq import Decoder, layered_size, seq2seq_export
from anode.frontends.tensorflow.graph import apply, constant_value, convert_to_tensor, name_scope
from anode.frontends.tensorflow.tensor_shape import TensorShape

BeamSearchDecoderState = namedtuple(
    "BeamSearchDecoderState",
    ("cell_state", "log_probs", "finished", "lengths", "accumulated_attention_probs"),
)
BeamSearchDecoderOutput = namedtuple(
    "BeamSearchDecoderOutput", ("scores", "predicted_ids", "parent_ids")
)
FinalBeamSearchDecoderOutput = namedtuple(
    "FinalBeamSearchDecoderOutput", ("predicted_ids", "beam_search_decoder_output")
)
for _tuple in (BeamSearchDecoderState, BeamSearchDecoderOutput, FinalBeamSearchDecoderOutput):
    seq2seq_export(_tuple)


@seq2seq_export
def gather_tree(
    step_ids: Any,
    parent_ids: Any,
    max_sequence_lengths: Any,
    end_token: Any,
    name: str | None = None,
) -> Any:
    """The sequences, i32[time, batch, beam], that end in each beam, by the beams' parents."""
    return apply("GatherTree", step_ids, parent_ids, max_sequence_lengths, end_token, name=name)


@seq2seq_export
def gather_tree_from_array(t: Any, parent_ids: Any, sequence_length: Any) -> Any:
    """What each step of a cell put into an array, in the order of the beams at the end.

    `t` is [time, batch, beam, ...] or [time, batch * beam, ...], `parent_ids`
    [time, batch, beam] and `sequence_length` [batch, beam].
    """
    sizes = apply("Shape", parent_ids)
    steps, batch, width = sizes[0], sizes[1], sizes[2]
    own = apply("Tile", public("reshape")(public("range")(width), [1, 1, -1]), [steps, batch, 1])
    longest = apply("Cast", public("reduce_max")(sequence_length, axis=1), DstT="int32")
    beams = gather_tree(own, parent_ids, longest, width + 1)
    within = public("transpose")(public("sequence_mask")(sequence_length, steps), [2, 0, 1])
    beams = apply("Select", within, beams, own)
    rows = public("reshape")(public("range")(steps * batch) * width, [steps, batch, 1])
    flat = apply("Reshape", t, apply("Pack", [steps * batch * width, -1], axis=0))
    return apply("Reshape", apply("GatherV2", flat, beams + rows, 0), apply("Shape", t))


def _chosen(x: Any, ids: Any) -> Any:
    """x[b, ids[b, k]] for each b and k."""
    sizes, known = apply("Shape", x), x.shape.as_list()
    rows = apply("ExpandDims", apply("Range", 0, sizes[0], 1), 1) * sizes[1]
    flat = apply("Reshape", x, apply("ConcatV2", [[-1], sizes[2:]], 0))
    found = apply("GatherV2", flat, ids + rows, 0)
    found.set_shape([*ids.shape.as_list(), *known[2:]])
    return found


def _has_beams(x: Any) -> bool:
    return not nest.is_composite(x) and x.shape.rank != 0


def _attention(state: Any) -> Any:
    """The mean alignments of the attention cells in a state, [batch, beam, memory]."""
    cells = [state] if isinstance(state, AttentionWrapperState) else state
    found = [c.alignments for c in cells if isinstance(c, AttentionWrapperState)]
    if not found:
        raise ValueError("coverage_penalty_weight must be 0.0 if no cell is attentional.")
    means = [sum(a[1:], a[0]) / float(len(a)) if isinstance(a, tuple) else a for a in found]
    return sum(means[1:], means[0]) / float(len(means))


@seq2seq_export
class BeamSearchDecoder(Decoder):
    """Decoding that keeps the `beam_width` best sequences of each example.

    The initial state is that of batch * beam_width rows, see `tile_batch`. The scores are the
    log-probabilities over ((5 + length) / 6) ** length_penalty_weight.
    """

    def __init__(
        self,
        cell: Any,
        embedding: Any,
        start_tokens: Any,
        end_token: Any,
        initial_state: Any,
        beam_width: int,
        output_layer: Any = None,
        length_penalty_weight: Any = 0.0,
        coverage_penalty_weight: Any = 0.0,
        reorder_tensor_arrays: bool = True,
    ) -> None:
        assert_like_rnncell("cell", cell)
        self._cell, self._output_layer = cell, output_layer
        self._embedding_fn = (
            embedding
            if callable(embedding)
            else lambda ids: public("nn.embedding_lookup")(embedding, ids)
        )
        self._start_tokens = convert_to_tensor(start_tokens, "int32", name="start_tokens")
        if self._start_tokens.shape.rank != 1:
            raise ValueError("start_tokens must be a vector")
        self._end_token = convert_to_tensor(end_token, "int32", name="end_token")
        if self._end_token.shape.rank != 0:
            raise ValueError("end_token must be a scalar")
        size = apply("Size", self._start_tokens)
        known = constant_value(size)
        self._batch_size = size if known is None else int(known)
        self._beam_width = beam_width
        self._length_weight, self._coverage_weight = length_penalty_weight, coverage_penalty_weight
        self._reorder = reorder_tensor_arrays
        self._initial_cell_state = nest.map_structure(self._split, initial_state)

    # sizes

    @property
    def batch_size(self) -> Any:
        return self._batch_size

    @property
    def tracks_own_finished(self) -> bool:
        return True

    def _rnn_output_size(self) -> Any:
        return layered_size(self._cell.output_size, self._output_layer)

    @property
    def output_size(self) -> Any:
        return BeamSearchDecoderOutput(*[TensorShape([self._beam_width])] * 3)

    @property
    def output_dtype(self) -> Any:
        dtype = nest.flatten(self._initial_cell_state)[0].dtype.base_dtype
        return BeamSearchDecoderOutput(dtype, public("int32"), public("int32"))

    def _split(self, x: Any) -> Any:
        """[batch * beam, ...] as [batch, beam, ...]."""
        if not _has_beams(x):
            return x
        x = convert_to_tensor(x)
        both = apply("Pack", [self._batch_size, self._beam_width], axis=0)
        found = apply("Reshape", x, apply("ConcatV2", [both, apply("Shape", x)[1:]], 0))
        found.set_shape([self._static_batch, self._beam_width, *x.shape.as_list()[1:]])
        return found

    def _merged(self, x: Any) -> Any:
        """[batch, beam, ...] as [batch * beam, ...]."""
        if not _has_beams(x):
            return x
        found = apply("Reshape", x, apply("ConcatV2", [[-1], apply("Shape", x)[2:]], 0))
        batch = self._static_batch
        rows = None if batch is None else batch * self._beam_width
        found.set_shape([rows, *x.shape.as_list()[2:]])
        return found

    @property
    def _static_batch(self) -> int | None:
        return self._batch_size if isinstance(self._batch_size, int) else None

    # steps

    def initialize(self, name: str | None = None) -> tuple[Any, Any, Any]:
        batch, width = self._batch_size, self._beam_width
        zeros = apply("Fill", apply("Pack", [batch], axis=0), 0)
        finished = public("one_hot")(zeros, width, on_value=False, off_value=True)
        dtype = nest.flatten(self._initial_cell_state)[0].dtype.base_dtype
        log_probs = public("one_hot")(
            zeros, width, on_value=0.0, off_value=float("-inf"), dtype=dtype
        )
        lengths = public("zeros_like")(log_probs, dtype="int64")
        tokens = apply("Tile", apply("ExpandDims", self._start_tokens, 1), [1, width])
        attended: Any = ()
        if not _is_zero(self._coverage_weight):
            attended = public("zeros_like")(_attention(self._initial_cell_state))
        state = BeamSearchDecoderState(
            self._initial_cell_state, log_probs, finished, lengths, attended
        )
        return finished, self._embedding_fn(tokens), state

    def step(self, time: Any, inputs: Any, state: Any, name: str | None = None) -> Any:
        with name_scope(name, "BeamSearchDecoderStep", [time]):
            inputs = nest.map_structure(self._merged, inputs)
            cell_state = nest.map_structure(self._merged, state.cell_state)
            logits, cell_state = self._cell(inputs, cell_state)
            if self._output_layer is not None:
                logits = self._output_layer(logits)
            cell_state = nest.map_structure(self._split, cell_state)
            outputs, new = self._best(self._split(logits), cell_state, state)
            return outputs, new, self._embedding_fn(outputs.predicted_ids), new.finished

    def _best(self, logits: Any, cell_state: Any, state: Any) -> tuple[Any, Any]:
        """The best continuations, [batch, beam] each, and the state of the beams they come from."""
        width, words = self._beam_width, logits.shape.as_list()[-1]
        running = apply("LogicalNot", state.finished)
        total = self._continued(logits, state)
        attended: Any = ()
        if not _is_zero(self._coverage_weight):
            weight = apply("ExpandDims", apply("Cast", running, DstT="float32"), 2)
            attended = state.accumulated_attention_probs + _attention(cell_state) * weight
        scores = self._scores(total, state, attended)
        flat = apply("Pack", [self._batch_size, width * words], axis=0)
        best, places = apply("TopKV2", apply("Reshape", scores, flat), width)
        for tensor in (best, places):
            tensor.set_shape([self._static_batch, width])
        ids, parents = apply("FloorMod", places, words), apply("FloorDiv", places, words)
        before = _chosen(state.finished, parents)
        lengths = _chosen(state.lengths, parents) + apply(
            "Cast", apply("LogicalNot", before), DstT="int64"
        )
        new = BeamSearchDecoderState(
            nest.map_structure(lambda x: _chosen(x, parents) if _has_beams(x) else x, cell_state),
            _chosen(apply("Reshape", total, flat), places),
            apply("LogicalOr", before, apply("Equal", ids, self._end_token)),
            lengths,
            () if _is_zero(self._coverage_weight) else _chosen(attended, parents),
        )
        return BeamSearchDecoderOutput(best, ids, parents), new

    def _continued(self, logits: Any, state: Any) -> Any:
        """The log-probability of each continuation; a finished beam has the end token only."""
        dtype = logits.dtype.base_dtype
        only = public("one_hot")(
            self._end_token, logits.shape.as_list()[-1], 0.0, dtype.min, dtype=dtype
        )
        steps = apply("LogSoftmax", logits)
        ended = apply("ExpandDims", state.finished, 2)
        steps = apply("SelectV2", ended, only, steps)
        return apply("ExpandDims", state.log_probs, 2) + steps

    def _scores(self, total: Any, state: Any, attended: Any) -> Any:
        scores = total
        if not _is_zero(self._length_weight):
            words = total.shape.as_list()[-1]
            longer = public("one_hot")(self._end_token, words, 0, 1, dtype="int64")
            running = apply("Cast", apply("LogicalNot", state.finished), DstT="int64")
            lengths = apply("ExpandDims", state.lengths, 2) + longer * apply(
                "ExpandDims", running, 2
            )
            ratio = (5.0 + apply("Cast", lengths, DstT="float32")) / 6.0
            scores = total / apply("Cast", ratio**self._length_weight, DstT=total.dtype.base_dtype)
        if not _is_zero(self._coverage_weight):
            seen = apply(
                "Select", apply("Equal", attended, 0.0), apply("OnesLike", attended), attended
            )
            penalty = public("reduce_sum")(apply("Log", apply("Minimum", seen, 1.0)), axis=2)
            penalty = penalty * apply("Cast", state.finished, DstT="float32")
            scores = scores + apply("ExpandDims", penalty * self._coverage_weight, 2)
        return scores

    def _keeps_order(self, shape: TensorShape) -> bool:
        """Whether TensorFlow hands an array out as it is: its elements are not [batch, beam]."""
        if shape.rank is None or shape.rank < 1:
            return True
        batch, width = self._static_batch, self._beam_width
        dims = shape.as_list()
        if batch is None or dims[0] is None:
            return False
        nested = len(dims) > 1 and dims[1] is not None
        return dims[0] != batch * width or (nested and dims[:2] != [batch, width])

    def finalize(self, outputs: Any, final_state: Any, sequence_lengths: Any) -> tuple[Any, Any]:
        longest = apply("Cast", public("reduce_max")(final_state.lengths, axis=1), DstT="int32")
        ids = gather_tree(outputs.predicted_ids, outputs.parent_ids, longest, self._end_token)

        def ordered(x: Any) -> Any:
            if not nest.is_composite(x) or self._keeps_order(x.element_shape):
                return x
            return gather_tree_from_array(x.stack(), outputs.parent_ids, final_state.lengths)

        if self._reorder:
            final_state = final_state._replace(
                cell_state=nest.map_structure(ordered, final_state.cell_state)
            )
        return FinalBeamSearchDecoderOutput(ids, outputs), final_state


def _is_zero(weight: Any) -> bool:
    return isinstance(weight, (int, float)) and weight == 0
