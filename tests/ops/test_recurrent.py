import numpy as np
import pytest

from anode import ops
from anode.errors import ShapeError
from anode.ir.graph import close, fresh_inputs
from anode.ir.types import tensor
from anode.ops import evaluate, recurrent

RNG = np.random.default_rng(0)
STEPS, BATCH, N = 4, 3, 2
X = RNG.standard_normal((STEPS, BATCH, 4 * N))
U = RNG.standard_normal((N, 4 * N))


def run(function, *arrays):
    inputs = fresh_inputs(*[tensor(a.dtype, *a.shape) for a in arrays])
    return evaluate(close(inputs, function(*inputs)), arrays)[0]


def test_length_mask():
    (mask,) = run(lambda lengths: [recurrent.length_mask(lengths, STEPS)], np.int32([2, 0, 4]))
    wanted = np.bool_([[1, 0, 1], [1, 0, 1], [0, 0, 1], [0, 0, 1]])
    np.testing.assert_array_equal(mask, wanted)


@pytest.mark.parametrize("reverse", [False, True])
def test_rows_of_unequal_length_equal_each_alone(reverse):
    lengths = np.int32([2, 0, 4])

    def masked(x, u, lengths):
        zeros = ops.zeros((BATCH, N), x.dtype)
        mask = recurrent.length_mask(lengths, STEPS)
        cell = recurrent.lstm_cell(u, forget_bias=1.0)
        y, last = recurrent.recurrent(cell, x, (zeros, zeros), mask=mask, reverse=reverse)
        return [y, *last]

    def alone(x, u):
        zeros = ops.zeros((1, N), x.dtype)
        y, last = recurrent.recurrent(
            recurrent.lstm_cell(u, forget_bias=1.0), x, (zeros, zeros), reverse=reverse
        )
        return [y, *last]

    y, h, c = run(masked, X, U, lengths)
    for row, length in enumerate(lengths):
        one = slice(row, row + 1)
        wanted = run(alone, X[:length, one], U)
        np.testing.assert_allclose(y[:length, one], wanted[0])
        np.testing.assert_allclose((h[one], c[one]), wanted[1:])
        assert not y[length:, row].any()


def test_forget_bias_is_added_to_the_second_gate():
    def states(x, u, forget_bias):
        zeros = ops.zeros((BATCH, N), x.dtype)
        cell = recurrent.lstm_cell(u, forget_bias=forget_bias)
        return recurrent.recurrent(cell, x, (zeros, zeros))[1]

    moved = X + np.repeat([0, 1.5, 0, 0], N)
    one = run(lambda x, u: states(x, u, 1.5), X, U)
    other = run(lambda x, u: states(x, u, 0.0), moved, U)
    np.testing.assert_allclose(one, other)


def test_operands_that_do_not_fit_are_refused():
    x, mask = fresh_inputs(tensor("f32", 4, 3, 2), tensor("bool", 3, 4))
    with pytest.raises(ShapeError, match="the mask is bool"):
        recurrent.recurrent(lambda x, s: (x, s), x, (), mask=mask)
    weight, bias = fresh_inputs(tensor("f32", 2, 6), tensor("f32", 2))
    with pytest.raises(ShapeError, match="a bias of the candidate is for reset_after"):
        recurrent.gru_cell(weight, bias=bias)
