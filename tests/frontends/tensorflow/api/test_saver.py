"""Saver, checkpoints and meta graphs: files, names, errors, and the way back."""

import os

import numpy as np
import pytest


@pytest.fixture
def saved(tf, tmp_path):
    """A folder with a checkpoint of W and b, and its path."""
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.Variable([1.0, 2.0], name="W")
        tf.Variable(3, name="b")
        sess.run(tf.global_variables_initializer())
        return tf.train.Saver().save(sess, str(tmp_path / "m"), global_step=4)


def test_the_operations_of_a_saver(tf):
    tf.Variable([1.0], name="W")
    saver = tf.train.Saver()
    names = [op.name for op in tf.get_default_graph().get_operations()][4:]
    assert names == [
        "save/filename/input",
        "save/filename",
        "save/Const",
        "save/SaveV2/tensor_names",
        "save/SaveV2/shape_and_slices",
        "save/SaveV2",
        "save/control_dependency",
        "save/RestoreV2/tensor_names",
        "save/RestoreV2/shape_and_slices",
        "save/RestoreV2",
        "save/Assign",
        "save/restore_all",
    ]
    proto = saver.as_saver_def()
    assert (proto.filename_tensor_name, proto.max_to_keep) == ("save/Const:0", 5)


def test_save_and_restore(tf, saved):
    w = tf.Variable([0.0, 0.0], name="W")
    saver = tf.train.Saver({"W": w})
    with tf.Session() as sess:
        saver.restore(sess, saved)
        assert sess.run(w).tolist() == [1, 2]


def test_the_newest_checkpoints_stay(tf, tmp_path):
    v = tf.Variable(1.0)
    saver = tf.train.Saver(max_to_keep=2)
    with tf.Session() as sess:
        sess.run(v.initializer)
        paths = [saver.save(sess, str(tmp_path / "m"), global_step=i) for i in range(3)]
    assert saver.last_checkpoints == paths[1:]
    assert sorted(p for p in os.listdir(tmp_path) if p.endswith(".meta")) == [
        "m-1.meta",
        "m-2.meta",
    ]
    assert tf.train.latest_checkpoint(str(tmp_path)) == paths[2]
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert list(state.all_model_checkpoint_paths) == paths[1:]
    assert tf.train.checkpoint_exists(paths[2]) and not tf.train.checkpoint_exists(paths[0])
    assert tf.train.latest_checkpoint(str(tmp_path / "nowhere")) is None


