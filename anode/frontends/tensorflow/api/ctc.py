"""`tf.nn.ctc_*`: the loss of sequences without times and decoders."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.api import array_ops, index_ops, math_ops
from anode.frontends.tensorflow.api.nn import either
from anode.frontends.tensorflow.api.sparse_ops import SparseTensor
from anode.frontends.tensorflow.dtypes import int32
from anode.frontends.tensorflow.graph import Tensor, apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export


@export("nn.ctc_loss")
def ctc_loss(
    labels: Any,
    inputs: Any = None,
    sequence_length: Any = None,
    preprocess_collapse_repeated: bool = False,
    ctc_merge_repeated: bool = True,
    ignore_longer_outputs_than_inputs: bool = False,
    time_major: bool = True,
    logits: Any = None,
) -> Tensor:
    """−log p(labels) of each sequence of logits (time, n, classes), the blank the last class.

    Infinite where the time is too short; of more labels than times 0 with
    `ignore_longer_outputs_than_inputs`.
    """
    if not hasattr(labels, "dense_shape"):
        raise TypeError("Expected labels (first argument) to be a SparseTensor")
    inputs = convert_to_tensor(either("logits", logits, "inputs", inputs))
    if not time_major:
        inputs = array_ops.transpose(inputs, [1, 0, 2])
    loss, _ = apply(
        "CTCLoss",
        inputs,
        labels.indices,
        labels.values,
        sequence_length,
        preprocess_collapse_repeated=preprocess_collapse_repeated,
        ctc_merge_repeated=ctc_merge_repeated,
        ignore_longer_outputs_than_inputs=ignore_longer_outputs_than_inputs,
    )
    return loss


@export("nn.ctc_loss_v2")
def ctc_loss_v2(
    labels: Any,
    logits: Any,
    label_length: Any,
    logit_length: Any,
    logits_time_major: bool = True,
    unique: Any = None,
    blank_index: int | None = None,
    name: str | None = None,
) -> Tensor:
    """`ctc_loss` whose blank is class `blank_index`, 0 by default, and whose labels may be dense.

    `unique` is a hint to TensorFlow's algorithm and changes no result.
    """
    with name_scope(name, "ctc_loss", [labels, logits]):
        logits = convert_to_tensor(logits, name="logits")
        if hasattr(labels, "dense_shape"):
            if blank_index is None:
                raise ValueError("blank_index must be given when using SparseTensor labels.")
            places, values = labels.indices, labels.values
        else:
            labels = convert_to_tensor(labels, name="labels")
            mask = index_ops.sequence_mask(label_length, array_ops.shape(labels)[1])
            places = index_ops.where(mask)
            values = index_ops.gather_nd(labels, places)
        logits, values = _blank_last(logits, math_ops.cast(values, int32), blank_index or 0)
        sparse = SparseTensor(places, values, [1, 1])
        return ctc_loss(sparse, logits, logit_length, time_major=logits_time_major)


def _blank_last(logits: Tensor, values: Tensor, blank: int) -> tuple[Tensor, Tensor]:
    """Logits and labels with the blank moved behind the other classes."""
    classes = logits.shape.as_list()[2]
    if classes is None:
        raise ValueError("ctc_loss: the number of classes must be known")
    blank %= classes
    if blank == classes - 1:
        return logits, values
    parts = [logits[:, :, :blank], logits[:, :, blank + 1 :], logits[:, :, blank : blank + 1]]
    moved = math_ops.cast(values > blank, int32)
    return array_ops.concat(parts, 2), values - moved


@export("nn.ctc_greedy_decoder")
def ctc_greedy_decoder(
    inputs: Any, sequence_length: Any, merge_repeated: bool = True
) -> tuple[list[Any], Tensor]:
    """The likeliest class at each time, without blanks, and minus the sum of their logits."""
    indices, values, shape, score = apply(
        "CTCGreedyDecoder", inputs, sequence_length, merge_repeated=merge_repeated
    )
    return [SparseTensor(indices, values, shape)], score


@export("nn.ctc_beam_search_decoder")
def ctc_beam_search_decoder(
    inputs: Any,
    sequence_length: Any,
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
) -> tuple[list[Any], Tensor]:
    """The `top_paths` likeliest labellings, best first, and their log probabilities."""
    found = apply(
        "CTCBeamSearchDecoder",
        inputs,
        sequence_length,
        beam_width=beam_width,
        top_paths=top_paths,
        merge_repeated=merge_repeated,
    )
    paths = [found[i : i + 2 * top_paths + 1 : top_paths] for i in range(top_paths)]
    return [SparseTensor(*path) for path in paths], found[-1]


@export("nn.ctc_beam_search_decoder_v2")
def ctc_beam_search_decoder_v2(
    inputs: Any, sequence_length: Any, beam_width: int = 100, top_paths: int = 1
) -> tuple[list[Any], Tensor]:
    """`ctc_beam_search_decoder` that keeps repeated labels."""
    return ctc_beam_search_decoder(inputs, sequence_length, beam_width, top_paths, False)
