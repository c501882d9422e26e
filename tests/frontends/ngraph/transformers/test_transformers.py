from contextlib import closing

import numpy as np
import pytest

from anode.errors import UnsupportedOp
from anode.frontends import ngraph as ng
from anode.frontends.ngraph import transformers as ngt
from anode.frontends.ngraph.transformers.passes import passes
from anode.frontends.ngraph.transformers.passes.nviz import JSONPass, VizPass

N = ng.make_axis(3, name="transformer_n")


@pytest.fixture
def transformer():
    with closing(ngt.make_transformer()) as made:
        yield made


def test_results_are_like_what_was_asked_for(transformer):
    x, y = ng.placeholder([N]), ng.placeholder(())
    total = x + y
    assert transformer.computation(total, x, y)([1, 2, 3], 1).tolist() == [2, 3, 4]
    several = transformer.computation([y, total], x, y)([1, 2, 3], 1)
    assert isinstance(several, tuple) and several[0] == 1
    of_set = transformer.computation({y, total}, x, y)([1, 2, 3], 1)
    assert of_set[total].tolist() == [2, 3, 4] and of_set[y] == 1
    twice = transformer.computation([total, total, ng.PrintOp(total)], x, y)([1, 2, 3], 1)
    assert [array.tolist() for array in twice] == [[2, 3, 4]] * 3
    assert transformer.computation(None)() is None


def test_parameters_by_position_by_feed_dict_and_all(transformer):
    x, y = ng.placeholder([N]), ng.placeholder(())
    by_place = transformer.computation(x - y, y, x)
    assert by_place(1, [1, 2, 3]).tolist() == [0, 1, 2]
    assert by_place(feed_dict={x: [1, 2, 3], y: 1}).tolist() == [0, 1, 2]
    everything = transformer.computation(x - y, "all")
    assert everything(feed_dict={x: [1, 2, 3], y: 2}).tolist() == [-1, 0, 1]
    for call in (
        lambda: by_place(1),
        lambda: by_place(1, feed_dict={}),
        lambda: by_place(feed_dict={x: [1, 2, 3]}),
        lambda: by_place(1, [1, 2]),
    ):
        with pytest.raises(ValueError):
            call()


def test_results_are_the_callers_and_arguments_are_not_kept(transformer):
    w, x = ng.variable([N], initial_value=1), ng.placeholder([N])
    computation = transformer.computation([w, x, x + w], x)
    given = np.ones(3, np.float32)
    first = computation(given)
    for array in first:
        array[...] = 7
    assert given.tolist() == [1, 1, 1]
    assert [array.tolist() for array in computation(given)] == [[1] * 3, [1] * 3, [2] * 3]


def test_computations_share_states(transformer):
    w, x = ng.variable([N], initial_value=1), ng.placeholder(())
    step = transformer.computation(ng.assign(w, w + x), x)
    look, reset = transformer.computation(w), transformer.computation(w, w)
    assert step(2) is None and look().tolist() == [3, 3, 3]
    assert reset([4, 5, 6]).tolist() == look().tolist() == [4, 5, 6]
    assert transformer.get_tensor_view_value(w).tolist() == [4, 5, 6]
    with closing(ngt.make_transformer()) as other:
        assert other.computation(w)().tolist() == [1, 1, 1]


def test_add_computation_and_initialize(transformer):
    w = ng.variable([N], initial_value=2)
    computation = transformer.add_computation(ng.computation([w * 2]))
    transformer.initialize()
    assert transformer.get_tensor_view_value(w).tolist() == [2, 2, 2]
    assert computation()[0].tolist() == [4, 4, 4]
    with pytest.raises(ValueError, match="has no value"):
        transformer.get_tensor_view_value(ng.exp(w))


def test_axes_need_lengths_when_a_computation_runs(transformer):
    x = ng.placeholder([ng.make_axis(name="late_axis")])
    computation = transformer.computation(x + 1, x)
    with pytest.raises(ValueError, match=r"late_axis.*need lengths"):
        computation([1, 2])
    x.axes[0].length = 2
    assert computation([1, 2]).tolist() == [2, 3]


def test_axes_may_get_other_lengths_but_states_keep_theirs(transformer):
    axis = ng.make_axis(2, name="changing")
    x, w = ng.placeholder([axis]), ng.variable([axis], initial_value=1)
    scaled, added = transformer.computation(x * 2, x), transformer.computation(x + w, x)
    assert scaled([1, 2]).tolist() == [2, 4] and added([1, 2]).tolist() == [2, 3]
    axis.length = 3
    assert scaled([1, 2, 3]).tolist() == [2, 4, 6]
    with pytest.raises(ValueError, match="other lengths"):
        added([1, 2, 3])
    axis.length = 2
    assert added([3, 4]).tolist() == [4, 5]


def test_factories():
    assert ngt.transformer_choices() == ["cpu", "hetr"]
    factory = ngt.make_transformer_factory("cpu")
    assert factory.name == "cpu"
    ngt.set_transformer_factory(factory)
    assert ngt.make_transformer().transformer_name == "cpu"
    with pytest.raises(ValueError, match=r"one of \('cpu', 'hetr'\)"):
        ngt.allocate_transformer("gpu")


@pytest.mark.parametrize("name", ["ngcpu", "nginterp"])
def test_neon_3s_names_of_what_runs(name):
    assert ngt.make_transformer_factory(name)().transformer_name == "cpu"
    with pytest.raises(ValueError, match="no transformer 'gpu'"):
        ngt.make_transformer_factory("nggpu")()


def test_several_devices_give_the_results_of_one():
    x = ng.placeholder([N])
    with ng.metadata(device="cpu", device_id=("0", "1"), parallel=N):
        total = ng.sum(x * 2, out_axes=())
    with closing(ngt.make_transformer_factory("hetr", device="cpu")()) as transformer:
        assert transformer.computation(total, x)([1, 2, 3]) == 12
    with pytest.raises(ngt.UnsupportedTransformerException, match="device='cpu'"):
        ngt.make_transformer_factory("hetr", device="gpu")()


def test_print_op_shows_its_value_at_every_call(transformer, capsys):
    x = ng.placeholder([N])
    computation = transformer.computation(ng.PrintOp(x, "value") * 2, x)
    assert computation([1, 2, 3]).tolist() == [2, 4, 6]
    assert capsys.readouterr().out == "value: [1. 2. 3.]\n"


def test_passes_see_the_ops(transformer, tmp_path, capsys, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    class Look(passes.ProcessOpGraphPass):
        def process_op(self, op):
            seen.append(type(op).__name__)

    drawn, listed = VizPass(show_axes=True, view=False), JSONPass()
    for one in (Look(), drawn, listed):
        transformer.register_graph_pass(one)
    x = ng.placeholder([N])
    transformer.computation(ng.exp(x), x)([1, 2, 3])
    assert seen == ["TensorValueOp", "ExpOp", "TensorValueOp", "ComputationOp"]
    with open(drawn.path) as file:
        text = file.read()
    assert text.startswith("digraph") and "transformer_n: 3" in text
    assert capsys.readouterr().out == f"the graph is in {drawn.path}\n"
    assert listed.path.endswith(".json")
    with pytest.raises(UnsupportedOp, match="not rewritten"):
        passes.SimplePrune  # noqa: B018
