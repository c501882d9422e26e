"""A pooling layer may be configured anew, for images of another size."""

import numpy as np
import pytest

from anode.frontends.neon import NervanaObject
from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.layers import Pooling


@pytest.fixture(autouse=True)
def backend():
    before = NervanaObject.be
    yield gen_backend("cpu", rng_seed=0, batch_size=2)
    NervanaObject.be = before


def test_places_of_the_largest_have_the_images_size():
    layer = Pooling(2, strides=2)
    for size in (4, 8):
        layer.outputs = layer.nglayer = None
        layer.configure((3, size, size))
        layer.allocate()
        images = np.random.RandomState(size).rand(3, size, size, 2).astype(np.float32)
        found = layer.fprop(layer.be.array(images.reshape(-1, 2))).get()
        half = size // 2
        expected = images.reshape(3, half, 2, half, 2, 2).max(axis=(2, 4))
        np.testing.assert_array_equal(found, expected.reshape(-1, 2))
