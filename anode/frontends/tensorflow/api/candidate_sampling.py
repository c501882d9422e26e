"""Candidate samplers, and the losses that compare the true classes with sampled ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.api import array_ops, math_ops, nn_loss, random_seed
from anode.frontends.tensorflow.api.embedding import embedding_lookup, shards_of
from anode.frontends.tensorflow.dtypes import float32, int64
from anode.frontends.tensorflow.graph import Tensor, apply, convert_to_tensor, name_scope
from anode.frontends.tensorflow.opdef import export

Sampled = tuple[Tensor, Tensor, Tensor]


def _sampler(type: str, seed: int | None, name: str | None, true_classes: Any, **attrs: Any) -> Any:
    first, second = random_seed.get_seed(seed)
    return apply(type, true_classes, seed=first or 0, seed2=second or 0, name=name, **attrs)


@export("nn.uniform_candidate_sampler", "random.uniform_candidate_sampler")
def uniform_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Classes below `range_max`, all equally likely, and how often each is expected."""
    attrs = {"num_true": num_true, "num_sampled": num_sampled, "unique": unique}
    attrs["range_max"] = range_max
    found: Sampled = _sampler("UniformCandidateSampler", seed, name, true_classes, **attrs)
    return found


@export("nn.log_uniform_candidate_sampler", "random.log_uniform_candidate_sampler")
def log_uniform_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Classes by Zipf's law, those of low numbers most often."""
    attrs = {"num_true": num_true, "num_sampled": num_sampled, "unique": unique}
    attrs["range_max"] = range_max
    found: Sampled = _sampler("LogUniformCandidateSampler", seed, name, true_classes, **attrs)
    return found


@export("nn.learned_unigram_candidate_sampler", "random.learned_unigram_candidate_sampler")
def learned_unigram_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Not supported: raises UnsupportedOp."""
    raise UnsupportedOp(
        "tf.nn.learned_unigram_candidate_sampler is not supported; use "
        "tf.nn.fixed_unigram_candidate_sampler with counted unigrams"
    )


@export("nn.fixed_unigram_candidate_sampler", "random.fixed_unigram_candidate_sampler")
def fixed_unigram_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    range_max: int,
    vocab_file: str = "",
    distortion: float = 1.0,
    num_reserved_ids: int = 0,
    num_shards: int = 1,
    shard: int = 0,
    unigrams: Sequence[float] = (),
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """Classes as likely as their weight to the power of `distortion`."""
    return _sampler(
        "FixedUnigramCandidateSampler",
        seed,
        name,
        true_classes,
        num_true=num_true,
        num_sampled=num_sampled,
        unique=unique,
        range_max=range_max,
        vocab_file=vocab_file,
        distortion=float(distortion),
        num_reserved_ids=num_reserved_ids,
        num_shards=num_shards,
        shard=shard,
        unigrams=[float(u) for u in unigrams],
    )


@export("nn.all_candidate_sampler", "random.all_candidate_sampler")
def all_candidate_sampler(
    true_classes: Any,
    num_true: int,
    num_sampled: int,
    unique: bool,
    seed: int | None = None,
    name: str | None = None,
) -> Sampled:
    """All classes below `num_sampled`, for tests of sampled losses."""
    attrs = {"num_true": num_true, "num_sampled": num_sampled, "unique": unique}
    found: Sampled = _sampler("AllCandidateSampler", seed, name, true_classes, **attrs)
    return found


@export("nn.compute_accidental_hits")
def compute_accidental_hits(
    true_classes: Any,
    sampled_candidates: Any,
    num_true: int,
    seed: int | None = None,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns where a sampled class is a true one, and the lowest float for each."""
    first, second = random_seed.get_seed(seed)
    attrs = {"num_true": num_true, "seed": first or 0, "seed2": second or 0}
    op = "ComputeAccidentalHits"
    rows, places, weights = apply(op, true_classes, sampled_candidates, name=name, **attrs)
    return rows, places, weights


# sampled losses


