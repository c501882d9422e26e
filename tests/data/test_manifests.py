"""Images listed in manifests, in aeon's configuration."""

import io

import numpy as np
import pytest
from PIL import Image

from anode.data.manifests import ManifestLoader
from anode.errors import DataError
from tests.data.pictures import encoded


@pytest.fixture
def config(tmp_path):
    """Seven images of 6x4, red is 30 times the label, with a column of grey 7 in the middle."""
    lines = ["@FILE\tSTRING"]
    for label in range(7):
        pixels = np.zeros((4, 6, 3), np.uint8)
        pixels[..., 0], pixels[..., 2] = 30 * label, np.arange(6) * 40
        (tmp_path / f"{label}.png").write_bytes(encoded(Image.fromarray(pixels), "PNG"))
        lines.append(f"{label}.png\t{label}")
    (tmp_path / "index.tsv").write_text("\n".join(lines))
    return {
        "manifest_filename": str(tmp_path / "index.tsv"),
        "manifest_root": str(tmp_path),
        "batch_size": 3,
        "block_size": 5000,
        "etl": [{"type": "image", "height": 4, "width": 4}, {"type": "label", "binary": False}],
        "augmentation": [{"type": "image", "scale": [1.0, 1.0], "crop_enable": True}],
    }


def labels(loader):
    return [dict(batch)["label"].ravel().tolist() for batch in loader]


def test_minibatches(config):
    loader = ManifestLoader(config)
    assert loader.ndata == 7 and len(loader) == 3
    assert loader.axes_info == [("image", [("C", 3), ("H", 4), ("W", 4)]), ("label", [("L", 1)])]
    first, *_ = loader
    image, label = dict(first)["image"], dict(first)["label"]
    assert image.shape == (3, 3, 4, 4) and image.dtype == np.uint8 and label.dtype == np.uint32
    np.testing.assert_array_equal(image[:, 2, 0, 0], [0, 30, 60])  # blue, green, red
    np.testing.assert_array_equal(image[0, 0, 0], [40, 80, 120, 160])  # the middle
    assert labels(loader) == [[0, 1, 2], [3, 4, 5], [6, 0, 1]]


def test_forms_of_images(config):
    config["etl"][0] |= {"bgr_to_rgb": True, "channel_major": False}
    image = dict(next(iter(ManifestLoader(config))))["image"]
    np.testing.assert_array_equal(image[1, 0, :, 0], [30] * 4)
    config["etl"][0] |= {"channels": 1}
    image = dict(next(iter(ManifestLoader(config))))["image"]
    assert image.shape == (3, 4, 4, 1)
    config["augmentation"][0]["crop_enable"] = False
    image = dict(next(iter(ManifestLoader(config))))["image"]
    assert image[0, 0, 0, 0] < image[0, 0, 3, 0]


def test_order_and_crops_are_seeded(config):
    config |= {"shuffle_enable": True, "random_seed": 3}
    config["augmentation"][0] |= {"center": False, "flip_enable": True, "scale": [0.5, 0.9]}
    one, other = ManifestLoader(config), ManifestLoader(config)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(dict(a)["image"], dict(b)["image"])
    second = labels(one)
    assert labels(other) == second and second != [[0, 1, 2], [3, 4, 5], [6, 0, 1]]
    loader = ManifestLoader(config | {"subset_fraction": 0.5})
    assert loader.ndata == 3 and len(labels(loader)[0]) == 3


def test_colours(config):
    changes = {"contrast": [0.5, 0.5], "brightness": [1.5, 1.5], "saturation": [0.0, 0.0]}
    config["augmentation"][0] |= changes
    image = dict(next(iter(ManifestLoader(config))))["image"]
    np.testing.assert_array_equal(image[:, 0], image[:, 2])  # without saturation all are grey
    grey = 0.114 * np.array([40, 80, 120, 160])
    wanted = grey * 0.75 + grey.mean() * 0.75
    np.testing.assert_allclose(image[0, 0, 0], wanted, atol=1)
    config["augmentation"] = [{"type": "image", "lighting": [0.0, 0.5]}]
    assert dict(next(iter(ManifestLoader(config))))["image"].std() > 0


def test_padding_moves_the_image_and_keeps_its_size(config):
    config["etl"][0] |= {"width": 6}
    whole = dict(next(iter(ManifestLoader(config))))["image"]
    config["augmentation"] = [{"type": "image", "padding": 2, "crop_enable": False}]
    config |= {"batch_size": 7, "random_seed": 1}
    places = set()
    for image, label in zip(*dict(next(iter(ManifestLoader(config)))).values(), strict=True):
        value = 30 * int(label[0])
        if not value:
            continue  # its red is that of the border
        down, across = (int(where[0]) for where in np.nonzero(image[2] == value))
        rows, columns = (int(np.count_nonzero((image[2] == value).any(axis))) for axis in (1, 0))
        seen = image[0, down : down + rows, across : across + columns]
        assert any(
            np.array_equal(seen, whole[1, 0, :rows, start : start + columns])
            for start in range(7 - columns)
        )
        assert np.count_nonzero(image[2]) == rows * columns
        places.add((down, across, rows, columns))
    assert len(places) > 1


def test_the_first_form_of_configurations(config):
    later = ManifestLoader(config)
    first = {
        "manifest_filename": config["manifest_filename"],
        "manifest_root": config["manifest_root"],
        "type": "image,label",
        "minibatch_size": 3,
        "image": {"height": 4, "width": 4, "scale": [1.0, 1.0]},
        "label": {"binary": False},
    }
    assert labels(ManifestLoader(first)) == labels(later)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"etl": [{"type": "audio"}]}, "reads 'image' and 'label', not 'audio'"),
        ({"remote": {}}, "'remote' is not there"),
        ({"augmentation": [{"type": "image", "angle": [-20, 20]}]}, "'angle' is not there"),
        ({"augmentation": [{"type": "image", "scale": [0.0, 2.0]}]}, "cannot be made"),
        ({"augmentation": [{"type": "image", "padding": 4}]}, "needs crop_enable=False"),
        ({"manifest_filename": "/nowhere"}, "cannot be read"),
        ({"etl": [{"type": "image", "height": 4, "width": 4, "seed": 1}]}, "no option 'seed'"),
    ],
)
def test_what_is_not_there_is_an_error(config, change, said):
    with pytest.raises(DataError, match=said):
        ManifestLoader(config | change)


@pytest.mark.parametrize(
    "text, said",
    [
        ("0.png,0\n", "has no header"),
        ("@FILE\tWHAT\n0.png\t0", "not of 2 known columns"),
        ("@FILE\tSTRING\n0.png", "not every line has 2 columns"),
        ("@FILE\tSTRING\n", "or there is none"),
    ],
)
def test_manifests_of_another_form(config, tmp_path, text, said):
    (tmp_path / "index.tsv").write_text(text)
    with pytest.raises(DataError, match=said):
        ManifestLoader(config)


def test_files_that_are_no_images(config, tmp_path):
    (tmp_path / "1.png").write_bytes(io.BytesIO(b"no image").getvalue())
    with pytest.raises(DataError, match=r"1\.png: it is no image"):
        list(ManifestLoader(config))
