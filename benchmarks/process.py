"""A contestant's process as the driver sees it: started, asked, closed."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.environments import ROOT, Contestant, ContestantError

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NPROC",  # XLA's
    "ANODE_THREADS",
)
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


class ContestantProcess:
    """A contestant in a process of its own, blocked on its stdin whenever it is not asked.

    `started` is its first reply. Raises ContestantError when it ends or replies with an error.
    """

    def __init__(self, contestant: Contestant, python: Path, cache: Path, threads: int) -> None:
        self.contestant = contestant
        self._log = (cache.parent / f"{cache.name}.log").open("w+")
        self._process = subprocess.Popen(
            [python, "-m", f"benchmarks.contestants.{contestant.module}", *contestant.arguments],
            cwd=ROOT,
            env=_environment(contestant, cache, threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self.started = self._reply()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send one request and wait for its reply."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: reading its reply says why
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        reply = json.loads(line) if line else {"error": self._last_words()}
        if "error" in reply:
            self.close()
            raise ContestantError(f"{self.contestant.name} failed with {reply['error']}")
        return dict(reply)

    def _last_words(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        return (self._log.read().strip().splitlines() or [f"exit status {code}"])[-1]

    def close(self) -> None:
        """End the process by closing its stdin."""
        self._process.communicate()
        self._log.close()

    def __enter__(self) -> ContestantProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._log.closed:
            self.close()


def _environment(contestant: Contestant, cache: Path, threads: int) -> dict[str, str]:
    """A clean environment, so that no setting of the caller's shell favours a contestant."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    own = {name: value.format(cache=cache) for name, value in contestant.variables}
    return kept | dict.fromkeys(THREAD_VARIABLES, str(threads)) | own
