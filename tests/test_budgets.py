"""Limits that keep anode light to import, easy to read, and what it compiles small."""

import ast
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from anode import layers as nn
from anode.backends.cpu.build import Build
from anode.backends.cpu.target import Target
from anode.ir.types import tensor
from benchmarks.models import MODELS

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
TARGET = Target(
    triple="x86_64-unknown-linux-gnu",
    cpu="haswell",
    features="+avx2,+fma",
    vector_bytes=32,
    registers=16,
    l1=32 << 10,
    l2=1 << 20,
    cores=2,
)
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


def perceptron(*widths: int, norm: bool = False, keep: float | None = None) -> nn.Model:
    """Rectifiers between the layers, with batch norm and dropout if asked for, then softmax."""
    layers: list[nn.Layer] = []
    for width in widths[:-1]:
        layers.append(nn.Affine(width, bias=0.0))
        layers += [nn.BatchNorm()] * norm
        layers.append(nn.Activation(nn.Rectlin()))
        layers += [nn.Dropout(keep)] if keep else []
    layers.append(nn.Affine(widths[-1], bias=0.0, activation=nn.Softmax()))
    return nn.Model(layers)


def training(model: nn.Model, batch: int, optimizer: nn.Optimizer) -> Build:
    """The build of a training step on rows of 784 numbers, for a processor that never changes."""
    x, y = tensor("f32", batch, 784), tensor("i64", batch)
    model.build(x)
    graph = model.training_step(nn.CrossEntropyMulti(), optimizer).graph(x, y)
    return Build(graph, TARGET, threads=2)


def step_of(name: str) -> Build:
    """The training step of a benchmark's model, with momentum."""
    mlp = MODELS[name]
    momentum = nn.GradientDescentMomentum(mlp.rate, mlp.momentum)
    return training(perceptron(*mlp.widths[1:]), mlp.batch, momentum)


BUILDS = {
    **{name: partial(step_of, name) for name in MODELS},
    "batch norm": lambda: training(perceptron(300, 100, 10, norm=True), 128, nn.Adam()),
    "dropout": lambda: training(perceptron(300, 100, 10, keep=0.5), 128, nn.RMSProp()),
}


@dataclass(frozen=True)
class Budget:
    """Upper bounds: bytes of the arena, steps of the program, lines of LLVM text.

    Steps bound what runs and lines bound the time to compile, which both are too noisy to be timed
    in a test. Lower a bound when it gets better; raise one only for something that is worth it.
    """

    arena: int
    steps: int
    lines: int


BUDGETS = {
    "small": Budget(arena=160_000, steps=10, lines=3_300),
    "medium": Budget(arena=256_000, steps=15, lines=5_400),
    "large": Budget(arena=1_330_000, steps=13, lines=5_100),
    "batch norm": Budget(arena=672_000, steps=26, lines=8_800),
    "dropout": Budget(arena=660_000, steps=17, lines=9_700),
}


@pytest.mark.parametrize("name", BUDGETS)
def test_what_training_steps_take(name):
    build, budget = BUILDS[name](), BUDGETS[name]
    assert build.program.arena <= budget.arena
    assert len(build.program.steps) <= budget.steps, [s.name for s in build.program.steps]
    assert len(build.llvm.splitlines()) <= budget.lines
