"""Steps: recorded, replayed, and recorded again where Python's state changed."""

import numpy as np
import pytest

from anode.frontends.neon import NervanaObject
from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.stepping import Step
from anode.frontends.neon.tracing import host_input


@pytest.fixture
def be():
    return gen_backend("cpu", rng_seed=0, batch_size=2)


class Counted:
    """A function that counts how often its Python runs."""

    def __init__(self, function):
        self.function, self.calls = function, 0
        self.__qualname__ = "Counted"

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


def test_python_runs_twice_and_cells_carry_over(be):
    total = be.zeros((1, 2))

    def add(x):
        total[:] = total + x
        return total

    function = Counted(add)
    step = Step(function, be.programs)
    for i in range(5):
        found = step(be.array(np.array([[i, 1.0]])))
        np.testing.assert_array_equal(found.get(), [[sum(range(i + 1)), i + 1]])
    assert function.calls == 2


def test_what_nobody_reads_is_promised(be):
    between, out = be.zeros((1, 2)), be.zeros((1, 2))
    x = be.ones((1, 2))

    def double(x):
        between[:] = x * 2
        out[:] = between + 1
        return out

    step = Step(double, be.programs)
    for i in range(4):
        x[:] = float(i)
        step(x)
        x[:] = -7.0  # the promise is of the values that the step had
        np.testing.assert_array_equal(between.get(), [[2.0 * i, 2.0 * i]])


def test_what_is_made_within_begins_anew(be):
    def fresh(x):
        made = be.ones((1, 2))
        made[:] = made + x
        return made

    step = Step(fresh, be.programs)
    for i in range(4):
        assert step(be.array(np.array([[i, 0.0]]))).get().tolist() == [[1.0 + i, 1.0]]


def test_what_the_host_draws_is_drawn_each_time(be):
    drawn = iter([3.0, 4.0, 5.0, 6.0])
    out = be.zeros((1, 1))

    def draw():
        out.write(host_input(lambda: next(drawn), (1, 1), np.float32))
        return out

    step = Step(draw, be.programs)
    assert [float(step().get()[0, 0]) for _ in range(4)] == [3.0, 4.0, 5.0, 6.0]


class Scale(NervanaObject):
    """A part of a step with a number."""

    by = 1.0


Scale.__module__ = "anode.frontends.neon.test"  # counts as neon's own


def test_a_changed_number_is_seen(be):
    part, out = Scale(), be.zeros((1, 2))
    part.by = 2.0

    def scale(x):
        out[:] = x * part.by
        return out

    function = Counted(scale)
    step = Step(function, be.programs, lambda: [part])
    for by, calls in ((2.0, 1), (2.0, 2), (2.0, 2), (3.0, 3)):
        part.by = by
        assert step(be.ones((1, 2))).get().tolist() == [[by, by]]
        assert function.calls == calls


class Counter(NervanaObject):
    """A part of the user's, whose Python counts where nobody sees it."""

    def __init__(self):
        super().__init__()
        self.count = [0]


def test_the_users_python_runs_each_time(be):
    part, out = Counter(), be.zeros((1, 2))

    def scale(x):
        part.count[0] += 1
        out[:] = x * float(part.count[0])
        return out

    step = Step(scale, be.programs, lambda: [part])
    for i in range(1, 6):
        assert step(be.ones((1, 2))).get().tolist() == [[i, i]]
    assert len(be.programs._compiled) == 3  # for two numbers, then for any


def test_a_value_in_the_midst_breaks_the_step(be):
    out = be.zeros((1, 2))

    def choose(x):
        out[:] = x * 2
        out[:] = out + (10.0 if out.get().sum() > 5 else 0.0)
        return out

    step = Step(choose, be.programs)
    for value, want in ((1.0, 2.0), (3.0, 16.0), (1.0, 2.0), (4.0, 18.0)):
        assert step(be.array(np.full((1, 2), value))).get().tolist() == [[want, want]]
