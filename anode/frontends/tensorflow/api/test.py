"""`tf.test`: unit tests with sessions, and comparisons of arrays."""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
import threading
import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from anode.errors import UnsupportedOp
from anode.frontends.tensorflow import errors
from anode.frontends.tensorflow.api.compat import as_text
from anode.frontends.tensorflow.opdef import export, export_values

SEED = 87654321  # of graphs and of Python's and NumPy's generators in every test, as TensorFlow's
export_values("unittest.mock", {"test.mock": ""})  # the module itself


@export("test.TestCase", "python.framework.test_util.TensorFlowTestCase")
@export("python.platform.googletest.TestCase")
class TestCase(unittest.TestCase):
    """A test that starts with an empty default graph and fixed seeds."""

    longMessage = True

    def __init__(self, methodName: str = "runTest") -> None:
        super().__init__(methodName)
        self._cached_session: Any = None
        self._folder: str | None = None

    def setUp(self) -> None:
        from anode.frontends.tensorflow.core import get_default_graph, reset_default_graph

        super().setUp()
        self._forget_session()
        random.seed(SEED)
        np.random.seed(SEED)
        reset_default_graph()
        get_default_graph().seed = SEED

    def tearDown(self) -> None:
        self._forget_session()
        super().tearDown()

    def _forget_session(self) -> None:
        if self._cached_session is not None:
            self._cached_session.close()
            self._cached_session = None

    def get_temp_dir(self) -> str:
        """A new folder for this test, always the same one."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(dir=get_temp_dir())
        return self._folder

    # sessions

    @contextmanager
    def session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Iterator[Any]:
        """A new session, the default one within `with`, closed after it."""
        from anode.frontends.tensorflow.session import Session

        _refuse_gpu(force_gpu)
        with Session(graph=graph, config=config) as session:
            yield session

    @contextmanager
    def cached_session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Iterator[Any]:
        """The one session of this test; it stays open, so variables keep their values."""
        from anode.frontends.tensorflow.session import Session

        _refuse_gpu(force_gpu)
        if self._cached_session is None:
            self._cached_session = Session(graph=graph, config=config)
        session = self._cached_session
        with session.graph.as_default(), session.as_default():
            yield session

    def test_session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = False, force_gpu: bool = False
    ) -> Any:
        """The session of this test, or a new one where a graph is given."""
        if self.id().endswith(".test_session"):
            self.skipTest("Not a test.")
        kind = self.cached_session if graph is None else self.session
        return kind(graph, config, use_gpu, force_gpu)

    def evaluate(self, tensors: Any) -> Any:
        """The values of tensors in the default session, or in a new one."""
        from anode.frontends.tensorflow.core import get_default_session

        session = get_default_session()
        if session is not None:
            return session.run(tensors)
        with self.test_session() as session:
            return session.run(tensors)

    def checkedThread(
        self, target: Callable[..., Any], args: Any = None, kwargs: Any = None
    ) -> CheckedThread:
        """A thread whose exception fails the test when it is joined."""
        return CheckedThread(self, target, args or (), kwargs or {})

    # arrays

    def _array(self, value: Any) -> Any:
        from anode.frontends.tensorflow.core import Tensor

        if isinstance(value, Tensor) or hasattr(value, "_components"):
            value = self.evaluate(value)
        return value if isinstance(value, np.ndarray) else np.array(value)

    _GetNdArray = _array

    def assertAllClose(
        self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None
    ) -> None:
        """Compare arrays, or structures of them: |a - b| <= atol + rtol |b|."""
        if isinstance(a, Mapping) or hasattr(a, "_asdict"):
            a, b = (dict(x._asdict()) if hasattr(x, "_asdict") else dict(x) for x in (a, b))
            self.assertEqual(sorted(a), sorted(b), msg)
            for key in a:
                self.assertAllClose(a[key], b[key], rtol, atol, msg)
        elif isinstance(a, (list, tuple)) and any(map(_is_nested, a)):
            self.assertEqual(len(a), len(b), msg)
            for left, right in zip(a, b, strict=True):
                self.assertAllClose(left, right, rtol, atol, msg)
        else:
            self._assert_close(a, b, rtol, atol, msg)

    def _assert_close(self, a: Any, b: Any, rtol: float, atol: float, msg: str | None) -> None:
        a, b = self._array(a), self._array(b)
        self.assertEqual(a.shape, b.shape, msg)
        np.testing.assert_allclose(a, b, rtol, atol, equal_nan=True, err_msg=msg or "")

    def assertAllCloseAccordingToType(
        self,
        a: Any,
        b: Any,
        rtol: float = 1e-6,
        atol: float = 1e-6,
        float_rtol: float = 1e-6,
        float_atol: float = 1e-6,
        half_rtol: float = 1e-3,
        half_atol: float = 1e-3,
        bfloat16_rtol: float = 1e-2,
        bfloat16_atol: float = 1e-2,
        msg: str | None = None,
    ) -> None:
        """`assertAllClose` with the tolerances of the coarser type."""
        a, b = self._array(a), self._array(b)
        types = (a.dtype, b.dtype)
        if np.dtype(np.float32) in types:
            rtol, atol = max(rtol, float_rtol), max(atol, float_atol)
        if np.dtype(np.float16) in types:
            rtol, atol = max(rtol, half_rtol), max(atol, half_atol)
        if any(dtype.fields for dtype in types):  # how bfloat16 is stored
            rtol, atol = max(rtol, bfloat16_rtol), max(atol, bfloat16_atol)
        self.assertAllClose(a, b, rtol, atol, msg)

    def assertNotAllClose(self, a: Any, b: Any, **options: Any) -> None:
        try:
            self.assertAllClose(a, b, **options)
        except AssertionError:
            return
        raise AssertionError("The two values are close at all elements")

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """Compare arrays; NaN equals NaN."""
        a, b = self._array(a), self._array(b)
        self.assertEqual(a.shape, b.shape, msg)
        np.testing.assert_array_equal(a, b, err_msg=msg or "")

    def assertNotAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        try:
            self.assertAllEqual(a, b)
        except AssertionError:
            return
        raise AssertionError(f"The two values are equal at all elements. {msg or ''}")

    def _assert_all(self, holds: Any, message: str) -> None:
        if not np.all(holds):
            raise AssertionError(message)

    def assertAllGreater(self, a: Any, comparison_target: Any) -> None:
        a = self._array(a)
        self._assert_all(a > comparison_target, f"not all > {comparison_target}: {a}")

    def assertAllLess(self, a: Any, comparison_target: Any) -> None:
        a = self._array(a)
        self._assert_all(a < comparison_target, f"not all < {comparison_target}: {a}")

    def assertAllGreaterEqual(self, a: Any, comparison_target: Any) -> None:
        a = self._array(a)
        self._assert_all(a >= comparison_target, f"not all >= {comparison_target}: {a}")

    def assertAllLessEqual(self, a: Any, comparison_target: Any) -> None:
        a = self._array(a)
        self._assert_all(a <= comparison_target, f"not all <= {comparison_target}: {a}")

    def assertAllInRange(
        self,
        target: Any,
        lower_bound: Any,
        upper_bound: Any,
        open_lower_bound: bool = False,
        open_upper_bound: bool = False,
    ) -> None:
        target = self._array(target)
        above = target > lower_bound if open_lower_bound else target >= lower_bound
        below = target < upper_bound if open_upper_bound else target <= upper_bound
        self._assert_all(
            above & below, f"not all between {lower_bound} and {upper_bound}: {target}"
        )

    def assertAllInSet(self, target: Any, expected_set: Any) -> None:
        found = set(self._array(target).ravel().tolist())
        self.assertFalse(found - set(expected_set), "values outside of the set")

    def assertNear(self, f1: Any, f2: Any, err: float, msg: str | None = None) -> None:
        self.assertTrue(
            f1 == f2 or abs(f1 - f2) <= err, f"{f1!r} != {f2!r} +/- {err!r} {msg or ''}"
        )

    def assertArrayNear(
        self, farray1: Any, farray2: Any, err: float, msg: str | None = None
    ) -> None:
        self.assertEqual(len(farray1), len(farray2), msg)
        for one, other in zip(farray1, farray2, strict=True):
            self.assertNear(float(one), float(other), err, msg)

    def assertNDArrayNear(
        self, ndarray1: Any, ndarray2: Any, err: float, msg: str | None = None
    ) -> None:
        self.assertTrue(np.linalg.norm(np.asarray(ndarray1) - np.asarray(ndarray2)) < err, msg)

    def assertShapeEqual(self, np_array: Any, tf_tensor: Any, msg: str | None = None) -> None:
        """Compare an array's shape with the static shape of a tensor."""
        self.assertAllEqual(np_array.shape, tf_tensor.get_shape().as_list(), msg)

    def assertDTypeEqual(self, target: Any, expected_dtype: Any) -> None:
        self.assertEqual(self._array(target).dtype, expected_dtype)

    def assertDeviceEqual(self, device1: Any, device2: Any, msg: str | None = None) -> None:
        self.assertEqual(str(device1 or ""), str(device2 or ""), msg)

    # errors, texts, messages

    @contextmanager
    def assertRaisesWithPredicateMatch(
        self, exception_type: Any, expected_err_re_or_predicate: Any
    ) -> Iterator[None]:
        """Ask for an exception whose message a pattern matches or which a function accepts."""
        try:
            yield
        except exception_type as error:
            wanted = expected_err_re_or_predicate
            text = error.message if isinstance(error, errors.OpError) else str(error)
            if not (wanted(error) if callable(wanted) else re.search(wanted, text)):
                raise AssertionError(f"Exception of type {type(error)}: {error}") from None
        else:
            self.fail(f"{exception_type} not raised")

    def assertRaisesOpError(self, expected_err_re_or_predicate: Any) -> Any:
        return self.assertRaisesWithPredicateMatch(errors.OpError, expected_err_re_or_predicate)

    def assertStartsWith(self, actual: str, expected_start: str, msg: str | None = None) -> None:
        self.assertTrue(actual.startswith(expected_start), msg or f"{actual!r}")

    def assertProtoEquals(
        self, expected_message_maybe_ascii: Any, message: Any, msg: str | None = None
    ) -> None:
        """Compare messages; the expected one may be text."""
        expected = expected_message_maybe_ascii
        if isinstance(expected, (str, bytes)):
            from anode.frontends.tensorflow.formats.text import Merge

            expected = Merge(as_text(expected), type(message)())
        self.assertEqual(expected, message, msg)

    def assertItemsEqual(self, first: Any, second: Any, msg: str | None = None) -> None:
        self.assertCountEqual(first, second, msg)

    def assertLen(self, container: Any, expected_len: int, msg: str | None = None) -> None:
        self.assertEqual(len(container), expected_len, msg)

    def assertEmpty(self, container: Any, msg: str | None = None) -> None:
        self.assertEqual(len(container), 0, msg)

    def assertNotEmpty(self, container: Any, msg: str | None = None) -> None:
        self.assertNotEqual(len(container), 0, msg)

    def assertBetween(self, value: Any, minv: Any, maxv: Any, msg: str | None = None) -> None:
        self.assertTrue(minv <= value <= maxv, msg or f"{value} is not in [{minv}, {maxv}]")


