"""tf.summary: ops that describe values for TensorBoard, named and tagged as TensorFlow does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from anode.errors import DataError
from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.dtypes import float32, string
from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    convert_to_tensor,
    get_default_graph,
    name_scope,
)
from anode.frontends.tensorflow.opdef import export, renamed

_NOT_IN_TAGS = re.compile(r"[^-/\w\.]")


def clean_tag(name: Any) -> Any:
    """The name with what a tag may not hold replaced, as TensorFlow does; None stays None."""
    if name is None:
        return None
    cleaned = _NOT_IN_TAGS.sub("_", name).lstrip("/")
    if cleaned != name:
        from logging import getLogger

        getLogger("tensorflow").info("Summary name %s is illegal; using %s instead.", name, cleaned)
    return cleaned


export("python.ops.summary_op_util.clean_tag")(clean_tag)


@export("python.ops.summary_op_util.summary_scope")
@contextmanager
def summary_scope(
    name: str | None, family: str | None = None, default_name: str | None = None, values: Any = None
) -> Iterator[tuple[str, str]]:
    """Tag and name scope of a summary; the tag is the scope, after the family if there is one."""
    name, family = clean_tag(name), clean_tag(family)
    base = name if family is None else f"{family}/{name}"
    with name_scope(base, default_name, values) as scope:
        tag = scope.rstrip("/")
        yield (tag if family is None else f"{family}/{tag}"), scope


@export("python.ops.summary_op_util.collect")
def collect(val: Any, collections: Any, default_collections: Any) -> None:
    for key in default_collections if collections is None else collections:
        get_default_graph().add_to_collection(key, val)


_SUMMARIES = (GraphKeys.SUMMARIES,)


@export("summary.scalar")
def scalar(name: str, tensor: Any, collections: Any = None, family: str | None = None) -> Tensor:
    """A summary of one number."""
    with summary_scope(name, family, values=[tensor]) as (tag, scope):
        found: Tensor = apply("ScalarSummary", tag, tensor, name=scope)
    collect(found, collections, _SUMMARIES)
    return found


@export("summary.histogram")
def histogram(name: str, values: Any, collections: Any = None, family: str | None = None) -> Tensor:
    """A summary of how values are distributed."""
    with summary_scope(name, family, "HistogramSummary", [values]) as (tag, scope):
        found: Tensor = apply("HistogramSummary", tag, values, name=scope)
    collect(found, collections, _SUMMARIES)
    return found


@export("summary.image")
@renamed(max_images="max_outputs")
def image(
    name: str,
    tensor: Any,
    max_outputs: int = 3,
    collections: Any = None,
    family: str | None = None,
) -> Tensor:
    """A summary of up to `max_outputs` pictures [batch, height, width, channels]."""
    with summary_scope(name, family, values=[tensor]) as (tag, scope):
        found: Tensor = apply("ImageSummary", tag, tensor, max_images=max_outputs, name=scope)
    collect(found, collections, _SUMMARIES)
    return found


@export("summary.audio")
def audio(
    name: str,
    tensor: Any,
    sample_rate: Any,
    max_outputs: int = 3,
    collections: Any = None,
    family: str | None = None,
) -> Tensor:
    """A summary of up to `max_outputs` sounds [batch, frames, channels], values from -1 to 1."""
    with summary_scope(name, family, values=[tensor]) as (tag, scope):
        rate = convert_to_tensor(sample_rate, float32, name="sample_rate")
        found: Tensor = apply(
            "AudioSummaryV2", tag, tensor, rate, max_outputs=max_outputs, name=scope
        )
    collect(found, collections, _SUMMARIES)
    return found


@export("summary.tensor_summary")
def tensor_summary(
    name: str,
    tensor: Any,
    summary_description: Any = None,
    collections: Any = None,
    summary_metadata: Any = None,
    family: str | None = None,
    display_name: str | None = None,
) -> Tensor:
    """A summary of a whole tensor."""
    metadata = summary_metadata or proto.SummaryMetadata()
    if display_name is not None:
        metadata.display_name = display_name
    if summary_description is not None:
        metadata.summary_description = str(summary_description)
    with summary_scope(name, family, values=[tensor]) as (tag, scope):
        found: Tensor = apply(
            "TensorSummaryV2", tag, tensor, metadata.SerializeToString(), name=scope
        )
    collect(found, collections, _SUMMARIES)
    return found


@export("summary.text")
def text(name: str, tensor: Any, collections: Any = None) -> Tensor:
    """A summary of strings, Markdown for TensorBoard's text page."""
    tensor = convert_to_tensor(tensor)
    if tensor.dtype.base_dtype != string:
        raise ValueError(f"Expected tensor {tensor.name} to have dtype string, got {tensor.dtype}")
    metadata = proto.SummaryMetadata(plugin_data={"plugin_name": "text"})
    return tensor_summary(name, tensor, summary_metadata=metadata, collections=collections)


