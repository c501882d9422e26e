"""Comparing arrays with the tolerance of the transformer in use."""

from __future__ import annotations

from typing import Any

import numpy as np

from anode.frontends.ngraph.transformers.base import Transformer, transformer_name


def assert_allclose(
    actual: Any,
    desired: Any,
    rtol: float = 1e-7,
    atol: float = 0,
    atol_multiplier: float = 1,
    equal_nan: bool = False,
    err_msg: str = "",
    verbose: bool = True,
    transformer_overwrite: bool = True,
) -> None:
    """`numpy.testing.assert_allclose`, with no less tolerance than the transformer's."""
    if transformer_overwrite and transformer_name() in Transformer.transformers:
        chosen = Transformer.transformers[transformer_name()]
        least_atol, least_rtol = chosen.get_default_tolerance(desired)
        rtol, atol = max(rtol, least_rtol), max(atol, least_atol)
    np.testing.assert_allclose(
        actual,
        desired,
        rtol=rtol,
        atol=atol * atol_multiplier,
        equal_nan=equal_nan,
        err_msg=err_msg,
        verbose=verbose,
    )