def _is_nested(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple, np.ndarray)) or hasattr(value, "_asdict")


def _refuse_gpu(force_gpu: bool) -> None:
    if force_gpu:
        raise UnsupportedOp("force_gpu: anode's TensorFlow sessions run on the processor")


class CheckedThread:
    """A thread of a test; `join` fails the test where its function raised."""

    def __init__(
        self, case: TestCase, target: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]
    ) -> None:
        self._case, self._error = case, None
        self._call = lambda: target(*args, **kwargs)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._call()
        except Exception as error:  # told by join, in the thread of the test
            self._error = error  # type: ignore[assignment]

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()
        if self._error is not None:
            self._case.fail(f"Error in checkedThread: {self._error}")

    def is_alive(self) -> bool:
        return self._thread.is_alive()


@export("test.main", "python.platform.googletest.main")
def main(argv: Any = None) -> None:
    """Run the tests of the script, and exit."""
    from anode.frontends.tensorflow.api.flags import FLAGS

    rest = FLAGS(list(sys.argv if argv is None else argv), known_only=True)
    unittest.main(module="__main__", argv=rest)


@export("test.get_temp_dir")
def get_temp_dir() -> str:
    """A folder for the files of tests, the same one for the whole process."""
    path = os.path.join(tempfile.gettempdir(), f"anode_test_{os.getpid()}")
    os.makedirs(path, exist_ok=True)
    return path


