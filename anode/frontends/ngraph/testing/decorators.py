"""Decorators that set what NumPy does at floating-point errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np


def with_error_settings(**new_settings: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: inside the function NumPy has these settings of `numpy.seterr`."""

    def decorate(f: Callable[..., Any]) -> Any:
        @wraps(f)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with np.errstate(**new_settings):
                return f(*args, **kwargs)

        return wrapper

    return decorate


def raise_all_numpy_errors(f: Callable[..., Any]) -> Any:
    """Decorator: inside the function every floating-point error of NumPy raises."""
    return with_error_settings(divide="raise", over="raise", under="raise", invalid="raise")(f)
