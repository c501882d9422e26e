"""Writes data/ with TensorFlow: `python record.py` in an environment that has it."""

import json
from pathlib import Path

import numpy as np
import tensorflow

tf = tensorflow.compat.v1
FOLDER = Path(__file__).parent / "data"


def arrays():
    random = np.random.default_rng(0)
    return {
        "a/kernel": random.standard_normal((3, 4)).astype(np.float32),
        "a/bias": np.zeros(4, np.float32),
        "scalar": np.float64(3.5),
        "i64": np.arange(5),
        "flags": np.array([True, False]),
        "half": np.arange(3).astype(np.float16),
        "complex": np.array([1 + 2j], np.complex64),
        "text": np.array([[b"ab", b""], [b"x" * 300, b"\xff\x00"]], object),
        "bytes": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "empty": np.zeros((0, 3), np.float32),
        **{f"layer_{i}/kernel": np.full((2, 2), i, np.float32) for i in range(20)},
    }


def checkpoints():
    for name, value in arrays().items():
        tf.get_variable(name, initializer=tf.constant(value), use_resource=False)
    thirds = tf.fixed_size_partitioner(3)
    tf.get_variable(
        "part",
        initializer=tf.constant(np.arange(600, dtype=np.float32).reshape(200, 3)),
        partitioner=thirds,
        use_resource=False,
    )
    narrow = np.arange(4, dtype=np.float32) / 3
    tf.get_variable("narrow", initializer=tf.cast(narrow, tf.bfloat16), use_resource=False)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver(max_to_keep=None).save(session, f"{FOLDER}/v2")
        old = [v for v in tf.global_variables() if v.op.name.startswith(("a/", "part", "i64"))]
        saver = tf.train.Saver(old, write_version=tf.train.SaverDef.V1)
        saver.save(session, f"{FOLDER}/v1", write_meta_graph=False, write_state=False)


def summaries():
    random = np.random.default_rng(0)
    values = {
        "normal": random.standard_normal(1000).astype(np.float32),
        "wide": np.array([0.0, -1e30, 1e30, 1e-13, 5]),
        "none": np.zeros(0, np.float32),
        "counted": np.arange(70000, dtype=np.int32),
    }
    pictures = random.standard_normal((2, 3, 4, 3)).astype(np.float32)
    pictures[0, 1, 1, 0] = np.nan
    with tf.Session() as session:
        out = {k: session.run(tf.summary.histogram(k, v)).hex() for k, v in values.items()}
        data = session.run(tf.summary.image("pictures", pictures))
        pixels = [
            session.run(tf.image.decode_png(value.image.encoded_image_string)).tolist()
            for value in tf.Summary.FromString(data).value
        ]
        sounds = random.standard_normal((2, 20, 2)).astype(np.float32)
        out["sounds"] = session.run(tf.summary.audio("sounds", sounds, 8000)).hex()
    (FOLDER / "summaries.json").write_text(json.dumps({"summaries": out, "pixels": pixels}))


def events():
    with tf.Session() as session:
        loss = tf.placeholder(tf.float32, name="value")
        summary = tf.summary.scalar("loss", loss)
        writer = tf.summary.FileWriter(str(FOLDER), session.graph)
        for step in range(3):
            writer.add_summary(session.run(summary, {loss: 1 / (step + 1)}), step)
        writer.close()
    for path in FOLDER.glob("events.*"):
        path.rename(FOLDER / "events")


def records():
    for kind in ("", "ZLIB", "GZIP"):
        with tf.python_io.TFRecordWriter(f"{FOLDER}/records{kind}", kind or None) as writer:
            for i in range(12):
                writer.write(b"x" * i * i)


if __name__ == "__main__":
    for part in (checkpoints, summaries, events, records):
        with tf.Graph().as_default():
            part()
    for name in ("checkpoint", "v2.meta"):
        (FOLDER / name).unlink()
