"""Arrays of one element are numbers again in a run, and only those."""

import subprocess
import sys

SCRIPT = """
from anode.frontends.numpy_names import restore
restore()
restore()
import numpy as np

class Own(np.ndarray):
    pass

assert int(np.array([3])) == 3 and float(np.array([[2.5]])) == 2.5
assert float(np.array(1.5)) == 1.5 and int(np.float32(2)) == 2
assert "%d %.1f" % (np.array([3]), np.ones(1)) == "3 1.0"
assert float(np.ones((1, 1)).view(Own)) == 1
for wrong in (np.zeros(2), np.zeros(0)):
    try:
        float(wrong)
    except TypeError as error:
        assert "array" in str(error) or "only" in str(error)
    else:
        raise AssertionError
try:
    np.ndarray.more = 1
except TypeError:
    pass
else:
    raise AssertionError("the type is open")
"""


def test_arrays_as_numbers():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
