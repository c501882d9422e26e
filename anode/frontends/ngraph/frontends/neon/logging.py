"""A progress bar of an iterable, and a handler that logs around it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from anode.frontends.ngraph.frontends.neon.progress import tqdm


class ProgressBar(tqdm()):  # type: ignore[misc]
    """A bar that is called with what it runs over: `for x in bar(dataset)`."""

    def __call__(self, iterable: Iterable[Any]) -> ProgressBar:
        self.iterable = iterable
        return self


class PBStreamHandler(logging.Handler):
    """Writes records to a stream without breaking the bar."""

    def __init__(self, stream: TextIO | None = None, level: int = logging.NOTSET) -> None:
        super().__init__(level=level)
        self.stream = sys.stdout if stream is None else stream

    def emit(self, record: logging.LogRecord) -> None:
        try:
            ProgressBar.write(self.format(record), file=self.stream)
            self.flush()
        except Exception:
            self.handleError(record)
