"""`tf.app.run`: the main function of a script, called with what is not a flag."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from anode.frontends.tensorflow.api.flags import FLAGS, Error
from anode.frontends.tensorflow.opdef import export

_HELP = ("help", "h", "?", "helpfull", "helpshort")


@export("app.run", "python.platform.app.run")
def run(main: Callable[[list[str]], Any] | None = None, argv: Sequence[str] | None = None) -> None:
    """Parse the flags, call `main` with the other arguments, and exit with what it gives.

    `main` is by default the function of that name in the script. Unknown flags are left to it.
    """
    arguments = list(sys.argv if argv is None else argv)
    script: Any = sys.modules["__main__"]
    before = arguments[1 : arguments.index("--")] if "--" in arguments else arguments[1:]
    asked = {argument.lstrip("-") for argument in before if argument.startswith("-")}
    if any(name in asked and name not in FLAGS for name in _HELP):
        _show_help(script)
        sys.exit(1)
    try:
        rest = FLAGS(arguments, known_only=True)
    except Error as error:
        print(f"FATAL Flags parsing error: {error}", file=sys.stderr)
        print("Pass --help to see help on flags.", file=sys.stderr)
        sys.exit(1)
    sys.exit((main or script.main)(rest))


def _show_help(script: Any) -> None:
    doc = (script.__doc__ or f"\nUSAGE: {sys.argv[0]} [flags]\n").replace("%s", sys.argv[0])
    print(f"{doc}\nflags:\n{FLAGS.main_module_help()}")
