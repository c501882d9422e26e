"""What a script leaves for TensorBoard, and TensorBoard itself on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

STEPS, ROWS = 3, 12


def write(tf: Any, folder: Path) -> None:
    """A run with every kind of summary, its graph, run metadata, and an embedding to look at."""
    x = tf.placeholder(tf.float32, [None, 4], name="x")
    with tf.name_scope("hidden"):
        weights = tf.Variable(tf.random_normal([4, 5], seed=1), name="W")
        h = tf.nn.relu(tf.matmul(x, weights), name="activation")
    with tf.name_scope("training"):
        loss = tf.reduce_mean(tf.square(h - 1.0), name="loss")
        train = tf.train.AdamOptimizer(0.1).minimize(loss)
    embedding = tf.Variable(np.random.RandomState(0).rand(ROWS, 4).astype("f4"), name="embedding")
    tf.summary.scalar("loss", loss)
    tf.summary.histogram("weights", weights)
    tf.summary.image("picture", tf.reshape(tf.sigmoid(weights), [1, 4, 5, 1]))
    tf.summary.text("note", tf.constant("**bold** words"))
    merged = tf.summary.merge_all()
    (folder / "labels.tsv").write_text("".join(f"row {i}\n" for i in range(ROWS)))
    config = tf.contrib.tensorboard.plugins.projector.ProjectorConfig()
    config.embeddings.add(tensor_name=embedding.name, metadata_path="labels.tsv")
    feeds = {x: np.random.RandomState(1).rand(6, 4)}
    with tf.Session() as session, tf.summary.FileWriter(str(folder), session.graph) as writer:
        tf.contrib.tensorboard.plugins.projector.visualize_embeddings(writer, config)
        session.run(tf.global_variables_initializer())
        for step in range(STEPS):
            metadata = tf.RunMetadata()
            options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
            summary, _ = session.run([merged, train], feeds, options, metadata)
            writer.add_summary(summary, step)
        writer.add_run_metadata(metadata, "last step", STEPS - 1)
        tf.train.Saver().save(session, str(folder / "model"), STEPS)


class Board:
    """The real TensorBoard's server on a folder, in this process."""

    def __init__(self, folder: Path) -> None:
        from tensorboard import default, program

        board = program.TensorBoard(default.get_plugins())
        board.configure(logdir=str(folder), port=0, load_fast="false", reload_interval=0)
        self.url = board.launch()

    def get(self, path: str) -> Any:
        """What it answers at `data/…`: JSON, or bytes of another kind."""
        from urllib.request import urlopen

        with urlopen(f"{self.url}data/{path}", timeout=60) as answer:
            body = answer.read()
            kind = answer.headers["Content-Type"]
        return json.loads(body) if kind.startswith("application/json") else body
