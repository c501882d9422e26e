"""tf.contrib.summary: summaries that are written by ops of the graph, not by the script."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from anode.frontends.tensorflow.api.graph_keys import GraphKeys
from anode.frontends.tensorflow.api.summary import summary_scope
from anode.frontends.tensorflow.api.training_util import get_or_create_global_step
from anode.frontends.tensorflow.control import cond_op
from anode.frontends.tensorflow.core import Graph, get_default_session
from anode.frontends.tensorflow.dtypes import float32, int64
from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.formats.events import EventWriter
from anode.frontends.tensorflow.graph import (
    Tensor,
    apply,
    convert_to_tensor,
    get_default_graph,
    name_scope,
    no_op,
)
from anode.frontends.tensorflow.opdef import export


class _State(threading.local):
    """A thread's default writer, and whether its summaries are recorded now."""

    writer: SummaryWriter | None = None
    record: Any = False  # a bool, or a function that makes a bool tensor


_STATE = _State()


@export("contrib.summary.SummaryWriter")
class SummaryWriter:
    """Where the summary ops made while it is the default write their events."""

    def __init__(self, logdir: str | None, **options: Any) -> None:
        self._events = None if logdir is None else EventWriter(logdir, **options)

    def write(self, event: Any) -> None:
        if self._events is not None:
            self._events.write(event)

    def set_as_default(self) -> None:
        _STATE.writer = self if self._events is not None else None

    @contextmanager
    def as_default(self) -> Iterator[SummaryWriter]:
        before = _STATE.writer
        self.set_as_default()
        try:
            yield self
        finally:
            _STATE.writer = before
            self.flush()

    def init(self) -> Any:
        """The op that TensorFlow needs to open the file; here it is opened already."""
        return no_op()

    def flush(self) -> None:
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        if self._events is not None:
            self._events.close()


@export("contrib.summary.create_file_writer", "contrib.summary.create_summary_file_writer")
def create_file_writer(
    logdir: Any,
    max_queue: Any = None,
    flush_millis: Any = None,
    filename_suffix: str | None = None,
    name: str | None = None,
) -> SummaryWriter:
    """A writer of event files in `logdir`; None gives one that writes nothing."""
    return SummaryWriter(
        logdir,
        max_queue=10 if max_queue is None else int(max_queue),
        flush_secs=120 if flush_millis is None else int(flush_millis) / 1000,
        filename_suffix=".v2" if filename_suffix is None else filename_suffix,
    )


@contextmanager
def _recording(value: Any) -> Iterator[None]:
    before = _STATE.record
    _STATE.record = value
    try:
        yield
    finally:
        _STATE.record = before


@export("contrib.summary.always_record_summaries")
def always_record_summaries() -> Any:
    """Summaries made inside are written whenever their op runs."""
    return _recording(True)


@export("contrib.summary.never_record_summaries")
def never_record_summaries() -> Any:
    return _recording(False)


@export("contrib.summary.record_summaries_every_n_global_steps")
def record_summaries_every_n_global_steps(n: int, global_step: Any = None) -> Any:
    """Summaries made inside are written at steps that `n` divides."""
    step = get_or_create_global_step() if global_step is None else global_step

    def due() -> Tensor:
        found: Tensor = apply("Equal", apply("FloorMod", _read(step), n), 0)
        return found

    return _recording(due)


@export("contrib.summary.should_record_summaries")
def should_record_summaries() -> Any:
    """A bool, or a tensor of one, that says whether summaries are written here."""
    return _STATE.record() if callable(_STATE.record) else _STATE.record


def _read(step: Any) -> Tensor:
    tensor = convert_to_tensor(step)
    if tensor.dtype.base_dtype != int64:
        tensor = apply("Cast", tensor, DstT=int64)
    return tensor


def _written(
    name: str, tensor: Any, family: str | None, step: Any, make: Callable[[str, Any], Tensor]
) -> Any:
    """The op that makes a summary and writes it to the default writer, if it is to be recorded."""
    writer = _STATE.writer
    if writer is None or _STATE.record is False:
        return no_op()
    tensor = convert_to_tensor(tensor)
    at = _read(get_or_create_global_step() if step is None else step)

    def record() -> list[Any]:
        with summary_scope(name, family, values=[tensor]) as (tag, _):
            return [_write(writer, at, make(tag, tensor))]

    if callable(_STATE.record):
        op = cond_op(_STATE.record(), record, lambda: [no_op()], "summary_cond")[0].op
    else:
        op = record()[0]
    get_default_graph().add_to_collection(GraphKeys._SUMMARY_COLLECTION, op)
    return op


def _write(writer: SummaryWriter, step: Tensor, summary: Tensor) -> Any:
    """The op that writes a serialised Summary at a step."""
    return apply("WriteSummaryEvent", step, summary, writer=_key(writer))


