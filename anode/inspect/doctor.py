"""Diagnosis: what the machine and the installation offer."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, requires
from pathlib import Path

from anode import __version__


@dataclass(frozen=True)
class Extra:
    """An optional part of the installation, the packages it needs, and those that are missing."""

    name: str
    packages: tuple[str, ...]
    missing: tuple[str, ...]

    def __str__(self) -> str:
        if not self.missing:
            return "installed"
        return f"without {', '.join(self.missing)}: pip install 'anode[{self.name}]'"


@dataclass(frozen=True)
class Diagnosis:
    """What anode found. Sizes are bytes; `cache` is None where compiled code is not kept."""

    versions: dict[str, str]
    processor: str
    cpu: str
    vector_bits: int
    registers: int
    cores: int
    caches: dict[str, int]
    threads: int
    onednn: str
    cache: Path | None
    cached: int
    extras: tuple[Extra, ...]

    def __str__(self) -> str:
        caches = ", ".join(f"{name} {bytes // 1024:,} KiB" for name, bytes in self.caches.items())
        kept = f"{self.cache}, {self.cached / 2**20:.1f} MiB" if self.cache else "off"
        rows = {
            "versions": ", ".join(f"{name} {number}" for name, number in self.versions.items()),
            "processor": f"{self.processor} ({self.cpu} to LLVM)",
            "vectors": f"{self.vector_bits} bits, {self.registers} registers",
            "cores": f"{self.cores}, caches of each: {caches}",
            "thread team": f"{self.threads} thread{'s' * (self.threads != 1)} (ANODE_THREADS)",
            "oneDNN": self.onednn,
            "code cache": f"{kept} (ANODE_CACHE)",
            **{f"extra {extra.name}": str(extra) for extra in self.extras},
        }
        return "\n".join(f"{name:<18}{text}" for name, text in rows.items())


def diagnose() -> Diagnosis:
    """What this machine and this installation offer."""
    import llvmlite
    import numpy
    from llvmlite import binding as llvm

    from anode.backends.cpu import onednn
    from anode.backends.cpu.cache import folder
    from anode.backends.cpu.target import host_target
    from anode.runtime.executable import chosen_threads

    target, cache, found = host_target(), folder(), onednn.load()
    return Diagnosis(
        versions={
            "anode": __version__,
            "Python": platform.python_version(),
            "NumPy": numpy.__version__,
            "llvmlite": llvmlite.__version__,
            "LLVM": ".".join(map(str, llvm.llvm_version_info)),
        },
        processor=processor_name(),
        cpu=target.cpu,
        vector_bits=8 * target.vector_bytes,
        registers=target.registers,
        cores=target.cores,
        caches={"L1": target.l1, "L2": target.l2},
        threads=chosen_threads() or target.cores,
        onednn=found if isinstance(found, str) else f"{found.version} at {found.path}",
        cache=cache,
        cached=0 if cache is None else folder_bytes(cache),
        extras=extras(),
    )


def processor_name() -> str:
    """The processor as its maker calls it, where the system says so."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def folder_bytes(folder: Path) -> int:
    """Bytes of the files in a folder; 0 if it is not there."""
    return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())


def extras() -> tuple[Extra, ...]:
    """The extras that anode's metadata declares, but for those that only sum up others."""
    try:
        lines = requires("anode") or []
    except PackageNotFoundError:  # run from its source without an installation
        return ()
    packages: dict[str, list[str]] = {}
    for line in lines:
        found = re.match(r"""([\w.-]+)[^;]*;.*extra == ["'](\w+)""", line)
        if found and found[1] != "anode":
            packages.setdefault(found[2], []).append(found[1])
    return tuple(
        Extra(name, tuple(needed), tuple(p for p in needed if not _is_installed(p)))
        for name, needed in packages.items()
    )


def _is_installed(package: str) -> bool:
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