def test_a_relative_folder_is_left_out_of_the_state(tf, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    v = tf.Variable(1.0)
    saver = tf.train.Saver(pad_step_number=True)
    with tf.Session() as sess:
        sess.run(v.initializer)
        saver.save(sess, "new/m", global_step=1)  # one folder is made
    text = (tmp_path / "new" / "checkpoint").read_text()
    name = "m-00000001"
    assert text == f'model_checkpoint_path: "{name}"\nall_model_checkpoint_paths: "{name}"\n'
    assert tf.train.latest_checkpoint("new") == f"new/{name}"


def test_a_meta_graph_comes_back(tf, saved):
    saver = tf.train.import_meta_graph(saved + ".meta")
    assert [v.name for v in tf.global_variables()] == ["W:0", "b:0"]
    assert tf.trainable_variables()[0] is tf.global_variables()[0]
    with tf.Session() as sess:
        saver.restore(sess, saved)
        assert sess.run("W:0").tolist() == [1, 2]
    again = saver.export_meta_graph()
    assert {k: v.WhichOneof("kind") for k, v in again.collection_def.items()} == {
        "variables": "bytes_list",
        "trainable_variables": "bytes_list",
    }


def test_a_meta_graph_in_a_scope(tf, saved):
    saver = tf.train.import_meta_graph(saved + ".meta", import_scope="net")
    assert [v.name for v in tf.global_variables()] == ["net/W:0", "net/b:0"]
    with tf.Session() as sess:
        saver.restore(sess, saved)
        assert sess.run("net/b:0") == 3


def test_collections_travel(tf, tmp_path):
    tf.add_to_collection("tensors", tf.constant(5.0, name="five"))
    tf.add_to_collection("words", "hello")
    tf.add_to_collection("numbers", 7)
    tf.add_to_collection("odd", object())
    path = str(tmp_path / "g.meta")
    tf.train.export_meta_graph(path, as_text=True)
    with tf.Graph().as_default():
        assert tf.train.import_meta_graph(path) is None
        assert [t.name for t in tf.get_collection("tensors")] == ["five:0"]
        assert (tf.get_collection("words"), tf.get_collection("numbers")) == ([b"hello"], [7])
        assert tf.get_collection("odd") == []


def test_readers(tf, saved):
    reader = tf.train.NewCheckpointReader(saved)
    assert reader.get_variable_to_shape_map() == {"W": [2], "b": []}
    assert reader.get_variable_to_dtype_map() == {"W": tf.float32, "b": tf.int32}
    assert reader.has_tensor("W") and reader.get_tensor("b") == 3
    assert reader.debug_string() == b"W (DT_FLOAT) [2]\nb (DT_INT32) []\n"
    folder = os.path.dirname(saved)
    assert tf.train.list_variables(folder) == [("W", [2]), ("b", [])]
    assert tf.train.load_variable(folder, "b:0") == 3
    with pytest.raises(tf.errors.NotFoundError, match="Key c not found"):
        reader.get_tensor("c")
    with pytest.raises(tf.errors.NotFoundError, match="Failed to find any matching files"):
        tf.train.NewCheckpointReader("nothing")


def test_variables_begin_with_a_checkpoint(tf, saved):
    with tf.variable_scope("new"):
        w = tf.get_variable("W", [2])
        b = tf.get_variable("c", [], tf.int32)
    tf.train.init_from_checkpoint(saved, {"W": w, "b": "new/c"})
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        assert sess.run(w).tolist() == [1, 2] and sess.run(b) == 3
    with pytest.raises(ValueError, match="Tensor x is not found"):
        tf.train.init_from_checkpoint(saved, {"x": w})
    with pytest.raises(ValueError, match="doesn't match with shape"):
        tf.train.init_from_checkpoint(saved, {"b": w})
    with pytest.raises(ValueError, match="is not found in"):
        tf.train.init_from_checkpoint(saved, {"/": "new/"})


def test_errors_of_restoring(tf, saved):
    wrong = tf.Variable([0.0] * 3, name="W")
    missing = tf.Variable(0.0, name="c")
    with tf.Session() as sess:
        with pytest.raises(tf.errors.InvalidArgumentError, match="mismatch between the current"):
            tf.train.Saver([wrong]).restore(sess, saved)
        with pytest.raises(tf.errors.NotFoundError, match="Key c not found in checkpoint"):
            tf.train.Saver([missing]).restore(sess, saved)
        with pytest.raises(ValueError, match="not a valid checkpoint"):
            tf.train.Saver([missing]).restore(sess, "nothing")
        with pytest.raises(ValueError, match="when it is None"):
            tf.train.Saver([missing]).restore(sess, None)


def test_errors_of_saving(tf, tmp_path):
    with pytest.raises(ValueError, match="No variables to save"):
        tf.train.Saver()
    assert (
        tf.train.Saver(allow_empty=True).save(None, str(tmp_path / "m"), write_meta_graph=False)
        is None
    )
    v = tf.Variable(1.0)
    with pytest.raises(ValueError, match="same name"):
        tf.train.Saver([v, v])
    with pytest.raises(TypeError, match="is not a Variable"):
        tf.train.Saver([tf.constant(1)])
    with tf.Session() as sess:
        with pytest.raises(tf.errors.FailedPreconditionError, match="uninitialized value"):
            tf.train.Saver().save(sess, str(tmp_path / "m"))
        sess.run(v.initializer)
        with pytest.raises(ValueError, match="Parent directory of"):
            tf.train.Saver().save(sess, str(tmp_path / "no" / "such" / "m"))


def test_slots_cross_over(tf, tmp_path):
    w = tf.Variable([1.0, 2.0], name="W")
    train = tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(w * w))
    saver = tf.train.Saver()
    with tf.Session() as sess:
        sess.run(tf.global_variables_initializer())
        sess.run(train)
        path = saver.save(sess, str(tmp_path / "m"))
        sess.run(train)
        expected = sess.run(w)
    with tf.Session() as sess:
        saver.restore(sess, path)
        sess.run(train)
        np.testing.assert_array_equal(sess.run(w), expected)
