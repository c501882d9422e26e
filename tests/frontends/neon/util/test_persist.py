"""Files: protocol 2, NumPy's old names, and nothing but data."""

import pickle
import pickletools

import numpy as np
import pytest

from anode.frontends.neon.util.persist import load_class, load_obj, save_obj

DATA = {
    "params": {"W": np.arange(6, dtype=np.float32).reshape(2, 3)},
    "rng_state": np.random.RandomState(0).get_state(),
    "shape": (3, np.int64(4)),
    "text": "W",
}


def test_a_file_is_read_back(tmp_path):
    path = tmp_path / "deep" / "model.prm"
    save_obj(DATA, str(path))
    found = load_obj(str(path))
    np.testing.assert_array_equal(found["params"]["W"], DATA["params"]["W"])
    np.testing.assert_array_equal(found["rng_state"][1], DATA["rng_state"][1])
    assert found["shape"] == (3, 4)


def test_neon_2_6_can_read_it(tmp_path):
    """Of Python 3.6 and NumPy 1.13 are protocol 2 and modules below numpy.core."""
    save_obj(DATA, str(tmp_path / "model.prm"))
    content = (tmp_path / "model.prm").read_bytes()
    operations = list(pickletools.genops(content))
    assert operations[0][1] == 2
    names = {argument for operation, argument, _ in operations if operation.name == "GLOBAL"}
    assert "numpy.core.multiarray _reconstruct" in names
    assert not any("_core" in name for name in names)


def test_other_names_are_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("called",))

    (tmp_path / "model.prm").write_bytes(pickle.dumps({"model": Evil()}, 2))
    with pytest.raises(pickle.UnpicklingError, match=r"asks for __builtin__\.print, which is no"):
        load_obj(str(tmp_path / "model.prm"))


def test_classes_are_found_by_neons_names():
    from anode.frontends.neon.layers.layer import Linear

    assert load_class("neon.layers.layer.Linear") is Linear
    assert load_class("Linear") is Linear
