"""SavedModels of TensorFlow are loaded and trained on; ours are loaded again."""

import json
from pathlib import Path

import numpy as np
import pytest

from anode.frontends.tensorflow.formats import proto

MODEL = Path(__file__).parent / "formats" / "data" / "model"
VALUE = np.array([[1, 2, 3], [-4, 5, -6.0]], np.float32)


def recorded():
    return {k: np.array(v) for k, v in json.loads((MODEL / "results.json").read_text()).items()}


def test_a_model_of_tensorflow(tf):
    with tf.Session() as session:
        meta = tf.saved_model.loader.load(session, [tf.saved_model.tag_constants.SERVING], MODEL)
        signature = meta.signature_def["serving_default"]
        assert signature.method_name == tf.saved_model.signature_constants.PREDICT_METHOD_NAME
        y, feeds = signature.outputs["y"].name, {signature.inputs["x"].name: VALUE}
        np.testing.assert_allclose(session.run(y, feeds), recorded()["before"], rtol=1e-6)
        session.run("train", feeds)
        np.testing.assert_allclose(session.run(y, feeds), recorded()["after"], rtol=1e-5)


def build(tf):
    x = tf.placeholder(tf.float32, [None, 3], name="x")
    weights = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2), name="W")
    y = tf.nn.relu(tf.matmul(x, weights), name="y")
    train = tf.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_mean(tf.square(y - 1.0)))
    return x, y, train


def test_our_own(tf, tmp_path):
    x, y, train = build(tf)
    names = tmp_path / "names.txt"
    names.write_text("one\ntwo\n")
    asset = tf.constant(str(names), name="names")
    tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, asset)
    count = tf.Variable(0.0, trainable=False, name="count")
    folder = str(tmp_path / "model")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train, {x: VALUE})
        expected = session.run(y, {x: VALUE})
        builder = tf.saved_model.builder.SavedModelBuilder(folder)
        signature = tf.saved_model.signature_def_utils.predict_signature_def({"x": x}, {"y": y})
        builder.add_meta_graph_and_variables(
            session,
            ["serve", "cpu"],
            {"predict": signature},
            assets_collection=[asset],
            main_op=tf.group(tf.assign(count, 5.0)),
        )
        builder.add_meta_graph(["other"], {"predict": signature})
        assert builder.save() == f"{folder}/saved_model.pb".encode()
    assert (tmp_path / "model/assets/names.txt").read_text() == "one\ntwo\n"
    with tf.Graph().as_default(), tf.Session() as session:
        meta = tf.saved_model.loader.load(session, ["cpu", "serve"], folder)
        assert meta.asset_file_def[0].filename == "names.txt"
        np.testing.assert_array_equal(session.run("y:0", {"x:0": VALUE}), expected)
        assert session.run("count:0") == 5.0
    with tf.Graph().as_default(), tf.Session() as session:
        with pytest.raises(RuntimeError, match="could not be found in SavedModel"):
            tf.saved_model.loader.load(session, ["serve"], folder)
        with pytest.raises(OSError, match="does not exist"):
            tf.saved_model.loader.load(session, ["serve"], str(tmp_path))
    with pytest.raises(AssertionError, match="isn't empty"):
        tf.saved_model.builder.SavedModelBuilder(folder)


def test_simple_save_and_text(tf, tmp_path):
    x, y, _ = build(tf)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.saved_model.simple_save(session, str(tmp_path / "m"), {"x": x}, {"y": y})
    model = proto.SavedModel.FromString((tmp_path / "m/saved_model.pb").read_bytes())
    assert model.saved_model_schema_version == 1
    assert list(model.meta_graphs[0].meta_info_def.tags) == ["serve"]
    assert tf.saved_model.loader.maybe_saved_model_directory(str(tmp_path / "m"))


def test_signatures(tf):
    utils = tf.saved_model.signature_def_utils
    text, number = tf.placeholder(tf.string, [None]), tf.placeholder(tf.float32, [None, 2])
    info = tf.saved_model.utils.build_tensor_info(number)
    assert info.name == number.name and [d.size for d in info.tensor_shape.dim] == [-1, 2]
    assert tf.saved_model.utils.get_tensor_from_tensor_info(info) is number
    assert utils.is_valid_signature(utils.classification_signature_def(text, text, number))
    assert utils.is_valid_signature(utils.regression_signature_def(text, number))
    assert not utils.is_valid_signature(utils.build_signature_def({"a": info}, {}, "odd"))
    with pytest.raises(ValueError, match="type string"):
        utils.regression_signature_def(number, number)


def test_predictor(tf):
    predict = tf.contrib.predictor.from_saved_model(str(MODEL))
    np.testing.assert_allclose(predict({"x": VALUE})["y"], recorded()["before"], rtol=1e-6)
    assert list(predict.feed_tensors) == ["x"]
    with pytest.raises(ValueError, match="unexpected keys"):
        predict({"z": VALUE})
    with pytest.raises(ValueError, match="signature_def_key 'no'"):
        tf.contrib.predictor.from_saved_model(str(MODEL), "no")
