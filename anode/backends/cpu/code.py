"""Object code in memory: loading it, and finding it in the disk cache instead of making it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any

import llvmlite.binding as llvm

from anode.backends.cpu import cache
from anode.backends.cpu.target import Target, target_machine

Made = tuple[dict[str, Any], list[bytes]]


def object_code(text: str, machine: llvm.TargetMachine) -> bytes:
    """LLVM text as a relocatable object file; any thread may ask for one."""
    return bytes(machine.emit_object(llvm.parse_assembly(text, llvm.create_context())))


def cached(make: Callable[[], Made], target: Target, *parts: str) -> Made:
    """Facts and object files for what `parts` name: from the disk, or made and put there."""
    name = cache.key(*parts, repr(target), repr(llvm.llvm_version_info))
    found = cache.load(name)
    if found is None:
        facts, objects = make()
        cache.store(name, {"facts": facts, "sizes": list(map(len, objects))}, b"".join(objects))
        return facts, objects
    stored, code = found
    ends = list(accumulate(stored["sizes"]))
    return stored["facts"], [code[i:j] for i, j in zip([0, *ends], ends, strict=False)]


def load(
    objects: Iterable[bytes], target: Target, symbols: Mapping[str, int], *names: str
) -> list[int]:
    """Put object files into memory for good: the addresses of their functions `names`.

    They are never unloaded: threads that come late to a run, or wait, may still be in them.
    """
    for symbol, address in symbols.items():
        llvm.add_symbol(symbol, address)
    empty = llvm.parse_assembly("")
    empty.triple = target.triple
    engine = llvm.create_mcjit_compiler(empty, target_machine(target))
    for code in objects:
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    addresses = [int(engine.get_function_address(name)) for name in names]
    engine.detach()
    return addresses