@export("summary.merge")
def merge(inputs: Sequence[Any], collections: Any = None, name: str | None = None) -> Tensor:
    """One summary with the values of all of `inputs`."""
    name = clean_tag(name)
    with name_scope(name, "Merge", inputs):
        found: Tensor = apply("MergeSummary", list(inputs), name=name)
    collect(found, collections, ())
    return found


@export("summary.merge_all")
def merge_all(
    key: str = GraphKeys.SUMMARIES, scope: str | None = None, name: str | None = None
) -> Tensor | None:
    """All summaries of the graph as one; None if there are none."""
    found = get_default_graph().get_collection(key, scope)
    return merge(found, name=name) if found else None


@export("summary.get_summary_description")
def get_summary_description(node_def: Any) -> Any:
    """The SummaryDescription that a TensorSummary node carries."""
    if node_def.op != "TensorSummary":
        raise ValueError(f"Can't get_summary_description on {node_def.op}")
    fields = json.loads(node_def.attr["description"].s.decode())
    return proto.SummaryDescription(type_hint=fields.get("typeHint", ""))


# names of TensorFlow before 1.0: the tag is given, and stays as it is


@export("scalar_summary")
def scalar_summary(
    tags: Any, values: Any, collections: Any = None, name: str | None = None
) -> Tensor:
    return _tagged("ScalarSummary", tags, values, collections, name)


@export("histogram_summary")
def histogram_summary(
    tag: Any, values: Any, collections: Any = None, name: str | None = None
) -> Tensor:
    return _tagged("HistogramSummary", tag, values, collections, name)


@export("image_summary")
def image_summary(
    tag: Any, tensor: Any, max_images: int = 3, collections: Any = None, name: str | None = None
) -> Tensor:
    return _tagged("ImageSummary", tag, tensor, collections, name, max_images=max_images)


@export("audio_summary")
def audio_summary(
    tag: Any,
    tensor: Any,
    sample_rate: Any,
    max_outputs: int = 3,
    collections: Any = None,
    name: str | None = None,
) -> Tensor:
    rate = float(sample_rate)
    return _tagged(
        "AudioSummary", tag, tensor, collections, name, sample_rate=rate, max_outputs=max_outputs
    )


def _tagged(
    op: str, tag: Any, values: Any, collections: Any, name: str | None, **attrs: Any
) -> Tensor:
    with name_scope(name, op, [tag, values]) as scope:
        found: Tensor = apply(op, tag, values, name=scope, **attrs)
    collect(found, collections, _SUMMARIES)
    return found


@export("train.summary_iterator")
def summary_iterator(path: Any) -> Iterator[Any]:
    """The events of an event file; DataLossError where it is damaged."""
    from anode.frontends.tensorflow.formats.events import read_events

    try:
        yield from read_events(path, tolerant=False)
    except FileNotFoundError:
        raise errors.NotFoundError(None, None, f"{path}; No such file or directory") from None
    except DataError as error:
        raise errors.DataLossError(None, None, str(error)) from None
