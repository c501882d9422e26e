"""Debug ops on selected nodes of compiled graphs: prints, histograms, finite checks."""

import numpy as np
import pytest

from anode import ops
from anode.errors import BackendError, GraphError
from anode.ir.graph import trace
from anode.ir.types import tensor
from anode.ops.taps import Counts, histogram
from anode.runtime.executable import compile

ONES = np.ones((2, 3), np.float32)


def body(x):
    return ops.sum(ops.log(x - 1.0) * 2.0)


@pytest.fixture
def graph():
    return trace(body, tensor("f32", 2, 3))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_value_that_is_not_finite_is_named_with_the_line(graph, backend):
    run = compile(graph, backend, taps=[graph.select("elementwise").check_finite()])
    assert run(ONES * 2)[0] == 0
    with pytest.raises(BackendError, match=r"log: f32\[2,3\] \(.*test_taps.py:\d+\) is not finite"):
        run(ONES)


def test_counts_of_what_is_not_finite(graph):
    run = compile(graph, "reference", taps=[graph.select("log").check_finite()])
    x = ONES.copy()
    x[0] = 0  # log(-1) is NaN
    with pytest.raises(BackendError, match="3 NaN and 3 infinite of 6 elements"):
        run(x)


def test_a_print_has_op_type_line_and_values(graph):
    lines = []
    run = compile(graph, taps=[graph.select("log, multiply").print(2, lines.append)])
    results = [run(ONES * 2) for _ in range(3)]
    assert [len(result) for result in results] == [1, 1, 1]
    assert [line.split(":")[0] for line in lines] == ["log", "multiply"] * 2
    assert "test_taps.py" in lines[0]
    assert "[0. 0. 0.]" in lines[0]


def test_histograms_are_kept_and_written(graph):
    lines = []
    tapped = graph.select("log").histogram(bins=4, write=lines.append)
    compile(graph, taps=[tapped])(np.arange(2, 8, dtype=np.float32).reshape(2, 3))
    (counts,) = tapped.latest.values()
    np.testing.assert_array_equal(counts.counts.sum(), 6)
    assert counts.edges[-1] == pytest.approx(np.log(6))
    assert "█" in lines[0]


def test_a_histogram_counts_apart_what_is_not_finite():
    counts = histogram(np.array([0, 1, 1, np.inf, np.nan]), 2)
    assert counts.counts.tolist() == [1, 2]
    assert counts.infinite == 2
    assert str(counts) == "0 |▄█| 1, 2 not finite"
    assert str(Counts(np.zeros(1, int), np.zeros(2))) == "0 | | 0"


def test_what_has_no_floats_is_not_checked(graph):
    integers = trace(lambda x: x + x, tensor("i32", 2))
    run = compile(integers, taps=[integers.select("add").check_finite()])
    np.testing.assert_array_equal(run(np.array([1, 2], np.int32))[0], [2, 4])


def test_half_types_and_several_results():
    def function(x):
        values, index = ops.top_k(ops.convert(x, dtype="bf16"), k=2).items
        return ops.convert(values, dtype="f32"), index

    graph = trace(function, tensor("f32", 4))
    lines = []
    run = compile(graph, taps=[graph.select("top-k").print(write=lines.append)])
    values, index = run(np.array([1, 3, 2, 0], np.float32))
    assert values.tolist() == [3, 2]
    assert index.tolist() == [1, 2]
    assert [line.split("\n")[1] for line in lines] == ["[3. 2.]", "[1 2]"]


def test_symbolic_sizes():
    from anode.ir.dims import Dim

    graph = trace(lambda x: ops.log(x), tensor("f32", Dim("n")))
    run = compile(graph, taps=[graph.select("log").check_finite()])
    run(np.ones(3, np.float32))
    with pytest.raises(BackendError, match="1 infinite"):
        run(np.zeros(1, np.float32))


def test_taps_do_not_see_into_loops_nor_other_graphs(graph):
    looped = trace(lambda x: ops.fori_loop(0, 2, lambda i, c: ops.exp(c), x), tensor("f32"))
    with pytest.raises(GraphError, match=r"into the scan .* add :not\(:in\(control\)\)"):
        looped.select("exp").print()
    with pytest.raises(GraphError, match="is of another graph"):
        compile(looped, taps=[graph.select("log").print()])
