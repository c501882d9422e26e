"""The fixtures of neon 2.6's test suite, for today's pytest: run it in a copy of neon's tests/ as

    pytest --noconftest -p anode.frontends.neon.pytest_plugin -k "not gpu"

Names that NumPy dropped since are there again, as for scripts.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from anode.frontends import numpy_names, serve

BATCH = 128
FIXTURES = {
    "backend_default": ("cpu", "mkl"),
    "backend_default_mkl": ("mkl", "cpu"),
    "backend_cpu": ("cpu",),
    "backend_mkl": ("mkl",),
    "backend_gpu": ("gpu",),
}
KINDS: dict[str, list[tuple[str, Any]]] = {
    "backend_tests": list(product(("gpu", "cpu"), (np.float16, np.float32))),
    "backend_tests_mkl": list(product(("mkl", "cpu"), (np.float32,))),
}


def pytest_configure(config: pytest.Config) -> None:
    """Serve `neon`, before tests import it."""
    serve.install("neon")
    numpy_names.restore()
    for marker in ("slow: slower tests", "gpu: tests that need a GPU", "hasgpu: likewise"):
        config.addinivalue_line("markers", marker)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="all combinations of parameters")
    parser.addoption("--device_id", type=int, default=0, help="number of the GPU")
    parser.addoption("--data_dir", default="~/nervana/data", help="folder of data sets")


def _backend(kind: str, dtype: Any = np.float32) -> Any:
    from anode.frontends.neon.backends import gen_backend

    if kind == "gpu":
        pytest.skip("needs a GPU")
    return gen_backend(backend=kind, datatype=dtype, batch_size=BATCH, rng_seed=0)


def _fixture(name: str, kinds: tuple[str, ...]) -> Any:
    @pytest.fixture(scope="module", params=kinds, name=name)
    def backend(request: pytest.FixtureRequest) -> Any:
        return _backend(request.param)

    return backend


def _fixture_of_dtypes(name: str, kinds: list[tuple[str, Any]]) -> Any:
    ids = [f"{kind}_{dtype.__name__}" for kind, dtype in kinds]

    @pytest.fixture(scope="module", params=kinds, ids=ids, name=name)
    def backend(request: pytest.FixtureRequest) -> Any:
        return _backend(*request.param)

    return backend


for _name, _kinds in FIXTURES.items():
    globals()[_name] = _fixture(_name, _kinds)
for _name, _pairs in KINDS.items():
    globals()[_name] = _fixture_of_dtypes(_name, _pairs)


@pytest.fixture(scope="module", params=["cpu"])
def backend_cpu64(request: pytest.FixtureRequest) -> Any:
    """A backend of f64."""
    return _backend(request.param, np.float64)


def _pair(name: str, dtypes: tuple[Any, ...]) -> Any:
    @pytest.fixture(scope="module", params=dtypes, name=name)
    def backends(request: pytest.FixtureRequest) -> Any:
        from anode.frontends.neon.backends import NervanaCPU, NervanaMKL

        return NervanaMKL(default_dtype=request.param), NervanaCPU(default_dtype=request.param)

    return backends


backend_pair_mkl = _pair("backend_pair_mkl", (np.float32,))
backend_pair_dtype_mkl_32 = _pair("backend_pair_dtype_mkl_32", (np.float32,))
for _name in ("backend_pair", "backend_pair_bench", "backend_pair_dtype"):
    globals()[_name] = _fixture(_name, ("gpu",))


@pytest.fixture(autouse=True)
def nose_setup(request: pytest.FixtureRequest) -> None:
    """What pytest did with a method `setup` of a class of tests until version 8."""
    for name in request.fixturenames:
        if name.startswith("backend"):
            request.getfixturevalue(name)
    if request.instance is not None and hasattr(request.instance, "setup"):
        request.instance.setup()


@pytest.fixture
def device_id(request: pytest.FixtureRequest) -> int:
    """The number of the GPU."""
    return request.config.getoption("--device_id")


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> str:
    """The folder of data sets."""
    return request.config.getoption("--data_dir")


@pytest.fixture
def deltas_buffer() -> Iterator[Any]:
    """An empty tree of error buffers."""
    from anode.frontends.neon.layers.container import DeltasTree

    yield DeltasTree()


@pytest.fixture
def deltas_buffer_wref() -> Iterator[Any]:
    """Two of them, for a model and its reference."""
    from anode.frontends.neon.layers.container import DeltasTree

    yield DeltasTree(), DeltasTree()
