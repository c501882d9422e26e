"""neon's logger: `neon.logger.display(message)` is of a level that is always shown."""

from __future__ import annotations

import logging
from typing import Any

DISPLAY_LEVEL_NUM = 41  # above ERROR, so that results are seen whatever the level is


class NeonLogger(logging.Logger):
    """A logger with `display`, for what a script wants to be seen."""

    def display(self, message: object, *args: Any, **kwargs: Any) -> None:
        """Log a message at the level DISPLAY."""
        if self.isEnabledFor(DISPLAY_LEVEL_NUM):
            kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
            self.log(DISPLAY_LEVEL_NUM, message, *args, **kwargs)


def _named(name: str) -> NeonLogger:
    """The logger of this name, of the class that has `display`."""
    found = logging.getLogger(name)
    if not isinstance(found, NeonLogger):
        found.__class__ = NeonLogger
    return found  # type: ignore[return-value]


logging.addLevelName(DISPLAY_LEVEL_NUM, "DISPLAY")
logging.basicConfig(level=logging.ERROR)  # until NeonArgparser sets up handlers of its own
logger = _named("neon")
