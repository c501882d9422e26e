"""musicnn's models, imported from their `.meta` files: `musicnn.py FOLDER OUT` runs them all.

It runs with anode's and with TensorFlow's Python.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

# TensorFlow's Python has no `tests`.
sys.path.insert(0, str(Path(__file__).parent))
from cross import tensorflow

NAMES = ("MTT_musicnn", "MTT_vgg", "MSD_musicnn", "MSD_vgg")


def tags(tf: Any, folder: Path) -> np.ndarray:
    """The probabilities of the tags of four pieces of noise."""
    meta = tf.MetaGraphDef.FromString((folder / ".meta").read_bytes())
    for node in meta.graph_def.node:  # TensorFlow 2.21 finds some of the shapes wrong
        node.attr.pop("_output_shapes", None)
    pieces = np.random.RandomState(0).rand(4, 187, 96).astype(np.float32) * 3
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(meta).restore(session, f"{folder}/")
        feeds = {"model/Placeholder:0": pieces, "model/Placeholder_2:0": False}
        return session.run("model/Sigmoid:0", feeds)


def main(folder: str, out: str) -> None:
    tf = tensorflow()
    np.savez(out, **{name: tags(tf, Path(folder) / name) for name in NAMES})


if __name__ == "__main__":
    main(*sys.argv[1:])
