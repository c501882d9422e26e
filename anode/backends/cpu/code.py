"""Object code in memory: loading it, and finding it in the disk cache instead of making it."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, count
from typing import Any

import llvmlite.binding as llvm

from anode.backends.cpu import cache
from anode.backends.cpu.target import Target, target_machine
from anode.errors import BackendError

_ONE_LINKER = threading.Lock()  # a second one would take what it loaded along when it goes

Made = tuple[dict[str, Any], list[bytes]]


def object_code(text: str, machine: llvm.TargetMachine) -> bytes:
    """LLVM text as a relocatable object file; several threads may make some at the same time.

    Each needs a `machine` of its own.
    """
    context, failure = llvm.create_context(), ctypes.c_char_p()
    with llvm.parse_assembly(text, context) as module:  # which must not outlive its context
        made = _generator()(machine, module, 1, ctypes.byref(failure))
    if not made:
        raise BackendError(f"LLVM cannot generate code: {(failure.value or b'').decode()}")
    library = llvm.ffi.lib
    try:
        start, size = library.LLVMPY_GetBufferStart(made), library.LLVMPY_GetBufferSize(made)
        return ctypes.string_at(start, size)
    finally:
        library.LLVMPY_DisposeMemoryBuffer(made)


@functools.cache
def _generator() -> Any:
    """LLVM's code generator as C has it: without the lock by which llvmlite admits one thread.

    LLVM's own rule is that threads share no context.
    """
    function = ctypes.CDLL(llvm.ffi.lib._name).LLVMPY_TargetMachineEmitToMemory
    function.argtypes = [
        llvm.ffi.LLVMTargetMachineRef,
        llvm.ffi.LLVMModuleRef,
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_char_p),
    ]
    function.restype = llvm.ffi.LLVMMemoryBufferRef
    return function


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

    Each gets one piece of memory, so that its code reaches its constants however full the process
    is. They are never unloaded: threads that come late to a run, or wait, may still be in them.
    """
    library = llvm.JITLibraryBuilder().add_current_process()
    for symbol, address in symbols.items():
        library.import_symbol(symbol, address)
    for code in objects:
        library.add_object_img(code)
    for name in names:
        library.export_symbol(name)
    with _ONE_LINKER:
        linker, numbers = _linker(target)
    loaded = library.link(linker, f"library {next(numbers)}")
    loaded.detach()
    return [loaded[name] for name in names]


@functools.cache
def _linker(target: Target) -> tuple[llvm.LLJIT, Iterator[int]]:
    """What loads all code of this process, with numbers to tell its libraries apart."""
    return llvm.create_lljit_compiler(target_machine(target), use_jit_link=True), count()
