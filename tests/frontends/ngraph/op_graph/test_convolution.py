import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.op_graph.convolution import bprop_conv, update_conv
from anode.frontends.ngraph.op_graph.lookuptable import lookuptable_update
from anode.frontends.ngraph.op_graph.pooling import BpropPoolOp
from anode.frontends.ngraph.testing import (
    ConvParams,
    executor,
    reference_conv,
    reference_deconv_bprop,
    reference_deconv_fprop,
)

SIZES = [
    {"C": 2, "N": 3, "K": 4, "H": 5, "W": 6, "R": 3, "S": 2},
    {
        "C": 2,
        "N": 2,
        "K": 3,
        "D": 4,
        "H": 5,
        "W": 5,
        "T": 2,
        "R": 3,
        "S": 3,
        "pad_h": 1,
        "str_w": 2,
    },
    {"C": 1, "N": 2, "K": 2, "H": 9, "W": 9, "R": 3, "S": 3, "dil_h": 2, "pad_w": 2, "str_h": 2},
]


def drawn(*shapes):
    rng = np.random.RandomState(0)
    return [rng.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]


def with_derivatives(make, operands, values, shape):
    """What an op gives, and its derivatives by its operands for a random error."""
    y = make(*operands)
    (error,) = drawn(shape)
    e = ng.placeholder(y.axes)
    results = [y, *[ng.deriv(y, op, error=e) for op in operands]]
    with executor(results, *operands, e) as computation:
        return computation(*values, error), error


@pytest.mark.parametrize("sizes", SIZES)
def test_convolution(sizes):
    p = ConvParams(**sizes)
    x, w = ng.placeholder(p.ax_i), ng.placeholder(p.ax_f)
    u, v = drawn(p.dimI, p.dimF)
    found, error = with_derivatives(
        lambda a, b: ng.convolution(p.conv_params, a, b, axes=p.ax_o), [x, w], [u, v], p.dimO
    )
    expected = reference_conv(p.dimI, p.dimF, p.dimO, p.conv_params, u, v, error)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-4)


def test_deconvolution():
    p = ConvParams(C=2, N=2, K=3, H=4, W=4, R=3, S=3, str_h=2, str_w=2, deconv=True)
    x, w = ng.placeholder(p.ax_i), ng.placeholder(p.ax_f)
    u, v = drawn(p.dimI, p.dimF)
    found, error = with_derivatives(
        lambda a, b: ng.deconvolution(p.conv_params, a, b, axes=p.ax_o), [x, w], [u, v], p.dimO
    )
    expected = [
        reference_deconv_fprop(p.conv_params, u, v),
        *reference_deconv_bprop(p.conv_params, error, u, v),
    ]
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-4)


def test_derivatives_by_name():
    p = ConvParams(**SIZES[0])
    x, w, e = ng.placeholder(p.ax_i), ng.placeholder(p.ax_f), ng.placeholder(p.ax_o)
    y = ng.convolution(p.conv_params, x, w, axes=p.ax_o)
    assert bprop_conv(e, x, w, y).axes == p.ax_i and update_conv(e, x, w, y).axes == p.ax_f


def pooled(value, kind, j, windows, pads, strides):
    """Pooling by its definition: padding is in no window."""
    sizes = [j, 1, *windows]
    counts = [
        (n + 2 * p - k) // s + 1
        for n, p, k, s in zip(value.shape, pads, sizes, strides, strict=False)
    ]
    out = np.zeros((*counts, value.shape[-1]), np.float32)
    for place in np.ndindex(*counts):
        window = [
            slice(max(i * s - p, 0), max(i * s - p + k, 0))
            for i, s, p, k in zip(place, strides, pads, sizes, strict=True)
        ]
        inside = value[tuple(window)].reshape(-1, value.shape[-1])
        out[place] = inside.max(0) if kind == "max" else inside.mean(0)
    return out


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("j", [1, 2])
def test_pooling(kind, j):
    (value,) = drawn((4, 1, 5, 6, 3))
    expected = pooled(value, kind, j, (3, 2), (0, 0, 1, 0), (j, 1, 2, 2))
    params = {"op": kind, "J": j, "T": 1, "R": 3, "S": 2}
    for dim, pad, stride in zip("cdhw", (0, 0, 1, 0), (j, 1, 2, 2), strict=True):
        params |= {f"pad_{dim}": pad, f"str_{dim}": stride}
    names = ["C", "D", "H", "W", "N"]
    x = ng.placeholder([ng.make_axis(n, a) for n, a in zip(value.shape, names, strict=True)])
    axes = ng.make_axes([ng.make_axis(n, a) for n, a in zip(expected.shape, names, strict=True)])
    y = ng.pooling(params, x, axes=axes)
    e = ng.placeholder(axes)
    with executor([y, BpropPoolOp(e, x, y)], x, e) as computation:
        found, by_x = computation(value, np.ones(expected.shape))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(by_x.sum(), expected.size, rtol=1e-5)


