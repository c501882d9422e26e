"""Jupyter notebooks, run cell by cell in one namespace, without Jupyter."""

from __future__ import annotations
import __future__

import ast
import json
import linecache
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from textwrap import dedent
from time import perf_counter
from tokenize import COMMENT, DEDENT, INDENT, NEWLINE, NL, TokenError, generate_tokens
from types import ModuleType
from typing import Any

from anode.errors import DataError, UnsupportedOp

# Magics about display, extensions and the kernel: a run without a screen needs none of them.
_DISPLAY = frozenset(
    (
        *("autoreload", "colors", "config", "load_ext", "matplotlib", "precision", "reload_ext"),
        *("tensorboard", "tensorflow_version", "unload_ext", "watermark", "xmode"),
    )
)
_DISPLAY_CELLS = frozenset(("HTML", "html", "javascript", "js", "latex", "markdown", "svg"))
_SHOWN = (
    *("Audio", "Code", "FileLink", "HTML", "IFrame", "Image", "JSON", "Javascript", "Latex"),
    *("Markdown", "Math", "Pretty", "SVG", "Video", "YouTubeVideo"),
)
_PYLAB = (
    "import numpy\nimport numpy as np\nfrom matplotlib import pyplot as plt\nfrom pylab import *"
)
_MAGIC = re.compile(r"(?P<indent>\s*)(?:(?P<names>[\w, ]+?)\s*=\s*)?(?P<kind>[%!])(?P<rest>.*)")
_QUESTION = re.compile(r"(\s*)(\?{1,2}[\w.]+|[\w.]+\?{1,2})\s*")
_BETWEEN = frozenset((COMMENT, DEDENT, INDENT, NL))
_FLAGS = [getattr(__future__, name).compiler_flag for name in __future__.all_feature_names]


@dataclass(frozen=True)
class Cell:
    """A code cell: its text, and whether the notebook says that it raises."""

    source: str
    raises: bool = False


