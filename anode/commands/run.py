"""`anode run`: a script or notebook for TensorFlow 1, neon or ngraph, as Python would run it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from anode.errors import AnodeError

FAILED, INTERRUPTED = 1, 130
USAGE = "anode run [--report] script.py [arguments of the script]"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Modules of the standard library that only a script asks for: a file of that name beside the
# script is what it means. Other ones are needed by what scripts import, so Python's own are used.
_OF_SCRIPTS = frozenset({"cmd", "code", "profile", "statistics", "test", "this", "trace"})
_PYTHON_2 = ("Missing parentheses in call to", "multiple exception types must be parenthesized")


def main(arguments: Sequence[str]) -> int:
    """Run a script with its arguments, and give its exit code."""
    wanted, script, rest = parse(arguments)
    if not wanted:
        return run(script, rest)
    from anode.frontends.report import report, start

    start()
    code = run(script, rest)
    print(report(), file=sys.stderr)
    return code


def parse(arguments: Sequence[str]) -> tuple[bool, str, list[str]]:
    """Whether a report is asked for, the script, and its arguments."""
    rest = list(arguments)
    report = False
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if option != "--report":
            raise AnodeError(f"anode run has no option {option}; usage: {USAGE}")
        report = True
    if not rest:
        raise AnodeError(f"anode run needs a script; usage: {USAGE}")
    return report, rest[0], rest[1:]


def run(script: str, arguments: Sequence[str] = ()) -> int:
    """Run a script or a notebook as `__main__`, with the libraries that anode serves.

    A YAML file is a model for the command `neon`.
    """
    if script.endswith((".yaml", ".yml")):
        from anode.frontends.neon.command import main as train

        return train([script, *arguments])
    from anode.commands import h5py_names
    from anode.compat import LIBRARIES, install
    from anode.frontends import numpy_names

    path = os.path.abspath(script)
    execute = _notebook(path) if script.endswith(".ipynb") else _script(path)
    _prepare(os.path.dirname(path))
    for library in LIBRARIES:
        install(library)
    numpy_names.restore()
    h5py_names.restore()
    sys.argv = [script, *arguments]
    module = ModuleType("__main__")
    module.__file__ = path
    vars(module)["__builtins__"] = sys.modules["builtins"]
    sys.modules["__main__"] = module
    return guarded(lambda: execute(module))


def _script(path: str) -> Callable[[ModuleType], None]:
    with open(path, "rb") as file:  # bytes, so that the file's own encoding line counts
        source = file.read()

    def execute(module: ModuleType) -> None:
        exec(compile(source, path, "exec", dont_inherit=True), vars(module))

    return execute


def _notebook(path: str) -> Callable[[ModuleType], None]:
    from anode.commands.notebook import Notebook

    return Notebook.read(path).execute


def _prepare(folder: str) -> None:
    """Let a script find the modules beside it, but not in place of Python's own."""
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        os.environ.setdefault("MPLBACKEND", "Agg")
    beside = {name.partition(".")[0] for name in os.listdir(folder)}
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != folder]
    for name in (beside & sys.stdlib_module_names) - _OF_SCRIPTS:
        __import__(name)
    sys.path.insert(0, folder)


def guarded(run: Callable[[], None]) -> int:
    """Call `run`, and give the exit code that Python would give, its traceback printed."""
    try:
        run()
    except SystemExit as stop:
        return _exit_code(stop.code)
    except KeyboardInterrupt as error:
        show(error)
        return INTERRUPTED
    except BaseException as error:
        show(error)
        return FAILED
    return 0


def _exit_code(code: Any) -> int:
    if code is None or isinstance(code, int):
        return int(code or 0)
    print(code, file=sys.stderr)
    return FAILED


def show(error: BaseException) -> None:
    """Print the traceback of an error, without anode's frames unless ANODE_TRACEBACK=full."""
    sys.stdout.flush()
    if sys.excepthook is not sys.__excepthook__:  # the script has its own
        sys.excepthook(type(error), error, error.__traceback__)
        return
    from traceback import TracebackException

    shown = TracebackException.from_exception(error)
    if os.environ.get("ANODE_TRACEBACK") != "full":
        _hide(shown)
    print("".join(shown.format()), end="", file=sys.stderr)
    if isinstance(error, SyntaxError) and str(error.msg).startswith(_PYTHON_2):
        print("anode runs Python 3; this is Python 2: convert it with 2to3", file=sys.stderr)


def _hide(shown: Any) -> None:
    """Leave out the frames of anode, and errors that were handled within it."""
    from traceback import StackSummary

    stack = [frame for frame in shown.stack if not _is_own(frame.filename)]
    shown.stack = StackSummary.from_list(stack)
    for earlier in filter(None, (shown.__cause__, shown.__context__)):
        _hide(earlier)
    if shown.__context__ is not None and not shown.__context__.stack:
        shown.__suppress_context__ = True


def _is_own(filename: str) -> bool:
    return filename.startswith((_PACKAGE, "<frozen importlib"))