def test_sizes_that_do_not_fit():
    p = ConvParams(**SIZES[0])
    x, w = ng.placeholder(p.ax_i), ng.placeholder(p.ax_f)
    long = ng.make_axes([*p.ax_o[:2], ng.make_axis(9, name="H"), *p.ax_o[3:]])
    with (
        pytest.raises(ValueError, match="9 places of a window of 3"),
        executor(ng.convolution(p.conv_params, x, w, axes=long), x, w) as computation,
    ):
        computation(*drawn(p.dimI, p.dimF))
    with pytest.raises(ValueError, match="no parameter pad_d"):
        ng.convolution({}, x, w, axes=p.ax_o)
    with pytest.raises(ValueError, match="length 5, found 1"):
        ng.pooling({"op": "max"}, ng.placeholder([ng.make_axis(2)]), axes=())


V, F, N = ng.make_axis(6, name="V"), ng.make_axis(3, name="F"), ng.make_axis(4, name="idx")


@pytest.mark.parametrize("columns", [False, True])
def test_lookuptable(columns):
    lut = ng.variable([F, V] if columns else [V, F], initial_value=0)
    axes = [F, N] if columns else [N, F]
    (table,) = drawn((3, 6) if columns else (6, 3))
    idx, places = ng.placeholder([N]), np.array([1, 4, 1, 0])
    y = ng.lookuptable(lut, idx, ng.make_axes(axes), pad_idx=0)
    e = ng.placeholder(axes)
    with executor([y, lookuptable_update(e, lut, idx, y)], lut, idx, e) as computation:
        found, by_lut = computation(table, places, 1)
    np.testing.assert_array_equal(found, table.take(places, int(columns)))
    counts = np.array([0, 2, 0, 0, 1, 0])
    wanted = np.broadcast_to(counts if columns else counts[:, None], table.shape)
    np.testing.assert_array_equal(by_lut, wanted)


@pytest.mark.parametrize("wrong", [-1, 6, np.nan])
def test_an_index_outside_of_the_table_is_named(wrong):
    lut, idx = ng.variable([V, F], initial_value=1, name="W"), ng.placeholder([N], name="words")
    y = ng.lookuptable(lut, idx, ng.make_axes([N, F]))
    with executor(y, idx) as computation:
        assert computation([5, 5, 0, 0]).shape == (4, 3)
        said = rf"words \(.*py:\d+\) into W \(.*\): index {wrong} is outside of 0 to 5"
        with pytest.raises(IndexError, match=said):
            computation([5, wrong, 0, 0])


def test_a_table_that_is_not_trained():
    lut, idx = ng.variable([V, F], initial_value=1), ng.placeholder([N])
    y = ng.lookuptable(lut, idx, ng.make_axes([N, F]), update=False)
    with executor(ng.deriv(ng.sum(y, out_axes=()), lut), idx) as computation:
        assert not computation([1, 2, 3, 4]).any()
    with pytest.raises(ValueError, match="2 axes, not 1"):
        ng.lookuptable(lut, lut, ng.make_axes([N, F]))
    with pytest.raises(ValueError, match="order"):
        ng.lookuptable(lut, idx, ng.make_axes([F, N]))


def test_ctc_is_that_of_the_labels_one_after_another():
    import anode
    from anode import ops

    time, batch, classes = 7, 2, 4
    R, B, Y = ng.make_axis(time, "REC"), ng.make_axis(batch, "N"), ng.make_axis(classes, "Y")
    x, e = ng.placeholder([Y, B, R]), ng.placeholder([B])
    labels = ng.placeholder([ng.make_axis(6)], dtype=np.int32)
    times, lengths = (ng.placeholder([B], dtype=np.int32) for _ in range(2))
    cost = ng.ctc(x, labels, times, lengths)
    (u,) = drawn((classes, batch, time))
    operands = (u, [1, 2, 2, 3, 1, 0], [100, 86], [2, 3])
    with executor([cost, ng.deriv(cost, x, error=e)], x, labels, times, lengths, e) as computation:
        found, by_x = computation(*operands, [1, 0])

    graph = anode.graph(
        lambda *args: ops.ctc_loss(*args),
        anode.tensor("f32", time, batch, classes),
        anode.tensor("i32", batch, 3),
        *[anode.tensor("i32", batch)] * 2,
    )
    rows = np.array([[1, 2, 0], [2, 3, 1]], np.int32)
    (wanted,) = anode.compile(graph)(
        u.transpose(2, 1, 0), rows, np.array([7, 6], np.int32), np.array([2, 3], np.int32)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert by_x[:, 0].any() and not by_x[:, 1].any()
    with pytest.raises(ValueError, match="no time axis"):
        ng.ctc(ng.placeholder([Y, B, ng.make_axis(3)]), labels, times, lengths)
