"""What scripts and notebooks use of TensorFlow, read from their syntax, and what of it is missing.

Names are followed through imports and assignments (`slim = tf.contrib.slim`), results of calls
through constructors and annotations (`with tf.Session() as s: s.run(…)`), within one file.
"""

from __future__ import annotations

import ast
import glob
import inspect
import io
import json
import re
import subprocess
import typing
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import served

# What a file misses that is written for eager execution or TensorFlow 2.
LATER = ("not in TensorFlow 1.15", "eager", "tf.GradientTape", "tf.function", "(step=)", ".numpy:")
MAGIC = re.compile(r"^(\s*)([%!?].*)$", re.MULTILINE)


@dataclass(frozen=True)
class Source:
    """A script, or the code cells of a notebook."""

    name: str
    text: str


def sources(globs: Iterable[str], repositories: Iterable[str]) -> Iterator[Source]:
    """The files that import tensorflow."""
    found = [(path, Path(path).read_bytes()) for g in globs for path in sorted(glob.glob(g))]
    for repository in repositories:
        found += _tracked(repository)
    for name, data in found:
        text = data.decode("utf-8", "replace")
        text = _cells(text) if name.endswith(".ipynb") else text
        if re.search(r"^\s*(?:import|from)\s+tensorflow\b", text, re.MULTILINE):
            yield Source(name, text)


def _tracked(repository: str) -> list[tuple[str, bytes]]:
    """The scripts and notebooks in the newest commit of a git repository, bare ones too.

    Those that a partial clone lists without having them are left out.
    """
    git = ["git", "-C", repository]
    listed = _output([*git, "ls-tree", "-rz", "--name-only", "HEAD"]).decode().split("\0")
    wanted = [name for name in listed if name.endswith((".py", ".ipynb"))]
    asked = "".join(f"HEAD:{name}\n" for name in wanted).encode()
    answers = io.BytesIO(_output([*git, "cat-file", "--batch"], asked))
    found = []
    for name in wanted:
        head = answers.readline().split()
        if head[-1] != b"missing":
            found.append((f"{repository}:{name}", answers.read(int(head[-1]))))
            answers.readline()
    return found


def _output(command: list[str], given: bytes = b"") -> bytes:
    return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout


def _cells(text: str) -> str:
    try:
        notebook = json.loads(text)
    except ValueError:
        return ""
    cells = notebook.get("cells") or [
        cell for sheet in notebook.get("worksheets", []) for cell in sheet["cells"]
    ]
    code = (c.get("source", c.get("input", "")) for c in cells if c["cell_type"] == "code")
    return "\n\n".join(MAGIC.sub(r"\1pass", "".join(cell)) for cell in code)


