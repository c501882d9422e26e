"""What scripts and commands share: numbers that are checked, and errors told in one sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anode.errors import AnodeError


def positive(text: str) -> int:
    """An integer above zero, else ValueError: the `type` of an option in argparse."""
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


@contextmanager
def plain_errors() -> Iterator[None]:
    """A block whose errors end the script with one sentence on stderr, Ctrl-C with a word.

    These are errors of anode and of files; others are bugs and keep their traceback. With
    ANODE_TRACEBACK=full all do.
    """
    name = Path(sys.argv[0]).name
    try:
        yield
    except (AnodeError, OSError) as error:
        if full_traceback():
            raise
        raise SystemExit(f"{name}: {sentence(error)}") from None
    except KeyboardInterrupt:
        raise SystemExit(f"{name}: stopped") from None


def full_traceback() -> bool:
    """Whether exceptions are to come out as they are."""
    return os.environ.get("ANODE_TRACEBACK") == "full"


def sentence(error: Exception) -> str:
    """What went wrong, in one sentence."""
    if hasattr(error, "format_message"):  # typer's, of a class that depends on its version
        return str(error.format_message()).replace("\n", " ")
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, (AnodeError, ImportError)):
        return str(error)
    kind = type(error).__name__
    return f"{kind}: {error}; this is a bug of anode, ANODE_TRACEBACK=full shows where"
