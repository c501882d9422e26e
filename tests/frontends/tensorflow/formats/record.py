"""Writes data/ with TensorFlow: `python record.py` in an environment that has it."""

import json
import shutil
from pathlib import Path

import numpy as np
import tensorflow

tf = tensorflow.compat.v1
tf.disable_v2_behavior()
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


def flow():
    """Control flow of version 1: branches, loops, each in the other, and arrays."""
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    flag = tf.placeholder(tf.bool, [], name="flag")
    y = tf.matmul(x, tf.constant(np.arange(6, dtype=np.float32).reshape(3, 2) / 5), name="y")
    branch = tf.cond(flag, lambda: tf.nn.relu(y) + 1.0, lambda: y * 2.0)
    tf.identity(branch, name="branch")
    start = [tf.constant(0), branch]
    loop = tf.while_loop(
        lambda i, _: i < 5, lambda i, a: (i + 1, a * 1.5 + tf.reduce_sum(y)), start
    )
    tf.identity(loop[1], name="loop")

    def step(i, a):
        return i + 1, tf.cond(a[0, 0] > 0, lambda: a + 1.0, lambda: a - 1.0)

    def inner():
        return tf.while_loop(lambda i, _: i < 3, step, [tf.constant(0), y])[1]

    tf.identity(tf.cond(flag, inner, lambda: y), name="nested")
    rows = tf.TensorArray(tf.float32, 0, dynamic_size=True).unstack(y)
    sums = tf.TensorArray(tf.float32, tf.shape(y)[0])

    def add(i, total, out):
        total += rows.read(i)
        return i + 1, total, out.write(i, total)

    zero = [tf.constant(0), tf.zeros([2]), sums]
    stacked = tf.while_loop(lambda i, *_: i < tf.shape(y)[0], add, zero)[2].stack()
    tf.identity(stacked, name="stacked")
    pieces = tf.TensorArray(tf.float32, 3, infer_shape=False)
    cut = [tf.constant(0), pieces]
    joined = tf.while_loop(lambda i, _: i < 3, lambda i, p: (i + 1, p.write(i, y[:i])), cut)[1]
    tf.identity(joined.concat(), name="joined")
    growing = tf.while_loop(
        lambda i, _: i < 3,
        lambda i, a: (i + 1, tf.concat([a, y[:1]], 0)),
        [tf.constant(0), y],
        shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, 2])],
    )
    tf.identity(growing[1], name="growing")
    names = ["branch", "loop", "nested", "stacked", "joined", "growing"]
    value, results = np.array([[1, 2, 3], [-4, 5, -6.0]], np.float32), {}
    with tf.Session() as session:
        for choice in (True, False):
            found = session.run([f"{n}:0" for n in names], {"x:0": value, "flag:0": choice})
            arrays = dict(zip(names, (array.tolist() for array in found), strict=True))
            results[str(choice)] = arrays
    (FOLDER / "flow.pb").write_bytes(tf.get_default_graph().as_graph_def().SerializeToString())
    (FOLDER / "flow.json").write_text(json.dumps(results))


def saved_model():
    """A small model, trained a step and saved each way."""
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    weights = tf.Variable(
        np.arange(6, dtype=np.float32).reshape(3, 2), name="W", use_resource=False
    )
    y = tf.nn.relu(tf.matmul(x, weights), name="y")
    loss = tf.reduce_mean(tf.square(y - 1.0), name="loss")
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(loss, name="train")
    value = np.array([[1, 2, 3], [-4, 5, -6.0]], np.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train, {x: value})
        tf.saved_model.simple_save(session, f"{FOLDER}/model", {"x": x}, {"y": y})
        results = {"before": session.run(y, {x: value}).tolist()}
        session.run(train, {x: value})
        results["after"] = session.run(y, {x: value}).tolist()
    (FOLDER / "model/results.json").write_text(json.dumps(results))


def records():
    for kind in ("", "ZLIB", "GZIP"):
        with tf.python_io.TFRecordWriter(f"{FOLDER}/records{kind}", kind or None) as writer:
            for i in range(12):
                writer.write(b"x" * i * i)


if __name__ == "__main__":
    shutil.rmtree(FOLDER / "model", ignore_errors=True)
    for part in (checkpoints, summaries, events, records, flow, saved_model):
        with tf.Graph().as_default():
            part()
    for name in ("checkpoint", "v2.meta"):
        (FOLDER / name).unlink()