def _compute_sampled_logits(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    subtract_log_q: bool = True,
    remove_accidental_hits: bool = False,
    partition_strategy: str = "mod",
    name: str | None = None,
    seed: int | None = None,
) -> tuple[Tensor, Tensor]:
    """The logits of the true and then of the sampled classes, and their labels."""
    weights = shards_of(weights)
    with name_scope(name, "compute_sampled_logits", [*weights, biases, inputs, labels]):
        labels = convert_to_tensor(labels)
        labels = labels if labels.dtype == int64 else math_ops.cast(labels, int64)
        inputs = convert_to_tensor(inputs)
        flat = array_ops.reshape(labels, [-1])
        if sampled_values is None:
            sampled_values = log_uniform_candidate_sampler(
                labels, num_true, num_sampled, True, num_classes, seed
            )
        sampled, true_expected, sampled_expected = map(array_ops.stop_gradient, sampled_values)
        sampled = math_ops.cast(sampled, int64)
        ids = array_ops.concat([flat, sampled], 0)
        count = array_ops.shape(flat)[0]
        rows = embedding_lookup(weights, ids, partition_strategy)
        offsets = embedding_lookup(biases, ids, partition_strategy)
        sampled_logits = math_ops.matmul(inputs, rows[count:], transpose_b=True) + offsets[count:]
        width = array_ops.shape(rows)[1]
        own = array_ops.reshape(rows[:count], array_ops.stack([-1, num_true, width]))
        true_logits = math_ops.reduce_sum(array_ops.expand_dims(inputs, 1) * own, 2)
        true_logits += array_ops.reshape(offsets[:count], [-1, num_true])
        if remove_accidental_hits:
            sampled_logits += _hits(labels, sampled, inputs.dtype, num_true)
        if subtract_log_q:
            true_logits -= math_ops.log(true_expected)
            sampled_logits -= math_ops.log(sampled_expected)
        truth = array_ops.ones_like(true_logits) / num_true
        logits = array_ops.concat([true_logits, sampled_logits], 1)
        return logits, array_ops.concat([truth, array_ops.zeros_like(sampled_logits)], 1)


def _hits(labels: Tensor, sampled: Tensor, dtype: Any, num_true: int) -> Tensor:
    """The lowest float where a sampled class is a true one of the row, else 0."""
    columns = array_ops.expand_dims(array_ops.reshape(labels, [-1, num_true]), 2)
    hit = math_ops.reduce_any(math_ops.equal(columns, sampled), 1)
    lowest: Tensor = math_ops.cast(hit, dtype) * float32.min
    return lowest


@export("nn.nce_loss")
def nce_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = False,
    partition_strategy: str = "mod",
    name: str = "nce_loss",
) -> Tensor:
    """Noise-contrastive estimation: true classes against sampled ones, a loss for each row."""
    logits, targets = _compute_sampled_logits(
        weights,
        biases,
        labels,
        inputs,
        num_sampled,
        num_classes,
        num_true,
        sampled_values,
        True,
        remove_accidental_hits,
        partition_strategy,
        name,
    )
    losses = nn_loss.sigmoid_cross_entropy_with_logits(
        labels=targets, logits=logits, name="sampled_losses"
    )
    total: Tensor = math_ops.reduce_sum(losses, 1)
    return total


@export("nn.sampled_softmax_loss")
def sampled_softmax_loss(
    weights: Any,
    biases: Any,
    labels: Any,
    inputs: Any,
    num_sampled: int,
    num_classes: int,
    num_true: int = 1,
    sampled_values: Any = None,
    remove_accidental_hits: bool = True,
    partition_strategy: str = "mod",
    name: str = "sampled_softmax_loss",
    seed: int | None = None,
) -> Tensor:
    """The softmax cross entropy over true and sampled classes, for each row."""
    logits, targets = _compute_sampled_logits(
        weights,
        biases,
        labels,
        inputs,
        num_sampled,
        num_classes,
        num_true,
        sampled_values,
        True,
        remove_accidental_hits,
        partition_strategy,
        name,
        seed,
    )
    targets = array_ops.stop_gradient(targets, name="labels_stop_gradient")
    return nn_loss.softmax_cross_entropy_with_logits_v2(labels=targets, logits=logits)
