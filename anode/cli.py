"""`anode`, the command line. Typer and rich are read only when it is called."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from anode.errors import AnodeError
from anode.scripts import full_traceback, sentence

FAILED, INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and give its exit code; whatever goes wrong is one sentence on stderr.

    With ANODE_TRACEBACK=full exceptions come out as they are.
    """
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if full_traceback():
            raise
        print(f"anode: {sentence(error)}", file=sys.stderr)
        return int(getattr(error, "exit_code", FAILED))


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["run"] and arguments[1:2] != ["--help"]:
        from anode.commands.run import main as run  # a script starts faster without typer

        return run(arguments[1:])
    try:
        import PIL  # noqa: F401
        import rich  # noqa: F401
        import safetensors  # noqa: F401
        import typer
    except ImportError as error:
        raise AnodeError(
            f"the command line needs {error.name}: pip install 'anode[cli]'"
        ) from error
    from anode.commands.app import app

    try:
        return int(app(arguments, prog_name="anode", standalone_mode=False) or 0)
    except typer.Abort:
        print("anode: stopped", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
