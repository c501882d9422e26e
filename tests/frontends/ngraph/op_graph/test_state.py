import json
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

from anode.errors import GraphError
from anode.frontends import ngraph as ng
from anode.frontends.ngraph import transformers as ngt
from anode.frontends.ngraph.testing import ExecutorFactory, executor

N = ng.make_axis(3, name="state_n")


def ran(results, *parameters):
    """The results of a computation that is called once."""
    with executor(results, *parameters[::2]) as computation:
        return computation(*parameters[1::2])


def test_constants_have_axes_of_their_own_or_those_given():
    assert ng.constant([[1, 2], [3, 4]]).axes.lengths == (2, 2)
    np.testing.assert_array_equal(ran(ng.constant(5, [N])), [5, 5, 5])
    assert ng.constant(5, [N]).const == 5
    large = np.arange(30_000, dtype=np.float32)
    np.testing.assert_array_equal(ran(ng.constant(large) * 1), large)


def test_values_that_do_not_fit_their_axes_are_named():
    for make in (ng.constant, lambda value, axes: ng.variable(axes, initial_value=value)):
        with pytest.raises(ValueError, match=r"state_n: 3 .*shape \(2,\)"):
            ran(make(np.zeros(2), [N]) + 1)


def test_initial_values_are_numbers_arrays_constants_or_functions_of_axes():
    values = (2, np.array([2, 2, 2]), ng.constant(2), lambda axes: np.full(axes.lengths, 2))
    for value in values:
        np.testing.assert_array_equal(ran(ng.variable([N], initial_value=value)), [2, 2, 2])
    np.testing.assert_array_equal(ran(ng.persistent_tensor([N])), [0, 0, 0])
    with pytest.raises(ValueError, match="number or an array"):
        ng.variable([N], initial_value=ng.placeholder([N]))


def test_assignments_stay_and_reads_see_the_order():
    x = ng.variable((), initial_value=1)
    before, after = ng.value_of(x), ng.sequential([ng.assign(x, x * 2 + 1), x + 0])
    with ExecutorFactory() as factory:
        step = factory.executor([before, after, x])
        look = factory.executor(x)
        assert [float(v) for v in step()] == [1, 3, 3]
        assert [float(v) for v in step()] == [3, 7, 7]
        assert look() == 7


def test_an_op_runs_once_and_waits_for_writes_before_it():
    x = ng.variable((), initial_value=0)
    early, late = x + x, x + x
    order = ng.sequential([early, ng.assign(x, 2), late, early])
    assert [float(v) for v in ran([early, late, order])] == [0, 4, 0]


def test_a_write_waits_for_reads_before_it():
    x, y = ng.variable((), initial_value=1), ng.variable((), initial_value=0)
    order = ng.sequential([ng.assign(y, x), ng.assign(x, 5), x + y])
    assert [float(v) for v in ran([order, x, y])] == [6, 5, 1]


def test_doall_runs_all():
    x, y = (ng.variable((), initial_value=i) for i in (1, 2))
    both = ng.doall([ng.assign(x, 10), ng.assign(y, 20)])
    assert [v if v is None else float(v) for v in ran([both, x, y])] == [None, 10, 20]


def test_parts_and_views_can_be_assigned_to():
    axes = ng.make_axes({"row": 2, "column": 3})
    x = ng.variable(axes, initial_value=0)
    row = ng.constant([1, 2, 3], [axes[1]])
    done = ng.sequential(
        [
            ng.set_item(x, [1, slice(None)], row),
            ng.assign(ng.axes_with_order(x, [axes[1], axes[0]])[0:1, 0:1], 7),
            x,
        ]
    )
    np.testing.assert_array_equal(ran(done), [[7, 0, 0], [1, 2, 3]])
    with pytest.raises(ValueError, match="negative step"):
        ng.set_item(x, [0, slice(None, None, -1)], row)


def test_fill_and_item_assignment():
    x = ng.variable([N], initial_value=1)
    assert np.all(ran(ng.sequential([ng.fill(x, -1), x])) == -1)
    with pytest.raises(ValueError, match="number"):
        ng.fill(x, [1, 2])
    with ng.Op.all_ops() as made:
        x[...] = 4
    assert any(isinstance(op, ng.AssignOp) for op in made)
    with pytest.raises(ValueError, match="set_item"):
        x[1] = 4
    x += 1
    assert isinstance(x, ng.AssignOp)


def test_axes_that_a_state_lacks_cannot_be_assigned():
    x = ng.variable([N], initial_value=1)
    other = ng.placeholder(ng.make_axes({"other": 2}))
    with pytest.raises(ValueError, match="other: 2"):
        ng.assign(x, other)
    with pytest.raises(GraphError, match="constant"):
        ran(ng.assign(ng.constant(1.0), 2.0))


def test_temporaries_live_for_one_call():
    x = ng.temporary([N])
    value = ng.sequential([ng.assign(x, 3), x * 2])
    np.testing.assert_array_equal(ran(value), [6, 6, 6])


def test_closure():
    x, w = ng.placeholder([N]), ng.variable([N], initial_value=1)
    y = x * w + 1
    assert list(y.variables()) == [w] and list(y.placeholders()) == [x]
    assert len(ng.computation(y, "all").parameters) == 1
    with pytest.raises(ValueError, match="lacks"):
        ng.computation(y)
    with pytest.raises(ValueError, match="no parameter"):
        ng.computation(y, x, ng.temporary([N]))


def test_programs_of_assignments_leave_what_the_originals_leave():
    folder = Path(__file__).parent
    programs = run_path(str(folder / "recorded_orders.py"))
    recorded = json.loads((folder / "recorded_orders.json").read_text())
    np.testing.assert_allclose(programs["results"](ng, ngt), recorded, rtol=1e-4, atol=1e-3)
