"""The code is formatted, free of lint and fully typed: so one command says all."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "command", ["ruff check .", "ruff format --check .", "mypy anode"], ids=lambda text: text
)
def test_style(command):
    done = subprocess.run(
        [sys.executable, "-m", *command.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
