"""The processor that code is generated for: its instruction set, vector width and caches."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Target:
    """A processor, as code generation sees it.

    `vector_bytes` is the width of one vector register and `registers` how many there are; `l1` and
    `l2` are bytes of data cache private to a core; `cores` is how many this process may use.
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int
    l1: int
    l2: int
    cores: int

    def lanes(self, size: int) -> int:
        """How many elements of `size` bytes one vector register holds."""
        return self.vector_bytes // size


def host_target() -> Target:
    """The processor this process runs on, and the cores that it may use now."""
    return replace(_host(), cores=_available_cores())


@cache
def _host() -> Target:
    features = llvm.get_host_cpu_features()
    triple = llvm.get_process_triple()
    vector_bytes, registers = _vector_registers(triple, features)
    return Target(
        triple=triple,
        cpu=llvm.get_host_cpu_name(),
        features=features.flatten(),
        vector_bytes=vector_bytes,
        registers=registers,
        l1=_cache_bytes(1, 32 << 10),
        l2=_cache_bytes(2, 512 << 10),
        cores=0,
    )


def target_machine(target: Target, *, optimized: bool = True) -> llvm.TargetMachine:
    """LLVM's code generator for `target`: position independent, with all optimisation or none."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Some Intel tunings split 512-bit vectors in two to keep the clock up; our kernels are
    # blocked for whole registers, so a split would spill half of every tile.
    wide = ",-prefer-256-bit" if target.vector_bytes == 64 else ""
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu,
        features=target.features + wide,
        opt=3 if optimized else 0,
        reloc="pic",
        codemodel="small",
    )


def _vector_registers(triple: str, features: dict[str, bool]) -> tuple[int, int]:
    """Bytes of a vector register, and how many registers there are."""
    if not triple.startswith(("x86_64", "i686")):
        return 16, 32
    wide = ("avx512f", "avx512vl", "avx512bw", "avx512dq")
    if all(features.get(name) for name in wide):
        return 64, 32
    return (32, 16) if features.get("avx2") and features.get("fma") else (16, 16)


def _cache_bytes(level: int, default: int) -> int:
    """Size of the data cache of `level` on core 0; `default` where the system does not say."""
    for index in sorted(_CACHES.glob("index*")):
        if (index / "type").read_text().strip() == "Instruction":
            continue
        if int((index / "level").read_text()) == level:
            return int((index / "size").read_text().strip().rstrip("K")) << 10
    return default


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
