"""`neon.frontend` of neon 3: ngraph's frontend, and where neon 3 departed from it."""

from __future__ import annotations

from anode.frontends.ngraph.frontends import neon
from anode.frontends.ngraph.frontends.neon import *  # noqa: F403
from anode.frontends.ngraph.frontends.neon3.argparser import NeonArgparser
from anode.frontends.ngraph.frontends.neon3.callbacks import (  # type: ignore[assignment]
    FeedAddWrapper,
    LossCallback,
    ProgressCallback,
    TrainSaverCallback,
    loop_eval,
    loop_train,
    make_default_callbacks,
)
from anode.frontends.ngraph.frontends.neon3.layer import Convolution
from anode.frontends.ngraph.frontends.neon3.optimizer import GradientDescentMomentum

__all__ = [
    "Convolution",
    "FeedAddWrapper",
    "GradientDescentMomentum",
    "LossCallback",
    "NeonArgparser",
    "ProgressCallback",
    "TrainSaverCallback",
    "loop_eval",
    "loop_train",
    "make_default_callbacks",
]
__all__ += [name for name in neon.__all__ if name not in __all__]
