"""`nvis` draws the files that trainings write, whole ones and those cut short."""

import re

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")
pytest.importorskip("PIL")

from anode.errors import DataError  # noqa: E402
from anode.frontends.neon.visualizations import data, figure, nvis  # noqa: E402

BINS = 64


@pytest.fixture
def path(tmp_path):
    """A file of 3 epochs of 4, 3 and 4 minibatches, evaluated every second epoch, with pictures."""
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as file:
        config = file.create_group("config")
        config.attrs["total_epochs"], config.attrs["total_minibatches"] = 3, 12
        times = file.create_group("time_markers")
        times["minibatch"] = np.array([4, 7, 11], np.float32)
        times.attrs["epochs_complete"], times.attrs["minibatches_complete"] = 3, 11
        file["cost/train"] = np.linspace(2, 1, 12, dtype=np.float32)
        file["cost/train"].attrs["time_markers"] = "minibatch"
        file["cost/loss"] = np.array([1.5], np.float32)
        file["cost/loss"].attrs["time_markers"] = "epoch_freq"
        file["cost/loss"].attrs["epoch_freq"] = 2
        hist = file.create_group("hist")
        hist.attrs["bins"], hist.attrs["offset"] = BINS, -48
        hist.attrs["time_markers"], hist.attrs["time_steps"] = "epoch", 3
        hist["Linear_0_W"] = np.eye(BINS, 3, -40, dtype=np.int32)
        _add_deconv(file)
    return path


def _add_deconv(file):
    layer = file.create_group("deconv/max_act/0002")
    layer["batch_img"] = np.array([[0, 5], [0, 3]], np.uint16)
    layer["vis"] = np.zeros((2, 4, 4, 3), np.uint8)
    images = file.create_group("deconv/img/batch_0")
    images["HWC_uint8"] = np.arange(96, dtype=np.uint8).reshape(4, 4, 3, 2)
    images.attrs["5"], images.attrs["3"] = 1, 0


def test_times_are_those_of_minibatches_and_of_epochs_ends(path):
    lines = {name: (x, y) for name, x, y in data.h5_cost_data(path)}
    np.testing.assert_allclose(lines["train"][0][:6], [0, 0.25, 0.5, 0.75, 1, 4 / 3])
    assert len(lines["train"][0]) == len(lines["train"][1]) == 11
    np.testing.assert_allclose(lines["loss"], [[1 + 2 / 3], [1.5]])
    lines = {name: x for name, x, _ in data.h5_cost_data(path, epoch_axis=False)}
    np.testing.assert_array_equal(lines["train"], np.arange(11))
    np.testing.assert_array_equal(lines["loss"], [6])


def test_histograms_and_pictures_are_read(path):
    ((name, counts, height, width, bins, offset),) = data.h5_hist_data(path)
    assert (name, counts.shape, height, width, bins, offset) == (
        "Linear_0_W",
        (BINS, 3),
        BINS,
        3,
        BINS,
        -48,
    )
    ((layer, maps),) = data.h5_deconv_data(path)
    assert layer == "0002" and [fm for fm, _, _ in maps] == [0, 1]
    np.testing.assert_array_equal(maps[0][2], np.arange(96).reshape(4, 4, 3, 2)[..., 1])


def test_pages_hold_all_they_show(path, tmp_path, capsys):
    assert nvis.main(["-i", str(path), "-o", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "cost-hist.html").read_text()
    assert page.count("<svg") == 2 and ">train<" in page and "Linear_0_W" in page
    deconv = (tmp_path / "out" / "deconv.html").read_text()
    assert deconv.count("<figure>") == 2 and "Layer 0002" in deconv
    for text in (page, deconv):
        assert not re.search(r'(src|href)="(?!data:)', text)
    assert "cost-hist.html" in capsys.readouterr().out


def test_a_training_cut_short_is_drawn_as_far_as_it_got(path):
    with h5py.File(path, "a") as file:
        file["time_markers"].attrs["epochs_complete"] = 1
    lines = {name: x for name, x, _ in data.h5_cost_data(path)}
    assert len(lines["train"]) == 4 and len(lines["loss"]) == 0
    assert "<svg" in figure.cost_fig(data.h5_cost_data(path), 300, 400)


def test_another_file_is_an_error(tmp_path, capsys):
    other = tmp_path / "other.h5"
    h5py.File(other, "w").close()
    with pytest.raises(DataError, match="no training in it"):
        data.h5_cost_data(other)
    assert nvis.main(["-i", str(other), "-o", str(tmp_path)]) == 1
    assert "no training in it" in capsys.readouterr().err
