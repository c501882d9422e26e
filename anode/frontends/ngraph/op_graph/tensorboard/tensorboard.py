"""TensorBoard: an event file with numbers, pictures, histograms, sounds and graphs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import numpy as np

from anode.frontends.ngraph.op_graph.op import Op
from anode.frontends.ngraph.op_graph.tensorboard import summary
from anode.frontends.ngraph.op_graph.tensorboard.graph_def import ngraph_to_tf_graph_def
from anode.frontends.tensorflow.formats import proto
from anode.frontends.tensorflow.formats.events import EventWriter


class TensorBoard:
    """Writes to the event file of a run, which is a folder in `logdir`.

    A run without name gets the date and time; see `tensorboard --logdir LOGDIR`.
    """

    def __init__(self, logdir: str, run: str | None = None) -> None:
        self.logdir, self.run = logdir, run
        self._writer: EventWriter | None = None
        os.makedirs(logdir, exist_ok=True)
        if run is not None:
            self.add_run(run)

    def add_run(self, run: str | None = None) -> None:
        """Write to this run from now on."""
        if self._writer is not None:
            self._writer.close()
        self.run = run or datetime.now().strftime("%y%m%dT%H%M%S")
        self._writer = EventWriter(os.path.join(self.logdir, self.run), prefix="events.ngraph")

    def add_scalar(self, name: str, scalar: float, step: int | None = None) -> None:
        """Add a number at a step of a series."""
        self._write(step, summary=summary.scalar(name, scalar))

    def add_image(self, name: str, image: Any, step: int | None = None) -> None:
        """Add a picture [height, width, 1, 3 or 4 channels]."""
        self._write(step, summary=summary.image(name, image))

    def add_histogram(self, name: str, sequence: Iterable[float], step: int | None = None) -> None:
        """Add the distribution of numbers."""
        self._write(step, summary=summary.histogram(name, sequence))

    def add_audio(self, name: str, audio: Any, sample_rate: float, step: int | None = None) -> None:
        """Add a sound [frames, channels] of 16-bit samples, `sample_rate` a second."""
        self._write(step, summary=summary.audio(name, audio, sample_rate))

    def add_graph(self, ops: Op | Iterable[Op]) -> None:
        """Add the graph of ops and all that they depend on."""
        self._write(None, graph_def=ngraph_to_tf_graph_def(ops).SerializeToString())

    def _write(self, step: int | None, **content: Any) -> None:
        if self._writer is None:
            self.add_run()
        assert self._writer is not None
        event = proto.Event(wall_time=time.time(), **content)
        if step is not None:
            event.step = int(np.asarray(step))
        self._writer.write(event)
        self._writer.flush()
