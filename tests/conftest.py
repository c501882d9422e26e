"""What the tests share: the backends, and that no test is about time."""

import pytest
from hypothesis import HealthCheck, settings

from anode.backends.base import BACKENDS

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The name of each backend in turn. One that cannot be loaded fails its tests."""
    return request.param
