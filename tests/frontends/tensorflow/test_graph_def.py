"""GraphDefs: what TensorFlow wrote is imported and computes the same, and so does what we write."""

import json
from pathlib import Path

import numpy as np
import pytest

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow.formats import proto, text

DATA = Path(__file__).parent / "formats" / "data"
VALUE = np.array([[1, 2, 3], [-4, 5, -6.0]], np.float32)
NAMES = ["branch", "loop", "nested", "stacked", "joined", "growing"]


def flow_graph():
    return proto.GraphDef.FromString((DATA / "flow.pb").read_bytes())


def results(tf, prefix, names=NAMES):
    out = {}
    with tf.Session() as session:
        for choice in (True, False):
            feeds = {f"{prefix}x:0": VALUE, f"{prefix}flag:0": choice}
            found = session.run([f"{prefix}{name}:0" for name in names], feeds)
            out[str(choice)] = dict(zip(names, found, strict=True))
    return out


def check(found):
    recorded = json.loads((DATA / "flow.json").read_text())
    for choice, arrays in found.items():
        for name, array in arrays.items():
            expected = np.array(recorded[choice][name], np.float32)
            np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-6, err_msg=name)


def test_old_control_flow_is_raised(tf):
    tf.import_graph_def(flow_graph(), name="")
    types = [op.type for op in tf.get_default_graph().get_operations()]
    assert not {"Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond"} & set(types)
    assert types.count("While") == 5
    check(results(tf, ""))


def test_what_is_written_is_read_again(tf):
    names = ["branch", "loop", "nested"]  # lists of tensors are ops of our own
    part = tf.graph_util.extract_sub_graph(flow_graph(), names)
    tf.import_graph_def(part, name="")
    written = tf.get_default_graph().as_graph_def()
    ops = {node.op for node in written.node}
    assert {"Switch", "Merge", "Enter", "Exit", "NextIteration", "LoopCond"} <= ops
    assert not ops & {"If", "While"}
    with tf.Graph().as_default():
        again = text.Merge(text.MessageToString(written), proto.GraphDef())
        tf.import_graph_def(again, name="scope")
        check(results(tf, "scope/", names))


def test_nodes_in_any_order(tf):
    graph = flow_graph()
    nodes = list(graph.node)
    np.random.default_rng(0).shuffle(nodes)
    del graph.node[:]
    graph.node.extend(nodes)
    tf.import_graph_def(graph, name="")
    check(results(tf, ""))


def test_attributes_survive(tf):
    x = tf.placeholder(tf.float32, [None, 8, 8, 3], name="x")
    tf.nn.conv2d(x, tf.ones([3, 3, 3, 4]), [1, 2, 2, 1], "SAME", name="conv")
    node = tf.get_default_graph().get_operation_by_name("conv").node_def
    assert node.attr["strides"].list.i == [1, 2, 2, 1] and node.attr["padding"].s == b"SAME"
    assert node.attr["T"].type == tf.float32 and node.input == ["x", "ones"]
    placeholder = tf.get_default_graph().as_graph_def(add_shapes=True).node[0]
    assert [d.size for d in placeholder.attr["shape"].shape.dim] == [-1, 8, 8, 3]
    assert placeholder.attr["_output_shapes"].list.shape[0].dim[1].size == 8


def test_names_inputs_and_elements(tf):
    a = tf.placeholder(tf.float32, [2], name="a")
    tf.add(tf.square(a, name="s"), 1.0, name="b")
    graph = tf.get_default_graph().as_graph_def()
    with tf.Graph().as_default():
        c = tf.constant([3.0, 4.0])
        b, op = tf.import_graph_def(graph, {"s:0": c}, ["b:0", "b"], name="in")
        assert b.name == "in/b:0" and op is b.op
        assert tf.import_graph_def(graph, name="in", return_elements=["a"])[0].name == "in_1/a"
        with tf.Session() as session:
            assert session.run(b).tolist() == [4.0, 5.0]
        with pytest.raises(ValueError, match="not found in graph_def"):
            tf.import_graph_def(graph, {"nope": c})
        with pytest.raises(ValueError, match=r"'z:0' not found in graph_def"):
            tf.import_graph_def(graph, return_elements=["z:0"])
        with pytest.raises(TypeError, match="GraphDef"):
            tf.import_graph_def("graph")
    del graph.node[0]
    with pytest.raises(ValueError, match="Unknown input node 'a'"):
        tf.import_graph_def(graph)


def test_unknown_op_types_fail_when_run(tf):
    graph = proto.GraphDef()
    graph.node.add(name="odd", op="NoSuchOp", attr={"T": {"type": 1}})
    graph.node.add(name="after", op="Identity", input=["odd"], attr={"T": {"type": 1}})
    (after,) = tf.import_graph_def(graph, return_elements=["after:0"], name="")
    with tf.Session() as session, pytest.raises(UnsupportedOp, match=r"NoSuchOp.*'odd'"):
        session.run(after)


