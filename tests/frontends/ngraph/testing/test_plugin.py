import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("configargparse")
SUITE = """
import numpy as np
import pytest
import ngraph as ng
from ngraph.frontends.neon import Affine, ConstantInit
from ngraph.testing import ExecutorFactory

pytestmark = [pytest.mark.transformer_dependent, pytest.config.flex_disabled(reason="other")]


@pytest.fixture(params=[4])
def batch_size(request):
    return request.param


@pytest.fixture(params=[3])
def input_size(request):
    return request.param


@pytest.config.argon_disabled
@pytest.mark.parametrize("flag", [pytest.config.argon_disabled(True), False])
def test_layer(transformer_factory, input_placeholder, flag):
    out = Affine(ConstantInit(2.0), 5)(input_placeholder)
    with ExecutorFactory() as ex:
        found = ex.executor(out, input_placeholder)(np.ones((3, 4)))
    assert np.float(found[0, 0]) == 6.0 and flag in (True, False)
"""


def test_old_tests_run_without_their_conftest(tmp_path):
    (tmp_path / "conftest.py").write_text("raise RuntimeError('for pytest 3')")
    (tmp_path / "test_old.py").write_text(SUITE)
    plugin = ["-p", "anode.frontends.ngraph.testing.plugin", "-p", "no:cacheprovider"]
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin, str(tmp_path / "test_old.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True,
        text=True,
    )
    assert "2 passed" in found.stdout, found.stdout + found.stderr
