import io

import numpy as np
import pytest

from anode.errors import DataError
from anode.frontends import ngraph as ng
from anode.frontends.ngraph import transformers as ngt
from anode.frontends.ngraph.op_graph.loop import Loop
from anode.frontends.ngraph.op_graph.normalization import normalized
from anode.frontends.ngraph.op_graph.serde import serde, serde_weights
from anode.frontends.ngraph.op_graph.tensorboard.tensorboard import TensorBoard

N, C = ng.make_axis(3, name="N"), ng.make_axis(2, name="C")


def step():
    """One computation with states, order, a derivative, views and constants."""
    x, w = ng.placeholder([C, N]), ng.variable([C], initial_value=[1, 2])
    y = ng.sigmoid(ng.dot(w, x)) + ng.flatten(ng.axes_with_order(x, [N, C])[:, 0])[0]
    cost = ng.sum(ng.maximum(y, 0.25), out_axes=())
    update = ng.assign(w, w - 0.5 * ng.deriv(cost, w))
    return ng.computation([ng.sequential([update, cost]), w], x)


def test_ops_come_back_and_compute_the_same():
    made = step()
    (read,) = serde.deserialize_graph(serde.serialize_graph([made], only_return_handle_ops=True))
    x = np.random.RandomState(0).randn(2, 3)
    runs = [ngt.make_transformer().add_computation(op) for op in (made, read)]
    for _ in range(3):
        found = [run(x) for run in runs]
        np.testing.assert_array_equal(found[0][0], found[1][0])
        np.testing.assert_array_equal(found[0][1], found[1][1])
    assert read.uuid == made.uuid and read.name != made.name
    everything = serde.deserialize_graph(serde.serialize_graph([made]))
    assert len(everything) > 10


def test_layers_of_images_and_tables_come_back():
    lut, idx = ng.variable([N, C], initial_value=1), ng.placeholder([ng.make_axis(4, name="i")])
    y = ng.lookuptable(lut, idx, ng.make_axes([idx.axes[0], C]), pad_idx=0)
    (read,) = serde.deserialize_graph(serde.serialize_graph([y], only_return_handle_ops=True))
    assert (read.pad_idx, read.lut_axis) == (0, 0) and read.axes == y.axes


def test_loops_and_normalisation_come_back():
    x = ng.placeholder([C, N])
    y = normalized(x, ng.constant([1.0, 2.0], [C]), ng.constant(0.0, [C]), ng.make_axes([C]), 0.1)
    loop = Loop(C)
    loop.run(lambda now, states: [states[0] * 0.5 + now], y[0], [ng.constant(0.0, [N])])
    made = loop.last(0)
    (read,) = serde.deserialize_graph(serde.serialize_graph([made], only_return_handle_ops=True))
    value = np.random.RandomState(0).randn(2, 3)
    found = [ngt.make_transformer().computation(op, "all")(value) for op in (made, read)]
    np.testing.assert_array_equal(*found)


def test_other_bytes_are_refused():
    for data in (b"nothing", b"{}", b'{"format": "anode ngraph ops", "version": 99}'):
        with pytest.raises(DataError):
            serde.deserialize_graph(data)


def test_values_go_by_uuid():
    a, b = ng.variable([N], initial_value=[1, 2, 3]), ng.variable((), initial_value=4)
    file = io.BytesIO()
    serde_weights.serialize_weights(ngt.make_transformer(), [a, b], file)
    file.seek(0)
    other = ngt.make_transformer()
    other.set_tensor_value(a, 0)
    serde_weights.deserialize_weights(other, [a, b], file)
    assert other.computation(a)().tolist() == [1, 2, 3]
    with pytest.raises(DataError, match="no values for"):
        serde_weights.set_op_values(other, [a], {})
    with pytest.raises(DataError):
        serde_weights.read_np_values(io.BytesIO(b"nothing"))


def test_tensorboard(tmp_path):
    pytest.importorskip("google.protobuf")
    from anode.frontends.tensorflow.formats import proto
    from anode.frontends.tensorflow.formats.events import read_run

    board = TensorBoard(str(tmp_path), run="first")
    board.add_scalar("a loss", 0.5, step=3)
    board.add_histogram("values", [1, 2, 3])
    board.add_image("picture", np.zeros((4, 5, 3)))
    board.add_audio("sound", np.zeros((10, 1)), 8000)
    board.add_graph(step())
    events = list(read_run(tmp_path / "first"))
    assert events[1].step == 3 and events[1].summary.value[0].tag == "a_loss"
    tags = [event.summary.value[0].tag for event in events[1:5]]
    assert tags == ["a_loss", "values", "picture/image", "sound/audio"]
    nodes = proto.GraphDef.FromString(events[5].graph_def).node
    assert {"SigmoidOp", "DotOp", "AssignOp"} <= {node.op for node in nodes}
