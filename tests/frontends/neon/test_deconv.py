"""Guided back-propagation finds the images that excite feature maps most, and their pixels."""

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from anode.frontends.neon import NervanaObject  # noqa: E402
from anode.frontends.neon.backends import gen_backend  # noqa: E402
from anode.frontends.neon.callbacks.callbacks import DeconvCallback  # noqa: E402
from anode.frontends.neon.data import ArrayIterator  # noqa: E402
from anode.frontends.neon.initializers import Gaussian  # noqa: E402
from anode.frontends.neon.layers import Affine, Conv, Pooling  # noqa: E402
from anode.frontends.neon.models import Model  # noqa: E402
from anode.frontends.neon.transforms import Rectlin, Softmax  # noqa: E402

BATCH, SIZE = 4, 6
RNG = np.random.RandomState(0)
IMAGES = RNG.uniform(-1, 1, (8, 2, SIZE, SIZE)).astype(np.float32)


@pytest.fixture(autouse=True)
def backend():
    before = NervanaObject.be
    yield gen_backend("cpu", rng_seed=0, batch_size=BATCH)
    NervanaObject.be = before


def made(*between):
    init = Gaussian(scale=0.5)
    layers = [
        Conv((3, 3, 3), init=init, activation=Rectlin()),
        *between,
        Conv((2, 2, 5), init=init, activation=Rectlin()),
        Affine(2, init=init, activation=Softmax()),
    ]
    data = ArrayIterator(
        IMAGES.reshape(8, -1), np.zeros(8, np.int32), nclass=2, lshape=(2, SIZE, SIZE)
    )
    model = Model(layers)
    model.initialize(data)
    callback = DeconvCallback(data, data, max_fm=5, dataset_pct=100)
    file = h5py.File("deconv", "w", driver="core", backing_store=False)
    callback.on_train_end(file, model)
    return model, callback, file


def forward(x, w, size):
    """The convolution of x [c, h, w] by w (c·r·s, k), and what it multiplies each output with."""
    out = x.shape[1] - size + 1
    windows = np.stack(
        [x[:, i : i + size, j : j + size].ravel() for i in range(out) for j in range(out)]
    )
    return (windows @ w).T.reshape(-1, out, out)


def backward(error, w, size):
    """The gradient of `forward` by x."""
    maps, out, _ = error.shape
    x = np.zeros((len(w) // size**2, out + size - 1, out + size - 1), np.float32)
    for k in range(maps):
        window = w[:, k].reshape(-1, size, size)
        for i in range(out):
            for j in range(out):
                x[:, i : i + size, j : j + size] += window * error[k, i, j]
    return x


def test_pictures_are_those_of_the_definition(capsys):
    model, callback, file = made()
    first, second = (model.layers.layers[i].W.get() for i in (0, 2))
    inner = [np.maximum(forward(image, first, 3), 0) for image in IMAGES]
    outer = np.stack([forward(image, second, 2) for image in inner])
    found = file["deconv/max_act/0002"]
    assert sorted(file["deconv/max_act"]) == ["0000", "0002"]
    for fm in range(5):
        place = int(outer[:, fm].argmax())
        image, location = divmod(place, outer[0, fm].size)
        assert tuple(found["batch_img"][fm]) == divmod(image, BATCH)
        assert found["fm_loc"][fm] == location
        largest = outer[:, fm].max()
        np.testing.assert_allclose(found["activation"][fm], largest, 1e-5)
        error = np.zeros_like(outer[0])
        error[fm].flat[location] = max(largest, 0)
        error = np.maximum(backward(error, second, 2) * (inner[image] > 0), 0)
        pixels = backward(error, first, 3) * (IMAGES[image] > 0)
        expected = callback.scale_to_rgb(pixels).transpose(1, 2, 0)
        np.testing.assert_allclose(found["vis"][fm], expected, atol=1.01)
    assert "Find Max Act Imgs" in capsys.readouterr().out


def test_the_images_are_in_the_file():
    _, _, file = made()
    for batch, stored in ((int(n.rpartition("_")[2]), g) for n, g in file["deconv/img"].items()):
        for column, place in stored.attrs.items():
            image = IMAGES[batch * BATCH + int(column)].transpose(1, 2, 0)
            kept = stored["HWC_uint8"][..., place].astype(float)
            assert np.corrcoef(kept.ravel(), image.ravel())[0, 1] > 0.999


def test_errors_pass_through_pooling():
    _, _, file = made(Pooling(2, strides=1))
    assert file["deconv/max_act/0003/vis"][...].any()
