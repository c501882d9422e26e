"""Other libraries' names served by anode: after `install`, `import tensorflow` gives anode's."""

from __future__ import annotations

from typing import Any

from anode.errors import UnsupportedOp

LIBRARIES = ("tensorflow", "neon", "ngraph")


def install(library: str) -> None:
    """Serve `library`, one of LIBRARIES, for the imports that follow in this process.

    Raises ImportError where the real one is imported already, UnsupportedOp for other libraries.
    """
    module, *names = _server(library)
    module.install(*names)


def uninstall(library: str) -> None:
    """Take back `install`: later imports find the real library, if there is one."""
    module, *names = _server(library)
    module.uninstall(*names)


def _server(library: str) -> tuple[Any, ...]:
    """The module that serves a library, and what to tell it."""
    if library not in LIBRARIES:
        raise UnsupportedOp(f"anode does not serve {library!r}; it serves {', '.join(LIBRARIES)}")
    if library == "tensorflow":
        from anode.frontends.tensorflow import modules

        return (modules,)
    from anode.frontends import serve

    return serve, library