@dataclass(frozen=True)
class Notebook:
    """A notebook's code cells, in order."""

    path: str
    cells: tuple[Cell, ...]

    @staticmethod
    def read(path: str) -> Notebook:
        """The notebook in a file of format 3 or 4; DataError where it is not one."""
        try:
            document = json.loads(Path(path).read_text(encoding="utf-8"))
            return Notebook(path, tuple(_cells(document)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is not a notebook: {error}") from None

    def execute(self, module: ModuleType) -> None:
        """Run the cells in `module`, in the notebook's folder as Jupyter does."""
        os.chdir(os.path.dirname(self.path))
        shell = Shell(module, os.path.basename(self.path))
        vars(module).update(display=display, get_ipython=lambda: shell)
        if find_spec("IPython") is None:
            sys.modules.update(stand_ins(shell))
        for cell in self.cells:
            shell.run(cell)


def _cells(document: Mapping[str, Any]) -> Iterator[Cell]:
    sheets = document.get("worksheets", [document])  # format 3 has sheets
    for cell in (cell for sheet in sheets for cell in sheet["cells"]):
        if cell["cell_type"] == "code":
            source = cell["source"] if "source" in cell else cell["input"]
            tags = cell.get("metadata", {}).get("tags", ())
            yield Cell("".join(source), "raises-exception" in tags)


class Shell:
    """What `get_ipython()` gives: it runs cells and magics in one namespace."""

    def __init__(self, module: ModuleType, name: str) -> None:
        self.user_ns = vars(module)
        self._name, self._count, self._flags = name, 0, 0

    def run(self, cell: Cell) -> None:
        """Run a cell; what its last expression gives is printed."""
        self._count += 1
        if not cell.raises:
            self._execute(cell.source, f"{self._name}[{self._count}]")
            return
        from anode.commands.run import guarded

        guarded(lambda: self._execute(cell.source, f"{self._name}[{self._count}]"))

    def _execute(self, source: str, filename: str) -> None:
        lines = source.splitlines(keepends=True)
        linecache.cache[filename] = (len(source), None, lines, filename)  # for tracebacks
        statements = ast.parse(translated(source), filename).body
        last = None
        if statements and isinstance(statements[-1], ast.Expr) and not _silent(source):
            last = ast.Expression(statements.pop().value)  # type: ignore[attr-defined]
        for statement in statements:  # one by one, as IPython: each may import from __future__
            exec(self._compiled(ast.Module([statement], []), filename, "exec"), self.user_ns)
        if last is not None:
            value = eval(self._compiled(last, filename, "eval"), self.user_ns)
            if value is not None:
                self.user_ns["_"] = value
                print(repr(value))

    def _compiled(self, tree: Any, filename: str, mode: str) -> Any:
        """A cell's code; what it imports from __future__ counts for the cells after it too."""
        code = compile(tree, filename, mode, self._flags, dont_inherit=True)
        self._flags |= code.co_flags & sum(_FLAGS)
        return code

    def magic(self, text: str) -> Any:
        name, _, line = text.partition(" ")
        return self.run_line_magic(name, line)

    def run_line_magic(self, name: str, line: str) -> Any:
        """Run `%name line`; UnsupportedOp for magics that anode does not have."""
        if name in _DISPLAY:
            return None
        if name not in _LINE_MAGICS:
            raise UnsupportedOp(f"the magic %{name} is not implemented by anode run")
        return _LINE_MAGICS[name](self, line.strip())

    def run_cell_magic(self, name: str, line: str, cell: str) -> Any:
        """Run `%%name line` over the text below it; UnsupportedOp for unknown ones."""
        if name in _DISPLAY_CELLS:
            return None
        if name not in _CELL_MAGICS:
            raise UnsupportedOp(f"the magic %%{name} is not implemented by anode run")
        return _CELL_MAGICS[name](self, line.strip(), cell)

    def system(self, command: str) -> None:
        """Run a command of the shell; its output is shown."""
        sys.stdout.flush()
        subprocess.run(self._expanded(command), shell=True, check=False)

    def getoutput(self, command: str) -> list[str]:
        """The lines that a command of the shell prints."""
        done = subprocess.run(
            self._expanded(command), shell=True, check=False, capture_output=True, text=True
        )
        return (done.stdout + done.stderr).splitlines()

    def _expanded(self, command: str) -> str:
        """The command with the values of {expressions} and $names in it."""

        def value(match: re.Match[str]) -> str:
            try:
                return str(eval(match[1] or match[2], self.user_ns))
            except Exception:  # not an expression: the shell's own braces and variables
                return match[0]

        return re.sub(r"(?<!\$)\{(.+?)\}|\$(\w+)", value, command)

    def time(self, source: str) -> None:
        start = perf_counter()
        self._execute(source, f"{self._name}[{self._count}]")
        print(f"Wall time: {perf_counter() - start:.3g} s")

    def timeit(self, source: str) -> None:
        from timeit import Timer

        count, seconds = Timer(source, globals=self.user_ns).autorange()
        print(f"{seconds / count:.3g} s per loop (of {count} loops)")

    def run_file(self, line: str) -> None:
        name = line.split()[0]
        code = compile(Path(name).read_bytes(), os.path.abspath(name), "exec", dont_inherit=True)
        exec(code, self.user_ns)

    def execute(self, source: str) -> None:
        self._execute(source, f"{self._name}[{self._count}]")


def _change_folder(shell: Shell, line: str) -> None:
    os.chdir(os.path.expanduser(line or "~"))


def _set_variable(shell: Shell, line: str) -> None:
    name, _, value = line.replace("=", " ", 1).partition(" ")
    os.environ[name.strip()] = value.strip()


def _write_file(shell: Shell, line: str, cell: str) -> None:
    append = line.startswith("-a ")
    with open(line.removeprefix("-a ").strip(), "a" if append else "w", encoding="utf-8") as file:
        file.write(cell)


def _capture(shell: Shell, line: str, cell: str) -> None:
    with redirect_stdout(StringIO()):
        shell.execute(cell)


def _pip(shell: Shell, line: str) -> None:
    subprocess.run(f'"{sys.executable}" -m pip {line}', shell=True, check=False)


_LINE_MAGICS: dict[str, Callable[[Shell, str], Any]] = {
    "cd": _change_folder,
    "env": _set_variable,
    "ls": lambda shell, line: shell.system(f"ls {line}"),
    "mkdir": lambda shell, line: shell.system(f"mkdir {line}"),
    "pip": _pip,
    "pwd": lambda shell, line: os.getcwd(),
    "pylab": lambda shell, line: shell.execute(_PYLAB),
    "run": lambda shell, line: shell.run_file(line),
    "set_env": _set_variable,
    "time": lambda shell, line: shell.time(line),
    "timeit": lambda shell, line: shell.timeit(line),
}
_CELL_MAGICS: dict[str, Callable[[Shell, str, str], Any]] = {
    "bash": lambda shell, line, cell: shell.system(cell),
    "capture": _capture,
    "file": _write_file,
    "sh": lambda shell, line, cell: shell.system(cell),
    "time": lambda shell, line, cell: shell.time(cell),
    "timeit": lambda shell, line, cell: shell.timeit(cell),
    "writefile": _write_file,
}


def translated(source: str) -> str:
    """A cell as Python: magics and commands become calls, as IPython writes them.

    Every line stays in its place, so that tracebacks show the right ones.
    """
    if source[:1].isspace():  # an indented first line, as when pasted from a function
        source = dedent(source)
    lines = source.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].startswith("%%"):
        return "\n" * first + _cell_magic(lines[first], lines[first + 1 :])
    if not any(map(_special, lines)):
        return source
    for index, line in enumerate(lines):
        if _special(line) and _is_statement(lines[:index]):
            lines[index] = _call(line)
    return "\n".join(lines) + "\n"


def _special(line: str) -> bool:
    return bool(_MAGIC.fullmatch(line) or _QUESTION.fullmatch(line))


def _is_statement(before: list[str]) -> bool:
    """Whether a statement may start below these lines: not within a string or brackets."""
    last = NEWLINE
    try:
        for word in generate_tokens(StringIO("\n".join([*before, "pass"])).readline):
            if word.start[0] > len(before):
                return last == NEWLINE
            last = last if word.type in _BETWEEN else word.type
    except (TokenError, SyntaxError):  # a string without its end
        pass
    return False


def _call(line: str) -> str:
    match = _MAGIC.fullmatch(line)
    if match is None:  # name?, which shows help
        return line[: len(line) - len(line.lstrip())] + "pass"
    name, _, rest = match["rest"].lstrip().partition(" ")
    if match["kind"] == "%":
        call = f"run_line_magic({name!r}, {rest!r})"
    else:
        call = f"{'getoutput' if match['names'] else 'system'}({match['rest'].lstrip('!')!r})"
    target = f"{match['names']} = " if match["names"] else ""
    return f"{match['indent']}{target}get_ipython().{call}"


def _cell_magic(line: str, below: list[str]) -> str:
    name, _, rest = line[2:].partition(" ")
    text = "\n".join(below) + "\n"
    return f"get_ipython().run_cell_magic({name!r}, {rest!r}, {text!r})\n"


def _silent(source: str) -> bool:
    """Whether a cell ends with a semicolon, which says not to print its value."""
    lines = [line.split("#")[0].rstrip() for line in source.splitlines()]
    return next((line for line in reversed(lines) if line), "").endswith(";")


def display(*values: Any, **options: Any) -> None:
    """Print values; pictures and pages are named only."""
    for value in values:
        print(value if isinstance(value, str) else repr(value))


def stand_ins(shell: Shell) -> dict[str, ModuleType]:
    """The modules IPython and IPython.display, for notebooks where IPython is not installed."""
    package, shown = ModuleType("IPython"), ModuleType("IPython.display")

    def get_ipython() -> Shell | None:
        """The shell for the notebook's own cells; libraries are told that there is none."""
        return shell if sys._getframe(1).f_globals is shell.user_ns else None

    # Since 8.24 matplotlib asks IPython for nothing but these.
    vars(package).update(__version__="8.24.0", version_info=(8, 24, 0), __path__=[])
    vars(package).update(display=shown, get_ipython=get_ipython)
    vars(shown).update(display=display, clear_output=lambda wait=False: None)
    for name in _SHOWN:
        vars(shown)[name] = type(name, (_Picture,), {})
    return {"IPython": package, "IPython.display": shown}


class _Picture:
    """Something to be shown on a page; there is none, so only its class is printed."""

    def __init__(self, data: Any = None, *sizes: Any, **options: Any) -> None:
        self.data = data

    def __repr__(self) -> str:
        return f"<IPython.core.display.{type(self).__name__} object>"
