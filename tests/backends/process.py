"""Running Python in another process, for tests of what outlives one or must not harm one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}


def run_python(script: str, seconds: float = 120, **variables: str) -> str:
    """What `script` prints. It must end well and quietly within `seconds`, a watchdog's limit."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", script],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout
