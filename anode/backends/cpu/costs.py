"""What a convolution costs, by oneDNN and by generated code: a table, or what was measured here.

`anode tune` measures a model's convolutions and keeps the seconds in the folder of compiled code;
for all others there is the table, which knows classes of shapes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from anode.backends.cpu import cache
from anode.backends.cpu.onednn_conv import DATA, FORWARD, WEIGHTS, Problem

FILE = "convolutions.json"
Seconds = tuple[float, float]  # by oneDNN, by generated code

# The share of the peak of one core that oneDNN and generated code reach, by kind and class.
# Measured with `benchmarks/conv_kernel.py` on Zen 4: medians of AlexNet's and ResNet-20's layers.
SHARES: Mapping[tuple[str, str], Seconds] = {
    (FORWARD, "wide"): (0.95, 0.8),
    (DATA, "wide"): (0.95, 0.8),
    (WEIGHTS, "wide"): (0.9, 0.75),
}


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
        share, generated = SHARES[problem.kind, kind]
        library = share * min(tasks, threads) / threads
        text = f"{library:.0%} of peak by oneDNN, {generated:.0%} generated"
        return Choice(library > generated, f"{text} ({problem.kind}, {kind})")

    @staticmethod
    def load() -> Costs:
        """What was measured on this machine; no file, or a damaged one, is nothing measured."""
        path = table_path()
        try:
            found = json.loads(path.read_text()) if path else {}
            return Costs({name: (float(a), float(b)) for name, (a, b) in found.items()})
        except (OSError, ValueError, TypeError, AttributeError):
            return Costs()


def shape_class(problem: Problem) -> str:
    """The class of shapes that costs are alike in."""
    return "wide"


def name_of(problem: Problem, tasks: int, threads: int) -> str:
    """What the measured costs of a convolution are kept under."""
    values = asdict(problem) | {"bias": False, "post": ()}  # what follows costs both the same
    return json.dumps([*values.values(), tasks, threads])


def table_path() -> Path | None:
    """The file of measured costs; None where nothing is kept."""
    folder = cache.folder()
    return None if folder is None else folder / FILE
