import functools
import gc
import inspect
import math
from pathlib import Path

import numpy as np
import pytest

import anode
from anode import ops
from anode.errors import GraphError, ShapeError
from anode.ir.dims import Dim
from anode.ir.dtypes import f32, f64, i64
from anode.ir.graph import fresh_inputs
from anode.ir.node import _interned, at, constant, constant_value, make, substitute, topological
from anode.ir.op import Op
from anode.ir.types import TensorType, tensor


class Mark(Op):
    """An op that takes any attributes."""

    def infer(self, types, attrs):
        return tensor("f32")


MARK = Mark("test_mark")
F32 = tensor("f32", 3)


def marked(*values):
    return make(MARK, (), {f"a{i}": value for i, value in enumerate(values)})


@pytest.mark.parametrize(
    "values",
    [
        [1, True, 1.0],
        [0, False, 0.0, -0.0],
        [(1,), (True,), (1.0,)],
        [(0.0,), (-0.0,), ((0.0,),), ((-0.0,),)],
        [((1, 2), 3), ((1, 2), True), ((1, 2.0), 3)],
        [(), ((),), None, ""],
        ["1", 1, (1, int), "0x1.0p+0"],
        [math.nan, math.inf, (math.nan,)],
        [tensor("f32", 1), tensor("f32", 1).dtype, Dim("n"), "n"],
    ],
)
def test_attributes_that_differ_in_type_or_sign_make_different_nodes(values):
    nodes = [marked(value) for value in values]
    assert len(set(nodes)) == len(values)
    assert [marked(value) for value in values] == nodes


def test_nan_attributes_are_one_node():
    assert marked(float("nan")) is marked(math.nan)
    assert marked((1.0, float("nan"))) is marked((1.0, math.nan))


def test_swapped_attributes_are_not_confused():
    a, b = make(MARK, (), {"low": 1, "high": 2}), make(MARK, (), {"high": 1, "low": 2})
    assert a is not b


def test_unhashable_attributes_are_an_error_naming_the_op():
    with pytest.raises(GraphError, match=r"test_mark.*hashable"):
        marked([1])


def test_equal_nodes_are_one_object_and_go_when_unused():
    (x,) = fresh_inputs(F32)
    y = ops.exp(x) + ops.exp(x)
    assert y.args[0] is y.args[1] and ops.exp(x) + ops.exp(x) is y
    gc.collect()
    count = len(_interned)
    z = ops.sin(ops.cos(x))
    assert len(_interned) == count + 2
    del z
    gc.collect()
    assert len(_interned) == count


def test_a_dead_node_is_made_anew():
    (x,) = fresh_inputs(F32)
    first = ops.tan(x).serial
    assert ops.tan(x).serial > first


def test_very_deep_graphs_are_freed_and_walked_without_recursion():
    (x,) = fresh_inputs(F32)
    y = x
    for _ in range(50_000):
        y = ops.negate(y)
    assert len(topological([y])) == 50_001
    (z,) = fresh_inputs(F32)
    assert len(topological([substitute([y], {x: z})[y]])) == 50_001
    del y
    gc.collect()


def test_origin_is_the_line_that_made_the_node():
    (x,) = fresh_inputs(F32)
    line = inspect.currentframe().f_lineno + 1
    y = ops.softmax(x * 2.0, axis=0)
    for node in (y, y.args[0], constant(3.5), x):
        assert node.origin[0] == __file__
    assert y.origin[1] == y.args[0].origin[1] == line
    assert repr(y.origin) == f"{__file__}:{line}"


def test_origin_is_no_line_of_what_runs_properties():
    """A property of ours is asked for by a frame of functools, which the user did not write."""
    (x,) = fresh_inputs(F32)
    ours = str(Path(anode.__file__).with_name("ours.py"))
    text = "class Ours:\n    node = cached_property(lambda self: x * 0.125)"
    space = {"cached_property": functools.cached_property, "x": x}
    exec(compile(text, ours, "exec"), space)
    assert space["Ours"]().node.origin[0] == __file__


def test_origin_is_not_identity_and_can_be_given():
    (x,) = fresh_inputs(F32)
    first = ops.sinh(x)
    assert ops.sinh(x) is first
    with at(first.origin):
        second = ops.cosh(x)
    assert second.origin is first.origin


@pytest.mark.parametrize(
    ("value", "dtype", "type"),
    [
        (True, None, tensor("bool")),
        (3, None, tensor("i32")),
        (3.0, None, tensor("f32")),
        ([1.5, 2.5], None, tensor("f32", 2)),
        ([[1], [2]], None, tensor("i32", 2, 1)),
        (np.zeros(2), None, tensor("f64", 2)),
        (np.int8(3), None, tensor("i8")),
        (1, "bf16", tensor("bf16")),
        ([1, 2], "bf16", tensor("bf16", 2)),
        (2.0, "u8", tensor("u8")),
    ],
)
def test_types_of_constants(value, dtype, type):
    assert constant(value, dtype).type == type


@pytest.mark.parametrize("value", [0.0, -0.0, 1 / 3, 1e-45, 3e38, 1e39, -math.inf, math.nan, 7])
@pytest.mark.parametrize("dtype", ["f64", "f32", "f16"])
def test_scalar_constants_round_as_numpy_does(value, dtype):
    with np.errstate(over="ignore"):
        expected = np.asarray(value).astype(tensor(dtype).dtype.numpy)
    assert constant_value(constant(value, dtype)).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [(1.5, "i32"), (300, "u8"), (-1, "u32"), (2**31, "i32"), (2, "bool"), (math.nan, "i32")],
)
def test_a_number_that_the_type_cannot_hold(value, dtype):
    with pytest.raises(ShapeError, match=f"is no {dtype}"):
        constant(value, dtype)


def test_large_constants_belong_in_variables():
    with pytest.raises(GraphError, match="Variable"):
        constant(np.zeros(20_000, np.float32))


def test_a_node_has_no_truth_value():
    with pytest.raises(GraphError, match="no truth value"):
        bool(fresh_inputs(TensorType(F32.dtype, ()))[0])


def test_an_item_out_of_range():
    (x,) = fresh_inputs(F32)
    pair = ops.top_k(x, k=2)
    assert pair.items == (pair.item(0), pair.item(1))
    for value, index in ((pair, 2), (pair, -1), (x, 0)):
        with pytest.raises(GraphError, match="item"):
            value.item(index)
    with pytest.raises(ShapeError, match="take an item"):
        _ = pair.shape


def test_numpy_scalars_keep_their_type_even_those_that_are_python_floats():
    assert constant(np.float64(0.5)).dtype is f64
    assert constant(np.float32(0.5)).dtype is f32
    assert constant(np.int64(2)).dtype is i64
