"""Computations for tests, and their derivatives in full: by formula and by differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from anode.frontends.ngraph.op_graph.deriv import deriv
from anode.frontends.ngraph.op_graph.state import placeholder
from anode.frontends.ngraph.testing.error_check import assert_allclose
from anode.frontends.ngraph.transformers.base import make_transformer


class ExecutorFactory:
    """A transformer for the time of a `with` block."""

    def __enter__(self) -> ExecutorFactory:
        self.transformer = make_transformer()
        return self

    def __exit__(self, *error: Any) -> None:
        self.transformer.close()

    def executor(self, results: Any, *parameters: Any) -> Any:
        """A function that computes `results`."""
        return self.transformer.computation(results, *parameters)

    def get_tensor_view_value(self, op: Any, host_tensor: Any = None) -> np.ndarray:
        return self.transformer.get_tensor_view_value(op, host_tensor)

    def numeric_derivative(self, f: Any, p_x: Any, dx: float, *params: Any) -> Callable[..., Any]:
        """The derivative of `f` by `p_x` from differences `dx`, as a function of arrays."""
        computation = self.transformer.computation(f, p_x, *params)

        def derivative(x: np.ndarray, *args: Any) -> np.ndarray:
            return numeric_derivative(lambda value: computation(value, *args), x, dx)

        return derivative

    def derivative(self, f: Any, px: Any, *parameters: Any) -> Callable[..., Any]:
        """The derivative of each element of `f` by `px`, as a function of arrays.

        The result has the dims of `f`, then those of `px`.
        """
        if not f.axes.lengths:
            return self.transformer.computation(deriv(f, px), px, *parameters)
        error = placeholder(f.axes)
        weighted = deriv(f, px, error=error)
        computation = self.transformer.computation(weighted, error, px, *parameters)
        shape = f.axes.lengths

        def derivative(x: Any, *args: Any) -> np.ndarray:
            found = np.empty((*shape, *px.axes.lengths), np.asarray(x).dtype)
            for place in np.ndindex(*shape):
                one = np.zeros(shape, f.dtype)
                one[place] = 1
                found[place] = computation(one, x, *args)
            return found

        return derivative


@contextmanager
def executor(results: Any, *parameters: Any) -> Iterator[Any]:
    """A function that computes `results`, for the time of a `with` block."""
    with ExecutorFactory() as factory:
        yield factory.executor(results, *parameters)


def numeric_derivative(f: Callable[[Any], Any], x: Any, dx: float) -> np.ndarray:
    """The derivative of `f` at `x` from differences `dx`, with the dims of f(x), then of x.

    It is wrong where a difference crosses a kink, such as a tie of maxima.
    """
    if isinstance(x, np.ndarray) and x.dtype == int:
        raise ValueError("the derivative by integers is no number; make x a float")
    x = np.array(x, copy=True)
    before = np.array(f(x))
    found = np.zeros((*before.shape, *x.shape), np.float32)
    for place in np.ndindex(*x.shape):
        kept = np.float32(x[place])
        x[place] = kept + dx
        found[(..., *place)] = (np.asarray(f(x)) - before) / dx
        x[place] = kept
    return found


def check_derivative(
    f: Any,
    x: Any,
    delta: float,
    x_value: Any,
    parameters: Sequence[Any] = (),
    parameter_values: Sequence[Any] = (),
    **kwargs: Any,
) -> None:
    """AssertionError where the derivative of `f` by `x` differs from that by differences."""
    with ExecutorFactory() as factory:
        by_differences = factory.numeric_derivative(f, x, delta, *parameters)
        by_formula = factory.derivative(f, x, *parameters)
        assert_allclose(
            by_differences(x_value, *parameter_values),
            by_formula(x_value, *parameter_values),
            **kwargs,
        )


def is_flex_transformer(transformer: Any) -> bool:
    """Whether a transformer computes with flex numbers: none of anode's does."""
    return is_flex(transformer.transformer_name)


def is_flex_factory(transformer_factory: Any) -> bool:
    return is_flex(transformer_factory.name)


def is_flex(name: str) -> bool:
    return name in ("flexgpu", "argon")
