"""What the tests share: the backends that are there."""

import pytest

from anode.backends.base import BACKENDS


@pytest.fixture(params=BACKENDS)
def backend(request):
    """The name of each backend in turn."""
    pytest.importorskip(f"anode.backends.{request.param}.backend", exc_type=ImportError)
    return request.param
