import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph import transformers as ngt
from anode.frontends.ngraph.frontends.neon.model import (
    Container,
    Parallel,
    ResidualModule,
    Sequential,
    make_bound_computation,
)

C, N = ng.make_axis(2, name="C"), ng.make_axis(3, name="N")


def ran(op, x, value):
    return ngt.make_transformer().computation(op, x)(value)


def test_branches_are_joined_or_listed():
    x = ng.placeholder([C, N])
    branches = [lambda x: x, lambda x: 2 * x]
    assert ran(Parallel(branches)(x), x, np.ones((2, 3)))[:, 0].tolist() == [1, 1, 2, 2]
    assert ran(Parallel(branches)(x, merge_axis="N"), x, np.ones((2, 3))).shape == (2, 6)
    assert len(Parallel(branches, mode=None)(x)) == 2
    with pytest.raises(NotImplementedError, match="'sum'"):
        Parallel(branches, mode="sum")


def test_paths_are_added():
    x = ng.placeholder([C, N])
    model = Sequential([ResidualModule(lambda x: 3 * x), ResidualModule(lambda x: x, lambda x: -x)])
    assert (ran(ResidualModule(lambda x: 3 * x)(x), x, np.ones((2, 3))) == 4).all()
    assert (ran(model(x), x, np.ones((2, 3))) == 0).all()
    with pytest.raises(ValueError, match="the paths' axes differ"):
        ResidualModule(lambda x: ng.sum(x, out_axes=[N]))(x)


def test_computations_by_name():
    x, y = ng.placeholder([C]), ng.placeholder(())
    step = make_bound_computation(
        ngt.make_transformer(), {"sum": x + y, "product": x * y}, {"x": x, "y": y}
    )
    found = step({"x": np.array([1, 2]), "y": 3, "iteration": 1})
    assert {name: value.tolist() for name, value in found.items()} == {
        "product": [3, 6],
        "sum": [4, 5],
    }
    assert step.output_keys == ("product", "sum") and step.num_outputs == 2


def test_containers():
    both = Container({"x": 1}, {"y": 2}).add(Container({"x": 3}))
    assert (both.inputs, both.outputs) == ({"x": 3}, {"y": 2})
    assert both.subset(inputs=["x"]).outputs == {}
