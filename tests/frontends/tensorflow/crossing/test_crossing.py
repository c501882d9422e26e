"""Checkpoints of many models cross over, from us to TensorFlow and back, bit for bit."""

import json

import numpy as np
import pytest

from tests.frontends.tensorflow.crossing.models import MODELS

pytestmark = pytest.mark.slow
CLOSE = {"rtol": 2e-4, "atol": 2e-5}
LOOSE = {"rtol": 1e-2, "atol": 1e-3}  # numbers of half precision


def crossed(run, folder, saver, restorer):
    for side, action in ((saver, "save"), (restorer, "restore")):
        assert run(side, "cross.py", action, folder) == ["{}"]
    for model in MODELS:
        saved, restored = (folder / model.__name__ / side for side in ("save", "restore"))
        assert (saved / "list.json").read_text() == (restored / "list.json").read_text()
        names = [name for name, _ in json.loads((saved / "list.json").read_text())]
        compare(model.__name__, names, saved, restored)


def compare(model, names, saved, restored):
    """Equal bits when restored, close values a step later; and all the file lists was compared."""
    there, here = (np.load(s / "before.npz", allow_pickle=True) for s in (saved, restored))
    assert sorted(there) == sorted(here), model
    whole = {name.replace("|", "/").partition("/part_")[0] for name in there}
    assert set(names) == whole or any("/part_" in name.replace("|", "/") for name in there), model
    for name in there:
        assert there[name].dtype == here[name].dtype, (model, name)
        assert there[name].shape == here[name].shape, (model, name)
        assert there[name].tolist() == here[name].tolist(), (model, name)
        if there[name].dtype != object:
            assert there[name].tobytes() == here[name].tobytes(), (model, name)
    there, here = (np.load(s / "after.npz", allow_pickle=True) for s in (saved, restored))
    for name in there:
        if there[name].dtype == object:
            assert there[name].tolist() == here[name].tolist(), (model, name)
        else:
            near = LOOSE if there[name].dtype == np.float16 else CLOSE
            np.testing.assert_allclose(here[name], there[name], err_msg=f"{model} {name}", **near)


@pytest.mark.parametrize("saver", ["anode", "tensorflow"])
def test_models_cross_over(run, tmp_path, saver):
    assert len(MODELS) >= 20
    (restorer,) = {"anode", "tensorflow"} - {saver}
    crossed(run, tmp_path, saver, restorer)
