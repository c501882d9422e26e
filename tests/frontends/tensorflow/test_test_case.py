"""tf.test: sessions of tests, comparisons, and gradients by differences."""

import random

import numpy as np
import pytest

from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.api import test as tf_test
from anode.frontends.tensorflow.modules import tensorflow as tf


@pytest.fixture
def case():
    case = type("Case", (tf_test.TestCase,), {"runTest": lambda self: None})()
    case.setUp()
    yield case
    case.tearDown()


def test_every_test_starts_alike(case):
    first = random.random(), np.random.rand(), tf.get_default_graph()
    case.setUp()
    second = random.random(), np.random.rand(), tf.get_default_graph()
    assert first[:2] == second[:2] and first[2] is not second[2]
    assert tf.get_default_graph().seed == 87654321


def test_the_session_of_a_test_keeps_its_variables(case):
    with case.test_session() as session:
        variable = tf.Variable(3.0)
        session.run(variable.initializer)
    with case.test_session() as again:
        assert again is session and variable.eval() == 3.0
    with case.session(graph=tf.Graph()) as other:
        assert other is not session
    assert case.evaluate(variable) == 3.0
    assert case.get_temp_dir() == case.get_temp_dir()


def test_close_and_equal(case):
    case.assertAllClose({"a": [1.0, np.nan]}, {"a": [1.0 + 1e-7, np.nan]})
    case.assertAllClose(tf.constant([1.0]), [1.0])
    case.assertAllEqual([[1, 2]], np.array([[1, 2]]))
    case.assertAllCloseAccordingToType(np.float16([1]), np.float16([1.001]))
    case.assertAllInRange([1, 2], 1, 2)
    case.assertShapeEqual(np.zeros((2, 3)), tf.zeros([2, 3]))
    case.assertArrayNear([1, 2], [1.1, 2], 0.2)
    case.assertNotAllClose([1.0], [2.0])


@pytest.mark.parametrize(
    "compare",
    [
        lambda c: c.assertAllClose([1.0], [1.1]),
        lambda c: c.assertAllClose([1.0], [1.0, 1.0]),
        lambda c: c.assertAllClose([[1.0], [2.0]], [[1.0], [2.5]]),
        lambda c: c.assertAllEqual([1], [2]),
        lambda c: c.assertAllGreater([1, 2], 1),
        lambda c: c.assertNear(1, 2, 0.5),
        lambda c: c.assertAllInRange([1, 2], 1, 2, open_upper_bound=True),
        lambda c: c.assertNotAllClose([1.0], [1.0]),
    ],
)
def test_differences_are_found(case, compare):
    with pytest.raises(AssertionError):
        compare(case)


def test_errors_by_pattern(case):
    with case.assertRaisesOpError("bad .* here"):
        raise errors.InvalidArgumentError(None, None, "bad thing here")
    with pytest.raises(AssertionError), case.assertRaisesOpError("other"):
        raise errors.InvalidArgumentError(None, None, "bad thing here")


def test_messages_as_text(case):
    case.assertProtoEquals("allow_soft_placement: true", tf.ConfigProto(allow_soft_placement=True))
    with pytest.raises(AssertionError):
        case.assertProtoEquals("", tf.ConfigProto(allow_soft_placement=True))


def test_threads(case):
    thread = case.checkedThread(lambda: 1 / 0)
    thread.start()
    with pytest.raises(AssertionError, match="division by zero"):
        thread.join()


def test_gradients_by_differences(case):
    with case.test_session():
        x = tf.constant([[1.0, 2.0, 3.0]])
        y = tf.square(x) * 2.0
        exact, near = tf_test.compute_gradient(x, [1, 3], y, [1, 3], np.array([[1.0, 2.0, 3.0]]))
        np.testing.assert_allclose(exact, np.diag([4.0, 8.0, 12.0]))
        np.testing.assert_allclose(near, exact, atol=1e-2)
        assert tf_test.compute_gradient_error(x, [1, 3], y, [1, 3]) < 1e-2
