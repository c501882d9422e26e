"""What the tests share: the backends that are there."""

from importlib.util import find_spec

import pytest

from anode.backends.base import BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The name of each backend in turn."""
    if find_spec(f"anode.backends.{request.param}.backend") is None:
        pytest.skip(f"this anode has no {request.param} backend")
    return request.param