@export("test.test_src_dir_path")
def test_src_dir_path(relative_path: str) -> str:
    """A path below the folder of the script."""
    folder = os.path.dirname(os.path.abspath(getattr(sys.modules["__main__"], "__file__", "")))
    return os.path.join(folder, relative_path)


@export("test.is_gpu_available")
def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    return False


@export("test.is_built_with_cuda", "test.is_built_with_rocm", "test.is_built_with_gpu_support")
def is_built_with_cuda() -> bool:
    return False


@export("test.gpu_device_name")
def gpu_device_name() -> str:
    """The name of a GPU: there is none, so the empty text."""
    return ""


@export("test.create_local_cluster")
def create_local_cluster(
    num_workers: int,
    num_ps: int,
    protocol: str = "grpc",
    worker_config: Any = None,
    ps_config: Any = None,
) -> tuple[list[Any], list[Any]]:
    """UnsupportedOp: anode runs in one process."""
    raise UnsupportedOp("tf.test.create_local_cluster is not implemented by anode")


@export("test.assert_equal_graph_def")
def assert_equal_graph_def(actual: Any, expected: Any, checkpoint_v2: bool = False) -> None:
    """Raise AssertionError where two GraphDefs differ in a node."""
    left, right = ({node.name: node for node in graph.node} for graph in (actual, expected))
    if left.keys() != right.keys():
        raise AssertionError(f"nodes of one graph only: {sorted(left.keys() ^ right.keys())}")
    for name, node in left.items():
        if node != right[name]:
            raise AssertionError(f"the nodes {name} differ:\n{node}\n{right[name]}")


