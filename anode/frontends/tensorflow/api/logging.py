"""`tf.logging`: messages with a level, written to stderr by Python's own logging."""

from __future__ import annotations

import logging as _logging
import sys
from collections import Counter
from typing import Any

from anode.frontends.tensorflow.opdef import export_values

DEBUG, INFO, WARN = _logging.DEBUG, _logging.INFO, _logging.WARNING
ERROR, FATAL = _logging.ERROR, _logging.FATAL
_counts: Counter[Any] = Counter()  # how often a line logged, for log_every_n and log_first_n


def get_logger() -> _logging.Logger:
    """The logger "tensorflow"; it writes where the root logger does, else to stderr."""
    logger = _logging.getLogger("tensorflow")
    if not logger.handlers and not _logging.getLogger().handlers:
        logger.setLevel(WARN)
        handler = _logging.StreamHandler(sys.stdout if hasattr(sys, "ps1") else sys.stderr)
        handler.setFormatter(_logging.Formatter(_logging.BASIC_FORMAT))
        logger.addHandler(handler)
    return logger


def log(level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
    get_logger().log(level, msg, *args, **kwargs)


def debug(msg: Any, *args: Any, **kwargs: Any) -> None:
    get_logger().debug(msg, *args, **kwargs)


def info(msg: Any, *args: Any, **kwargs: Any) -> None:
    get_logger().info(msg, *args, **kwargs)


def warning(msg: Any, *args: Any, **kwargs: Any) -> None:
    get_logger().warning(msg, *args, **kwargs)


def error(msg: Any, *args: Any, **kwargs: Any) -> None:
    get_logger().error(msg, *args, **kwargs)


def fatal(msg: Any, *args: Any, **kwargs: Any) -> None:
    get_logger().fatal(msg, *args, **kwargs)


warn = warning


def vlog(level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
    get_logger().log(level, msg, *args, **kwargs)


def log_every_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Log the first and then every n-th call from a line of the script."""
    count = _count()
    log_if(level, msg, not count % n, *args)


def log_first_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Log the first n calls from a line of the script."""
    count = _count()
    log_if(level, msg, count < n, *args)


def log_if(level: int, msg: Any, condition: Any, *args: Any) -> None:
    if condition:
        get_logger().log(level, msg, *args)


def _count() -> int:
    """How often the caller's line has been here before."""
    frame = sys._getframe(2)
    line = (frame.f_code, frame.f_lineno)
    _counts[line] += 1
    return _counts[line] - 1


def set_verbosity(v: Any) -> None:
    """Show messages of this level and above."""
    get_logger().setLevel(v)


def get_verbosity() -> int:
    return get_logger().getEffectiveLevel()


def flush() -> None:
    for handler in get_logger().handlers:
        handler.flush()


def TaskLevelStatusMessage(msg: Any) -> None:
    error(msg)


def __getattr__(name: str) -> Any:
    if name == "_logger":
        return get_logger()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_NAMES = (
    *("DEBUG", "ERROR", "FATAL", "INFO", "TaskLevelStatusMessage", "WARN", "debug", "error"),
    *("fatal", "flush", "get_verbosity", "info", "log", "log_every_n", "log_first_n", "log_if"),
    *("set_verbosity", "vlog", "warn", "warning", "_logger"),
)
export_values(__name__, {f"logging.{name}": name for name in _NAMES})
export_values(__name__, {"get_logger": "get_logger"})
