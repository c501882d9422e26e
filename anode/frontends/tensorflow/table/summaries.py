"""Summary ops: values become `Summary` messages, on the host."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from anode.errors import DataError
from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.formats import proto, summaries
from anode.frontends.tensorflow.opdef import host


def _text(value: np.ndarray) -> str:
    item = np.asarray(value).item()
    return item.decode() if isinstance(item, bytes) else str(item)


def _serialized(make: Callable[..., Any], run: Any, *args: Any) -> np.ndarray:
    try:
        return np.array(make(*args).SerializeToString(), object)
    except DataError as error:
        raise errors.InvalidArgumentError(run.op.node_def, run.op, str(error)) from None


def _scalars(tags: np.ndarray, values: np.ndarray) -> Any:
    """One value, or as many as there are tags."""
    if tags.shape != np.shape(values):
        raise DataError(
            f"tags and values are not the same shape: {list(tags.shape)} != "
            f"{list(np.shape(values))} (tag '{_text(tags.reshape(-1)[0]) if tags.size else ''}')"
        )
    out = proto.Summary()
    for tag, value in zip(tags.reshape(-1), np.asarray(values).reshape(-1), strict=True):
        out.MergeFrom(summaries.scalar(_text(tag), value))
    return out


@host("ScalarSummary", "tags:string values:T -> string", shape="scalar")
def _(tags: Any, values: Any, *, run: Any) -> np.ndarray:
    return _serialized(_scalars, run, np.asarray(tags, object), values)


@host("HistogramSummary", "tag:string values:T -> string", shape="scalar")
def _(tag: Any, values: Any, *, run: Any) -> np.ndarray:
    return _serialized(summaries.histogram, run, _text(tag), values)


@host("ImageSummary", "tag:string tensor:T -> string", max_images=3, bad_color=None, shape="scalar")
def _(tag: Any, tensor: Any, *, max_images: int, bad_color: Any, run: Any) -> np.ndarray:
    color = (255, 0, 0, 255) if bad_color is None else np.asarray(bad_color).tolist()
    return _serialized(summaries.image, run, _text(tag), tensor, max_images, color)


@host(
    "AudioSummaryV2",
    "tag:string tensor:float sample_rate:float -> string",
    max_outputs=3,
    shape="scalar",
)
def _(tag: Any, tensor: Any, sample_rate: Any, *, max_outputs: int, run: Any) -> np.ndarray:
    rate = float(np.asarray(sample_rate))
    return _serialized(summaries.audio, run, _text(tag), tensor, rate, max_outputs)


@host(
    "AudioSummary",
    "tag:string tensor:float -> string",
    sample_rate=0.0,
    max_outputs=3,
    shape="scalar",
)
def _(tag: Any, tensor: Any, *, sample_rate: float, max_outputs: int, run: Any) -> np.ndarray:
    return _serialized(summaries.audio, run, _text(tag), tensor, sample_rate, max_outputs)


@host(
    "TensorSummaryV2",
    "tag:string tensor:T serialized_summary_metadata:string -> string",
    shape="scalar",
)
def _(tag: Any, tensor: Any, metadata: Any, *, run: Any) -> np.ndarray:
    described = proto.SummaryMetadata.FromString(np.asarray(metadata).item())
    return _serialized(summaries.tensor, run, _text(tag), tensor, described)


def _merged(inputs: list[np.ndarray]) -> Any:
    """All values together; two of one tag are a mistake."""
    out, seen = proto.Summary(), set()
    for part in inputs:
        for data in np.asarray(part, object).reshape(-1):
            for value in proto.Summary.FromString(data).value:
                if value.tag in seen:
                    raise DataError(f"Duplicate tag {value.tag} found in summary inputs")
                seen.add(value.tag)
                out.value.append(value)
    return out


@host("MergeSummary", "inputs:N*string -> string", shape="scalar")
def _(inputs: list[np.ndarray], *, run: Any) -> np.ndarray:
    return _serialized(_merged, run, inputs)


# tf.contrib.summary: events written by the graph


@host("WriteSummaryEvent", "step:int64 summary:string -> ", writer="", stateful=True)
def _(step: Any, summary: Any, *, writer: str, run: Any) -> None:
    event = proto.Event(wall_time=time.time(), step=int(np.asarray(step)))
    event.summary.MergeFromString(np.asarray(summary, object).item())
    run.op.graph._summary_writers[writer].write(event)


@host("ImportEvent", "event:string -> ", writer="", stateful=True)
def _(event: Any, *, writer: str, run: Any) -> None:
    for data in np.asarray(event, object).reshape(-1):
        run.op.graph._summary_writers[writer].write(proto.Event.FromString(data))


@host("FlushEvents", " -> ", writer="", stateful=True)
def _(*, writer: str, run: Any) -> None:
    run.op.graph._summary_writers[writer].flush()