@export("contrib.eager.run_test_in_graph_and_eager_modes")
@export("python.framework.test_util.run_in_graph_and_eager_modes")
def run_in_graph_and_eager_modes(func: Any = None, **options: Any) -> Any:
    """Run a test once, building a graph."""
    return (lambda function: function) if func is None else func


@export("test.compute_gradient")
def compute_gradient(
    x: Any,
    x_shape: Any,
    y: Any,
    y_shape: Any,
    x_init_value: Any = None,
    delta: float = 1e-3,
    init_targets: Any = None,
    extra_feed_dict: Any = None,
) -> Any:
    """The Jacobian of y by x, as [elements of x, elements of y]: by derivatives, by differences.

    For a list of tensors x, a list of such pairs. It runs in the default session.
    """
    from anode.frontends.tensorflow.core import get_default_session

    session = get_default_session()
    if session is None:
        raise ValueError("compute_gradient needs a default session: use `with sess.as_default():`")
    if init_targets is not None:
        session.run(init_targets)
    if not isinstance(x, list):
        return _jacobians(session, x, x_shape, y, y_shape, x_init_value, delta, extra_feed_dict)
    values = x_init_value if x_init_value is not None else [None] * len(x)
    return [
        _jacobians(session, one, shape, y, y_shape, value, delta, extra_feed_dict)
        for one, shape, value in zip(x, x_shape, values, strict=True)
    ]


def _jacobians(
    session: Any, x: Any, x_shape: Any, y: Any, y_shape: Any, value: Any, delta: float, feeds: Any
) -> tuple[np.ndarray, np.ndarray]:
    dtype = x.dtype.base_dtype.as_numpy_dtype
    value = np.random.random_sample(x_shape) if value is None else value
    value = np.array(value, dtype)

    def at(point: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(y, {x: point, **(feeds or {})})).ravel()

    exact = _by_derivatives(session, x, y, y_shape, value, feeds)
    rows = []
    for index in np.ndindex(value.shape):
        step = np.zeros_like(value)
        step[index] = delta
        rows.append((at(value + step) - at(value - step)) / (2 * delta))
    return exact, np.array(rows, dtype).reshape(exact.shape)


def _by_derivatives(
    session: Any, x: Any, y: Any, y_shape: Any, value: np.ndarray, feeds: Any
) -> np.ndarray:
    """Each column is the gradient of one element of y."""
    from anode.frontends.tensorflow.modules import tensorflow as tf

    ct = tf.constant(np.zeros(y_shape, y.dtype.base_dtype.as_numpy_dtype))
    (gradient,) = tf.gradients(y, [x], [ct])
    columns = []
    if gradient is None:
        return np.zeros((value.size, int(np.prod(y_shape))))
    for index in np.ndindex(*y_shape):
        seed = np.zeros(y_shape, y.dtype.base_dtype.as_numpy_dtype)
        seed[index] = 1
        feed = {x: value, ct: seed, **(feeds or {})}
        columns.append(np.asarray(session.run(gradient, feed)).ravel())
    return np.array(columns).T.reshape(value.size, -1)


@export("test.compute_gradient_error")
def compute_gradient_error(
    x: Any,
    x_shape: Any,
    y: Any,
    y_shape: Any,
    x_init_value: Any = None,
    delta: float = 1e-3,
    init_targets: Any = None,
    extra_feed_dict: Any = None,
) -> float:
    """The largest difference between the two Jacobians of `compute_gradient`."""
    found = compute_gradient(
        x, x_shape, y, y_shape, x_init_value, delta, init_targets, extra_feed_dict
    )
    pairs = found if isinstance(found, list) else [found]
    return max(float(np.abs(exact - near).max()) for exact, near in pairs if exact.size)
