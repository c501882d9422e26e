"""What a convolution costs, by oneDNN and by generated code: a table, or what was measured here.

`anode tune` measures a model's convolutions and keeps the seconds in the folder of compiled code;
for all others there is the table, which knows classes of shapes.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path

from anode.backends.cpu import cache
from anode.backends.cpu.onednn_conv import DATA, FORWARD, WEIGHTS, Problem

FILE = "convolutions.json"
Seconds = tuple[float, float]  # by oneDNN, by generated code
KINDS = (FORWARD, DATA, WEIGHTS)

# Shares of one core's peak in f32 that (oneDNN, generated code) reach, forward, by data and by
# weights. Measured on Zen 4 (AVX-512, AVX512_BF16) with `benchmarks/conv_kernel.py --threads 1`:
# the middle of the layers of a class. Classes that bf16 lacks are taken to compare as in f32.
_Pair = tuple[float, float]
SHARES: Mapping[str, Mapping[str, tuple[_Pair, _Pair, _Pair]]] = {
    "f32": {
        "wide": ((1.00, 0.87), (1.00, 0.88), (0.91, 0.88)),
        "narrow": ((0.83, 0.80), (0.87, 0.80), (0.92, 0.80)),
        "strided": ((0.66, 0.56), (0.55, 0.67), (0.74, 0.68)),
        "few channels": ((0.85, 0.68), (0.28, 0.50), (0.87, 0.74)),
        "pointwise": ((0.35, 0.48), (0.23, 0.41), (0.74, 0.87)),
        "thin groups": ((0.80, 0.50), (0.90, 0.47), (0.90, 0.44)),
        "depthwise": ((0.42, 0.33), (0.36, 0.25), (0.42, 0.18)),
    },
    "bf16": {
        "wide": ((1.97, 1.77), (1.94, 1.74), (1.54, 1.56)),
        "narrow": ((1.70, 1.23), (1.66, 1.22), (1.27, 0.96)),
        "few channels": ((1.42, 1.15), (0.29, 0.83), (1.34, 1.13)),
    },
}
MOST_BORDERS = 1.5
LANES = 16  # filters or channels that oneDNN computes at once: what is missing is computed as zeros


@dataclass(frozen=True)
class Choice:
    """Whether the library is called, and the costs of both in words."""

    library: bool
    reason: str


@dataclass(frozen=True)
class Costs:
    """Measured seconds by the name of a convolution; for all others the table of shares.

    `only` takes oneDNN or generated code wherever it can, whatever it costs.
    """

    measured: Mapping[str, Seconds] = field(default_factory=dict)
    only: bool | None = None

    @property
    def key(self) -> str:
        """A name of these costs."""
        facts = json.dumps([sorted(self.measured.items()), self.only])
        return hashlib.sha256(facts.encode()).hexdigest()[:16]

    def compare(self, problem: Problem, tasks: int, threads: int) -> Choice:
        """The choice for a convolution that oneDNN computes as `tasks` of this problem."""
        if self.only is not None:
            return Choice(self.only, "as it was asked for")
        found = self.measured.get(name_of(problem, tasks, threads))
        if found is not None:
            library, generated = found
            text = f"measured {library * 1e3:.3g} ms by oneDNN, {generated * 1e3:.3g} ms generated"
            return Choice(library < generated, text)
        kind = shape_class(problem)
        known = {**SHARES["f32"], **SHARES[problem.dtype]}
        share, generated = known[kind][KINDS.index(problem.kind)]
        library = share * _filled(problem) * min(tasks, threads) / threads
        generated /= _borders(problem)
        text = f"{library:.0%} of peak by oneDNN, {generated:.0%} generated"
        return Choice(library > generated, f"{text} ({kind}, {problem.kind})")

    @staticmethod
    def load() -> Costs:
        """What was measured on this machine; no file, or a damaged one, is nothing measured."""
        path = table_path()
        try:
            found = json.loads(path.read_text()) if path else {}
            return Costs({name: (float(a), float(b)) for name, (a, b) in found.items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return Costs()


def save(measured: Mapping[str, Seconds]) -> Path | None:
    """Add measured costs to the kept ones: the file, written whole; None if none is kept."""
    path = table_path()
    if path is None:
        return None
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    with os.fdopen(handle, "w") as file:
        json.dump({**Costs.load().measured, **measured}, file, indent=0)
    os.replace(temporary, path)
    return path


def shape_class(problem: Problem) -> str:
    """The class of shapes that costs are alike in."""
    c, o = problem.channels // problem.groups, problem.filters // problem.groups
    if problem.groups > 1 and min(c, o) < 2 * LANES:
        return "depthwise" if c == 1 else "thin groups"
    if max(problem.kernel) == 1:
        return "pointwise"
    if c < LANES // 2:
        return "few channels"
    if max(problem.strides) > 1:
        return "strided"
    return "narrow" if min(c, o) < 2 * LANES else "wide"


def _filled(problem: Problem) -> float:
    """The share of oneDNN's lanes that do work: filters, or by data channels, come in LANES."""
    side = problem.channels if problem.kind == DATA else problem.filters
    side = side if problem.channels == problem.groups else side // problem.groups
    return side / (-(-side // LANES) * LANES)


def _borders(problem: Problem) -> float:
    """How many times longer generated code takes by data where windows lie inside of the image.

    It multiplies by zeros at the borders, or where there were too many of them adds up afterwards.
    """
    if problem.kind != DATA or max(problem.strides) > 1:
        return 1.0
    sides = zip(problem.sizes, problem.low, problem.high, strict=True)
    return min(MOST_BORDERS, prod([n + a + b for n, a, b in sides]) / max(1, prod(problem.out)))


def name_of(problem: Problem, tasks: int, threads: int) -> str:
    """What the measured costs of a convolution are kept under."""
    values = asdict(problem) | {"bias": False, "post": ()}  # what follows costs both the same
    return json.dumps([*values.values(), tasks, threads])


def table_path() -> Path | None:
    """The file of measured costs; None where nothing is kept."""
    folder = cache.folder()
    return None if folder is None else folder / FILE
