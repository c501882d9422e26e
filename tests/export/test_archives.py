"""Archives: what is loaded computes and trains as what was saved, bit for bit."""

import subprocess
import sys

import numpy as np
import pytest

import anode
from anode import export, ops
from anode import layers as nn
from anode.errors import GraphError, ShapeError, UnsupportedOp
from anode.ir.dims import Dim
from anode.ir.graph import close, fresh_inputs, trace
from anode.ir.node import read
from anode.ir.types import tensor
from anode.ir.variable import Variable
from anode.runtime.state import State


class Scale(nn.Layer):
    """A class that the reader of an archive does not have."""

    def build(self, x):
        return x * self.variable("w", x.shape[1:], 2.0)


def data(rows=8):
    random = np.random.default_rng(rows)
    return random.random((rows, 6, 6, 1), np.float32), random.integers(0, 3, rows)


def network():
    model = nn.Model(
        [
            nn.Conv((3, 3, 4), batch_norm=True, activation=nn.Rectlin()),
            Scale(),
            nn.Dropout(0.8),
            nn.Affine(3, bias=0.0, activation=nn.Softmax()),
        ],
        name="small",
    )
    model.build(data()[0])
    return model


def test_a_model_predicts_the_same_for_any_number_of_rows(tmp_path):
    model = network()
    export.save(model, tmp_path / "m.anode", rows=4)
    loaded = anode.load(tmp_path / "m.anode")
    for rows in (1, 4, 6):
        x = data(rows)[0]
        np.testing.assert_allclose(loaded.predict(x), model.predict(x), rtol=1e-6)
        np.testing.assert_array_equal(loaded.predict(x=x), loaded.predict(x))
    x = data(4)[0]
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_inputs_outputs_and_variables_have_their_names(tmp_path):
    export.save(network(), tmp_path / "m.anode")
    loaded = anode.load(tmp_path / "m.anode")
    function = loaded.functions["predict"]
    assert {name: str(type) for name, type in function.inputs.items()} == {"x": "f32[32,6,6,1]"}
    assert {name: str(type) for name, type in function.outputs.items()} == {"y": "f32[32,3]"}
    assert "Scale_0.w" in loaded.variables
    assert "predict(x: f32[32,6,6,1]) -> y: f32[32,3]  any number of rows" in str(loaded)


@pytest.mark.parametrize("precision", [None, "bf16"])
def test_training_goes_on_with_the_same_bits(tmp_path, precision):
    model, (x, y) = network(), data()
    step = model.training_step(nn.CrossEntropyMulti(), nn.Adam(0.01), precision)
    for _ in range(3):
        step(x, y)
    export.save(step, tmp_path / "t.anode", x=x, y=y)
    loaded = anode.load(tmp_path / "t.anode")
    assert set(loaded.functions) == {"predict", "train"}
    costs = [(float(step(x, y)), float(loaded.step(x, y))) for _ in range(3)]
    assert all(mine == theirs for mine, theirs in costs)
    for variable in loaded.state:
        np.testing.assert_array_equal(
            loaded.state[variable], model.state.named(variable.name), variable.name
        )
    np.testing.assert_allclose(loaded.predict(x), model.predict(x), rtol=1e-6)
    loaded.save(tmp_path / "again.anode")
    again = anode.load(tmp_path / "again.anode")
    assert float(again.step(x, y)) == float(loaded.step(x, y))


def test_a_step_that_never_ran_and_types_instead_of_arrays(tmp_path):
    model, (x, y) = network(), data()
    step = model.training_step(nn.CrossEntropyMulti(), nn.GradientDescentMomentum(0.5, 0.9))
    types = tensor("f32", 8, 6, 6, 1), tensor("i64", 8)
    export.save(step, tmp_path / "t.anode", x=types[0], y=types[1])
    loaded = anode.load(tmp_path / "t.anode", backend="cpu", threads=1)
    assert float(loaded.state.named("optimizer.learning_rate")) == 0.5
    first = float(loaded.step(x, y=y))
    assert float(loaded.step(x, y)) < first


def test_saving_does_not_share_the_state():
    model, (x, _) = network(), data()
    made = export.archive(model)
    before = made.predict(x)
    model.select("parameter").set(init=0.0)
    np.testing.assert_array_equal(made.predict(x), before)


def test_a_graph_with_its_state(tmp_path):
    (x,) = fresh_inputs(tensor("f32", Dim("n")))
    count = Variable("count", tensor("f32"))
    graph = close((x,), [x * read(count), read(count)], [(count, read(count) + 1.0)])
    export.save(graph, tmp_path / "g.anode", state=State({count: 2.0}))
    loaded = anode.load(tmp_path / "g.anode")
    y, seen = loaded.predict(np.ones(3, np.float32))
    assert y.tolist() == [2, 2, 2]
    assert seen == 2
    assert loaded.call("main", np.ones(5, np.float32))[0].tolist() == [3] * 5


def test_sequences_with_lengths(tmp_path):
    model = nn.Model(
        [nn.LookupTable(9, 4, pad_idx=0), nn.LSTM(4), nn.RecurrentLast(), nn.Affine(2)]
    )
    x = np.random.default_rng(0).integers(1, 9, (3, 5))
    model.build(x)
    export.save(model, tmp_path / "s.anode", rows=2)
    np.testing.assert_allclose(
        anode.load(tmp_path / "s.anode").predict(x), model.predict(x), rtol=1e-6
    )


def test_no_class_of_the_maker_is_needed(tmp_path):
    export.save(network(), tmp_path / "m.anode")
    np.save(tmp_path / "x.npy", data()[0])
    script = (
        "import sys, numpy as np, anode; folder = sys.argv[1]\n"
        "y = anode.load(folder + '/m.anode').predict(np.load(folder + '/x.npy'))\n"
        "np.save(folder + '/y.npy', y)"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    expected = network().predict(data()[0])
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-6)


def test_equal_archives_have_equal_bytes(tmp_path):
    for name in ("a", "b"):
        export.save(network(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_what_cannot_be_called_or_saved(tmp_path):
    made = export.archive(network())
    x = data()[0]
    with pytest.raises(UnsupportedOp, match="small has no function 'train', only predict"):
        made.step(x, x)
    with pytest.raises(ShapeError, match="predict takes x, each once"):
        made.predict(x, z=x)
    with pytest.raises(ShapeError, match="predict needs x too"):
        made.predict()
    with pytest.raises(ShapeError, match="as many rows in each, not 0"):
        made.predict(x[:0])
    with pytest.raises(GraphError, match="has no variables yet"):
        export.archive(nn.Model([nn.Affine(2)]))
    with pytest.raises(UnsupportedOp, match="a model, a training step or a graph, not 3"):
        export.save(3, tmp_path / "x")
    with pytest.raises(ShapeError, match="give x and y"):
        export.archive(network().training_step(nn.MeanSquared(), nn.Adam()))
    needs = close((), [read(Variable("v", tensor("f32")))])
    with pytest.raises(GraphError, match="holds no value for v"):
        export.archive(needs)


def test_a_function_of_the_user():
    graph = trace(lambda x: ops.relu(x), tensor("f32", 3))
    assert export.archive(graph).predict(np.array([-1, 0, 2], np.float32)).tolist() == [0, 0, 2]
