"""Other libraries' names served by anode: after `install`, `import tensorflow` gives anode's."""

from __future__ import annotations

from anode.errors import UnsupportedOp

LIBRARIES = ("tensorflow",)


def install(library: str) -> None:
    """Serve `library`, which is "tensorflow", for the imports that follow in this process.

    Raises ImportError where the real one is imported already, UnsupportedOp for other libraries.
    """
    if library not in LIBRARIES:
        raise UnsupportedOp(f"anode does not serve {library!r}; it serves {', '.join(LIBRARIES)}")
    from anode.frontends.tensorflow import modules

    modules.install()


def uninstall(library: str) -> None:
    """Take back `install`: later imports find the real library, if there is one."""
    if library not in LIBRARIES:
        raise UnsupportedOp(f"anode does not serve {library!r}; it serves {', '.join(LIBRARIES)}")
    from anode.frontends.tensorflow import modules

    modules.uninstall()
