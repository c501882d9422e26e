"""musicnn's nets, trained with TensorFlow 1, hear here what they hear there."""

import subprocess
import sys
import zipfile

import numpy as np
import pytest

from benchmarks.environments import CACHE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models():
    """The folder of the models; the package is only unpacked, not installed."""
    folder = CACHE / "musicnn"
    if not (folder / "musicnn").exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "musicnn==0.1.0"]
        done = subprocess.run([*pip, "--dest", str(folder)], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"musicnn cannot be downloaded: {done.stderr.strip()[-200:]}")
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as file:
            file.extractall(folder)
    return folder / "musicnn"


def test_the_tags_are_tensorflows(run, models, tmp_path):
    for side in ("anode", "tensorflow"):
        run(side, "musicnn.py", models, tmp_path / f"{side}.npz")
    ours, theirs = np.load(tmp_path / "anode.npz"), np.load(tmp_path / "tensorflow.npz")
    assert len(ours.files) == 4 and set(ours.files) == set(theirs.files)
    for name in ours.files:
        assert ours[name].shape == (4, 50)
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-6, err_msg=name)
