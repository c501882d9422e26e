"""Warm starts: variables of a new model begin with the values of a checkpoint."""

from __future__ import annotations

import os
import re
from collections import namedtuple
from typing import Any

from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


@export("estimator.VocabInfo", "train.VocabInfo")
class VocabInfo(
    namedtuple(
        "VocabInfo",
        [
            "new_vocab",
            "new_vocab_size",
            "num_oov_buckets",
            "old_vocab",
            "old_vocab_size",
            "backup_initializer",
            "axis",
        ],
    )
):
    """How rows of a variable move from an old vocabulary to a new one."""

    __slots__ = ()

    def __new__(
        cls,
        new_vocab: Any,
        new_vocab_size: int,
        num_oov_buckets: int,
        old_vocab: Any,
        old_vocab_size: int = -1,
        backup_initializer: Any = None,
        axis: int = 0,
    ) -> VocabInfo:
        return super().__new__(
            cls,
            new_vocab,
            new_vocab_size,
            num_oov_buckets,
            old_vocab,
            old_vocab_size,
            backup_initializer,
            axis,
        )


@export("estimator.WarmStartSettings")
class WarmStartSettings(
    namedtuple(
        "WarmStartSettings",
        [
            "ckpt_to_initialize_from",
            "vars_to_warm_start",
            "var_name_to_vocab_info",
            "var_name_to_prev_var_name",
        ],
    )
):
    """From which checkpoint which variables begin, and under which names it has them."""

    __slots__ = ()

    def __new__(
        cls,
        ckpt_to_initialize_from: Any,
        vars_to_warm_start: Any = ".*",
        var_name_to_vocab_info: Any = None,
        var_name_to_prev_var_name: Any = None,
    ) -> WarmStartSettings:
        if not ckpt_to_initialize_from:
            raise ValueError("`ckpt_to_initialize_from` MUST be set in WarmStartSettings")
        return super().__new__(
            cls,
            ckpt_to_initialize_from,
            vars_to_warm_start,
            var_name_to_vocab_info or {},
            var_name_to_prev_var_name or {},
        )


def settings(warm_start_from: Any) -> WarmStartSettings | None:
    """The settings of an estimator's argument: a path, settings, or None."""
    if warm_start_from is None or isinstance(warm_start_from, WarmStartSettings):
        return warm_start_from
    if isinstance(warm_start_from, (str, bytes, os.PathLike)):
        return WarmStartSettings(os.fspath(warm_start_from))
    raise ValueError("warm_start_from must be a string or a WarmStartSettings")


def begin(wanted: WarmStartSettings) -> None:
    """Let the chosen variables of the default graph be initialised from the checkpoint."""
    warm_start(*wanted)


def _chosen(vars_to_warm_start: Any) -> list[Any]:
    if vars_to_warm_start is None:
        return []
    if isinstance(vars_to_warm_start, str):
        return list(tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope=vars_to_warm_start))
    several = list(vars_to_warm_start)
    if not all(isinstance(name, str) for name in several):
        return several
    variables = tf.global_variables()
    return [v for v in variables if any(re.match(name, v.op.name) for name in several)]


@export("train.warm_start")
def warm_start(
    ckpt_to_initialize_from: Any,
    vars_to_warm_start: Any = ".*",
    var_name_to_vocab_info: Any = None,
    var_name_to_prev_var_name: Any = None,
) -> None:
    """Initialise variables from a checkpoint: trainable ones that match, or those listed."""
    if var_name_to_vocab_info:
        raise NotImplementedError("warm_start(var_name_to_vocab_info=...) is not supported")
    previous = var_name_to_prev_var_name or {}
    pairs = {previous.get(v.op.name, v.op.name): v for v in _chosen(vars_to_warm_start)}
    if pairs:
        tf.train.init_from_checkpoint(ckpt_to_initialize_from, pairs)
