"""AeonDataLoader as ngraph's scripts use it: dicts of arrays, and when they end."""

import numpy as np
import pytest
from PIL import Image

from anode.errors import DataError
from anode.frontends import ngraph as ng
from anode.frontends.ngraph import transformers as ngt
from anode.frontends.ngraph.frontends.neon.aeon_shim import AeonDataLoader
from tests.data.pictures import encoded


@pytest.fixture
def config(tmp_path):
    """Three images whose blue is their label."""
    for label in range(3):
        pixels = np.full((2, 2, 3), (0, 0, label), np.uint8)
        (tmp_path / f"{label}.png").write_bytes(encoded(Image.fromarray(pixels), "PNG"))
    lines = ["@FILE\tSTRING", *(f"{i}.png\t{i}" for i in range(3))]
    (tmp_path / "index.tsv").write_text("\n".join(lines))
    return {
        "manifest_filename": str(tmp_path / "index.tsv"),
        "batch_size": 2,
        "etl": [
            {"type": "image", "channels": 3, "height": 2, "width": 2},
            {"type": "label", "binary": False},
        ],
    }


def labels(loader):
    return [batch["label"].tolist() for batch in loader]


def test_minibatches_end_as_the_mode_says(config):
    loader = AeonDataLoader(config)
    assert loader.ndata == 3
    assert labels(loader) == [[0, 1], [2, 0]] and labels(loader) == []
    loader.reset()
    batch = next(loader)
    np.testing.assert_array_equal(batch["image"][:, 0], [np.zeros((2, 2)), np.ones((2, 2))])
    count = {"iteration_mode": "COUNT", "iteration_mode_count": 3}
    assert labels(AeonDataLoader(config | count)) == [[0, 1], [2, 0], [0, 1]]
    endless = AeonDataLoader(config | {"iteration_mode": "INFINITE"})
    assert [next(endless)["label"].tolist() for _ in range(5)][4] == [0, 1]


def test_placeholders_take_the_minibatches(config):
    loader = AeonDataLoader(config)
    inputs = loader.make_placeholders(include_iteration=True)
    assert [axis.name for axis in inputs["image"].axes] == ["N", "C", "H", "W"]
    assert sorted(inputs) == ["image", "iteration", "label"]
    given = loader.make_input_ops(None, None, inputs["label"].axes[0], "cpu", "0")
    total = ng.sum(given["image"], out_axes=()) + ng.sum(given["label"], out_axes=())
    f = ngt.make_transformer().computation(total, given["image"], given["label"])
    batch = next(loader)
    assert f(batch["image"], batch["label"]) == 5  # four pixels and a label of 1


@pytest.mark.parametrize(
    "change, said",
    [
        ({"iteration_mode": "TWICE"}, "iteration_mode is 'TWICE'"),
        ({"iteration_mode": "COUNT"}, "a count from 1"),
        ({"etl": [{"type": "video"}]}, "not 'video'"),
    ],
)
def test_what_it_does_not_do(config, change, said):
    with pytest.raises(DataError, match=said):
        AeonDataLoader(config | change)
    with pytest.raises(DataError, match="no client of aeon's server"):
        AeonDataLoader(config).make_input_ops("127.0.0.1", 34568, None, "cpu", "0")
    with pytest.raises(ValueError, match="smaller than the batch size"):
        AeonDataLoader(config | {"batch_size": 4})
