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
from pathlib import Path

from anode.backends.cpu import cache
from anode.backends.cpu.onednn_conv import DATA, FORWARD, WEIGHTS, Problem

FILE = "convolutions.json"
Seconds = tuple[float, float]  # by oneDNN, by generated code
KINDS = (FORWARD, DATA, WEIGHTS)

# Shares of one core's peak in f32 that (oneDNN, generated code) reach, forward, by data and by
# weights. Measured on Zen 4 (AVX-512, AVX512_BF16) with `benchmarks/conv_kernel.py --threads 1`:
# the middle of the layers of a class. Generated code keeps bf16 in memory but computes in f32.
_Pair = tuple[float, float]
SHARES: Mapping[str, Mapping[str, tuple[_Pair, _Pair, _Pair]]] = {
    "f32": {
        "wide": ((1.00, 0.84), (0.99, 0.82), (0.87, 0.80)),
        "narrow": ((0.90, 0.68), (0.90, 0.68), (0.97, 0.86)),
        "strided": ((0.77, 0.62), (0.60, 0.57), (0.83, 0.70)),
        "few channels": ((0.80, 0.56), (0.50, 0.50), (0.85, 0.54)),
        "pointwise": ((0.65, 0.80), (0.42, 0.60), (0.89, 0.97)),
        "thin groups": ((0.60, 0.48), (0.60, 0.43), (0.58, 0.36)),
        "depthwise": ((0.42, 0.35), (0.32, 0.25), (0.44, 0.18)),
    },
    "bf16": {
        "wide": ((1.85, 0.85), (1.90, 0.85), (1.53, 0.83)),
    },
}
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
        known = SHARES[problem.dtype]
        share, generated = known.get(kind, known["wide"])[KINDS.index(problem.kind)]
        library = share * _filled(problem) * min(tasks, threads) / threads
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
    if problem.groups > 1 and (c == 1 or min(c, o) < LANES):
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


def name_of(problem: Problem, tasks: int, threads: int) -> str:
    """What the measured costs of a convolution are kept under."""
    values = asdict(problem) | {"bias": False, "post": ()}  # what follows costs both the same
    return json.dumps([*values.values(), tasks, threads])


def table_path() -> Path | None:
    """The file of measured costs; None where nothing is kept."""
    folder = cache.folder()
    return None if folder is None else folder / FILE
