"""What the tests share: the backends."""

import pytest

from anode.backends.base import BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The name of each backend in turn. One that cannot be loaded fails its tests."""
    return request.param