def test_cycles_are_refused(tf):
    graph = proto.GraphDef()
    for name, other in ("ab", "ba"):
        graph.node.add(name=name, op="Identity", input=[other], attr={"T": {"type": 1}})
    with pytest.raises(ValueError, match="cycle"):
        tf.import_graph_def(graph)


def test_freezing_and_cleaning(tf):
    x = tf.placeholder(tf.float32, [None, 2], name="x")
    weights = tf.Variable([[1.0], [2.0]], name="W")
    y = tf.identity(tf.check_numerics(tf.matmul(x, weights), "nan"), name="y")
    tf.add(y, 1.0, name="unused")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(weights.assign([[3.0], [4.0]]))
        graph = tf.get_default_graph().as_graph_def()
        frozen = tf.graph_util.convert_variables_to_constants(session, graph, ["y"])
    assert {n.name: n.op for n in frozen.node}["W"] == "Const"
    assert "unused" not in {n.name for n in frozen.node}
    clean = tf.graph_util.remove_training_nodes(frozen, ["y"])
    assert [n.op for n in clean.node] == ["Placeholder", "Const", "MatMul", "Identity"]
    with tf.Graph().as_default(), tf.Session() as session:
        (y,) = tf.import_graph_def(clean, return_elements=["y:0"])
        assert session.run(y, {"import/x:0": [[1, 1]]}).tolist() == [[7.0]]
    with pytest.raises(AssertionError, match="z is not in graph"):
        tf.graph_util.extract_sub_graph(graph, ["z"])


def test_write_graph(tf, tmp_path):
    tf.constant([1.0, 2.5], name="c")
    graph = tf.get_default_graph()
    path = tf.train.write_graph(graph, str(tmp_path / "new"), "g.pbtxt")
    assert text.Merge(Path(path).read_text(), proto.GraphDef()) == graph.as_graph_def()
    path = tf.train.write_graph(graph.as_graph_def(), str(tmp_path), "g.pb", as_text=False)
    assert proto.GraphDef.FromString(Path(path).read_bytes()) == graph.as_graph_def()


def test_tensor_protos(tf):
    assert tf.make_ndarray(tf.make_tensor_proto([1, 2])).dtype == np.int32
    assert tf.make_ndarray(tf.make_tensor_proto(7.0, shape=[2, 2])).tolist() == [[7, 7], [7, 7]]
    assert tf.make_ndarray(tf.make_tensor_proto(["a", b"b"])).tolist() == [b"a", b"b"]
    with pytest.raises(ValueError, match="Too many elements"):
        tf.make_tensor_proto([1, 2, 3], shape=[2])


def test_damaged_graphs_are_refused_or_imported(tf):
    """Whatever is wrong with a graph, the error is one of those that scripts expect."""
    random = np.random.default_rng(0)
    for _ in range(40):
        graph = flow_graph()
        nodes = graph.node
        one, other = (nodes[int(i)] for i in random.integers(len(nodes), size=2))
        change = int(random.integers(5))
        if change == 0 and one.input:
            one.input[0] = other.name
        elif change == 1:
            one.op = other.op
        elif change == 2:
            del one.input[:1]
        elif change == 3:
            one.ClearField("attr")
        else:
            one.input.append(other.name)
        with tf.Graph().as_default():
            try:
                tf.import_graph_def(graph, name="")
            except (ValueError, TypeError, UnsupportedOp):
                continue


def test_recurrent_nets_come_back(tf, tmp_path):
    x, lengths = (
        tf.placeholder(tf.float32, [None, 4, 3], "x"),
        tf.placeholder(tf.int32, [None], "n"),
    )
    cell = tf.nn.rnn_cell.GRUCell(2)
    y = tf.identity(tf.nn.dynamic_rnn(cell, x, lengths, dtype=tf.float32)[0], name="y")
    tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_sum(y), name="train")
    feeds = {"x:0": np.ones([2, 4, 3], np.float32), "n:0": [4, 2]}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(tmp_path / "ck"))
        before = session.run("y:0", feeds)
        session.run("train", feeds)
        after = session.run("y:0", feeds)
        graph = tf.get_default_graph().as_graph_def()
        frozen = tf.graph_util.convert_variables_to_constants(session, graph, ["y"])
    with tf.Graph().as_default(), tf.Session() as session:
        tf.train.import_meta_graph(str(tmp_path / "ck.meta")).restore(session, str(tmp_path / "ck"))
        np.testing.assert_array_equal(session.run("y:0", feeds), before)
        session.run("train", feeds)
        np.testing.assert_array_equal(session.run("y:0", feeds), after)
    with tf.Graph().as_default(), tf.Session() as session:
        tf.import_graph_def(frozen, name="")
        np.testing.assert_allclose(session.run("y:0", feeds), after, rtol=1e-6)
