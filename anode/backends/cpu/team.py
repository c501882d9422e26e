"""The thread team: native threads that run whole programs together, without barriers.

Every thread of a run walks the same list of steps. A step's tasks are handed out by tickets, each
thread's own share first and then, by stealing, the others'; a step may start when the steps it
waits for have finished all their tasks. So a thread that the system has put aside delays others
only by the task it is in, and a late one finds everything done and catches up.

Tickets and counts carry the run's number (its *version*) in their upper bits: nothing is reset
between runs, and a thread that comes late from an earlier run cannot touch the present one.
Waiting threads spin briefly, then sleep in the kernel, so that a loaded machine does not collapse.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import weakref
from functools import cache

import numpy as np

from anode.backends.cpu import code
from anode.backends.cpu.target import host_target, target_machine
from anode.errors import BackendError

PROGRAM = "anode_program"  # the name of a program's function in its object code
LINE = 64  # bytes of a cache line; counters that different threads write lie on lines of their own

# The team in memory: the run's number, then what it runs, then who sleeps; a line each.
_EPOCH, _JOB, _SLEEPERS, _TEAM_BYTES = 0, LINE, 2 * LINE, 3 * LINE

_FUTEX_CALL = {"x86_64": 202, "aarch64": 98}
_SPINS = 4000  # waiting turns before sleeping: some tens of microseconds, a small step's length

_PAUSE = {
    "x86_64": "call void @llvm.x86.sse2.pause()",
    "aarch64": 'call void asm sideeffect "yield", ""()',
}

_SOURCE = """
declare void @llvm.x86.sse2.pause()
{system}

; Sleep while the low half of *%word is %low (or, elsewhere than on Linux, for a moment).
define private void @sleep(ptr %team, ptr %word, i32 %low) {{
  {sleep}
  ret void
}}

define private void @wake(ptr %team, ptr %word) {{
  %count = getelementptr i8, ptr %team, i64 {sleepers}
  %n = load atomic i64, ptr %count seq_cst, align 8
  %some = icmp ne i64 %n, 0
  br i1 %some, label %call, label %end
call:
  {wake}
  br label %end
end:
  ret void
}}

; Take a task of a step: its number, or -1 if none is left or the run is over.
define i64 @anode_claim(ptr %step, i64 %version, i64 %thread, i64 %threads, i64 %tasks) {{
entry:
  br label %victims
victims:
  %v = phi i64 [0, %entry], [%v1, %next]
  %sum = add i64 %thread, %v
  %who = urem i64 %sum, %threads
  %whoend = add i64 %who, 1
  %a = mul i64 %who, %tasks
  %first = udiv i64 %a, %threads
  %b = mul i64 %whoend, %tasks
  %last = udiv i64 %b, %threads
  %share = sub i64 %last, %first
  %offset = mul i64 %who, {line}
  %ticket = getelementptr i8, ptr %step, i64 %offset
  br label %try
try:
  %old = load atomic i64, ptr %ticket seq_cst, align 8
  %ver = lshr i64 %old, 24
  %late = icmp ugt i64 %ver, %version
  br i1 %late, label %none, label %current
current:
  %stale = icmp ult i64 %ver, %version
  %low = and i64 %old, 16777215
  %index = select i1 %stale, i64 0, i64 %low
  %left = icmp ult i64 %index, %share
  br i1 %left, label %take, label %next
take:
  %head = shl i64 %version, 24
  %index1 = add i64 %index, 1
  %new = or i64 %head, %index1
  %pair = cmpxchg ptr %ticket, i64 %old, i64 %new seq_cst seq_cst
  %won = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %won, label %got, label %try
got:
  %task = add i64 %first, %index
  ret i64 %task
next:
  %v1 = add i64 %v, 1
  %more = icmp ult i64 %v1, %threads
  br i1 %more, label %victims, label %none
none:
  ret i64 -1
}}

; Count a finished task of a step of %tasks tasks.
define void @anode_finish(ptr %done, i64 %version, i64 %tasks, ptr %team) {{
entry:
  br label %try
try:
  %old = load atomic i64, ptr %done seq_cst, align 8
  %ver = lshr i64 %old, 24
  %stale = icmp ult i64 %ver, %version
  %low = and i64 %old, 16777215
  %count = select i1 %stale, i64 0, i64 %low
  %count1 = add i64 %count, 1
  %head = shl i64 %version, 24
  %new = or i64 %head, %count1
  %pair = cmpxchg ptr %done, i64 %old, i64 %new seq_cst seq_cst
  %won = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %won, label %counted, label %try
counted:
  %all = icmp eq i64 %count1, %tasks
  br i1 %all, label %last, label %end
last:
  call void @wake(ptr %team, ptr %done)
  br label %end
end:
  ret void
}}