@dataclass
class Reader(ast.NodeVisitor):
    """Collects what is missing of what one file uses: `gaps`, a sentence each."""

    paths: dict[str, str] = field(default_factory=dict)  # local name -> tf.x.y
    types: dict[str, Any] = field(default_factory=dict)  # local name -> class of what it holds
    gaps: set[str] = field(default_factory=set)
    used: int = 0

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if alias.name.partition(".")[0] == "tensorflow":
                path = _public(alias.name)
                self._use(path)
                self.paths[alias.asname or "tensorflow"] = path if alias.asname else "tf"

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if (node.module or "").partition(".")[0] != "tensorflow" or node.level:
            return
        for alias in node.names:
            path = _public(node.module or "")
            self._use(path if alias.name == "*" else f"{path}.{alias.name}")
            if alias.name != "*":
                self.paths[alias.asname or alias.name] = f"{path}.{alias.name}"

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self._bind(target, node.value)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            self.visit(item.context_expr)
            if isinstance(item.optional_vars, ast.Name):
                self._hold(item.optional_vars.id, _entered(self._type(item.context_expr)))
        for statement in node.body:
            self.visit(statement)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if (path := self._path(node)) is not None:
            self._use(path)
            return
        self.visit(node.value)
        owner = self._type(node.value)
        if owner is not None and isinstance(node.ctx, ast.Load):
            self.used += 1
            if not served.has_member(owner, node.attr):
                self.gaps.add(f"{owner.__name__}.{node.attr}: no such member")

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and (path := self.paths.get(node.id)):
            self._use(path)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        path = self._path(node.func)
        if path is None or served.symbol_gap(path) is not None:
            return
        for keyword in node.keywords:
            if keyword.arg is not None and (gap := served.keyword_gap(path, keyword.arg)):
                self.gaps.add(f"{path}({keyword.arg}=): {gap}")

    def _use(self, path: str) -> None:
        self.used += 1
        if (gap := served.symbol_gap(path)) is not None:
            self.gaps.add(f"{path}: {gap}")

    def _path(self, node: ast.expr) -> str | None:
        """tf.x.y of an expression that starts with an imported name; FLAGS has any attribute."""
        if isinstance(node, ast.Name):
            return self.paths.get(node.id)
        if isinstance(node, ast.Attribute) and (path := self._path(node.value)) is not None:
            return None if path.endswith(".FLAGS") else f"{path}.{node.attr}"
        return None

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if not isinstance(target, ast.Name):
            return
        path = self._path(value)
        self._hold(target.id, self._type(value))
        if path is not None:
            self.paths[target.id] = path

    def _hold(self, name: str, found: Any) -> None:
        """Note the class of what a name holds from here on; None is a class not known."""
        self.paths.pop(name, None)
        self.types.pop(name, None)
        if found is not None:
            self.types[name] = found

    def _type(self, node: ast.expr) -> Any:
        """The class of a value, where constructors and annotations say it."""
        if isinstance(node, ast.Name):
            return self.types.get(node.id)
        if not isinstance(node, ast.Call):
            return None
        if (path := self._path(node.func)) is not None:
            return _result(path)
        if isinstance(node.func, ast.Attribute):
            owner = self._type(node.func.value)
            return None if owner is None else _returned(getattr(owner, node.func.attr, None))
        return None


def _public(module: str) -> str:
    return "tf" + module.removeprefix("tensorflow").replace(".compat.v1", "")


@cache
def _result(path: str) -> Any:
    if served.symbol_gap(path) is not None:
        return None
    thing = served.resolved(path)
    return thing if inspect.isclass(thing) else _returned(thing)


@cache
def _entered(cls: Any) -> Any:
    """The class of what `with` gives for an object of a class."""
    enter = getattr(cls, "__enter__", None)
    if cls is None or (definition := served.tree(enter)) is None:
        return None
    last = definition.body[-1]
    same = isinstance(last, ast.Return) and ast.unparse(last) == "return self"
    return cls if same else _returned(enter)


@cache
def _returned(function: Any) -> Any:
    """The class that a function is annotated to give; None for Any, unions and generics."""
    try:
        found = typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):
        return None
    ours = inspect.isclass(found) and found.__module__.startswith(("anode.", "tensorflow."))
    return found if ours else None


def read(source: Source) -> Reader | None:
    """What one file uses; None where it is not Python 3."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            parsed = ast.parse(source.text)
        except (SyntaxError, ValueError):
            return None
    reader = Reader()
    reader.visit(parsed)
    return reader


def report(globs: Iterable[str], repositories: Iterable[str], shown: int) -> str:
    """A line for each file that lacks something, then what is missing, by files."""
    missing: Counter[str] = Counter()
    lines, unread, whole, used = [], 0, 0, 0
    for source in sources(globs, repositories):
        reader = read(source)
        if reader is None:
            unread += 1
            continue
        used += reader.used
        whole += not reader.gaps
        missing.update(reader.gaps)
        if reader.gaps:
            lines.append(f"{source.name}: {'; '.join(sorted(reader.gaps))}")
    total = whole + len(lines)
    lines.append(
        f"{whole} of {total} files lack nothing ({whole / max(total, 1):.1%}), {used} uses"
    )
    others = [line for line in lines[:-1] if any(sign in line for sign in LATER)]
    first = total - len(others)
    share = whole / max(first, 1)
    lines.append(f"{whole} of {first} ({share:.1%}) without those that run eagerly or ask for more")
    lines.append("  than TensorFlow 1.15 has")
    lines.append(f"{unread} files are not Python 3")
    lines += [f"{files:6}  {gap}" for gap, files in missing.most_common(shown)]
    return "\n".join(lines)
