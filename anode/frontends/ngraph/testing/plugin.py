"""A pytest plug-in that runs ngraph-python's own tests against anode, without its conftests.

    python -m pytest -p anode.frontends.ngraph.testing.plugin FILES

It serves `ngraph`, `pytest.config` of old pytest and the fixtures that the tests expect, and leaves
the conftests of the test suite out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

MARKERS = (
    "hetr_only: for the transformer of several processes",
    "hetr_gpu_only: for several GPUs",
    "flex_only: for the transformer of fixed-point numbers",
    "transformer_dependent: collected for every transformer",
    "separate_execution: not beside other tests",
    "other_transformer: something about a transformer that anode has not",
)


def _disabled(*args: Any, **kwargs: Any) -> Any:
    """A mark of another transformer: a test or a parameter that it is put on stays as it is."""
    return args[0] if args else pytest.mark.other_transformer


class OldConfig:
    """`pytest.config` as pytest 3 had it, with the marks of the suite's conftest."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def __getattr__(self, name: str) -> Any:
        if name.endswith(("_disabled", "_skip", "_only")):
            return _disabled
        if name.endswith("_skip_now"):
            return lambda *args, **kwargs: None
        return getattr(self._config, name)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    early_config.known_args_namespace.noconftest = True
    _serve()


def _serve() -> None:
    from anode.frontends.numpy_names import restore
    from anode.frontends.serve import install

    install("ngraph")
    restore()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ngraph")
    group.addoption("--transformer", default="cpu", help="the transformer that tests use")
    group.addoption("--batch_size", type=int, default=8, help="rows of the input_tensor fixture")
    group.addoption("--hetr_device", action="append", default=[], help="a device of hetr tests")


def pytest_configure(config: pytest.Config) -> None:
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    pytest.config = OldConfig(config)  # type: ignore[attr-defined]


def pytest_unconfigure() -> None:
    if hasattr(pytest, "config"):
        del pytest.config


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "hetr_device" in metafunc.fixturenames:
        metafunc.parametrize("hetr_device", metafunc.config.getoption("hetr_device"))


@pytest.fixture(scope="module", autouse=True)
def transformer_factory(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Any]]:
    """A function that lets make_transformer make the named transformer, and gives its factory."""
    from anode.frontends.ngraph import transformers as ngt

    def set_and_get(name: str) -> Any:
        factory = ngt.make_transformer_factory(name)
        ngt.set_transformer_factory(factory)
        return factory

    chosen = request.config.getoption("--transformer")
    # As in the suite's conftest: what set_transformer_factory takes, for one module.
    yield set_and_get(chosen)
    set_and_get("cpu")


def _axis(name: str, length: Any = None) -> Any:
    from anode.frontends import ngraph as ng

    return ng.make_axis(length=length, name=name)


def _placeholder(*axes: Any) -> Any:
    from anode.frontends import ngraph as ng

    return ng.placeholder(ng.make_axes(axes))


@pytest.fixture(params=[10])
def height(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[10])
def width(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[0])
def extra_feature_axes(request: pytest.FixtureRequest) -> list[Any]:
    return [_axis(f"feature_{i}", 1) for i in range(request.param)]


@pytest.fixture
def batch_axis(batch_size: int) -> Any:
    return _axis("N", batch_size)


@pytest.fixture
def recurrent_axis(sequence_length: int) -> Any:
    return _axis("REC", sequence_length)


@pytest.fixture
def input_axis(input_size: int) -> Any:
    return _axis("input", input_size)


@pytest.fixture
def output_axis(output_size: int) -> Any:
    return _axis("hidden", output_size)


@pytest.fixture
def spatial_axes(height: int, width: int) -> Any:
    from anode.frontends import ngraph as ng

    return ng.make_axes([_axis("H", height), _axis("W", width)])


@pytest.fixture
def channel_axis(input_size: int) -> Any:
    return _axis("C", input_size)


@pytest.fixture
def input_placeholder(input_axis: Any, batch_axis: Any, extra_feature_axes: list[Any]) -> Any:
    return _placeholder(*extra_feature_axes, input_axis, batch_axis)


@pytest.fixture
def recurrent_input(
    input_axis: Any, recurrent_axis: Any, batch_axis: Any, extra_feature_axes: list[Any]
) -> Any:
    return _placeholder(*extra_feature_axes, input_axis, recurrent_axis, batch_axis)


@pytest.fixture
def conv_input_placeholder(channel_axis: Any, spatial_axes: Any, batch_axis: Any) -> Any:
    return _placeholder(channel_axis, *spatial_axes, batch_axis)