; Wait until *%word is at least %goal: spin first, then sleep.
define private void @wait_until(ptr %word, i64 %goal, ptr %team) {{
entry:
  br label %spin
spin:
  %turn = phi i64 [0, %entry], [%turn1, %pause]
  %now = load atomic i64, ptr %word seq_cst, align 8
  %ready = icmp uge i64 %now, %goal
  br i1 %ready, label %end, label %again
again:
  %turn1 = add i64 %turn, 1
  %tired = icmp ugt i64 %turn, {spins}
  br i1 %tired, label %rest, label %pause
pause:
  {pause}
  br label %spin
rest:
  %count = getelementptr i8, ptr %team, i64 {sleepers}
  %x = atomicrmw add ptr %count, i64 1 seq_cst
  %then = load atomic i64, ptr %word seq_cst, align 8
  %then_ready = icmp uge i64 %then, %goal
  br i1 %then_ready, label %up, label %down
down:
  %low = trunc i64 %then to i32
  call void @sleep(ptr %team, ptr %word, i32 %low)
  br label %up
up:
  %y = atomicrmw sub ptr %count, i64 1 seq_cst
  %check = load atomic i64, ptr %word seq_cst, align 8
  %over = icmp uge i64 %check, %goal
  br i1 %over, label %end, label %rest
end:
  ret void
}}

; Wait until all %tasks tasks of a step are finished (or a later run has begun).
define void @anode_wait(ptr %done, i64 %version, i64 %tasks, ptr %team) {{
  %head = shl i64 %version, 24
  %goal = or i64 %head, %tasks
  call void @wait_until(ptr %done, i64 %goal, ptr %team)
  ret void
}}

; Worker number %thread: runs jobs, the first one after number %start.
; A job is (program, table, control, scratch), four pointers.
define private void @work(ptr %team, i64 %thread, i64 %start) {{
entry:
  br label %idle
idle:
  %seen = phi i64 [%start, %entry], [%version, %changed], [%version, %run]
  %writing = or i64 %seen, 1
  %goal = add i64 %writing, 1  ; the next even number: a job that is complete
  call void @wait_until(ptr %team, i64 %goal, ptr %team)
  %version = load atomic i64, ptr %team seq_cst, align 8
  %job = getelementptr i8, ptr %team, i64 {job}
  %job1 = getelementptr i8, ptr %job, i64 8
  %job2 = getelementptr i8, ptr %job, i64 16
  %job3 = getelementptr i8, ptr %job, i64 24
  %p = load atomic ptr, ptr %job seq_cst, align 8
  %table = load atomic ptr, ptr %job1 seq_cst, align 8
  %control = load atomic ptr, ptr %job2 seq_cst, align 8
  %scratch = load atomic ptr, ptr %job3 seq_cst, align 8
  %epoch2 = load atomic i64, ptr %team seq_cst, align 8
  %same_run = icmp eq i64 %epoch2, %version
  %bit = and i64 %version, 1
  %even = icmp eq i64 %bit, 0
  %whole = and i1 %same_run, %even
  br i1 %whole, label %run, label %changed
changed:
  br label %idle
run:
  call void %p(ptr %table, ptr %control, i64 %version, i64 %thread, ptr %scratch, ptr %team)
  br label %idle
}}

; Where a worker thread begins: its argument is (team, number, the last job without it).
define ptr @anode_start(ptr %argument) {{
  %team = load ptr, ptr %argument
  %where = getelementptr i8, ptr %argument, i64 8
  %thread = load i64, ptr %where
  %when = getelementptr i8, ptr %argument, i64 16
  %start = load i64, ptr %when
  call void @work(ptr %team, i64 %thread, i64 %start)
  ret ptr null
}}

