"""tf.summary.FileWriter: summaries, graphs and run metadata, where TensorBoard finds them."""

from __future__ import annotations

import os
import threading
import time
import warnings
from typing import Any

from anode.frontends.tensorflow.core import Graph
from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.formats.events import EventWriter
from anode.frontends.tensorflow.opdef import export


@export("summary.FileWriter", "train.SummaryWriter", "python.summary.writer.writer.FileWriter")
class FileWriter:
    """Writes events to a new file in `logdir`, from any thread.

    The graph, if given, is written at once, with its MetaGraph. A message that cannot be a Summary
    raises; using a closed writer warns, and begins a new file with `reopen`.
    """

    def __init__(
        self,
        logdir: Any,
        graph: Any = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        graph_def: Any = None,
        filename_suffix: str | None = None,
        session: Any = None,
    ) -> None:
        if session is not None:
            raise NotImplementedError("FileWriter(session=): summaries through a session's ops")
        self._logdir = os.fspath(logdir.decode() if isinstance(logdir, bytes) else logdir)
        self._events = EventWriter(self._logdir, max_queue, flush_secs, filename_suffix)
        self._closed = False
        self._session_run_tags: set[str] = set()
        self._described: set[tuple[str, str]] = set()
        if graph is not None or graph_def is not None:
            self.add_graph(graph, graph_def=graph_def)
            self._add_meta_graph_of(graph if graph_def is None else graph_def)

    def _add_meta_graph_of(self, graph: Any) -> None:
        definition = graph.as_graph_def(add_shapes=True) if isinstance(graph, Graph) else graph
        meta = proto.MetaGraphDef(graph_def=definition)
        meta.meta_info_def.tensorflow_version = "1.15.0"
        self.add_meta_graph(meta)

    def __enter__(self) -> FileWriter:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def get_logdir(self) -> str:
        return self._logdir

    def add_summary(self, summary: Any, global_step: Any = None) -> None:
        """Write a Summary, or its bytes as a session gives them, for this step."""
        if isinstance(summary, bytes):
            summary = proto.Summary.FromString(summary)
        elif not isinstance(summary, proto.Summary):
            summary = proto.Summary.FromString(bytes(summary))
        for value in summary.value:
            self._describe_once(value)
        self._add(proto.Event(summary=summary), global_step)

    def _describe_once(self, value: Any) -> None:
        """A tag's metadata is written with its first value only."""
        value.ClearField("node_name")
        if value.HasField("metadata"):
            key = value.tag, value.metadata.plugin_data.plugin_name
            if key in self._described:
                value.ClearField("metadata")
            self._described.add(key)

    def add_graph(self, graph: Any, global_step: Any = None, graph_def: Any = None) -> None:
        """Write a Graph (or, as of old, a GraphDef)."""
        if graph is not None and graph_def is not None:
            raise ValueError("Please pass only graph, or graph_def (deprecated), but not both.")
        given = graph if graph_def is None else graph_def
        if isinstance(given, Graph):
            given = given.as_graph_def(add_shapes=True)
        if not isinstance(given, proto.GraphDef):
            raise TypeError("The passed graph must be an instance of `Graph` or `GraphDef`")
        self._add(proto.Event(graph_def=given.SerializeToString()), global_step)

    def add_meta_graph(self, meta_graph_def: Any, global_step: Any = None) -> None:
        if not isinstance(meta_graph_def, proto.MetaGraphDef):
            raise TypeError(
                f"meta_graph_def must be type MetaGraphDef, saw type: {type(meta_graph_def)}"
            )
        self._add(proto.Event(meta_graph_def=meta_graph_def.SerializeToString()), global_step)

    def add_run_metadata(self, run_metadata: Any, tag: str, global_step: Any = None) -> None:
        """Write what a traced run told, under a tag of its own."""
        if tag in self._session_run_tags:
            raise ValueError("The provided tag was already used for this event type")
        self._session_run_tags.add(tag)
        tagged = {"tag": tag, "run_metadata": run_metadata.SerializeToString()}
        self._add(proto.Event(tagged_run_metadata=tagged), global_step)

    def add_session_log(self, session_log: Any, global_step: Any = None) -> None:
        self._add(proto.Event(session_log=session_log), global_step)

    def add_event(self, event: Any) -> None:
        """Write an event as it is."""
        if self._closed:
            warnings.warn(
                "Attempting to use a closed FileWriter. The operation will be a noop "
                "unless the FileWriter is explicitly reopened.",
                stacklevel=2,
            )
            return
        self._events.write(event)

    def _add(self, event: Any, step: Any) -> None:
        event.wall_time = time.time()
        if step is not None:
            event.step = int(step)
        self.add_event(event)

    def flush(self) -> None:
        self._events.flush()

    def close(self) -> None:
        self._events.close()
        self._closed = True

    def reopen(self) -> None:
        """Take events again, in a new file."""
        self._closed = False


@export("python.summary.writer.event_file_writer.EventFileWriter")
class EventFileWriter:
    """Writes Event messages to a new file in `logdir`."""

    def __init__(
        self,
        logdir: str,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str | None = None,
    ) -> None:
        self._logdir, self._closed = logdir, False
        self._events = EventWriter(logdir, max_queue, flush_secs, filename_suffix)

    def get_logdir(self) -> str:
        return self._logdir

    def add_event(self, event: Any) -> None:
        if not self._closed:
            self._events.write(event)

    def flush(self) -> None:
        self._events.flush()

    def close(self) -> None:
        self._events.close()
        self._closed = True

    def reopen(self) -> None:
        """Take events again, in a new file."""
        self._closed = False


_writers: dict[str, FileWriter] = {}
_lock = threading.Lock()


@export("summary.FileWriterCache", "python.summary.writer.writer_cache.FileWriterCache")
class FileWriterCache:
    """One FileWriter for each folder, shared by all that ask."""

    @staticmethod
    def get(logdir: str) -> FileWriter:
        with _lock:
            if logdir not in _writers:
                from anode.frontends.tensorflow.graph import get_default_graph

                _writers[logdir] = FileWriter(logdir, graph=get_default_graph())
            return _writers[logdir]

    @staticmethod
    def clear() -> None:
        with _lock:
            for writer in _writers.values():
                writer.close()
            _writers.clear()


@export("python.pywrap_tensorflow.EventsWriter")
class EventsWriter:
    """Writes Events to the file `PREFIX.out.tfevents.SECONDS.HOST`."""

    def __init__(self, file_prefix: Any) -> None:
        folder, self._prefix = os.path.split(os.path.abspath(os.fsdecode(file_prefix)))
        self._folder, self._events = folder, EventWriter(folder, prefix=self._prefix)

    def InitWithSuffix(self, suffix: Any) -> None:
        """Write to a file whose name ends so, if there is none yet."""
        if self._events.path is None:
            ending = os.fsdecode(suffix)
            self._events = EventWriter(self._folder, filename_suffix=ending, prefix=self._prefix)

    def FileName(self) -> bytes:
        """The file, which comes into being with this or the first event."""
        self._events.open()
        return os.fsencode(self._events.path or "")

    def WriteEvent(self, event: Any) -> None:
        self._events.write(event)

    def Flush(self) -> None:
        self._events.flush()

    def Close(self) -> None:
        self._events.close()
