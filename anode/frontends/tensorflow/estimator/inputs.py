"""Calls of input and model functions with the arguments that they take."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from anode.frontends.tensorflow.modules import tensorflow as tf


def argument_names(function: Callable[..., Any]) -> tuple[str, ...]:
    """The parameters of a function, of what a partial leaves, or of a callable object."""
    if isinstance(function, functools.partial):
        given = len(function.args)
        names = argument_names(function.func)[given:]
        return tuple(name for name in names if name not in (function.keywords or {}))
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.kind in kinds)


def accepted(function: Callable[..., Any], **offered: Any) -> dict[str, Any]:
    """Those of the offered arguments that a function has parameters for."""
    names = argument_names(function)
    return {name: value for name, value in offered.items() if name in names}


def iterator_initializer(iterator: Any) -> Any:
    """A hook that starts an iterator with each new session."""
    base: Any = tf.train.SessionRunHook

    class DatasetInitializerHook(base):
        def after_create_session(self, session: Any, coord: Any) -> None:
            session.run(iterator.initializer)

    return DatasetInitializerHook()


def parsed(result: Any) -> tuple[Any, Any, list[Any]]:
    """Features, labels and hooks of what an input function returned; labels may be None."""
    hooks = []
    if isinstance(result, tf.data.Dataset):
        iterator = tf.data.make_initializable_iterator(result)
        hooks.append(iterator_initializer(iterator))
        result = iterator.get_next()
    if isinstance(result, (list, tuple)):
        if len(result) != 2:
            raise ValueError("input_fn should return (features, labels) as a len 2 tuple.")
        return result[0], result[1], hooks
    return result, None, hooks


def model_function(model_fn: Callable[..., Any], params: Any) -> Callable[..., Any]:
    """`model_fn` checked: ValueError for parameters that an estimator does not know."""
    names = argument_names(model_fn)
    if "features" not in names:
        raise ValueError(f"model_fn ({model_fn}) must include features argument.")
    if params is not None and "params" not in names:
        raise ValueError(
            f"model_fn ({model_fn}) does not include params argument, but params ({params}) is "
            "passed to Estimator."
        )
    known = {"features", "labels", "mode", "params", "config", "self"}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"model_fn ({model_fn}) has following not expected args: {unknown}")
    return model_fn
