"""What a convolution costs in each way to compute it: a table, or what was measured here.

`anode tune` measures a model's convolutions and keeps the seconds in the folder of compiled code;
for all others there is the table, which knows classes of shapes.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import prod
from pathlib import Path

from anode.backends.cpu import cache, phases, winograd, winograd_weights
from anode.backends.cpu.onednn_conv import DATA, FORWARD, WEIGHTS, Problem

FILE = "convolutions.json"
ONEDNN, GENERATED, WINOGRAD = WAYS = ("oneDNN", "generated", "Winograd")
Seconds = tuple[float, float, float]  # of each of WAYS; infinite where one has no kernel
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
        "wide": ((1.97, 1.77), (1.94, 1.74), (1.70, 1.73)),
        "narrow": ((1.70, 1.23), (1.66, 1.22), (1.33, 1.07)),
        "strided": ((1.74, 1.47), (1.27, 0.95), (1.24, 1.54)),
        "few channels": ((1.42, 1.15), (0.29, 0.83), (1.34, 1.13)),
    },
}
# The same of the products that Winograd's method takes, on both cores: its share of one core is
# smaller where others wait for memory. Few channels are computed so forward only: the other two
# numbers of theirs are those of narrow layers and choose nothing.
WINOGRAD_SHARES: Mapping[str, Mapping[str, tuple[float, float, float]]] = {
    "f32": {
        "wide": (0.68, 0.65, 0.53),
        "narrow": (0.38, 0.38, 0.41),
        "strided": (0.6, 0.6, 0.5),
        "few channels": (0.45, 0.38, 0.41),
    },
    "bf16": {
        "wide": (1.6, 1.5, 1.25),
        "narrow": (0.62, 0.72, 0.73),
        "strided": (1.54, 1.43, 1.14),
        "few channels": (0.9, 0.72, 0.73),
    },
}
FILTERS = 30.0  # operations that a core at its peak does while an element of filters is transformed
PHASES = 160.0  # likewise while an element of an image is moved to where its phase is
MOST_BORDERS = 1.5
LANES = 16  # filters or channels that oneDNN computes at once: what is missing is computed as zeros


@dataclass(frozen=True)
class Choice:
    """The way that is taken, one of WAYS, and the costs of all in words."""

    way: str
    reason: str


@dataclass(frozen=True)
class Costs:
    """Measured seconds by the name of a convolution; for all others the table of shares.

    `only` is the way that is taken wherever there is one, whatever it costs.
    """

    measured: Mapping[str, Seconds] = field(default_factory=dict)
    only: str | None = None

    @property
    def key(self) -> str:
        """A name of these costs."""
        facts = json.dumps([sorted(self.measured.items()), self.only])
        return hashlib.sha256(facts.encode()).hexdigest()[:16]

    def compare(
        self, problem: Problem, tasks: int, threads: int, ways: Sequence[str] = WAYS
    ) -> Choice:
        """The choice among `ways` for a convolution that is `tasks` times this problem."""
        if self.only is not None:
            return Choice(self.only if self.only in ways else GENERATED, "as it was asked for")
        found = self.measured.get(name_of(problem, tasks, threads))
        if found is not None:
            seconds = {way: s for way, s in zip(WAYS, found, strict=True) if way in ways}
            text = ", ".join(f"{s * 1e3:.3g} ms {_by(way)}" for way, s in seconds.items())
            return Choice(min(seconds, key=lambda way: seconds[way]), f"measured {text}")
        shares = {way: s for way, s in _shares(problem, tasks, threads).items() if way in ways}
        text = ", ".join(f"{share:.0%} {_by(way)}" for way, share in shares.items())
        best = max(shares, key=lambda way: shares[way])
        return Choice(best, f"of peak {text} ({shape_class(problem)}, {problem.kind})")

    @staticmethod
    def load() -> Costs:
        """What was measured on this machine; no file, or a damaged one, is nothing measured."""
        path = table_path()
        try:
            found = json.loads(path.read_text()) if path else {}
            return Costs({name: _three(*map(float, values)) for name, values in found.items()})
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


def _shares(problem: Problem, tasks: int, threads: int) -> dict[str, float]:
    """The shares of the peak of `threads` cores that each way reaches."""
    kind = shape_class(problem)
    known = {**SHARES["f32"], **SHARES[problem.dtype]}
    library, generated = known[kind][KINDS.index(problem.kind)]
    shares = {
        ONEDNN: library * _filled(problem) * min(tasks, threads) / threads,
        GENERATED: generated / _borders(problem),
    }
    whole = replace(problem, batch=problem.batch * tasks)
    if not winograd.refusal(phases.coarse(whole)):
        shares[WINOGRAD] = _by_winograd(whole, threads)
    return shares


def _by_winograd(whole: Problem, threads: int) -> float:
    """The share that Winograd's method reaches of a convolution."""
    small = phases.coarse(whole)
    geometry = winograd.Geometry.of(small)
    share = WINOGRAD_SHARES[whole.dtype][shape_class(small)][KINDS.index(whole.kind)]
    share *= whole.flops / (2 * geometry.products)
    if whole.kind == WEIGHTS:
        moved = 0.0 if small is whole else PHASES * prod(small.x_shape)
        return 1 / (1 / (share * winograd_weights.filled(small, threads)) + moved / whole.flops)
    side = geometry.result.channels
    share *= side / (-(-side // LANES) * LANES) * min(geometry.tasks, threads) / threads
    return 1 / (1 / share + FILTERS * geometry.filters / whole.flops)


def _three(library: float, generated: float, winograd: float) -> Seconds:
    return library, generated, winograd


def _by(way: str) -> str:
    return way if way == GENERATED else f"by {way}"


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