def _key(writer: SummaryWriter) -> str:
    """The name under which the graph's host ops find the writer."""
    writers = get_default_graph().__dict__.setdefault("_summary_writers", {})
    return next((k for k, v in writers.items() if v is writer), None) or _added(writers, writer)


def _added(writers: dict[str, SummaryWriter], writer: SummaryWriter) -> str:
    key = f"writer_{len(writers)}"
    writers[key] = writer
    return key


@export("contrib.summary.scalar")
def scalar(name: str, tensor: Any, family: str | None = None, step: Any = None) -> Any:
    """Write one number."""
    return _written(name, tensor, family, step, lambda tag, x: apply("ScalarSummary", tag, x))


@export("contrib.summary.histogram")
def histogram(name: str, tensor: Any, family: str | None = None, step: Any = None) -> Any:
    """Write how values are distributed."""
    return _written(name, tensor, family, step, lambda tag, x: apply("HistogramSummary", tag, x))


@export("contrib.summary.image")
def image(
    name: str,
    tensor: Any,
    bad_color: Any = None,
    max_images: int = 3,
    family: str | None = None,
    step: Any = None,
) -> Any:
    """Write up to `max_images` pictures [batch, height, width, channels]."""
    attrs = {"max_images": max_images, "bad_color": bad_color}
    return _written(
        name, tensor, family, step, lambda tag, x: apply("ImageSummary", tag, x, **attrs)
    )


@export("contrib.summary.audio")
def audio(
    name: str,
    tensor: Any,
    sample_rate: Any,
    max_outputs: int,
    family: str | None = None,
    step: Any = None,
) -> Any:
    """Write up to `max_outputs` sounds [batch, frames, channels]."""

    def make(tag: str, clips: Any) -> Tensor:
        rate = convert_to_tensor(sample_rate, float32)
        made: Tensor = apply("AudioSummaryV2", tag, clips, rate, max_outputs=max_outputs)
        return made

    return _written(name, tensor, family, step, make)


@export("contrib.summary.generic")
def generic(
    name: str, tensor: Any, metadata: Any = None, family: str | None = None, step: Any = None
) -> Any:
    """Write a whole tensor, with a SummaryMetadata or its bytes."""
    data = metadata if isinstance(metadata, bytes) else b""
    if metadata is not None and not isinstance(metadata, bytes):
        data = metadata.SerializeToString()
    return _written(
        name, tensor, family, step, lambda tag, x: apply("TensorSummaryV2", tag, x, data)
    )


@export("contrib.summary.import_event")
def import_event(tensor: Any, name: str | None = None) -> Any:
    """Write serialised Event messages."""
    writer = _STATE.writer
    return (
        no_op() if writer is None else apply("ImportEvent", tensor, writer=_key(writer), name=name)
    )


@export("contrib.summary.graph")
def graph(param: Any, step: Any = None, name: str | None = None) -> Any:
    """Write a Graph or a GraphDef to the default writer now."""
    definition = param.as_graph_def(add_shapes=True) if isinstance(param, Graph) else param
    if not isinstance(definition, proto.GraphDef):
        raise TypeError("graph() needs a tf.Graph or a GraphDef")
    if _STATE.writer is not None:
        _STATE.writer.write(
            proto.Event(wall_time=time.time(), graph_def=definition.SerializeToString())
        )
    with name_scope(name, "graph"):
        return no_op()


@export("contrib.summary.initialize")
def initialize(graph: Any = None, session: Any = None) -> None:
    """Open the default writer, and write the graph if given."""
    if _STATE.writer is None:
        raise RuntimeError("No default tf.contrib.summary.SummaryWriter found")
    if (session or get_default_session()) is None:
        raise ValueError("session must be passed if no default session exists")
    if graph is not None:
        globals()["graph"](graph)


@export("contrib.summary.summary_writer_initializer_op")
def summary_writer_initializer_op() -> list[Any]:
    """The ops that TensorFlow needs to open writers; here they are open."""
    return []


@export("contrib.summary.all_summary_ops")
def all_summary_ops() -> list[Any]:
    """All ops of the graph that write summaries."""
    return get_default_graph().get_collection(GraphKeys._SUMMARY_COLLECTION)


@export("contrib.summary.flush")
def flush(writer: SummaryWriter | None = None, name: str | None = None) -> Any:
    """The op that brings what was written to the file."""
    writer = writer or _STATE.writer
    return no_op() if writer is None else apply("FlushEvents", writer=_key(writer), name=name)


@export("contrib.summary.eval_dir")
def eval_dir(model_dir: str, name: str | None = None) -> str:
    """The folder for the events of an evaluation."""
    return f"{model_dir}/eval" if not name else f"{model_dir}/eval_{name}"
