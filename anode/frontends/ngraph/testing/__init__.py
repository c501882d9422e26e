"""`ngraph.testing`: running computations in tests, and comparing their results."""

from anode.frontends.ngraph.testing.conv_utils import (
    ConvParams,
    reference_conv,
    reference_deconv_bprop,
    reference_deconv_fprop,
)
from anode.frontends.ngraph.testing.decorators import raise_all_numpy_errors, with_error_settings
from anode.frontends.ngraph.testing.error_check import assert_allclose
from anode.frontends.ngraph.testing.execution import (
    ExecutorFactory,
    check_derivative,
    executor,
    is_flex_factory,
    numeric_derivative,
)
from anode.frontends.ngraph.testing.random import RandomTensorGenerator

__all__ = [
    "ConvParams",
    "ExecutorFactory",
    "RandomTensorGenerator",
    "assert_allclose",
    "check_derivative",
    "executor",
    "is_flex_factory",
    "numeric_derivative",
    "raise_all_numpy_errors",
    "reference_conv",
    "reference_deconv_bprop",
    "reference_deconv_fprop",
    "with_error_settings",
]
