"""What the tests share: the backends, and that no test is about time."""

import gc

import pytest
from hypothesis import HealthCheck, settings

from anode.backends.base import BACKENDS

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_finish():
    """Let the collector skip what lives until the end: it took a sixth of a run to look at it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The name of each backend in turn. One that cannot be loaded fails its tests."""
    return request.param
