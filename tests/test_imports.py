"""The folders of anode import only from themselves and from those before them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The order of docs/design.md: a folder, or a module at the top, may import from those before it.
ORDER = (
    "errors",
    "scripts",
    "ir",
    "rewrite",
    "ops",
    "transform",
    "passes",
    "program",
    "backends",
    "runtime",
    "data",
    "pictures",
    "frontends",
    "compat",
    "layers",
    "models",
    "inspect",
    "export",
    "commands",
    "cli",
)
ROOT_NAMES = {"__version__"}  # defined in anode/__init__.py itself, so importable from anywhere
FILES = sorted(path.relative_to(ROOT) for path in (ROOT / "anode").rglob("*.py"))


def imported(tree: ast.AST, module: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything imported, inside functions too, but not for types only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imported(ast.Module(node.orelse, []), module)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            source = ".".join([*package, *filter(None, [node.module])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)
        else:
            yield from imported(node, module)


def violations(source: str, path: Path) -> list[str]:
    """One line for each import in `source`, the text of `path`, that points downward in ORDER."""
    parts = path.with_suffix("").parts
    if len(parts) == 2 and parts[1] == "__init__":
        return []  # the root resolves its names lazily, from everywhere
    if parts[1] not in ORDER:
        return [f"{path}: {parts[1]} has no place in the order of tests/test_imports.py"]
    allowed = ORDER[: ORDER.index(parts[1]) + 1]
    found = []
    for line, name in imported(ast.parse(source), ".".join(parts)):
        package, _, rest = name.partition(".")
        if package == "anode" and rest.split(".")[0] not in {*allowed, *ROOT_NAMES}:
            found.append(f"{path}:{line}: {parts[1]} may not import {name}")
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_upward(path):
    assert not violations((ROOT / path).read_text(), path)


@pytest.mark.parametrize(
    ("path", "source", "count"),
    [
        ("anode/passes/fuse.py", "from anode.ir.graph import Graph\nimport numpy", 0),
        ("anode/passes/fuse.py", "from anode.passes import simplify", 0),
        ("anode/passes/fuse.py", "from . import simplify\nfrom ..ir import graph", 0),
        ("anode/passes/fuse.py", "from anode import ir, errors, __version__", 0),
        ("anode/passes/fuse.py", "from ..runtime import array", 1),
        ("anode/backends/cpu/llvm.py", "from ...program import plan\nfrom ..base import load", 0),
        ("anode/backends/cpu/__init__.py", "from ...data import idx", 1),
        ("anode/passes/fuse.py", "from anode import runtime, cli", 2),
        ("anode/passes/fuse.py", "import anode", 1),
        ("anode/passes/fuse.py", "from anode import Graph", 1),
        ("anode/passes/fuse.py", "def f():\n    import anode.runtime.array", 1),
        ("anode/passes/fuse.py", "try:\n    pass\nexcept E:\n    from anode.data import idx", 1),
        ("anode/passes/fuse.py", "if TYPE_CHECKING:\n    from anode.runtime import array", 0),
        ("anode/passes/fuse.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import anode.data", 1),
        ("anode/errors.py", "from anode.ir import node", 1),
        ("anode/cli.py", "import anode.frontends.layers", 0),
        ("anode/stray.py", "", 1),
        ("anode/__init__.py", "from anode.cli import main", 0),
    ],
)
def test_the_check_itself(path, source, count):
    assert len(violations(source, Path(path))) == count
