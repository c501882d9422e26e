"""SavedModels exported in each way: `serving.py export|load FOLDER`, with either side's Python."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

# TensorFlow's Python has no `tests`.
sys.path.insert(0, str(Path(__file__).parent))
from cross import tensorflow

VALUE = np.random.RandomState(0).standard_normal((5, 6)).astype(np.float32)


def net(tf: Any) -> Any:
    """A net with batch normalisation, a loop, and a table of words for its classes."""
    x = tf.placeholder(tf.float32, [None, 6], name="x")
    h = tf.layers.batch_normalization(tf.layers.dense(x, 5, tf.nn.relu), training=False)
    h = tf.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, a * 1.5 - 0.1), [0, h])[1]
    y = tf.nn.softmax(tf.layers.dense(h, 3), name="y")
    words = tf.gather(tf.constant(["one", "two", "three"]), tf.argmax(y, 1), name="word")
    return x, {"y": y, "word": words}


def predicted(session: Any, names: Any, feeds: Any) -> dict[str, Any]:
    found = session.run(names, feeds)
    return {
        name: np.asarray(value).astype(str if name == "word" else "f4")
        for name, value in found.items()
    }


def export(tf: Any, folder: Path) -> None:
    x, outputs = net(tf)
    model = tf.saved_model
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        model.simple_save(session, str(folder / "simple"), {"x": x}, outputs)
        builder = model.builder.SavedModelBuilder(str(folder / "built"))
        info = model.utils.build_tensor_info
        signature = model.signature_def_utils.build_signature_def(
            inputs={"x": info(x)},
            outputs={name: info(tensor) for name, tensor in outputs.items()},
            method_name=model.signature_constants.PREDICT_METHOD_NAME,
        )
        key = model.signature_constants.DEFAULT_SERVING_SIGNATURE_DEF_KEY
        builder.add_meta_graph_and_variables(session, ["serve"], {key: signature})
        builder.save()
        np.savez(str(folder / "export.npz"), **predicted(session, outputs, {x: VALUE}))


def load(tf: Any, folder: Path) -> None:
    for name in ("simple", "built"):
        with tf.Graph().as_default(), tf.Session() as session:
            meta = tf.saved_model.load(session, ["serve"], str(folder / name))
            signature = meta.signature_def["serving_default"]
            names = {key: info.name for key, info in signature.outputs.items()}
            found = predicted(session, names, {signature.inputs["x"].name: VALUE})
            np.savez(str(folder / name) + ".npz", **found)


def main(action: str, folder: str) -> None:
    (export if action == "export" else load)(tensorflow(), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
