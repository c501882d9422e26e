"""The served modules: names found, lazily, under every path that TensorFlow 1.15 has for them."""

import importlib
import subprocess
import sys

import pytest

import anode.compat
from anode.errors import UnsupportedOp
from anode.frontends.tensorflow import modules, paths


@pytest.fixture
def tf():
    anode.compat.install("tensorflow")
    yield importlib.import_module("tensorflow")
    anode.compat.uninstall("tensorflow")


@pytest.mark.parametrize(
    ("path", "same"),
    [
        ("math.add", "add"),
        ("compat.v1.placeholder", "placeholder"),
        ("compat.v1.train.ClusterSpec", "train.ClusterSpec"),
        ("compat.v1.__version__", "__version__"),
        ("mul", "multiply"),
        ("python.framework.ops.convert_to_tensor", "convert_to_tensor"),
        ("python.ops.array_ops.zeros", "zeros"),
        ("python.ops.rnn.rnn_cell_impl.BasicLSTMCell", "nn.rnn_cell.BasicLSTMCell"),
        ("python.ops.nn_ops.math_ops.add", "add"),
        ("python.platform.gfile.GFile", "gfile.GFile"),
        ("python.platform.flags.FLAGS", "app.flags.FLAGS"),
        ("python.platform.tf_logging.info", "logging.info"),
        ("python.lib.io.file_io.FileIO", "gfile.Open"),
        ("core.framework.graph_pb2.GraphDef", "GraphDef"),
        ("core.protobuf.config_pb2.ConfigProto", "ConfigProto"),
        ("python.framework.errors_impl.OutOfRangeError", "errors.OutOfRangeError"),
        ("dtypes.float32", "float32"),
    ],
)
def test_paths_of_one_thing(tf, path, same):
    assert follow(tf, path) is follow(tf, same)


def follow(thing, path):
    for name in path.split("."):
        thing = getattr(thing, name)
    return thing


def test_values(tf):
    assert tf.__version__ == tf.VERSION == tf.version.VERSION == "1.15.0"
    assert tf.newaxis is None
    assert tf.python.framework.dtypes.float16_ref.name == "float16_ref"


@pytest.mark.parametrize(
    "statement",
    [
        "import tensorflow.contrib.slim as slim",
        "import tensorflow.compat.v1 as tf; tf.disable_v2_behavior()",
        "import tensorflow.compat.v1.keras as keras",
        "from tensorflow.python.framework import ops; ops.reset_default_graph()",
        "from tensorflow.python.ops import variable_scope as vs; vs.get_variable",
        "from tensorflow.examples.tutorials.mnist import input_data; input_data.read_data_sets",
        "import tensorflow.examples.tutorials.mnist.input_data",
        "from tensorflow.python.client import timeline, device_lib; timeline.Timeline",
        "from tensorflow import *",
    ],
)
def test_imports(tf, statement):
    exec(statement, {})


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("placeholdr", "tf.placeholdr is not a name of TensorFlow 1.15; nearest: tf.placeholder"),
        ("contrib.ffmpeg.decode_audio", "tf.contrib.ffmpeg.decode_audio is not implemented"),
        ("python.ops.math_ops.nonsense", "tf.python.ops.math_ops.nonsense is not implemented"),
    ],
)
def test_missing_attributes_are_named(tf, path, message):
    with pytest.raises(AttributeError) as caught:
        follow(tf, path)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("import tensorflow.nonsense", "tf.nonsense is not a name"),
        ("from tensorflow.contrib.boosted_trees import x", "tf.contrib.boosted_trees is not impl"),
        (
            "from tensorflow.contrib.tensor_forest.python import tensor_forest",
            "tf.contrib.tensor_forest.python is not implemented by anode",
        ),
        ("from tensorflow.contrib.slim import nonsense", "tf.contrib.slim.nonsense is not a name"),
        ("from tensorflow import placeholdr", "nearest: tf.placeholder"),
    ],
)
def test_missing_imports_are_named(tf, statement, message):
    with pytest.raises(ImportError) as caught:
        exec(statement, {})
    assert message in str(caught.value)


def test_modules_are_found_once(tf):
    import tensorflow.nn

    assert tensorflow.nn is tf.nn is sys.modules["tensorflow.nn"]
    assert "relu" in dir(tf.nn) and "nn" in dir(tf)
    assert not hasattr(tf, "__wrapped__")


def test_functions_of_single_ops(tf):
    from tensorflow.python.ops import gen_nn_ops

    with tf.Graph().as_default(), tf.Session() as session:
        gradient = gen_nn_ops._relu_grad(tf.constant([1.0, 2.0]), tf.constant([-1.0, 1.0]))
        assert gradient.op.type == "ReluGrad" and gradient.op.name == "ReluGrad"
        assert session.run(gradient).tolist() == [0.0, 2.0]
        total = tf.raw_ops.Sum(input=[[1.0, 2.0]], axis=[1], keep_dims=True, name="s")
        assert total.op.name == "s" and session.run(total).tolist() == [[3.0]]
    with pytest.raises(AttributeError, match=r"tf\.raw_ops\.NoSuchOp"):
        _ = tf.raw_ops.NoSuchOp


def test_install_refuses_a_real_tensorflow(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", type(sys)("tensorflow"))
    with pytest.raises(ImportError, match="already imported"):
        anode.compat.install("tensorflow")


def test_other_libraries_are_refused():
    with pytest.raises(UnsupportedOp, match="'mxnet'"):
        anode.compat.install("mxnet")


def test_uninstall():
    anode.compat.install("tensorflow")
    anode.compat.install("tensorflow")  # twice is once
    anode.compat.uninstall("tensorflow")
    assert not any(isinstance(finder, modules.Finder) for finder in sys.meta_path)
    assert not any(name.partition(".")[0] == "tensorflow" for name in sys.modules)


def test_every_target_loads():
    broken = []
    for path, where in sorted(modules.names().items()):
        try:
            modules.load(where)
        except (ImportError, AttributeError) as error:
            broken.append(f"{path}: {error}")
    assert not broken, "run `python -m anode.frontends.tensorflow.modules`"


def test_old_names_and_rules_lead_somewhere():
    known = {path for alike in paths.public_names() for path in alike}
    assert [old for old, new in paths.OLD.items() if new not in known] == []
    spaces = {space for spaces in paths.RULES.values() for space in spaces if space}
    strange = {"core", "debug", "examples.how_tos", "examples.tutorials"}
    assert spaces - paths.public_namespaces() <= strange


def test_the_import_is_light():
    script = (
        "import anode.compat, sys; anode.compat.install('tensorflow'); import tensorflow as tf;"
        "tf.float32; print([m for m in sys.modules if m in ('llvmlite', 'typer', 'PIL')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
