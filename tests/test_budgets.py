"""Limits that keep anode light to import and easy to read."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = sorted(path.parent for path in (ROOT / "anode").glob("*/**/__init__.py"))
FILES = sorted(
    path
    for folder in ("anode", "tests", "examples", "benchmarks", "docs")
    for path in (ROOT / folder).rglob("*.py")
)
HEAVY = {
    "llvmlite", "onednn", "PIL", "typer", "rich", "safetensors",
    "hypothesis", "pytest", "torch", "jax", "onnx", "tensorflow",
}  # fmt: skip
MODULES = 60  # beyond NumPy's own; NumPy takes most of the 0.2 s that an import may take
LINES, FUNCTION_LINES = 600, 60


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def modules_after(statement: str) -> set[str]:
    script = f"{statement}; import sys; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert output.returncode == 0, output.stderr
    return set(output.stdout.split())


def test_importing_anode_loads_little():
    added = modules_after("import anode") - modules_after("import numpy")
    assert "anode" in added
    assert not {module.partition(".")[0] for module in added} & HEAVY
    assert len(added) <= MODULES, sorted(added)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_sizes(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LINES
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno >= FUNCTION_LINES
    }
    assert not long


def test_every_folder_says_why_it_exists():
    missing = [name(path) for path in PACKAGES if not (path / "README.md").is_file()]
    assert PACKAGES
    assert not missing, f"no README.md in {missing}"
