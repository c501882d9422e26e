"""Loops: their size does not depend on time, and they are what the copied steps would be."""

import numpy as np
import pytest

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon.activation import Logistic, Tanh
from anode.frontends.ngraph.frontends.neon.initializer import UniformInit
from anode.frontends.ngraph.frontends.neon.layer import (
    LSTM,
    BaseRNNCell,
    Recurrent,
    RNNCell,
    get_steps,
    unroll,
)
from anode.frontends.ngraph.testing import ExecutorFactory, executor

INIT = UniformInit(-0.5, 0.5)


def sequence(steps):
    return ng.placeholder(
        [ng.make_axis(n, name=s) for n, s in ((3, "F"), (steps, "REC"), (2, "N"))]
    )


def values(x):
    return np.random.RandomState(1).uniform(-1, 1, x.axes.lengths).astype("f")


@pytest.mark.parametrize("make", [Recurrent, LSTM])
def test_ops_do_not_grow_with_time(make):
    sizes = []
    for steps in (3, 300):
        layer = make(4, INIT, activation=Tanh())
        layer(sequence(steps))
        sizes.append(len(layer.ops))
    assert sizes[0] == sizes[1]


def test_lstm_by_numpy():
    x = sequence(4)
    np.random.seed(0)
    layer = LSTM(5, INIT, activation=Tanh(), gate_activation=Logistic())
    out = layer(x, return_cell_state=True)
    gates = "ifog"
    with ExecutorFactory() as factory:
        weights = factory.executor(
            [layer.W_input[k] for k in gates] + [layer.W_recur[k] for k in gates]
        )()
        hidden, cell = factory.executor(list(out), x)(values(x))
    h, c, given = np.zeros((5, 2)), np.zeros((5, 2)), values(x)
    for t in range(4):
        i, f, o, g = (weights[k] @ given[:, t] + weights[4 + k] @ h for k in range(4))
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        np.testing.assert_allclose(hidden[:, t], h, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(cell[:, t], c, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("backward", [False, True])
def test_loop_equals_copied_steps(backward):
    x = sequence(4)
    cell = RNNCell(5, INIT, activation=Tanh())
    looped = unroll(cell, 4, x, reverse_mode=backward)
    last = unroll(cell, 4, x, reverse_mode=backward, return_sequence=False)
    states, copied = cell.initialize_states(x.axes.batch_axis()), []
    for step in get_steps(x, x.axes.recurrent_axis(), backward):
        output, states = cell(step, states)
        copied.append(output)
    gradients = [ng.deriv(ng.sum(y * y, out_axes=()), cell.h2h.W) for y in (last, copied[-1])]
    with executor([looped, last, *copied, *gradients], x) as computation:
        together, end, *steps, first, second = computation(values(x))
    order = steps[::-1] if backward else steps
    np.testing.assert_allclose(together, np.stack(order, 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(end, steps[-1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("backward", [False, True])
def test_fewer_steps_than_the_sequence_has(backward):
    x = sequence(5)
    cell = RNNCell(4, INIT, activation=Tanh())
    out = unroll(cell, 2, x, reverse_mode=backward)
    assert out.axes.lengths == (4, 2, 2)
    with executor([out, unroll(cell, 5, x, reverse_mode=backward)], x) as computation:
        some, every = computation(values(x))
    expected = every[:, 3:] if backward else every[:, :2]
    np.testing.assert_allclose(some, expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="6 steps over the axis REC of length 5"):
        unroll(cell, 6, x)


class Noisy(BaseRNNCell):
    """A cell that adds random numbers, new in each step."""

    feature_axes = property(lambda self: ng.make_axes([ng.make_axis(3, name="F")]))
    state_info = property(lambda self: [{"state_name": "h"}])

    def __call__(self, inputs, states, **kwargs):
        states["h"] = states["h"] + inputs + ng.uniform(inputs, 0.0, 1.0)
        return states["h"], states


def test_steps_that_draw_are_copied():
    x = sequence(3)
    out = unroll(Noisy(), 3, x)
    with executor(out, x) as computation:
        found = computation(np.zeros(x.axes.lengths))
    drawn = np.diff(found, axis=1, prepend=0)
    assert (drawn > 0).all() and len(np.unique(drawn)) == drawn.size


def test_states_are_kept_between_calls():
    x = sequence(3)
    cell = RNNCell(4, INIT, activation=Tanh())
    states = cell.initialize_states(x.axes.batch_axis(), reset_cells=False)
    kept = unroll(cell, 3, x, init_states=dict(states), reset_cells=False)
    with ExecutorFactory() as factory:
        step, read = factory.executor(kept, x), factory.executor(states["h"])
        first = step(values(x))
        np.testing.assert_allclose(read(), first[:, -1], rtol=1e-6)
        assert not np.allclose(step(values(x)), first)
    with pytest.raises(ValueError, match="needs init_states"):
        unroll(cell, 3, x, reset_cells=False)


def test_a_state_of_another_size():
    x = sequence(3)
    state = ng.placeholder([ng.make_axis(7, name="H"), x.axes.batch_axis()])
    with pytest.raises(ValueError, match="has 7 features, nout is 4"):
        Recurrent(4, INIT, activation=Tanh())(x, init_state=state)
