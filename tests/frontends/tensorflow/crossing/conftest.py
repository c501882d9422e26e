"""The two sides: anode's Python, and that of an environment with TensorFlow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.environments import CONTESTANTS, installed

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def run():
    """Run a script of this folder on a side; gives the last line that it prints.

    ANODE_TEST_TENSORFLOW_PYTHON may name the Python of another TensorFlow.
    """
    named = os.environ.get("ANODE_TEST_TENSORFLOW_PYTHON")
    (contestant,) = [c for c in CONTESTANTS if c.environment == "tensorflow"]
    pythons = {"anode": sys.executable, "tensorflow": named or installed(contestant)}
    if pythons["tensorflow"] is None:
        pytest.skip("no TensorFlow: `anode bench` installs it")

    def done(side, script, *arguments):
        path = str(HERE.parents[3]) if side == "anode" else ""
        env = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [str(pythons[side]), str(HERE / script), *map(str, arguments)]
        found = subprocess.run(command, env=env, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr[-3000:]
        return found.stdout.splitlines()[-1:]

    return done
