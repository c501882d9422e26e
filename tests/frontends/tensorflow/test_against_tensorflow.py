"""What we write, TensorFlow itself reads: in an environment of its own."""

import json
import subprocess

import numpy as np
import pytest

from anode.frontends.tensorflow.formats import checkpoint
from anode.frontends.tensorflow.formats.checkpoint import Partitioned
from anode.ir.dtypes import f32_to_bf16
from benchmarks.environments import CONTESTANTS, installed

pytestmark = pytest.mark.slow
RANDOM = np.random.default_rng(0)
VALUE = RANDOM.standard_normal((4, 3)).astype(np.float32)
READ = """
import json, sys
import numpy as np
import tensorflow
tf = tensorflow.compat.v1
tf.disable_v2_behavior()
folder = sys.argv[1]
value = np.load(folder + "/value.npy")
out = {}

def restored(meta, prefix):
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(meta).restore(session, prefix)
        return session.run(["y:0", "z:0"], {"x:0": value})

out["meta"] = [a.tolist() for a in restored(folder + "/ck.meta", folder + "/ck")]
with tf.Graph().as_default(), tf.Session() as session:
    found = tf.saved_model.loader.load(session, ["serve"], folder + "/model")
    signature = found.signature_def["serving_default"]
    feeds = {signature.inputs["x"].name: value}
    names = [signature.outputs[k].name for k in ("y", "z")]
    out["model"] = [a.tolist() for a in session.run(names, feeds)]
graph = tf.GraphDef.FromString(open(folder + "/frozen.pb", "rb").read())
with tf.Graph().as_default(), tf.Session() as session:
    found = tf.import_graph_def(graph, return_elements=["y:0", "z:0"], name="")
    out["frozen"] = [a.tolist() for a in session.run(found, {"x:0": value})]
for kind in ("", "ZLIB", "GZIP"):
    options = tf.python_io.TFRecordOptions(kind)
    records = tf.python_io.tf_record_iterator(folder + "/records" + kind, options)
    examples = [tf.train.Example.FromString(record) for record in records]
    out["records" + kind] = [list(e.features.feature["i"].int64_list.value) for e in examples]
events = list(tf.train.summary_iterator(folder + "/events"))
out["events"] = [[e.step, v.tag] for e in events for v in e.summary.value]
reader = tf.train.load_checkpoint(folder + "/all")
out["tensors"] = sorted(reader.get_variable_to_shape_map())
arrays = {name.replace("/", "|"): reader.get_tensor(name) for name in out["tensors"]}
arrays["bf16"] = arrays["bf16"].astype(np.float32)
np.savez(folder + "/back.npz", **arrays)
print(json.dumps(out))
"""


@pytest.fixture(scope="module")
def python():
    (contestant,) = [c for c in CONTESTANTS if c.environment == "tensorflow"]
    return installed(contestant) or pytest.skip("no TensorFlow: `anode bench` installs it")


def tensors():
    whole = RANDOM.standard_normal((300, 2)).astype(np.float32)
    cuts = tuple((((b, 150), (0, 2)), whole[b : b + 150]) for b in (0, 150))
    values = {
        "bf16": f32_to_bf16(np.arange(5, dtype=np.float32) / 3),
        "scope/text": np.array([b"a", b"", b"x" * 500], object),
        "part": Partitioned((300, 2), cuts),
        "empty": np.zeros((0, 3), np.float32),
    }
    for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "bool", "c8", "c16"):
        values[f"scope/{kind}"] = RANDOM.integers(0, 2, (3, 5)).astype(kind)
    return values, whole


def write_all(tf, folder):
    """A model with control flow that trains, saved in each way; gives its outputs."""
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    weights = tf.get_variable("W", [3, 2])
    y = tf.identity(tf.nn.softmax(tf.matmul(x, weights)), name="y")
    chosen = tf.cond(tf.reduce_sum(x) > 0, lambda: y * 2.0, lambda: y - 1.0)
    z = tf.while_loop(lambda i, _: i < 4, lambda i, a: (i + 1, a * 1.5), [0, chosen])[1]
    z = tf.identity(z, name="z")
    train = tf.train.AdamOptimizer(0.1).minimize(tf.reduce_mean(tf.square(y)))
    tf.summary.scalar("loss", tf.reduce_mean(z))
    tf.summary.histogram("y", y)
    merged = tf.summary.merge_all()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        writer = tf.summary.FileWriter(str(folder / "run"), session.graph)
        for step in range(2):
            session.run(train, {x: VALUE})
            writer.add_summary(session.run(merged, {x: VALUE}), step)
        writer.close()
        tf.train.Saver().save(session, str(folder / "ck"))
        tf.saved_model.simple_save(session, str(folder / "model"), {"x": x}, {"y": y, "z": z})
        graph = session.graph.as_graph_def()
        frozen = tf.graph_util.convert_variables_to_constants(session, graph, ["y", "z"])
        tf.train.write_graph(frozen, str(folder), "frozen.pb", as_text=False)
        expected = session.run([y, z], {x: VALUE})
    (folder / "events").write_bytes(next((folder / "run").iterdir()).read_bytes())
    for kind in ("", "ZLIB", "GZIP"):
        with tf.python_io.TFRecordWriter(f"{folder}/records{kind}", kind) as writer:
            for i in range(3):
                feature = {"i": tf.train.Feature(int64_list=tf.train.Int64List(value=[i, -i]))}
                example = tf.train.Example(features=tf.train.Features(feature=feature))
                writer.write(example.SerializeToString())
    return expected


def test_tensorflow_reads_what_we_write(tf, tmp_path, python):
    expected = write_all(tf, tmp_path)
    values, whole = tensors()
    checkpoint.write(tmp_path / "all", values)
    np.save(tmp_path / "value.npy", VALUE)
    done = subprocess.run([python, "-c", READ, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    out = json.loads(done.stdout.splitlines()[-1])
    for kind in ("meta", "model", "frozen"):
        for found, array in zip(out[kind], expected, strict=True):
            np.testing.assert_allclose(found, array, rtol=1e-5, err_msg=kind)
    for kind in ("", "ZLIB", "GZIP"):
        assert out[f"records{kind}"] == [[i, -i] for i in range(3)]
    assert out["events"] == [[0, "loss"], [0, "y_1"], [1, "loss"], [1, "y_1"]]
    assert out["tensors"] == sorted(values)
    back = np.load(tmp_path / "back.npz", allow_pickle=True)
    for name, value in values.items():
        read = back[name.replace("/", "|")]
        if name == "part":
            assert np.array_equal(read, whole)
        elif name == "bf16":
            assert np.array_equal(f32_to_bf16(read), value)
        else:
            assert read.dtype == value.dtype and np.array_equal(read, value), name
