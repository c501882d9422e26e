"""MTCNN's frozen graph, loops, branches and all, finds the faces that TensorFlow finds."""

import json

import numpy as np
import pytest

from tests.frontends.tensorflow.crossing import mtcnn

RECORDED = json.loads((mtcnn.DATA / "mtcnn.json").read_text())
pytest.importorskip("PIL", reason="Pillow reads the pictures")


@pytest.fixture(scope="module")
def pictures():
    return mtcnn.pictures()


@pytest.mark.skipif(not mtcnn.GRAPH.exists(), reason=f"there is no {mtcnn.GRAPH}")
def test_boxes(tf, pictures):
    session = mtcnn.load(tf)
    for name in (*RECORDED, "one"):  # again, when what was compiled is met by other sizes
        found = mtcnn.detect(session, pictures[name])
        for key, expected in RECORDED[name].items():
            assert len(found[key]) == len(expected), (name, key)
            if expected:
                np.testing.assert_allclose(found[key], expected, rtol=0, atol=1e-3)
