"""MTCNN's frozen graph on a few pictures; as a script it records what TensorFlow finds in them.

Run it with TensorFlow's Python (and Pillow): it writes data/mtcnn.json.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent / "data"
SHARED = Path(__file__).parents[5] / "shared"
GRAPH = SHARED / "data" / "models" / "mtcnn" / "mtcnn.pb"
SETTINGS = {"min_size:0": 20.0, "thresholds:0": [0.6, 0.7, 0.7], "factor:0": 0.709}


def pictures() -> dict[str, np.ndarray]:
    """Pictures [height, width, 3], BGR from 0 to 255, by name: no, one, two and four faces."""
    from PIL import Image

    face = np.asarray(Image.open(DATA / "face.png").convert("RGB"), np.float32)[:, :, ::-1]
    small, mirrored = face[::2, ::2], face[:, ::-1]
    two = np.full((150, 240, 3), 90.0, np.float32)
    two[10:142, 5:113], two[40:106, 150:204] = face, small
    four = np.concatenate([np.concatenate([face, mirrored], 1)] * 2)
    grey = np.full((60, 80, 3), 127.5, np.float32)
    return {"none": grey, "one": face, "mirrored": mirrored, "two": two, "four": four}


def load(tf: Any) -> Any:
    """A session on the graph."""
    graph = tf.GraphDef.FromString(GRAPH.read_bytes())
    with tf.Graph().as_default() as whole:
        tf.import_graph_def(graph, name="")
        return tf.Session(graph=whole)


def detect(session: Any, picture: np.ndarray) -> dict[str, np.ndarray]:
    """Boxes [n, 4], their probabilities [n] and landmarks [n, 10]."""
    names = ("box", "prob", "landmarks")
    found = session.run([f"{name}:0" for name in names], {"input:0": picture, **SETTINGS})
    return dict(zip(names, found, strict=True))


def record() -> None:
    tf = import_module("tensorflow").compat.v1
    tf.disable_v2_behavior()
    session = load(tf)
    found = {name: detect(session, picture) for name, picture in pictures().items()}
    lists = {n: {k: v.astype(float).tolist() for k, v in f.items()} for n, f in found.items()}
    (DATA / "mtcnn.json").write_text(json.dumps(lists, indent=1) + "\n")
    print({name: len(each["box"]) for name, each in lists.items()}, file=sys.stderr)


if __name__ == "__main__":
    record()