; Start a run, take part in it, and return when it is finished.
define void @anode_run(ptr %team, ptr %p, ptr %table, ptr %control, ptr %scratch) {{
  %job = getelementptr i8, ptr %team, i64 {job}
  %job1 = getelementptr i8, ptr %job, i64 8
  %job2 = getelementptr i8, ptr %job, i64 16
  %job3 = getelementptr i8, ptr %job, i64 24
  ; an odd number while the job is being written: a reader that sees it tries again
  %old = load atomic i64, ptr %team seq_cst, align 8
  %odd = add i64 %old, 1
  store atomic i64 %odd, ptr %team seq_cst, align 8
  store atomic ptr %p, ptr %job seq_cst, align 8
  store atomic ptr %table, ptr %job1 seq_cst, align 8
  store atomic ptr %control, ptr %job2 seq_cst, align 8
  store atomic ptr %scratch, ptr %job3 seq_cst, align 8
  %version = add i64 %old, 2
  store atomic i64 %version, ptr %team seq_cst, align 8
  call void @wake(ptr %team, ptr %team)
  call void %p(ptr %table, ptr %control, i64 %version, i64 0, ptr %scratch, ptr %team)
  ret void
}}
"""


class Team:
    """`threads` native threads, the caller's included, that run programs together.

    The threads live as long as the process; a forked child starts its own with its first run. A run
    takes the team for itself: it holds `lock`, for which a second Python thread waits.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.lock = threading.Lock()
        self._memory = aligned(_TEAM_BYTES + LINE * threads)
        self._address = self._memory.ctypes.data
        self._code = _code()
        self._spare: dict[int, list[np.ndarray]] = {}
        self._started = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def _forked(self) -> None:
        """Forget what only the parent has: its threads, and a lock that one of them may hold."""
        self.lock, self._started = threading.Lock(), False

    def counters(self, owner: object, size: int) -> np.ndarray:
        """Memory for a program's counters, at first zero, for as long as `owner` lives.

        It is never given back to the system, as a thread that comes late from an owner's last run
        still looks at it, but goes to the next owner: counters of earlier runs are as good as zero.
        """
        size = 1 << max(size - 1, 1).bit_length()
        spare = self._spare.setdefault(size, [])
        try:
            memory = spare.pop()
        except IndexError:
            memory = aligned(size)
        weakref.finalize(owner, spare.append, memory)
        return memory

    def _start_workers(self) -> None:
        words = self._memory.view(np.int64)
        words[_EPOCH // 8] += words[_EPOCH // 8] & 1  # odd where a fork interrupted a start
        words[_SLEEPERS // 8] = 0
        libc = ctypes.CDLL(None)
        for thread in range(1, self.threads):
            handle = ctypes.c_size_t()
            at = _TEAM_BYTES + LINE * thread
            argument = self._memory[at : at + 24].view(np.int64)
            argument[:] = self._address, thread, words[_EPOCH // 8]
            begin = ctypes.c_void_p(self._code.start), ctypes.c_void_p(self._address + at)
            failed = libc.pthread_create(ctypes.byref(handle), None, *begin)
            if failed:
                raise BackendError(f"the system refused thread {thread + 1}: {os.strerror(failed)}")
            libc.pthread_detach(handle)
        self._started = True

    def run(self, program: int, table: int, control: int, scratch: int) -> None:
        """Run the native `program` to its end; the addresses are those of its arguments.

        The caller holds `lock`.
        """
        if not self._started:
            self._start_workers()
        self._code.run(self._address, program, table, control, scratch)


class _Code:
    """The team's own native code: addresses of what programs call, and how to run one."""

    def __init__(self) -> None:
        target, source = host_target(), _source()
        names = ("anode_claim", "anode_finish", "anode_wait", "anode_start", "anode_run")
        _, objects = code.cached(
            lambda: ({}, [code.object_code(source, target_machine(target))]), target, source
        )
        addresses = dict(zip(names, code.load(objects, target, {}, *names), strict=True))
        self.start = addresses.pop("anode_start")
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 5)
        self.run = kind(addresses.pop("anode_run"))
        self.symbols = addresses


@cache
def _code() -> _Code:
    return _Code()


def symbols() -> dict[str, int]:
    """Addresses of the functions that a program's code calls, by name."""
    return _code().symbols


@cache
def team(threads: int) -> Team:
    """The process's team of that many threads."""
    return Team(threads)


def aligned(size: int) -> np.ndarray:
    """Zeroed bytes that begin at a cache line."""
    raw = np.zeros(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size]


def _source() -> str:
    machine = host_target().triple.split("-")[0]
    words: dict[str, object] = {"line": LINE, "job": _JOB, "sleepers": _SLEEPERS, "spins": _SPINS}
    words["pause"] = _PAUSE.get(machine, "; no instruction to pause")
    if sys.platform == "linux" and machine in _FUTEX_CALL:
        call = f"call i64 (i64, ...) @syscall(i64 {_FUTEX_CALL[machine]}, ptr %word, "
        words["system"] = "declare i64 @syscall(i64, ...)"
        words["sleep"] = call + "i32 128, i32 %low, ptr null, ptr null, i32 0)"
        words["wake"] = call + "i32 129, i32 2147483647, ptr null, ptr null, i32 0)"
    else:
        words["system"] = "declare i32 @usleep(i32)"
        words["sleep"] = "call i32 @usleep(i32 50)"
        words["wake"] = "; sleepers look again by themselves"
    return _SOURCE.format(**words)
