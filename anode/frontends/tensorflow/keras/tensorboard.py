"""The callback that writes event files for TensorBoard."""

from __future__ import annotations

from typing import Any

from anode.frontends.tensorflow.keras import state
from anode.frontends.tensorflow.keras.callbacks import Callback
from anode.frontends.tensorflow.modules import tensorflow as tf
from anode.frontends.tensorflow.opdef import export


@export("keras.callbacks.TensorBoard")
class TensorBoard(Callback):
    """Metrics of epochs (or batches) as scalars, weights as histograms, and the graph."""

    def __init__(
        self,
        log_dir: str = "./logs",
        histogram_freq: int = 0,
        batch_size: int | None = 32,
        write_graph: bool = True,
        write_grads: bool = False,
        write_images: bool = False,
        embeddings_freq: int = 0,
        embeddings_layer_names: Any = None,
        embeddings_metadata: Any = None,
        embeddings_data: Any = None,
        update_freq: Any = "epoch",
        profile_batch: int = 0,
    ) -> None:
        super().__init__()
        given = {"write_grads": write_grads, "write_images": write_images}
        for name, value in {**given, "embeddings_freq": embeddings_freq}.items():
            if value:
                raise NotImplementedError(f"TensorBoard: {name} is not implemented by anode")
        self.log_dir, self.histogram_freq = str(log_dir), histogram_freq
        self.write_graph, self.update_freq = write_graph, update_freq
        self._samples = self._last = self._histograms = 0
        self._merged: Any = None

    def on_train_begin(self, logs: Any = None) -> None:
        graph = state.get_session().graph if self.write_graph else None
        self.writer = tf.summary.FileWriter(self.log_dir, graph)
        if self.histogram_freq and self._merged is None:
            named = [(w.op.name, w) for w in self.model.weights]
            self._merged = tf.summary.merge([tf.summary.histogram(n, w) for n, w in named])

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.update_freq == "epoch":
            return
        self._samples += (logs or {}).get("size", 1)
        every = 1 if self.update_freq == "batch" else self.update_freq
        if self._samples - self._last >= every:
            self._last = self._samples
            self._write({f"batch_{k}": v for k, v in (logs or {}).items()}, self._samples)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._write({f"epoch_{k}": v for k, v in (logs or {}).items()}, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self.writer.add_summary(state.get_session().run(self._merged), epoch)
        self.writer.flush()

    def _write(self, values: Any, step: int) -> None:
        for name, value in values.items():
            if name in ("batch_size", "batch_batch"):
                continue
            summary = tf.Summary(value=[tf.Summary.Value(tag=name, simple_value=float(value))])
            self.writer.add_summary(summary, step)

    def on_train_end(self, logs: Any = None) -> None:
        self.writer.close()
