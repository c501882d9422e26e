"""`python -m benchmarks.run`: training steps of anode and other frameworks side by side.

Multilayer perceptrons by default; `--models lenet,resnet20,alexnet` are convolution nets.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from anode.inspect import peak
from benchmarks.environments import (
    CONTESTANTS,
    NET_CONTESTANTS,
    Contestant,
    ContestantError,
    prepare,
)
from benchmarks.measure import (
    Effort,
    Installation,
    Pythons,
    Row,
    measure_installation,
    measure_model,
    measure_net,
)
from benchmarks.models import MODELS
from benchmarks.nets import NETS
from benchmarks.report import installations_table, model_table, summary


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    names = [c.name for c in dict.fromkeys((*CONTESTANTS, *NET_CONTESTANTS))]
    parser.add_argument("--models", type=_list_of([*MODELS, *NETS]), default=list(MODELS))
    parser.add_argument("--contestants", type=_list_of(names), default=names)
    parser.add_argument("--baseline", choices=names, default="anode", help="ratios are to this one")
    for name, default in vars(Effort()).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    return parser.parse_args()


def _list_of(known: list[str]) -> Any:
    def names(text: str) -> list[str]:
        found = text.split(",")
        unknown = [name for name in found if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(known)}")
        return found

    return names


def install(
    contestants: list[Contestant], effort: Effort
) -> tuple[Pythons, list[Installation], list[Row]]:
    """Prepare the environments and time the imports; what does not start is a skipped row."""
    pythons: Pythons = {}
    installations, skipped = [], []
    for contestant in contestants:
        try:
            python = prepare(contestant)
            installations.append(measure_installation(contestant, python, effort))
            pythons[contestant] = python
        except ContestantError as error:
            skipped.append(Row(contestant.name, str(error)))
    return pythons, installations, skipped


def machine(threads: int) -> str:
    """Processor, thread count and the load that others put on it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), "?")
    return (
        f"{model} ({peak.llvm.get_host_cpu_name()}), {os.cpu_count()} cores, "
        f"{threads} threads used, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}"
    )


def main() -> None:
    options = arguments()
    effort = Effort(**{name: getattr(options, name) for name in vars(Effort())})
    print(machine(effort.threads) + "\n")
    limits = peak.measure(effort.threads)
    rows: dict[str, list[Row]] = {}
    installations: list[Installation] = []
    for entrants, models in ((CONTESTANTS, MODELS), (NET_CONTESTANTS, NETS)):
        names = [name for name in options.models if name in models]
        chosen = [entrant for entrant in entrants if entrant.name in options.contestants]
        pythons, installed, skipped = install(chosen, effort) if names else ({}, [], [])
        installations += installed
        for name in names:
            print(f"measuring {name}", file=sys.stderr)
            if name in MODELS:
                found = measure_model(MODELS[name], pythons, effort)
            else:
                found = measure_net(name, pythons, effort)
            rows[name] = skipped + found
    print(installations_table(installations) + "\n")
    limits = peak.better(limits, peak.measure(effort.threads))
    print(peak.describe(limits) + "\n")
    for name, found in rows.items():
        model = MODELS[name] if name in MODELS else NETS[name]
        print(model_table(name, model, found, options.baseline, limits) + "\n")
    print(summary(rows, options.baseline))
    if options.json:
        document = {
            "machine": machine(effort.threads),
            "effort": asdict(effort),
            "peak": limits,
            "installations": [asdict(installation) for installation in installations],
            "models": {name: [asdict(row) for row in found] for name, found in rows.items()},
        }
        options.json.write_text(json.dumps(document, indent=1))


if __name__ == "__main__":
    main()
