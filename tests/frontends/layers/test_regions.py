"""RoiPooling in models: against NumPy, in training, and what it refuses."""

import numpy as np
import pytest

from anode import layers as nn
from anode.errors import ShapeError

RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((2, 6, 8, 3)).astype("f4")
BOXES = np.float32([[[0, 0, 15, 11], [4, 2, 9, 7]], [[6, 6, 6, 6], [2, 0, 13, 3]]])


def pooled(image, box, scale, cells):
    """The maxima of a region's cells (c, *cells), as in Fast R-CNN."""
    left, top, right, bottom = np.floor(box * scale + 0.5).astype(int)
    size = max(bottom - top + 1, 1) / cells[0], max(right - left + 1, 1) / cells[1]
    found = np.zeros((image.shape[-1], *cells))
    for i in range(cells[0]):
        for j in range(cells[1]):
            rows, columns = (
                slice(
                    min(max(start + int(np.floor(at * step)), 0), limit),
                    min(max(start + int(np.ceil((at + 1) * step)), 0), limit),
                )
                for at, step, start, limit in zip(
                    (i, j), size, (top, left), image.shape, strict=False
                )
            )
            found[:, i, j] = image[rows, columns].max((0, 1))
    return found


def test_maxima_of_regions(backend):
    model = nn.Model([nn.RoiPooling((2, 3), spatial_scale=0.5)], backend=backend)
    found = model.predict((X, BOXES))
    wanted = [
        [pooled(image, box, 0.5, (2, 3)).ravel() for box in boxes]
        for image, boxes in zip(X, BOXES, strict=True)
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    whole = model.predict((X, BOXES.astype("i4")))
    np.testing.assert_array_equal(whole, found)


def test_means_of_regions():
    flat = np.broadcast_to(np.float32([1, 2, 3]), X.shape)
    model = nn.Model([nn.RoiPooling((2, 2), spatial_scale=0.5, op="avg")], backend="reference")
    found = model.predict((np.ascontiguousarray(flat), BOXES))
    np.testing.assert_allclose(found, np.broadcast_to(np.repeat([1, 2, 3], 4), (2, 2, 12)))


def detector(**options):
    return nn.Model(
        [
            nn.Conv((3, 3, 4), padding=1, bias=0.0, activation=nn.Rectlin(), name="maps"),
            nn.RoiPooling((2, 2), spatial_scale=0.5, **options),
            nn.Affine(2, bias=0.0, activation=nn.Softmax()),
        ],
        backend="cpu",
        data_format="channels_first",
    )


@pytest.mark.parametrize("enabled", [True, False])
def test_each_region_is_classified(enabled, tmp_path):
    model, x = detector(bprop_enabled=enabled), np.moveaxis(X, -1, 1).copy()
    labels = np.int32([[0, 1], [1, 0]])
    model.build((x, BOXES))
    before = model.state.named("maps.weight").copy()
    step = model.training_step(nn.PerStep(nn.CrossEntropyMulti()), nn.Adam(0.05))
    costs = [float(step((x, BOXES), labels)) for _ in range(20)]
    assert costs[-1] < costs[0] / 2
    assert (model.state.named("maps.weight") != before).any() == enabled
    model.save(tmp_path / "model")
    again = detector()
    again.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict((x, BOXES)), model.predict((x, BOXES)))


def test_what_is_refused():
    with pytest.raises(ShapeError, match=r"takes minibatches \(images, regions\)"):
        nn.Model([nn.RoiPooling()]).predict(X)
    with pytest.raises(ShapeError, match="has no RoiPooling that takes the regions"):
        nn.Model([nn.Affine(2)]).predict((X, BOXES))
    with pytest.raises(ShapeError, match="images and their regions"):
        nn.Model([nn.RoiPooling()]).predict((X, BOXES[:, :, :3]))
    with pytest.raises(ShapeError, match="there is no op 'sum'"):
        nn.RoiPooling(op="sum")
