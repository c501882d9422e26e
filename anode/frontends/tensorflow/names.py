"""Where the names of `tensorflow` and its ops are declared; modules.py writes `names.txt`.

A text file, because it is read sooner than the same tables in Python are compiled.
"""

from __future__ import annotations

from pathlib import Path

_LINES = Path(__file__).with_name("names.txt").read_text(encoding="utf-8").splitlines()

# "nn.relu" -> "api.nn:relu", the module below this package
NAMES: dict[str, str] = dict(line.split(" ", 1) for line in _LINES if line[0] != "@")

# "MatMul" -> "anode.frontends.tensorflow.table.math"
TABLE: dict[str, str] = dict(line[1:].split(" ", 1) for line in _LINES if line[0] == "@")
