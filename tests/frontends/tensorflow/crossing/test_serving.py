"""SavedModels that one side exports predict the same when the other one loads them."""

import numpy as np
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("exporter", ["anode", "tensorflow"])
def test_models_are_served_by_both(run, tmp_path, exporter):
    run(exporter, "serving.py", "export", tmp_path)
    expected = np.load(tmp_path / "export.npz")
    for side in ("anode", "tensorflow"):
        run(side, "serving.py", "load", tmp_path)
        for name in ("simple", "built"):
            found = np.load(tmp_path / f"{name}.npz")
            np.testing.assert_allclose(found["y"], expected["y"], rtol=1e-5, atol=1e-6)
            assert found["word"].tolist() == expected["word"].tolist()
