"""Object code in memory: loading it, and finding it in the disk cache instead of making it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import llvmlite.binding as llvm

from anode.backends.cpu import cache
from anode.backends.cpu.target import Target, target_machine

Made = tuple[dict[str, Any], bytes]


def cached(make: Callable[[], Made], target: Target, *parts: str) -> Made:
    """Facts and object code for what `parts` name: from the disk, or made and put there."""
    name = cache.key(*parts, repr(target), repr(llvm.llvm_version_info))
    found = cache.load(name)
    if found is None:
        found = make()
        cache.store(name, *found)
    return found


def load(code: bytes, target: Target, symbols: Mapping[str, int], *names: str) -> list[int]:
    """Put object code into memory for good: the addresses of its functions `names`.

    It is never unloaded: threads that come late to a run, or wait, may still be in it.
    """
    for symbol, address in symbols.items():
        llvm.add_symbol(symbol, address)
    empty = llvm.parse_assembly("")
    empty.triple = target.triple
    engine = llvm.create_mcjit_compiler(empty, target_machine(target))
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    addresses = [int(engine.get_function_address(name)) for name in names]
    engine.detach()
    return addresses
