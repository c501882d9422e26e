"""Loaders of images in neon's surface, and what changes their minibatches."""

import os

import numpy as np
import pytest
from PIL import Image

from anode.errors import DataError
from anode.frontends.neon import NervanaObject
from anode.frontends.neon.backends import gen_backend
from anode.frontends.neon.data import dataloader_transformers as transformers
from anode.frontends.neon.data.aeon_shim import AeonDataLoader
from anode.frontends.neon.data.convert_manifest import convert_manifest
from anode.frontends.neon.data.indexer import Indexer
from tests.data.pictures import encoded


@pytest.fixture
def be():
    before = NervanaObject.be
    yield gen_backend("cpu", rng_seed=0, batch_size=2)
    NervanaObject.be = before


@pytest.fixture
def config(tmp_path):
    """Three images of one colour each: red 10, 20, 30, green 100, blue 200."""
    for label in range(3):
        pixels = np.full((5, 4, 3), (10 + 10 * label, 100, 200), np.uint8)
        (tmp_path / f"{label}.png").write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    (tmp_path / "old.csv").write_text("".join(f"{i}.png,{i}.txt\n" for i in range(3)))
    convert_manifest(str(tmp_path / "old.csv"), str(tmp_path / "index.tsv"))
    for label in range(3):
        (tmp_path / f"{label}.txt").write_text(f"{label}\n")
    return {
        "manifest_filename": str(tmp_path / "index.tsv"),
        "manifest_root": str(tmp_path),
        "batch_size": 2,
        "etl": [{"type": "image", "height": 2, "width": 2}, {"type": "label", "binary": False}],
    }


def test_as_the_image_scripts_wrap_it(be, config):
    loader = transformers.OneHot(AeonDataLoader(config), index=1, nclasses=3)
    loader = transformers.TypeCast(loader, index=0, dtype=np.float32)
    loader = transformers.BGRMeanSubtract(loader, index=0)
    assert (loader.nbatches, loader.ndata, loader.shape) == (2, 3, (3, 2, 2))
    batches = [[t.get() for t in batch] for batch in loader]
    assert [batch[0].shape for batch in batches] == [(12, 2)] * 2
    x, y = batches[0]
    np.testing.assert_array_equal(x[::4].T, [[73, -19, -94], [73, -19, -84]])
    np.testing.assert_array_equal(y, [[1, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(batches[1][1], [[0, 1], [0, 0], [1, 0]])  # wraps round


def test_others(be, config, tmp_path):
    loader = AeonDataLoader(config)
    loader = transformers.TypeCast(loader, index=0, dtype=np.float32)
    halved = transformers.ValueNormalize(loader, index=0, target_range=[-1, 1])
    np.testing.assert_allclose(next(iter(halved))[0].get()[0], 2 * 200 / 255 - 1, rtol=1e-6)
    paired = next(iter(transformers.Retuple(loader, data=(0,), target=(1, 0))))
    assert len(paired) == 2 and len(paired[1]) == 2 and paired[0].shape == (12, 2)
    dumped = transformers.DumpImage(loader, 0, 1, (3, 2, 2), str(tmp_path / "out"))
    os.makedirs(tmp_path / "out")
    next(iter(dumped))
    (name,) = os.listdir(tmp_path / "out")
    assert Image.open(tmp_path / "out" / name).getpixel((0, 0)) == (20, 100, 200)


def test_labels_of_pixels(be):
    class Loader:
        def shapes(self):
            return ((4,),)

        def __iter__(self):
            yield (np.array([[0, 1], [1, 1], [0, 0], [1, 0]]),)

    (found,) = next(iter(transformers.PixelWiseOneHot(Loader(), 0, 2)))
    np.testing.assert_array_equal(
        found.get(), [[1, 0], [0, 0], [1, 1], [0, 1], [0, 1], [1, 1], [0, 0], [1, 0]]
    )


def test_a_loader_of_the_user_s(be, config):
    class Nothing(transformers.DataLoaderTransformer):
        def transform(self, t):
            return None

    with pytest.raises(ValueError, match="Nothing returned None"):
        next(iter(Nothing(AeonDataLoader(config), 0)))
    with pytest.raises(NotImplementedError, match="has no transform"):
        next(iter(transformers.DataLoaderTransformer(AeonDataLoader(config), 0)))
    be.bsz = 3
    with pytest.raises(ValueError, match="minibatches have 2 rows of image, the backend's 3"):
        next(iter(AeonDataLoader(config)))
    config["etl"][0] = {"type": "video"}
    with pytest.raises(DataError, match="not 'video'"):
        AeonDataLoader(config)


def test_an_index_of_a_folder(tmp_path):
    for name in ("b/2.jpg", "b/1.jpg", "a/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    Indexer(str(tmp_path), str(tmp_path / "index.csv"), "*.jpg").run()
    wanted = "filename,label1\na/1.jpg,0\nb/1.jpg,1\nb/2.jpg,1\n"
    assert (tmp_path / "index.csv").read_text() == wanted
