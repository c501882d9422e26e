"""neon 3's layers: as ngraph's, with filters drawn in the order K, C, D, H, W."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from anode.frontends import ngraph as ng
from anode.frontends.ngraph.frontends.neon import layer as base
from anode.frontends.ngraph.frontends.neon.layer import *  # noqa: F403
from anode.frontends.ngraph.frontends.neon.layer import __all__ as __all__


class Convolution(base.Convolution):  # type: ignore[no-redef]
    """ngraph's convolution, its filters drawn as (filters, channels, depth, height, width)."""

    def __init__(self, filter_shape: Any, filter_init: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(filter_shape, _filters_first(filter_init), *args, **kwargs)


def _filters_first(init: Any) -> Any:
    """The initializer, called with the last axis in front."""
    if not callable(init):
        return init

    def drawn(axes: Any) -> Any:
        values = init(ng.make_axes([axes[-1], *list(axes)[:-1]]))
        return np.moveaxis(values, 0, -1) if np.ndim(values) == len(axes) else values

    function: Callable[[Any], Any] = drawn
    return function
